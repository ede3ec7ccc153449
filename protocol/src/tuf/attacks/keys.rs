//! Attacks on keys and thresholds; keys of other types.

use super::*;

#[test]
fn arbitrary_software_by_a_wrong_key_or_unsigned() {
    let rows: [(&'static str, Role, u32); 4] = [
        ("timestamp", Role::Timestamp, 1),
        ("snapshot", Role::Snapshot, 1),
        ("targets", Role::Targets, 1),
        ("model", model_role(), 2),
    ];
    for (by, role, need) in rows {
        for signers in [vec![99], vec![], vec![1, 2, 3]] {
            let mut repository = Repository::new();
            let mut trusted = repository.client();
            repository.bump();
            repository.signers.insert(by, signers);
            repository.write();
            let seen = repository.refresh(&mut trusted, NOW);
            assert_eq!(seen, threshold(role.clone(), 0, need), "{by}");
        }
    }
}

#[test]
fn threshold_by_one_key() {
    check(
        "one of two",
        |r| (r.bump(), r.signers.insert("model", vec![21]), r.write()).2,
        threshold(model_role(), 1, 2),
    );
    check(
        "the same signature twice",
        |r| {
            r.hashes = false;
            r.bump();
            r.signers.insert("model", vec![21]);
            r.write();
            edit(r, "3.models/bearing.json", |envelope| {
                let one = envelope["signatures"][0].clone();
                envelope["signatures"].as_array_mut().unwrap().push(one);
            });
        },
        Err(Refused::DuplicateSignature {
            role: model_role(),
            key_id: keys(&[21])[0].id(),
        }),
    );
    check(
        "one key under two ids",
        one_key_under_two_ids,
        threshold(model_role(), 1, 2),
    );
}

/// A key with a field we do not know may stand under the id with it or the one without.
fn one_key_under_two_ids(repository: &mut Repository) {
    let plain = keys(&[21]).remove(0);
    let mut other = plain.clone();
    other.other.insert("note".into(), json!("x"));
    let whole = serde_json::to_value(&other).unwrap();
    let other_id = Hex32::sha256(&canonical_bytes(&whole).unwrap()).to_string();
    repository.hashes = false;
    repository.bump();
    let delegations = repository.targets.delegations.as_mut().unwrap();
    delegations.keys.insert(other_id.clone(), other);
    delegations.roles[0].keyids = vec![plain.id(), other_id.clone()];
    repository.signers.insert("model", vec![21]);
    repository.write();
    edit(repository, "3.models/bearing.json", |envelope| {
        let mut again = envelope["signatures"][0].clone();
        again["keyid"] = Value::from(other_id);
        envelope["signatures"].as_array_mut().unwrap().push(again);
    });
}

#[test]
fn other_key_types_grant_nothing_and_break_nothing() {
    let mut repository = Repository::new();
    let mut trusted = repository.client();
    let rsa: Key = serde_json::from_value(json!({
        "keytype": "rsa", "scheme": "rsassa-pss-sha256", "keyval": { "public": "PEM" }, "x": 1
    }))
    .unwrap();
    repository.root.header.version = 2;
    repository.root.keys.insert("abc".into(), rsa);
    repository
        .root
        .roles
        .get_mut("targets")
        .unwrap()
        .keyids
        .push("abc".into());
    repository.write_root();
    repository.bump();
    repository.write();
    assert_eq!(repository.refresh(&mut trusted, NOW), Ok(()));
    repository.root.header.version = 3;
    repository.root.roles.get_mut("targets").unwrap().threshold = 2;
    repository.write_root();
    repository.bump();
    repository.write();
    assert_eq!(
        repository.refresh(&mut trusted, NOW),
        threshold(Role::Targets, 1, 2)
    );
    assert_eq!(trusted.root().version(), 3);
}

#[test]
fn malformed_keys() {
    let public = |r: &mut Repository, value: &str| {
        let delegations = r.targets.delegations.as_mut().unwrap();
        let mut wrong = key_of(&key(21));
        wrong.keyval.insert("public".into(), Value::from(value));
        let id = wrong.id();
        delegations.keys.insert(id, wrong);
        r.bump();
        r.write();
    };
    for value in ["", "zz", &"AB".repeat(32), &"02".repeat(32)] {
        let mut repository = Repository::new();
        let mut trusted = repository.client();
        public(&mut repository, value);
        let expect = Refused::Malformed {
            role: Role::Targets,
            what: "keyval".into(),
        };
        assert_eq!(
            repository.refresh(&mut trusted, NOW),
            Err(expect),
            "{value}"
        );
    }
    check(
        "a key under another id",
        |r| {
            r.bump();
            let delegations = r.targets.delegations.as_mut().unwrap();
            delegations.keys.insert("ab".into(), key_of(&key(50)));
            r.write();
        },
        Err(Refused::WrongKeyId {
            role: Role::Targets,
            key_id: "ab".into(),
        }),
    );
}
