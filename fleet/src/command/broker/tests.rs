//! What is written for mosquitto, and that nothing of a person's is lost.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

use super::*;
use crate::command::init;

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

    fn at(&self) -> PathBuf {
        self.folder.path().join("mosquitto")
    }

    fn write(&self, hosts: &[&str], replace: bool) -> Result<Vec<(&'static str, Fate)>, String> {
        let args = Args {
            folder: self.at(),
            hosts: hosts.iter().map(|&host| host.to_owned()).collect(),
            listen: ([127, 0, 0, 1], 8883).into(),
            run_as: None,
            replace,
        };
        let config = Config::read(&self.home).expect("init wrote it");
        let files = files(&args, &self.at(), &self.home, &config);
        let files = files.map_err(|error| error.to_string())?;
        let written = files.write(&self.at(), replace);
        written.map_err(|error| error.to_string())
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.at().join(name)).expect("it is there")
    }
}

#[tokio::test]
async fn files_are_written_once_and_what_a_person_changed_stays() {
    let bench = Bench::new().await;
    let fates = bench
        .write(&["broker.example", "10.0.0.7"], false)
        .expect("written");
    assert!(
        fates.iter().all(|(_, fate)| *fate == Fate::Written),
        "{fates:?}"
    );
    assert_eq!(fates.len(), 6, "{fates:?}");
    let mode = |name: &str| {
        let path = bench.at().join(name);
        fs::metadata(path)
            .expect("it is there")
            .permissions()
            .mode()
            & 0o777
    };
    assert_eq!((mode("server.key"), mode("data")), (0o600, 0o700));
    let (server, key) = (bench.read("server.pem"), bench.read("server.key"));

    let again = bench
        .write(&["10.0.0.7", "broker.example"], false)
        .expect("again");
    let kept = |(name, fate): &(&str, Fate)| *fate == Fate::Kept || *name == "crl.pem";
    assert!(again.iter().all(kept), "{again:?}");
    assert_eq!(
        (bench.read("server.pem"), bench.read("server.key")),
        (server.clone(), key)
    );

    let other = bench
        .write(&["other.example"], false)
        .expect_err("another name");
    assert!(other.contains("server.pem is there"), "{other}");
    fs::write(bench.at().join("acl"), "mine").expect("written");
    let refused = bench.write(&[], false).expect_err("changed by hand");
    assert!(
        refused.contains("acl is there") && refused.contains("--replace"),
        "{refused}"
    );
    assert_eq!(bench.read("acl"), "mine");
    let fates = bench.write(&["other.example"], true).expect("asked for");
    assert!(fates.contains(&("acl", Fate::Replaced)), "{fates:?}");
    assert_ne!(bench.read("server.pem"), server);
}

#[tokio::test]
async fn a_replaced_file_keeps_owner_group_and_mode() {
    let bench = Bench::new().await;
    bench.write(&["broker.example"], false).expect("written");
    let said = |name: &str| {
        let meta = fs::metadata(bench.at().join(name)).expect("it is there");
        (meta.uid(), meta.gid(), meta.mode() & 0o777)
    };
    let (uid, gid, _) = said("acl");
    // Only root can give a file away; for others the mode alone shows it.
    let (uid, gid) = if uid == 0 {
        (12_345, 23_456)
    } else {
        (uid, gid)
    };
    for (name, mode) in [("server.key", 0o640), ("server.pem", 0o644), ("acl", 0o600)] {
        let path = bench.at().join(name);
        fs::write(&path, "old").expect("written");
        std::os::unix::fs::chown(&path, Some(uid), Some(gid)).expect("given");
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("set");
    }
    let fates = bench.write(&["broker.example"], true).expect("asked for");
    for (name, mode) in [("server.key", 0o640), ("server.pem", 0o644), ("acl", 0o600)] {
        assert!(fates.contains(&(name, Fate::Replaced)), "{fates:?}");
        assert_eq!(said(name), (uid, gid, mode), "{name}");
    }
    assert!(!bench.at().join("server.new").exists());
}

#[tokio::test]
async fn nothing_is_written_into_the_home() {
    let bench = Bench::new().await;
    let home = bench.folder.path().join("home");
    let check = |folder: PathBuf, outside: bool| {
        let checked = check_outside(&folder, &bench.home);
        assert_eq!(checked.is_ok(), outside, "{}", folder.display());
    };
    std::os::unix::fs::symlink(&home, bench.folder.path().join("link")).expect("a link");
    check(bench.at(), true);
    check(bench.folder.path().join("home-of-mosquitto"), true);
    check(home.clone(), false);
    check(home.join("new/mosquitto"), false);
    check(bench.folder.path().join("link/mosquitto"), false);
}

#[test]
fn it_listens_on_a_port_that_devices_can_know() {
    for (text, expect) in [
        ("127.0.0.1:8883", true),
        ("[::]:1", true),
        ("127.0.0.1:0", false),
        ("127.0.0.1", false),
    ] {
        assert_eq!(listen(text).is_ok(), expect, "{text}");
    }
}

#[tokio::test]
async fn a_certificate_of_another_home_does_not_do() {
    let (bench, other) = (Bench::new().await, Bench::new().await);
    bench.write(&["broker.example"], false).expect("written");
    let authority = Authority::load(&other.home).expect("a CA");
    let own = Authority::load(&bench.home).expect("a CA");
    let (hosts, now) = (["broker.example".to_owned()], clock::now());
    assert!(server::serves(&bench.at(), &hosts, &own, now));
    assert!(!server::serves(&bench.at(), &hosts, &authority, now));
    assert!(!server::serves(
        &bench.at(),
        &hosts,
        &own,
        now.plus_days(5 * 365 - 60)
    ));
    assert!(bench.write(&["a b"], false).is_err(), "no host name");
}
