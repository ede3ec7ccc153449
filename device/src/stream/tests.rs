//! Stories of one stream, told as inputs and the outputs that follow.

extern crate std;
use super::*;
use muster_protocol::cbor::List;
use muster_protocol::digest::Digest;
use muster_protocol::id::{DeviceId, EpochGeneration};
use muster_protocol::message::Rejected;
use std::format;
use std::string::String;
use std::vec::Vec;

const STREAM: StreamId = StreamId([7; 8]);

fn stream<const ROOM: usize>(through: u64, frozen: u64) -> Stream<ROOM> {
    Stream::new(STREAM, Sequence(through), frozen, 1)
}

fn window(body: u64, class: u64, readiness: Readiness) -> Input {
    Input::Added(pending(body, Some(class), readiness, 1))
}

fn pending(body: u64, class: Option<u64>, readiness: Readiness, closed_windows: u32) -> Pending {
    let class = class.map(|generation| MergeClass {
        bundle: Digest([1; 32]),
        since: EpochGeneration::new(1, generation),
        reference: None,
        latency_objective_us: None,
        beside: None,
    });
    Pending {
        body: Handle(body),
        class,
        readiness,
        closed_windows,
    }
}

/// Answers nothing and writes what the stream asks for.
fn drain<const ROOM: usize>(stream: &mut Stream<ROOM>, now: u64) -> String {
    let outputs = core::iter::from_fn(|| stream.poll_output(Millis(now)));
    outputs.map(|output| format!("{output:?}\n")).collect()
}

/// Like [`drain`], but plays a host whose disk always works.
fn obey<const ROOM: usize>(stream: &mut Stream<ROOM>, now: u64) -> Vec<Output> {
    let mut outputs = Vec::new();
    while let Some(output) = stream.poll_output(Millis(now)) {
        let answer = match output {
            Output::Freeze { body, .. } => Some(Input::Frozen(body)),
            Output::Covered { .. } => Some(Input::CoveredStored),
            Output::Merge { later, .. } => Some(Input::Merged(pending(
                later.0,
                Some(1),
                Readiness::Ready,
                2,
            ))),
            Output::Overflow { later, .. } => {
                Some(Input::Merged(pending(later.0, None, Readiness::Ready, 2)))
            }
            Output::Send { .. } | Output::Quarantine { .. } | Output::Supersede => None,
        };
        outputs.push(output);
        if let Some(answer) = answer {
            stream.handle(answer, Millis(now)).expect("room");
        }
    }
    outputs
}

fn acknowledge<const ROOM: usize>(
    stream: &mut Stream<ROOM>,
    through: u64,
    rejected: &[Rejected],
) -> Acked {
    stream.acknowledged(&Ack {
        device: DeviceId::parse("d").expect("valid"),
        stream: STREAM,
        through: Sequence(through),
        rejected: List::of(rejected),
    })
}

fn send(sequence: u64) -> Output {
    Output::Send {
        sequence: Sequence(sequence),
    }
}

fn freeze(body: u64, sequence: u64) -> Output {
    Output::Freeze {
        body: Handle(body),
        sequence: Sequence(sequence),
    }
}

fn covered(through: u64) -> Output {
    Output::Covered {
        through: Sequence(through),
    }
}

fn add<const ROOM: usize>(stream: &mut Stream<ROOM>, bodies: impl IntoIterator<Item = u64>) {
    for body in bodies {
        stream
            .handle(window(body, body, Readiness::Ready), Millis(0))
            .expect("room");
    }
}

#[test]
fn a_number_is_given_durably_before_the_first_send() {
    let mut stream = stream::<8>(0, 0);
    stream.handle(Input::Connected, Millis(0)).expect("no body");
    add(&mut stream, [1]);
    assert_eq!(drain(&mut stream, 0), format!("{:?}\n", freeze(1, 1)));
    stream
        .handle(Input::Frozen(Handle(1)), Millis(0))
        .expect("no body");
    assert_eq!(obey(&mut stream, 0), [send(1)]);
}

#[test]
fn what_is_acknowledged_is_removed_only_after_that_was_stored() {
    let mut stream = stream::<8>(4, 2);
    assert_eq!(
        (stream.first_kept(), stream.next()),
        (Sequence(5), Sequence(7))
    );
    assert_eq!(acknowledge(&mut stream, 5, &[]), Acked::Taken);
    assert_eq!(drain(&mut stream, 0), format!("{:?}\n", covered(5)));
    assert_eq!(stream.first_kept(), Sequence(5));
    stream
        .handle(Input::CoveredStored, Millis(0))
        .expect("no body");
    assert_eq!(
        (stream.first_kept(), stream.next()),
        (Sequence(6), Sequence(7))
    );
}

