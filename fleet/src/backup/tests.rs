//! A home comes back as it was, and nothing of an archive that is not whole is put in place.

use std::fs::{self, File};
use std::io::{Cursor, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use muster_protocol::digest::Digest;
use muster_protocol::time::UnixSeconds;

use super::*;
use crate::command::init;
use crate::controller::Controller;
use crate::error::Exit;
use crate::home::Home;
use crate::hostile::mutated;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

const NOW: UnixSeconds = UnixSeconds(1_800_000_000);

struct Bench {
    home: Home,
    folder: tempfile::TempDir,
}

impl Bench {
    async fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let home = init::new_home(&folder.path().join("home")).await;
        Self { home, folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn pack(&self, name: &str, offline: OfflineKeys) -> PathBuf {
        let path = self.path(name);
        pack(&self.home, &path, offline, NOW).expect("packed");
        path
    }

    /// Restores, and expects a refusal that leaves nothing.
    fn refused(&self, what: &str, archive: &Path, exit: Exit, expect: &str) {
        let home = self.path("refused");
        let error = restore(archive, &home, NOW, |_| Ok(())).expect_err(what);
        assert_eq!(error.exit, exit, "{what}: {error}");
        assert!(error.to_string().contains(expect), "{what}: {error}");
        assert!(!home.exists(), "{what}");
        assert!(!self.path("refused.restoring").exists(), "{what}");
    }

    /// Writes an archive of these members.
    fn archive(&self, name: &str, members: &[(tar::EntryType, &str, &[u8])]) -> PathBuf {
        let mut builder = tar::Builder::new(Vec::new());
        for (kind, path, bytes) in members {
            let mut header = tar::Header::new_ustar();
            // Past the library's own checks: an attacker does not use them.
            header.as_ustar_mut().expect("ustar").name[..path.len()]
                .copy_from_slice(path.as_bytes());
            header.set_entry_type(*kind);
            header.set_size(bytes.len() as u64);
            header.set_mode(0o600);
            header.set_cksum();
            builder.append(&header, *bytes).expect("a vector");
        }
        let tar = builder.into_inner().expect("a vector");
        let path = self.path(name);
        fs::write(
            &path,
            zstd::encode_all(Cursor::new(tar), 1).expect("packed"),
        )
        .expect("written");
        path
    }
}

type Members = Vec<(tar::EntryType, String, Vec<u8>)>;

/// The members of an archive, the manifest first.
fn members(archive: &Path) -> Members {
    let file = File::open(archive).expect("a file");
    let mut archive = tar::Archive::new(zstd::Decoder::new(file).expect("zstd"));
    let entries = archive.entries().expect("members").map(|entry| {
        let mut entry = entry.expect("a member");
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).expect("read");
        let path = entry.path().expect("a path").display().to_string();
        (entry.header().entry_type(), path, bytes)
    });
    entries.collect()
}

fn borrowed(members: &Members) -> Vec<(tar::EntryType, &str, &[u8])> {
    members
        .iter()
        .map(|(kind, path, bytes)| (*kind, path.as_str(), bytes.as_slice()))
        .collect()
}

#[tokio::test]
async fn a_home_comes_back_without_its_offline_keys_unless_they_were_asked_for() {
    let bench = Bench::new().await;
    for (name, offline) in [("without", OfflineKeys::Leave), ("with", OfflineKeys::Take)] {
        let archive = bench.pack(name, offline);
        let mode = fs::metadata(&archive).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let folder = bench.path(&format!("{name}-home"));
        let restored = restore(&archive, &folder, NOW, |_| Ok(())).expect("restored");
        assert_eq!(restored.offline_keys, offline == OfflineKeys::Take);
        let home = Home::open(&folder).expect("a home");
        assert_eq!(home.targets_key().exists(), offline == OfflineKeys::Take);
        assert_eq!(home.ca_root_key().exists(), offline == OfflineKeys::Take);
        let same = |path: fn(&Home) -> PathBuf| {
            let read = |home| fs::read(path(home)).expect("there");
            assert_eq!(read(&home), read(&bench.home));
        };
        same(Home::config_file);
        same(Home::director_key);
        same(Home::ca_key);
        same(Home::api_token);
        let mode = fs::metadata(home.director_key()).expect("there");
        assert_eq!(mode.permissions().mode() & 0o777, 0o600);
        Controller::open(&home).expect("a controller");
        let error = restore(&archive, &folder, NOW, |_| Ok(())).expect_err("twice");
        assert_eq!(error.exit, Exit::Missing, "{error}");
        let error = pack(&bench.home, &archive, offline, NOW).expect_err("over it");
        assert_eq!(error.exit, Exit::Missing, "{error}");
    }
    let left = fs::read_dir(bench.folder.path()).expect("a folder");
    assert_eq!(left.count(), 5, "nothing unfinished is left");
}

#[tokio::test]
async fn the_socket_of_a_link_that_is_being_made_is_left_out() {
    let bench = Bench::new().await;
    let link = bench.home.link(1);
    fs::create_dir(&link).expect("made");
    let _socket = std::os::unix::net::UnixListener::bind(link.join("s")).expect("bound");
    let archive = bench.pack("archive", OfflineKeys::Leave);
    let linked = |path: &String| path.contains("link-");
    let members = members(&archive);
    assert!(!members.iter().any(|(_, path, _)| linked(path)));
}

#[tokio::test]
async fn metadata_of_a_restored_controller_is_signed_anew_above_what_devices_trust() {
    let bench = Bench::new().await;
    let archive = bench.pack("archive", OfflineKeys::Take);
    let folder = bench.path("restored");
    restore(&archive, &folder, NOW, |_| Ok(())).expect("restored");
    let controller = Controller::open(&Home::open(&folder).expect("a home")).expect("opened");
    controller.refresh().await.expect("signed anew");
    let version = async |role: &'static str| {
        let newest = controller.store().read(move |tx| tx.newest_version(role));
        newest.await.expect("a store")
    };
    let floor = 1 << 32;
    assert!(version("timestamp").await > floor);
    assert!(version("snapshot").await > floor);
    assert_eq!((version("targets").await, version("root").await), (1, 1));
    let before = version("timestamp").await;
    controller.refresh().await.expect("fresh");
    assert_eq!(version("timestamp").await, before, "once");
}

