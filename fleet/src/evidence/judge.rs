//! Whether a receipt is what the device of the log signed: one verdict, by the first check that
//! fails.
//!
//! Signature first, numbers last: what is forged neither accuses nor completes what is genuine.

use std::fmt;

use muster_protocol::cose::{self, KeySet, Refused};
use muster_protocol::digest::Digest;
use muster_protocol::id::{DeviceId, ModelId, Sequence, StreamId, Version};
use muster_protocol::key::PublicKey;
use muster_protocol::limits::DOCUMENT_BYTES_MAX;
use muster_protocol::message::document::Body;
use muster_protocol::message::{Document, Receipt, Step};
use muster_protocol::time::UnixSeconds;
use muster_protocol::tuf;

use super::log::{EnrolmentLog, KnownKey};
use super::streams::{Number, StreamSeen, Streams};

/// What a receipt says, whether or not it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Said {
    /// Whose it says it is.
    pub(crate) device: DeviceId,
    /// Its stream.
    pub(crate) stream: StreamId,
    /// Its number there.
    pub(crate) sequence: Sequence,
    /// What was done, when it is a receipt.
    pub(crate) did: Option<Did>,
}

/// What a receipt says of a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Did {
    /// The model.
    pub(crate) model: ModelId,
    /// The version.
    pub(crate) version: Version,
    /// The step.
    pub(crate) step: Step,
    /// The device's time, when it trusted one.
    pub(crate) unix: Option<UnixSeconds>,
}

/// One receipt, judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Judged {
    /// What it says; none when it cannot be read.
    pub(crate) said: Option<Said>,
    /// When the key that signed was retired, of a receipt that holds all the same: or what is
    /// wrong.
    pub(crate) verdict: Result<Option<UnixSeconds>, Flaw>,
}

/// Why a receipt does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Flaw {
    /// It is no signed document.
    Malformed(Refused),
    /// The log has no device of this name.
    UnknownDevice,
    /// It is signed by another device than it names.
    OtherDevice {
        /// Whose key signed it.
        signer: DeviceId,
    },
    /// It is signed by a key that the log knows of nobody.
    UnknownKey,
    /// A key of the device is named, but did not sign these bytes.
    BrokenSignature,
    /// It is signed by a key that had been retired.
    RetiredKey {
        /// When that was.
        retired_at: UnixSeconds,
    },
    /// The device signed it, but it is no receipt.
    NoReceipt,
    /// The same receipt came before.
    Repeated,
    /// Another receipt with its number came before.
    Contradicted,
}

impl Flaw {
    /// Its name for programs.
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "malformed",
            Self::UnknownDevice => "unknown_device",
            Self::OtherDevice { .. } => "other_device",
            Self::UnknownKey => "unknown_key",
            Self::BrokenSignature => "broken_signature",
            Self::RetiredKey { .. } => "retired_key",
            Self::NoReceipt => "no_receipt",
            Self::Repeated => "repeated",
            Self::Contradicted => "contradicted",
        }
    }
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(refused) => write!(f, "it is no signed receipt: {refused}"),
            Self::UnknownDevice => f.write_str("the log has no such device"),
            Self::OtherDevice { signer } => write!(f, "it is signed by another device, {signer}"),
            Self::UnknownKey => f.write_str("it is signed by a key that is not in the log"),
            Self::BrokenSignature => f.write_str("its signature does not fit its bytes"),
            Self::RetiredKey { retired_at } => write!(
                f,
                "it is signed by a key that was retired at {}, and says no time before that",
                tuf::date_time(retired_at.0)
            ),
            Self::NoReceipt => f.write_str("the device signed it, but it is no receipt"),
            Self::Repeated => f.write_str("the same receipt is in the file before"),
            Self::Contradicted => {
                f.write_str("another receipt with this number is in the file before")
            }
        }
    }
}

/// Judges one receipt after the other.
pub(crate) struct Judge<'l> {
    log: &'l EnrolmentLog,
    every_key: Vec<PublicKey>,
    streams: Streams,
    scratch: Vec<u8>,
}

