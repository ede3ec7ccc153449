//! A repository, or whoever stands before it, that must be refused; one row for each attack.

use muster_protocol::tuf::{Key, Role};
use serde_json::json;

use super::repository::keys;
use super::*;

type Attack = fn(&mut Repository);

#[test]
fn no_attack() {
    check("nothing new", |_| (), Ok(()), [1, 2, 2, 2]);
    check(
        "a next version",
        |r| (r.bump(), r.write()).1,
        Ok(()),
        [1, 3, 3, 3],
    );
}

#[test]
fn expired() {
    let rows: [(Attack, &str, [u64; 4]); 4] = [
        (
            |r| (r.root.header.expires_s = NOW_S, r.next_root()).1,
            "root expired at 2030-03-17T17:46:40Z (TUF 5.3.10)",
            [2, 2, 2, 2],
        ),
        (
            |r| (r.bump(), r.timestamp.header.expires_s = NOW_S, r.write()).2,
            "timestamp expired at 2030-03-17T17:46:40Z (TUF 5.4.4)",
            [1, 2, 2, 2],
        ),
        (
            |r| (r.bump(), r.snapshot.header.expires_s = NOW_S, r.write()).2,
            "snapshot expired at 2030-03-17T17:46:40Z (TUF 5.5.6)",
            [1, 3, 2, 2],
        ),
        (
            |r| (r.bump(), r.targets.header.expires_s = NOW_S, r.write()).2,
            "targets expired at 2030-03-17T17:46:40Z (TUF 5.6.5)",
            [1, 3, 3, 2],
        ),
    ];
    for (attack, because, versions) in rows {
        check(because, attack, Err(because), versions);
    }
}

#[test]
fn rolled_back() {
    check(
        "timestamp",
        |r| (r.timestamp.header.version = 1, r.write()).1,
        Err("timestamp would go back from version 2 to 1"),
        [1, 2, 2, 2],
    );
    for hashes in [false, true] {
        check(
            "snapshot",
            |r| {
                r.hashes = hashes;
                r.bump();
                r.snapshot.header.version = 1;
                r.write();
            },
            Err("snapshot would go back from version 2 to 1"),
            [1, 2, 2, 2],
        );
        check(
            "targets",
            |r| {
                r.hashes = hashes;
                r.bump();
                r.targets.header.version = 1;
                r.write();
            },
            Err("targets would go back from version 2 to 1"),
            [1, 3, 2, 2],
        );
    }
    check(
        "root",
        |r| {
            r.next_root();
            let first = r.files["1.root.json"].clone();
            r.put("root", 3, first);
        },
        Err("root would go back from version 2 to 1"),
        [2, 2, 2, 2],
    );
}

/// Signed well, but not what is listed: the same length, then one byte more.
#[test]
fn other_bytes_than_listed() {
    check(
        "snapshot hash",
        |r| {
            r.bump();
            r.write();
            r.snapshot.header.expires_s += 1;
            let other = r.sign("snapshot", &r.snapshot);
            r.put("snapshot", 3, other);
        },
        Err("snapshot has another sha256 than listed"),
        [1, 3, 2, 2],
    );
    check(
        "targets hash",
        |r| {
            r.bump();
            r.write();
            r.targets.header.expires_s += 1;
            let other = r.sign("targets", &r.targets);
            r.put("targets", 3, other);
        },
        Err("targets has another sha256 than listed"),
        [1, 3, 3, 2],
    );
    for (role, versions) in [("snapshot", [1, 3, 2, 2]), ("targets", [1, 3, 3, 2])] {
        let longer = move |r: &mut Repository| {
            r.bump();
            r.write();
            let mut bytes = r.files[&format!("3.{role}.json")].clone();
            bytes.push(b' ');
            r.put(role, 3, bytes);
        };
        check("longer", longer, Err("it has more than"), versions);
        let shorter = move |r: &mut Repository| {
            r.bump();
            r.write();
            let mut bytes = r.files[&format!("3.{role}.json")].clone();
            bytes.pop();
            r.put(role, 3, bytes);
        };
        let because = format!("{role} has ");
        check("shorter", shorter, Err(&because), versions);
    }
}

