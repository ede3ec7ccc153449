//! What comes over the link: assignments, pieces, acknowledgements, time.
//!
//! Everything but a piece is signed, and opened here with the keys that the facts name. What
//! fails a check changes nothing.

use super::super::catalogue::FLEET_ROLE;
use super::super::planted::Planted;
use super::super::seal;
use super::boot::POLICY;
use super::{AcceptedRecord, Around, Device, HELLO_MS, Wish};
use muster_device::acceptance::{self, Accepted, NotAccepted};
use muster_device::fetcher;
use muster_device::stream;
use muster_device::trusted_time::OnlineTime;
use muster_device::updater::{Input, Updater};
use muster_protocol::cbor::List;
use muster_protocol::cose;
use muster_protocol::digest::Digest;
use muster_protocol::id::{Generation, Nonce, Version};
use muster_protocol::message::{
    Ack, Assignment, Entry, Health, Hello, MetadataVersions, Show, SignedTime,
};
use muster_protocol::time::UnixSeconds;
use muster_protocol::topic::{Down, Up};

impl Device {
    pub(super) fn on_connected(&mut self, around: &mut Around<'_>) {
        self.note(around, "connected", 0, String::new);
        self.running().connected = true;
        self.link_downloads(fetcher::Input::Connected, around);
        self.tell_lanes(&stream::Input::Connected, around);
        self.say_hello(around);
        self.ask_for_key_sets();
        self.feed_all(&Input::LinkUp, around);
    }

    pub(super) fn on_disconnected(&mut self, around: &mut Around<'_>) {
        self.note(around, "disconnected", 0, String::new);
        self.running().connected = false;
        self.link_downloads(fetcher::Input::Disconnected, around);
        self.tell_lanes(&stream::Input::Disconnected, around);
    }

    pub(super) fn on_message(&mut self, from: Down, bytes: &[u8], around: &mut Around<'_>) {
        match from {
            Down::Assignment => self.on_assignment(bytes, around),
            Down::Piece => self.on_piece(bytes, around),
            Down::Ack => self.on_ack(bytes, around),
            Down::Time => self.on_time(bytes, around),
        }
    }

    fn on_assignment(&mut self, bytes: &[u8], around: &mut Around<'_>) {
        // The broker says the accepted one again on every connect: nothing would come of it.
        let accepted = self.running().accepted.as_ref();
        let again = accepted.is_some_and(|record| record.bytes == bytes);
        if again && around.planted != Some(Planted::AcceptEqualGeneration) {
            self.running().held = None;
            return;
        }
        let mut scratch = vec![0; cose::scratch_len(bytes.len())];
        let clock = self.clock(around.now);
        let trusted = self.running().time.unix(clock);
        let (mut last, mut unix) = (
            self.running().accepted.as_ref().map(|r| r.accepted),
            trusted,
        );
        if around.planted == Some(Planted::AcceptEqualGeneration) {
            let generation = |at: Generation| Generation(at.0.saturating_sub(1));
            last = last.map(|mut last| {
                last.at.generation = generation(last.at.generation);
                last
            });
        }
        if around.planted == Some(Planted::TrustTheClock) {
            unix = Some(UnixSeconds(1000));
        }
        let me = self.id.clone();
        let judged = acceptance::accept(bytes, &me, self.facts(), last, unix, &mut scratch);
        match judged.map(|assignment| assignment.into_inner()) {
            Ok(assignment) => {
                self.check_acceptance(&assignment, trusted);
                let accepted = Accepted {
                    at: assignment.at,
                    digest: Digest::of(bytes),
                };
                self.note(around, "accepts", accepted.at.generation.0, || {
                    let entries = assignment.entries.iter();
                    let entries = entries.map(|e| format!(" {} {}", e.model, e.version));
                    format!("{}{}", accepted.at, entries.collect::<String>())
                });
                let running = self.running();
                running.accepted = Some(AcceptedRecord {
                    accepted,
                    bytes: bytes.to_vec(),
                });
                (running.unapplied, running.held) = (true, None);
                self.write_state(None);
            }
            Err(NotAccepted::Repeated) => self.running().held = None,
            Err(because) => self.hold(because, bytes, around),
        }
    }

    /// The promises about what is taken up.
    fn check_acceptance(&mut self, assignment: &Assignment<'_>, trusted: Option<UnixSeconds>) {
        let before = self
            .running()
            .accepted
            .as_ref()
            .map(|record| record.accepted.at);
        if before.is_some_and(|before| assignment.at <= before) {
            let how = format!("{} after {before:?}", assignment.at);
            self.broke("no generation below an accepted one is applied", how);
        }
        let key_sets = self.disk.key_sets.iter();
        let directors = key_sets.filter(|(role, _)| role == FLEET_ROLE).count() as u64;
        if assignment.at.epoch.0 != directors {
            let how = format!("{} when {directors} directors were named", assignment.at);
            self.broke("nothing of a replaced director is applied", how);
        }
        if trusted.is_none_or(|unix| unix > assignment.accept_by) {
            let how = format!("{} with trusted time {trusted:?}", assignment.at);
            self.broke("expiry is judged with trusted time", how);
        }
    }

    /// What signed time or newer key sets could make acceptable is judged again when they come.
    fn hold(&mut self, because: NotAccepted, bytes: &[u8], around: &mut Around<'_>) {
        self.note(around, "not accepted", bytes.len() as u64, || {
            because.to_string()
        });
        match because {
            NotAccepted::TimeUnknown => {
                let clock = self.clock(around.now);
                let running = self.running();
                running.hello_at = running.hello_at.min(clock.plus(5_000));
                running.held = Some(bytes.to_vec());
            }
            NotAccepted::Signature(_) | NotAccepted::OtherEpoch => {
                self.running().held = Some(bytes.to_vec());
            }
            NotAccepted::OtherDevice
            | NotAccepted::Old { .. }
            | NotAccepted::Repeated
            | NotAccepted::Forked
            | NotAccepted::Expired { .. }
            | NotAccepted::Inconsistent => {}
        }
    }

