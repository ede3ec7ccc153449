//! The workflow without an attacker: order, names, restarts, authoring.

use super::*;

#[test]
fn out_of_order() {
    let repository = Repository::new();
    let mut trusted = Trusted::from_root(&repository.files["1.root.json"]).unwrap();
    let needs = |role, needs| Err(Refused::OutOfOrder { role, needs });
    let files = &repository.files;
    let snapshot = trusted.update_snapshot(&files["2.snapshot.json"], NOW);
    assert_eq!(snapshot, needs(Role::Snapshot, Role::Timestamp));
    let targets = trusted.update_targets(&files["2.targets.json"], NOW);
    assert_eq!(targets, needs(Role::Targets, Role::Snapshot));
    let model = &files["2.models/bearing.json"];
    let delegated = trusted.update_delegated(&Role::Targets, "models/bearing", model, NOW);
    assert_eq!(delegated, needs(model_role(), Role::Targets));
}

#[test]
fn names_and_limits_of_what_is_wanted() {
    for (consistent, expect) in [
        (
            true,
            [
                "timestamp.json",
                "2.snapshot.json",
                "2.targets.json",
                "2.models/bearing.json",
            ],
        ),
        (
            false,
            [
                "timestamp.json",
                "snapshot.json",
                "targets.json",
                "models/bearing.json",
            ],
        ),
    ] {
        let mut repository = Repository::new();
        repository.root.consistent_snapshot = consistent;
        repository.write_root();
        let mut trusted = Trusted::from_root(&repository.files["1.root.json"]).unwrap();
        let mut seen = vec![];
        while let Ok(Search::Needs(wanted)) = trusted.search(TARGET, NOW) {
            let version = wanted
                .version
                .map_or(String::new(), |version| format!("{version}."));
            let file = format!("{version}{}", wanted.role.listed_name());
            let bytes = &repository.files[&file];
            assert!(bytes.len() as u64 == wanted.bytes_max || wanted.version.is_none());
            offer(&mut trusted, &wanted, bytes, NOW).unwrap();
            seen.push(wanted.file_name);
        }
        assert_eq!(seen, expect);
    }
}

fn stored<'a>(
    repository: &'a Repository,
    root: &str,
    delegated: &'a [(&'a str, &'a [u8])],
) -> Stored<'a> {
    let file = |name: &str| Some(repository.files[name].as_slice());
    Stored {
        root: &repository.files[root],
        timestamp: file("timestamp.json"),
        snapshot: file("2.snapshot.json"),
        targets: file("2.targets.json"),
        delegated,
    }
}

#[test]
fn restored_after_a_restart() {
    let mut repository = Repository::new();
    let trusted = repository.client();
    let model = repository.files["2.models/bearing.json"].clone();
    let delegated = [("models/bearing", model.as_slice())];
    let restored = Trusted::restore(stored(&repository, "1.root.json", &delegated)).unwrap();
    assert_eq!(restored.dropped, []);
    assert_eq!(restored.trusted, trusted);

    // Power fails after a root with new snapshot keys was stored and before the forgetting.
    repository.root.header.version = 2;
    repository.root.authorize(&Role::Snapshot, &keys(&[32]), 1);
    repository.write_root();
    let restored = Trusted::restore(stored(&repository, "2.root.json", &delegated)).unwrap();
    let because = Refused::ThresholdNotMet {
        role: Role::Snapshot,
        have: 0,
        need: 1,
    };
    assert_eq!(
        restored.dropped,
        [Dropped {
            role: Role::Snapshot,
            because
        }]
    );
    assert_eq!(restored.trusted.target(TARGET), None);

    let mut torn = stored(&repository, "1.root.json", &delegated);
    torn.root = &torn.root[..100];
    assert!(matches!(
        Trusted::restore(torn),
        Err(Refused::Malformed { .. })
    ));
}

#[test]
fn the_same_content_gives_the_same_bytes() {
    let (one, two) = (Repository::new(), Repository::new());
    assert_eq!(one.files, two.files);
    let mut envelope = Envelope::unsigned(&one.root).unwrap();
    for seed in [2, 1, 2] {
        envelope.sign(&key(seed)).unwrap();
    }
    assert_eq!(
        envelope.to_bytes().unwrap(),
        one.files["1.root.json"],
        "in any order"
    );
    let again: Root = author::read_unverified(&Role::Root, &one.files["1.root.json"]).unwrap();
    assert_eq!(again, one.root);
}

#[test]
fn authors_take_away_what_they_gave() {
    let mut targets = Targets::new(1, NOW_S);
    targets.delegate(Delegation::of_model("a", 1), &keys(&[1, 2]));
    targets.delegate(Delegation::of_model("b", 1), &keys(&[2]));
    targets.delegate(Delegation::of_model("a", 1), &keys(&[3]));
    let names: Vec<&str> = targets
        .delegated()
        .iter()
        .map(|role| role.name.as_str())
        .collect();
    assert_eq!(names, ["models/a", "models/b"]);
    targets.undelegate("models/a");
    let ids: Vec<String> = targets.delegations.unwrap().keys.into_keys().collect();
    assert_eq!(ids, [keys(&[2])[0].id()]);
}

#[test]
fn every_refusal_names_its_section() {
    let role = Role::Snapshot;
    for (refused, expect) in [
        (
            Refused::ThresholdNotMet {
                role: Role::Timestamp,
                have: 0,
                need: 1,
            },
            "timestamp has 0 valid signatures of 1 needed (TUF 5.4.2)",
        ),
        (
            Refused::Rollback {
                role: role.clone(),
                trusted: 2,
                offered: 1,
            },
            "snapshot would go back from version 2 to 1 (TUF 5.4.3.2)",
        ),
        (
            Refused::Expired { role, at_s: 0 },
            "snapshot expired at 1970-01-01T00:00:00Z (TUF 5.5.6)",
        ),
    ] {
        assert_eq!(refused.to_string(), expect);
    }
}
