//! What a stick brings: late, twice, or after the same came over the broker.

use muster_protocol::id::Nonce;
use muster_protocol::message::{Kind, Step};

use super::super::carried;
use super::bench::{Bench, HelloSaid, NOW, RECEIPTS, Say, WINDOWS, stream};

/// Says documents as the broker brings them, then a hello of a stick: the device's own one that
/// `change` made, which counts or not; the incidents, and the windows' `through` of a new
/// acknowledgement.
fn check(
    said: &[Say],
    change: impl FnOnce(&mut HelloSaid),
    expect: (Result<(), &str>, &[&str], Option<u64>),
) {
    let bench = Bench::new();
    said.iter().for_each(|say| drop(bench.document(say)));
    let seen = bench.tx().last_hello(&bench.device).expect("a store");
    let bytes = bench.hello_bytes(1, |hello| {
        hello.at_ms = 9;
        change(hello);
    });
    let (tx, director) = (bench.tx(), bench.director());
    let taken = carried::take_hello(&tx, &director, &bench.device, &bytes, Nonce([9; 16]), NOW);
    assert_eq!(taken.expect("a store"), None, "it is well signed");
    let counted = tx.last_hello(&bench.device).expect("a store") != seen;
    let stored = carried::stored(&tx, &bench.device, NOW).expect("a store");
    let windows = stored.iter().find(|stored| stored.stream == WINDOWS);
    let got = (
        if counted { Ok(()) } else { Err("late") },
        windows.map(|stored| stored.through.0),
    );
    assert_eq!(got, (expect.0, expect.2), "{said:?}");
    assert_eq!(bench.incidents(), expect.1, "{said:?}");
}

fn streams(hello: &mut HelloSaid, first_kept: u64, next: u64) {
    hello.streams = vec![
        (Kind::Receipts, RECEIPTS, 1, 1, None),
        (Kind::Windows, WINDOWS, first_kept, next, None),
    ];
}

#[test]
fn a_hello_of_a_stick_counts_unless_more_is_known() {
    let said = [Say::window(1, 30), Say::window(2, 30)];
    check(&said, |hello| streams(hello, 1, 3), (Ok(()), &[], Some(2)));
    check(&said, |hello| streams(hello, 3, 3), (Ok(()), &[], Some(2)));
    // What it no longer keeps and never came is a gap, as ever.
    check(&said, |hello| streams(hello, 4, 5), (Ok(()), &[], Some(3)));
    check(
        &said,
        |hello| streams(hello, 1, 2),
        (Err("late"), &[], Some(2)),
    );
    check(&said, |_| (), (Ok(()), &[], Some(2)));
}

#[test]
fn a_late_hello_of_a_stream_that_was_replaced_is_no_clone() {
    let bench = Bench::new();
    bench.hello(|hello| {
        hello.at_ms = 8;
        hello.streams = vec![(Kind::Windows, stream(7), 1, 1, Some(WINDOWS))];
    });
    let late = bench.hello_bytes(1, |hello| streams(hello, 1, 1));
    let (tx, director) = (bench.tx(), bench.director());
    let taken = carried::take_hello(&tx, &director, &bench.device, &late, Nonce([9; 16]), NOW);
    assert_eq!(taken.expect("a store"), None);
    assert_eq!(bench.incidents(), Vec::<String>::new());
}

#[test]
fn a_hello_that_is_not_the_devices_is_refused_by_name() {
    let bench = Bench::new();
    let other = bench.hello_bytes(9, |hello| streams(hello, 1, 1));
    let (tx, director) = (bench.tx(), bench.director());
    let taken = carried::take_hello(&tx, &director, &bench.device, &other, Nonce([9; 16]), NOW);
    let because = taken.expect("a store").expect("refused");
    assert!(because.starts_with("hello: "), "{because}");
}

#[test]
fn only_streams_that_speak_are_acknowledged() {
    let bench = Bench::new();
    bench.document(&Say::receipt(1, "1.0.0", Step::Active));
    bench.document(&Say::window(2, 30));
    let stored = carried::stored(&bench.tx(), &bench.device, NOW).expect("a store");
    let streams: Vec<_> = stored.iter().map(|s| (s.stream, s.through.0)).collect();
    assert_eq!(streams, [(RECEIPTS, 1)], "windows have a hole at 1");
}
