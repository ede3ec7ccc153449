//! Stories of a shadow: it runs beside what serves, and leaves nothing when it ends.

extern crate std;
use super::{check, check_as};
use expect_test::{Expect, expect};
use muster_protocol::message::Role;

fn check_shadow(script: &str, expect: Expect) {
    check_as(Role::Shadow, script, expect);
}

#[test]
fn a_shadow_is_fetched_and_tried_and_never_commits() {
    check_shadow(
        "assign v1 1\n tick\n cut\n tick\n floor 1\n facts",
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
              report Shadowing v1 since 1.1
            > tick
            > cut
              power cut
              route v1
              report Shadowing v1 since 1.1
            > tick
            > floor 1
            > facts
              persist Probation tries 1 active v1? previous - floors 1/0
        "#]],
    );
}

#[test]
fn a_new_shadow_replaces_the_old_one_before_it_is_fetched() {
    check_shadow(
        "install v1 1\n assign v2 2",
        expect![[r#"
        > install v1 1
        > assign v2 2
          persist Offered active - previous -
          unroute
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
          persist Probation tries 1 active v2? previous -
          route v2
          report Shadowing v2 since 1.2
    "#]],
    );
    check_shadow(
        "install v1 1\n answer pieces silence\n assign v2 2\n cut\n assign v3 3",
        expect![[r#"
            > install v1 1
            > answer pieces silence
            > assign v2 2
              persist Offered active - previous -
              unroute
              report Offered
              discard v1
              fetch statement
              persist Offered active - previous -
              fetch plan v2
              report Fetching v2 since 1.2
              fetch pieces v2
            > cut
              power cut
              fetch statement
              persist Offered active - previous -
              fetch plan v2
              report Fetching v2 since 1.2
              fetch pieces v2
              stage v2
              persist Trial tries 1 active - previous -
              report Staged v2 since 1.2
              try v2
              persist Probation tries 1 active v2? previous -
              route v2
              report Shadowing v2 since 1.2
            > assign v3 3
              persist Offered active - previous -
              unroute
              report Offered
              discard v2
              fetch statement
              persist Offered active - previous -
              fetch plan v3
              report Fetching v3 since 1.3
              fetch pieces v3
              stage v3
              persist Trial tries 1 active - previous -
              report Staged v3 since 1.3
              try v3
              persist Probation tries 1 active v3? previous -
              route v3
              report Shadowing v3 since 1.3
        "#]],
    );
}

#[test]
fn the_same_shadow_again_costs_nothing() {
    check_shadow(
        "install v1 1\n assign v1 1\n assign v1 2",
        expect![[r#"
        > install v1 1
        > assign v1 1
        > assign v1 2
          persist Probation active v1? previous -
          report Offered
          persist Probation active v1? previous -
          route v1
          report Shadowing v1 since 1.2
    "#]],
    );
}

#[test]
fn a_shadow_that_fails_ends_and_is_not_tried_again_until_asked() {
    check_shadow(
        "crashes v1\n assign v1 1\n assign v1 1\n cut\n assign v1 2",
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
              report Shadowing v1 since 1.1
              persist Reverted tries 1 active - previous -
              unroute
              report Reverted v1 since 1.1 Crashed
              discard v1
            > assign v1 1
            > cut
              power cut
              report Reverted v1 since 1.1 Crashed (as decided before this boot)
            > assign v1 2
              persist Offered active - previous -
              report Offered
              fetch statement
              persist Offered active - previous -
              fetch plan v1
              report Fetching v1 since 1.2
              fetch pieces v1
              stage v1
              persist Trial tries 1 active - previous -
              report Staged v1 since 1.2
              try v1
              persist Probation tries 1 active v1? previous -
              route v1
              report Shadowing v1 since 1.2
              persist Reverted tries 1 active - previous -
              unroute
              report Reverted v1 since 1.2 Crashed
              discard v1
        "#]],
    );
    check_shadow(
        "answer trial WrongOutput\n assign v1 1",
        expect![[r#"
        > answer trial WrongOutput
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
          persist Refused tries 1 active - previous -
          report Refused v1 since 1.1 WrongOutput
          discard v1
    "#]],
    );
}

#[test]
fn a_revoked_shadow_stops_whatever_revocation_asks_for() {
    check_shadow(
        "install v1 1\n revoke v1 fallback\n facts\n cut",
        expect![[r#"
            > install v1 1
            > revoke v1 fallback
            > facts
              persist Stopped tries 1 active - previous -
              unroute
              report Stopped v1 since 1.1 Revoked (fleet.json revokes it)
              discard v1
            > cut
              power cut
              report Stopped v1 since 1.1 Revoked (as decided before this boot)
        "#]],
    );
    check_shadow(
        "install v1 1\n revoke v1 stop\n facts",
        expect![[r#"
        > install v1 1
        > revoke v1 stop
        > facts
          persist Stopped tries 1 active - previous -
          unroute
          report Stopped v1 since 1.1 Revoked (fleet.json revokes it)
          discard v1
    "#]],
    );
}

#[test]
fn a_shadow_below_a_new_floor_runs_on_and_does_not_come_back() {
    check_shadow(
        "install v1 1\n floor 2\n facts\n cut\n assign v1 2",
        expect![[r#"
            > install v1 1
            > floor 2
            > facts
              persist Probation tries 1 active v1? previous - floors 2/0
            > cut
              power cut
              route v1
              report Shadowing v1 since 1.1
            > assign v1 2
              persist Refused active - previous - floors 2/0
              report Offered
              persist Refused active - previous - floors 2/0
              unroute
              report Refused v1 since 1.2 BelowFloor (its rank is 1, the floor is 2)
              discard v1
        "#]],
    );
}

#[test]
fn a_shadow_that_is_removed_leaves_nothing() {
    check_shadow(
        "install v1 1\n remove\n cut\n remove",
        expect![[r#"
        > install v1 1
        > remove
          persist Nothing active - previous -
          unroute
          discard v1
          report Removed v1 since 1.1
        > cut
          power cut
        > remove
    "#]],
    );
}

#[test]
fn what_a_shadow_proved_serves_without_a_byte() {
    check(
        "install v1 1\n assign v2 2 beside\n tick",
        expect![[r#"
        > install v1 1
        > assign v2 2 beside
          persist Offered active v1 previous -
          report Offered
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
    check(
        "install v1 1\n floor 3\n facts\n assign v2 2 beside\n revoke v4 stop\n assign v4 3 beside",
        expect![[r#"
            > install v1 1
            > floor 3
            > facts
              persist Committed tries 1 active v1 previous - floors 3/0
            > assign v2 2 beside
              persist Refused active v1 previous - floors 3/0
              report Offered
              persist Refused active v1 previous - floors 3/0
              report Refused v2 since 1.2 BelowFloor (its rank is 2, the floor is 3)
              discard v2
            > revoke v4 stop
            > assign v4 3 beside
              persist Refused active v1 previous - floors 3/0
              report Offered
              persist Refused active v1 previous - floors 3/0
              report Refused v4 since 1.3 Revoked (fleet.json revokes sha256:0404040404040404040404040404040404040404040404040404040404040404)
              discard v4
        "#]],
    );
}

#[test]
fn an_entry_of_another_role_is_another_machines() {
    check(
        "install v1 1\n assign v2 2 shadow",
        expect![[r#"
        > install v1 1
        > assign v2 2 shadow
    "#]],
    );
    check_shadow(
        "install v1 1\n assign v2 2 serve",
        expect![[r#"
        > install v1 1
        > assign v2 2 serve
    "#]],
    );
}

#[test]
fn a_device_that_runs_no_shadows_refuses_and_ends_them() {
    check_shadow(
        "no shadows\n cut\n assign v1 1\n cut",
        expect![[r#"
        > no shadows
        > cut
          power cut
        > assign v1 1
          persist Refused active - previous -
          report Offered
          persist Refused active - previous -
          report Refused Role (this device runs none)
        > cut
          power cut
          report Refused Role (as decided before this boot)
    "#]],
    );
    check_shadow(
        "install v1 1\n no shadows\n cut\n cut",
        expect![[r#"
        > install v1 1
        > no shadows
        > cut
          power cut
          persist Refused tries 1 active - previous -
          unroute
          report Refused v1 since 1.1 Role (this device runs none)
          discard v1
        > cut
          power cut
          report Refused v1 since 1.1 Role (as decided before this boot)
    "#]],
    );
}
