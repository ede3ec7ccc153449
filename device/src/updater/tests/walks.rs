//! Every input in every phase, and random walks that end with a good release.

extern crate std;
use super::super::Progress;
use super::device::Device;
use super::release::bundle;
use muster_protocol::id::Rank;
use muster_protocol::message::Role;
use proptest::prelude::*;
use std::vec::Vec;

/// Where a good release ends.
const ROLES: [(Role, Progress); 2] = [
    (Role::Serve, Progress::Committed),
    (Role::Shadow, Progress::Probation),
];

/// How to reach each phase.
const PHASES: [&str; 10] = [
    "facts",
    "install v1 1\n answer statement silence\n assign v2 2",
    "install v1 1\n answer plan silence\n assign v2 2",
    "install v1 1\n answer pieces silence\n assign v2 2",
    "install v1 1\n answer stage silence\n assign v2 2",
    "install v1 1\n answer trial silence\n assign v2 2",
    "install v1 1\n answer route silence\n assign v2 2",
    "install v1 1\n assign v2 2",
    "install v1 1\n install v2 2",
    "install v1 1\n answer trial Crashed\n assign v2 2",
];

/// Everything that can happen to a device.
const EVENTS: [&str; 53] = [
    "assign v1 3",
    "assign v2 2",
    "assign v2 4",
    "assign v3 5",
    "assign v3-forged 6",
    "assign v4 7 shadow",
    "assign v4 7 serve",
    "assign v2 6 beside",
    "assign v3 9 beside",
    "no shadows",
    "remove",
    "floor 2",
    "floor 3",
    "facts",
    "revoke v1 stop",
    "revoke v2 fallback",
    "revoke v2 stop",
    "revoke v3 fallback",
    "pardon",
    "answer statement silence",
    "answer statement unlisted",
    "answer statement foreign",
    "answer plan silence",
    "answer plan Manifest",
    "answer pieces silence",
    "answer pieces unavailable",
    "answer stage silence",
    "answer stage Blob",
    "answer trial silence",
    "answer trial Crashed",
    "answer trial WrongOutput",
    "answer route silence",
    "crashes v2",
    "say statement v2",
    "say planned v2",
    "say fetched v2",
    "say staged v2",
    "say routed v2",
    "say recovered",
    "say unavailable",
    "say link_up",
    "say expired",
    "disk refuses",
    "disk works",
    "fail v1 Crashed",
    "fail v2 Crashed",
    "fail v2 WrongOutput",
    "fail v3 Latency",
    "kills v3",
    "tick",
    "cut",
    "say staged v3",
    "assign v1 8",
];

#[test]
fn every_input_is_taken_in_every_phase_and_after_every_other() {
    for role in [Role::Serve, Role::Shadow] {
        for phase in PHASES {
            for first in EVENTS {
                for second in EVENTS {
                    let mut device = Device::new(role);
                    device.tell(phase);
                    device.tell(first);
                    device.tell(second);
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]
    #[test]
    fn after_any_walk_a_good_release_is_taken_up(
        walk in proptest::collection::vec(0..EVENTS.len(), 0..60),
    ) {
        let walk: Vec<&str> = walk.into_iter().map(|event| EVENTS[event]).collect();
        for (role, expect) in ROLES {
            let mut device = Device::new(role);
            walk.iter().for_each(|event| device.tell(event));
            device.heal();
            device.tell("facts\n assign v9 999\n tick\n tick\n tick\n tick");
            let state = device.durable();
            prop_assert_eq!(state.progress, expect, "{:?} {:?}", role, walk);
            prop_assert_eq!(device.routed, Some(bundle("v9")));
            if role == Role::Shadow {
                prop_assert_eq!((state.previous, state.floor_committed), (None, Rank(0)));
            }
        }
    }
}
