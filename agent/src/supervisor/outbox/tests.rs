//! Stories of one lane on a real folder: whatever the disk does, every window is counted once.

use super::bodies::tests::{signing, window};
use super::documents::Kept;
use super::*;
use muster_protocol::cbor;
use muster_protocol::cose;
use muster_protocol::message::{Document, GapReason};
use std::fs;
use std::path::PathBuf;

fn with_outbox(test: impl FnOnce(&Store, Outbox)) {
    let folder = tempfile::tempdir().expect("temporary folder");
    let store = Store::open(folder.path()).expect("opens");
    let outbox = open(&store);
    test(&store, outbox);
}

fn open(store: &Store) -> Outbox {
    let lane = |kind, id| Lane::open_as(store, kind, StreamId([id; 8])).expect("opens");
    Outbox {
        receipts: lane(Kind::Receipts, 1),
        windows: lane(Kind::Windows, 2),
        signing: signing(),
        held_since: BTreeMap::new(),
        held_due: None,
    }
}

/// Does all that the stream asks for; gives how much that was.
fn obey(lane: &mut Lane) -> usize {
    let mut outputs = 0;
    while let Some(output) = lane.stream.poll_output(Millis(0)) {
        outputs += 1;
        assert!(outputs < 10_000, "it never ends");
        lane.obey(output, &signing(), Millis(0))
            .expect("the disk works");
    }
    outputs
}

/// Closed windows and rows of everything stored, and how many gaps of which reasons.
fn stored(lane: &Lane) -> (u32, u64, Vec<GapReason>) {
    let (mut windows, mut calls, mut gaps) = (0, 0, Vec::new());
    for bytes in lane.queue.bodies() {
        let body = cbor::decode::<Document<'_>>(&bytes).ok();
        let document = body
            .or_else(|| cose::peek(&bytes).ok())
            .expect("a document");
        if let Some(window) = document.window {
            windows += window.closed_windows;
            calls += window.calls;
        }
        if let Some(gap) = document.gap {
            windows += gap.closed_windows;
            calls += gap.calls;
            gaps.push(gap.reason);
        }
    }
    (windows, calls, gaps)
}

/// Makes every write of a new body fail until the folders are gone again.
fn block(store: &Store, lane: &Lane) -> Vec<PathBuf> {
    let folder = store.folder().join("queue/windows");
    let next = lane.queue.bodies().len() as u64 + 1;
    let names = (1..=next + 9).map(|n| folder.join(format!("p-{n:020}.tmp")));
    let names: Vec<_> = names.collect();
    names
        .iter()
        .for_each(|name| fs::create_dir(name).expect("makes"));
    names
}

fn unblock(names: &[PathBuf]) {
    names
        .iter()
        .for_each(|name| fs::remove_dir(name).expect("removes"));
}

#[test]
fn a_lane_without_room_ends_and_keeps_every_count() {
    with_outbox(|store, mut outbox| {
        let lane = &mut outbox.windows;
        let n = ROOM as u64 + 40;
        for at in 0..n {
            // Every one of another bundle, so that none merges.
            let bundle = u8::try_from(at % 251).expect("small");
            let mut body = window(bundle, 1, (at, at + 1), 20);
            if at >= 251 {
                body = bodies::without_features(&body).expect("a window");
            }
            lane.put(body, &signing(), Millis(0));
            obey(lane);
        }
        let (windows, calls, gaps) = stored(lane);
        assert_eq!((u64::from(windows), calls), (n, 20 * n));
        assert!(lane.waiting.is_empty());
        assert_eq!(gaps, [GapReason::StoreFull]);
        let reopened = open(store);
        assert_eq!(stored(&reopened.windows), (windows, calls, gaps));
    });
}

#[test]
fn windows_that_the_disk_refuses_are_stored_later_and_none_is_lost() {
    with_outbox(|store, mut outbox| {
        let blocked = block(store, &outbox.windows);
        let lane = &mut outbox.windows;
        for at in 0..200 {
            let bundle = u8::try_from(at % 100).expect("small");
            let kept = lane.put(window(bundle, 1, (at, at + 1), 20), &signing(), Millis(0));
            assert_eq!(kept, Kept::InMemory);
        }
        assert_eq!(outbox.next_due(), Some(Millis(DISK_RETRY_MS)));
        let lane = &mut outbox.windows;
        assert_eq!(lane.store_oldest(Millis(DISK_RETRY_MS - 1)), None);
        unblock(&blocked);
        while lane.store_oldest(Millis(DISK_RETRY_MS)).is_some() {}
        let (windows, calls, _) = stored(lane);
        assert_eq!((windows, calls), (200, 4000));
    });
}

