//! What an attacker may try against the client, one test or one row per attack, and the recoveries
//! that must work. All through `sample::Repository` and the public verbs; no attack is a mock.

mod bytes;
mod delegations;
mod keys;
mod roots;
mod workflow;

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use alloc::{format, vec};

use serde_json::{Value, json};

use super::author::key_of;
use super::canonical;
use super::sample::{NOW_S, Repository, STATEMENT, TARGET, key, keys, model_role, offer};
use super::*;

type Attack = fn(&mut Repository);

const NOW: Expiry = Expiry::Enforced { now_s: NOW_S };

/// A client that is up to date meets what `attack` made of the repository.
fn check(name: &str, attack: Attack, expect: Result<(), Refused>) {
    let mut repository = Repository::new();
    let mut trusted = repository.client();
    attack(&mut repository);
    assert_eq!(repository.refresh(&mut trusted, NOW), expect, "{name}");
}

fn threshold(role: Role, have: u32, need: u32) -> Result<(), Refused> {
    Err(Refused::ThresholdNotMet { role, have, need })
}

fn rollback(role: Role, trusted: u64, offered: u64) -> Result<(), Refused> {
    Err(Refused::Rollback {
        role,
        trusted,
        offered,
    })
}

fn rename(repository: &mut Repository, from: &str, to: &str) {
    let bytes = repository.files[from].clone();
    repository.files.insert(to.into(), bytes);
}

#[test]
fn no_attack() {
    check("nothing new", |_| (), Ok(()));
    check("a next version", |r| (r.bump(), r.write()).1, Ok(()));
    let repository = Repository::new();
    let trusted = repository.client();
    let file = trusted.target(TARGET).unwrap();
    assert_eq!(file.check_bytes(&model_role(), STATEMENT), Ok(()));
    assert!(file.check_bytes(&model_role(), b"b statement").is_err());
    assert!(trusted.target("fleet.json").is_some());
    assert_eq!(
        trusted.timestamp().unwrap().document().issued_at_s,
        Some(NOW_S - 10)
    );
}

#[test]
fn expired() {
    let expired = |role| Err(Refused::Expired { role, at_s: NOW_S });
    let rows: [(Attack, Role); 5] = [
        (
            |r| {
                r.root.header.version = 2;
                r.root.header.expires_s = NOW_S;
                r.write_root();
            },
            Role::Root,
        ),
        (
            |r| (r.bump(), r.timestamp.header.expires_s = NOW_S, r.write()).2,
            Role::Timestamp,
        ),
        (
            |r| (r.bump(), r.snapshot.header.expires_s = NOW_S, r.write()).2,
            Role::Snapshot,
        ),
        (
            |r| (r.bump(), r.targets.header.expires_s = NOW_S, r.write()).2,
            Role::Targets,
        ),
        (
            |r| (r.bump(), r.model.header.expires_s = NOW_S, r.write()).2,
            model_role(),
        ),
    ];
    for (attack, role) in rows {
        let mut repository = Repository::new();
        let mut trusted = repository.client();
        attack(&mut repository);
        assert_eq!(repository.refresh(&mut trusted, NOW), expired(role.clone()));
        // An expired root is taken, because the chain may go on (5.3.6); all else is not.
        let version = match &role {
            Role::Root => trusted.root().version(),
            Role::Timestamp => trusted.timestamp().unwrap().version(),
            Role::Snapshot => trusted.snapshot().unwrap().version(),
            Role::Targets | Role::Delegated(_) => trusted.targets(&role).unwrap().version(),
        };
        assert_eq!(version, 2, "{role}");
    }
}

#[test]
fn without_trusted_time_expiry_is_not_judged_and_all_else_is() {
    let ignored = Expiry::Ignored(Unjudged::UntrustedTime);
    let mut repository = Repository::new();
    let mut trusted = repository.client();
    repository.bump();
    repository.targets.header.expires_s = 1;
    repository.write();
    assert_eq!(repository.refresh(&mut trusted, ignored), Ok(()));
    repository.timestamp.header.version = 1;
    repository.write();
    let seen = repository.refresh(&mut trusted, ignored);
    assert_eq!(seen, rollback(Role::Timestamp, 3, 1));
}

#[test]
fn frozen_on_documents_that_expire_meanwhile() {
    let repository = Repository::new();
    let mut trusted = repository.client();
    let later = Expiry::Enforced {
        now_s: NOW_S + 1000,
    };
    let expect = Refused::Expired {
        role: Role::Root,
        at_s: NOW_S + 1000,
    };
    assert_eq!(repository.refresh(&mut trusted, later), Err(expect.clone()));
    assert_eq!(trusted.search(TARGET, later), Err(expect));
    assert!(
        trusted.target(TARGET).is_some(),
        "what was accepted outlives expiry"
    );
}

#[test]
fn rolled_back() {
    check(
        "timestamp",
        |r| (r.timestamp.header.version = 1, r.write()).1,
        rollback(Role::Timestamp, 2, 1),
    );
    check(
        "snapshot",
        |r| (r.bump(), r.snapshot.header.version = 1, r.write()).2,
        rollback(Role::Snapshot, 2, 1),
    );
    check(
        "targets",
        |r| (r.bump(), r.targets.header.version = 1, r.write()).2,
        rollback(Role::Targets, 2, 1),
    );
    check(
        "delegated",
        |r| (r.bump(), r.model.header.version = 1, r.write()).2,
        rollback(model_role(), 2, 1),
    );
    check(
        "a delegated role is no longer listed",
        |r| {
            r.bump();
            r.write();
            r.snapshot.meta.remove("models/bearing.json");
            r.write_online();
        },
        Err(Refused::MissingRole { role: model_role() }),
    );
    check(
        "root",
        |r| {
            r.root.header.version = 2;
            r.write_root();
            rename(r, "1.root.json", "3.root.json");
        },
        rollback(Role::Root, 2, 1),
    );
}

