//! Attacks on the root chain and its bounds, and recovery by new keys.

use super::*;

#[test]
fn endless_data() {
    let pad = |bytes: &mut Vec<u8>, to: u64| bytes.resize(usize::try_from(to).unwrap() + 1, b' ');
    for (name, role) in [
        ("timestamp.json", Role::Timestamp),
        ("2.root.json", Role::Root),
    ] {
        let mut repository = Repository::new();
        let mut trusted = repository.client();
        repository.root.header.version = 2;
        repository.write_root();
        pad(repository.files.get_mut(name).unwrap(), role.bytes_max());
        let expect = Refused::TooLarge {
            bytes_max: role.bytes_max(),
            role,
        };
        assert_eq!(repository.refresh(&mut trusted, NOW), Err(expect));
    }
    let mut repository = Repository::new();
    let trusted = Trusted::from_root(&repository.files["1.root.json"]).unwrap();
    repository
        .files
        .get_mut("2.snapshot.json")
        .unwrap()
        .push(b' ');
    let length = repository.files["2.snapshot.json"].len() as u64;
    let seen = repository.refresh(&mut trusted.clone(), NOW);
    let role = Role::Snapshot;
    let expect = Refused::LengthMismatch {
        role,
        expected: length - 1,
        offered: length,
    };
    assert_eq!(seen, Err(expect));
}

#[test]
fn more_roots_than_the_limit() {
    let mut repository = Repository::new();
    let mut trusted = repository.client();
    for version in 2..=u64::from(limits::ROTATIONS_MAX) + 2 {
        repository.root.header.version = version;
        repository.write_root();
    }
    let end = trusted.root().version() + u64::from(limits::ROTATIONS_MAX);
    assert_eq!(repository.refresh(&mut trusted, NOW), Ok(()), "5.3.3");
    assert_eq!(trusted.root().version(), end);
    assert_eq!(repository.refresh(&mut trusted, NOW), Ok(()));
    assert_eq!(trusted.root().version(), end + 1, "the next update goes on");
}

/// Whoever does not ask `wanted_root` is held by the verb itself.
#[test]
fn a_root_offered_beyond_the_limit() {
    let mut repository = Repository::new();
    let mut trusted = repository.client();
    for version in 2..=u64::from(limits::ROTATIONS_MAX) + 2 {
        repository.root.header.version = version;
        repository.write_root();
        let seen = trusted.update_root(&repository.files[&format!("{version}.root.json")]);
        let full = version > u64::from(limits::ROTATIONS_MAX) + 1;
        let expect = if full {
            Err(Refused::TooManyRotations)
        } else {
            Ok(Update::Accepted)
        };
        assert_eq!(seen, expect, "{version}");
    }
    assert_eq!(trusted.wanted_root(), None);
}

/// 5.3.5: the chain ends, and the update goes on.
#[test]
fn the_trusted_root_again_in_place_of_the_next() {
    for change in [
        |_: &mut Root| (),
        |root: &mut Root| root.header.expires_s -= 1,
    ] {
        let mut repository = Repository::new();
        let mut trusted = repository.client();
        let first = repository.files["1.root.json"].clone();
        change(&mut repository.root);
        repository.write_root();
        rename(&mut repository, "1.root.json", "2.root.json");
        repository.bump();
        repository.write();
        assert_eq!(repository.refresh(&mut trusted, NOW), Ok(()));
        assert_eq!(trusted.root().sha256(), Hex32::sha256(&first));
        assert_eq!(trusted.timestamp().unwrap().version(), 3);
    }
}

#[test]
fn fast_forward_and_its_recovery() {
    let mut repository = Repository::new();
    let mut trusted = repository.client();
    let far = u64::MAX - 1;
    repository.timestamp.header.version = far;
    repository.snapshot.header.version = far;
    repository.targets.header.version = far;
    repository.write();
    assert_eq!(repository.refresh(&mut trusted, NOW), Ok(()));

    repository.timestamp.header.version = 3;
    repository.snapshot.header.version = 3;
    repository.targets.header.version = 3;
    repository.write();
    let seen = repository.refresh(&mut trusted, NOW);
    assert_eq!(
        seen,
        rollback(Role::Timestamp, far, 3),
        "no recovery without new keys"
    );

    repository.root.header.version = 2;
    repository.root.authorize(&Role::Snapshot, &keys(&[32]), 1);
    repository.signers.insert("snapshot", vec![32]);
    repository.write_root();
    repository.write();
    assert_eq!(repository.refresh(&mut trusted, NOW), Ok(()));
    assert_eq!(trusted.targets(&Role::Targets).unwrap().version(), 3);
    assert!(trusted.target(TARGET).is_some());
}

#[test]
fn a_key_added_to_an_online_role_forgives_no_rollback() {
    let mut repository = Repository::new();
    let mut trusted = repository.client();
    repository.root.header.version = 2;
    repository
        .root
        .authorize(&Role::Timestamp, &keys(&[11, 31]), 1);
    repository.write_root();
    repository.timestamp.header.version = 1;
    repository.write();
    assert_eq!(
        repository.refresh(&mut trusted, NOW),
        rollback(Role::Timestamp, 2, 1)
    );
}

#[test]
fn root_chain_of_ten() {
    let mut repository = Repository::new();
    let mut trusted = repository.client();
    for version in 2..=11u8 {
        // All root keys change in every step; the old ones sign too.
        let seeds = [100 + version, 120 + version, 140 + version];
        let old = repository.signers["root"].clone();
        repository.root.header.version = version.into();
        repository.root.authorize(&Role::Root, &keys(&seeds), 2);
        repository
            .signers
            .insert("root", [&old[..2], &seeds[..2]].concat());
        repository.write_root();
        repository.signers.insert("root", seeds[..2].to_vec());
    }
    assert_eq!(repository.refresh(&mut trusted, NOW), Ok(()));
    assert_eq!(trusted.root().version(), 11);
    assert!(
        trusted.target(TARGET).is_some(),
        "root keys alone disturb nothing below"
    );
}

#[test]
fn root_chain_broken() {
    check(
        "a version is skipped",
        |r| {
            r.root.header.version = 3;
            r.write_root();
            rename(r, "3.root.json", "2.root.json");
        },
        Err(Refused::WrongVersion {
            role: Role::Root,
            expected: 2,
            offered: 3,
        }),
    );
    check(
        "too few of the old keys",
        |r| {
            r.root.header.version = 2;
            r.root.authorize(&Role::Root, &keys(&[4, 5]), 2);
            r.signers.insert("root", vec![1, 4, 5]);
            r.write_root();
        },
        threshold(Role::Root, 1, 2),
    );
    check(
        "too few of the new keys",
        |r| {
            r.root.header.version = 2;
            r.root.authorize(&Role::Root, &keys(&[4, 5, 6]), 3);
            r.signers.insert("root", vec![1, 2, 4, 5]);
            r.write_root();
        },
        threshold(Role::Root, 2, 3),
    );
    let mut unsigned = Repository::new();
    unsigned.signers.insert("root", vec![]);
    unsigned.write_root();
    let seen = Trusted::from_root(&unsigned.files["1.root.json"]);
    assert_eq!(seen.map(|_| ()), threshold(Role::Root, 0, 2));
}
