//! Devices speak to a store in memory: what counts once, what raises an incident, what leaves no
//! trace.

use muster_protocol::digest::Digest;
use muster_protocol::id::{DeviceId, EpochGeneration, Sequence, StreamId};
use muster_protocol::message::{Kind, RejectReason, Step};

use super::{document, fetch, hello, undone};
use crate::broker::Verdict;
use crate::store::{ListFilter, Page, StoreError};

mod bench;
mod carried;
mod restored;

use bench::{Bench, NOW, Say, WINDOWS, stream};

/// What is acknowledged: `through` and the rejected numbers; none for no acknowledgement.
type Acknowledged = Option<(u64, Vec<(u64, RejectReason)>)>;

fn acknowledged(taken: &document::Taken) -> Acknowledged {
    match taken {
        document::Taken::Stored(stored) => {
            let rejected = stored
                .rejected
                .iter()
                .map(|one| (one.sequence.0, one.reason));
            Some((stored.through.0, rejected.collect()))
        }
        document::Taken::Dropped(_) => None,
    }
}

#[test]
fn what_the_store_cannot_do_comes_again_but_for_what_it_panics_on() {
    let device = DeviceId::parse("press-1").expect("valid");
    let check = |error: StoreError, expect: Verdict| {
        assert_eq!(undone(&device, "document", &error), expect, "{error:?}");
    };
    check(StoreError::Full, Verdict::Retry);
    check(StoreError::Stopped, Verdict::Retry);
    check(StoreError::Panicked, Verdict::Accepted);
}

/// Says all of it in order; compares the last acknowledgement, the windows stored, their calls
/// counted, and the incidents.
fn check(said: &[Say], expect: Acknowledged, stored: (usize, u64), incidents: &[&str]) {
    let bench = Bench::new();
    let last = said
        .iter()
        .map(|say| acknowledged(&bench.document(say)))
        .last()
        .flatten();
    assert_eq!(last, expect, "{said:?}");
    let tx = bench.tx();
    let windows = tx
        .windows(&ListFilter::default(), &Page::default())
        .expect("a store");
    let models = tx.models_of("press-07").expect("a store");
    let calls = models.iter().map(|model| model.predictions).sum();
    assert_eq!((windows.items.len(), calls), stored, "{said:?}");
    assert_eq!(bench.incidents(), incidents, "{said:?}");
}

#[test]
fn a_document_counts_once() {
    let first = Say::window(1, 30);
    check(
        std::slice::from_ref(&first),
        Some((1, vec![])),
        (1, 30),
        &[],
    );
    check(
        &[first.clone(), first.clone(), first],
        Some((1, vec![])),
        (1, 30),
        &[],
    );
}

#[test]
fn documents_may_come_out_of_order_and_through_stops_at_a_hole() {
    let say = |sequence| Say::window(sequence, 30);
    check(&[say(2)], Some((0, vec![])), (1, 30), &[]);
    check(&[say(2), say(4), say(1)], Some((2, vec![])), (3, 90), &[]);
    check(
        &[say(2), say(4), say(1), say(3)],
        Some((4, vec![])),
        (4, 120),
        &[],
    );
}

#[test]
fn one_number_with_two_documents_is_a_clone() {
    let said = [Say::window(1, 30), Say::window(1, 31)];
    check(&said, None, (1, 30), &["clone"]);
    check(
        &[said.as_slice(), &said].concat(),
        None,
        (1, 30),
        &["clone"],
    );
}

#[test]
fn what_cannot_be_read_is_rejected_by_its_number() {
    let unknown = Say::nothing(1);
    check(
        &[unknown.clone(), unknown.clone()],
        Some((1, vec![(1, RejectReason::UnknownBody)])),
        (0, 0),
        &[],
    );
    let wrong = Say::receipt(2, "1.0.0", Step::Active).in_stream(WINDOWS);
    check(
        &[unknown, wrong, Say::window(3, 30)],
        Some((
            3,
            vec![
                (1, RejectReason::UnknownBody),
                (2, RejectReason::WrongStream),
            ],
        )),
        (1, 30),
        &[],
    );
    let malformed = Say::malformed(1);
    check(
        &[malformed],
        Some((1, vec![(1, RejectReason::Malformed)])),
        (0, 0),
        &[],
    );
}

