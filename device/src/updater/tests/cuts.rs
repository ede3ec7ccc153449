//! Power cuts at every output of a story, one and two of them, and the table of cut points.

extern crate std;
use super::super::Progress;
use super::device::Device;
use super::release::bundle;
use expect_test::{Expect, expect};
use muster_protocol::digest::Digest;
use muster_protocol::message::Role;
use std::format;
use std::string::String;
use std::vec::Vec;

/// A device with two releases behind it, or with a shadow, on which the power will be cut.
fn device(role: Role, cuts: &[usize]) -> Device {
    let mut device = Device::new(role);
    device.tell(match role {
        Role::Serve => "install v1 1\n install v2 2",
        Role::Shadow => "install v2 2",
    });
    device.cuts = cuts.iter().copied().collect();
    device
}

/// Cuts the power before each output of the story, until it is told without a cut; gives the
/// table of cut points.
fn cut_everywhere(role: Role, story: &str, first_cuts: &[usize], end: fn(&Device)) -> String {
    let mut table = String::new();
    for n in 0.. {
        let cuts: Vec<usize> = first_cuts.iter().copied().chain([n]).collect();
        let mut device = device(role, &cuts);
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
    check_as(Role::Serve, story, end, expect);
}

fn check_as(role: Role, story: &str, end: fn(&Device), expect: Expect) {
    let table = cut_everywhere(role, story, &[], end);
    expect.assert_eq(&table);
    for first in 0..table.lines().count() {
        let second = cut_everywhere(role, story, &[first], end);
        assert!(!second.is_empty(), "no second cut after cut {first}");
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

fn shadow_ends(device: &Device, progress: Progress, active: Option<&str>) {
    let state = device.durable();
    let slot = state.active.map(|slot| slot.release.bundle);
    assert_eq!(state.progress, progress, "{}", device.log);
    assert_eq!(
        (slot, state.previous),
        (active.map(bundle), None),
        "{}",
        device.log
    );
    assert_eq!(device.routed, active.map(bundle), "{}", device.log);
}

#[test]
fn a_new_shadow_runs_wherever_the_power_is_cut() {
    check_as(
        Role::Shadow,
        "assign v3 3",
        |device| shadow_ends(device, Progress::Probation, Some("v3")),
        expect![[r#"
            Probation tries 1 active v2? previous - before: persist
            Offered active - previous - before: unroute
            Offered active - previous - before: report Offered
            Offered active - previous - before: discard v2
            Offered active - previous - before: fetch statement
            Offered active - previous - before: persist
            Offered active - previous - before: fetch plan v3
            Offered active - previous - before: report Fetching v3 since 1.3
            Offered active - previous - before: fetch pieces v3
            Offered active - previous - before: stage v3
            Offered active - previous - before: persist
            Trial tries 1 active - previous - before: report Staged v3 since 1.3
            Trial tries 1 active - previous - before: try v3
            Trial tries 1 active - previous - before: persist
            Probation tries 1 active v3? previous - before: route v3
            Probation tries 1 active v3? previous - before: report Shadowing v3 since 1.3
        "#]],
    );
}

#[test]
fn a_shadow_that_fails_ends_wherever_the_power_is_cut() {
    check_as(
        Role::Shadow,
        "crashes v3\n assign v3 3",
        |device| shadow_ends(device, Progress::Reverted, None),
        expect![[r#"
            Probation tries 1 active v2? previous - before: persist
            Offered active - previous - before: unroute
            Offered active - previous - before: report Offered
            Offered active - previous - before: discard v2
            Offered active - previous - before: fetch statement
            Offered active - previous - before: persist
            Offered active - previous - before: fetch plan v3
            Offered active - previous - before: report Fetching v3 since 1.3
            Offered active - previous - before: fetch pieces v3
            Offered active - previous - before: stage v3
            Offered active - previous - before: persist
            Trial tries 1 active - previous - before: report Staged v3 since 1.3
            Trial tries 1 active - previous - before: try v3
            Trial tries 1 active - previous - before: persist
            Probation tries 1 active v3? previous - before: route v3
            Probation tries 1 active v3? previous - before: report Shadowing v3 since 1.3
            Probation tries 1 active v3? previous - before: persist
            Reverted tries 1 active - previous - before: unroute
            Reverted tries 1 active - previous - before: report Reverted v3 since 1.3 Crashed
            Reverted tries 1 active - previous - before: discard v3
        "#]],
    );
}

#[test]
fn what_a_shadow_proved_serves_wherever_the_power_is_cut() {
    check(
        "assign v3 3 beside",
        |device| ends(device, Progress::Committed, "v3", Some("v2")),
        expect![[r#"
            Committed tries 1 active v2 previous v1 before: persist
            Offered active v2 previous v1 before: report Offered
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
