//! What comes over the link: assignments, pieces, acknowledgements, time, hints.
//!
//! Everything but a piece is signed; a piece is verified by what it is. What fails a check is
//! logged with its reason, and changes nothing.

use super::{Event, Supervisor};
use crate::clock;
use crate::enroll::Broker;
use crate::link::{LinkEvent, Source};
use crate::seat::Seat;
use crate::stick::Weight;
use crate::store::state::AcceptedRecord;
use muster_device::acceptance::{self, NotAccepted};
use muster_device::trusted_time::OnlineTime;
use muster_device::updater::{Input, Release, Updater};
use muster_protocol::cbor;
use muster_protocol::cose::{self, scratch_len};
use muster_protocol::digest::Digest;
use muster_protocol::message::{Ack, Assignment, Entry, Piece, Show, SignedTime};
use muster_protocol::topic::{Down, Up};

/// How often an assignment was judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Judged {
    /// It just came.
    First,
    /// It was held.
    Again,
}

/// What could make an assignment acceptable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cure {
    Time,
    Metadata,
}

const fn cure(because: NotAccepted) -> Option<Cure> {
    match because {
        NotAccepted::TimeUnknown => Some(Cure::Time),
        NotAccepted::Signature(_) | NotAccepted::OtherEpoch => Some(Cure::Metadata),
        NotAccepted::OtherDevice
        | NotAccepted::Old { .. }
        | NotAccepted::Repeated
        | NotAccepted::Forked
        | NotAccepted::Expired { .. }
        | NotAccepted::Inconsistent => None,
    }
}

const fn weight(because: NotAccepted) -> Weight {
    match because {
        NotAccepted::TimeUnknown => Weight::NoTime,
        NotAccepted::Old { .. } => Weight::Older,
        NotAccepted::Signature(_)
        | NotAccepted::OtherDevice
        | NotAccepted::OtherEpoch
        | NotAccepted::Repeated
        | NotAccepted::Forked
        | NotAccepted::Expired { .. }
        | NotAccepted::Inconsistent => Weight::Bad,
    }
}

/// Whether an assignment is held. One that newer metadata did not cure never asks for still newer
/// metadata by itself: that would go on for ever.
const fn keeps(cure: Option<Cure>, judged: Judged, refresh_wanted: bool) -> bool {
    match (cure, judged) {
        (Some(Cure::Time), _) | (Some(Cure::Metadata), Judged::First) => true,
        (Some(Cure::Metadata), Judged::Again) => refresh_wanted,
        (None, _) => false,
    }
}

impl Supervisor {
    pub(super) fn on_link(&mut self, event: LinkEvent) {
        match event {
            LinkEvent::Up { broker } => self.on_up(broker),
            LinkEvent::Down { because } => self.on_down(because),
            LinkEvent::Message { from, payload } => match from {
                Source::Down(channel) => self.on_message(channel, payload),
                Source::Timestamp => self.begin_refresh(),
            },
        }
    }

    /// Judges a message for this device, whichever way it came.
    pub(super) fn on_message(&mut self, channel: Down, payload: Vec<u8>) {
        match channel {
            Down::Assignment => self.on_assignment(payload, Judged::First),
            Down::Piece => self.on_piece(&payload),
            Down::Ack => self.on_ack(&payload),
            Down::Time => self.on_time(&payload),
        }
    }

    fn on_up(&mut self, broker: Broker) {
        tracing::info!(%broker, "connected");
        self.connected = true;
        self.link_came_up(broker);
        self.downloads_connected();
        self.outbox.connected();
        self.say_hello();
        self.begin_refresh();
        self.feed_all(&Input::LinkUp);
    }

    fn on_down(&mut self, because: String) {
        tracing::warn!(because, "not connected");
        self.connected = false;
        self.link_went_down(because);
        self.outbox.disconnected();
        if !self.can_ask() {
            self.downloads_disconnected();
            self.refresh_disconnected();
        }
    }

