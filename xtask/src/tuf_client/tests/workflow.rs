//! The workflow without an attacker: what is asked for, what is stored, what starts it.

use super::*;

const TOP_LEVEL: [&str; 4] = [
    "2.root.json",
    "timestamp.json",
    "2.snapshot.json",
    "2.targets.json",
];

#[test]
fn a_first_refresh_asks_in_order_and_keeps_the_bytes_as_received() {
    let mut repository = Repository::new();
    // Not as we would write it: the bytes must not be made anew.
    let timestamp = &repository.files["timestamp.json"];
    let value: Value = serde_json::from_slice(timestamp).unwrap();
    let pretty = serde_json::to_vec_pretty(&value).unwrap();
    repository.files.insert("timestamp.json".into(), pretty);
    let bench = Bench::new(repository);
    bench.refresh().unwrap();
    assert_eq!(bench.server.asked(), TOP_LEVEL);
    let files = &bench.repository.files;
    let expect = [
        ("root.json", "1.root.json"),
        ("snapshot.json", "2.snapshot.json"),
        ("targets.json", "2.targets.json"),
        ("timestamp.json", "timestamp.json"),
    ];
    let expect = expect.map(|(stored, served)| (stored.to_owned(), files[served].clone()));
    assert_eq!(bench.stored(), BTreeMap::from(expect));
}

#[test]
fn what_is_there_is_not_fetched_again() {
    let mut bench = Bench::refreshed(Repository::new());
    bench.refresh().unwrap();
    assert_eq!(bench.server.asked(), TOP_LEVEL[..2]);
    // Of new keys that also sign nothing is fetched but what they sign anew.
    let r = &mut bench.repository;
    let role = muster_protocol::tuf::Role::Targets;
    r.root.authorize(&role, &repository::keys(&[13, 14]), 1);
    r.next_root();
    bench.publish();
    bench.refresh().unwrap();
    assert_eq!(
        bench.server.asked(),
        ["2.root.json", "3.root.json", "timestamp.json"]
    );
}

#[test]
fn damaged_files_are_fetched_again_except_root() {
    for name in ["timestamp.json", "snapshot.json", "targets.json"] {
        let bench = Bench::refreshed(Repository::new());
        let before = bench.stored();
        fs::write(bench.home.path().join("metadata").join(name), b"{").unwrap();
        bench.refresh().unwrap();
        assert_eq!(bench.stored(), before, "{name}");
    }
    let bench = Bench::refreshed(Repository::new());
    fs::write(bench.home.path().join("metadata/root.json"), b"{").unwrap();
    expect("root", &bench.refresh(), Err("the stored root is refused"));
    assert_eq!(bench.server.asked(), [""; 0]);
}

#[test]
fn without_consistent_snapshots_only_root_carries_its_version() {
    let mut repository = Repository::new();
    repository.root.consistent_snapshot = false;
    repository.add_target("targets", "a/b.txt", b"b");
    repository.write_root();
    repository.write();
    let bench = Bench::new(repository);
    bench.download(&["a/b.txt"]).unwrap();
    assert_eq!(
        bench.server.asked(),
        [
            "2.root.json",
            "timestamp.json",
            "snapshot.json",
            "targets.json",
            "a/b.txt"
        ]
    );
}

#[test]
fn local_documents_that_expired_lead_to_newer_ones() {
    let mut repository = Repository::new();
    repository.timestamp.header.expires_s = NOW_S + 7;
    repository.write();
    let mut bench = Bench::refreshed(repository);
    bench.now_s = NOW_S + 18;
    expect(
        "nothing newer",
        &bench.refresh(),
        Err("timestamp expired at"),
    );
    bench.repository.bump();
    bench.repository.timestamp.header.expires_s = NOW_S + 21;
    bench.repository.write();
    bench.publish();
    bench.refresh().unwrap();
    assert_eq!(bench.versions(), [1, 3, 3, 3]);
}

#[test]
fn a_start_that_is_refused_asks_for_nothing() {
    let bench = Bench::new(Repository::new());
    let first = bench.repository.files["1.root.json"].clone();
    let mut unsigned: Value = serde_json::from_slice(&first).unwrap();
    unsigned["signatures"].as_array_mut().unwrap().remove(0);
    let unsigned = serde_json::to_vec(&unsigned).unwrap();
    let because = Err("root has 1 valid signatures of 2 needed");
    expect("unsigned", &bench.init(&unsigned), because);
    expect("no JSON", &bench.init(b"root"), Err("root is malformed"));
    assert_eq!(bench.stored()["root.json"], first, "the trusted one stays");
    fs::remove_file(bench.home.path().join("metadata/root.json")).unwrap();
    let because = Err("there is no trusted root: `init` comes first");
    expect("no root", &bench.refresh(), because);
    assert_eq!(bench.server.asked(), [""; 0]);
}

#[test]
fn what_is_not_said_is_asked_for() {
    let bench = Bench::new(Repository::new());
    for (words, because) in [
        (vec!["refresh"], "--metadata-url is needed"),
        (
            vec!["--metadata-url", "https://h/", "refresh"],
            "is not of the form http://HOST[:PORT]/PATH",
        ),
        (vec!["--metadata-url", " ", "refresh"], "is no URL"),
        (vec!["download"], "--target-base-url is needed"),
        (
            vec!["--target-base-url", "http://h/", "download"],
            "--target-dir is needed",
        ),
        (
            vec![
                "--target-base-url",
                "http://h/",
                "--target-dir",
                "x",
                "download",
            ],
            "--target-name is needed",
        ),
    ] {
        expect("words", &bench.run(&words), Err(because));
    }
}
