//! Stories of one model, told as commands and everything that the updater asked for.
//!
//! A wrong transcript fails; so does, in any story, a release that serves without a trial,
//! without its blobs or without being durable, and blobs that are discarded too early.

extern crate std;

mod attacks;
mod cuts;
mod device;
mod release;
mod shadow;
mod walks;

use device::Device;
use expect_test::{Expect, expect};
use muster_protocol::message::Role;

fn check(script: &str, expect: Expect) {
    check_as(Role::Serve, script, expect);
}

fn check_as(role: Role, script: &str, expect: Expect) {
    let mut device = Device::new(role);
    device.tell(script);
    expect.assert_eq(&device.log);
}

#[test]
fn a_first_install() {
    check(
        "assign v1 1\n tick",
        expect![[r#"
            > assign v1 1
              persist Offered active - previous -
              report Offered
              fetch statement
              persist Offered active - previous -
              fetch plan v1
              report Fetching v1 since 1.1
              fetch pieces v1
              stage v1
              persist Trial tries 1 active - previous -
              report Staged v1 since 1.1
              try v1
              persist Probation tries 1 active v1? previous -
              route v1
              report Active v1 since 1.1
            > tick
              60000 ms later: probation ends
              persist Committed tries 1 active v1 previous -
              report Committed v1 since 1.1
        "#]],
    );
}

#[test]
fn a_second_version_keeps_the_previous_one_and_drops_the_one_before() {
    check(
        "install v1 1\n install v2 2\n assign v3 3 stop_first\n tick",
        expect![[r#"
            > install v1 1
            > install v2 2
            > assign v3 3 stop_first
              persist Offered active v2 previous v1
              report Offered
              fetch statement
              persist Offered active v2 previous v1
              fetch plan v3
              report Fetching v3 since 1.3
              fetch pieces v3
              stage v3
              persist Trial tries 1 active v2 previous v1
              report Staged v3 since 1.3
              try v3
              persist Probation tries 1 active v3? previous v2
              route v3 StopFirst
              discard v1
              report Active v3 since 1.3
            > tick
              60000 ms later: probation ends
              persist Committed tries 1 active v3 previous v2
              report Committed v3 since 1.3
        "#]],
    );
}

#[test]
fn the_same_entry_again_does_nothing() {
    check(
        "install v1 1\n assign v1 1\n answer trial WrongOutput\n assign v2 2\n assign v2 2",
        expect![[r#"
            > install v1 1
            > assign v1 1
            > answer trial WrongOutput
            > assign v2 2
              persist Offered active v1 previous -
              report Offered
              fetch statement
              persist Offered active v1 previous -
              fetch plan v2
              report Fetching v2 since 1.2
              fetch pieces v2
              stage v2
              persist Trial tries 1 active v1 previous -
              report Staged v2 since 1.2
              try v2
              persist Refused tries 1 active v1 previous -
              report Refused v2 since 1.2 WrongOutput
              discard v2
            > assign v2 2
        "#]],
    );
}

#[test]
fn a_model_that_is_removed_leaves_nothing() {
    check(
        "install v1 1\n install v2 2\n remove\n remove",
        expect![[r#"
        > install v1 1
        > install v2 2
        > remove
          persist Nothing active - previous -
          unroute
          discard v2
          discard v1
          report Removed v2 since 1.2
        > remove
    "#]],
    );
    check(
        "answer pieces silence\n assign v1 1\n remove\n say fetched v1",
        expect![[r#"
            > answer pieces silence
            > assign v1 1
              persist Offered active - previous -
              report Offered
              fetch statement
              persist Offered active - previous -
              fetch plan v1
              report Fetching v1 since 1.1
              fetch pieces v1
            > remove
              persist Nothing active - previous -
              unroute
              discard v1
              report Removed v1 since 1.1
            > say fetched v1
        "#]],
    );
}

#[test]
fn what_may_not_run_is_refused_before_it_is_downloaded() {
    check(
        "install v1 1\n assign v2-m4 4\n assign v2-agent 5",
        expect![[r#"
            > install v1 1
            > assign v2-m4 4
              persist Offered active v1 previous -
              report Offered
              fetch statement
              persist Refused active v1 previous -
              report Refused TargetClass (it is for cortex-m4f, this machine is linux)
            > assign v2-agent 5
              persist Offered active v1 previous -
              report Offered
              fetch statement
              persist Refused active v1 previous -
              report Refused AgentTooOld (it needs agent level 2, this is 1)
        "#]],
    );
    check(
        "install v1 1\n assign v2-memory 2\n assign v2-disk 3",
        expect![[r#"
            > install v1 1
            > assign v2-memory 2
              persist Offered active v1 previous -
              report Offered
              fetch statement
              persist Refused active v1 previous -
              report Refused Memory (it plans 1001 bytes of memory, 1000 are left beside the others)
            > assign v2-disk 3
              persist Offered active v1 previous -
              report Offered
              fetch statement
              persist Refused active v1 previous -
              report Refused Disk (it needs 1001 bytes of disk, 1000 are left)
        "#]],
    );
}

#[test]
fn a_wrong_manifest_or_hash_list_is_refused_at_once() {
    check(
        "answer plan Manifest\n assign v1 1\n answer pieces HashList\n assign v1 2",
        expect![[r#"
            > answer plan Manifest
            > assign v1 1
              persist Offered active - previous -
              report Offered
              fetch statement
              persist Offered active - previous -
              fetch plan v1
              persist Refused active - previous -
              report Refused v1 since 1.1 Manifest
              discard v1
            > answer pieces HashList
            > assign v1 2
              persist Offered active - previous -
              report Offered
              fetch statement
              persist Offered active - previous -
              fetch plan v1
              report Fetching v1 since 1.2
              fetch pieces v1
              persist Refused active - previous -
              report Refused v1 since 1.2 HashList
              discard v1
        "#]],
    );
}

#[test]
fn drop_request_attacks_only_delay() {
    check(
        "answer statement foreign\n answer statement unavailable\n answer plan unavailable
         answer pieces unavailable\n assign v1 1\n tick\n tick\n tick\n tick",
        expect![[r#"
            > answer statement foreign
            > answer statement unavailable
            > answer plan unavailable
            > answer pieces unavailable
            > assign v1 1
              persist Offered active - previous -
              report Offered
              fetch statement
            > tick
              1240 ms later: something was not to be had: ask again
              fetch statement
            > tick
              3819 ms later: something was not to be had: ask again
              fetch statement
              persist Offered active - previous -
              fetch plan v1
            > tick
              1638 ms later: something was not to be had: ask again
              fetch plan v1
              report Fetching v1 since 1.1
              fetch pieces v1
            > tick
              1315 ms later: something was not to be had: ask again
              fetch pieces v1
              stage v1
              persist Trial tries 1 active - previous -
              report Staged v1 since 1.1
              try v1
              persist Probation tries 1 active v1? previous -
              route v1
              report Active v1 since 1.1
        "#]],
    );
}

#[test]
fn a_link_that_comes_up_shortens_the_pauses_of_the_network() {
    check(
        "answer statement unavailable\n answer statement unavailable\n answer statement unavailable
         answer statement unavailable\n answer statement unavailable\n answer statement unavailable
         answer pieces unavailable\n say link_up\n assign v1 1\n tick\n tick\n tick\n tick\n tick
         say link_up\n say link_up\n tick\n say link_up\n tick\n say link_up\n tick",
        expect![[r#"
            > answer statement unavailable
            > answer statement unavailable
            > answer statement unavailable
            > answer statement unavailable
            > answer statement unavailable
            > answer statement unavailable
            > answer pieces unavailable
            > say link_up
            > assign v1 1
              persist Offered active - previous -
              report Offered
              fetch statement
            > tick
              1240 ms later: something was not to be had: ask again
              fetch statement
            > tick
              3819 ms later: something was not to be had: ask again
              fetch statement
            > tick
              4972 ms later: something was not to be had: ask again
              fetch statement
            > tick
              9064 ms later: something was not to be had: ask again
              fetch statement
            > tick
              21118 ms later: something was not to be had: ask again
              fetch statement
            > say link_up
            > say link_up
            > tick
              1388 ms later: something was not to be had: ask again
              fetch statement
              persist Offered active - previous -
              fetch plan v1
              report Fetching v1 since 1.1
              fetch pieces v1
            > say link_up
            > tick
              1200 ms later: something was not to be had: ask again
              fetch pieces v1
              stage v1
              persist Trial tries 1 active - previous -
              report Staged v1 since 1.1
              try v1
              persist Probation tries 1 active v1? previous -
              route v1
              report Active v1 since 1.1
            > say link_up
            > tick
              60000 ms later: probation ends
              persist Committed tries 1 active v1 previous -
              report Committed v1 since 1.1
        "#]],
    );
}

#[test]
fn a_link_that_comes_up_does_not_hurry_what_this_machine_judged() {
    check(
        "answer trial Crashed\n answer trial Crashed\n assign v1 1\n tick\n say link_up\n tick",
        expect![[r#"
            > answer trial Crashed
            > answer trial Crashed
            > assign v1 1
              persist Offered active - previous -
              report Offered
              fetch statement
              persist Offered active - previous -
              fetch plan v1
              report Fetching v1 since 1.1
              fetch pieces v1
              stage v1
              persist Trial tries 1 active - previous -
              report Staged v1 since 1.1
              try v1
            > tick
              1240 ms later: something was not to be had: ask again
              persist Trial tries 2 active - previous -
              try v1
            > say link_up
            > tick
              3819 ms later: something was not to be had: ask again
              persist Trial tries 3 active - previous -
              try v1
              persist Probation tries 3 active v1? previous -
              route v1
              report Active v1 since 1.1
        "#]],
    );
}

#[test]
fn a_late_answer_ends_the_pause() {
    check(
        "answer pieces unavailable\n answer trial silence\n assign v1 1\n say fetched v1\n tick",
        expect![[r#"
            > answer pieces unavailable
            > answer trial silence
            > assign v1 1
              persist Offered active - previous -
              report Offered
              fetch statement
              persist Offered active - previous -
              fetch plan v1
              report Fetching v1 since 1.1
              fetch pieces v1
            > say fetched v1
              stage v1
              persist Trial tries 1 active - previous -
              report Staged v1 since 1.1
              try v1
            > tick
        "#]],
    );
}

#[test]
fn slow_retrieval_ends_when_accept_by_passes() {
    check(
        "answer pieces silence\n assign v1 1\n say expired",
        expect![[r#"
            > answer pieces silence
            > assign v1 1
              persist Offered active - previous -
              report Offered
              fetch statement
              persist Offered active - previous -
              fetch plan v1
              report Fetching v1 since 1.1
              fetch pieces v1
            > say expired
              persist Refused active - previous -
              report Refused v1 since 1.1 Expired (accept_by passed before it was staged)
              discard v1
        "#]],
    );
    check(
        "answer trial silence\n assign v1 1\n say expired",
        expect![[r#"
            > answer trial silence
            > assign v1 1
              persist Offered active - previous -
              report Offered
              fetch statement
              persist Offered active - previous -
              fetch plan v1
              report Fetching v1 since 1.1
              fetch pieces v1
              stage v1
              persist Trial tries 1 active - previous -
              report Staged v1 since 1.1
              try v1
            > say expired
        "#]],
    );
}

#[test]
fn damaged_blobs_are_fetched_again_but_not_for_ever() {
    check(
        "answer stage Blob\n assign v1 1\n tick",
        expect![[r#"
            > answer stage Blob
            > assign v1 1
              persist Offered active - previous -
              report Offered
              fetch statement
              persist Offered active - previous -
              fetch plan v1
              report Fetching v1 since 1.1
              fetch pieces v1
              stage v1
              persist Offered tries 1 active - previous -
              discard v1
            > tick
              1240 ms later: something was not to be had: ask again
              fetch plan v1
              report Fetching v1 since 1.1
              fetch pieces v1
              stage v1
              persist Trial tries 2 active - previous -
              report Staged v1 since 1.1
              try v1
              persist Probation tries 2 active v1? previous -
              route v1
              report Active v1 since 1.1
        "#]],
    );
    check(
        "answer stage Blob\n answer stage Blob\n answer stage Blob\n assign v1 1\n tick\n tick",
        expect![[r#"
            > answer stage Blob
            > answer stage Blob
            > answer stage Blob
            > assign v1 1
              persist Offered active - previous -
              report Offered
              fetch statement
              persist Offered active - previous -
              fetch plan v1
              report Fetching v1 since 1.1
              fetch pieces v1
              stage v1
              persist Offered tries 1 active - previous -
              discard v1
            > tick
              1240 ms later: something was not to be had: ask again
              fetch plan v1
              report Fetching v1 since 1.1
              fetch pieces v1
              stage v1
              persist Offered tries 2 active - previous -
              discard v1
            > tick
              1448 ms later: something was not to be had: ask again
              fetch plan v1
              report Fetching v1 since 1.1
              fetch pieces v1
              stage v1
              persist Refused tries 3 active - previous -
              report Refused v1 since 1.1 Blob
              discard v1
        "#]],
    );
}

#[test]
fn a_wrong_output_is_refused_at_once_and_a_crash_after_three_tries() {
    check(
        "install v1 1\n answer trial WrongOutput\n assign v2 2\n tick",
        expect![[r#"
            > install v1 1
            > answer trial WrongOutput
            > assign v2 2
              persist Offered active v1 previous -
              report Offered
              fetch statement
              persist Offered active v1 previous -
              fetch plan v2
              report Fetching v2 since 1.2
              fetch pieces v2
              stage v2
              persist Trial tries 1 active v1 previous -
              report Staged v2 since 1.2
              try v2
              persist Refused tries 1 active v1 previous -
              report Refused v2 since 1.2 WrongOutput
              discard v2
            > tick
        "#]],
    );
    check(
        "install v1 1\n answer trial Crashed\n answer trial Hung\n answer trial Crashed
         assign v2 2\n tick\n say passed v2\n tick\n tick",
        expect![[r#"
            > install v1 1
            > answer trial Crashed
            > answer trial Hung
            > answer trial Crashed
            > assign v2 2
              persist Offered active v1 previous -
              report Offered
              fetch statement
              persist Offered active v1 previous -
              fetch plan v2
              report Fetching v2 since 1.2
              fetch pieces v2
              stage v2
              persist Trial tries 1 active v1 previous -
              report Staged v2 since 1.2
              try v2
            > tick
              1240 ms later: something was not to be had: ask again
              persist Trial tries 2 active v1 previous -
              try v2
            > say passed v2
            > tick
              3819 ms later: something was not to be had: ask again
              persist Trial tries 3 active v1 previous -
              try v2
              persist Refused tries 3 active v1 previous -
              report Refused v2 since 1.2 Crashed
              discard v2
            > tick
        "#]],
    );
}

#[test]
fn a_trial_that_kills_the_machine_is_given_up_and_what_served_serves() {
    check(
        "install v1 1\n kills v2\n assign v2 2",
        expect![[r#"
            > install v1 1
            > kills v2
            > assign v2 2
              persist Offered active v1 previous -
              report Offered
              fetch statement
              persist Offered active v1 previous -
              fetch plan v2
              report Fetching v2 since 1.2
              fetch pieces v2
              stage v2
              persist Trial tries 1 active v1 previous -
              report Staged v2 since 1.2
              try v2
              power cut
              route v1
              stage v2
              persist Trial tries 2 active v1 previous -
              try v2
              power cut
              route v1
              stage v2
              persist Trial tries 3 active v1 previous -
              try v2
              power cut
              route v1
              stage v2
              persist Refused tries 3 active v1 previous -
              report Refused v2 since 1.2 TriesExhausted (every trial took the machine or its worker down)
              discard v2
        "#]],
    );
}

#[test]
fn a_crash_on_probation_reverts_and_is_not_tried_again_until_asked() {
    check(
        "install v1 1\n assign v2 2\n fail v2 Crashed\n fail v2 Crashed\n assign v2 2\n cut
         assign v2 3\n tick",
        expect![[r#"
            > install v1 1
            > assign v2 2
              persist Offered active v1 previous -
              report Offered
              fetch statement
              persist Offered active v1 previous -
              fetch plan v2
              report Fetching v2 since 1.2
              fetch pieces v2
              stage v2
              persist Trial tries 1 active v1 previous -
              report Staged v2 since 1.2
              try v2
              persist Probation tries 1 active v2? previous v1
              route v2
              report Active v2 since 1.2
            > fail v2 Crashed
              persist Reverted tries 1 active v1 previous -
              route v1
              report Reverted v2 since 1.2 Crashed
              discard v2
            > fail v2 Crashed
            > assign v2 2
            > cut
              power cut
              route v1
              report Reverted v2 since 1.2 Crashed (as decided before this boot)
            > assign v2 3
              persist Offered active v1 previous -
              report Offered
              fetch statement
              persist Offered active v1 previous -
              fetch plan v2
              report Fetching v2 since 1.3
              fetch pieces v2
              stage v2
              persist Trial tries 1 active v1 previous -
              report Staged v2 since 1.3
              try v2
              persist Probation tries 1 active v2? previous v1
              route v2
              report Active v2 since 1.3
            > tick
              60000 ms later: probation ends
              persist Committed tries 1 active v2 previous v1
              report Committed v2 since 1.3
        "#]],
    );
}

#[test]
fn a_first_version_that_fails_on_probation_serves_no_more() {
    check(
        "crashes v1\n assign v1 1",
        expect![[r#"
            > crashes v1
            > assign v1 1
              persist Offered active - previous -
              report Offered
              fetch statement
              persist Offered active - previous -
              fetch plan v1
              report Fetching v1 since 1.1
              fetch pieces v1
              stage v1
              persist Trial tries 1 active - previous -
              report Staged v1 since 1.1
              try v1
              persist Probation tries 1 active v1? previous -
              route v1
              report Active v1 since 1.1
              persist Reverted tries 1 active - previous -
              unroute
              report Reverted v1 since 1.1 Crashed
              discard v1
        "#]],
    );
}

#[test]
fn a_failure_after_probation_reverts_to_an_eligible_previous() {
    check(
        "install v1 1\n install v2 2\n fail v2 Latency\n fail v1 Crashed",
        expect![[r#"
            > install v1 1
            > install v2 2
            > fail v2 Latency
              persist Reverted tries 1 active v1 previous -
              route v1
              report Reverted v2 since 1.2 Latency
              discard v2
            > fail v1 Crashed
              report Degraded v1 since 1.1 Crashed
        "#]],
    );
}

#[test]
fn without_an_eligible_previous_what_serves_is_degraded_once() {
    check(
        "install v1 1\n fail v1 Crashed\n fail v1 Crashed\n say recovered\n say recovered
         fail v1 Latency\n assign v2 2\n tick\n floor 2\n facts\n fail v2 Crashed",
        expect![[r#"
            > install v1 1
            > fail v1 Crashed
              report Degraded v1 since 1.1 Crashed
            > fail v1 Crashed
            > say recovered
              report Recovered v1 since 1.1
            > say recovered
            > fail v1 Latency
              report Degraded v1 since 1.1 Latency
            > assign v2 2
              persist Offered active v1 previous -
              report Offered
              fetch statement
              persist Offered active v1 previous -
              fetch plan v2
              report Fetching v2 since 1.2
              fetch pieces v2
              stage v2
              persist Trial tries 1 active v1 previous -
              report Staged v2 since 1.2
              try v2
              persist Probation tries 1 active v2? previous v1
              route v2
              report Active v2 since 1.2
            > tick
              60000 ms later: probation ends
              persist Committed tries 1 active v2 previous v1
              report Committed v2 since 1.2
            > floor 2
            > facts
              persist Committed tries 1 active v2 previous v1 floors 2/2
            > fail v2 Crashed
              report Degraded v2 since 1.2 Crashed
        "#]],
    );
}

#[test]
fn a_model_that_is_new_here_begins_with_the_floor_of_the_facts() {
    check(
        "floor 2\n assign v2 1",
        expect![[r#"
        > floor 2
        > assign v2 1
          persist Offered active - previous - floors 2/0
          report Offered
          fetch statement
          persist Offered active - previous - floors 2/0
          fetch plan v2
          report Fetching v2 since 1.1
          fetch pieces v2
          stage v2
          persist Trial tries 1 active - previous - floors 2/0
          report Staged v2 since 1.1
          try v2
          persist Probation tries 1 active v2? previous - floors 2/0
          route v2
          report Active v2 since 1.1
    "#]],
    );
}

#[test]
fn what_proved_itself_stays_behind_two_that_follow_each_other_on_probation() {
    check(
        "install v1 1\n assign v2 2\n assign v1 3\n assign v2 4\n fail v2 Crashed",
        expect![[r#"
            > install v1 1
            > assign v2 2
              persist Offered active v1 previous -
              report Offered
              fetch statement
              persist Offered active v1 previous -
              fetch plan v2
              report Fetching v2 since 1.2
              fetch pieces v2
              stage v2
              persist Trial tries 1 active v1 previous -
              report Staged v2 since 1.2
              try v2
              persist Probation tries 1 active v2? previous v1
              route v2
              report Active v2 since 1.2
            > assign v1 3
              persist Offered active v2? previous v1
              report Offered
              stage v1
              persist Trial tries 1 active v2? previous v1
              report Staged v1 since 1.3
              try v1
              persist Probation tries 1 active v1 previous -
              route v1
              discard v2
              report Active v1 since 1.3
            > assign v2 4
              persist Offered active v1 previous -
              report Offered
              fetch statement
              persist Offered active v1 previous -
              fetch plan v2
              report Fetching v2 since 1.4
              fetch pieces v2
              stage v2
              persist Trial tries 1 active v1 previous -
              report Staged v2 since 1.4
              try v2
              persist Probation tries 1 active v2? previous v1
              route v2
              report Active v2 since 1.4
            > fail v2 Crashed
              persist Reverted tries 1 active v1 previous -
              route v1
              report Reverted v2 since 1.4 Crashed
              discard v2
        "#]],
    );
}

#[test]
fn what_serves_badly_says_nothing_of_the_same_bundle_on_its_way_to_mend_it() {
    check(
        "install v1 1\n fail v1 Blob\n answer stage Blob\n answer pieces silence\n assign v1 2\n tick
         fail v1 Blob\n fail v1 Blob\n cut\n fail v1 Blob\n tick",
        expect![[r#"
            > install v1 1
            > fail v1 Blob
              report Degraded v1 since 1.1 Blob
            > answer stage Blob
            > answer pieces silence
            > assign v1 2
              persist Offered active v1 previous -
              report Offered
              stage v1
              persist Offered tries 1 active v1 previous -
            > tick
              1240 ms later: something was not to be had: ask again
              fetch plan v1
              report Fetching v1 since 1.2
              fetch pieces v1
            > fail v1 Blob
            > fail v1 Blob
            > cut
              power cut
              route v1
              fetch plan v1
              report Fetching v1 since 1.2
              fetch pieces v1
              stage v1
              persist Trial tries 2 active v1 previous -
              report Staged v1 since 1.2
              try v1
              persist Probation tries 2 active v1 previous -
              route v1
              report Active v1 since 1.2
            > fail v1 Blob
              report Degraded v1 since 1.2 Blob
            > tick
              60000 ms later: probation ends
        "#]],
    );
}

#[test]
fn what_proved_itself_once_is_not_taken_away_by_a_retry_that_fails() {
    check(
        "install v1 1\n fail v1 Crashed\n assign v1 2\n fail v1 Crashed\n cut\n fail v1 Crashed",
        expect![[r#"
            > install v1 1
            > fail v1 Crashed
              report Degraded v1 since 1.1 Crashed
            > assign v1 2
              persist Offered active v1 previous -
              report Offered
              stage v1
              persist Trial tries 1 active v1 previous -
              report Staged v1 since 1.2
              try v1
              persist Probation tries 1 active v1 previous -
              route v1
              report Active v1 since 1.2
            > fail v1 Crashed
              report Degraded v1 since 1.2 Crashed
            > cut
              power cut
              route v1
              report Active v1 since 1.2
            > fail v1 Crashed
              report Degraded v1 since 1.2 Crashed
        "#]],
    );
}

#[test]
fn what_is_degraded_on_probation_proves_nothing_yet() {
    check(
        "install v1 1\n assign v2 2\n revoke v1 fallback\n facts\n fail v2 Latency\n tick
         say recovered\n tick",
        expect![[r#"
            > install v1 1
            > assign v2 2
              persist Offered active v1 previous -
              report Offered
              fetch statement
              persist Offered active v1 previous -
              fetch plan v2
              report Fetching v2 since 1.2
              fetch pieces v2
              stage v2
              persist Trial tries 1 active v1 previous -
              report Staged v2 since 1.2
              try v2
              persist Probation tries 1 active v2? previous v1
              route v2
              report Active v2 since 1.2
            > revoke v1 fallback
            > facts
            > fail v2 Latency
              report Degraded v2 since 1.2 Latency
            > tick
              60000 ms later: probation ends
            > say recovered
              report Recovered v2 since 1.2
            > tick
              60000 ms later: probation ends
              persist Committed tries 1 active v2 previous v1
              report Committed v2 since 1.2
        "#]],
    );
}

#[test]
fn seen_floors_bar_candidates() {
    check(
        "install v1 1\n install v2 2\n floor 2\n facts\n assign v1 3\n assign v3 4",
        expect![[r#"
            > install v1 1
            > install v2 2
            > floor 2
            > facts
              persist Committed tries 1 active v2 previous v1 floors 2/2
            > assign v1 3
              persist Refused active v2 previous v1 floors 2/2
              report Offered
              persist Refused active v2 previous v1 floors 2/2
              report Refused v1 since 1.3 BelowFloor (its rank is 1, the floor is 2)
            > assign v3 4
              persist Offered active v2 previous v1 floors 2/2
              report Offered
              fetch statement
              persist Offered active v2 previous v1 floors 2/2
              fetch plan v3
              report Fetching v3 since 1.4
              fetch pieces v3
              stage v3
              persist Trial tries 1 active v2 previous v1 floors 2/2
              report Staged v3 since 1.4
              try v3
              persist Probation tries 1 active v3? previous v2 floors 2/2
              route v3
              discard v1
              report Active v3 since 1.4
        "#]],
    );
    check(
        "install v1 1\n answer trial silence\n assign v2 2\n floor 3\n facts",
        expect![[r#"
            > install v1 1
            > answer trial silence
            > assign v2 2
              persist Offered active v1 previous -
              report Offered
              fetch statement
              persist Offered active v1 previous -
              fetch plan v2
              report Fetching v2 since 1.2
              fetch pieces v2
              stage v2
              persist Trial tries 1 active v1 previous -
              report Staged v2 since 1.2
              try v2
            > floor 3
            > facts
              persist Refused tries 1 active v1 previous - floors 3/0
              report Refused v2 since 1.2 BelowFloor (its rank is 2, the floor is 3)
              discard v2
        "#]],
    );
}

#[test]
fn committed_floors_bar_fallbacks() {
    // On probation the previous release may lie below what was seen.
    check(
        "install v1 1\n floor 2\n facts\n assign v2 2\n fail v2 Crashed",
        expect![[r#"
            > install v1 1
            > floor 2
            > facts
              persist Committed tries 1 active v1 previous - floors 2/0
            > assign v2 2
              persist Offered active v1 previous - floors 2/0
              report Offered
              fetch statement
              persist Offered active v1 previous - floors 2/0
              fetch plan v2
              report Fetching v2 since 1.2
              fetch pieces v2
              stage v2
              persist Trial tries 1 active v1 previous - floors 2/0
              report Staged v2 since 1.2
              try v2
              persist Probation tries 1 active v2? previous v1 floors 2/0
              route v2
              report Active v2 since 1.2
            > fail v2 Crashed
              persist Reverted tries 1 active v1 previous - floors 2/0
              route v1
              report Reverted v2 since 1.2 Crashed
              discard v2
        "#]],
    );
    // Once the newer one has proved itself it may not, whichever came first.
    check(
        "install v1 1\n floor 2\n facts\n install v2 2\n fail v2 Crashed",
        expect![[r#"
            > install v1 1
            > floor 2
            > facts
              persist Committed tries 1 active v1 previous - floors 2/0
            > install v2 2
            > fail v2 Crashed
              report Degraded v2 since 1.2 Crashed
        "#]],
    );
    check(
        "install v1 1\n install v2 2\n floor 2\n facts\n fail v2 Crashed",
        expect![[r#"
            > install v1 1
            > install v2 2
            > floor 2
            > facts
              persist Committed tries 1 active v2 previous v1 floors 2/2
            > fail v2 Crashed
              report Degraded v2 since 1.2 Crashed
        "#]],
    );
}

#[test]
fn what_is_revoked_never_begins_to_serve() {
    check(
        "install v1 1\n revoke v2 fallback\n facts\n assign v2 2",
        expect![[r#"
            > install v1 1
            > revoke v2 fallback
            > facts
            > assign v2 2
              persist Offered active v1 previous -
              report Offered
              fetch statement
              persist Refused active v1 previous -
              report Refused Revoked (fleet.json revokes sha256:0202020202020202020202020202020202020202020202020202020202020202)
        "#]],
    );
    check(
        "install v1 1\n answer pieces silence\n assign v2 2\n revoke v2 stop\n facts",
        expect![[r#"
            > install v1 1
            > answer pieces silence
            > assign v2 2
              persist Offered active v1 previous -
              report Offered
              fetch statement
              persist Offered active v1 previous -
              fetch plan v2
              report Fetching v2 since 1.2
              fetch pieces v2
            > revoke v2 stop
            > facts
              persist Refused active v1 previous -
              report Refused v2 since 1.2 Revoked (fleet.json revokes sha256:0202020202020202020202020202020202020202020202020202020202020202)
              discard v2
        "#]],
    );
}

#[test]
fn revoked_with_stop_serves_no_more() {
    check(
        "install v1 1\n install v2 2\n revoke v2 stop\n facts\n facts\n fail v2 Crashed\n cut",
        expect![[r#"
            > install v1 1
            > install v2 2
            > revoke v2 stop
            > facts
              persist Stopped tries 1 active - previous v1
              unroute
              report Stopped v2 since 1.2 Revoked (fleet.json revokes it)
              discard v2
            > facts
            > fail v2 Crashed
            > cut
              power cut
              report Stopped v2 since 1.2 Revoked (as decided before this boot)
        "#]],
    );
}

#[test]
fn revoked_with_fallback_falls_back_or_keeps_serving() {
    check(
        "install v1 1\n install v2 2\n revoke v2 fallback\n facts",
        expect![[r#"
            > install v1 1
            > install v2 2
            > revoke v2 fallback
            > facts
              persist Reverted tries 1 active v1 previous -
              route v1
              report Reverted v2 since 1.2 Revoked (fleet.json revokes it)
              discard v2
        "#]],
    );
    check(
        "install v1 1\n revoke v1 fallback\n facts\n facts\n fail v1 Crashed",
        expect![[r#"
            > install v1 1
            > revoke v1 fallback
            > facts
              report RevokedNoFallback v1 since 1.1 Revoked (fleet.json revokes it)
            > facts
            > fail v1 Crashed
              report Degraded v1 since 1.1 Crashed
        "#]],
    );
    check(
        "install v1 1\n install v2 2\n revoke v1 stop\n facts\n fail v2 Crashed",
        expect![[r#"
            > install v1 1
            > install v2 2
            > revoke v1 stop
            > facts
            > fail v2 Crashed
              report Degraded v2 since 1.2 Crashed
        "#]],
    );
}

#[test]
fn trouble_of_what_serves_does_not_stop_its_successor() {
    check(
        "install v1 1\n install v2 2\n answer pieces silence\n assign v3 3\n fail v2 Crashed
         revoke v1 stop\n facts\n say fetched v3\n tick",
        expect![[r#"
            > install v1 1
            > install v2 2
            > answer pieces silence
            > assign v3 3
              persist Offered active v2 previous v1
              report Offered
              fetch statement
              persist Offered active v2 previous v1
              fetch plan v3
              report Fetching v3 since 1.3
              fetch pieces v3
            > fail v2 Crashed
              persist Offered active v1 previous -
              route v1
              report Reverted v2 since 1.2 Crashed
              discard v2
            > revoke v1 stop
            > facts
              persist Offered active - previous -
              unroute
              report Stopped v1 since 1.1 Revoked (fleet.json revokes it)
              discard v1
            > say fetched v3
              stage v3
              persist Trial tries 1 active - previous -
              report Staged v3 since 1.3
              try v3
              persist Probation tries 1 active v3? previous -
              route v3
              report Active v3 since 1.3
            > tick
              60000 ms later: probation ends
              persist Committed tries 1 active v3 previous -
              report Committed v3 since 1.3
        "#]],
    );
}

#[test]
fn rolling_back_to_the_previous_release_fetches_nothing() {
    check(
        "install v1 1\n install v2 2\n assign v1 3\n tick",
        expect![[r#"
            > install v1 1
            > install v2 2
            > assign v1 3
              persist Offered active v2 previous v1
              report Offered
              stage v1
              persist Trial tries 1 active v2 previous v1
              report Staged v1 since 1.3
              try v1
              persist Probation tries 1 active v1 previous v2
              route v1
              report Active v1 since 1.3
            > tick
              60000 ms later: probation ends
              persist Committed tries 1 active v1 previous v2
              report Committed v1 since 1.3
        "#]],
    );
    check(
        "install v1 1\n install v2 2\n answer stage silence\n assign v1 3\n cut\n tick",
        expect![[r#"
            > install v1 1
            > install v2 2
            > answer stage silence
            > assign v1 3
              persist Offered active v2 previous v1
              report Offered
              stage v1
            > cut
              power cut
              route v2
              stage v1
              persist Trial tries 1 active v2 previous v1
              report Staged v1 since 1.3
              try v1
              persist Probation tries 1 active v1 previous v2
              route v1
              report Active v1 since 1.3
            > tick
              60000 ms later: probation ends
              persist Committed tries 1 active v1 previous v2
              report Committed v1 since 1.3
        "#]],
    );
}

#[test]
fn what_serves_already_stays_without_a_trial() {
    check(
        "install v1 1\n assign v1 2",
        expect![[r#"
        > install v1 1
        > assign v1 2
          persist Committed active v1 previous -
          report Offered
          persist Committed active v1 previous -
          route v1
          report Committed v1 since 1.2
    "#]],
    );
    check(
        "assign v1 1\n assign v1 2\n tick",
        expect![[r#"
            > assign v1 1
              persist Offered active - previous -
              report Offered
              fetch statement
              persist Offered active - previous -
              fetch plan v1
              report Fetching v1 since 1.1
              fetch pieces v1
              stage v1
              persist Trial tries 1 active - previous -
              report Staged v1 since 1.1
              try v1
              persist Probation tries 1 active v1? previous -
              route v1
              report Active v1 since 1.1
            > assign v1 2
              persist Probation active v1? previous -
              report Offered
              persist Probation active v1? previous -
              route v1
              report Active v1 since 1.2
            > tick
              60000 ms later: probation ends
              persist Committed active v1 previous -
              report Committed v1 since 1.2
        "#]],
    );
}

#[test]
fn a_newer_entry_takes_over_at_any_time() {
    check(
        "answer pieces silence\n assign v1 1\n answer statement silence\n assign v2 2\n say fetched v1",
        expect![[r#"
            > answer pieces silence
            > assign v1 1
              persist Offered active - previous -
              report Offered
              fetch statement
              persist Offered active - previous -
              fetch plan v1
              report Fetching v1 since 1.1
              fetch pieces v1
            > answer statement silence
            > assign v2 2
              persist Offered active - previous -
              report Offered
              discard v1
              fetch statement
            > say fetched v1
        "#]],
    );
    check(
        "answer trial silence\n assign v1 1\n answer trial silence\n assign v2 2\n say passed v1\n fail v1 Crashed",
        expect![[r#"
            > answer trial silence
            > assign v1 1
              persist Offered active - previous -
              report Offered
              fetch statement
              persist Offered active - previous -
              fetch plan v1
              report Fetching v1 since 1.1
              fetch pieces v1
              stage v1
              persist Trial tries 1 active - previous -
              report Staged v1 since 1.1
              try v1
            > answer trial silence
            > assign v2 2
              persist Offered active - previous -
              report Offered
              discard v1
              fetch statement
              persist Offered active - previous -
              fetch plan v2
              report Fetching v2 since 1.2
              fetch pieces v2
              stage v2
              persist Trial tries 1 active - previous -
              report Staged v2 since 1.2
              try v2
            > say passed v1
            > fail v1 Crashed
        "#]],
    );
    check(
        "install v1 1\n assign v2 2\n assign v3 3\n tick",
        expect![[r#"
            > install v1 1
            > assign v2 2
              persist Offered active v1 previous -
              report Offered
              fetch statement
              persist Offered active v1 previous -
              fetch plan v2
              report Fetching v2 since 1.2
              fetch pieces v2
              stage v2
              persist Trial tries 1 active v1 previous -
              report Staged v2 since 1.2
              try v2
              persist Probation tries 1 active v2? previous v1
              route v2
              report Active v2 since 1.2
            > assign v3 3
              persist Offered active v2? previous v1
              report Offered
              fetch statement
              persist Offered active v2? previous v1
              fetch plan v3
              report Fetching v3 since 1.3
              fetch pieces v3
              stage v3
              persist Trial tries 1 active v2? previous v1
              report Staged v3 since 1.3
              try v3
              persist Probation tries 1 active v3? previous v1
              route v3
              discard v2
              report Active v3 since 1.3
            > tick
              60000 ms later: probation ends
              persist Committed tries 1 active v3 previous v1
              report Committed v3 since 1.3
        "#]],
    );
}

#[test]
fn a_retry_while_fetching_keeps_the_pieces() {
    check(
        "answer pieces silence\n assign v1 1\n answer pieces silence\n assign v1 2",
        expect![[r#"
            > answer pieces silence
            > assign v1 1
              persist Offered active - previous -
              report Offered
              fetch statement
              persist Offered active - previous -
              fetch plan v1
              report Fetching v1 since 1.1
              fetch pieces v1
            > answer pieces silence
            > assign v1 2
              persist Offered active - previous -
              report Offered
              fetch statement
              persist Offered active - previous -
              fetch plan v1
              report Fetching v1 since 1.2
              fetch pieces v1
        "#]],
    );
}

#[test]
fn probation_can_be_lengthened_but_not_shortened() {
    check(
        "assign v1 1 probation 90\n tick\n assign v2 2 probation 5\n tick",
        expect![[r#"
            > assign v1 1 probation 90
              persist Offered active - previous -
              report Offered
              fetch statement
              persist Offered active - previous -
              fetch plan v1
              report Fetching v1 since 1.1
              fetch pieces v1
              stage v1
              persist Trial tries 1 active - previous -
              report Staged v1 since 1.1
              try v1
              persist Probation tries 1 active v1? previous -
              route v1
              report Active v1 since 1.1
            > tick
              90000 ms later: probation ends
              persist Committed tries 1 active v1 previous -
              report Committed v1 since 1.1
            > assign v2 2 probation 5
              persist Offered active v1 previous -
              report Offered
              fetch statement
              persist Offered active v1 previous -
              fetch plan v2
              report Fetching v2 since 1.2
              fetch pieces v2
              stage v2
              persist Trial tries 1 active v1 previous -
              report Staged v2 since 1.2
              try v2
              persist Probation tries 1 active v2? previous v1
              route v2
              report Active v2 since 1.2
            > tick
              60000 ms later: probation ends
              persist Committed tries 1 active v2 previous v1
              report Committed v2 since 1.2
        "#]],
    );
}

#[test]
fn a_disk_that_refuses_for_long_loses_no_step_that_matters() {
    check(
        "install v1 1\n disk refuses\n assign v2 2\n assign v3 3\n assign v2 4\n assign v3 5
         assign v2 6\n assign v3 7\n disk works\n tick",
        expect![[r#"
            > install v1 1
            > disk refuses
            > assign v2 2
              persist: the disk refuses
            > assign v3 3
            > assign v2 4
            > assign v3 5
            > assign v2 6
            > assign v3 7
            > disk works
              persist Offered active v1 previous -
              persist Offered active v1 previous -
              route v1
              persist Offered active v1 previous -
              report Offered
              fetch statement
              persist Offered active v1 previous -
              fetch plan v3
              report Fetching v3 since 1.7
              fetch pieces v3
              stage v3
              persist Trial tries 1 active v1 previous -
              report Staged v3 since 1.7
              try v3
              persist Probation tries 1 active v3? previous v1
              route v3
              report Active v3 since 1.7
            > tick
              60000 ms later: probation ends
              persist Committed tries 1 active v3 previous v1
              report Committed v3 since 1.7
        "#]],
    );
    check(
        "install v1 1\n disk refuses\n assign v2 2\n cut\n tick",
        expect![[r#"
            > install v1 1
            > disk refuses
            > assign v2 2
              persist: the disk refuses
            > cut
              power cut
              route v1
              report Committed v1 since 1.1
              persist Offered active v1 previous -
              report Offered
              fetch statement
              persist Offered active v1 previous -
              fetch plan v2
              report Fetching v2 since 1.2
              fetch pieces v2
              stage v2
              persist Trial tries 1 active v1 previous -
              report Staged v2 since 1.2
              try v2
              persist Probation tries 1 active v2? previous v1
              route v2
              report Active v2 since 1.2
            > tick
              60000 ms later: probation ends
              persist Committed tries 1 active v2 previous v1
              report Committed v2 since 1.2
        "#]],
    );
}
