//! The node: whom it believes, what it was assigned, what it would run.
//!
//! Judges with `muster-device` alone and adds no rule but the smaller limits. Its state lies in
//! memory: a node that keeps it in flash answers `Persist` after writing, here it is answered at
//! once.

use crate::verdict::Verdict;
use muster_device::acceptance::{self, Accepted};
use muster_device::facts::{Keys, View};
use muster_device::fold::Subject;
use muster_device::key_sets::KeySets;
use muster_device::trusted_time::{OnlineTime, TimeFloors, TrustedTime};
use muster_device::updater::{
    Capabilities, Input, Listing, Output, Policy, Release, Shadows, Updater,
};
use muster_protocol::cbor;
use muster_protocol::cose;
use muster_protocol::digest::Digest;
use muster_protocol::id::{DeviceId, ModelId, Nonce};
use muster_protocol::limits::{NODE_DOCUMENT_BYTES_MAX, NODE_MODELS_MAX};
use muster_protocol::message::{Assignment, Entry, Provision, Reason, Role, SignedTime, Swap};
use muster_protocol::time::{Millis, UnixSeconds};

/// Scratch space for the largest document of a node.
const SCRATCH_BYTES: usize = cose::scratch_len(NODE_DOCUMENT_BYTES_MAX);

const POLICY: Policy = Policy {
    probation_ms: 60_000,
    // There is no room for two models.
    swap: Swap::StopFirst,
    shadows: Shadows::Refused {
        because: "a node runs no shadow: there is no room for two models",
    },
};

/// A device with at most `MODELS` models.
#[derive(Debug)]
pub struct Node<const MODELS: usize> {
    me: DeviceId,
    nonce: Nonce,
    targets: Keys,
    capabilities: Capabilities,
    key_sets: KeySets<MODELS>,
    time: TrustedTime,
    accepted: Option<Accepted>,
    updaters: heapless::Vec<Updater, MODELS>,
}

impl<const MODELS: usize> Node<MODELS> {
    /// The node that a provision describes, with `memory_bytes` for a model and `flash_bytes`
    /// for its bundle. It believes its targets keys and nobody else yet.
    ///
    /// # Errors
    /// [`Verdict::BadProvision`].
    pub fn new(provision: &[u8], memory_bytes: u64, flash_bytes: u64) -> Result<Self, Verdict> {
        const {
            assert!(
                MODELS <= NODE_MODELS_MAX,
                "more models than a node may have"
            )
        };
        let provision: Provision<'_> =
            cbor::decode(provision).map_err(|_| Verdict::BadProvision)?;
        if !provision.targets.is_sound() {
            return Err(Verdict::BadProvision);
        }
        Ok(Self {
            targets: Keys {
                keys: provision.targets.keys.iter().collect(),
                threshold: provision.targets.threshold,
            },
            me: provision.device,
            nonce: provision.nonce,
            capabilities: Capabilities {
                class: provision.class,
                memory_bytes,
                disk_bytes: flash_bytes,
            },
            key_sets: KeySets::default(),
            time: TrustedTime::new(TimeFloors::default()),
            accepted: None,
            updaters: heapless::Vec::new(),
        })
    }

    /// Takes up the next key set of the fleet.
    ///
    /// # Errors
    /// The verdict against it.
    pub fn fleet_keys(&mut self, bytes: &[u8]) -> Result<(), Verdict> {
        let (targets, mut scratch) = (self.targets.as_set(), [0; SCRATCH_BYTES]);
        let issued_at = self.key_sets.take_up_fleet(bytes, targets, &mut scratch)?;
        let epoch = self.key_sets.facts().epoch;
        self.time.on_fleet_document(epoch, issued_at);
        Ok(())
    }

    /// Takes up the next key set of a model.
    ///
    /// # Errors
    /// The verdict against it.
    pub fn model_keys(&mut self, bytes: &[u8], now: Millis) -> Result<(), Verdict> {
        let (targets, mut scratch) = (self.targets.as_set(), [0; SCRATCH_BYTES]);
        let model = self.key_sets.take_up_model(bytes, targets, &mut scratch)?;
        let facts = self.key_sets.facts().view(&model);
        let mut updaters = self.updaters.iter_mut();
        match updaters.find(|updater| updater.state().model == model) {
            Some(updater) => {
                updater.handle(Input::FactsChanged, &facts, now);
                drain(updater, &facts, now).map(drop)
            }
            None => Ok(()),
        }
    }

    /// Believes a signed time.
    ///
    /// # Errors
    /// The verdict against it.
    pub fn signed_time(&mut self, bytes: &[u8], now: Millis) -> Result<(), Verdict> {
        let (keys, mut scratch) = (self.key_sets.facts().time.as_set(), [0; SCRATCH_BYTES]);
        let time = cose::open::<SignedTime>(bytes, keys, &mut scratch)
            .map_err(|_| Verdict::TimeSignature)?;
        if (&time.device, time.nonce) != (&self.me, self.nonce) {
            return Err(Verdict::TimeNotOurs);
        }
        match self.time.on_signed_time(time.epoch, time.unix, now) {
            OnlineTime::Believed => Ok(()),
            OnlineTime::OtherEpoch | OnlineTime::TooFarAhead | OnlineTime::BelowFloor => {
                Err(Verdict::TimeNotBelieved)
            }
        }
    }

