//! Power cuts at every output of a story, one and two of them, and the table of cut points.

extern crate std;
use super::super::Progress;
use super::device::Device;
use super::release::bundle;
use expect_test::{Expect, expect};
use muster_protocol::digest::Digest;
use std::format;
use std::string::String;
use std::vec::Vec;

/// A device with two releases behind it, on which the power will be cut.
fn device(cuts: &[usize]) -> Device {
    let mut device = Device::new();
    device.tell("install v1 1\n install v2 2");
    device.cuts = cuts.iter().copied().collect();
    device
}

/// Cuts the power before each output of the story, until it is told without a cut; gives the
/// table of cut points.
fn cut_everywhere(story: &str, first_cuts: &[usize], end: fn(&Device)) -> String {
    let mut table = String::new();
    for n in 0.. {
        let cuts: Vec<usize> = first_cuts.iter().copied().chain([n]).collect();
        let mut device = device(&cuts);
        device.tell(story);
        // Whatever is due comes due, however often.
        (0..4).for_each(|_| device.tell("tick"));
        end(&device);
        if !device.cuts.is_empty() {
            return table;
        }
        table += &format!("{}\n", device.cut_at);
    }
    table
}

fn check(story: &str, end: fn(&Device), expect: Expect) {
    let table = cut_everywhere(story, &[], end);
    expect.assert_eq(&table);
    for first in 0..table.lines().count() {
        let second = cut_everywhere(story, &[first], end);
        assert!(
            second.lines().count() >= 2,
            "no second cut after cut {first}"
        );
    }
}

fn ends(device: &Device, progress: Progress, active: &str, previous: Option<&str>) {
    let state = device.durable();
    let slot = |slot: Option<super::super::Slot>| slot.map(|slot| slot.release.bundle);
    assert_eq!(state.progress, progress, "{}", device.log);
    assert_eq!(slot(state.active), Some(bundle(active)), "{}", device.log);
    assert_eq!(slot(state.previous), previous.map(bundle), "{}", device.log);
    assert_eq!(device.routed, Some(bundle(active)), "{}", device.log);
    let kept: Vec<Digest> = previous.into_iter().chain([active]).map(bundle).collect();
    // Blobs whose discarding was cut off go with the next boot.
    assert!(
        kept.iter().all(|kept| device.blobs.contains(kept)),
        "{}",
        device.log
    );
}

#[test]
fn an_update_ends_committed_wherever_the_power_is_cut() {
    check(
        "assign v3 3",
        |device| ends(device, Progress::Committed, "v3", Some("v2")),
        expect![[r#"
            Committed tries 1 active v2 previous v1 before: persist
            Offered active v2 previous v1 before: report Offered
            Offered active v2 previous v1 before: fetch statement
            Offered active v2 previous v1 before: persist
            Offered active v2 previous v1 before: fetch plan v3
            Offered active v2 previous v1 before: report Fetching v3 since 1.3
            Offered active v2 previous v1 before: fetch pieces v3
            Offered active v2 previous v1 before: stage v3
            Offered active v2 previous v1 before: persist
            Trial tries 1 active v2 previous v1 before: report Staged v3 since 1.3
            Trial tries 1 active v2 previous v1 before: try v3
            Trial tries 1 active v2 previous v1 before: persist
            Probation tries 1 active v3? previous v2 before: route v3
            Probation tries 1 active v3? previous v2 before: discard v1
            Probation tries 1 active v3? previous v2 before: report Active v3 since 1.3
            Probation tries 1 active v3? previous v2 before: persist
            Committed tries 1 active v3 previous v2 before: report Committed v3 since 1.3
        "#]],
    );
}

#[test]
fn a_bad_update_ends_reverted_wherever_the_power_is_cut() {
    check(
        "crashes v3\n assign v3 3",
        |device| ends(device, Progress::Reverted, "v2", None),
        expect![[r#"
            Committed tries 1 active v2 previous v1 before: persist
            Offered active v2 previous v1 before: report Offered
            Offered active v2 previous v1 before: fetch statement
            Offered active v2 previous v1 before: persist
            Offered active v2 previous v1 before: fetch plan v3
            Offered active v2 previous v1 before: report Fetching v3 since 1.3
            Offered active v2 previous v1 before: fetch pieces v3
            Offered active v2 previous v1 before: stage v3
            Offered active v2 previous v1 before: persist
            Trial tries 1 active v2 previous v1 before: report Staged v3 since 1.3
            Trial tries 1 active v2 previous v1 before: try v3
            Trial tries 1 active v2 previous v1 before: persist
            Probation tries 1 active v3? previous v2 before: route v3
            Probation tries 1 active v3? previous v2 before: discard v1
            Probation tries 1 active v3? previous v2 before: report Active v3 since 1.3
            Probation tries 1 active v3? previous v2 before: persist
            Reverted tries 1 active v2 previous - before: route v2
            Reverted tries 1 active v2 previous - before: report Reverted v3 since 1.3 Crashed
            Reverted tries 1 active v2 previous - before: discard v3
        "#]],
    );
}

#[test]
fn a_rollback_ends_committed_wherever_the_power_is_cut() {
    check(
        "assign v1 3",
        |device| ends(device, Progress::Committed, "v1", Some("v2")),
        expect![[r#"
            Committed tries 1 active v2 previous v1 before: persist
            Offered active v2 previous v1 before: report Offered
            Offered active v2 previous v1 before: stage v1
            Offered active v2 previous v1 before: persist
            Trial tries 1 active v2 previous v1 before: report Staged v1 since 1.3
            Trial tries 1 active v2 previous v1 before: try v1
            Trial tries 1 active v2 previous v1 before: persist
            Probation tries 1 active v1 previous v2 before: route v1
            Probation tries 1 active v1 previous v2 before: report Active v1 since 1.3
            Probation tries 1 active v1 previous v2 before: persist
            Committed tries 1 active v1 previous v2 before: report Committed v1 since 1.3
        "#]],
    );
}

#[test]
fn a_revocation_holds_wherever_the_power_is_cut() {
    check(
        "revoke v2 fallback\n facts",
        |device| {
            let state = device.durable();
            assert_eq!(
                state.active.map(|slot| slot.release.bundle),
                Some(bundle("v1"))
            );
            assert_eq!(device.routed, Some(bundle("v1")), "{}", device.log);
        },
        expect![[r#"
            Committed tries 1 active v2 previous v1 before: persist
            Reverted tries 1 active v1 previous - before: route v1
            Reverted tries 1 active v1 previous - before: report Reverted v2 since 1.2 Revoked (fleet.json revokes it)
            Reverted tries 1 active v1 previous - before: discard v2
        "#]],
    );
}
