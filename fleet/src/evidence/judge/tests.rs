//! Forged, damaged, repeated and genuine receipts against one log.

use super::super::sample::{Say, log};
use super::*;
use crate::hostile::mutated;
use proptest::prelude::*;

/// Judges documents one after the other; "" for one that holds.
fn check(documents: &[Vec<u8>], expect: &[&str]) {
    let log = log();
    let mut judge = Judge::new(&log);
    let named = documents
        .iter()
        .map(|bytes| match judge.judge(bytes).verdict {
            Ok(_) => "",
            Err(flaw) => flaw.name(),
        });
    assert_eq!(named.collect::<Vec<_>>(), expect);
}

fn one(sequence: u64) -> Say {
    Say::of("press-01", 1, sequence)
}

#[test]
fn what_the_device_of_the_log_signed_holds() {
    check(
        &[
            one(1).signed(),
            one(2).signed(),
            Say::of("press-02", 3, 1).signed(),
        ],
        &["", "", ""],
    );
}

#[test]
fn a_stolen_controller_forges_no_receipt_of_a_device_in_the_exported_log() {
    check(
        &[one(1).signed(), Say::of("press-01", 9, 2).signed()],
        &["", "unknown_key"],
    );
    check(&[Say::of("press-03", 9, 1).signed()], &["unknown_device"]);
}

#[test]
fn a_device_speaks_for_no_other_device() {
    check(&[Say::of("press-01", 3, 1).signed()], &["other_device"]);
    let log = log();
    let judged = Judge::new(&log).judge(&Say::of("press-01", 2, 1).signed());
    let signer = DeviceId::parse("press-02").expect("valid");
    assert_eq!(judged.verdict, Err(Flaw::OtherDevice { signer }));
}

#[test]
fn a_retired_key_counts_for_what_says_that_it_is_older() {
    let old = Say::of("press-02", 2, 1);
    let late = Say {
        unix: Some(301),
        ..old
    };
    let timeless = Say { unix: None, ..old };
    check(&[old.signed()], &[""]);
    check(
        &[late.signed(), timeless.signed()],
        &["retired_key", "retired_key"],
    );
    let log = log();
    let judged = Judge::new(&log).judge(&old.signed());
    assert_eq!(judged.verdict, Ok(Some(UnixSeconds(300))));
}

#[test]
fn a_number_counts_once_and_only_for_what_is_genuine() {
    let other = Say {
        step: Step::Reverted,
        ..one(1)
    };
    check(
        &[one(1).signed(), one(1).signed(), other.signed()],
        &["", "repeated", "contradicted"],
    );
    let forged = Say { seed: 9, ..other };
    check(&[forged.signed(), one(1).signed()], &["unknown_key", ""]);
}

#[test]
fn what_is_missing_of_a_stream_is_told_and_nothing_forged_fills_it() {
    let log = log();
    let mut judge = Judge::new(&log);
    for say in [one(2), one(5), Say { seed: 9, ..one(3) }] {
        judge.judge(&say.signed());
    }
    let streams = judge.streams();
    assert_eq!(streams.len(), 1, "{streams:?}");
    assert_eq!((streams[0].receipts, streams[0].through), (2, Sequence(5)));
    let range = |first, last| (Sequence(first), Sequence(last));
    assert_eq!(streams[0].missing, [range(1, 1), range(3, 4)]);
}

#[test]
fn what_is_no_receipt_is_said_to_be_none() {
    check(
        &[one(1).signed_gap(), b"receipt".to_vec()],
        &["no_receipt", "malformed"],
    );
}

#[test]
fn every_flipped_bit_is_found() {
    let genuine = one(1).signed();
    let log = log();
    let mut judge = Judge::new(&log);
    for bit in 0..genuine.len() * 8 {
        let mut flipped = genuine.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(judge.judge(&flipped).verdict.is_err(), "bit {bit}");
    }
    assert!(judge.streams().is_empty(), "none of them counts");
    let last = genuine.len() - 1;
    let mut flipped = genuine;
    flipped[last] ^= 1;
    check(&[flipped], &["broken_signature"]);
}

#[test]
fn every_flaw_says_something_else() {
    let signer = DeviceId::parse("press-02").expect("valid");
    let retired_at = UnixSeconds(300);
    let flaws = [
        Flaw::Malformed(Refused::TooLarge),
        Flaw::UnknownDevice,
        Flaw::OtherDevice { signer },
        Flaw::UnknownKey,
        Flaw::BrokenSignature,
        Flaw::RetiredKey { retired_at },
        Flaw::NoReceipt,
        Flaw::Repeated,
        Flaw::Contradicted,
    ];
    let texts = flaws.iter().map(|flaw| (flaw.name(), flaw.to_string()));
    let texts: std::collections::BTreeMap<_, _> = texts.map(|(name, text)| (text, name)).collect();
    assert_eq!(texts.len(), flaws.len());
}

proptest! {
    #[test]
    fn hostile_documents_are_judged(bytes in mutated(one(1).signed())) {
        let log = log();
        let judged = Judge::new(&log).judge(&bytes);
        prop_assert!(judged.verdict.is_err() || bytes == one(1).signed());
    }
}
