//! The supervisor: it owns disk, machines and routes, and joins them and the link in one loop.
//!
//! It decides nothing that a machine of `muster-device` decides: it feeds them and does what
//! they ask. Never loads a model: that is a worker's, in another process.

mod destination;
mod downloads;
mod effects;
mod facts;
mod freshness;
mod hello;
mod inbox;
mod outbox;
#[cfg(test)]
mod power_cuts;
mod refresh;
mod renewal;
mod serving;
mod shadow;
mod state;
mod status;
mod stick;
mod sweep;
mod wire;

pub use state::StartError;

use crate::clock;
use crate::config::Config;
use crate::enroll::Identity;
use crate::link::LinkEvent;
use crate::seat::Seat;
use crate::serve::backend::Routes;
use crate::serving as model_task;
use crate::serving::shadow::{self as shadow_task, Tap};
use crate::store::Store;
use crate::store::atomic::DiskError;
use crate::store::state::AgentState;
use crate::tls::Credentials;
use downloads::Downloads;
use hello::Hellos;
use muster_device::facts::Facts;
use muster_device::trusted_time::TrustedTime;
use muster_device::updater::{Updater, Verdict};
use muster_protocol::digest::Digest;
use muster_protocol::id::{BootId, ModelId, Nonce};
use muster_protocol::limits::MODELS_MAX;
use muster_protocol::time::Millis;
use muster_protocol::tuf::{FleetDocument, Trusted};
use outbox::Outbox;
use refresh::Refresh;
use renewal::Renewal;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use stick::Stick;
use tokio::sync::mpsc;
use wire::Wire;

/// Facts about all models of a Linux device.
pub type LinuxFacts = Facts<MODELS_MAX>;

/// Pause before a write that the disk refused is tried again.
const DISK_RETRY_MS: u64 = 5_000;
/// Longest the loop rests.
const REST_MS_MAX: u64 = 60_000;

/// What happens to a supervisor.
#[derive(Debug)]
pub enum Event {
    /// On the link.
    Link(LinkEvent),
    /// In a serving task.
    Serving(model_task::Event),
    /// An effect has ended.
    Effect(Effect),
    /// About a stick, from a command.
    Stick(crate::stick::Request),
    /// Time has passed.
    Tick,
}

/// What ends in a task of its own.
#[derive(Debug)]
pub enum Effect {
    /// It was found out which pieces of a bundle are on disk, and space was reserved for others.
    Surveyed {
        /// Which model in which role.
        seat: Seat,
        /// The bundle.
        bundle: Digest,
        /// What to fetch; `None` when the hash list does not list every layer.
        result: Result<Option<Vec<muster_device::fetcher::Wanted>>, DiskError>,
    },
    /// Blobs were verified and unpacked, or not.
    Staged {
        /// Which model in which role.
        seat: Seat,
        /// The bundle.
        bundle: Digest,
        /// Bytes written.
        result: Result<u64, Verdict>,
    },
    /// A trial has ended.
    Tried {
        /// Which model in which role.
        seat: Seat,
        /// The bundle.
        bundle: Digest,
        /// How.
        result: Result<muster_protocol::message::Measured, Verdict>,
    },
    /// The certificate was renewed, and is on disk, or not.
    Renewed {
        /// How, in words for people.
        result: Result<Credentials, String>,
    },
}

/// Everything that an agent is.
pub struct Supervisor {
    config: Config,
    identity: Identity,
    store: Store,
    boot: BootId,
    state: AgentState,
    trusted: Trusted,
    fleet: Option<FleetDocument>,
    facts: LinuxFacts,
    time: Arc<Mutex<TrustedTime>>,
    updaters: BTreeMap<Seat, Updater>,
    downloads: Downloads,
    refresh: Refresh,
    outbox: Outbox,
    serving: BTreeMap<ModelId, Vec<model_task::Handle>>,
    shadows: BTreeMap<ModelId, Vec<shadow_task::Handle>>,
    counters: BTreeMap<Seat, status::Counters>,
    taps: BTreeMap<ModelId, Arc<Tap>>,
    routes: Routes,
    status: Arc<Mutex<serde_json::Value>>,
    wire: Wire,
    renewal: Renewal,
    connected: bool,
    stick: Option<Stick>,
    /// It was said that metadata is too old.
    stale_told: bool,
    hellos: Hellos,
    challenge: Option<Nonce>,
    /// An assignment that could not be judged yet.
    held: Option<Vec<u8>>,
    /// The state could not be written: when to try again.
    unwritten: Option<Millis>,
    serving_events: mpsc::Sender<model_task::Event>,
    effects: mpsc::Sender<Effect>,
}

impl Supervisor {
    /// Takes one event, then does everything that follows from it.
    pub fn handle(&mut self, event: Event) {
        match event {
            Event::Link(event) => self.on_link(event),
            Event::Serving(event) => self.on_serving(event),
            Event::Effect(effect) => self.on_effect(effect),
            Event::Stick(request) => self.on_stick(request),
            Event::Tick => self.on_tick(),
        }
        self.drain();
    }

    /// When to call with [`Event::Tick`] at the latest.
    pub fn next_due(&self) -> Millis {
        let now = clock::monotonic();
        let updaters = self
            .updaters
            .values()
            .filter_map(|u| u.poll_timeout().map(|(at, _)| at));
        updaters
            .chain(self.downloads.next_due())
            .chain(self.outbox.next_due())
            .chain(self.refresh.next_due())
            .chain(self.connected.then_some(self.hellos.next_due()))
            .chain(self.unwritten)
            .chain(self.renewal.next_due())
            .chain(self.stick_due())
            .chain([now.plus(REST_MS_MAX)])
            .min()
            .unwrap_or(now)
    }

    /// Ends what serves and what runs beside it, so that the last windows are counted; the caller
    /// then drains events.
    pub fn end_serving(&mut self) {
        for handle in self.serving.values_mut().flatten() {
            handle.end();
        }
        for handle in self.shadows.values_mut().flatten() {
            handle.end();
        }
    }

    /// Whether a task that serves, or runs beside what serves, has not ended yet.
    pub fn is_serving(&self) -> bool {
        let serves = self.serving.values().any(|handles| !handles.is_empty());
        serves || self.shadows.values().any(|handles| !handles.is_empty())
    }

    /// The time that handshakes judge certificates by.
    pub fn trusted_time(&self) -> Arc<Mutex<TrustedTime>> {
        self.time.clone()
    }

    fn on_tick(&mut self) {
        let now = clock::monotonic();
        if self.unwritten.is_some_and(|at| at <= now) {
            self.unwritten = None;
            self.persist();
        }
        self.feed_all(&muster_device::updater::Input::Tick);
        self.outbox.tick(now);
        self.downloads_tick(now);
        self.refresh_tick(now);
        self.watch_freshness();
        self.renewal_tick(now);
        if self.connected {
            self.hello_tick(now);
        }
        self.expire_offers();
        self.stick_tick(now);
    }

    /// Drains every machine until none asks for anything.
    fn drain(&mut self) {
        loop {
            let busy = self.drain_updaters() | self.drain_downloads() | self.drain_outbox();
            if !busy {
                break;
            }
        }
        self.publish_status();
        self.tell_stick();
    }
}