#[tokio::test]
async fn an_archive_that_is_cut_or_has_a_flipped_bit_is_refused() {
    let bench = Bench::new().await;
    let whole = fs::read(bench.pack("archive", OfflineKeys::Leave)).expect("there");
    let damaged = bench.path("damaged");
    let tar = zstd::decode_all(&whole[..]).expect("packed");
    // A few bits of a compressed stream say nothing: without them it holds the same bytes.
    let is_damaged = |packed: &[u8]| !zstd::decode_all(packed).is_ok_and(|bytes| bytes == tar);
    let tries = 40;
    for nth in 0..tries {
        let at = whole.len() * nth / tries;
        fs::write(&damaged, &whole[..at]).expect("written");
        bench.refused(&format!("cut at {at}"), &damaged, Exit::BadInput, "because");
        let mut flipped = whole.clone();
        flipped[at] ^= 1 << (nth % 8);
        if !is_damaged(&flipped) {
            continue;
        }
        fs::write(&damaged, &flipped).expect("written");
        bench.refused(
            &format!("flipped at {at}"),
            &damaged,
            Exit::BadInput,
            "because",
        );
    }
    fs::write(&damaged, &whole[..whole.len() - 1]).expect("written");
    bench.refused("without its checksum", &damaged, Exit::BadInput, "damaged");
    fs::write(&damaged, [whole.as_slice(), b"x"].concat()).expect("written");
    bench.refused("a byte behind", &damaged, Exit::BadInput, "behind its end");
    fs::write(&damaged, b"a letter").expect("written");
    bench.refused(
        "a letter",
        &damaged,
        Exit::BadInput,
        "no backup of a controller",
    );
    // Its header is read by the tar library, whose words quote it.
    let raw = zstd::encode_all(&[b'\x1b'; 1024][..], 1).expect("packed");
    fs::write(&damaged, raw).expect("written");
    let said = restore(&damaged, &bench.path("raw"), NOW, |_| Ok(())).expect_err("raw bytes");
    let said = said.to_string();
    assert!(said.contains("no backup of a controller"), "{said}");
    assert!(!said.contains(char::is_control), "{said:?}");
    fs::write(&damaged, &whole).expect("written");
    restore(&damaged, &bench.path("good"), NOW, |_| Ok(())).expect("whole");
}

