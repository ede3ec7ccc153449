//! How documents are signed: COSE_Sign1 and COSE_Sign (RFC 9052) with Ed25519.
//!
//! The profile is one form of each: tag, a protected header of exactly algorithm and key id, no
//! unprotected header, an embedded payload. What is verified are the received bytes, never an
//! encoding made again. The kind of document is the external data of the signature, so that a
//! signature over one kind never counts for another.

mod envelope;
mod open;
mod seal;

pub use envelope::scratch_len;
pub use open::{KeySet, Refused, Verified, open, peek};
pub use seal::{Signature, assemble, seal, sign};
#[cfg(feature = "alloc")]
pub use seal::{assemble_vec, seal_vec};

use minicbor::{Decode, Encode};

/// How many sign a kind of document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signers {
    /// One: COSE_Sign1.
    One,
    /// Up to [`crate::limits::SIGNATURES_MAX`] with a threshold: COSE_Sign.
    Many,
}

/// A kind of signed document.
pub trait Document<'b>: Decode<'b, ()> + Encode<()> {
    /// What a signature over this kind says it is for; the external data of RFC 9052 section 4.4.
    const CONTEXT: &'static str;
    /// Largest document of this kind, signatures included.
    const BYTES_MAX: usize;
    /// How many sign it.
    const SIGNERS: Signers = Signers::One;
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use crate::cbor::{self, Malformed};
    use crate::key::PublicKey;
    use ed25519_dalek::SigningKey;
    use std::vec::Vec;

    #[derive(Debug, Clone, PartialEq, Encode, Decode)]
    #[cbor(map)]
    struct Note {
        #[n(0)]
        text: u32,
    }
    impl Document<'_> for Note {
        const CONTEXT: &'static str = "muster/v1/test-note";
        const BYTES_MAX: usize = 512;
    }

    #[derive(Debug, Clone, PartialEq, Encode, Decode)]
    #[cbor(map)]
    struct Shared {
        #[n(0)]
        text: u32,
    }
    impl Document<'_> for Shared {
        const CONTEXT: &'static str = "muster/v1/test-shared";
        const BYTES_MAX: usize = 1024;
        const SIGNERS: Signers = Signers::Many;
    }

    fn key(seed: u8) -> SigningKey {
        SigningKey::from_bytes(&[seed; 32])
    }

    fn public(seeds: &[u8]) -> Vec<PublicKey> {
        seeds
            .iter()
            .map(|seed| key(*seed).verifying_key().into())
            .collect()
    }

    fn shared(text: u32, seeds: &[u8]) -> Vec<u8> {
        let (payload, mut scratch) = (cbor::to_vec(&Shared { text }), [0; 512]);
        let signatures: Vec<_> = seeds
            .iter()
            .map(|seed| sign::<Shared>(&payload, &key(*seed), &mut scratch).expect("fits"))
            .collect();
        assemble_vec(&payload, &signatures)
    }

    fn check<'b, T: Document<'b> + PartialEq + core::fmt::Debug>(
        bytes: &'b [u8],
        keys: &[PublicKey],
        threshold: u8,
        expect: Result<T, Refused>,
    ) {
        let mut scratch = [0; 2048];
        let opened = open::<T>(bytes, KeySet { keys, threshold }, &mut scratch);
        assert_eq!(opened.map(Verified::into_inner), expect);
    }

    #[test]
    fn what_one_signed_opens_with_that_key() {
        let bytes = seal_vec(&Note { text: 7 }, &key(1));
        check(&bytes, &public(&[2, 1]), 1, Ok(Note { text: 7 }));
        check::<Note>(&bytes, &public(&[2]), 1, Err(Refused::UnknownKey));
        check::<Note>(&bytes, &[], 1, Err(Refused::UnknownKey));
    }

    #[test]
    fn a_threshold_counts_distinct_keys() {
        check(
            &shared(7, &[1, 2]),
            &public(&[1, 2, 3]),
            2,
            Ok(Shared { text: 7 }),
        );
        check(
            &shared(7, &[9, 1, 2]),
            &public(&[1, 2, 3]),
            2,
            Ok(Shared { text: 7 }),
        );
        let few = |have, need| Err(Refused::TooFewSignatures { have, need });
        check::<Shared>(&shared(7, &[1, 1]), &public(&[1, 2]), 2, few(1, 2));
        check::<Shared>(&shared(7, &[1, 9]), &public(&[1, 2]), 2, few(1, 2));
        check::<Shared>(&shared(7, &[1]), &public(&[1, 1]), 2, few(1, 2));
        check::<Shared>(&shared(7, &[]), &public(&[1]), 1, few(0, 1));
        check::<Shared>(&shared(7, &[1]), &public(&[1]), 0, few(0, 1));
    }

    #[test]
    fn a_signature_of_another_kind_of_document_does_not_count() {
        let payload = cbor::to_vec(&Note { text: 7 });
        let mut scratch = [0; 512];
        let other = sign::<Note>(&payload, &key(1), &mut scratch).expect("fits");
        let bytes = assemble_vec(&payload, &[other]);
        check::<Shared>(&bytes, &public(&[1]), 1, Err(Refused::BadSignature));
    }

    #[test]
    fn every_flipped_bit_is_refused() {
        let keys = public(&[1, 2]);
        let (one, many) = (
            seal_vec(&Note { text: 70_000 }, &key(1)),
            shared(70_000, &[1, 2]),
        );
        let mut scratch = [0; 2048];
        for bit in 0..one.len() * 8 {
            let mut bytes = one.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let keys = KeySet {
                keys: &keys,
                threshold: 1,
            };
            assert!(
                open::<Note>(&bytes, keys, &mut scratch).is_err(),
                "bit {bit}"
            );
        }
        for bit in 0..many.len() * 8 {
            let mut bytes = many.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let keys = KeySet {
                keys: &keys,
                threshold: 2,
            };
            assert!(
                open::<Shared>(&bytes, keys, &mut scratch).is_err(),
                "bit {bit}"
            );
        }
    }

    #[test]
    fn what_is_too_large_is_not_read() {
        let bytes = [0; 513];
        check::<Note>(&bytes, &public(&[1]), 1, Err(Refused::TooLarge));
    }

    #[test]
    fn another_payload_under_a_right_signature_is_named() {
        let mut scratch = [0; 512];
        let mut out = [0; 512];
        let len = seal::<Note>(&[0x01], &key(1), &mut scratch, &mut out).expect("fits");
        check::<Note>(
            &out[..len],
            &public(&[1]),
            1,
            Err(Refused::Payload(Malformed::Field)),
        );
    }
}