#[test]
fn signed_by_too_few() {
    for (role, versions) in [
        ("timestamp", [1, 2, 2, 2]),
        ("snapshot", [1, 3, 2, 2]),
        ("targets", [1, 3, 3, 2]),
    ] {
        let unsigned = move |r: &mut Repository| {
            r.signers.insert(role.into(), vec![99]);
            r.bump();
            r.write();
        };
        let because = format!("{role} has 0 valid signatures of 1 needed");
        check(role, unsigned, Err(&because), versions);
    }
    check(
        "one signature twice under a threshold of two",
        |r| {
            r.root.authorize(&Role::Timestamp, &keys(&[11, 14]), 2);
            r.next_root();
            r.bump();
            r.write();
            r.edit("timestamp.json", |envelope| {
                let again = envelope["signatures"][0].clone();
                envelope["signatures"].as_array_mut().unwrap().push(again);
            });
        },
        Err("timestamp has two signatures of key"),
        [2, 2, 2, 2],
    );
    check(
        "one key id twice in a role, under a threshold of two",
        |r| {
            r.root.authorize(&Role::Timestamp, &keys(&[11]), 2);
            let ids = &mut r.root.roles.get_mut("timestamp").unwrap().keyids;
            ids.push(ids[0].clone());
            r.next_root();
            r.bump();
            r.write();
        },
        Err("timestamp has 1 valid signatures of 2 needed"),
        [2, 2, 2, 2],
    );
}

#[test]
fn keys_that_do_not_count() {
    check(
        "a public key that is none",
        |r| {
            let mut wrong = keys(&[50]).remove(0);
            wrong.keyval.insert("public".into(), json!("zz"));
            r.root.keys.insert(wrong.id(), wrong);
            r.next_root();
        },
        Err("root is malformed: keyval"),
        [1, 2, 2, 2],
    );
    for (keytype, scheme) in [
        ("rsa", "rsassa-pss-sha256"),
        ("ecdsa", "ecdsa-sha2-nistp256"),
        ("ed25519", "ed25519-of-tomorrow"),
        ("of tomorrow", ""),
    ] {
        let key = json!({ "keytype": keytype, "scheme": scheme, "keyval": { "public": "?" } });
        let key: Key = serde_json::from_value(key).unwrap();
        let foreign = move |r: &mut Repository, threshold: u32| {
            r.root.keys.insert("foreign".into(), key);
            let role = r.root.roles.get_mut("timestamp").unwrap();
            role.keyids.push("foreign".into());
            role.threshold = threshold;
            r.next_root();
            r.bump();
            r.write();
            r.edit("timestamp.json", |envelope| {
                let made = json!({ "keyid": "foreign", "sig": "00" });
                envelope["signatures"].as_array_mut().unwrap().push(made);
            });
        };
        let needed = foreign.clone();
        check(keytype, move |r| foreign(r, 1), Ok(()), [2, 3, 3, 3]);
        let because = Err("timestamp has 1 valid signatures of 2 needed");
        check(keytype, move |r| needed(r, 2), because, [2, 2, 2, 2]);
    }
}

/// All root keys change in every step; the old ones sign too.
fn rotate_root(r: &mut Repository) {
    let version = u8::try_from(r.root.header.version).unwrap();
    let seeds = [100 + version, 120 + version];
    let old = r.signers["root"].clone();
    r.root.authorize(&Role::Root, &keys(&seeds), 2);
    r.signers
        .insert("root".into(), [&old[..], &seeds[..]].concat());
    r.next_root();
    r.signers.insert("root".into(), seeds.into());
}

