//! Ranks rise, versions are released once, and nothing foreign is signed.

use muster_protocol::cose::{self, KeySet};
use muster_protocol::id::Version;
use muster_protocol::key::PublicKey;
use muster_protocol::message::Statement;
use muster_protocol::time::UnixSeconds;
use muster_protocol::tuf::Envelope;

use super::super::sign::publication;
use super::*;
use crate::bundle::{Layout, verify};

const NOW: UnixSeconds = UnixSeconds(1_800_000_000);

fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

fn keys(release: Option<u8>, targets: Option<u8>) -> Keys {
    let release_path = "release/bearing.key".into();
    Keys {
        release: release.map(key),
        release_path,
        targets: targets.map(key),
    }
}

fn bundle(version: &str) -> Verified {
    let mut parts = crate::bundle::sample::parts();
    parts.card.version = Version::parse(version).expect("valid");
    let folder = crate::bundle::sample::written(&parts);
    verify(&Layout::at(folder.path())).expect("whole")
}

/// Targets of a new fleet, signed by the key of this seed.
fn new_fleet(seed: u8) -> Held {
    let targets = Targets::new(1, NOW.plus_days(365).0);
    let bytes = Envelope::signed_bytes(&targets, &[&key(seed)]).expect("signed");
    Held {
        targets: Some(bytes),
        ..Held::default()
    }
}

/// What the controller holds after a release of `version`, and its statement.
fn after(held: Held, version: &str) -> (Held, Vec<u8>) {
    let keys = keys(Some(2), Some(1));
    let bundle = bundle(version);
    let planned = plan(&bundle, &held, &keys).expect("planned");
    let published = publication(&bundle, planned, &key(2), keys.targets.as_ref(), NOW);
    let published = published.expect("signed");
    let (_, role) = published.delegated.into_iter().next().expect("a role");
    let (_, statement) = published
        .target_files
        .into_iter()
        .next()
        .expect("a statement");
    let targets = published.targets.or(held.targets.clone());
    (
        Held {
            targets,
            role: Some(role),
            ..held
        },
        statement,
    )
}

#[test]
fn ranks_rise_and_a_new_model_is_delegated_once() {
    let (first, statement) = after(new_fleet(1), "1.0.0");
    let keys_of_release = [PublicKey::from(key(2).verifying_key())];
    let mut scratch = [0; 2048];
    let trusted = KeySet {
        keys: &keys_of_release,
        threshold: 1,
    };
    let opened = cose::open::<Statement>(&statement, trusted, &mut scratch).expect("ours");
    assert_eq!(opened.into_inner().rank, Rank(1));
    let targets = first.targets.clone();
    let (second, _) = after(first, "1.1.0");
    assert_eq!(second.targets, targets, "the delegation stands");
    let next = plan(&bundle("1.2.0"), &second, &keys(Some(2), None)).expect("planned");
    assert_eq!(next.rank, Rank(3));
    assert_eq!(
        next.last.map(|last| last.name).as_deref(),
        Some("models/bearing/1.1.0.cbor")
    );
    assert_eq!(next.role.map(|role| role.header.version), Some(2));
}

#[test]
fn versions_resume_where_a_restored_controller_asks_for() {
    let check = |held: Held, floor: u64, expect: (Option<u64>, u64)| {
        let held = Held {
            version_floor: floor,
            ..held
        };
        let keys = keys(Some(2), Some(1));
        let (bundle, signer) = (bundle("3.0.0"), key(2));
        let planned = plan(&bundle, &held, &keys).expect("planned");
        assert_eq!(planned.jumps(), floor > 1, "{floor}");
        let published = publication(&bundle, planned, &signer, keys.targets.as_ref(), NOW);
        let published = published.expect("signed");
        let version = |role: &Role, bytes: &[u8]| {
            let read = author::read_unverified::<Targets>(role, bytes);
            read.expect("ours").header.version
        };
        let targets = published
            .targets
            .map(|bytes| version(&Role::Targets, &bytes));
        let role = version(&Role::of_model("bearing"), &published.delegated[0].1);
        assert_eq!((targets, role), expect, "{floor}");
    };
    check(new_fleet(1), 1, (Some(2), 1));
    check(new_fleet(1), 1 << 32, (Some(1 << 32), 1 << 32));
    check(after(new_fleet(1), "1.0.0").0, 1, (None, 2));
    check(after(new_fleet(1), "1.0.0").0, 1 << 32, (None, 1 << 32));
}

fn check(name: &str, held: &Held, keys: &Keys, exit: Exit, expect: &str) {
    let bundle = bundle("1.0.0");
    let error = plan(&bundle, held, keys).expect_err(name).told(&bundle);
    assert_eq!(error.exit, exit, "{name}: {error}");
    assert!(error.to_string().contains(expect), "{name}: {error}");
}

#[test]
fn what_must_not_be_signed_is_refused() {
    let both = keys(Some(2), Some(1));
    check(
        "empty controller",
        &Held::default(),
        &both,
        Exit::Missing,
        "no targets metadata",
    );
    check(
        "foreign targets",
        &new_fleet(9),
        &both,
        Exit::Refused,
        "targets is not signed by our",
    );
    let fleet = || new_fleet(1);
    check(
        "offline key away",
        &fleet(),
        &keys(None, None),
        Exit::Missing,
        "targets.key is not",
    );
    let (released, _) = after(fleet(), "1.0.0");
    check(
        "same version",
        &released,
        &both,
        Exit::Missing,
        "released already",
    );
    let stranger = keys(Some(3), Some(1));
    check(
        "other key",
        &released,
        &stranger,
        Exit::Missing,
        "release key is not in",
    );
    check(
        "no key",
        &released,
        &keys(None, Some(1)),
        Exit::Missing,
        "release key is not in",
    );
    let withheld = Held {
        targets: released.targets.clone(),
        ..Held::default()
    };
    check(
        "withheld role",
        &withheld,
        &both,
        Exit::Refused,
        "which had releases",
    );
    let far = Held {
        version_floor: 1 << 50,
        ..new_fleet(1)
    };
    check(
        "versions used up",
        &far,
        &both,
        Exit::Refused,
        "far above the one before",
    );
    let forged = Envelope::signed_bytes(&Targets::new(7, 1), &[&key(9)]).expect("signed");
    let forged = Held {
        role: Some(forged),
        ..released
    };
    check(
        "forged role",
        &forged,
        &both,
        Exit::Refused,
        "models/bearing is not signed by our",
    );
}
