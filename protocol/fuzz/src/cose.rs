//! Signed documents: what opens was signed, to the last bit, and what was signed opens.
//!
//! A second verifier, written from RFC 9052 section 4.4 alone, must come to the same verdict.

use super::reader::Reader;
use ed25519_dalek::{Signature, SigningKey, VerifyingKey};
use minicbor::{Decoder, Encoder};
use muster_protocol::cbor;
use muster_protocol::cose::{self, Document as _, KeySet, Refused};
use muster_protocol::key::PublicKey;
use muster_protocol::message::{Document, Statement};
use std::collections::BTreeSet;

/// The key of a seed; the same as in the committed fixtures.
pub fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

/// Its public part.
pub fn public(seed: u8) -> PublicKey {
    key(seed).verifying_key().into()
}

/// The first byte says what is done, the second to which kind of document.
pub fn cose(data: &[u8]) {
    let mut input = Reader::new(data);
    let (what, many) = (input.byte(), input.byte() & 1 == 1);
    match what % 4 {
        0 => same_verdict(many, input.rest()),
        1 => flipped(many, input.u16(), input.rest()),
        2 => cut(many, input.u16(), input.rest()),
        _ => other_signers(many, input.byte(), input.rest()),
    }
}

/// Any bytes: both verifiers agree.
fn same_verdict(many: bool, bytes: &[u8]) {
    assert_eq!(opens(many, bytes).is_ok(), verifies(many, bytes));
}

/// A signed payload opens when it is a document; with one bit flipped it never does.
fn flipped(many: bool, bit: u16, payload: &[u8]) {
    let mut signed = sealed(many, payload, &[1, 2]);
    check_opens(many, payload, &signed);
    let bit = usize::from(bit) % (signed.len() * 8);
    signed[bit / 8] ^= 1 << (bit % 8);
    assert!(opens(many, &signed).is_err(), "with bit {bit} flipped");
}

/// The same with its end cut off, or with a byte behind.
fn cut(many: bool, end: u16, payload: &[u8]) {
    let mut signed = sealed(many, payload, &[1, 2]);
    let end = usize::from(end) % signed.len();
    assert!(opens(many, &signed[..end]).is_err(), "cut at {end}");
    signed.push(0);
    assert!(opens(many, &signed).is_err(), "with a byte behind");
}

/// The same with another choice of signers, of which one may count twice or not at all.
fn other_signers(many: bool, choice: u8, payload: &[u8]) {
    let seeds = [choice & 3, choice >> 2 & 3, choice >> 4 & 3];
    let signed = sealed(many, payload, &seeds);
    let signers = &seeds[..if many { 3 } else { 1 }];
    let counted = signers.iter().filter(|seed| [1, 2].contains(*seed));
    let distinct = counted.collect::<BTreeSet<_>>().len();
    let enough = distinct >= usize::from(threshold(many));
    let is_document = opens_as(many, payload) && signed.len() <= bytes_max(many);
    assert_eq!(opens(many, &signed).is_ok(), enough && is_document);
    // A signature over one kind never counts for another.
    assert!(opens(!many, &signed).is_err());
}

fn check_opens(many: bool, payload: &[u8], signed: &[u8]) {
    let expect = opens_as(many, payload) && signed.len() <= bytes_max(many);
    assert_eq!(opens(many, signed).is_ok(), expect);
    assert_eq!(verifies(many, signed), expect);
}

fn opens_as(many: bool, payload: &[u8]) -> bool {
    if many {
        cbor::decode::<Statement>(payload).is_ok()
    } else {
        cbor::decode::<Document<'_>>(payload).is_ok()
    }
}

const fn threshold(many: bool) -> u8 {
    if many { 2 } else { 1 }
}

const fn bytes_max(many: bool) -> usize {
    if many {
        Statement::BYTES_MAX
    } else {
        Document::BYTES_MAX
    }
}

fn opens(many: bool, bytes: &[u8]) -> Result<(), Refused> {
    let keys = [public(1), public(2)];
    let set = KeySet {
        keys: &keys,
        threshold: threshold(many),
    };
    let mut scratch = vec![0; cose::scratch_len(bytes.len())];
    if many {
        cose::open::<Statement>(bytes, set, &mut scratch).map(drop)
    } else {
        cose::open::<Document<'_>>(bytes, set, &mut scratch).map(drop)
    }
}

