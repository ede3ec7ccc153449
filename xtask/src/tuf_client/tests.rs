//! The command as it is given, against a server of its own: what it takes, what it refuses, what it
//! asks for, and what is in its folders afterwards. The attacks themselves, one by one and without
//! a network, are in `muster_protocol::tuf`.

mod attacks;
mod delegations;
mod downloads;
mod repository;
mod server;
mod workflow;

use std::{collections::BTreeMap, fs, path::Path, time::Duration};

use clap::Parser as _;
use serde_json::Value;
use tempfile::TempDir;

use super::{fetch::Patience, run_within};
use crate::{Cli, Task};
use repository::{NOW_S, Repository};
use server::{Reply, Server};

/// A repository that is served, and the folders of a client.
struct Bench {
    repository: Repository,
    server: Server,
    home: TempDir,
    now_s: u64,
    patience: Patience,
}

impl Bench {
    /// A client that trusts the first root.
    fn new(repository: Repository) -> Self {
        let bench = Self {
            repository,
            server: Server::start(),
            home: TempDir::new().unwrap(),
            now_s: NOW_S,
            patience: Patience::default(),
        };
        bench.publish();
        bench.init(&bench.repository.files["1.root.json"]).unwrap();
        bench
    }

    /// A client that is up to date.
    fn refreshed(repository: Repository) -> Self {
        let bench = Self::new(repository);
        bench.refresh().unwrap();
        bench.server.asked();
        bench
    }

    fn publish(&self) {
        for (name, bytes) in &self.repository.files {
            let path = format!("/metadata/{}", super::name::quoted(name));
            self.server.put(&path, Reply::File(bytes.clone()));
        }
        for (name, bytes) in &self.repository.contents {
            let path = format!("/targets/{}", super::name::quoted_path(name));
            self.server.put(&path, Reply::File(bytes.clone()));
        }
    }

    fn init(&self, root: &[u8]) -> Result<(), String> {
        let file = self.home.path().join("first.json");
        fs::write(&file, root).unwrap();
        self.run(&["init", file.to_str().unwrap()])
    }

    fn refresh(&self) -> Result<(), String> {
        let url = self.server.url("metadata");
        self.run(&["--metadata-url", &url, "refresh"])
    }

    fn download(&self, names: &[&str]) -> Result<(), String> {
        let (metadata, targets) = (self.server.url("metadata/"), self.server.url("targets"));
        let into = self.home.path().join("targets");
        let mut words = vec!["--metadata-url", &metadata, "--target-base-url", &targets];
        words.extend(["--target-dir", into.to_str().unwrap()]);
        for name in names {
            words.extend(["--target-name", *name]);
        }
        words.push("download");
        self.run(&words)
    }

    fn run(&self, words: &[&str]) -> Result<(), String> {
        let folder = self.home.path().join("metadata");
        let start = ["xtask", "tuf-client", "--metadata-dir"];
        let whole = start.into_iter().chain([folder.to_str().unwrap()]);
        let parsed = Cli::try_parse_from(whole.chain(words.iter().copied()));
        let Task::TufClient(args) = parsed.unwrap().task else {
            panic!("another task");
        };
        run_within(&args, self.now_s, self.patience).map_err(|error| format!("{error:#}"))
    }

    fn stored(&self) -> BTreeMap<String, Vec<u8>> {
        files(&self.home.path().join("metadata"))
    }

    fn downloaded(&self) -> BTreeMap<String, Vec<u8>> {
        files(&self.home.path().join("targets"))
    }

    /// Of root, timestamp, snapshot and targets; 0 for one that is not there.
    fn versions(&self) -> [u64; 4] {
        let stored = self.stored();
        ["root", "timestamp", "snapshot", "targets"].map(|role| {
            let bytes = stored.get(&format!("{role}.json"));
            let version = bytes.map(|bytes| {
                let value: Value = serde_json::from_slice(bytes).unwrap();
                value["signed"]["version"].as_u64().unwrap()
            });
            version.unwrap_or(0)
        })
    }
}

fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let Ok(entries) = fs::read_dir(folder) else {
        return BTreeMap::new();
    };
    let file = |entry: std::io::Result<fs::DirEntry>| {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        (name, fs::read(path).unwrap())
    };
    entries.map(file).collect()
}

fn expect(name: &str, seen: &Result<(), String>, expect: Result<(), &str>) {
    match (seen, expect) {
        (Ok(()), Ok(())) => {}
        (Err(seen), Err(part)) if seen.contains(part) => {}
        _ => panic!("{name}: {seen:?} instead of {expect:?}"),
    }
}

/// A client that is up to date refreshes after `attack`. What it has then is what it had, or what
/// the server sent, byte for byte.
fn check(
    name: &str,
    attack: impl FnOnce(&mut Repository),
    expected: Result<(), &str>,
    versions: [u64; 4],
) {
    let mut bench = Bench::refreshed(Repository::new());
    let before = bench.stored();
    attack(&mut bench.repository);
    bench.publish();
    expect(name, &bench.refresh(), expected);
    assert_eq!(bench.versions(), versions, "{name}");
    for (file, bytes) in bench.stored() {
        let kept = before.get(&file) == Some(&bytes);
        assert!(kept || bench.server.has(&bytes), "{name}: {file}");
        let newer = versions != [1, 2, 2, 2];
        assert!(kept || newer, "{name}: {file} was touched");
    }
}

fn impatient() -> Patience {
    Patience {
        silence: Duration::from_millis(300),
        bytes_per_s_min: u64::MAX,
    }
}
