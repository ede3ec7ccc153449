//! What holds of every document whatever its values: it is read as it was written, in one form,
//! and once signed no bit of it can be changed.
//!
//! The committed bytes are checked in `fixtures`, made-up bytes in `protocol/fuzz`.

#[path = "properties/value.rs"]
mod value;

use ed25519_dalek::SigningKey;
use muster_protocol::bundle::{Golden, GoldenVector};
use muster_protocol::cbor::{self, List, Malformed};
use muster_protocol::cose::{self, KeySet};
use muster_protocol::id::{BootId, KeySetVersion, Nonce, Rank, Sequence, StreamId};
use muster_protocol::message::enrolment::{EnrolmentReply, EnrolmentRequest};
use muster_protocol::message::renewal::{RenewalOffer, RenewalReply, RenewalRequest};
use muster_protocol::message::{
    Ack, Answer, Assignment, Document, Fetch, FleetKeySet, ModelKeySet, Piece, Place, Provision,
    RevokedBundle, RoleKeys, Show, SignedTime, Statement, What,
};
use muster_protocol::token::Token;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use value::*;

/// Written in one form, read again as it was, and never with its end cut off.
fn check<T: minicbor::Encode<()>>(value: &T, reads: impl Fn(&[u8]) -> Result<bool, Malformed>) {
    let bytes = cbor::to_vec(value);
    assert_eq!(reads(&bytes), Ok(true));
    assert!(reads(&bytes[..bytes.len() - 1]).is_err());
    let mut buffer = vec![0; bytes.len()];
    assert_eq!(cbor::encode(value, &mut buffer), Ok(bytes.len()));
    assert_eq!(buffer, bytes);
}

/// The check of a document of type `$document`, whose lifetime is that of the bytes.
macro_rules! check {
    ($document:ty, $value:expr) => {
        check(&$value, |bytes| {
            cbor::decode::<$document>(bytes).map(|read| read == $value)
        })
    };
}

