//! What is known of one arm of a ring: integer counts of each device, for one bundle.
//!
//! Adding is exact and its order does not matter; that a window counts once is for the caller.
//! Never a float, and never a sum over devices: the device is the unit that was randomised.

use std::collections::BTreeMap;

use muster_protocol::digest::Digest;
use muster_protocol::id::{DeviceId, EpochGeneration};

use super::compared::Compared;
use super::share::Share;

/// One arm: the ring itself, or the devices that run the version before in the same time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    bundle: Digest,
    promised: Promised,
    devices: BTreeMap<DeviceId, (EpochGeneration, DeviceCounts)>,
}

/// What the scores of a bundle's own reference promise; none of what is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Promised {
    /// Predictions that they call wrong.
    pub wrong: Option<Share>,
    /// Pairs of both classes that they call ranked wrongly: what the AUC lacks of 1.
    pub misranked: Option<Share>,
}

/// What one device told in signed documents, summed since its entry last changed. All zero is a
/// device that was assigned and has said nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DeviceCounts {
    /// Signed documents since dispatch.
    pub contacts: u64,
    /// Receipts of a commit.
    pub installed: u64,
    /// Receipts of a refusal by the self-test.
    pub refused: u64,
    /// Receipts of a revert.
    pub reverted: u64,
    /// Crashes of the bundle.
    pub crashes: u64,
    /// Closed windows in here, merged ones counted.
    pub closed_windows: u64,
    /// Monotonic milliseconds that those windows span.
    pub soaked_ms: u64,
    /// Inferences that were answered.
    pub ok: u64,
    /// Failed requests by code.
    pub errors: BTreeMap<u8, u64>,
    /// Requests whose latency was measured.
    pub latencies: u64,
    /// Of those, requests over the objective.
    pub latency_misses: u64,
    /// Predictions that have a score.
    pub scored: u64,
    /// Of those, as many as their own probabilities call wrong, rounded.
    pub estimated_wrong: u64,
    /// Predictions of the rarer of two classes, as scores expect them.
    pub ranked: u64,
    /// What the estimated AUC lacks of 1, as often as there are these, in steps of 2^-16.
    pub misranked_steps: u64,
    /// Findings that something has moved on it, or one for all of them.
    pub drifted: u64,
    /// Predictions by class.
    pub classes: BTreeMap<u32, u64>,
    /// How it compared, where it ran beside what serves.
    pub shadow: Compared,
}

/// Evidence of another bundle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("evidence of the bundle {other} does not count for {bundle}: because it is another model")]
pub struct EvidenceError {
    /// What is collected.
    pub bundle: Digest,
    /// What came.
    pub other: Digest,
}

impl Evidence {
    /// Nothing known yet of `bundle`.
    #[must_use]
    pub const fn of(bundle: Digest) -> Self {
        Self {
            bundle,
            promised: Promised {
                wrong: None,
                misranked: None,
            },
            devices: BTreeMap::new(),
        }
    }

    /// The same, with what its reference promises.
    #[must_use]
    pub const fn promising(mut self, promised: Promised) -> Self {
        self.promised = promised;
        self
    }

    /// What its reference promises.
    #[must_use]
    pub const fn promised(&self) -> Promised {
        self.promised
    }

    /// Adds what `device` counted under the entry that last changed at `since`. What it counted
    /// under an older entry no longer counts: a deliberate retry begins anew.
    pub fn add(&mut self, device: DeviceId, since: EpochGeneration, counts: &DeviceCounts) {
        let known = self
            .devices
            .entry(device)
            .or_insert_with(|| (since, DeviceCounts::default()));
        if since > known.0 {
            *known = (since, counts.clone());
        } else if since == known.0 {
            known.1.add(counts);
        }
    }

