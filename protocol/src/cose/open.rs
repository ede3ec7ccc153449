//! From received bytes to a proof: [`Verified`], which only [`open`] makes.
//!
//! Never decides whose keys count: the caller brings them.

use super::envelope::{self, Envelope};
use super::{Document, Signers};
use crate::cbor::{self, Malformed};
use crate::key::{KeyId, PublicKey};
use crate::limits::SIGNATURES_MAX;
use core::fmt;
use core::ops::Deref;
use ed25519_dalek::Signature;

/// The keys that may sign, and how many distinct ones must.
#[derive(Debug, Clone, Copy)]
pub struct KeySet<'k> {
    /// Keys that count.
    pub keys: &'k [PublicKey],
    /// How many of them must have signed; zero accepts nothing.
    pub threshold: u8,
}

/// A document whose signatures were verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified<T> {
    value: T,
    signers: heapless::Vec<KeyId, SIGNATURES_MAX>,
}

impl<T> Verified<T> {
    /// The distinct keys that signed.
    #[must_use]
    pub fn signers(&self) -> &[KeyId] {
        &self.signers
    }

    /// The document without its proof.
    #[must_use]
    pub fn into_inner(self) -> T {
        self.value
    }
}

impl<T> Deref for Verified<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.value
    }
}

/// Why a signed document is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// Longer than its kind may be.
    TooLarge,
    /// Not a COSE document in our form.
    Envelope(Malformed),
    /// More signatures than a document may carry.
    TooManySignatures,
    /// Signed by a key that does not count here.
    UnknownKey,
    /// A signature of a known key does not fit the bytes.
    BadSignature,
    /// Valid signatures of distinct keys are fewer than the threshold.
    TooFewSignatures {
        /// Distinct keys with a valid signature.
        have: u8,
        /// The threshold, at least one.
        need: u8,
    },
    /// The signatures hold, but the payload is not a document of this kind.
    Payload(Malformed),
    /// The scratch space is too small for this document.
    NoScratch,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge => f.write_str("the document is larger than its kind may be"),
            Self::Envelope(malformed) => write!(f, "the signed envelope is malformed: {malformed}"),
            Self::TooManySignatures => f.write_str("the document carries too many signatures"),
            Self::UnknownKey => f.write_str("it is signed by a key that does not count here"),
            Self::BadSignature => f.write_str("a signature does not fit the bytes"),
            Self::TooFewSignatures { have, need } => {
                write!(f, "{have} distinct valid signatures, {need} are needed")
            }
            Self::Payload(malformed) => write!(f, "the signed content is malformed: {malformed}"),
            Self::NoScratch => f.write_str("no space to verify a document of this size"),
        }
    }
}

impl core::error::Error for Refused {}

/// Verifies the signatures of `bytes`, then reads the document.
///
/// `scratch` must hold [`super::scratch_len`] bytes.
///
/// # Errors
/// [`Refused`], by the first check that fails: size, form, signatures, content.
pub fn open<'b, T: Document<'b>>(
    bytes: &'b [u8],
    keys: KeySet<'_>,
    scratch: &mut [u8],
) -> Result<Verified<T>, Refused> {
    let envelope = read::<T>(bytes)?;
    let signers = verify::<T>(&envelope, keys, scratch)?;
    let value = cbor::decode(envelope.payload).map_err(Refused::Payload)?;
    Ok(Verified { value, signers })
}

/// Reads a document *without* verifying it, for finding out whose keys to verify it with.
///
/// # Errors
/// As [`open`], but for the signatures.
pub fn peek<'b, T: Document<'b>>(bytes: &'b [u8]) -> Result<T, Refused> {
    cbor::decode(read::<T>(bytes)?.payload).map_err(Refused::Payload)
}

fn read<'b, T: Document<'b>>(bytes: &'b [u8]) -> Result<Envelope<'b>, Refused> {
    if bytes.len() > T::BYTES_MAX {
        return Err(Refused::TooLarge);
    }
    cbor::check(bytes).map_err(Refused::Envelope)?;
    match T::SIGNERS {
        Signers::One => envelope::read_one(bytes),
        Signers::Many => envelope::read_many(bytes),
    }
}

fn verify<'b, T: Document<'b>>(
    envelope: &Envelope<'_>,
    keys: KeySet<'_>,
    scratch: &mut [u8],
) -> Result<heapless::Vec<KeyId, SIGNATURES_MAX>, Refused> {
    let mut signers = heapless::Vec::<KeyId, SIGNATURES_MAX>::new();
    for entry in &envelope.entries {
        let Some(key) = keys.keys.iter().find(|key| key.id() == entry.key) else {
            continue;
        };
        let key = key.verifying().ok_or(Refused::BadSignature)?;
        let (signers_kind, context) = (T::SIGNERS, T::CONTEXT);
        let message =
            envelope::to_be_signed(signers_kind, context, entry.key, envelope.payload, scratch)
                .map_err(|_| Refused::NoScratch)?;
        key.verify_strict(message, &Signature::from_bytes(entry.signature))
            .map_err(|_| Refused::BadSignature)?;
        if !signers.contains(&entry.key) {
            signers
                .push(entry.key)
                .map_err(|_| Refused::TooManySignatures)?;
        }
    }
    enough(T::SIGNERS, signers, keys.threshold)
}

fn enough(
    kind: Signers,
    signers: heapless::Vec<KeyId, SIGNATURES_MAX>,
    threshold: u8,
) -> Result<heapless::Vec<KeyId, SIGNATURES_MAX>, Refused> {
    // A threshold of nothing is met by nobody; one signature never meets a higher one than one.
    let have = if threshold == 0 {
        0
    } else {
        signers.len() as u8
    };
    let need = threshold.max(1);
    if have >= need {
        return Ok(signers);
    }
    match kind {
        Signers::One if signers.is_empty() => Err(Refused::UnknownKey),
        Signers::One | Signers::Many => Err(Refused::TooFewSignatures { have, need }),
    }
}