#[test]
fn a_chain_of_ten_roots() {
    let ten = |r: &mut Repository| (0..10).for_each(|_| rotate_root(r));
    check("all well", ten, Ok(()), [11, 2, 2, 2]);
    check(
        "refused in the middle: those before it stay",
        move |r| {
            ten(r);
            r.edit("7.root.json", |envelope| {
                envelope["signatures"].as_array_mut().unwrap().remove(0);
            });
        },
        Err("root has 1 valid signatures of 2 needed"),
        [6, 2, 2, 2],
    );
    check(
        "a version is skipped",
        |r| {
            r.next_root();
            r.root.header.version = 5;
            let bytes = r.sign("root", &r.root);
            r.put("root", 3, bytes);
        },
        Err("root has version 5 where 3 is due"),
        [2, 2, 2, 2],
    );
    check(
        "the trusted root again: the chain ends, the update goes on",
        |r| {
            let first = r.files["1.root.json"].clone();
            r.put("root", 2, first);
            r.bump();
            r.write();
        },
        Ok(()),
        [1, 3, 3, 3],
    );
}

#[test]
fn fast_forward_and_its_recovery() {
    let mut bench = Bench::refreshed(Repository::new());
    let r = &mut bench.repository;
    r.timestamp.header.version = 100;
    r.snapshot.header.version = 100;
    r.targets.header.version = 100;
    r.write();
    bench.publish();
    bench.refresh().unwrap();
    assert_eq!(bench.versions(), [1, 100, 100, 100]);

    for (role, seed) in [(Role::Timestamp, 31), (Role::Snapshot, 32)] {
        let r = &mut bench.repository;
        r.root.authorize(&role, &keys(&[seed]), 1);
        r.signers.insert(role.name().into(), vec![seed]);
        r.next_root();
        r.timestamp.header.version = 3;
        r.snapshot.header.version = 3;
        r.targets.header.version = 3;
        r.write();
        bench.publish();
        bench.refresh().unwrap();
        assert_eq!(bench.versions()[1..], [3, 3, 3], "{role}");
        let r = &mut bench.repository;
        r.timestamp.header.version = 100;
        r.snapshot.header.version = 100;
        r.targets.header.version = 100;
        r.write();
        bench.publish();
        bench.refresh().unwrap();
    }
}

#[test]
fn another_timestamp_under_the_trusted_version() {
    let attack = |r: &mut Repository| {
        r.timestamp.meta.get_mut("snapshot.json").unwrap().version = 100;
        let bytes = r.sign("timestamp", &r.timestamp);
        r.files.insert("timestamp.json".into(), bytes);
    };
    check("no error (5.4.3.1)", attack, Ok(()), [1, 2, 2, 2]);
}

#[test]
fn endless_data() {
    for name in ["2.root.json", "timestamp.json"] {
        let bench = Bench::refreshed(Repository::new());
        let path = format!("/metadata/{name}");
        bench.server.put(&path, Reply::Endless);
        expect(name, &bench.refresh(), Err("it has more than"));
        assert_eq!(bench.versions(), [1, 2, 2, 2]);
    }
    for name in ["3.snapshot.json", "3.targets.json"] {
        let mut bench = Bench::refreshed(Repository::new());
        bench.repository.hashes = false;
        bench.repository.bump();
        bench.repository.write();
        bench.publish();
        bench
            .server
            .put(&format!("/metadata/{name}"), Reply::Endless);
        expect(name, &bench.refresh(), Err("it has more than"));
    }
}

#[test]
fn slow_retrieval() {
    for reply in [Reply::Stalled, Reply::Dripping] {
        let mut bench = Bench::refreshed(Repository::new());
        bench.patience = impatient();
        bench.server.put("/metadata/2.root.json", reply);
        let because = Err("failed to fetch 2.root.json");
        expect("slow", &bench.refresh(), because);
        assert_eq!(bench.versions(), [1, 2, 2, 2]);
    }
}

/// Only "not there" ends the chain of roots.
#[test]
fn a_server_in_trouble() {
    for (status, expected) in [
        (404, Ok(())),
        (403, Ok(())),
        (500, Err("the repository answered 500")),
        (302, Err("the repository answered 302")),
    ] {
        let bench = Bench::refreshed(Repository::new());
        bench
            .server
            .put("/metadata/2.root.json", Reply::Status(status));
        expect("status", &bench.refresh(), expected);
    }
}