#[test]
fn a_checkpoint_stays_until_its_window_is_durable() {
    with_outbox(|store, mut outbox| {
        let (open, closed) = (window(1, 1, (0, 5), 20), window(1, 1, (0, 9), 30));
        let path = store.checkpoint("bearing-0101010101010101");
        fs::write(&path, &open).expect("writes");
        let blocked = block(store, &outbox.windows);
        assert_eq!(
            outbox.windows.put(closed, &signing(), Millis(0)),
            Kept::InMemory
        );
        unblock(&blocked);
        let other = window(1, 1, (9, 15), 30);
        outbox.remove_checkpoint_of(store, &other);
        assert!(path.exists());
        let body = outbox.windows.store_oldest(Millis(DISK_RETRY_MS));
        outbox.remove_checkpoint_of(store, &body.expect("stored"));
        assert!(!path.exists());
    });
}

/// What the windows stream holds after a start that finds this checkpoint.
fn check_start(
    stored_before: Option<Vec<u8>>,
    checkpoint: &[u8],
    expect: (u32, u64, &[GapReason]),
) {
    with_outbox(|store, mut outbox| {
        if let Some(body) = stored_before {
            outbox.put_window(body);
        }
        let path = store.checkpoint("bearing-0101010101010101");
        fs::write(&path, checkpoint).expect("writes");
        outbox.close_checkpoint(&path).expect("the disk works");
        assert!(!path.exists());
        let (windows, calls, gaps) = stored(&outbox.windows);
        assert_eq!((windows, calls, gaps.as_slice()), expect);
    });
}

#[test]
fn a_checkpoint_found_at_the_start_is_counted_once() {
    let checkpoint = window(1, 1, (10, 15), 30);
    let cut = [GapReason::PowerCut];
    check_start(None, &checkpoint, (1, 30, &cut));
    // Its window was stored just before the cut, which may have taken of the next.
    let closed = window(1, 1, (10, 20), 40);
    check_start(Some(closed), &checkpoint, (1, 40, &cut));
    let closed_before = window(1, 1, (0, 10), 50);
    check_start(Some(closed_before), &checkpoint, (2, 80, &cut));
    check_start(None, b"damaged", (0, 0, &cut));
}

#[test]
fn a_released_window_is_sent_without_its_features() {
    with_outbox(|_, mut outbox| {
        let lane = &mut outbox.windows;
        lane.put(window(1, 1, (0, 5), 3), &signing(), Millis(0));
        assert_eq!(obey(lane), 0);
        let held: Vec<_> = lane.stream.held().map(|body| body.body).collect();
        lane.release(held[0], Millis(0)).expect("the disk works");
        assert_eq!(obey(lane), 1);
        let document = lane.document(Sequence(1), &signing()).expect("reads");
        let window = cose::peek::<Document<'_>>(&document)
            .expect("a document")
            .window;
        let window = window.expect("a window");
        assert_eq!((window.calls, window.features.len()), (3, 0));
    });
}

#[test]
fn a_damaged_half_of_a_pair_is_reported_and_the_other_kept() {
    with_outbox(|store, mut outbox| {
        let lane = &mut outbox.windows;
        for at in 0..2 {
            lane.put(window(1, 1, (at, at + 1), 3), &signing(), Millis(0));
        }
        let first = store.folder().join(format!("queue/windows/p-{:020}", 1));
        fs::write(first, b"damaged").expect("writes");
        obey(lane);
        assert_eq!(stored(lane), (1, 3, vec![GapReason::Damaged]));
    });
}

#[test]
fn a_document_that_the_disk_lost_is_sent_as_a_gap_under_its_number() {
    with_outbox(|store, mut outbox| {
        for at in 0..3 {
            let lane = &mut outbox.windows;
            lane.put(window(1, 1, (at, at + 1), 30), &signing(), Millis(0));
            obey(lane);
        }
        let name = format!("queue/windows/f-{:020}-{:020}", 2, 2);
        fs::remove_file(store.folder().join(name)).expect("removes");
        let mut lane = open(store).windows;
        assert_eq!(lane.stream.next(), Sequence(4));
        let document = lane.document(Sequence(2), &signing()).expect("replaces");
        let document = cose::peek::<Document<'_>>(&document).expect("a document");
        assert_eq!(document.sequence, Sequence(2));
        assert_eq!(document.gap.expect("a gap").reason, GapReason::Damaged);
        assert_eq!(open(store).windows.stream.next(), Sequence(4));
    });
}
