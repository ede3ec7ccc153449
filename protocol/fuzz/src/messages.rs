//! Every CBOR document of the wire: what is read is written in one form, and read again the same.
//!
//! Never a signature: that is `cose`.

use muster_protocol::cose::{self, Signers};
use muster_protocol::message::enrolment::{EnrolmentReply, EnrolmentRequest};
use muster_protocol::message::renewal::{RenewalOffer, RenewalReply, RenewalRequest};
use muster_protocol::message::{
    Ack, Assignment, Document, Fetch, FleetKeySet, Hello, ModelKeySet, Piece, Provision,
    SignedTime, Statement, statement_name,
};
use muster_protocol::token::Token;

/// How many kinds of document there are.
pub const KINDS: u8 = 17;

/// Reads a document of type `$document`; what is read must be written and read again the same.
/// Unknown keys and explicit defaults may be gone from the writing, but it is final.
macro_rules! round_trip {
    ($document:ty, $bytes:expr) => {{
        let bytes: &[u8] = $bytes;
        ::muster_protocol::cbor::decode::<$document>(bytes)
            .ok()
            .inspect(|value| {
                let written = ::muster_protocol::cbor::to_vec(value);
                let again = ::muster_protocol::cbor::decode::<$document>(&written)
                    .expect("its own writing is read");
                assert_eq!(again, *value);
                assert_eq!(
                    ::muster_protocol::cbor::to_vec(&again),
                    written,
                    "a second writing differs"
                );
                let mut small = vec![0; written.len()];
                assert_eq!(
                    ::muster_protocol::cbor::encode(value, &mut small),
                    Ok(written.len())
                );
                assert_eq!(small, written, "a buffer and a vector differ");
                if let Some(less) = small.len().checked_sub(1) {
                    assert_eq!(
                        ::muster_protocol::cbor::encode(value, &mut small[..less]),
                        Err(::muster_protocol::cbor::NoRoom)
                    );
                }
            })
    }};
}
pub(super) use round_trip;

/// The first byte says which document the others are.
pub fn messages(data: &[u8]) {
    let Some((kind, bytes)) = data.split_first() else {
        return;
    };
    match kind % KINDS {
        0 => assignment(bytes),
        1 => statement(bytes),
        2 => _ = round_trip!(Ack<'_>, bytes),
        3 => _ = round_trip!(Hello<'_>, bytes),
        4 => _ = round_trip!(Fetch<'_>, bytes),
        5 => _ = round_trip!(Piece<'_>, bytes),
        6 => document(bytes),
        7 => _ = round_trip!(SignedTime, bytes),
        8 => fleet_key_set(bytes),
        9 => model_key_set(bytes),
        10 => _ = round_trip!(Provision<'_>, bytes),
        11 => _ = round_trip!(EnrolmentRequest<'_>, bytes),
        12 => _ = round_trip!(EnrolmentReply<'_>, bytes),
        13 => _ = round_trip!(Token, bytes),
        14 => _ = round_trip!(RenewalOffer, bytes),
        15 => _ = round_trip!(RenewalRequest<'_>, bytes),
        _ => _ = round_trip!(RenewalReply<'_>, bytes),
    }
    peek_signed(bytes);
}

fn assignment(bytes: &[u8]) {
    if let Some(assignment) = round_trip!(Assignment<'_>, bytes) {
        assert_eq!(assignment.entries.iter().count(), assignment.entries.len());
    }
}

fn statement(bytes: &[u8]) {
    if let Some(statement) = round_trip!(Statement, bytes) {
        let name = statement_name(&statement.model, &statement.version);
        assert!(name.starts_with("models/") && name.ends_with(".cbor"));
    }
}

fn document(bytes: &[u8]) {
    let Some(document) = round_trip!(Document<'_>, bytes) else {
        return;
    };
    let bodies = [
        document.receipt.is_some(),
        document.window.is_some(),
        document.gap.is_some(),
    ];
    let one = bodies.iter().filter(|there| **there).count() == 1;
    assert_eq!(document.body().is_some(), one);
}

fn fleet_key_set(bytes: &[u8]) {
    if let Some(keys) = round_trip!(FleetKeySet<'_>, bytes) {
        let reachable = usize::from(keys.director.threshold) <= keys.director.keys.len();
        assert!(reachable || !keys.director.is_sound());
    }
}

fn model_key_set(bytes: &[u8]) {
    if let Some(keys) = round_trip!(ModelKeySet<'_>, bytes) {
        assert!(keys.release.threshold > 0 || !keys.release.is_sound());
    }
}

/// What can be read without its signature is no longer than its kind may be.
fn peek_signed(bytes: &[u8]) {
    if cose::peek::<Document<'_>>(bytes).is_ok() {
        assert!(bytes.len() <= <Document<'_> as cose::Document<'_>>::BYTES_MAX);
    }
    if cose::peek::<Statement>(bytes).is_ok() {
        assert_eq!(<Statement as cose::Document<'_>>::SIGNERS, Signers::Many);
    }
}
