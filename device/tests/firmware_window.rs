//! The window that the firmware must fold from its fixtures, folded here by the machines that
//! Linux uses: `firmware/fixtures/window.cbor`. `MUSTER_BLESS=1` writes it.

use muster_device::fold::{Subject, WindowFold};
use muster_protocol::bundle::Reference;
use muster_protocol::cbor;
use muster_protocol::cose;
use muster_protocol::digest::Digest;
use muster_protocol::message::{Assignment, Statement, Window};
use muster_protocol::stats::FeatureFold;
use muster_protocol::time::Millis;
use std::path::PathBuf;

/// A row: latency, then for each feature whether it is there and its value.
const LATENCY_BYTES: usize = 4;
const FEATURE_BYTES: usize = 5;
const ROW_MS: u64 = 100;
/// As in `firmware/board/main.rs`.
const LATENCY_OBJECTIVE_US: u32 = 1000;

fn path(name: &str) -> PathBuf {
    let package = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    package.join("../firmware/fixtures").join(name)
}

fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(path(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
}

fn subject(reference: &[u8]) -> Subject {
    let (assignment, statement) = (fixture("assignment-7.cose"), fixture("statement.cose"));
    let assignment: Assignment<'_> = cose::peek(&assignment).expect("an assignment");
    let statement: Statement = cose::peek(&statement).expect("a statement");
    let entry = assignment.entries.iter().next().expect("one entry");
    Subject {
        model: statement.model,
        bundle: statement.bundle,
        since: entry.since,
        reference: Some(Digest::of(reference)),
        latency_objective_us: Some(LATENCY_OBJECTIVE_US),
    }
}

#[test]
fn the_window_of_the_firmware_is_that_of_linux() {
    let (reference, samples) = (fixture("reference.cbor"), fixture("samples.bin"));
    let read: Reference<'_> = cbor::decode(&reference).expect("a reference");
    let scales = read.features.iter().map(|feature| feature.scale());
    let folds: Vec<_> = scales
        .map(|scale| FeatureFold::new(scale.expect("a scale")))
        .collect();
    let row_bytes = LATENCY_BYTES + FEATURE_BYTES * folds.len();
    let mut fold = WindowFold::new(subject(&reference), folds, Millis(0));
    for row in samples.chunks_exact(row_bytes) {
        let (latency, features) = row.split_first_chunk().expect("a row");
        fold.answered(1, u32::from_le_bytes(*latency));
        for (index, feature) in features.chunks_exact(FEATURE_BYTES).enumerate() {
            let value = f32::from_le_bytes(feature[1..].try_into().expect("four bytes"));
            fold.value(index, (feature[0] == 1).then_some(value));
        }
    }
    let ended = Millis(fold.calls() * ROW_MS);
    let mut bytes = vec![0; 8192];
    let len = fold.with_window(ended, None, |window| cbor::encode(window, &mut bytes));
    bytes.truncate(len.expect("fits"));
    check_reach(&bytes);

    let path = path("window.cbor");
    if std::env::var_os("MUSTER_BLESS").is_some_and(|bless| bless == "1") {
        std::fs::write(&path, &bytes).expect("the folder of fixtures is writable");
    }
    assert_eq!(bytes, fixture("window.cbor"), "MUSTER_BLESS=1 writes it");
}

/// A window of nothing but zeros would be equal on any machine.
fn check_reach(bytes: &[u8]) {
    let window: Window<'_> = cbor::decode(bytes).expect("a window");
    assert!(window.calls > 100 && window.latency.len() > 10);
    let misses = window.latency_misses.map_or(0, |misses| misses.count);
    assert!(misses > 0 && u64::from(misses) < window.calls, "{misses}");
    for feature in window.features.iter() {
        assert!(feature.bins.iter().all(|bin| bin > 0), "every bin");
        assert!(feature.missing > 0 && feature.non_finite > 0 && feature.out_of_range > 0);
        assert!(feature.sum != 0 && feature.sum_of_squares > 0);
    }
}
