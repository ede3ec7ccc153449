//! What becomes of bodies: no count is lost, and none is counted twice.

use super::*;
use muster_protocol::digest::Digest;
use muster_protocol::id::EpochGeneration;
use muster_protocol::message::{AgreementCount, DifferenceCount, FeatureWindow};
use muster_protocol::stats::FeatureCounts;
use muster_protocol::time::Millis;

pub(in crate::supervisor::outbox) fn signing() -> Signing {
    Signing {
        device: DeviceId::parse("d").expect("valid"),
        boot: BootId([1; 8]),
        key: SigningKey::from_bytes(&[1; 32]),
    }
}

/// A window of `calls` rows with one feature, open from and to these times of a boot.
pub(in crate::supervisor::outbox) fn window(
    bundle: u8,
    boot: u8,
    span: (u64, u64),
    calls: u64,
) -> Vec<u8> {
    let counts = FeatureCounts::default();
    let features = [FeatureWindow::of(&counts, 2)];
    let window = Window {
        model: ModelId::parse("bearing").expect("valid"),
        bundle: Digest([bundle; 32]),
        since: EpochGeneration::new(1, 1),
        reference: Some(Digest([9; 32])),
        started: Millis(span.0),
        ended: Millis(span.1),
        unix: None,
        closed_windows: 1,
        calls,
        errors: List::default(),
        latency: List::default(),
        features: List::of(&features),
        latency_misses: None,
        shadow: None,
        scores: None,
        labels: None,
    };
    encode(
        Content::Window(window),
        &signing().device,
        BootId([boot; 8]),
    )
}

/// The same of a shadow beside this bundle: one pair, and rows that both answered.
fn window_beside(beside: u8, calls: u64) -> Vec<u8> {
    let body = window(1, 1, (0, 5), calls);
    let document = read(&body);
    let agreement = [AgreementCount {
        serving: 1,
        shadow: 2,
        count: 1,
    }];
    let differences = [DifferenceCount {
        bucket: 4,
        count: 1,
    }];
    let shadow = Shadow {
        beside: Digest([beside; 32]),
        served: 2 * calls,
        compared: calls,
        agreement: List::of(&agreement),
        differences: List::of(&differences),
        latency: List::default(),
    };
    let window = Window {
        shadow: Some(shadow),
        ..document.window.expect("a window")
    };
    let (device, boot) = (document.device, document.boot);
    encode(Content::Window(window), &device, boot)
}

fn read(body: &[u8]) -> Document<'_> {
    cbor::decode(body).expect("a body")
}

#[test]
fn a_window_of_few_rows_is_held_until_its_features_are_gone() {
    let body = window(1, 1, (0, 5), 3);
    assert_eq!(describe(Handle(1), &body).readiness, Readiness::Held);
    let released = without_features(&body).expect("a window");
    let pending = describe(Handle(1), &released);
    assert_eq!(pending.readiness, Readiness::Ready);
    assert_eq!(pending.closed_windows, 1);
    let window = read(&released).window.expect("a window");
    assert_eq!((window.calls, window.reference), (3, None));
    assert!(window.features.is_empty());
}

/// Few pairs could show single answers, with features or without.
#[test]
fn the_window_of_a_shadow_of_few_rows_is_held_until_its_pairs_are_gone() {
    let body = window_beside(7, 3);
    let document = read(&body);
    let bare = Window {
        features: List::default(),
        ..document.window.clone().expect("a window")
    };
    let bare = encode(Content::Window(bare), &document.device, document.boot);
    for body in [body.clone(), bare] {
        assert_eq!(describe(Handle(1), &body).readiness, Readiness::Held);
        let released = without_features(&body).expect("a window");
        assert_eq!(describe(Handle(1), &released).readiness, Readiness::Ready);
        let window = read(&released).window.expect("a window");
        let shadow = window.shadow.expect("that of a shadow");
        assert_eq!((shadow.served, shadow.compared), (6, 3));
        assert!(shadow.agreement.is_empty() && shadow.differences.is_empty());
    }
    let many = window_beside(7, 20);
    assert_eq!(describe(Handle(1), &many).readiness, Readiness::Ready);
}

#[test]
fn windows_of_shadows_merge_only_beside_the_same_bundle() {
    let check = |one: &[u8], other: &[u8], expect: bool| {
        let class = |body: &[u8]| describe(Handle(1), body).class;
        assert_eq!(class(one) == class(other), expect);
        assert_eq!(merge(one, other).is_some(), expect);
    };
    check(&window_beside(7, 3), &window_beside(7, 4), true);
    check(&window_beside(7, 3), &window_beside(8, 4), false);
    check(&window_beside(7, 3), &window(1, 1, (5, 9), 4), false);
}

#[test]
fn a_gap_sums_windows_and_gaps() {
    let (a, b) = (window(1, 1, (0, 5), 3), window(2, 1, (5, 9), 40));
    let gap = give_up(&a, &b, &signing());
    let gap = give_up(&gap, &window(3, 1, (9, 12), 1), &signing());
    let expect = Gap {
        model: Some(ModelId::parse("bearing").expect("valid")),
        reason: GapReason::StoreFull,
        closed_windows: 3,
        calls: 44,
    };
    assert_eq!(read(&gap).gap, Some(expect));
    assert_eq!(describe(Handle(1), &gap).closed_windows, 3);
    let with_damaged = give_up(&gap, b"damaged", &signing());
    assert_eq!(read(&with_damaged).gap.expect("a gap").closed_windows, 3);
}

#[test]
fn merged_over_a_boot_a_window_is_of_the_later_boot() {
    let merged = merge(&window(1, 1, (100, 200), 3), &window(1, 2, (10, 20), 4)).expect("alike");
    let document = read(&merged);
    let window = document.window.expect("a window");
    assert_eq!(document.boot, BootId([2; 8]));
    assert_eq!((window.started, window.ended), (Millis(10), Millis(20)));
    assert_eq!((window.calls, window.closed_windows), (7, 2));
}

#[test]
fn a_checkpoint_is_known_in_what_became_of_it() {
    let checkpoint = window(1, 1, (10, 15), 3);
    let check = |bytes: &[u8], expect: bool| assert_eq!(holds(bytes, &checkpoint), expect);
    let closed = window(1, 1, (10, 20), 5);
    check(&closed, true);
    check(&sign(&closed, NO_STREAM, Sequence(3), &signing()), true);
    let merged = merge(&window(1, 1, (0, 10), 9), &closed).expect("alike");
    check(&merged, true);
    check(&window(1, 1, (0, 10), 9), false);
    check(&window(1, 1, (20, 30), 9), false);
    check(&window(2, 1, (10, 20), 5), false);
    // The same times of another boot are others.
    check(&window(1, 2, (10, 20), 5), false);
    check(b"damaged", false);
}

#[test]
fn a_damaged_body_is_signed_as_a_gap() {
    let bytes = sign(b"damaged", NO_STREAM, Sequence(3), &signing());
    let document = cose::peek::<Document<'_>>(&bytes).expect("a document");
    assert_eq!(document.sequence, Sequence(3));
    assert_eq!(document.gap.expect("a gap").reason, GapReason::Damaged);
}