fn edit(repository: &mut Repository, name: &str, change: impl FnOnce(&mut Value)) {
    let file = repository.files.get_mut(name).unwrap();
    let mut value = canonical::read(file).unwrap();
    change(&mut value);
    *file = canonical::file_bytes(&value).unwrap();
}

#[test]
fn mix_and_match() {
    fn swap(r: &mut Repository) {
        r.bump();
        r.write();
        rename(r, "2.snapshot.json", "3.snapshot.json");
    }
    fn swap_targets(r: &mut Repository) {
        r.bump();
        r.write();
        rename(r, "2.targets.json", "3.targets.json");
    }
    fn other_content(r: &mut Repository) {
        r.bump();
        r.targets.header.version = 2;
        r.targets.remove_target("fleet.json");
        r.write();
        r.targets
            .add_target("fleet.json", TargetFile::of(b"ab", None));
        let bytes = r.sign("targets", &r.targets);
        r.put(&Role::Targets, 2, bytes);
    }
    let old = |role| {
        Err(Refused::WrongVersion {
            role,
            expected: 3,
            offered: 2,
        })
    };
    check(
        "an older snapshot",
        swap,
        Err(Refused::HashMismatch {
            role: Role::Snapshot,
        }),
    );
    check(
        "older targets",
        swap_targets,
        Err(Refused::HashMismatch {
            role: Role::Targets,
        }),
    );
    let mut repository = Repository::new();
    let mut trusted = repository.client();
    other_content(&mut repository);
    let seen = repository.refresh(&mut trusted, NOW);
    assert!(matches!(
        seen,
        Err(Refused::LengthMismatch {
            role: Role::Targets,
            ..
        })
    ));
    check(
        "unhashed snapshot",
        |r| (r.hashes = false, swap(r)).1,
        old(Role::Snapshot),
    );
    check(
        "unhashed targets",
        |r| (r.hashes = false, swap_targets(r)).1,
        old(Role::Targets),
    );
    check(
        "a document of another role",
        |r| {
            r.hashes = false;
            r.bump();
            r.write();
            let root_as_targets = r.sign("targets", &r.root);
            r.put(&Role::Targets, 3, root_as_targets);
        },
        Err(Refused::Malformed {
            role: Role::Targets,
            what: "missing field `targets`".into(),
        }),
    );
}

/// 5.4.3.1: that is normal and no error; what is trusted stays.
#[test]
fn another_timestamp_under_the_trusted_version() {
    let rows: [(&str, Attack); 3] = [
        ("other content", |r| {
            r.timestamp.header.expires_s += 1;
            r.write();
        }),
        ("a snapshot that is not there", |r| {
            r.timestamp.meta.get_mut("snapshot.json").unwrap().version = 100;
            let bytes = r.sign("timestamp", &r.timestamp);
            r.files.insert("timestamp.json".into(), bytes);
        }),
        ("already expired", |r| {
            r.timestamp.header.expires_s = NOW_S;
            r.write();
        }),
    ];
    for (name, attack) in rows {
        let mut repository = Repository::new();
        let mut trusted = repository.client();
        let before = trusted.clone();
        attack(&mut repository);
        assert_eq!(repository.refresh(&mut trusted, NOW), Ok(()), "{name}");
        assert_eq!(trusted, before, "{name}");
        assert_eq!(trusted.finish_top_level(NOW), Ok(()), "{name}");
    }
}

/// New keys, which the trusted timestamp was not judged by, must not be told another story.
#[test]
fn another_timestamp_under_the_trusted_version_and_new_keys() {
    check(
        "a key is added",
        |r| {
            r.root.header.version = 2;
            r.root.authorize(&Role::Timestamp, &keys(&[11, 31]), 1);
            r.write_root();
            r.timestamp.header.expires_s += 1;
            r.write();
        },
        Err(Refused::SameVersionDifferentBytes {
            role: Role::Timestamp,
            version: 2,
        }),
    );
}

#[test]
fn the_top_level_ends_current_and_unexpired() {
    let repository = Repository::new();
    let mut trusted = Trusted::from_root(&repository.files["1.root.json"]).unwrap();
    let needs = |needs| {
        let role = Role::Targets;
        Err(Refused::OutOfOrder { role, needs })
    };
    for role in [Role::Timestamp, Role::Snapshot, Role::Targets] {
        assert_eq!(trusted.finish_top_level(NOW), needs(role));
        let wanted = trusted.wanted_top_level().unwrap();
        offer(
            &mut trusted,
            &wanted,
            &repository.files[&wanted.file_name],
            NOW,
        )
        .unwrap();
    }
    assert_eq!(trusted.finish_top_level(NOW), Ok(()));
    let later = Expiry::Enforced {
        now_s: NOW_S + 1000,
    };
    let expired = Refused::Expired {
        role: Role::Root,
        at_s: NOW_S + 1000,
    };
    assert_eq!(trusted.finish_top_level(later), Err(expired));
}
