//! Power comes: what was durable is read, and every machine continues from it.
//!
//! Never looks at anything that a power cut would have taken.

use super::super::catalogue::FLEET_ROLE;
use super::super::disk::Stream;
use super::super::planted::Planted;
use super::outbox::Lane;
use super::{Around, Device, Running};
use muster_device::trusted_time::TrustedTime;
use muster_device::updater::{Input, ModelState, Policy, Shadows, Updater};
use muster_protocol::cbor;
use muster_protocol::cose;
use muster_protocol::id::BootId;
use muster_protocol::message::Swap;
use muster_protocol::message::key_set::FleetKeySet;
use muster_protocol::time::Millis;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// What a host decides for itself.
pub(super) const POLICY: Policy = Policy {
    probation_ms: 600_000,
    swap: Swap::Overlap,
    shadows: Shadows::Run,
};

impl Device {
    pub(super) fn power_on(&mut self, around: &mut Around<'_>) {
        self.boots += 1;
        let boot = BootId(self.random.draw().to_le_bytes());
        let (keys, taken_up) = std::mem::take(&mut self.verified);
        self.running = Some(Running {
            started: around.now,
            boot,
            updaters: BTreeMap::new(),
            keys,
            taken_up,
            time: TrustedTime::new(self.disk.state.floors),
            accepted: self.disk.state.accepted.clone(),
            unapplied: false,
            held: None,
            receipts: Lane::open(&self.disk.receipts, self.random.draw()),
            windows: Lane::open(&self.disk.windows, self.random.draw()),
            downloads: BTreeMap::new(),
            routes: BTreeMap::new(),
            serving: BTreeMap::new(),
            writing: VecDeque::new(),
            under_way: None,
            refused: false,
            connected: false,
            hello_at: Millis(0),
            questions: [None, None],
            challenge: None,
        });
        self.note(around, "power on", u64::from_le_bytes(boot.0), String::new);
        for stream in [Stream::Receipts, Stream::Windows] {
            self.recall_bodies(stream, around);
        }
        for (n, (role, bytes)) in self.disk.key_sets.clone().into_iter().enumerate() {
            // What was verified before the cut would be verified again to the same end.
            if n < taken_up {
                self.hear_when_signed(&role, &bytes);
            } else {
                self.take_up_key_set(&role, &bytes, around);
            }
        }
        self.boot_updaters(around);
        // What was accepted before a power cut may not have reached every machine.
        self.apply_assignment(around);
        self.feed_all(&Input::FactsChanged, around);
    }

    fn boot_updaters(&mut self, around: &Around<'_>) {
        let mut bundles = BTreeSet::new();
        for bytes in self.disk.state.models.clone() {
            let mut state: ModelState =
                cbor::decode(&bytes).expect("invariant: what was written is read");
            if around.planted == Some(Planted::CommitFloorTooEarly) {
                state.floor_committed = state.floor_seen;
            }
            if around.planted == Some(Planted::RetryWithoutLimit) {
                state.tries = 0;
            }
            bundles.extend(state.bundles());
            let (model, seed) = (state.model.clone(), self.random.draw());
            let updater = Updater::boot(state, POLICY, seed);
            self.running().updaters.insert(model, updater);
        }
        self.disk.sweep(&bundles);
    }

    /// Takes up a key set that is durable; one that does not fit changes nothing.
    pub(super) fn take_up_key_set(&mut self, role: &str, bytes: &[u8], around: &Around<'_>) {
        let targets = around.catalogue.authority.targets_keys();
        let targets = cose::KeySet {
            keys: &targets,
            threshold: 1,
        };
        let mut scratch = vec![0; cose::scratch_len(bytes.len())];
        let running = self.running();
        running.taken_up += 1;
        if role != FLEET_ROLE {
            let _ = running.keys.take_up_model(bytes, targets, &mut scratch);
        } else if running
            .keys
            .take_up_fleet(bytes, targets, &mut scratch)
            .is_ok()
        {
            self.hear_when_signed(role, bytes);
        }
    }

    /// A key set of the fleet that was taken up says what time it was at least.
    fn hear_when_signed(&mut self, role: &str, bytes: &[u8]) {
        let set = cose::peek::<FleetKeySet<'_>>(bytes);
        if let Ok(set) = set
            && role == FLEET_ROLE
        {
            let time = &mut self.running().time;
            time.on_fleet_document(set.epoch, set.issued_at);
        }
    }
}
