//! A hello: what the device has is recorded, and what it lacks is answered.
//!
//! Never believes an older one after a newer one of the same boot, nor one of a held device that
//! answers no challenge.

use super::super::catalogue::Catalogue;
use super::super::seal;
use super::store::Held;
use super::{Controller, When};
use muster_fleet::compose::{DesiredRow, StoredEntry};
use muster_protocol::cose;
use muster_protocol::digest::Digest;
use muster_protocol::id::{Epoch, Nonce};
use muster_protocol::message::{Assignment, Entry, Hello, Show, SignedTime};
use muster_protocol::time::Millis;
use muster_protocol::topic::Down;

/// How far a hello counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    Free,
    Released,
    Held(Option<Show>),
    Challenged(Nonce),
}

impl Controller {
    pub(in crate::sim) fn on_hello(
        &mut self,
        from: usize,
        bytes: &[u8],
        catalogue: &Catalogue,
        now: Millis,
    ) {
        let Some(hello) = seal::read::<Hello<'_>>(bytes) else {
            return;
        };
        let record = &self.store.devices[from];
        let last = record.last_hello;
        if last.is_some_and(|(boot, at)| boot == hello.boot && hello.at < at) {
            return;
        }
        let standing = self.judge(from, &hello, catalogue.authority.epoch);
        self.tell_time(from, &hello, standing, catalogue, now);
        if let Standing::Challenged(_) = standing {
            return;
        }
        let record = &mut self.store.devices[from];
        record.last_hello = Some((hello.boot, hello.at));
        record.accepted = hello.accepted;
        for state in hello.streams.iter() {
            self.heard(from, &state, catalogue);
        }
        if let Standing::Free | Standing::Released = standing {
            self.catch_up(from, &hello, standing, catalogue, now);
        }
    }

    fn judge(&mut self, from: usize, hello: &Hello<'_>, epoch: Epoch) -> Standing {
        let mut word = [0; 16];
        word[..8].copy_from_slice(&self.random.draw().to_le_bytes());
        let record = &mut self.store.devices[from];
        let accepted = hello.accepted.unwrap_or_default();
        let known = accepted < record.newest
            || accepted == record.newest
                && (hello.accepted.is_none()
                    || hello.assignment == Some(Digest::of(&record.document)));
        // It has accepted what was never composed here: somebody put an old state in place. A
        // director of a new epoch begins anew by right.
        if record.held.is_none() && !known && accepted.epoch == epoch {
            record.hold_above(accepted);
        }
        let Some(held) = record.held else {
            return Standing::Free;
        };
        if held.challenge.is_none() || hello.challenge != held.challenge {
            let challenge = held.challenge.unwrap_or(Nonce(word));
            record.held = Some(Held {
                challenge: Some(challenge),
                ..held
            });
            return Standing::Challenged(challenge);
        }
        if known {
            record.held = None;
            return Standing::Released;
        }
        let claim = hello.assignment.map(|digest| (accepted, digest));
        record.held = Some(Held {
            challenge: None,
            claim,
        });
        Standing::Held(Some(Show::Assignment))
    }

    fn tell_time(
        &mut self,
        to: usize,
        hello: &Hello<'_>,
        standing: Standing,
        catalogue: &Catalogue,
        now: Millis,
    ) {
        let (challenge, show) = match standing {
            Standing::Free | Standing::Released => (None, None),
            Standing::Held(show) => (None, show),
            Standing::Challenged(challenge) => (Some(challenge), None),
        };
        let time = SignedTime {
            device: hello.device.clone(),
            nonce: hello.nonce,
            unix: self.unix(now),
            epoch: catalogue.authority.epoch,
            challenge,
            show,
        };
        let bytes = self.signatures.seal(&time, &catalogue.authority.time);
        self.send(to, Down::Time, bytes);
    }

    /// Makes a new assignment where the stored one cannot serve, and sends it to who lacks it.
    fn catch_up(
        &mut self,
        from: usize,
        hello: &Hello<'_>,
        standing: Standing,
        catalogue: &Catalogue,
        now: Millis,
    ) {
        if standing == Standing::Released {
            self.dispatch(from, When::Changed, catalogue, now);
        }
        let ending = self.unix(now).plus_days(1);
        let record = &self.store.devices[from];
        let composed = !record.document.is_empty();
        let untaken = hello.accepted != Some(record.newest);
        let foreign = record.newest.epoch < catalogue.authority.epoch;
        if composed && (foreign || untaken && record.accept_by <= ending) {
            self.dispatch(from, When::Always, catalogue, now);
        }
        let record = &self.store.devices[from];
        let other = hello.accepted != Some(record.newest)
            || hello.assignment != Some(Digest::of(&record.document));
        if other {
            self.send_assignment(from);
        }
    }

    /// What a held device has accepted becomes the base of what it is told next.
    pub(in crate::sim) fn on_shown(
        &mut self,
        from: usize,
        bytes: &[u8],
        catalogue: &Catalogue,
        now: Millis,
    ) {
        let record = &mut self.store.devices[from];
        let claim = record.held.and_then(|held| held.claim);
        if claim.is_none_or(|(_, digest)| Digest::of(bytes) != digest) {
            return;
        }
        let keys = catalogue.authority.directors();
        let keys = cose::KeySet {
            keys: &keys,
            threshold: 1,
        };
        let mut scratch = vec![0; cose::scratch_len(bytes.len())];
        let Ok(opened) = cose::open::<Assignment<'_>>(bytes, keys, &mut scratch) else {
            return;
        };
        if opened.device != record.id {
            return;
        }
        record.entries = opened
            .entries
            .iter()
            .map(|entry| StoredEntry { entry, attempt: 0 })
            .collect();
        record.desired = opened.entries.iter().map(adopted).collect();
        record.newest = opened.at;
        record.accept_by = opened.accept_by;
        record.document = bytes.to_vec();
        record.held = None;
        self.dispatch(from, When::Changed, catalogue, now);
    }
}

fn adopted(entry: Entry) -> DesiredRow {
    DesiredRow {
        model: entry.model,
        version: entry.version,
        role: entry.role,
        statement: entry.statement,
        statement_size: entry.statement_size,
        settings: entry.settings,
        attempt: 0,
        rollout: 0,
    }
}