    pub(super) fn judge_held(&mut self, around: &mut Around<'_>) {
        if let Some(bytes) = self.running().held.take() {
            self.on_assignment(&bytes, around);
        }
    }

    /// Durable first, then told to the machines.
    pub(super) fn assignment_written(&mut self, around: &mut Around<'_>) {
        let durable = self.disk.state.accepted.clone();
        let running = self.running();
        if running.unapplied && running.accepted == durable {
            running.unapplied = false;
            self.apply_assignment(around);
        }
    }

    pub(super) fn apply_assignment(&mut self, around: &mut Around<'_>) {
        let Some(record) = self.running().accepted.clone() else {
            return;
        };
        let entries = cose::peek::<Assignment<'_>>(&record.bytes)
            .map_or(Vec::new(), |a| a.entries.iter().collect::<Vec<Entry>>());
        for entry in &entries {
            let seed = self.random.draw();
            let new = || Updater::new(entry.model.clone(), entry.role, POLICY, seed);
            self.running()
                .updaters
                .entry(entry.model.clone())
                .or_insert_with(new);
        }
        let models: Vec<_> = self.running().updaters.keys().cloned().collect();
        for model in models {
            let entry = entries.iter().find(|entry| entry.model == model);
            if entry.is_none() {
                self.seen.removed.insert(model.clone());
                // What comes back after that is tried as any other.
                self.seen.trials.remove(&model);
            }
            let assigned = Input::Assigned {
                entry,
                beside: None,
            };
            self.feed(&model, assigned, around);
        }
    }

    fn on_ack(&mut self, bytes: &[u8], around: &mut Around<'_>) {
        // Most say again what is known; no machine would do anything with them.
        let told = seal::read::<Ack<'_>>(bytes).map(|ack| (ack.stream, ack.through));
        let running = self.running();
        let lanes = [&running.receipts.stream, &running.windows.stream];
        let news = |(stream, through)| {
            let mut lanes = lanes.iter();
            lanes.any(|lane| lane.id() == stream && through >= lane.first_kept())
        };
        if !told.is_some_and(news) {
            return;
        }
        let Some(ack) = seal::open::<Ack<'_>>(bytes, &self.facts().ack.keys) else {
            return;
        };
        if ack.device == self.id {
            self.note(around, "ack", ack.through.0, || {
                format!("{} through {}", ack.stream, ack.through)
            });
            self.running().receipts.stream.acknowledged(&ack);
            self.running().windows.stream.acknowledged(&ack);
        }
    }

    fn on_time(&mut self, bytes: &[u8], around: &mut Around<'_>) {
        let Some(time) = seal::open::<SignedTime>(bytes, &self.facts().time.keys) else {
            return;
        };
        if time.device != self.id || !self.answers(time.nonce) {
            return;
        }
        let clock = self.clock(around.now);
        let running = self.running();
        running.challenge = time.challenge;
        let verdict = running.time.on_signed_time(time.epoch, time.unix, clock);
        self.note(around, "time", time.unix.0, || format!("{verdict:?}"));
        if verdict == OnlineTime::Believed {
            self.judge_held(around);
        }
        if time.challenge.is_some() {
            self.say_hello(around);
        }
        if time.show == Some(Show::Assignment)
            && let Some(record) = self.running().accepted.clone()
        {
            self.wishes.push(Wish::Send(Up::Assignment, record.bytes));
        }
    }

    /// Whether this nonce was open; it is used up, with those before it.
    fn answers(&mut self, nonce: Nonce) -> bool {
        let questions = &mut self.running().questions;
        let Some(place) = questions.iter().position(|open| *open == Some(nonce)) else {
            return false;
        };
        questions[..=place].fill(None);
        true
    }

    pub(super) fn say_hello(&mut self, around: &Around<'_>) {
        let clock = self.clock(around.now);
        let mut nonce = [0; 16];
        nonce[..8].copy_from_slice(&self.random.draw().to_le_bytes());
        let nonce = Nonce(nonce);
        let streams = self.stream_states();
        let record = self
            .disk
            .state
            .accepted
            .as_ref()
            .map(|record| record.accepted);
        let running = self.running();
        running.questions = [running.questions[1], Some(nonce)];
        running.hello_at = clock.plus(HELLO_MS);
        let hello = Hello {
            accepted: record.map(|accepted| accepted.at),
            assignment: record.map(|accepted| accepted.digest),
            metadata: MetadataVersions::default(),
            streams: List::of(&streams),
            nonce,
            agent: Version::parse("1.0.0").expect("invariant: a semver"),
            boot: running.boot,
            at: clock,
            health: Health::default(),
            challenge: running.challenge.take(),
            device: self.id.clone(),
        };
        let signed = self.signatures.seal(&hello, &self.key);
        self.wishes.push(Wish::Send(Up::Hello, signed));
    }

    /// An entry that was not staged until `accept_by` is given up, once time is known.
    pub(super) fn expire_offers(&mut self, around: &Around<'_>) {
        let clock = self.clock(around.now);
        let running = self.running();
        let (Some(unix), Some(record)) = (running.time.unix(clock), &running.accepted) else {
            return;
        };
        let late = cose::peek::<Assignment<'_>>(&record.bytes).is_ok_and(|a| unix > a.accept_by);
        if late {
            self.feed_all(&Input::Expired, around);
        }
    }
}