    /// Adds all of `other`.
    ///
    /// # Errors
    /// It is of another bundle.
    pub fn merge(&mut self, other: &Self) -> Result<(), EvidenceError> {
        if self.bundle != other.bundle {
            return Err(EvidenceError {
                bundle: self.bundle,
                other: other.bundle,
            });
        }
        for (device, (since, counts)) in &other.devices {
            self.add(device.clone(), *since, counts);
        }
        Ok(())
    }

    /// The bundle.
    #[must_use]
    pub const fn bundle(&self) -> Digest {
        self.bundle
    }

    /// Each device's counts, ascending by id.
    pub fn devices(&self) -> impl Iterator<Item = (&DeviceId, &DeviceCounts)> {
        let devices = self.devices.iter();
        devices.map(|(device, (_, counts))| (device, counts))
    }

    /// Devices assigned.
    #[must_use]
    pub fn assigned(&self) -> u64 {
        self.devices.len() as u64
    }

    /// Devices of which `holds`.
    pub(super) fn count(&self, holds: impl Fn(&DeviceCounts) -> bool) -> u64 {
        let counts = self.devices.values();
        counts.filter(|(_, counts)| holds(counts)).count() as u64
    }

    /// Inferences and failed requests of all.
    #[must_use]
    pub fn inferences(&self) -> u64 {
        let counts = self.devices.values();
        counts.fold(0, |sum, (_, counts)| {
            u64::saturating_add(sum, counts.inferences())
        })
    }
}

impl DeviceCounts {
    /// Adds `other`; a count ends at its maximum.
    pub fn add(&mut self, other: &Self) {
        let Self {
            contacts,
            installed,
            refused,
            reverted,
            crashes,
            closed_windows,
            soaked_ms,
            ok,
            errors,
            latencies,
            latency_misses,
            scored,
            estimated_wrong,
            ranked,
            misranked_steps,
            drifted,
            classes,
            shadow,
        } = self;
        for (mine, theirs) in [
            (contacts, other.contacts),
            (installed, other.installed),
            (refused, other.refused),
            (reverted, other.reverted),
            (crashes, other.crashes),
            (closed_windows, other.closed_windows),
            (soaked_ms, other.soaked_ms),
            (ok, other.ok),
            (latencies, other.latencies),
            (latency_misses, other.latency_misses),
            (scored, other.scored),
            (estimated_wrong, other.estimated_wrong),
            (ranked, other.ranked),
            (misranked_steps, other.misranked_steps),
            (drifted, other.drifted),
        ] {
            *mine = mine.saturating_add(theirs);
        }
        add_each(errors, &other.errors);
        add_each(classes, &other.classes);
        shadow.add(&other.shadow);
    }

    /// Inferences that were answered or failed.
    #[must_use]
    pub fn inferences(&self) -> u64 {
        self.ok.saturating_add(self.failed())
    }

    /// Failed requests of all codes.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.errors
            .values()
            .fold(0, |a, b| u64::saturating_add(a, *b))
    }

    /// Predictions of all classes.
    pub(super) fn classified(&self) -> u64 {
        let counts = self.classes.values();
        counts.fold(0, |a, b| u64::saturating_add(a, *b))
    }

    /// Whether it runs the bundle, as far as it said.
    pub(super) const fn runs(&self) -> bool {
        self.installed > 0 && self.reverted == 0
    }

    /// Whether it said that it will not run the bundle.
    pub(super) const fn gave_up(&self) -> bool {
        self.refused > 0 || self.reverted > 0
    }

    /// Whether the bundle crashed on it or was reverted.
    pub(super) const fn broke(&self) -> bool {
        self.reverted > 0 || self.crashes > 0
    }
}

/// Adds each count to that of the same key; a count ends at its maximum.
pub(super) fn add_each<K: Ord + Copy>(mine: &mut BTreeMap<K, u64>, theirs: &BTreeMap<K, u64>) {
    for (key, count) in theirs {
        let known = mine.entry(*key).or_default();
        *known = known.saturating_add(*count);
    }
}
