//! Each attack on a chain has its own name, and changes nothing.

extern crate std;
use super::*;
use muster_protocol::cbor::{self, List};
use muster_protocol::cose::{Document, assemble};
use muster_protocol::id::{Epoch, Rank};
use muster_protocol::key::PublicKey;
use std::vec::Vec;

/// Seeds of the targets keys; both must sign.
const TARGETS: [u8; 2] = [1, 2];

/// The payload signed with the keys of these seeds, and those keys.
fn signed<'b, T: Document<'b>>(value: &T, seeds: &[u8]) -> (Vec<PublicKey>, Vec<u8>) {
    let (mut payload, mut scratch, mut out) = ([0; 1024], [0; 2048], [0; 2048]);
    let len = cbor::encode(value, &mut payload).expect("fits");
    let (mut keys, mut signatures) = (Vec::new(), Vec::new());
    for seed in seeds {
        let key = [*seed; 32].into();
        signatures.push(cose::sign::<T>(&payload[..len], &key, &mut scratch).expect("fits"));
        keys.push(key.verifying_key().into());
    }
    let len = assemble(&payload[..len], &signatures, &mut out).expect("fits");
    (keys, out[..len].to_vec())
}

fn place(version: u32, predecessor: Option<&[u8]>) -> Place {
    Place {
        version: KeySetVersion(version),
        predecessor: predecessor.map(Digest::of),
    }
}

fn bearing() -> ModelId {
    ModelId::parse("bearing").expect("valid")
}

const KEY: PublicKey = PublicKey([7; 32]);
const REVOKED: [RevokedBundle; 2] = [
    RevokedBundle {
        bundle: Digest([8; 32]),
        action: Revocation::Stop,
    },
    RevokedBundle {
        bundle: Digest([9; 32]),
        action: Revocation::Fallback,
    },
];

fn fleet(place: Place, epoch: u64, threshold: u8) -> FleetKeySet<'static> {
    const KEYS: &[PublicKey] = &[KEY];
    FleetKeySet {
        place,
        issued_at: UnixSeconds(500),
        epoch: Epoch(epoch),
        director: RoleKeys {
            keys: List::of(KEYS),
            threshold,
        },
        ack: List::of(KEYS),
        time: List::of(KEYS),
    }
}

fn model(model: &str, place: Place, floor: u32, revoked: usize) -> ModelKeySet<'static> {
    const KEYS: &[PublicKey] = &[KEY];
    ModelKeySet {
        place,
        issued_at: UnixSeconds(500),
        model: ModelId::parse(model).expect("valid"),
        release: RoleKeys {
            keys: List::of(KEYS),
            threshold: 1,
        },
        floor: Rank(floor),
        revoked: List::of(&REVOKED[..revoked]),
    }
}

/// A node that heard some documents, in order.
#[derive(Default)]
struct Heard(KeySets<2>);

impl Heard {
    fn fleet(&mut self, bytes: &[u8]) -> Result<UnixSeconds, NotTakenUp> {
        let keys = signed(&fleet(place(1, None), 1, 1), &TARGETS).0;
        let targets = KeySet {
            keys: &keys,
            threshold: 2,
        };
        self.0.take_up_fleet(bytes, targets, &mut [0; 2048])
    }

    fn model(&mut self, bytes: &[u8]) -> Result<ModelId, NotTakenUp> {
        let keys = signed(&fleet(place(1, None), 1, 1), &TARGETS).0;
        let targets = KeySet {
            keys: &keys,
            threshold: 2,
        };
        self.0.take_up_model(bytes, targets, &mut [0; 2048])
    }
}

