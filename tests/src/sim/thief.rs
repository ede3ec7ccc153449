//! A thief with the online keys of the controller: director, acknowledgements, time.
//!
//! Signs what it likes, and devices believe it until another director takes its place. It has no
//! key of a release and none of the targets, so it makes neither a statement nor a key set; and it
//! lets telemetry arrive, since what it swallows only the controller could miss.

use super::catalogue::{Authority, Catalogue, Release, models};
use super::seal::Signatures;
use crate::random::Random;
use ed25519_dalek::SigningKey;
use muster_protocol::cbor::List;
use muster_protocol::cose;
use muster_protocol::id::{DeviceId, Epoch, EpochGeneration, Generation};
use muster_protocol::message::{Assignment, Entry, Hello, Role, Settings, SignedTime};
use muster_protocol::time::UnixSeconds;

/// A time that no device may believe: the year 2100.
const YEAR_2100: UnixSeconds = UnixSeconds(4_102_444_800);

/// What was stolen.
#[derive(Debug)]
pub(super) struct Thief {
    director: SigningKey,
    time: SigningKey,
    epoch: Epoch,
    signatures: Signatures,
    random: Random,
}

impl Thief {
    /// Has the keys that are current now.
    pub(super) fn of(authority: &Authority, signatures: Signatures, random: Random) -> Self {
        Self {
            director: authority.director.clone(),
            time: authority.time.clone(),
            epoch: authority.epoch,
            signatures,
            random,
        }
    }

    /// An assignment of whatever there is, wherever it likes.
    pub(super) fn assignment(
        &mut self,
        device: &DeviceId,
        newest: EpochGeneration,
        catalogue: &Catalogue,
        unix: UnixSeconds,
    ) -> Vec<u8> {
        let at = self.place(newest);
        let entries: Vec<_> = models()
            .filter_map(|model| {
                let releases = catalogue.releases.iter().filter(|r| r.model == model);
                let releases: Vec<_> = releases.collect();
                let nth = self.random.below(releases.len() as u64 + 1);
                let release = releases.get(usize::try_from(nth).unwrap_or_default());
                release.map(|release| entry(release, at))
            })
            .collect();
        let assignment = Assignment {
            device: device.clone(),
            at,
            issued_at: unix,
            accept_by: unix.plus_days(self.random.below(60)),
            entries: List::of(&entries),
        };
        cose::seal_vec(&assignment, &self.director)
    }

    /// An answer to a hello: the far future, next year, or long ago.
    pub(super) fn time(&mut self, hello: &Hello<'_>, unix: UnixSeconds) -> Vec<u8> {
        let unix = match self.random.below(3) {
            0 => YEAR_2100,
            1 => unix.plus_days(self.random.below(400)),
            _ => UnixSeconds(self.random.below(unix.0)),
        };
        let time = SignedTime {
            device: hello.device.clone(),
            nonce: hello.nonce,
            unix,
            epoch: self.epoch,
            challenge: None,
            show: None,
        };
        self.signatures.seal(&time, &self.time)
    }

    /// Somewhat above the newest, where a device must take it up, or at the very end.
    fn place(&mut self, newest: EpochGeneration) -> EpochGeneration {
        let generation = match self.random.below(6) {
            0 => u64::MAX,
            1 => self.random.below(newest.generation.0.saturating_add(1)),
            _ => newest.generation.0.saturating_add(1 + self.random.below(9)),
        };
        EpochGeneration {
            epoch: self.epoch,
            generation: Generation(generation),
        }
    }
}

fn entry(release: &Release, since: EpochGeneration) -> Entry {
    Entry {
        model: release.model.clone(),
        version: release.version.clone(),
        statement: release.statement_digest,
        statement_size: u32::try_from(release.statement.len()).unwrap_or(u32::MAX),
        role: Role::Serve,
        since,
        settings: Settings::default(),
    }
}