    fn on_assignment(&mut self, payload: Vec<u8>, judged: Judged) {
        let mut scratch = vec![0; scratch_len(payload.len())];
        let (last, unix) = (self.state.accepted(), self.time().unix(clock::monotonic()));
        let me = &self.identity.device;
        let verdict = acceptance::accept(&payload, me, &self.facts, last, unix, &mut scratch)
            .map(|assignment| assignment.at);
        match verdict {
            Ok(at) => {
                tracing::info!(%at, "assignment accepted");
                self.held = None;
                self.accept(
                    AcceptedRecord {
                        at,
                        digest: Digest::of(&payload),
                    },
                    payload,
                );
            }
            Err(NotAccepted::Repeated) => self.held = None,
            Err(because) => {
                tracing::warn!(%because, "assignment not accepted");
                self.refuse("assignment", &because.to_string(), weight(because));
                self.hold(because, payload, judged);
            }
        }
    }

    /// What newer metadata or signed time could make acceptable is judged again when they come.
    fn hold(&mut self, because: NotAccepted, payload: Vec<u8>, judged: Judged) {
        let cure = cure(because);
        match (cure, judged) {
            (Some(Cure::Time), _) => self.ask_hello(),
            (Some(Cure::Metadata), Judged::First) => self.begin_refresh(),
            (Some(Cure::Metadata), Judged::Again) | (None, _) => {}
        }
        let keeps = keeps(cure, judged, self.refresh.is_wanted());
        self.held = keeps.then_some(payload);
    }

    pub(super) fn judge_held(&mut self) {
        if let Some(payload) = self.held.take() {
            self.on_assignment(payload, Judged::Again);
        }
    }

    /// Durable first, then told to the machines: a cut in between is mended at the next start.
    fn accept(&mut self, accepted: AcceptedRecord, payload: Vec<u8>) {
        self.state.accepted = Some(accepted);
        self.state.assignment.clone_from(&payload);
        self.persist();
        self.apply_assignment(&payload);
        // Metadata of models that are new here was not wanted before.
        self.begin_refresh();
    }

    pub(super) fn apply_assignment(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        let entries = self.assigned(bytes);
        for entry in &entries {
            let seat = Seat::of(entry);
            if !self.updaters.contains_key(&seat) {
                let seed = u64::from_le_bytes(self.boot.0) ^ self.updaters.len() as u64;
                let updater = Updater::new(entry.model.clone(), entry.role, self.policy(), seed);
                self.updaters.insert(seat, updater);
            }
        }
        self.rebuild_facts();
        // In order: what serves takes over what a shadow keeps before that lets go of it.
        let seats: Vec<_> = self.updaters.keys().cloned().collect();
        for seat in seats {
            let entry = entries.iter().find(|entry| Seat::of(entry) == seat);
            let beside = entry.and_then(|entry| self.kept_beside(&seat, entry));
            let beside = beside.as_ref();
            self.feed(&seat, Input::Assigned { entry, beside });
        }
    }

    /// The release that an entry names, if the other seat of its model keeps its proof and its
    /// blobs.
    fn kept_beside(&self, seat: &Seat, entry: &Entry) -> Option<Release> {
        let other = self.updaters.get(&seat.other())?;
        other.state().known(&entry.statement).cloned()
    }

    /// Entries of an assignment that was accepted before.
    pub(super) fn assigned(&self, bytes: &[u8]) -> Vec<Entry> {
        cose::peek::<Assignment<'_>>(bytes).map_or(Vec::new(), |a| a.entries.iter().collect())
    }