#[test]
fn a_bad_signature_leaves_no_trace() {
    check(&[Say::window(1, 30).signed_by(9)], None, (0, 0), &[]);
    check(&[Say::window(1, 30).flipped()], None, (0, 0), &[]);
    check(&[Say::window(1, 30).of("press-08")], None, (0, 0), &[]);
    check(&[Say::window(0, 30)], None, (0, 0), &[]);
    check(&[Say::window(u64::MAX, 30)], None, (0, 0), &[]);
}

#[test]
fn a_replaced_stream_must_not_speak() {
    let bench = Bench::new();
    assert!(acknowledged(&bench.document(&Say::window(1, 30))).is_some());
    let next = stream(7);
    bench.hello(|hello| hello.streams = vec![(Kind::Windows, next, 1, 1, Some(WINDOWS))]);
    assert_eq!(bench.incidents(), [""; 0]);
    assert!(acknowledged(&bench.document(&Say::window(1, 5).in_stream(next))).is_some());
    assert_eq!(acknowledged(&bench.document(&Say::window(2, 30))), None);
    assert_eq!(bench.incidents(), ["clone"]);
}

#[test]
fn a_stream_that_two_continue_is_a_clone_and_a_lost_one_is_told() {
    let opens = |next, predecessor| vec![(Kind::Windows, stream(next), 1, 1, predecessor)];
    let check = |then: &[(u8, Option<StreamId>)], expect: &[&str]| {
        let bench = Bench::new();
        for (next, predecessor) in then {
            bench.hello(|hello| hello.streams = opens(*next, *predecessor));
        }
        assert_eq!(bench.incidents(), expect, "{then:?}");
    };
    check(&[(6, Some(WINDOWS)), (7, Some(stream(6)))], &[]);
    check(&[(6, Some(WINDOWS)), (7, Some(WINDOWS))], &["clone"]);
    check(&[(6, None)], &["stream_lost"]);
    check(&[(6, None), (6, None)], &["stream_lost"]);
}

#[test]
fn a_stream_that_a_document_opened_replaces_the_other_at_its_hello() {
    let check = |predecessor, expect: &[&str]| {
        let bench = Bench::new();
        bench.document(&Say::window(1, 30));
        let next = stream(7);
        assert!(acknowledged(&bench.document(&Say::window(1, 5).in_stream(next))).is_some());
        bench.hello(|hello| hello.streams = vec![(Kind::Windows, next, 1, 2, predecessor)]);
        assert_eq!(acknowledged(&bench.document(&Say::window(2, 30))), None);
        assert_eq!(bench.incidents(), expect);
    };
    check(Some(WINDOWS), &["clone"]);
    check(None, &["stream_lost", "clone"]);
}

#[test]
fn receipts_are_taken_into_account_in_their_order() {
    let bench = Bench::new();
    let active = |expect: Option<&str>| {
        let models = bench.tx().models_of("press-07").expect("a store");
        let version = models
            .first()
            .and_then(|model| model.active_version.clone());
        assert_eq!(version.as_deref(), expect);
    };
    bench.document(&Say::receipt(1, "1.0.0", Step::Active));
    active(Some("1.0.0"));
    bench.document(&Say::receipt(4, "2.0.0", Step::Reverted));
    bench.document(&Say::receipt(3, "2.0.0", Step::Active));
    active(Some("1.0.0"));
    bench.document(&Say::receipt(2, "1.0.0", Step::Committed));
    active(Some("1.0.0"));
    let accepted = bench.tx().accepted_at(&bench.device).expect("a store");
    assert_eq!(accepted, Some(EpochGeneration::new(1, 1)), "as they say");
    let receipts = bench
        .tx()
        .receipts(&ListFilter::default(), &Page::default());
    assert_eq!(receipts.expect("a store").items.len(), 4);
}

#[test]
fn a_hello_is_answered_with_what_the_device_lacks() {
    let bench = Bench::new();
    assert_eq!(bench.hello(|_| {}).assignment, None, "nothing was composed");
    let document = bench.roll_out("1.0.0");
    let digest = Some(Digest::of(&document));
    let at = EpochGeneration::new(1, 1);
    let check = |accepted, digest, expect: bool| {
        let heard = bench.hello(|hello| (hello.accepted, hello.assignment) = (accepted, digest));
        assert_eq!(heard.assignment.is_some(), expect, "{accepted:?}");
        assert_eq!(heard.nonce, bench::NONCE);
    };
    check(None, None, true);
    check(Some(at), digest, false);
    assert_eq!(bench.incidents(), [""; 0]);
}

