//! What of a model outlives a power cut.
//!
//! Written whole, atomically; small enough for one block of flash.

use minicbor::{Decode, Encode};
use muster_protocol::digest::Digest;
use muster_protocol::id::{EpochGeneration, ModelId, Rank, Version};
use muster_protocol::message::{Entry, Reason, Role};

/// The durable state of one model in one role.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct ModelState {
    /// The model.
    #[n(0)]
    pub model: ModelId,
    /// The entry in force.
    #[n(1)]
    pub entry: Option<Entry>,
    /// How far it came.
    #[n(2)]
    pub progress: Progress,
    /// The release that it names, once its statement was verified.
    #[n(3)]
    pub candidate: Option<Release>,
    /// What answers; of a shadow, what runs beside it.
    #[n(4)]
    pub active: Option<Slot>,
    /// What answers when the active slot fails.
    #[n(5)]
    pub previous: Option<Slot>,
    /// Trials begun for the candidate.
    #[n(6)]
    pub tries: u8,
    /// Highest floor seen: bars new candidates.
    #[n(7)]
    pub floor_seen: Rank,
    /// Highest floor at which a candidate committed: bars fallbacks.
    #[n(8)]
    pub floor_committed: Rank,
    /// Why the entry ended, when it ended badly.
    #[n(9)]
    pub outcome: Option<Reason>,
}

/// How far the entry in force came; numbers are append-only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum Progress {
    /// There is no entry.
    #[n(0)]
    Nothing,
    /// Accepted; statement, plan or pieces are missing.
    #[n(1)]
    Offered,
    /// Every blob was verified; no trial is under way.
    #[n(2)]
    Staged,
    /// A trial was begun and counted.
    #[n(3)]
    Trial,
    /// It answers, on probation; or it is a shadow, which stays here.
    #[n(4)]
    Probation,
    /// It answers for good.
    #[n(5)]
    Committed,
    /// Terminal: it never answered.
    #[n(6)]
    Refused,
    /// Terminal: it answered and was taken back.
    #[n(7)]
    Reverted,
    /// Terminal: revoked with `stop`.
    #[n(8)]
    Stopped,
}

/// What a verified statement says.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Release {
    /// The version.
    #[n(0)]
    pub version: Version,
    /// Its rank.
    #[n(1)]
    pub rank: Rank,
    /// Digest of its statement.
    #[n(2)]
    pub statement: Digest,
    /// Digest of its manifest.
    #[n(3)]
    pub bundle: Digest,
    /// Size of its manifest in bytes.
    #[n(4)]
    pub manifest_size: u32,
    /// Planned peak memory of one worker, bytes.
    #[n(5)]
    pub peak_memory_bytes: u64,
    /// `since` of the entry that brought it.
    #[n(6)]
    pub since: EpochGeneration,
}

/// A release that passed its trial on this device.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Slot {
    /// The release.
    #[n(0)]
    pub release: Release,
    /// Whether it passed probation.
    #[n(1)]
    pub committed: bool,
}

impl ModelState {
    pub(super) const fn new(model: ModelId) -> Self {
        Self {
            model,
            entry: None,
            progress: Progress::Nothing,
            candidate: None,
            active: None,
            previous: None,
            tries: 0,
            floor_seen: Rank(0),
            floor_committed: Rank(0),
            outcome: None,
        }
    }

    /// In which role it is there. Only what serves can be without an entry.
    #[must_use]
    pub fn role(&self) -> Role {
        self.entry.as_ref().map_or(Role::Serve, |entry| entry.role)
    }

    /// The release of this statement, if a slot keeps its proof and its blobs.
    #[must_use]
    pub fn known(&self, statement: &Digest) -> Option<&Release> {
        let slots = [self.active.as_ref(), self.previous.as_ref()];
        let mut releases = slots.into_iter().flatten().map(|slot| &slot.release);
        releases.find(|release| release.statement == *statement)
    }

    /// Whether neither an entry nor a slot is left. Floors alone keep nothing alive: they come
    /// again with the facts.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.entry.is_none() && self.active.is_none() && self.previous.is_none()
    }

    /// Every bundle whose blobs must stay on disk; one may come twice.
    pub fn bundles(&self) -> impl Iterator<Item = Digest> + '_ {
        let slots = [self.active.as_ref(), self.previous.as_ref()];
        let slots = slots.into_iter().flatten().map(|slot| slot.release.bundle);
        slots.chain(self.wanted().map(|release| release.bundle))
    }

    /// Whether this bundle answers.
    pub(super) fn serves(&self, bundle: Digest) -> bool {
        self.active
            .as_ref()
            .is_some_and(|slot| slot.release.bundle == bundle)
    }

    /// Whether the blobs of this bundle are taken for verified.
    pub(super) fn relies_on(&self, bundle: Digest) -> bool {
        let verified = matches!(self.progress, Progress::Staged | Progress::Trial);
        let candidate = self.candidate.as_ref().filter(|_| verified);
        let slots = [self.active.as_ref(), self.previous.as_ref()]
            .into_iter()
            .flatten();
        slots
            .map(|slot| &slot.release)
            .chain(candidate)
            .any(|release| release.bundle == bundle)
    }

    /// The candidate, unless it was given up.
    pub(super) fn wanted(&self) -> Option<&Release> {
        self.candidate.as_ref().filter(|_| !self.has_ended())
    }

    /// Whether the entry in force ended badly.
    pub(super) const fn has_ended(&self) -> bool {
        match self.progress {
            Progress::Refused | Progress::Reverted | Progress::Stopped => true,
            Progress::Nothing
            | Progress::Offered
            | Progress::Staged
            | Progress::Trial
            | Progress::Probation
            | Progress::Committed => false,
        }
    }

    /// Whether the active slot is what the entry in force brought.
    pub(super) const fn entry_serves(&self) -> bool {
        matches!(self.progress, Progress::Probation | Progress::Committed)
    }
}
