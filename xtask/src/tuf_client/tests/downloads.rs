//! Targets: which bytes are taken, what is asked for, and what is left alone.

use muster_protocol::tuf::Hex64;

use super::*;

fn with(path: &str, content: &[u8]) -> Bench {
    let mut repository = Repository::new();
    repository.add_target("targets", path, content);
    repository.write();
    Bench::new(repository)
}

fn only(name: &str, content: &[u8]) -> BTreeMap<String, Vec<u8>> {
    BTreeMap::from([(name.into(), content.into())])
}

#[test]
fn a_target_is_fetched_once() {
    let bench = with("file.txt", b"content");
    bench.download(&["file.txt"]).unwrap();
    let asked = bench.server.asked();
    assert!(asked[4].ends_with(".file.txt") && asked[4].len() == 64 + 9);
    bench.download(&["file.txt"]).unwrap();
    assert_eq!(bench.server.asked(), ["2.root.json", "timestamp.json"]);
    assert_eq!(bench.downloaded(), only("file.txt", b"content"));
}

#[test]
fn a_target_that_is_listed_by_its_sha512_alone() {
    let mut bench = with("file.txt", b"content");
    let sha512 = Hex64::sha512(b"content").to_string();
    bench.repository.list_sha512("targets", "file.txt");
    bench.repository.bump();
    bench.repository.write();
    bench.publish();
    bench.download(&["file.txt"]).unwrap();
    assert!(bench.server.asked().contains(&format!("{sha512}.file.txt")));
    assert_eq!(bench.downloaded(), only("file.txt", b"content"));
}

#[test]
fn several_targets_are_fetched_after_one_update() {
    let mut bench = with("a", b"1");
    bench
        .repository
        .delegate("targets", "role", &["b/*"], false);
    bench.repository.add_target("role", "b/c", b"2");
    bench.repository.write();
    bench.publish();
    bench.download(&["a", "b/c", "a"]).unwrap();
    assert_eq!(bench.server.asked().len(), 4 + 3);
    assert_eq!(bench.downloaded().len(), 2);
}

/// What is on disk was damaged, then the repository has a new content.
#[test]
fn a_target_that_changed_replaces_the_file() {
    let mut bench = with("file.txt", b"content");
    bench.download(&["file.txt"]).unwrap();
    let file = bench.home.path().join("targets/file.txt");
    for damaged in [&b"cOntent"[..], b"", b"content and more"] {
        fs::write(&file, damaged).unwrap();
        bench.download(&["file.txt"]).unwrap();
        assert_eq!(bench.downloaded(), only("file.txt", b"content"));
    }
    bench.repository.add_target("targets", "file.txt", b"other");
    bench.repository.bump();
    bench.repository.write();
    bench.publish();
    bench.download(&["file.txt"]).unwrap();
    assert_eq!(bench.downloaded(), only("file.txt", b"other"));
}

#[test]
fn names_are_quoted_in_urls_and_files() {
    for (name, asked, file) in [
        ("a/b/c.txt", "a/b/HASH.c.txt", "a%2Fb%2Fc.txt"),
        ("a b?#", "HASH.a%20b%3F%23", "a%20b%3F%23"),
        ("../up", "../HASH.up", "%2E.%2Fup"),
        ("..", "HASH...", "%2E."),
        (".incoming", "HASH..incoming", "%2Eincoming"),
    ] {
        let bench = with(name, b"content");
        bench.download(&[name]).unwrap();
        let seen = bench.server.asked().pop().unwrap();
        let digest = muster_protocol::tuf::Hex32::sha256(b"content").to_string();
        assert_eq!(seen, asked.replace("HASH", &digest));
        assert_eq!(bench.downloaded(), only(file, b"content"));
    }
}

#[test]
fn a_file_that_is_not_what_is_listed_is_not_stored() {
    let digest = muster_protocol::tuf::Hex32::sha256(b"content");
    let path = format!("/targets/{digest}.file");
    let file = |bytes: &[u8]| Reply::File(bytes.into());
    for (reply, because) in [
        (file(b"cOntent"), "targets has another sha256 than listed"),
        (file(b"conten"), "targets has 6 bytes where 7 are listed"),
        (file(b"content+"), "it has more than 7 bytes"),
        (Reply::Endless, "it has more than 7 bytes"),
        (Reply::Status(404), "the repository does not have"),
        (Reply::Status(500), "the repository answered 500"),
    ] {
        let bench = with("file", b"content");
        bench.server.put(&path, reply);
        expect("file", &bench.download(&["file"]), Err(because));
        assert_eq!(bench.downloaded(), BTreeMap::new(), "{because}");
        let good = file(b"content");
        bench.server.put(&path, good);
        bench.download(&["file"]).unwrap();
        assert_eq!(bench.downloaded(), only("file", b"content"));
    }
}

#[test]
fn a_target_that_nobody_lists() {
    let bench = with("file", b"content");
    let because = Err("no role that may list it does");
    expect("absent", &bench.download(&["nothing"]), because);
    assert_eq!(bench.versions(), [1, 2, 2, 2], "metadata is up to date");
    expect(
        "no name",
        &bench.download(&[""]),
        Err("a target has a name"),
    );
}

#[test]
fn a_target_too_large_to_hold_is_not_asked_for() {
    let mut bench = with("file", b"content");
    let listed = bench.repository.targets.targets.get_mut("file").unwrap();
    listed.length = u64::MAX;
    bench.repository.bump();
    bench.repository.write();
    bench.publish();
    let because = Err("more than 268435456 are not taken");
    expect("large", &bench.download(&["file"]), because);
    assert_eq!(bench.server.asked().len(), 4);
}

#[test]
fn an_update_that_is_refused_downloads_nothing() {
    let mut bench = with("file", b"content");
    bench.repository.targets.header.expires_s = NOW_S;
    bench.repository.bump();
    bench.repository.write();
    bench.publish();
    let because = Err("targets expired at");
    expect("expired", &bench.download(&["file"]), because);
    assert_eq!(bench.downloaded(), BTreeMap::new());
}
