//! Numbered documents: taken once, acknowledged by their stream's number.
//!
//! One that cannot be read is kept apart and rejected by number. Another with a number that was
//! taken is a clone's, and acknowledged by nobody.

use super::super::bodies;
use super::super::catalogue::Catalogue;
use super::super::planted::Planted;
use super::super::seal;
use super::store::{StreamRow, Taken};
use super::{Controller, Said};
use muster_protocol::cbor::{self, List};
use muster_protocol::digest::Digest;
use muster_protocol::id::{EpochGeneration, ModelId, Sequence, StreamId};
use muster_protocol::limits::FROZEN_MAX;
use muster_protocol::message::document::{Body, Document};
use muster_protocol::message::{Ack, Kind, RejectReason, Rejected, Step, StreamState};
use muster_protocol::topic::Down;

impl Controller {
    pub(in crate::sim) fn on_document(&mut self, from: usize, bytes: &[u8], catalogue: &Catalogue) {
        let Some(document) = seal::read::<Document<'_>>(bytes) else {
            return;
        };
        let (stream, sequence) = (document.stream, document.sequence);
        let Some(body) = document.body() else { return };
        let digest = Digest::of(bytes);
        let counts = bodies::counts_of(Some(&body));
        let is_window = matches!(body, Body::Window(_));
        let unreadable = is_window && !self.reads_all && digest.0[0] < 6;
        let record = &mut self.store.devices[from];
        let kind = match &body {
            Body::Receipt(_) => Some(Kind::Receipts),
            Body::Window(_) => Some(Kind::Windows),
            Body::Gap(_) => None,
        };
        let known = record.streams.get(&stream).copied();
        // One that no hello has named is opened when its kind is plain.
        let opened = kind.map(|kind| StreamRow {
            kind,
            through: Sequence(0),
            superseded: false,
        });
        let Some(row) = known.or(opened) else { return };
        record.streams.insert(stream, row);
        let superseded = row.superseded;
        let known = record.documents.get(&(stream, sequence));
        if superseded || known.is_some_and(|known| known.digest != digest) {
            record.incidents += 1;
            return;
        }
        let forgets = unreadable && self.planted == Some(Planted::DropTheRejected);
        if known.is_none() {
            let taken = Taken {
                digest,
                counts: if forgets { Default::default() } else { counts },
                told: told(&body).filter(|_| !unreadable),
                rejected: unreadable.then_some(RejectReason::Malformed),
            };
            record.counted += taken.counts;
            record.documents.insert((stream, sequence), taken);
        }
        self.advance(from, stream, Sequence(0));
        self.acknowledge(from, stream, catalogue);
    }

    /// Moves `through` over every number that has arrived or was passed over as lost, and takes
    /// the receipts among them into account, in their order.
    pub(super) fn advance(&mut self, device: usize, stream: StreamId, lost: Sequence) {
        let record = &mut self.store.devices[device];
        let Some(row) = record.streams.get_mut(&stream) else {
            return;
        };
        row.through = row.through.max(lost);
        while let Some(next) = record.documents.get(&(stream, Sequence(row.through.0 + 1))) {
            row.through.0 += 1;
            if let Some((model, since, step)) = next.told.clone() {
                record.told.insert((model, since), step);
            }
        }
    }

    /// Says how far a stream is stored.
    pub(super) fn acknowledge(&mut self, device: usize, stream: StreamId, catalogue: &Catalogue) {
        let record = &self.store.devices[device];
        let Some(row) = record.streams.get(&stream).filter(|row| row.through.0 > 0) else {
            return;
        };
        let after = Sequence(row.through.0.saturating_sub(FROZEN_MAX as u64) + 1);
        let recent = record
            .documents
            .range((stream, after)..=(stream, row.through));
        let rejected: Vec<_> = recent
            .filter_map(|((_, sequence), taken)| {
                let reason = taken.rejected?;
                Some(Rejected {
                    sequence: *sequence,
                    reason,
                })
            })
            .collect();
        let beyond = u64::from(self.planted == Some(Planted::AcknowledgeBeyondSent));
        let ack = Ack {
            device: record.id.clone(),
            stream,
            through: Sequence(row.through.0 + beyond),
            rejected: List::of(&rejected),
        };
        let (epoch, words) = (catalogue.authority.epoch, cbor::to_vec(&ack));
        let known = self.said.get(&stream);
        let signed = match known.filter(|said| said.epoch == epoch && said.words == words) {
            Some(said) => said.signed.clone(),
            None => self.signatures.seal(&ack, &catalogue.authority.acks),
        };
        let said = Said {
            epoch,
            words,
            signed: signed.clone(),
        };
        self.said.insert(stream, said);
        self.send(device, Down::Ack, signed);
    }

    /// What a hello says about one stream: that it exists, whose place it takes, what it no
    /// longer keeps.
    pub(super) fn heard(&mut self, device: usize, state: &StreamState, catalogue: &Catalogue) {
        let record = &mut self.store.devices[device];
        match record.streams.get(&state.id) {
            Some(row) if row.superseded => {
                record.incidents += 1;
                return;
            }
            Some(_) => {}
            None => {
                let named = state.predecessor.and_then(|id| record.streams.get(&id));
                if named.is_some_and(|row| row.superseded) {
                    record.incidents += 1;
                    return;
                }
                let row = StreamRow {
                    kind: state.kind,
                    through: Sequence(0),
                    superseded: false,
                };
                record.streams.insert(state.id, row);
            }
        }
        let others = record.streams.iter_mut();
        for (_, row) in others.filter(|(id, row)| **id != state.id && row.kind == state.kind) {
            row.superseded = true;
        }
        let through = record
            .streams
            .get(&state.id)
            .map_or(Sequence(0), |row| row.through);
        let mut lost = Sequence(0);
        if state.first_kept.0 > through.0 + 1 && state.first_kept <= state.next {
            lost = Sequence(state.first_kept.0 - 1);
            record.gaps.push((state.id, Sequence(through.0 + 1), lost));
        }
        self.advance(device, state.id, lost);
        self.acknowledge(device, state.id, catalogue);
    }
}

fn told(body: &Body<'_>) -> Option<(ModelId, EpochGeneration, Step)> {
    match body {
        Body::Receipt(receipt) => Some((receipt.model.clone(), receipt.since, receipt.step)),
        Body::Window(_) | Body::Gap(_) => None,
    }
}
