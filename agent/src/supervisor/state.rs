//! Starting from disk, and writing what machines want durable.
//!
//! A write that fails is tried again; the machine that asked waits, and what serves goes on.

use super::destination::Named;
use super::{
    DISK_RETRY_MS, Downloads, Hellos, Outbox, Refresh, Renewal, Supervisor, Wire, facts,
    model_task, status,
};
use crate::clock;
use crate::config::Config;
use crate::enroll::Identity;
use crate::seat::Seat;
use crate::serve::backend::Routes;
use crate::store::Store;
use crate::store::atomic::{self, DiskError};
use crate::store::metadata::MetadataError;
use crate::store::state::StateError;
use muster_device::trusted_time::TrustedTime;
use muster_device::updater::{Input, Policy, Shadows, Updater};
use muster_protocol::id::BootId;
use muster_protocol::tuf::FleetDocument;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use tokio::sync::mpsc;

/// Why a shadow is refused where none may run.
const NO_SHADOWS: &str = "shadow.cpu_percent is 0 in agent.toml, so that this device runs no \
                          shadow; raise it there if it may";

/// Why an agent cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The state file.
    #[error(transparent)]
    State(#[from] StateError),
    /// Stored metadata.
    #[error(transparent)]
    Metadata(#[from] MetadataError),
    /// The disk.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// The machine gives no random numbers.
    #[error(
        "failed to start: because the system gives no random numbers: {0}: hint: is this an early boot? try again"
    )]
    Random(#[from] getrandom::Error),
}

impl Supervisor {
    /// Continues from the state folder.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn start(
        config: Config,
        identity: Identity,
        store: Store,
        serving_events: mpsc::Sender<model_task::Event>,
        effects: mpsc::Sender<super::Effect>,
    ) -> Result<Self, StartError> {
        let state = store.read_state()?;
        let trusted = store.read_trusted()?;
        let fleet = store
            .read_fleet()?
            .and_then(|bytes| FleetDocument::parse(&bytes).ok())
            .filter(|fleet| Named::of(fleet).is_ok());
        let boot = BootId(random()?);
        let seed = u64::from_le_bytes(boot.0);
        let outbox = Outbox::open(&store, &identity, boot)?;
        let mut supervisor = Self {
            boot,
            time: Arc::new(Mutex::new(TrustedTime::new(state.time))),
            facts: facts::none(),
            updaters: BTreeMap::new(),
            downloads: Downloads::new(seed),
            refresh: Refresh::new(seed),
            outbox,
            serving: BTreeMap::new(),
            shadows: BTreeMap::new(),
            counters: BTreeMap::<Seat, status::Counters>::new(),
            taps: BTreeMap::new(),
            routes: Routes::new(),
            status: Arc::default(),
            wire: Wire::new(&identity, fleet.as_ref(), &store),
            renewal: Renewal::new(&identity.credentials),
            connected: false,
            stick: None,
            stale_told: false,
            hellos: Hellos::default(),
            challenge: None,
            held: None,
            unwritten: None,
            config,
            identity,
            store,
            state,
            trusted,
            fleet,
            serving_events,
            effects,
        };
        supervisor.rebuild_facts();
        supervisor.note_power_cuts()?;
        supervisor.boot_updaters(seed);
        supervisor.sweep();
        supervisor.drain();
        Ok(supervisor)
    }

    /// A checkpoint that lies here was not followed by a closed window: the agent was cut off.
    fn note_power_cuts(&mut self) -> Result<(), DiskError> {
        let folder = self.store.folder().join("checkpoints");
        let mut names = atomic::names(&folder)?.into_iter();
        names.try_for_each(|name| self.outbox.close_checkpoint(&folder.join(name)))
    }

    fn boot_updaters(&mut self, seed: u64) {
        for (n, state) in (0..).zip(self.state.models.clone()) {
            // Of what was removed nothing is left, not even in which role it was there.
            if state.is_empty() {
                continue;
            }
            let (model, role) = (state.model.clone(), state.role());
            let updater = Updater::boot(state, self.policy(), seed ^ n);
            self.updaters.insert(Seat { model, role }, updater);
        }
        // What was accepted before a power cut may not have reached every updater.
        self.apply_assignment(&self.state.assignment.clone());
        self.feed_all(&Input::FactsChanged);
    }

    pub(super) fn policy(&self) -> Policy {
        Policy {
            probation_ms: self.config.probation_s * 1000,
            swap: self.config.swap.into(),
            shadows: match self.config.shadow.cpu_percent {
                0 => Shadows::Refused {
                    because: NO_SHADOWS,
                },
                _ => Shadows::Run,
            },
        }
    }

    /// Hands one input to the machine of a seat, if there is one.
    pub(super) fn feed(&mut self, seat: &Seat, input: Input<'_>) {
        if let Some(updater) = self.updaters.get_mut(seat) {
            let facts = self.facts.view(&seat.model);
            updater.handle(input, &facts, clock::monotonic());
        }
    }

    /// Hands one input to every machine.
    pub(super) fn feed_all(&mut self, input: &Input<'_>) {
        let seats: Vec<_> = self.updaters.keys().cloned().collect();
        seats.iter().for_each(|seat| self.feed(seat, input.clone()));
    }

    /// Writes the state; machines that wait for it are told. A disk that refuses is asked again.
    pub(super) fn persist(&mut self) {
        self.updaters.retain(|_, updater| !updater.is_gone());
        self.state.models = self.updaters.values().map(|u| u.state().clone()).collect();
        let floors = self.time().floors();
        self.state.time = floors;
        match self.store.write_state(&self.state) {
            Ok(bytes) => {
                self.downloads.written(bytes);
                self.feed_all(&Input::Persisted);
            }
            Err(error) => {
                tracing::error!("{error}");
                self.unwritten = Some(clock::monotonic().plus(DISK_RETRY_MS));
            }
        }
    }

    pub(super) fn time(&self) -> std::sync::MutexGuard<'_, TrustedTime> {
        self.time
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// Random bytes of the system.
pub(super) fn random<const N: usize>() -> Result<[u8; N], getrandom::Error> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)?;
    Ok(bytes)
}