proptest! {
    #[test]
    fn statements(value in statement()) {
        check!(Statement, value);
    }

    #[test]
    fn assignments(
        device in device_id(), at in place_in_order(), entries in vec(entry(), 0..=32),
        issued_at in unix(), accept_by in unix(),
    ) {
        let entries = List::of(&entries);
        let value = Assignment { device, at, issued_at, accept_by, entries };
        check!(Assignment<'_>, value);
    }

    #[test]
    fn receipts(value in receipt(), detail in option::of(".{0,60}"), head in document_head()) {
        let (device, stream, sequence, boot) = head;
        let receipt = value.with_detail(detail.as_deref());
        let document = Document {
            device,
            stream,
            sequence,
            boot,
            receipt: Some(receipt),
            window: None,
            gap: None,
        };
        check!(Document<'_>, document);
    }

    #[test]
    fn gaps(gap in gap(), head in document_head()) {
        let (device, stream, sequence, boot) = head;
        let document = Document {
            device,
            stream,
            sequence,
            boot,
            receipt: None,
            window: None,
            gap: Some(gap),
        };
        check!(Document<'_>, document);
    }

    #[test]
    fn fetches_and_pieces(
        device in device_id(), count in any::<u32>(), what in what(), answer in option::of(vec(any::<u8>(), 0..200)),
        total in any::<u64>(),
    ) {
        let what: What<'_> = what.borrow();
        check!(Fetch<'_>, Fetch { device: device.clone(), what, count });
        let answer = answer.as_deref().map_or(Answer::NotFound, |bytes| Answer::Bytes { total, bytes });
        check!(Piece<'_>, Piece { what, answer: answer.clone() });
    }

    #[test]
    fn acknowledgements(
        device in device_id(), stream in any::<[u8; 8]>(), through in any::<u64>(),
        rejected in vec(rejected(), 0..=16),
    ) {
        let (stream, through) = (StreamId(stream), Sequence(through));
        let rejected = List::of(&rejected);
        let value = Ack { device, stream, through, rejected };
        check!(Ack<'_>, value);
    }

    #[test]
    fn signed_times(
        device in device_id(), nonce in any::<[u8; 16]>(), unix in unix(), at in place_in_order(),
        challenge in option::of(any::<[u8; 16]>()), shows in any::<bool>(),
    ) {
        let value = SignedTime {
            device,
            nonce: Nonce(nonce),
            unix,
            epoch: at.epoch,
            challenge: challenge.map(Nonce),
            show: shows.then_some(Show::Assignment),
        };
        check!(SignedTime, value);
    }

    #[test]
    fn key_sets_and_provisions(
        keys in vec(public_key(), 0..=8), threshold in any::<u8>(), at in place_in_order(),
        version in any::<u32>(), predecessor in option::of(digest()), issued_at in unix(),
        model in model_id(), revoked in vec((digest(), revocation()), 0..=8), device in device_id(),
        class in target_class(),
    ) {
        let role = RoleKeys { keys: List::of(&keys), threshold };
        let place = Place { version: KeySetVersion(version), predecessor };
        let fleet = FleetKeySet {
            place,
            issued_at,
            epoch: at.epoch,
            director: role.clone(),
            ack: List::of(&keys),
            time: List::default(),
        };
        check!(FleetKeySet<'_>, fleet);
        let bundles = revoked.into_iter().map(|(bundle, action)| RevokedBundle { bundle, action });
        let revoked: Vec<_> = bundles.collect();
        let (floor, revoked) = (Rank(version), List::of(&revoked));
        let model = ModelKeySet { place, issued_at, model, release: role.clone(), floor, revoked };
        check!(ModelKeySet<'_>, model);
        let provision = Provision { device, class, targets: role, nonce: Nonce([7; 16]) };
        check!(Provision<'_>, provision);
    }

    #[test]
    fn enrolments_and_tokens(
        device in device_id(), secret in any::<[u8; 16]>(), document_key in public_key(),
        request in vec(any::<u8>(), 0..300), text in ".{0,80}", root in digest(), ca in digest(),
        expires in unix(),
    ) {
        let value = EnrolmentRequest {
            device: device.clone(),
            secret: &secret,
            document_key,
            certificate_request: &request,
        };
        check!(EnrolmentRequest<'_>, value);
        let value = EnrolmentReply {
            certificate_chain: &text,
            ca_certificate: &text,
            root: &request,
            broker: &text,
            topic_prefix: "muster/v1",
        };
        check!(EnrolmentReply<'_>, value);
        let nonce = Nonce(secret);
        let value = RenewalRequest {
            device: device.clone(),
            nonce,
            ca,
            certificate_request: &request,
        };
        check!(RenewalRequest<'_>, value);
        check!(RenewalReply<'_>, RenewalReply { certificate_chain: &text });
        check!(RenewalOffer, RenewalOffer { nonce, ca });
        let token = Token { url: text, root, ca, device, secret, expires };
        check!(Token, token);
        prop_assert_eq!(token.to_string().parse(), Ok(token));
    }

    #[test]
    fn golden_vectors(
        rtol in 0.0..1e3_f64, atol in 0.0..1e3_f64,
        vectors in vec((vec(any::<u64>(), 0..=64), vec(any::<u64>(), 0..=64)), 1..20),
    ) {
        let vectors = vectors.into_iter().map(|(inputs, outputs)| GoldenVector { inputs, outputs });
        let golden = Golden { rtol, atol, vectors: vectors.collect() };
        let bytes = golden.to_cbor();
        prop_assert_eq!(Golden::from_cbor(&bytes).expect("its own writing is read"), golden);
    }

    #[test]
    fn what_one_key_signed_cannot_be_changed(
        gap in gap(), head in document_head(), bit in any::<prop::sample::Index>(),
    ) {
        let (device, stream, sequence, boot) = head;
        let document = Document {
            device,
            stream,
            sequence,
            boot,
            receipt: None,
            window: None,
            gap: Some(gap),
        };
        let signed = cose::seal_vec(&document, &key(1));
        check_signed::<Document<'_>>(&signed, &[1], bit, |bytes, keys, scratch| {
            cose::open::<Document<'_>>(bytes, keys, scratch).is_ok()
        });
    }

    #[test]
    fn what_several_keys_signed_cannot_be_changed(
        statement in statement(), signers in 1..=5_u8, bit in any::<prop::sample::Index>(),
    ) {
        let payload = cbor::to_vec(&statement);
        let mut scratch = vec![0; cose::scratch_len(payload.len())];
        let seeds: Vec<u8> = (1..=signers).collect();
        let signatures: Vec<_> = seeds
            .iter()
            .map(|seed| cose::sign::<Statement>(&payload, &key(*seed), &mut scratch))
            .map(|signature| signature.expect("fits"))
            .collect();
        let signed = cose::assemble_vec(&payload, &signatures);
        check_signed::<Statement>(&signed, &seeds, bit, |bytes, keys, scratch| {
            cose::open::<Statement>(bytes, keys, scratch).is_ok()
        });
    }
}

fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

/// It opens as it is; with a bit flipped, cut, or with a byte behind, it does not.
fn check_signed<'v, T: cose::Document<'v>>(
    signed: &[u8],
    seeds: &[u8],
    bit: prop::sample::Index,
    opens: impl Fn(&[u8], KeySet<'_>, &mut [u8]) -> bool,
) {
    let keys: Vec<_> = seeds
        .iter()
        .map(|seed| key(*seed).verifying_key().into())
        .collect();
    let set = KeySet {
        keys: &keys,
        threshold: seeds.len() as u8,
    };
    let opens = |bytes: &[u8]| opens(bytes, set, &mut vec![0; cose::scratch_len(bytes.len())]);
    assert!(signed.len() <= T::BYTES_MAX && opens(signed));
    let bit = bit.index(signed.len() * 8);
    let mut flipped = signed.to_vec();
    flipped[bit / 8] ^= 1 << (bit % 8);
    assert!(!opens(&flipped), "with bit {bit} flipped");
    assert!(!opens(&signed[..bit / 8]), "cut at {}", bit / 8);
    assert!(!opens(&[signed, &[0]].concat()), "with a byte behind");
}

/// Whose stream, which, which number, of which boot.
fn document_head()
-> impl Strategy<Value = (muster_protocol::id::DeviceId, StreamId, Sequence, BootId)> {
    (
        device_id(),
        any::<[u8; 8]>(),
        any::<u64>(),
        any::<[u8; 8]>(),
    )
        .prop_map(|(device, stream, sequence, boot)| {
            (device, StreamId(stream), Sequence(sequence), BootId(boot))
        })
}
