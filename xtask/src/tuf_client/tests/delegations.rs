//! The search through delegated roles, by what the command asks for.

use super::*;

type Edge = (&'static str, &'static str, &'static str, bool);

const ON: bool = false;
const LAST: bool = true;

/// The order in which roles are asked for while a target is sought that none of them lists.
fn check_graph(name: &str, edges: &[Edge], expected: &[&str]) {
    let mut repository = Repository::new();
    for &(from, to, paths, terminating) in edges {
        repository.delegate(from, to, &[paths], terminating);
    }
    repository.write();
    let bench = Bench::new(repository);
    let because = Err("no role that may list it does");
    expect(name, &bench.download(&["missing"]), because);
    let asked: Vec<String> = bench.server.asked().into_iter().skip(4).collect();
    let expected: Vec<String> = expected
        .iter()
        .map(|role| format!("1.{role}.json"))
        .collect();
    assert_eq!(asked, expected, "{name}");
    // The second time everything is there.
    expect(name, &bench.download(&["missing"]), because);
    assert_eq!(bench.server.asked().len(), 2, "{name}");
}

#[test]
fn roles_are_asked_depth_first_in_the_order_of_their_delegations() {
    let (t, all) = ("targets", "*");
    let (a, b, c, d) = ("A", "B", "C", "D");
    let rows: &[(&str, &[Edge], &[&str])] = &[
        ("one", &[(t, a, all, ON)], &[a]),
        ("two", &[(t, a, all, ON), (t, b, all, ON)], &[a, b]),
        (
            "depth first",
            &[
                (t, a, all, ON),
                (t, b, all, ON),
                (a, c, all, ON),
                (a, d, all, ON),
            ],
            &[a, c, d, b],
        ),
        (
            "three levels",
            &[
                (t, a, all, ON),
                (t, b, all, ON),
                (a, c, all, ON),
                (c, d, all, ON),
            ],
            &[a, c, d, b],
        ),
        (
            "terminating ends all but its own descendants",
            &[
                (t, a, all, ON),
                (t, b, all, ON),
                (a, c, all, LAST),
                (c, d, all, ON),
            ],
            &[a, c, d],
        ),
        (
            "terminating drops its siblings",
            &[
                (t, a, all, ON),
                (t, b, all, ON),
                (a, c, all, LAST),
                (a, d, all, ON),
            ],
            &[a, c],
        ),
        (
            "terminating elsewhere",
            &[(t, a, "*.py", LAST), (t, b, all, ON)],
            &[b],
        ),
        (
            "a pattern that does not match",
            &[
                (t, a, all, ON),
                (t, b, all, ON),
                (a, c, "*.py", ON),
                (c, d, all, ON),
            ],
            &[a, b],
        ),
        (
            "a circle",
            &[
                (t, a, all, ON),
                (t, b, all, ON),
                (b, c, all, ON),
                (c, d, all, ON),
                (d, b, all, ON),
            ],
            &[a, b, c, d],
        ),
        (
            "two roles delegate to a third",
            &[
                (t, a, all, ON),
                (t, b, all, ON),
                (b, c, all, ON),
                (a, c, all, ON),
            ],
            &[a, c, b],
        ),
        (
            "only one of the two for this path",
            &[
                (t, a, all, ON),
                (t, b, all, ON),
                (b, c, all, ON),
                (a, c, "*.py", ON),
            ],
            &[a, b, c],
        ),
    ];
    for (name, edges, expected) in rows {
        check_graph(name, edges, expected);
    }
}

#[test]
fn a_search_visits_64_roles_and_no_more() {
    let mut repository = Repository::new();
    for level in 0..70 {
        let from = match level {
            0 => "targets".to_owned(),
            _ => format!("r{level}"),
        };
        let to = format!("r{}", level + 1);
        repository.delegate(&from, &to, &["*"], false);
    }
    repository.write();
    let bench = Bench::new(repository);
    let because = Err("no role that may list it does");
    expect("deep", &bench.download(&["missing"]), because);
    let asked = bench.server.asked();
    assert_eq!(asked.len(), 4 + 63, "targets is the first of the 64");
    assert_eq!(asked.last().unwrap(), "1.r63.json");
}

#[test]
fn names_of_roles_are_quoted_in_urls_and_files() {
    for (role, quoted) in [
        ("?", "%3F"),
        ("#", "%23"),
        ("/delegatedrole", "%2Fdelegatedrole"),
        ("../delegatedrole", "..%2Fdelegatedrole"),
        (".", "."),
        ("..", ".."),
        ("a b%", "a%20b%25"),
    ] {
        let mut repository = Repository::new();
        repository.delegate("targets", role, &["*"], false);
        repository.write();
        let bench = Bench::new(repository);
        assert!(bench.download(&["missing"]).is_err());
        assert_eq!(bench.server.asked()[4], format!("1.{quoted}.json"));
        let stored = bench.stored();
        assert_eq!(stored.len(), 5, "{role}");
        assert!(stored.contains_key(&format!("{quoted}.json")), "{role}");
    }
}

/// A delegated role that is refused: by its keys, its hash, its expiry.
#[test]
fn a_delegated_role_that_is_refused_is_not_stored() {
    type Attack = fn(&mut Repository);
    let rows: [(Attack, &str); 4] = [
        (
            |r| {
                r.signers.insert("A".into(), vec![99]);
                r.write();
            },
            "A has 0 valid signatures of 1 needed",
        ),
        (
            |r| {
                r.write();
                let document = r.delegated.get_mut("A").unwrap();
                document.header.expires_s += 1;
                let other = r.sign("A", &r.delegated["A"]);
                r.put("A", 1, other);
            },
            "A has another sha256 than listed",
        ),
        (
            |r| {
                r.delegated.get_mut("A").unwrap().header.expires_s = NOW_S;
                r.write();
            },
            "A expired at",
        ),
        (
            |r| {
                r.write();
                r.snapshot.meta.remove("A.json");
                r.write_online();
            },
            "A is not listed",
        ),
    ];
    for (attack, because) in rows {
        let mut repository = Repository::new();
        repository.delegate("targets", "A", &["a/*"], false);
        repository.add_target("A", "a/file", b"content");
        attack(&mut repository);
        let bench = Bench::new(repository);
        bench.refresh().unwrap();
        expect(because, &bench.download(&["a/file"]), Err(because));
        assert_eq!(bench.stored().len(), 4, "{because}");
        assert_eq!(bench.downloaded(), BTreeMap::new(), "{because}");
    }
}

#[test]
fn a_stored_delegated_role_expires_and_is_replaced() {
    let mut repository = Repository::new();
    repository.delegate("targets", "A", &["a/*"], false);
    repository.add_target("A", "a/1", b"1");
    repository.add_target("A", "a/2", b"2");
    repository.delegated.get_mut("A").unwrap().header.expires_s = NOW_S + 7;
    repository.write();
    let mut bench = Bench::new(repository);
    bench.download(&["a/1"]).unwrap();
    bench.now_s = NOW_S + 18;
    expect("expired", &bench.download(&["a/2"]), Err("A expired at"));
    let r = &mut bench.repository;
    let document = r.delegated.get_mut("A").unwrap();
    document.header.version = 2;
    document.header.expires_s = NOW_S + 21;
    r.timestamp.header.version += 1;
    r.snapshot.header.version += 1;
    r.write();
    bench.publish();
    bench.download(&["a/2"]).unwrap();
    assert_eq!(bench.downloaded().len(), 2);
}