    fn on_piece(&mut self, payload: &[u8]) {
        match cbor::decode::<Piece<'_>>(payload) {
            Ok(piece) => self.take_piece(&piece),
            Err(because) => self.not_taken("piece", &format!("it is malformed: {because}")),
        }
    }

    fn on_ack(&mut self, payload: &[u8]) {
        let mut scratch = vec![0; scratch_len(payload.len())];
        match cose::open::<Ack<'_>>(payload, self.facts.ack.as_set(), &mut scratch) {
            Ok(ack) if ack.device == self.identity.device => self.outbox.acknowledged(&ack),
            Ok(_) => self.not_taken("acknowledgement", "it is for another device"),
            Err(because) => self.not_taken("acknowledgement", &because.to_string()),
        }
    }

    fn on_time(&mut self, payload: &[u8]) {
        let mut scratch = vec![0; scratch_len(payload.len())];
        let time = match cose::open::<SignedTime>(payload, self.facts.time.as_set(), &mut scratch) {
            Ok(time) => time,
            // Before the first fleet.json nobody's time counts; it is asked for again then.
            Err(because) if self.fleet.is_none() => {
                return tracing::debug!(%because, "signed time not accepted yet");
            }
            Err(because) => return self.not_taken("signed time", &because.to_string()),
        };
        if time.device != self.identity.device {
            return self.not_taken("signed time", "it is for another device");
        }
        if !self.hellos.answered(time.nonce) {
            let because = "it answers another question";
            tracing::warn!("signed time {because}");
            return self.refuse("signed time", because, Weight::Older);
        }
        self.challenge = time.challenge;
        let now = clock::monotonic();
        let verdict = self.time().on_signed_time(time.epoch, time.unix, now);
        match verdict {
            OnlineTime::Believed => {
                self.hellos.settle();
                self.judge_held();
            }
            OnlineTime::OtherEpoch | OnlineTime::TooFarAhead | OnlineTime::BelowFloor => {
                tracing::warn!(?verdict, "signed time is not believed");
                self.refuse("signed time", "it is not believed", Weight::Older);
            }
        }
        if time.challenge.is_some() {
            self.say_hello();
        }
        if time.show == Some(Show::Assignment) {
            self.show_assignment();
        }
    }

    fn not_taken(&mut self, what: &str, because: &str) {
        tracing::warn!(because, "{what} not accepted");
        self.refuse(what, because, Weight::Bad);
    }

    /// To a fleet that lost it. Exactly the bytes that the director signed: they say who made them.
    fn show_assignment(&self) {
        if !self.state.assignment.is_empty() {
            tracing::info!("the fleet asks for the accepted assignment");
            self.send(Up::Assignment, self.state.assignment.clone());
        }
    }

    /// An entry that was not staged until `accept_by` is given up, once time is known.
    pub(super) fn expire_offers(&mut self) {
        if self.accept_by_passed() {
            self.feed_all(&Input::Expired);
        }
    }

    /// Whether the accepted assignment is late by trusted time; without it nothing is late.
    pub(super) fn accept_by_passed(&self) -> bool {
        let Some(unix) = self.time().unix(clock::monotonic()) else {
            return false;
        };
        cose::peek::<Assignment<'_>>(&self.state.assignment).is_ok_and(|a| unix > a.accept_by)
    }
}

impl From<LinkEvent> for Event {
    fn from(event: LinkEvent) -> Self {
        Self::Link(event)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use muster_protocol::cose::Refused;

    #[test]
    fn what_is_held_never_keeps_itself_alive() {
        let check = |because, judged, refresh_wanted, expect| {
            let got = keeps(cure(because), judged, refresh_wanted);
            assert_eq!(got, expect, "{because:?} {judged:?} {refresh_wanted}");
        };
        let bad = NotAccepted::Signature(Refused::UnknownKey);
        check(bad, Judged::First, false, true);
        check(bad, Judged::Again, true, true);
        check(bad, Judged::Again, false, false);
        check(NotAccepted::OtherEpoch, Judged::Again, false, false);
        check(NotAccepted::TimeUnknown, Judged::Again, false, true);
        check(NotAccepted::Forked, Judged::First, true, false);
    }
}