fn sealed(many: bool, payload: &[u8], seeds: &[u8]) -> Vec<u8> {
    let mut scratch = vec![0; cose::scratch_len(payload.len())];
    if many {
        let signatures: Vec<_> = seeds
            .iter()
            .map(|seed| cose::sign::<Statement>(payload, &key(*seed), &mut scratch))
            .map(|signature| signature.expect("it fits"))
            .collect();
        return cose::assemble_vec(payload, &signatures);
    }
    let mut out = vec![0; cose::scratch_len(payload.len())];
    let len = cose::seal::<Document<'_>>(payload, &key(seeds[0]), &mut scratch, &mut out);
    out.truncate(len.expect("it fits"));
    out
}

/// The second verifier: takes payload and signatures out, writes the envelope anew and compares
/// the bytes, then checks every signature of a key that counts.
fn verifies(many: bool, bytes: &[u8]) -> bool {
    let Ok((payload, signatures)) = parts(many, bytes) else {
        return false;
    };
    let form = |(header, signature): &(&[u8], &[u8])| {
        header.starts_with(&HEADER_START) && header.len() == 13 && signature.len() == 64
    };
    if envelope(many, payload, &signatures) != bytes
        || bytes.len() > bytes_max(many)
        || !signatures.iter().all(form)
    {
        return false;
    }
    let mut signers = BTreeSet::new();
    for (header, signature) in &signatures {
        let Some(key) = [1, 2].map(key).into_iter().find(|key| is_of(header, key)) else {
            continue;
        };
        if !is_valid(many, payload, header, signature, &key.verifying_key()) {
            return false;
        }
        signers.insert(key.to_bytes());
    }
    signers.len() >= usize::from(threshold(many))
        && signatures.len() <= 5
        && opens_as(many, payload)
}

type Parts<'b> = (&'b [u8], Vec<(&'b [u8], &'b [u8])>);

fn parts(many: bool, bytes: &[u8]) -> Result<Parts<'_>, minicbor::decode::Error> {
    let mut d = Decoder::new(bytes);
    d.tag()?;
    d.array()?;
    let header = d.bytes()?;
    d.map()?;
    let payload = d.bytes()?;
    if !many {
        return Ok((payload, vec![(header, d.bytes()?)]));
    }
    let mut signatures = Vec::new();
    for _ in 0..d.array()?.unwrap_or_default().min(6) {
        d.array()?;
        let header = d.bytes()?;
        d.map()?;
        signatures.push((header, d.bytes()?));
    }
    Ok((payload, signatures))
}

fn envelope(many: bool, payload: &[u8], signatures: &[(&[u8], &[u8])]) -> Vec<u8> {
    let mut bytes = Vec::new();
    if !many {
        bytes.extend([0xd2, 0x84]);
        string(&mut bytes, signatures[0].0);
        bytes.push(0xa0);
        string(&mut bytes, payload);
        string(&mut bytes, signatures[0].1);
        return bytes;
    }
    bytes.extend([0xd8, 98, 0x84, 0x40, 0xa0]);
    string(&mut bytes, payload);
    bytes.push(0x80 | signatures.len() as u8);
    for (header, signature) in signatures {
        bytes.push(0x83);
        string(&mut bytes, header);
        bytes.push(0xa0);
        string(&mut bytes, signature);
    }
    bytes
}

fn string(bytes: &mut Vec<u8>, content: &[u8]) {
    let written = Encoder::new(&mut *bytes).bytes(content).is_ok();
    assert!(written, "a vector takes all bytes");
}

/// `{1: -8, 4: first eight bytes of the sha256 of the key}`, up to those bytes.
const HEADER_START: [u8; 5] = [0xa2, 0x01, 0x27, 0x04, 0x48];

fn is_of(header: &[u8], key: &SigningKey) -> bool {
    let id = muster_protocol::digest::Digest::of(key.verifying_key().as_bytes());
    header == [&HEADER_START[..], &id.0[..8]].concat()
}

fn is_valid(
    many: bool,
    payload: &[u8],
    header: &[u8],
    signature: &[u8],
    key: &VerifyingKey,
) -> bool {
    let mut message = Vec::new();
    if many {
        message.push(0x85);
        message.push(0x69);
        message.extend(b"Signature");
        message.push(0x40);
    } else {
        message.push(0x84);
        message.push(0x6a);
        message.extend(b"Signature1");
    }
    string(&mut message, header);
    let context = if many {
        Statement::CONTEXT
    } else {
        Document::CONTEXT
    };
    string(&mut message, context.as_bytes());
    string(&mut message, payload);
    let signature: Result<[u8; 64], _> = signature.try_into();
    signature.is_ok_and(|bytes| {
        key.verify_strict(&message, &Signature::from_bytes(&bytes))
            .is_ok()
    })
}