    /// What time it is, once one was believed.
    #[must_use]
    pub fn unix(&self, now: Millis) -> Option<UnixSeconds> {
        self.time.unix(now)
    }

    /// Accepts an assignment and offers each entry to the updater of its model.
    ///
    /// # Errors
    /// The verdict against it, or against the first entry that is refused at once.
    pub fn assignment(&mut self, bytes: &[u8], now: Millis) -> Result<(), Verdict> {
        if bytes.len() > NODE_DOCUMENT_BYTES_MAX {
            return Err(Verdict::AssignmentTooLarge);
        }
        let (unix, mut scratch) = (self.time.unix(now), [0; SCRATCH_BYTES]);
        let (facts, last) = (self.key_sets.facts(), self.accepted);
        let opened = acceptance::accept(bytes, &self.me, facts, last, unix, &mut scratch)?;
        if opened.entries.len() > MODELS {
            return Err(Verdict::AssignmentNoRoom);
        }
        self.accepted = Some(Accepted {
            at: opened.at,
            digest: Digest::of(bytes),
        });
        self.offer(&opened, now)
    }

    fn offer(&mut self, assignment: &Assignment<'_>, now: Millis) -> Result<(), Verdict> {
        let is_shadow = |entry: &Entry| entry.role == Role::Shadow;
        let serving = || assignment.entries.iter().filter(|entry| !is_shadow(entry));
        let names = |model: &ModelId| serving().any(|entry| entry.model == *model);
        // Nothing of a removed model lies in flash: its machine can go.
        self.updaters
            .retain(|updater| names(&updater.state().model));
        for entry in serving() {
            let facts = self.key_sets.facts().view(&entry.model);
            let updater = updater_of(&mut self.updaters, &entry.model)?;
            let assigned = Input::Assigned {
                entry: Some(&entry),
                beside: None,
            };
            updater.handle(assigned, &facts, now);
            drain(updater, &facts, now)?;
        }
        // A shadow gets no machine here: it could only refuse.
        let shadowed = assignment.entries.iter().any(|entry| is_shadow(&entry));
        if shadowed {
            Err(Reason::Role.into())
        } else {
            Ok(())
        }
    }

    /// Judges the statement that an entry waits for; gives the release that may be fetched.
    ///
    /// # Errors
    /// The verdict against it.
    pub fn statement(&mut self, bytes: &[u8], now: Millis) -> Result<Release, Verdict> {
        let digest = Digest::of(bytes);
        let named = |updater: &&mut Updater| {
            let entry = updater.state().entry.as_ref();
            entry.is_some_and(|entry| entry.statement == digest)
        };
        let updater = self.updaters.iter_mut().find(named);
        let updater = updater.ok_or(Verdict::StatementNotNamed)?;
        let facts = self.key_sets.facts().view(&updater.state().model);
        let statement = Input::Statement {
            bytes,
            listing: Listing::Unchecked,
            capabilities: &self.capabilities,
        };
        updater.handle(statement, &facts, now);
        drain(updater, &facts, now)?.ok_or(Verdict::StatementNotNamed)
    }

    /// Whose predictions are counted, once a statement was judged good, and the latency that the
    /// card of its bundle allows: a node reads no JSON, so that its host must know it.
    #[must_use]
    pub fn subject(&self, reference: &[u8], latency_objective_us: Option<u32>) -> Option<Subject> {
        let mut states = self.updaters.iter().map(Updater::state);
        let (model, release) =
            states.find_map(|state| Some((&state.model, state.candidate.as_ref()?)))?;
        Some(Subject {
            model: model.clone(),
            bundle: release.bundle,
            since: release.since,
            reference: Some(Digest::of(reference)),
            latency_objective_us,
        })
    }
}

fn updater_of<'u, const MODELS: usize>(
    updaters: &'u mut heapless::Vec<Updater, MODELS>,
    model: &ModelId,
) -> Result<&'u mut Updater, Verdict> {
    let known = |updater: &Updater| updater.state().model == *model;
    let index = match updaters.iter().position(known) {
        Some(index) => index,
        None => {
            let updater = Updater::new(model.clone(), Role::Serve, POLICY, 0);
            let pushed = updaters.push(updater);
            pushed.map_err(|_| Verdict::AssignmentNoRoom)?;
            updaters.len() - 1
        }
    };
    updaters.get_mut(index).ok_or(Verdict::AssignmentNoRoom)
}

/// Answers what needs no board; gives the release that would be fetched, or the verdict against
/// it.
fn drain(updater: &mut Updater, facts: &View<'_>, now: Millis) -> Result<Option<Release>, Verdict> {
    let (mut wanted, mut refused) = (None, None);
    loop {
        match updater.poll_output() {
            None => break,
            Some(Output::Persist) => updater.handle(Input::Persisted, facts, now),
            Some(Output::FetchPlan(release)) => wanted = Some(release),
            Some(Output::Report {
                verdict: Some(verdict),
                ..
            }) => refused = Some(verdict.reason),
            // Asked for again by the next word, or nothing that a node does yet.
            Some(
                Output::Report { verdict: None, .. }
                | Output::FetchStatement { .. }
                | Output::FetchPieces(_)
                | Output::Stage(_)
                | Output::Try(_)
                | Output::Route { .. }
                | Output::Unroute
                | Output::Discard(_),
            ) => {}
        }
    }
    refused.map_or(Ok(wanted), |reason| Err(reason.into()))
}
