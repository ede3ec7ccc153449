//! One numbered document: verified, taken once, acknowledged by its stream's number.
//!
//! A signature that fails leaves no trace. A document that is signed but cannot be read is
//! rejected by its number and kept apart, so that it is not sent for ever.

use minicbor::{Decode, Encode};
use muster_protocol::cose::{self, KeySet};
use muster_protocol::digest::Digest;
use muster_protocol::id::{DeviceId, Sequence, StreamId};
use muster_protocol::key::PublicKey;
use muster_protocol::limits::{DETAIL_BYTES_MAX, DOCUMENT_BYTES_MAX};
use muster_protocol::message::document::Body;
use muster_protocol::message::{Document, Kind, RejectReason, Rejected};
use muster_protocol::time::UnixSeconds;

use super::acknowledge::{self, Stored};
use crate::store::{IncidentKind, Known, ReceiptToStore, StoreError, StreamRow, Tx, WindowToStore};

/// What became of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Taken {
    /// It is stored, now or before: acknowledge.
    Stored(Stored),
    /// It is not, and nothing is acknowledged.
    Dropped(String),
}

/// The part of a document that every version of it has: enough to reject it by number.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
struct Numbered {
    #[n(0)]
    device: DeviceId,
    #[n(1)]
    stream: StreamId,
    #[n(2)]
    sequence: Sequence,
}

impl<'b> cose::Document<'b> for Numbered {
    const CONTEXT: &'static str = <Document<'b> as cose::Document<'b>>::CONTEXT;
    const BYTES_MAX: usize = DOCUMENT_BYTES_MAX;
}

/// A document whose signature was looked at, beside the one thread that writes.
pub(super) struct Opened {
    keys: Vec<PublicKey>,
    numbered: Result<Numbered, cose::Refused>,
}

impl Opened {
    /// By the keys that the store has; what was looked at before only while they are still those.
    ///
    /// # Errors
    /// The store failed.
    pub(super) fn now(
        tx: &Tx<'_>,
        device: &DeviceId,
        bytes: &[u8],
        before: Option<Self>,
    ) -> Result<Self, StoreError> {
        let keys = tx.document_keys(device)?;
        let before = before.filter(|before| before.keys == keys);
        Ok(before.unwrap_or_else(|| Self::by(keys, bytes)))
    }

    /// The keys that it was looked at by.
    pub(super) fn keys(&self) -> &[PublicKey] {
        &self.keys
    }

    /// Looks at the signature by these keys of the device.
    pub(super) fn by(keys: Vec<PublicKey>, bytes: &[u8]) -> Self {
        let set = KeySet {
            keys: &keys,
            threshold: 1,
        };
        let numbered = open(bytes, set);
        Self { keys, numbered }
    }
}

/// Takes one document of a device, opened by the keys that the store has.
///
/// # Errors
/// The store failed; nothing is kept.
pub(super) fn take(
    tx: &Tx<'_>,
    device: &DeviceId,
    bytes: &[u8],
    opened: Opened,
    now: UnixSeconds,
) -> Result<Taken, StoreError> {
    let numbered = match opened.numbered {
        Ok(numbered) if numbered.device == *device => numbered,
        Ok(_) => return Ok(Taken::Dropped("it names another device".to_owned())),
        Err(refused) => return Ok(Taken::Dropped(refused.to_string())),
    };
    if !(1..=i64::MAX.cast_unsigned()).contains(&numbered.sequence.0) {
        return Ok(Taken::Dropped("its number is out of range".to_owned()));
    }
    let body = read(bytes);
    let Some(stream) = stream_of(tx, &numbered, body.as_ref().ok(), now)? else {
        return Ok(Taken::Dropped("its stream is not known".to_owned()));
    };
    let digest = Digest::of(bytes);
    let known = tx.known(device, stream.stream, numbered.sequence, digest)?;
    if stream.superseded || known == Known::Other {
        return clone_incident(tx, &numbered, &stream, now);
    }
    if known == Known::Not {
        let rejected = store(tx, &numbered, &stream, body, bytes, now)?;
        tx.add_document(device, stream.stream, numbered.sequence, digest, rejected)?;
        tx.note_contact(device, now)?;
    }
    Ok(Taken::Stored(acknowledge::advance(
        tx,
        device,
        &stream,
        stream.through,
        now,
    )?))
}

