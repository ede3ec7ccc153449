//! Several people with keys of their own: on folders that share nothing but the carried file.
//!
//! Only what a ceremony needs; judges nothing.

use crate::cli::{self, Said};
use crate::fleet::Fleet;
use crate::program;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A person with a folder of keys; no home, no controller, no network.
#[derive(Debug)]
pub struct Person {
    name: &'static str,
    folder: PathBuf,
}

impl Person {
    /// Makes a key under a passphrase.
    ///
    /// # Panics
    /// When the disk or `muster` refuses.
    pub fn new(fleet: &Fleet, name: &'static str) -> Self {
        let folder = fleet.folder().join(name);
        fs::create_dir(&folder).expect("a folder");
        let words = folder.join("words");
        fs::write(&words, format!("passphrase of {name}\n")).expect("written");
        let private = fs::Permissions::from_mode(0o600);
        fs::set_permissions(&words, private).expect("chmod");
        let person = Self { name, folder };
        person.muster(&["keys", "create", name]).ok();
        person
    }

    /// Runs `muster` with these keys.
    ///
    /// # Panics
    /// When the disk or `muster` refuses.
    pub fn muster(&self, arguments: &[&str]) -> Said {
        let mut command = Command::new(program::path("muster"));
        command
            .current_dir(&self.folder)
            .env("MUSTER_KEYS", self.folder.join("keys"))
            .env("MUSTER_PASSPHRASE_FILE", self.folder.join("words"))
            .args(arguments);
        cli::run(&mut command)
    }

    /// The file that is given to whoever proposes.
    pub fn public(&self) -> String {
        let path = self.folder.join("keys").join(format!("{}.pub", self.name));
        path.display().to_string()
    }

    /// Takes the file from where it lies, signs, and gives it back.
    ///
    /// # Panics
    /// When the disk or `muster` refuses.
    pub fn sign(&self, kind: &str, carried: &Path, more: &[&str]) -> Said {
        let here = self.folder.join("carried");
        fs::copy(carried, &here).expect("carried here");
        let line = [&[kind, "sign", "carried", "--yes"], more].concat();
        let said = self.muster(&line);
        fs::copy(&here, carried).expect("carried back");
        said
    }
}

/// Three people, two of whom sign for root and targets.
#[derive(Debug)]
pub struct Team {
    /// Alice, Bob and Carol.
    pub people: [Person; 3],
    first_root: String,
}

impl Team {
    /// Root and targets go from the one key of `muster init` to two of three people.
    ///
    /// # Panics
    /// When the disk or `muster` refuses.
    pub fn take_over(fleet: &Fleet) -> Self {
        let people = ["alice", "bob", "carol"].map(|name| Person::new(fleet, name));
        let shown = fleet.json(&["root", "show"]);
        let first_root = shown["first_root"].as_str().expect("told").to_owned();
        let proposal = fleet.folder().join("team.proposal");
        let mut line = vec!["root".to_owned(), "rotate".to_owned(), "--out".to_owned()];
        line.push(proposal.display().to_string());
        for role in ["root", "targets"] {
            for person in &people {
                line.extend(["--add".to_owned(), format!("{role}={}", person.public())]);
            }
            line.extend([
                "--remove".to_owned(),
                format!("{role}={}", key_of(fleet, role)),
            ]);
            line.extend(["--threshold".to_owned(), format!("{role}=2")]);
        }
        let line: Vec<&str> = line.iter().map(String::as_str).collect();
        fleet.cli(&line).ok();
        let offline = fleet.home().join("offline").display().to_string();
        let path = proposal.display().to_string();
        let trust = ["--trust-root", &first_root, "--yes"];
        let by_the_old_key = [&["root", "sign", &path, "--keys", &offline], &trust[..]].concat();
        fleet.cli(&by_the_old_key).ok();
        fleet
            .cli(&["root", "publish", &path])
            .refused(4, &["signatures are missing"]);
        let team = Self { people, first_root };
        for person in &team.people[..2] {
            team.trusting(person, "root", &proposal).ok();
        }
        fleet.cli(&["root", "publish", &path]).ok();
        team
    }

    /// The first time, a person says which root to trust.
    ///
    /// # Panics
    /// When the disk or `muster` refuses.
    pub fn trusting(&self, person: &Person, kind: &str, carried: &Path) -> Said {
        person.sign(kind, carried, &["--trust-root", &self.first_root])
    }
}

/// The id of the first key of a role.
///
/// # Panics
/// When the fleet says of none.
pub fn key_of(fleet: &Fleet, role: &str) -> String {
    let shown = fleet.json(&["root", "show"]);
    let roles = shown["roles"].as_array().expect("roles");
    let found = roles.iter().find(|shown| shown["role"] == role);
    let key = found.expect("a role")["keys"][0].as_str();
    key.expect("an id").to_owned()
}