#[test]
fn at_most_sixteen_are_frozen() {
    let mut stream = stream::<32>(0, 0);
    add(&mut stream, 1..=20);
    let frozen = obey(&mut stream, 0).len();
    assert_eq!((frozen, stream.pending()), (FROZEN_MAX, 4));
    assert_eq!(acknowledge(&mut stream, 1, &[]), Acked::Taken);
    assert_eq!(obey(&mut stream, 0), [covered(1), freeze(17, 17)]);
}

#[test]
fn silence_and_reconnecting_send_again_and_numbers_stay() {
    let mut stream = stream::<8>(0, 2);
    stream.handle(Input::Connected, Millis(0)).expect("no body");
    assert_eq!(obey(&mut stream, 0), [send(1), send(2)]);
    let (deadline, _) = stream.poll_timeout().expect("waits");
    stream
        .handle(Input::Tick, Millis(deadline.0 - 1))
        .expect("no body");
    assert_eq!(obey(&mut stream, deadline.0 - 1), []);
    stream.handle(Input::Tick, deadline).expect("no body");
    assert_eq!(obey(&mut stream, deadline.0), [send(1), send(2)]);
    stream
        .handle(Input::Disconnected, deadline)
        .expect("no body");
    assert_eq!(stream.poll_timeout(), None);
    stream.handle(Input::Connected, deadline).expect("no body");
    assert_eq!(obey(&mut stream, deadline.0), [send(1), send(2)]);
}

#[test]
fn what_is_acknowledged_while_the_disk_works_is_not_taken_for_stored() {
    let mut stream = stream::<4>(0, 3);
    acknowledge(&mut stream, 1, &[]);
    assert_eq!(stream.poll_output(Millis(0)), Some(covered(1)));
    acknowledge(&mut stream, 2, &[]);
    stream
        .handle(Input::CoveredStored, Millis(0))
        .expect("no room is asked for");
    assert_eq!(stream.first_kept(), Sequence(2));
    assert_eq!(obey(&mut stream, 0), [covered(2)]);
    assert_eq!(stream.first_kept(), Sequence(3));
}

#[test]
fn acknowledgements_that_say_nothing_new_are_ignored() {
    let mut stream = stream::<8>(4, 2);
    assert_eq!(acknowledge(&mut stream, 4, &[]), Acked::Ignored);
    assert_eq!(acknowledge(&mut stream, 3, &[]), Acked::Ignored);
    let other = Ack {
        device: DeviceId::parse("d").expect("valid"),
        stream: StreamId([8; 8]),
        through: Sequence(6),
        rejected: List::default(),
    };
    assert_eq!(stream.acknowledged(&other), Acked::Ignored);
    assert_eq!(obey(&mut stream, 0), []);
}

#[test]
fn an_acknowledgement_beyond_what_was_sent_begins_a_new_stream() {
    let mut stream = stream::<8>(4, 2);
    assert_eq!(acknowledge(&mut stream, 7, &[]), Acked::BeyondSent);
    assert_eq!(obey(&mut stream, 0), [Output::Supersede]);
    assert_eq!(stream.first_kept(), Sequence(5));
}

#[test]
fn a_rejected_document_is_quarantined_and_not_sent_again() {
    let mut stream = stream::<8>(0, 2);
    let rejected = Rejected {
        sequence: Sequence(1),
        reason: RejectReason::Malformed,
    };
    assert_eq!(acknowledge(&mut stream, 2, &[rejected]), Acked::Taken);
    let quarantine = Output::Quarantine {
        sequence: Sequence(1),
        reason: RejectReason::Malformed,
    };
    assert_eq!(obey(&mut stream, 0), [quarantine, covered(2)]);
    assert!(stream.is_drained());
}

#[test]
fn a_window_with_too_few_samples_waits_for_one_to_merge_with() {
    let mut stream = stream::<8>(0, 0);
    stream
        .handle(window(1, 1, Readiness::Held), Millis(0))
        .expect("room");
    assert_eq!(obey(&mut stream, 0), []);
    stream
        .handle(window(2, 1, Readiness::Held), Millis(0))
        .expect("room");
    let merge = Output::Merge {
        earlier: Handle(1),
        later: Handle(2),
    };
    assert_eq!(obey(&mut stream, 0), [merge, freeze(2, 1)]);
}