#[test]
fn each_attack_on_the_chain_of_the_fleet_has_its_own_name() {
    let first = signed(&fleet(place(1, None), 3, 1), &TARGETS).1;
    let second = signed(&fleet(place(2, Some(&first)), 4, 1), &TARGETS).1;
    let check = |attack: &str, before: &[&[u8]], bytes: &[u8], expect: Result<(), NotTakenUp>| {
        let mut heard = Heard::default();
        for earlier in before {
            heard.fleet(earlier).expect("good");
        }
        let facts = heard.0.facts().clone();
        let seen = heard.fleet(bytes).map(|issued_at| {
            assert_eq!(issued_at, UnixSeconds(500), "{attack}");
        });
        assert_eq!(seen, expect, "{attack}");
        let changed = facts != *heard.0.facts();
        assert_eq!(changed, expect.is_ok(), "{attack}: facts");
    };
    check("none, the first", &[], &first, Ok(()));
    check("none, the next", &[&first], &second, Ok(()));

    let made = |place, threshold| signed(&fleet(place, 9, threshold), &TARGETS).1;
    let few = Err(NotTakenUp::Signature(Refused::TooFewSignatures {
        have: 1,
        need: 2,
    }));
    let one = signed(&fleet(place(2, Some(&first)), 9, 1), &TARGETS[..1]).1;
    check("one key below the threshold", &[&first], &one, few);
    let strangers = signed(&fleet(place(2, Some(&first)), 9, 1), &[1, 9]).1;
    check("one key of another", &[&first], &strangers, few);
    let mut flipped = second.clone();
    flipped[30] ^= 1;
    let bad = Err(NotTakenUp::Signature(Refused::BadSignature));
    check("a flipped bit", &[&first], &flipped, bad);
    let other = signed(&model("bearing", place(2, Some(&first)), 9, 0), &TARGETS).1;
    check("the key set of a model", &[&first], &other, bad);

    let wanted = |version| NotTakenUp::Skipped {
        wanted: KeySetVersion(version),
    };
    check("not the first", &[], &second, Err(wanted(1)));
    check(
        "version zero",
        &[],
        &made(place(0, None), 1),
        Err(wanted(1)),
    );
    let third = made(place(3, Some(&second)), 1);
    check("one left out", &[&first], &third, Err(wanted(3 - 1)));
    let held = NotTakenUp::Old {
        held: KeySetVersion(2),
    };
    check("an old one", &[&first, &second], &first, Err(held));
    let same = Err(NotTakenUp::Repeated);
    check("the same again", &[&first, &second], &second, same);
    let other = made(place(2, Some(&first)), 1);
    check(
        "two of one version",
        &[&first, &second],
        &other,
        Err(NotTakenUp::Forked),
    );

    let another = Err(NotTakenUp::OtherPredecessor);
    let strange = made(place(2, Some(b"another first")), 1);
    check("another predecessor", &[&first], &strange, another);
    check(
        "no predecessor",
        &[&first],
        &made(place(2, None), 1),
        another,
    );
    let late = made(place(1, Some(b"a chain before the first")), 1);
    check("a predecessor of the first", &[], &late, another);

    let unsound = Err(NotTakenUp::Unsound);
    check(
        "a threshold of none",
        &[&first],
        &made(place(2, Some(&first)), 0),
        unsound,
    );
    check(
        "a threshold out of reach",
        &[&first],
        &made(place(2, Some(&first)), 2),
        unsound,
    );
}

#[test]
fn a_model_has_a_chain_of_its_own() {
    let mut heard = Heard::default();
    let first = signed(&model("bearing", place(1, None), 3, 2), &TARGETS).1;
    assert_eq!(heard.model(&first), Ok(bearing()));
    let pump = signed(&model("pump", place(1, None), 1, 1), &TARGETS).1;
    heard.model(&pump).expect("another chain");
    let fan = signed(&model("fan", place(1, None), 1, 0), &TARGETS).1;
    assert_eq!(heard.model(&fan), Err(NotTakenUp::NoRoom));
    let stolen = signed(&model("bearing", place(2, Some(&pump)), 9, 0), &TARGETS).1;
    assert_eq!(heard.model(&stolen), Err(NotTakenUp::OtherPredecessor));
    assert_eq!(heard.0.facts().revoked.len(), 3);

    let second = signed(&model("bearing", place(2, Some(&first)), 5, 1), &TARGETS).1;
    heard.model(&second).expect("the next");
    let facts = heard.0.facts();
    let view = facts.view(&bearing());
    assert_eq!((view.floor, view.release.threshold), (Rank(5), 1));
    let asked = REVOKED.map(|revoked| view.revocation(&revoked.bundle));
    assert_eq!(asked, [Some(RevokedAction::Stop), None]);
    let whose: Vec<_> = facts.models.iter().map(|m| m.model.as_str()).collect();
    assert_eq!(
        (whose, facts.revoked.len()),
        (std::vec!["bearing", "pump"], 2)
    );
}

#[test]
fn the_largest_sound_key_set_of_a_model_fits_a_node() {
    let keys: [PublicKey; 5] = core::array::from_fn(|i| PublicKey([i as u8; 32]));
    let revoked = [REVOKED[0]; 5];
    let largest = ModelKeySet {
        release: RoleKeys {
            keys: List::of(&keys),
            threshold: 3,
        },
        revoked: List::of(&revoked),
        ..model(
            &"m".repeat(63),
            place(u32::MAX, Some(b"before")),
            u32::MAX,
            0,
        )
    };
    let bytes = signed(&largest, &[1, 2, 3]).1;
    assert!(bytes.len() <= ModelKeySet::BYTES_MAX, "{}", bytes.len());
}
