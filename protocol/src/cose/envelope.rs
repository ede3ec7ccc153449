//! The bytes around a payload: RFC 9052 sections 4.1, 4.2 and 4.4 in our one form.
//!
//! Checks form, never a signature.

use super::Refused;
use crate::cbor::{Malformed, NoRoom};
use crate::key::KeyId;
use crate::limits::SIGNATURES_MAX;
use minicbor::encode::write::{Cursor, EndOfSlice};
use minicbor::{Decoder, Encoder, decode, encode};

pub(super) const TAG_SIGN1: u64 = 18;
pub(super) const TAG_SIGN: u64 = 98;
/// `{1: -8, 4: <8 bytes>}` up to the key id: algorithm EdDSA.
const HEADER_START: [u8; 5] = [0xa2, 0x01, 0x27, 0x04, 0x48];
const HEADER_LEN: usize = HEADER_START.len() + 8;

/// Bytes of scratch space that signing or opening a document of `len` bytes needs.
#[must_use]
pub const fn scratch_len(len: usize) -> usize {
    len + 128
}

/// The protected header of a signature by `key`.
pub(super) fn header(key: KeyId) -> [u8; HEADER_LEN] {
    let mut header = [0; HEADER_LEN];
    header[..HEADER_START.len()].copy_from_slice(&HEADER_START);
    header[HEADER_START.len()..].copy_from_slice(&key.0);
    header
}

/// One signature as received.
pub(super) struct Entry<'b> {
    pub(super) key: KeyId,
    pub(super) signature: &'b [u8; 64],
}

/// A document as received: payload and signatures, nothing verified.
pub(super) struct Envelope<'b> {
    pub(super) payload: &'b [u8],
    pub(super) entries: heapless::Vec<Entry<'b>, SIGNATURES_MAX>,
}

/// Reads a COSE_Sign1 document.
pub(super) fn read_one(bytes: &[u8]) -> Result<Envelope<'_>, Refused> {
    let mut d = Decoder::new(bytes);
    let (key, payload, signature) = (|| {
        expect(d.tag()?.as_u64() == TAG_SIGN1 && d.array()? == Some(4))?;
        let key = read_header(d.bytes()?)?;
        expect(d.map()? == Some(0))?;
        Ok((key, d.bytes()?, d.bytes()?))
    })()
    .map_err(|_: decode::Error| Refused::Envelope(Malformed::Field))?;
    let mut entries = heapless::Vec::new();
    let entry = Entry {
        key,
        signature: signature64(signature)?,
    };
    entries
        .push(entry)
        .map_err(|_| Refused::Envelope(Malformed::Field))?;
    Ok(Envelope { payload, entries })
}

/// Reads a COSE_Sign document.
pub(super) fn read_many(bytes: &[u8]) -> Result<Envelope<'_>, Refused> {
    let malformed = |_: decode::Error| Refused::Envelope(Malformed::Field);
    let mut d = Decoder::new(bytes);
    let (payload, len) = (|| {
        expect(d.tag()?.as_u64() == TAG_SIGN && d.array()? == Some(4))?;
        expect(d.bytes()?.is_empty() && d.map()? == Some(0))?;
        Ok((d.bytes()?, d.array()?))
    })()
    .map_err(malformed)?;
    let mut entries = heapless::Vec::new();
    for _ in 0..len.unwrap_or_default() {
        let (key, signature) = read_signature(&mut d).map_err(malformed)?;
        let entry = Entry {
            key,
            signature: signature64(signature)?,
        };
        entries
            .push(entry)
            .map_err(|_| Refused::TooManySignatures)?;
    }
    Ok(Envelope { payload, entries })
}

fn read_signature<'b>(d: &mut Decoder<'b>) -> Result<(KeyId, &'b [u8]), decode::Error> {
    expect(d.array()? == Some(3))?;
    let key = read_header(d.bytes()?)?;
    expect(d.map()? == Some(0))?;
    Ok((key, d.bytes()?))
}

fn read_header(header: &[u8]) -> Result<KeyId, decode::Error> {
    let key = header
        .strip_prefix(&HEADER_START)
        .and_then(|id| id.try_into().ok());
    key.map(KeyId)
        .ok_or_else(|| decode::Error::message("another header than ours"))
}

fn signature64(bytes: &[u8]) -> Result<&[u8; 64], Refused> {
    bytes
        .try_into()
        .map_err(|_| Refused::Envelope(Malformed::Field))
}

fn expect(holds: bool) -> Result<(), decode::Error> {
    if holds {
        Ok(())
    } else {
        Err(decode::Error::message("another form than ours"))
    }
}

/// Writes the `Sig_structure` of RFC 9052 section 4.4 and gives it back.
pub(super) fn to_be_signed<'s>(
    signers: super::Signers,
    context: &str,
    key: KeyId,
    payload: &[u8],
    scratch: &'s mut [u8],
) -> Result<&'s [u8], NoRoom> {
    let mut e = Encoder::new(Cursor::new(&mut *scratch));
    let len = (|| {
        match signers {
            super::Signers::One => e.array(4)?.str("Signature1")?.bytes(&header(key))?,
            super::Signers::Many => e
                .array(5)?
                .str("Signature")?
                .bytes(&[])?
                .bytes(&header(key))?,
        };
        e.bytes(context.as_bytes())?.bytes(payload)?;
        Ok(e.writer().position())
    })()
    .map_err(|_: encode::Error<EndOfSlice>| NoRoom)?;
    Ok(&scratch[..len])
}