impl<'l> Judge<'l> {
    /// A judge who believes this log.
    pub(crate) fn new(log: &'l EnrolmentLog) -> Self {
        Self {
            log,
            every_key: log.all_keys().map(|(_, known)| known.key).collect(),
            streams: Streams::default(),
            scratch: vec![0; cose::scratch_len(DOCUMENT_BYTES_MAX)],
        }
    }

    /// Judges a receipt by its signed bytes.
    pub(crate) fn judge(&mut self, bytes: &[u8]) -> Judged {
        let document = match cose::peek::<Document<'_>>(bytes) {
            Ok(document) => document,
            Err(refused) => {
                return Judged {
                    said: None,
                    verdict: Err(Flaw::Malformed(refused)),
                };
            }
        };
        let said = said(&document);
        let verdict = self.verdict(bytes, &said);
        Judged {
            said: Some(said),
            verdict,
        }
    }

    /// What was seen of each stream, of receipts that hold.
    pub(crate) fn streams(&self) -> Vec<StreamSeen> {
        self.streams.seen()
    }

    fn verdict(&mut self, bytes: &[u8], said: &Said) -> Result<Option<UnixSeconds>, Flaw> {
        let known = self.signer(bytes, said)?;
        let did = said.did.as_ref().ok_or(Flaw::NoReceipt)?;
        if let Some(retired_at) = known.retired_at
            && did.unix.is_none_or(|unix| unix > retired_at)
        {
            return Err(Flaw::RetiredKey { retired_at });
        }
        let digest = Digest::of(bytes);
        let number = self
            .streams
            .take(&said.device, said.stream, said.sequence, digest);
        match number {
            Number::New => Ok(known.retired_at),
            Number::Repeated => Err(Flaw::Repeated),
            Number::Contradicted => Err(Flaw::Contradicted),
        }
    }

    /// The key of the device that signed.
    fn signer(&mut self, bytes: &[u8], said: &Said) -> Result<KnownKey, Flaw> {
        let known = self.log.keys(&said.device).ok_or(Flaw::UnknownDevice)?;
        let keys: Vec<_> = known.iter().map(|known| known.key).collect();
        match signed_by(bytes, &keys, &mut self.scratch) {
            Ok(key) => known
                .iter()
                .find(|known| known.key == key)
                .copied()
                .ok_or(Flaw::UnknownKey),
            Err(Refused::UnknownKey) => Err(self.stranger(bytes)),
            Err(Refused::BadSignature) => Err(Flaw::BrokenSignature),
            Err(refused) => Err(Flaw::Malformed(refused)),
        }
    }

    /// Who signed what the device did not.
    fn stranger(&mut self, bytes: &[u8]) -> Flaw {
        let signed = signed_by(bytes, &self.every_key, &mut self.scratch);
        let of = |key| {
            let mut all = self.log.all_keys();
            let found = all.find(|(_, known)| known.key == key);
            found.map(|(device, _)| device.clone())
        };
        match signed.ok().and_then(of) {
            Some(signer) => Flaw::OtherDevice { signer },
            None => Flaw::UnknownKey,
        }
    }
}

fn signed_by(bytes: &[u8], keys: &[PublicKey], scratch: &mut [u8]) -> Result<PublicKey, Refused> {
    let set = KeySet { keys, threshold: 1 };
    let opened = cose::open::<Document<'_>>(bytes, set, scratch)?;
    let signer = opened.signers().first().copied();
    let key = keys.iter().find(|key| Some(key.id()) == signer);
    key.copied().ok_or(Refused::UnknownKey)
}

fn said(document: &Document<'_>) -> Said {
    let did = match document.clone().body() {
        Some(Body::Receipt(receipt)) => Some(did(receipt)),
        Some(Body::Window(_) | Body::Gap(_)) | None => None,
    };
    Said {
        device: document.device.clone(),
        stream: document.stream,
        sequence: document.sequence,
        did,
    }
}

fn did(receipt: Receipt<'_>) -> Did {
    Did {
        model: receipt.model,
        version: receipt.version,
        step: receipt.step,
        unix: receipt.unix,
    }
}

#[cfg(test)]
mod tests;