#[test]
fn a_full_store_merges_and_loses_no_window() {
    let mut stream = stream::<4>(0, 16);
    let mut windows = 0;
    for body in 1..=50 {
        stream
            .handle(window(body, 1, Readiness::Ready), Millis(0))
            .expect("room was made");
        windows += 1;
        while let Some(output) = stream.poll_output(Millis(0)) {
            let Output::Merge { earlier, later } = output else {
                panic!("{output:?}")
            };
            let of = |handle| {
                let body = stream.pending.iter().find(|body| body.body == handle);
                body.expect("known").closed_windows
            };
            let sum = of(earlier) + of(later);
            let merged = pending(later.0, Some(1), Readiness::Ready, sum);
            stream
                .handle(Input::Merged(merged), Millis(0))
                .expect("no new body");
        }
        let kept: u32 = stream.pending.iter().map(|body| body.closed_windows).sum();
        assert_eq!(kept, windows);
    }
}

#[test]
fn a_held_window_stops_no_other_and_merges_past_them() {
    let mut stream = stream::<8>(0, 0);
    let bodies = [
        window(1, 1, Readiness::Held),
        window(2, 2, Readiness::Ready),
    ];
    for body in bodies {
        stream.handle(body, Millis(0)).expect("room");
    }
    assert_eq!(obey(&mut stream, 0), [freeze(2, 1)]);
    add(&mut stream, [3]);
    assert_eq!(obey(&mut stream, 0), [freeze(3, 2)]);
    // Kept from a number by a full store of numbers, the other classes stay between the two.
    let mut stream = Stream::<8>::new(STREAM, Sequence(0), 16, 1);
    let bodies = [
        window(1, 1, Readiness::Held),
        window(2, 2, Readiness::Ready),
        window(3, 1, Readiness::Held),
    ];
    for body in bodies {
        stream.handle(body, Millis(0)).expect("room");
    }
    let merge = Output::Merge {
        earlier: Handle(1),
        later: Handle(3),
    };
    assert_eq!(obey(&mut stream, 0), [merge]);
}

#[test]
fn a_held_window_whose_class_never_comes_again_is_released_by_the_host() {
    let mut stream = stream::<8>(0, 0);
    let held = window(1, 1, Readiness::Held);
    stream.handle(held, Millis(0)).expect("room");
    assert_eq!(obey(&mut stream, 0), []);
    let held: Vec<_> = stream.held().map(|body| body.body).collect();
    assert_eq!(held, [Handle(1)]);
    let released = pending(1, Some(2), Readiness::Ready, 1);
    stream
        .handle(Input::Released(released), Millis(0))
        .expect("no new body");
    assert_eq!(stream.held().count(), 0);
    assert_eq!(obey(&mut stream, 0), [freeze(1, 1)]);
}

/// Fills a stream whose numbers are all in use; gives the bodies left, as (class, windows).
fn overflow(classes: &[Option<u64>], readiness: Readiness, frozen: u64) -> Vec<(bool, u32)> {
    let mut stream = Stream::<4>::new(STREAM, Sequence(0), frozen, 1);
    let mut added = 0;
    for (body, class) in (1..).zip(classes) {
        let body = Input::Added(pending(body, *class, readiness, 1));
        stream.handle(body, Millis(0)).expect("room was made");
        added += 1;
        for outputs in 0.. {
            assert!(outputs < 4, "it never ends");
            let Some(output) = stream.poll_output(Millis(0)) else {
                break;
            };
            let Output::Overflow { earlier, later } = output else {
                panic!("{output:?}")
            };
            let windows = [earlier, later].map(|handle| {
                let body = stream.pending.iter().find(|body| body.body == handle);
                body.expect("known").closed_windows
            });
            let gap = pending(later.0, None, Readiness::Ready, windows.iter().sum());
            stream
                .handle(Input::Merged(gap), Millis(0))
                .expect("no new body");
        }
        let kept: u32 = stream.pending.iter().map(|body| body.closed_windows).sum();
        assert_eq!(kept, added);
    }
    let left = stream.pending.iter();
    left.map(|body| (body.class.is_some(), body.closed_windows))
        .collect()
}

#[test]
fn when_nothing_merges_the_oldest_become_one_gap_and_it_ends() {
    let windows: Vec<_> = (1..=50).map(Some).collect();
    let one_gap_and_the_newest = [(false, 49), (true, 1)];
    assert_eq!(
        overflow(&windows, Readiness::Ready, 16),
        one_gap_and_the_newest
    );
    // What never merges, such as receipts: the oldest are given up.
    assert_eq!(
        overflow(&[None; 50], Readiness::Ready, 16),
        [(false, 49), (false, 1)]
    );
}

#[test]
fn held_windows_of_many_classes_cannot_fill_the_store() {
    let mut stream = stream::<4>(0, 0);
    for body in 1..=20 {
        stream
            .handle(window(body, body, Readiness::Held), Millis(0))
            .expect("room was made");
        obey(&mut stream, 0);
    }
    assert!(stream.next() > Sequence(1), "their gap has a number");
}
