//! Attacks through delegations: outside their paths, in circles, past their keys.

use super::*;

#[test]
fn delegated_outside_its_paths() {
    let mut repository = Repository::new();
    for path in [
        "models/other/1.cbor",
        "models/bearing/deep/1.cbor",
        "other.json",
    ] {
        repository
            .model
            .add_target(path, TargetFile::of(STATEMENT, None));
    }
    repository
        .model
        .add_target("fleet.json", TargetFile::of(b"forged", None));
    repository.write();
    let trusted = repository.client();
    for path in [
        "models/other/1.cbor",
        "models/bearing/deep/1.cbor",
        "other.json",
    ] {
        assert_eq!(trusted.search(path, NOW), Ok(Search::Absent), "{path}");
    }
    assert_eq!(
        trusted.target("fleet.json").unwrap().length,
        2,
        "targets comes first"
    );
}

#[test]
fn a_terminating_delegation_ends_the_search() {
    for (terminating, expect) in [(true, false), (false, true)] {
        let mut repository = Repository::new();
        let all = Delegation {
            name: "all".into(),
            paths: Some(vec!["models/*/*".into()]),
            ..Delegation::of_model("bearing", 1)
        };
        repository.targets.delegations.as_mut().unwrap().roles[0].terminating = terminating;
        repository.targets.delegate(all, &keys(&[41]));
        repository.snapshot.list(
            &Role::Delegated("all".into()),
            FileMeta {
                version: 1,
                length: None,
                hashes: None,
            },
        );
        let mut document = Targets::new(1, NOW_S + 1);
        document.add_target("models/bearing/9.cbor", TargetFile::of(STATEMENT, None));
        let bytes = Envelope::signed_bytes(&document, &[&key(41)]).unwrap();
        repository.put(&Role::Delegated("all".into()), 1, bytes);
        repository.write();
        let mut trusted = repository.client();
        while let Ok(Search::Needs(wanted)) = trusted.search("models/bearing/9.cbor", NOW) {
            offer(
                &mut trusted,
                &wanted,
                &repository.files[&wanted.file_name],
                NOW,
            )
            .unwrap();
        }
        assert_eq!(trusted.target("models/bearing/9.cbor").is_some(), expect);
    }
}

/// Targets delegates to the model's role, then to another; the model's role delegates on.
#[test]
fn a_terminating_delegation_further_down_ends_the_search_everywhere() {
    for (terminating, expect) in [(true, Search::Absent), (false, needs_other())] {
        let mut repository = Repository::new();
        let first = &mut repository.targets.delegations.as_mut().unwrap().roles[0];
        first.terminating = false;
        let other = Delegation {
            name: "other".into(),
            ..Delegation::of_model("bearing", 1)
        };
        repository.targets.delegate(other, &keys(&[41]));
        let own = Delegation {
            terminating,
            ..Delegation::of_model("bearing", 2)
        };
        repository.model.delegate(own, &keys(&[21, 22]));
        let listed = FileMeta {
            version: 1,
            length: None,
            hashes: None,
        };
        repository
            .snapshot
            .list(&Role::Delegated("other".into()), listed);
        repository.write();
        let trusted = repository.client();
        assert_eq!(trusted.search("models/bearing/none", NOW), Ok(expect));
    }
}

fn needs_other() -> Search<'static> {
    let role = Role::Delegated("other".into());
    Search::Needs(Wanted {
        bytes_max: role.bytes_max(),
        role,
        delegator: Some(Role::Targets),
        version: Some(1),
        file_name: "1.other.json".into(),
    })
}

/// The sha256 of `models/bearing/1.0.0.cbor` decides, in whole hexadecimal digits.
#[test]
fn a_delegation_by_the_digest_of_the_path() {
    let digest = Hex32::sha256(TARGET.as_bytes()).to_string();
    let other = if digest.starts_with('0') { "1" } else { "0" };
    let longer = format!("{digest}0");
    for (prefixes, expect) in [
        (vec![digest[..1].into()], true),
        (vec![other.into(), digest[..5].into()], true),
        (vec![digest.clone()], true),
        (vec![other.into()], false),
        (vec![digest[..5].to_uppercase() + "x"], false),
        (vec![longer], false),
        (vec![], false),
    ] {
        let mut repository = Repository::new();
        let delegation = &mut repository.targets.delegations.as_mut().unwrap().roles[0];
        delegation.paths = None;
        delegation.path_hash_prefixes = Some(prefixes.clone());
        repository.write();
        let found = repository.client().target(TARGET).is_some();
        assert_eq!(found, expect, "{prefixes:?}");
    }
}

#[test]
fn a_circle_of_delegations_ends() {
    let mut repository = Repository::new();
    let own = Delegation::of_model("bearing", 2);
    repository.model.delegate(own, &keys(&[21, 22]));
    repository.write();
    let trusted = repository.client();
    assert_eq!(
        trusted.search("models/bearing/none", NOW),
        Ok(Search::Absent)
    );
}

#[test]
fn a_key_taken_from_a_delegation_signs_no_more() {
    let mut repository = Repository::new();
    let mut trusted = repository.client();
    repository.targets.header.version = 3;
    repository.snapshot.header.version = 3;
    repository.timestamp.header.version = 3;
    repository
        .targets
        .delegate(Delegation::of_model("bearing", 2), &keys(&[21, 23]));
    repository.write();
    assert_eq!(
        repository.refresh(&mut trusted, NOW),
        threshold(model_role(), 1, 2)
    );
    assert_eq!(
        trusted.target(TARGET),
        None,
        "the old document no longer counts"
    );
}