/// Changes the manifest of an archive as text.
fn with_manifest(members: &Members, from: &str, to: &str) -> Members {
    let mut members = members.clone();
    let text = String::from_utf8(members[0].2.clone()).expect("JSON");
    assert!(text.contains(from), "{from} in {text}");
    members[0].2 = text.replacen(from, to, 1).into_bytes();
    members
}

#[tokio::test]
async fn an_archive_whose_manifest_says_what_it_must_not_is_refused() {
    let bench = Bench::new().await;
    let good = members(&bench.pack("archive", OfflineKeys::Leave));
    let check = |what: &str, members: &Members, exit, expect: &str| {
        let archive = bench.archive("forged", &borrowed(members));
        bench.refused(what, &archive, exit, expect);
    };
    let newest = crate::store::NEWEST_SCHEMA;
    let schema = format!("\"schema\": {newest}");
    for (what, from, to, exit, expect) in [
        (
            "kind",
            "muster backup",
            "holiday",
            Exit::BadInput,
            "no backup of a controller",
        ),
        (
            "format",
            "\"format\": 1",
            "\"format\": 2",
            Exit::Refused,
            "format 2 is newer",
        ),
        (
            "schema",
            schema.as_str(),
            "\"schema\": 99",
            Exit::Refused,
            "schema 99 is newer",
        ),
        (
            "field",
            "\"format\"",
            "\"more\": 1, \"format\"",
            Exit::BadInput,
            "unknown field",
        ),
        (
            "climbing",
            "controller/ca.key",
            "controller/../../ca.key",
            Exit::BadInput,
            "no place",
        ),
        (
            "absolute",
            "controller/ca.key",
            "/tmp/ca.key",
            Exit::BadInput,
            "no place",
        ),
        (
            "hidden",
            "controller/ca.key",
            "controller/.ca.key",
            Exit::BadInput,
            "no place",
        ),
        (
            "elsewhere",
            "controller/ca.key",
            "elsewhere/ca.key",
            Exit::BadInput,
            "no place",
        ),
        (
            "twice",
            "controller/ca.key",
            "controller/ack.key",
            Exit::BadInput,
            "twice",
        ),
        (
            "no database",
            "controller/muster.db",
            "controller/other.db",
            Exit::BadInput,
            "muster.db",
        ),
        (
            "digest",
            "\"sha256\": \"",
            "\"sha256\": \"00",
            Exit::BadInput,
            "no digest",
        ),
    ] {
        check(what, &with_manifest(&good, from, to), exit, expect);
    }
    let mut other = good.clone();
    let key = other
        .iter()
        .position(|(_, path, _)| path.ends_with("ca.key"));
    other[key.expect("a key")].2[40] ^= 1;
    check(
        "another content",
        &other,
        Exit::BadInput,
        "not what its manifest says",
    );
}

#[tokio::test]
async fn an_archive_with_other_members_than_its_manifest_names_is_refused() {
    let bench = Bench::new().await;
    let good = members(&bench.pack("archive", OfflineKeys::Leave));
    let check = |what: &str, change: &dyn Fn(&mut Members), expect: &str| {
        let mut members = good.clone();
        change(&mut members);
        let archive = bench.archive("forged", &borrowed(&members));
        bench.refused(what, &archive, Exit::BadInput, expect);
    };
    let file = tar::EntryType::Regular;
    let extra = |path: &str| (file, path.to_owned(), b"x".to_vec());
    check(
        "one more",
        &|m| m.push(extra("controller/more")),
        "controller/more",
    );
    check(
        "one more, climbing",
        &|m| m.push(extra("../more")),
        "../more",
    );
    check(
        "climbing first",
        &|m| m.insert(1, extra("../../more")),
        "../../more",
    );
    check("one less", &|m| drop(m.pop()), "is missing");
    check("another order", &|m| m.swap(1, 2), "does not name there");
    check("no manifest", &|m| drop(m.remove(0)), "no backup");
    check(
        "a link",
        &|m| m[1].0 = tar::EntryType::Symlink,
        "does not name there",
    );
    check(
        "a longer name",
        &|m| m[1].0 = tar::EntryType::GNULongName,
        "does not name there",
    );
    check("longer", &|m| m[1].2.push(b'x'), "does not name there");
    check("nothing", &Vec::clear, "no backup");
}

