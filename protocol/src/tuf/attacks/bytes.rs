//! Damaged, malformed and extended documents.

use super::*;

type Change = fn(&mut Value);

#[test]
fn malformed_signed_documents() {
    let rows: [(Change, &str); 8] = [
        (|v| v["_type"] = json!("snapshot"), "_type"),
        (|v| v["spec_version"] = json!("2.0.0"), "spec_version"),
        (|v| v["version"] = json!(0), "version"),
        (
            |v| v["delegations"]["roles"][0]["threshold"] = json!(0),
            "threshold",
        ),
        (
            |v| v["delegations"]["roles"][0]["name"] = json!("root"),
            "a delegation to a top-level role",
        ),
        (
            |v| v["delegations"]["roles"][0]["name"] = json!(""),
            "the name of a delegation",
        ),
        (
            |v| v["delegations"]["roles"][0]["path_hash_prefixes"] = json!([]),
            "a delegation needs either paths or path_hash_prefixes",
        ),
        (
            |v| {
                let one = v["delegations"]["roles"][0].clone();
                v["delegations"]["roles"].as_array_mut().unwrap().push(one);
            },
            "two delegations to one role",
        ),
    ];
    for (change, what) in rows {
        let mut repository = Repository::new();
        repository.hashes = false;
        let mut trusted = repository.client();
        repository.bump();
        repository.write();
        resign(&mut repository, "3.targets.json", 13, change);
        let expect = Refused::Malformed {
            role: Role::Targets,
            what: what.into(),
        };
        assert_eq!(repository.refresh(&mut trusted, NOW), Err(expect), "{what}");
    }
}

fn resign(repository: &mut Repository, name: &str, seed: u8, change: Change) {
    let mut envelope = Envelope::parse(&Role::Targets, &repository.files[name]).unwrap();
    change(&mut envelope.signed);
    envelope.sign(&key(seed)).unwrap();
    repository
        .files
        .insert(name.into(), envelope.to_bytes().unwrap());
}

#[test]
fn unknown_fields_are_signed_and_accepted() {
    let mut repository = Repository::new();
    repository.hashes = false;
    let mut trusted = repository.client();
    repository.bump();
    repository.write();
    resign(&mut repository, "3.targets.json", 13, |v| {
        v["new"] = json!({ "b": [1, "\n"], "a": null })
    });
    assert_eq!(repository.refresh(&mut trusted, NOW), Ok(()));
    edit(&mut repository, "3.targets.json", |v| {
        v["signed"]["new"]["a"] = json!(1)
    });
    let mut again = Repository::new().client();
    assert_eq!(
        repository.refresh(&mut again, NOW),
        threshold(Role::Targets, 0, 1)
    );
}

#[test]
fn signed_anew_without_other_content() {
    let mut repository = Repository::new();
    let mut trusted = repository.client();
    repository.signers.insert("model", vec![21, 22, 99]);
    repository.signers.insert("targets", vec![13, 99]);
    repository.snapshot.header.version = 3;
    repository.timestamp.header.version = 3;
    repository.write();
    assert_eq!(repository.refresh(&mut trusted, NOW), Ok(()));
    assert!(trusted.target(TARGET).is_some());
    let bytes = repository.files["timestamp.json"].clone();
    assert_eq!(trusted.update_timestamp(&bytes, NOW), Ok(Update::Unchanged));
}

/// Compact files signed by exactly the threshold hold no byte that does not matter.
#[test]
fn a_flipped_byte_anywhere() {
    for hashes in [true, false] {
        let mut repository = Repository::new();
        repository.hashes = hashes;
        repository.root.header.version = 2;
        repository.write_root();
        repository.write();
        let mut trusted = Trusted::from_root(&repository.files["1.root.json"]).unwrap();
        let wanted = trusted.wanted_root().unwrap();
        refuse_every_flip(&trusted, &wanted, &repository);
        offer(&mut trusted, &wanted, &repository.files["2.root.json"], NOW).unwrap();
        let mut seen: Vec<String> = vec![];
        while let Ok(Search::Needs(wanted)) = trusted.search(TARGET, NOW) {
            refuse_every_flip(&trusted, &wanted, &repository);
            offer(
                &mut trusted,
                &wanted,
                &repository.files[&wanted.file_name],
                NOW,
            )
            .unwrap();
            seen.push(wanted.role.to_string());
        }
        assert_eq!(seen, ["timestamp", "snapshot", "targets", "models/bearing"]);
    }
}

fn refuse_every_flip(trusted: &Trusted, wanted: &Wanted, repository: &Repository) {
    let mut scratch = trusted.clone();
    let mut bytes = repository.files[&wanted.file_name].clone();
    for at in 0..bytes.len() {
        for bit in [0x01, 0x20, 0x80] {
            bytes[at] ^= bit;
            let result = offer(&mut scratch, wanted, &bytes, NOW);
            assert!(result.is_err(), "{} byte {at} bit {bit}", wanted.file_name);
            bytes[at] ^= bit;
        }
    }
}

#[test]
fn truncated_anywhere() {
    let repository = Repository::new();
    let mut trusted = Trusted::from_root(&repository.files["1.root.json"]).unwrap();
    let bytes = &repository.files["timestamp.json"];
    for length in 0..bytes.len() {
        let wanted = trusted.wanted_timestamp();
        let result = offer(&mut trusted, &wanted, &bytes[..length], NOW);
        assert!(matches!(result, Err(Refused::Malformed { .. })), "{length}");
    }
}