#[test]
fn a_later_epoch_than_ours_is_told_and_changes_nothing() {
    let bench = Bench::new();
    bench.roll_out("1.0.0");
    bench.hello(|hello| hello.accepted = Some(EpochGeneration::new(2, 1)));
    assert_eq!(bench.newest_at(), EpochGeneration::new(1, 1));
    assert_eq!(bench.incidents(), ["unknown_epoch"]);
}

#[test]
fn an_assignment_is_dated_anew_before_it_ends() {
    let bench = Bench::new();
    bench.roll_out("1.0.0");
    let at = |days: u64| NOW.plus_days(days);
    let check = |now, expect| {
        bench.hello_at(now, |_| {});
        assert_eq!(bench.newest_at(), EpochGeneration::new(1, expect));
    };
    check(at(28), 1);
    check(at(29), 2);
    check(at(30), 2);
    assert_eq!(bench.since(), [EpochGeneration::new(1, 1)]);
}

#[test]
fn a_retry_and_a_new_version_raise_since() {
    let bench = Bench::new();
    bench.roll_out("1.0.0");
    bench.roll_out("1.0.0");
    assert_eq!(
        bench.newest_at(),
        EpochGeneration::new(1, 1),
        "nothing changed"
    );
    bench.retry("1.0.0");
    assert_eq!(bench.since(), [EpochGeneration::new(1, 2)]);
    bench.roll_out("2.0.0");
    assert_eq!(bench.since(), [EpochGeneration::new(1, 3)]);
}

#[test]
fn what_the_device_no_longer_keeps_is_passed_over() {
    let bench = Bench::new();
    bench.document(&Say::window(1, 30));
    bench.document(&Say::window(6, 30));
    let state = (Kind::Windows, WINDOWS, 5, 7, None);
    let heard = bench.hello(|hello| hello.streams = vec![state]);
    assert_eq!(heard.stored[0].through, Sequence(4));
    let taken = bench.document(&Say::window(5, 30));
    assert_eq!(acknowledged(&taken), Some((6, vec![])));
    // A number beyond what the device has ever given cannot be its first.
    let heard = bench.hello(|hello| hello.streams = vec![(Kind::Windows, WINDOWS, 99, 7, None)]);
    assert_eq!(heard.stored[0].through, Sequence(6));
}

#[test]
fn an_older_hello_of_the_same_boot_or_of_another_key_does_not_count() {
    let bench = Bench::new();
    let taken = |at_ms: u64, seed: u8| {
        let bytes = bench.hello_bytes(seed, |hello| hello.at_ms = at_ms);
        bench.take_hello(&bytes, NOW)
    };
    assert!(matches!(taken(10, 1), hello::Taken::Heard(_)));
    assert!(matches!(taken(10, 1), hello::Taken::Heard(_)));
    assert!(matches!(taken(9, 1), hello::Taken::Dropped(_)));
    assert!(matches!(taken(11, 2), hello::Taken::Dropped(_)));
}

#[test]
fn a_device_reaches_only_what_its_assignments_name() {
    let bench = Bench::new();
    let check = |digest: Digest, expect: bool| {
        let reached = bench.tx().reaches_blob(&bench.device, digest);
        assert_eq!(reached.expect("a store"), expect, "{digest}");
    };
    let may_read = |role: &str, expect: bool| {
        let may = fetch::may_read(&bench.tx(), &bench.device, role).expect("a store");
        assert_eq!(may, expect, "{role}");
    };
    let (first, second) = (bench.release("1.0.0"), bench.release("2.0.0"));
    first.iter().for_each(|digest| check(*digest, false));
    may_read("models/bearing", false);
    bench.roll_out("1.0.0");
    first.iter().for_each(|digest| check(*digest, true));
    second.iter().for_each(|digest| check(*digest, false));
    bench.hello(|hello| hello.accepted = Some(EpochGeneration::new(1, 1)));
    bench.roll_out("2.0.0");
    first
        .iter()
        .chain(&second)
        .for_each(|digest| check(*digest, true));
    bench.hello(|hello| hello.accepted = Some(EpochGeneration::new(1, 2)));
    first.iter().for_each(|digest| check(*digest, false));
    second.iter().for_each(|digest| check(*digest, true));
    check(Digest::of(b"anything"), false);
    for (role, expect) in [
        ("root", true),
        ("fleet.json", true),
        ("models/bearing", true),
        ("models/other", false),
        ("models/../root", false),
        ("other", false),
    ] {
        may_read(role, expect);
    }
}
