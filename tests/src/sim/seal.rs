//! Signatures of what is said often: hellos, documents, acknowledgements, time.
//!
//! In every eighth world they are what the programs make, Ed25519 in COSE. In the others a keyed
//! hash stands in, made by whoever has the key and checked by whoever knows it, since nine tenths
//! of a world's work would be curves. Assignments, statements and key sets, which the machines
//! open themselves, are really signed in every world: never made here.

use ed25519_dalek::SigningKey;
use muster_protocol::cbor;
use muster_protocol::cose::{self, KeySet};
use muster_protocol::digest::{Digest, Digester};
use muster_protocol::key::PublicKey;

/// One world in so many signs everything.
const REAL_EVERY: u64 = 8;
/// The first byte of a stand-in: no tag of COSE.
const STAND_IN: u8 = 0;

/// What seals the documents of a world that are said often.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Signatures {
    /// Ed25519 in COSE.
    Real,
    /// A keyed hash.
    StandIn,
}

impl Signatures {
    /// Those of the world with this seed.
    pub(super) const fn of(seed: u64) -> Self {
        if seed.is_multiple_of(REAL_EVERY) {
            Self::Real
        } else {
            Self::StandIn
        }
    }

    /// A signed document.
    pub(super) fn seal<'b, T: cose::Document<'b>>(self, document: &T, key: &SigningKey) -> Vec<u8> {
        if self == Self::Real {
            return cose::seal_vec(document, key);
        }
        let payload = cbor::to_vec(document);
        let mut bytes = vec![STAND_IN];
        bytes.extend(mark::<T>(&payload, &key.verifying_key().into()).0);
        bytes.extend(payload);
        bytes
    }
}

/// What a document says, whoever signed it.
pub(super) fn read<'b, T: cose::Document<'b>>(bytes: &'b [u8]) -> Option<T> {
    match split(bytes) {
        Some((_, payload)) => cbor::decode(payload).ok(),
        None => cose::peek(bytes).ok(),
    }
}

/// What a document says that one of these keys has signed.
pub(super) fn open<'b, T: cose::Document<'b>>(bytes: &'b [u8], keys: &[PublicKey]) -> Option<T> {
    let Some((found, payload)) = split(bytes) else {
        let mut scratch = vec![0; cose::scratch_len(bytes.len())];
        let keys = KeySet { keys, threshold: 1 };
        let opened = cose::open::<T>(bytes, keys, &mut scratch);
        return opened.ok().map(cose::Verified::into_inner);
    };
    let mut marks = keys.iter().map(|key| mark::<T>(payload, key));
    marks.any(|mark| mark.0 == found).then(|| read(bytes))?
}

fn split(bytes: &[u8]) -> Option<([u8; 32], &[u8])> {
    let (first, rest) = bytes.split_first()?;
    let (mark, payload) = rest.split_first_chunk::<32>()?;
    (*first == STAND_IN).then_some((*mark, payload))
}

fn mark<'b, T: cose::Document<'b>>(payload: &[u8], key: &PublicKey) -> Digest {
    let mut digester = Digester::default();
    for part in [T::CONTEXT.as_bytes(), &key.0, payload] {
        digester.update(part);
    }
    digester.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use muster_protocol::cbor::List;
    use muster_protocol::id::{DeviceId, Sequence, StreamId};
    use muster_protocol::message::Ack;

    #[test]
    fn both_kinds_open_with_their_key_and_not_when_damaged() {
        let (key, other) = ([1; 32].into(), SigningKey::from([2; 32]));
        let ack = Ack {
            device: DeviceId::parse("d").expect("valid"),
            stream: StreamId([1; 8]),
            through: Sequence(7),
            rejected: List::default(),
        };
        for signatures in [Signatures::Real, Signatures::StandIn] {
            let sealed = signatures.seal(&ack, &key);
            let opens = |bytes: &[u8], key: &SigningKey| {
                open::<Ack<'_>>(bytes, &[key.verifying_key().into()]).is_some()
            };
            assert!(opens(&sealed, &key) && !opens(&sealed, &other));
            assert_eq!(
                read::<Ack<'_>>(&sealed).map(|ack| ack.through),
                Some(Sequence(7))
            );
            for at in 0..sealed.len() {
                let mut damaged = sealed.clone();
                damaged[at] ^= 1;
                assert!(!opens(&damaged, &key), "{signatures:?}: bit of byte {at}");
            }
        }
    }
}