#[tokio::test]
async fn what_a_backup_cannot_hold_whole_is_said_and_leaves_no_file() {
    let bench = Bench::new().await;
    let check = |what: &str, exit, expect: &str| {
        let to = bench.path("bad");
        let error = pack(&bench.home, &to, OfflineKeys::Leave, NOW).expect_err(what);
        assert_eq!(error.exit, exit, "{what}: {error}");
        assert!(error.to_string().contains(expect), "{what}: {error}");
        assert!(!to.exists() && !bench.path("bad.new").exists(), "{what}");
        assert!(!bench.path("bad.db.new").exists(), "{what}");
    };
    let strange = bench.home.folder().join("controller/strange name");
    File::create(&strange)
        .and_then(|mut file| file.write_all(b"x"))
        .expect("written");
    check("a name with a blank", Exit::BadInput, "no plain file");
    fs::remove_file(&strange).expect("removed");
    std::os::unix::fs::symlink("/etc/hostname", &strange).expect("linked");
    check("a link", Exit::BadInput, "no plain file");
    fs::remove_file(&strange).expect("removed");
    let to = bench.path("no/such/folder");
    let error = pack(&bench.home, &to, OfflineKeys::Leave, NOW).expect_err("no folder");
    assert_eq!(error.exit, Exit::Missing, "{error}");
}

#[test]
fn a_blob_must_be_named_by_its_digest() {
    let digest = Digest::of(b"a");
    let member = |path: String| manifest::Member {
        path,
        bytes: 1,
        sha256: digest.hex().to_string(),
    };
    let check = |named: Digest, expect: bool| {
        let counts = crate::store::backup::Counts {
            devices: 0,
            releases: 0,
            rollouts: 0,
            receipts: 0,
            windows: 0,
        };
        let members = vec![
            member(manifest::CONFIG.to_owned()),
            member(manifest::DATABASE.to_owned()),
            member(format!("{}{}", manifest::BLOBS, named.hex())),
        ];
        let made = Manifest::new(1, 1, counts, members);
        let bytes = serde_json::to_vec(&made).expect("JSON");
        assert_eq!(Manifest::parse(&bytes).is_ok(), expect);
    };
    check(digest, true);
    check(Digest::of(b"b"), false);
}

#[tokio::test]
async fn a_hostile_archive_is_refused_or_restored_as_it_was() {
    let bench = Bench::new().await;
    let archive = bench.pack("whole", OfflineKeys::Leave);
    let tar = zstd::decode_all(File::open(&archive).expect("a file")).expect("zstd");
    let (hostile, home) = (bench.path("hostile"), bench.path("home-of-hostile"));
    // The heads of the first members are short: most changes shall hit them.
    let (heads, rest) = tar.split_at(tar.len().min(4096));
    let changed = mutated(heads.to_vec()).prop_map(|heads| [&heads[..], rest].concat());
    let runs = ProptestConfig::with_cases(64);
    let checked = TestRunner::new(runs).run(&changed, |tar| {
        fs::write(&hostile, zstd::encode_all(&tar[..], 1).expect("packed")).expect("written");
        match restore(&hostile, &home, NOW, |_| Ok(())) {
            Ok(_) => fs::remove_dir_all(&home).expect("removed"),
            Err(error) => prop_assert!(!home.exists(), "{error}"),
        }
        Ok(())
    });
    assert_eq!(checked, Ok(()));
}