fn open(bytes: &[u8], keys: KeySet<'_>) -> Result<Numbered, cose::Refused> {
    let mut scratch = vec![0; cose::scratch_len(bytes.len().min(DOCUMENT_BYTES_MAX))];
    cose::open::<Numbered>(bytes, keys, &mut scratch).map(cose::Verified::into_inner)
}

/// A document whose signature holds, with its one body.
fn read(bytes: &[u8]) -> Result<(Document<'_>, Body<'_>), RejectReason> {
    let document: Document<'_> = cose::peek(bytes).map_err(|_| RejectReason::Malformed)?;
    let body = document.clone().body().ok_or(RejectReason::UnknownBody)?;
    match &body {
        Body::Receipt(receipt) if receipt.detail.is_some_and(|d| d.len() > DETAIL_BYTES_MAX) => {
            Err(RejectReason::Malformed)
        }
        Body::Receipt(_) | Body::Window(_) | Body::Gap(_) => Ok((document, body)),
    }
}

/// The stream of a document. One that no hello has named is opened when its kind is plain.
fn stream_of(
    tx: &Tx<'_>,
    numbered: &Numbered,
    body: Option<&(Document<'_>, Body<'_>)>,
    now: UnixSeconds,
) -> Result<Option<StreamRow>, StoreError> {
    if let Some(stream) = tx.stream(&numbered.device, numbered.stream)? {
        return Ok(Some(stream));
    }
    let kind = match body {
        Some((_, Body::Receipt(_))) => Kind::Receipts,
        Some((_, Body::Window(_))) => Kind::Windows,
        Some((_, Body::Gap(_))) | None => return Ok(None),
    };
    tx.open_stream(&numbered.device, numbered.stream, kind, None, now)
        .map(Some)
}

/// Stores the content; the reason when it cannot be.
fn store(
    tx: &Tx<'_>,
    numbered: &Numbered,
    stream: &StreamRow,
    body: Result<(Document<'_>, Body<'_>), RejectReason>,
    bytes: &[u8],
    now: UnixSeconds,
) -> Result<Option<RejectReason>, StoreError> {
    let (device, sequence) = (&numbered.device, numbered.sequence);
    let reason = match (body, stream.kind) {
        (Ok((_, Body::Receipt(receipt))), Kind::Receipts) => {
            let stream = stream.stream;
            let stored = ReceiptToStore {
                device,
                stream,
                sequence,
                receipt: &receipt,
                document: bytes,
            };
            tx.add_receipt(&stored, now)?;
            return Ok(None);
        }
        (Ok((document, Body::Window(window))), Kind::Windows) => {
            let (stream, boot, window) = (stream.stream, document.boot, &window);
            let stored = WindowToStore {
                device,
                stream,
                sequence,
                boot,
                window,
                document: bytes,
            };
            tx.add_window(&stored, now)?;
            tx.count_for_rings(device, window)?;
            return Ok(None);
        }
        (Ok((_, Body::Gap(gap))), Kind::Receipts | Kind::Windows) => {
            tx.add_gap(device, stream.stream, sequence, &gap, now)?;
            return Ok(None);
        }
        (Ok(_), _) => RejectReason::WrongStream,
        (Err(reason), _) => reason,
    };
    tx.quarantine(
        device,
        stream.stream,
        Rejected { sequence, reason },
        bytes,
        now,
    )?;
    Ok(Some(reason))
}

fn clone_incident(
    tx: &Tx<'_>,
    numbered: &Numbered,
    stream: &StreamRow,
    now: UnixSeconds,
) -> Result<Taken, StoreError> {
    let (id, sequence) = (stream.stream, numbered.sequence);
    let detail = if stream.superseded {
        format!("stream {id} speaks again after another took its place")
    } else {
        format!("stream {id} has two documents with number {sequence}")
    };
    tx.raise_incident(&numbered.device, IncidentKind::Clone, &detail, now)?;
    Ok(Taken::Dropped(detail))
}
