//! What somebody with the keys of the controller may tell a device, and what becomes of it.
//!
//! They sign assignments; they have no key of a release, and none of the targets.

use super::check;
use expect_test::expect;

#[test]
fn arbitrary_software_is_refused_before_it_is_downloaded() {
    check(
        "install v1 1\n assign v2-forged 2\n assign v2-other 3\n answer statement unlisted
         assign v2 4",
        expect![[r#"
            > install v1 1
            > assign v2-forged 2
              persist Offered active v1 previous -
              report Offered
              fetch statement
              persist Refused active v1 previous -
              report Refused StatementSignature (0 distinct valid signatures, 1 are needed)
            > assign v2-other 3
              persist Offered active v1 previous -
              report Offered
              fetch statement
              persist Refused active v1 previous -
              report Refused StatementMismatch (it is signed for pump 2.0.0)
            > answer statement unlisted
            > assign v2 4
              persist Offered active v1 previous -
              report Offered
              fetch statement
              persist Refused active v1 previous -
              report Refused NotListed (signed metadata does not list this statement)
        "#]],
    );
}

/// The worst that is valid is chosen, and nothing that is not.
#[test]
fn stolen_online_keys_pick_any_valid_release_above_the_floor_and_no_other() {
    check(
        "install v2 1\n install v3 2\n floor 2\n facts\n assign v2 3\n tick\n assign v1 4
         assign v4-forged 5",
        expect![[r#"
            > install v2 1
            > install v3 2
            > floor 2
            > facts
              persist Committed tries 1 active v3 previous v2 floors 2/2
            > assign v2 3
              persist Offered active v3 previous v2 floors 2/2
              report Offered
              stage v2
              persist Trial tries 1 active v3 previous v2 floors 2/2
              report Staged v2 since 1.3
              try v2
              persist Probation tries 1 active v2 previous v3 floors 2/2
              route v2
              report Active v2 since 1.3
            > tick
              60000 ms later: probation ends
              persist Committed tries 1 active v2 previous v3 floors 2/2
              report Committed v2 since 1.3
            > assign v1 4
              persist Offered active v2 previous v3 floors 2/2
              report Offered
              fetch statement
              persist Refused active v2 previous v3 floors 2/2
              report Refused BelowFloor (its rank is 1, the floor is 2)
            > assign v4-forged 5
              persist Offered active v2 previous v3 floors 2/2
              report Offered
              fetch statement
              persist Refused active v2 previous v3 floors 2/2
              report Refused StatementSignature (0 distinct valid signatures, 1 are needed)
        "#]],
    );
}

/// It is assigned again and again by somebody who likes it.
#[test]
fn stolen_online_keys_keep_no_revoked_model_alive() {
    check(
        "install v1 1\n revoke v1 stop\n facts\n assign v1 2\n assign v1 3",
        expect![[r#"
            > install v1 1
            > revoke v1 stop
            > facts
              persist Stopped tries 1 active - previous -
              unroute
              report Stopped v1 since 1.1 Revoked (fleet.json revokes it)
              discard v1
            > assign v1 2
              persist Offered active - previous -
              report Offered
              fetch statement
              persist Refused active - previous -
              report Refused Revoked (fleet.json revokes sha256:0101010101010101010101010101010101010101010101010101010101010101)
            > assign v1 3
              persist Offered active - previous -
              report Offered
              fetch statement
              persist Refused active - previous -
              report Refused Revoked (fleet.json revokes sha256:0101010101010101010101010101010101010101010101010101010101010101)
        "#]],
    );
}
