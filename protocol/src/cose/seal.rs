//! From a payload to a signed document.
//!
//! Never holds a private key longer than the call that signs with it.

use super::envelope::{TAG_SIGN, TAG_SIGN1, header, to_be_signed};
use super::{Document, Signers};
use crate::cbor::NoRoom;
use crate::key::{KeyId, PublicKey};
use ed25519_dalek::{Signer, SigningKey};
use minicbor::Encoder;
use minicbor::data::Tag;
use minicbor::encode::{self, write::Cursor};

/// One signature over a payload, to be assembled with others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signature {
    /// Whose.
    pub key: KeyId,
    /// Ed25519, RFC 8032.
    pub bytes: [u8; 64],
}

/// Signs a payload of kind `T`, as one of several or as the only one.
///
/// # Errors
/// [`NoRoom`] when `scratch` is below [`super::scratch_len`] of the payload.
pub fn sign<'b, T: Document<'b>>(
    payload: &[u8],
    key: &SigningKey,
    scratch: &mut [u8],
) -> Result<Signature, NoRoom> {
    let id = PublicKey::from(key.verifying_key()).id();
    let message = to_be_signed(T::SIGNERS, T::CONTEXT, id, payload, scratch)?;
    Ok(Signature {
        key: id,
        bytes: key.sign(message).to_bytes(),
    })
}

/// Writes a COSE_Sign1 document of kind `T` to `out` and gives its length.
///
/// # Errors
/// [`NoRoom`] when one of the buffers is too small.
pub fn seal<'b, T: Document<'b>>(
    payload: &[u8],
    key: &SigningKey,
    scratch: &mut [u8],
    out: &mut [u8],
) -> Result<usize, NoRoom> {
    debug_assert_eq!(T::SIGNERS, Signers::One, "invariant: one signer");
    let signature = sign::<T>(payload, key, scratch)?;
    let mut e = Encoder::new(Cursor::new(out));
    write_one(&mut e, payload, &signature).map_err(|_| NoRoom)?;
    Ok(e.writer().position())
}

/// Writes a COSE_Sign document with these signatures to `out` and gives its length.
///
/// # Errors
/// [`NoRoom`] when `out` is too small.
pub fn assemble(payload: &[u8], signatures: &[Signature], out: &mut [u8]) -> Result<usize, NoRoom> {
    let mut e = Encoder::new(Cursor::new(out));
    write_many(&mut e, payload, signatures).map_err(|_| NoRoom)?;
    Ok(e.writer().position())
}

fn write_one<W: encode::Write>(
    e: &mut Encoder<W>,
    payload: &[u8],
    signature: &Signature,
) -> Result<(), encode::Error<W::Error>> {
    e.tag(Tag::new(TAG_SIGN1))?
        .array(4)?
        .bytes(&header(signature.key))?;
    e.map(0)?.bytes(payload)?.bytes(&signature.bytes)?.ok()
}

fn write_many<W: encode::Write>(
    e: &mut Encoder<W>,
    payload: &[u8],
    signatures: &[Signature],
) -> Result<(), encode::Error<W::Error>> {
    e.tag(Tag::new(TAG_SIGN))?
        .array(4)?
        .bytes(&[])?
        .map(0)?
        .bytes(payload)?;
    e.array(signatures.len() as u64)?;
    for signature in signatures {
        e.array(3)?
            .bytes(&header(signature.key))?
            .map(0)?
            .bytes(&signature.bytes)?;
    }
    e.ok()
}

/// [`seal`] into a vector.
#[cfg(feature = "alloc")]
#[must_use]
pub fn seal_vec<'b, T: Document<'b>>(value: &T, key: &SigningKey) -> alloc::vec::Vec<u8> {
    let payload = crate::cbor::to_vec(value);
    let mut scratch = alloc::vec![0; super::scratch_len(payload.len())];
    let mut out = alloc::vec![0; super::scratch_len(payload.len())];
    let len = seal::<T>(&payload, key, &mut scratch, &mut out)
        .expect("invariant: an envelope is shorter than the scratch margin");
    out.truncate(len);
    out
}

/// [`assemble`] into a vector.
#[cfg(feature = "alloc")]
#[must_use]
pub fn assemble_vec(payload: &[u8], signatures: &[Signature]) -> alloc::vec::Vec<u8> {
    let mut e = Encoder::new(alloc::vec::Vec::new());
    match write_many(&mut e, payload, signatures) {
        Ok(()) => e.into_writer(),
        Err(error) => unreachable!("a vector takes all bytes: {error}"),
    }
}
