//! What a device takes up when the right keys sign hostile content: assignments and key sets.
//!
//! What is refused changes nothing; what is accepted keeps to its bounds.

use super::cose::{key, public};
use super::reader::Reader;
use muster_device::acceptance::{Accepted, NotAccepted, accept};
use muster_device::facts::{Facts, Keys};
use muster_device::key_sets::KeySets;
use muster_protocol::cose::{self, KeySet};
use muster_protocol::digest::Digest;
use muster_protocol::id::{DeviceId, Epoch, EpochGeneration};
use muster_protocol::message::{Assignment, FleetKeySet, ModelKeySet};
use muster_protocol::time::UnixSeconds;

/// Models of the node in question; few, so that there is no room soon.
const MODELS: usize = 2;
/// Bundles of one key set; see `NODE_REVOKED_MAX`.
const REVOKED_OF_MODEL_MAX: usize = 8;

/// The first byte says which kind of document comes.
pub fn device_documents(data: &[u8]) {
    let mut input = Reader::new(data);
    if input.byte() & 1 == 0 {
        assignment(&mut input);
    } else {
        key_sets(&mut input);
    }
}

fn assignment(input: &mut Reader<'_>) {
    let (director, signer) = (1, if input.byte() % 8 == 7 { 3 } else { 1 });
    let mut facts = Facts::<MODELS> {
        epoch: Epoch(input.u64()),
        ..Facts::default()
    };
    facts.director = Keys {
        keys: [public(director)].into_iter().collect(),
        threshold: input.byte() % 3,
    };
    let last = (input.byte() & 1 == 1).then(|| Accepted {
        at: EpochGeneration::new(input.u64(), input.u64()),
        digest: Digest([7; 32]),
    });
    let unix = (input.byte() & 1 == 1).then(|| UnixSeconds(input.u64()));
    let me = DeviceId::parse("press-07").expect("a valid name");
    let bytes = seal(input.rest(), signer);
    let mut scratch = vec![0; cose::scratch_len(bytes.len())];
    match accept(&bytes, &me, &facts, last, unix, &mut scratch) {
        Ok(assignment) => {
            assert_eq!((signer, facts.director.threshold), (director, 1));
            assert_eq!(assignment.device, me);
            assert_eq!(assignment.at.epoch, facts.epoch);
            assert!(last.is_none_or(|last| last.at < assignment.at));
            assert!(unix.is_some_and(|unix| unix <= assignment.accept_by));
            check_entries(&assignment);
        }
        Err(NotAccepted::Signature(_)) => {}
        Err(refused) => assert_eq!(signer, director, "{refused}"),
    }
}

fn check_entries(assignment: &Assignment<'_>) {
    let mut models: Vec<_> = assignment.entries.iter().map(|entry| entry.model).collect();
    models.sort();
    assert!(models.windows(2).all(|pair| pair[0] != pair[1]));
    assert!(
        assignment
            .entries
            .iter()
            .all(|entry| entry.since <= assignment.at)
    );
}

fn key_sets(input: &mut Reader<'_>) {
    let mut sets = KeySets::<MODELS>::default();
    let keys = [public(1), public(2)];
    let targets = KeySet {
        keys: &keys,
        threshold: 2,
    };
    while !input.is_empty() {
        let (fleet, payload) = (input.byte() & 1 == 0, input.bytes());
        let before = sets.facts().clone();
        let taken = if fleet {
            let bytes = assembled::<FleetKeySet<'_>>(payload);
            let mut scratch = vec![0; cose::scratch_len(bytes.len())];
            sets.take_up_fleet(&bytes, targets, &mut scratch).is_ok()
        } else {
            let bytes = assembled::<ModelKeySet<'_>>(payload);
            let mut scratch = vec![0; cose::scratch_len(bytes.len())];
            sets.take_up_model(&bytes, targets, &mut scratch).is_ok()
        };
        if !taken {
            assert_eq!(*sets.facts(), before, "refused, yet changed");
        }
        check_facts(sets.facts());
    }
}

fn check_facts(facts: &Facts<MODELS>) {
    assert!(facts.models.len() <= MODELS);
    assert!(facts.revoked.len() <= MODELS * REVOKED_OF_MODEL_MAX);
    for keys in facts.models.iter().map(|model| &model.release) {
        assert!((1..=keys.keys.len()).contains(&usize::from(keys.threshold)));
    }
    let views = facts.models.iter().map(|model| facts.view(&model.model));
    let floors: Vec<_> = views.map(|view| view.floor).collect();
    assert!(
        floors
            .iter()
            .eq(facts.models.iter().map(|model| &model.floor))
    );
}

fn seal(payload: &[u8], signer: u8) -> Vec<u8> {
    let mut scratch = vec![0; cose::scratch_len(payload.len())];
    let mut out = scratch.clone();
    let len = cose::seal::<Assignment<'_>>(payload, &key(signer), &mut scratch, &mut out);
    out.truncate(len.expect("it fits"));
    out
}

fn assembled<'b, T: cose::Document<'b>>(payload: &[u8]) -> Vec<u8> {
    let mut scratch = vec![0; cose::scratch_len(payload.len())];
    let signatures =
        [1, 2].map(|seed| cose::sign::<T>(payload, &key(seed), &mut scratch).expect("it fits"));
    cose::assemble_vec(payload, &signatures)
}
