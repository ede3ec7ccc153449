//! Receipts that an operator has taken away, judged by an enrolment log that was taken away
//! before the controller was stolen.

use ed25519_dalek::SigningKey;
use muster_protocol::key::PublicKey;
use muster_tests::bundles;
use muster_tests::cli;
use muster_tests::device::Device;
use muster_tests::document;
use muster_tests::fleet::Fleet;
use muster_tests::program;
use muster_tests::settings::Settings;
use muster_tests::{skip, wait};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What whoever has stolen the controller signs with.
fn thief() -> SigningKey {
    SigningKey::from_bytes(&[66; 32])
}

fn text(path: &Path) -> &str {
    path.to_str().expect("our paths are text")
}

fn line_of(document: &[u8]) -> String {
    let hex: String = document.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{{\"receipt\":\"{hex}\"}}\n")
}

/// Without home, controller or network: only the two files.
fn verify(receipts: &Path, log: &Path, more: &[&str]) -> cli::Said {
    let mut command = Command::new(program::path("muster"));
    command.args([
        "--home",
        "no-such-home",
        "--output",
        "json",
        "receipts",
        "verify",
    ]);
    command.arg(receipts).arg("--log").arg(log).args(more);
    cli::run(&mut command)
}

/// The name of what is wrong with each receipt; "" for one that holds.
fn flaws(said: &cli::Said) -> Vec<String> {
    let report: Value = serde_json::from_str(&said.stdout).unwrap_or_else(|_| panic!("{said}"));
    let rows = report["receipts"].as_array().expect("a list").iter();
    let flaw = |row: &Value| row["flaw"].as_str().unwrap_or_default().to_owned();
    rows.map(flaw).collect()
}

/// Copies the receipts and adds lines to them.
fn with(receipts: &Path, lines: &[String]) -> PathBuf {
    let path = receipts.with_extension("changed");
    let genuine = fs::read_to_string(receipts).expect("it was written");
    fs::write(&path, genuine + &lines.concat()).expect("the disk takes it");
    path
}

/// Flips the last bit of the signature of the receipt in a line.
fn flipped(line: &str) -> String {
    let at = line.rfind('"').expect("a text") - 1;
    let digit = line[at..=at].chars().next().and_then(|c| c.to_digit(16));
    let digit = char::from_digit(digit.expect("a digit") ^ 1, 16).expect("a digit");
    format!("{}{digit}{}\n", &line[..at], &line[at + 1..])
}

/// What a thief runs who can write to the database: other keys in the place of the device's.
const SWAP: &str = "import sqlite3, sys
db = sqlite3.connect(sys.argv[1])
is_, shall = (bytes.fromhex(key) for key in sys.argv[2:])
for table in 'device_keys', 'certificates', 'tokens':
    rows = db.execute(f'UPDATE {table} SET document_key = ? WHERE document_key = ?', (shall, is_))
    assert rows.rowcount == 1, table
db.commit()
";

fn swap_key(fleet: &Fleet, is: &SigningKey, shall: &SigningKey) {
    let mut command = Command::new("python3");
    command.args(["-c", SWAP]);
    command.arg(fleet.home().join("controller/muster.db"));
    let hex = |key: &SigningKey| PublicKey::from(key.verifying_key()).to_string();
    cli::run(command.args([hex(is), hex(shall)])).ok();
}

/// A fleet whose log and receipts were taken away while all was well.
struct Taken {
    fleet: Fleet,
    device: Device,
    log: PathBuf,
    receipts: PathBuf,
    /// Receipts in the file.
    count: usize,
}

impl Taken {
    fn take() -> Self {
        let fleet = Fleet::start();
        let device = Device::start_new(&fleet, "press-01", &Settings::default());
        fleet.ship(&bundles::of_fixture("good", "score", "1.0.0"));
        fleet.wait_receipt("press-01", "1.0.0", "committed", wait::LATER);
        let file = |name: &str| fleet.folder().join(name);
        let (log, receipts) = (file("log"), file("receipts"));
        for (what, out) in [("enrolment", &log), ("receipt", &receipts)] {
            fleet.cli(&[what, "export", "--out", text(out)]).ok();
        }
        let lines = fs::read_to_string(&receipts).expect("it was written");
        Self {
            count: lines.lines().count(),
            fleet,
            device,
            log,
            receipts,
        }
    }

    fn lines(&self) -> String {
        fs::read_to_string(&self.receipts).expect("it was written")
    }

    /// Exports the log once more, after the one that was taken away.
    fn export_after(&self, out: &Path) -> [String; 6] {
        let line = ["enrolment", "export", "--out", text(out), "--after"];
        let [a, b, c, d, e] = line.map(ToOwned::to_owned);
        [a, b, c, d, e, text(&self.log).to_owned()]
    }
}

fn forged(device: &str, key: &SigningKey) -> String {
    let version = ("score", "1.0.0");
    line_of(&document::refusal(device, key, version, "forged"))
}

#[test]
fn a_stolen_controller_forges_no_receipt_of_a_device_in_the_exported_log() {
    let taken = Taken::take();
    let genuine = verify(&taken.receipts, &taken.log, &["--complete"]);
    assert_eq!(genuine.code, Some(0), "{genuine}");
    assert_eq!(flaws(&genuine), vec![""; taken.count]);
    assert!(taken.count >= 4, "from offered to committed: {genuine}");
    what_is_put_into_the_file_or_taken_out_is_named(&taken);
    another_device_speaks_for_itself_alone(&taken);
    let python = ("python3", "apt-get install python3");
    if skip::has_program("evidence: a swapped key", python.0, python.1) {
        a_key_that_was_swapped_in_the_database_is_named(taken);
    }
}

fn what_is_put_into_the_file_or_taken_out_is_named(taken: &Taken) {
    let lines = taken.lines();
    let first = lines.lines().next().expect("a line");
    let more = [
        forged("press-01", &thief()),
        forged("press-99", &thief()),
        flipped(first),
        format!("{first}\n"),
    ];
    let said = verify(&with(&taken.receipts, &more), &taken.log, &[]);
    said.refused(4, &["4 of", "do not hold", "a key that is not in the log"]);
    let expect = [
        "unknown_key",
        "unknown_device",
        "broken_signature",
        "repeated",
    ];
    assert_eq!(flaws(&said)[taken.count..], expect, "{said}");
    let rest = lines.split_once('\n').expect("several lines").1;
    let without_first = taken.fleet.folder().join("without-first");
    fs::write(&without_first, rest).expect("the disk takes it");
    assert_eq!(verify(&without_first, &taken.log, &[]).code, Some(0));
    let complete = verify(&without_first, &taken.log, &["--complete"]);
    complete.refused(4, &["press-01", "missing 1"]);
}

fn another_device_speaks_for_itself_alone(taken: &Taken) {
    let fleet = &taken.fleet;
    let other = Device::enroll(fleet, "press-02", &Settings::default());
    let later = fleet.folder().join("later");
    let grown = fleet.json(&taken.export_after(&later).each_ref().map(String::as_str));
    assert_eq!(grown["new"][0]["device"], "press-02", "{grown}");
    assert_eq!(grown["new"].as_array().map(Vec::len), Some(1), "{grown}");
    let by_other = forged("press-01", &document::key(other.state()));
    let said = verify(&with(&taken.receipts, &[by_other]), &later, &[]);
    said.refused(4, &["signed by another device, press-02"]);
}

/// The controller makes the device's key its own, and forges.
fn a_key_that_was_swapped_in_the_database_is_named(mut taken: Taken) {
    let known = document::key(taken.device.state());
    taken.device.stop();
    taken.fleet.stop();
    swap_key(&taken.fleet, &known, &thief());
    taken.fleet.serve();
    let fleet = &taken.fleet;
    let file = |name: &str| fleet.folder().join(name);
    let (refused, swapped) = (file("refused"), file("swapped"));
    let because = "entry 1 of the earlier log, press-01, has another document key now";
    fleet
        .cli(&taken.export_after(&refused).each_ref().map(String::as_str))
        .refused(4, &[because]);
    assert!(!refused.exists(), "a log that was rewritten is exported");
    fleet
        .cli(&["enrolment", "export", "--out", text(&swapped)])
        .ok();
    let receipts = with(&taken.receipts, &[forged("press-01", &thief())]);
    let by_its_own_log = flaws(&verify(&receipts, &swapped, &[]));
    assert_eq!(by_its_own_log[taken.count], "", "it believes itself");
    let said = verify(&receipts, &taken.log, &[]);
    said.refused(4, &["1 of", "a key that is not in the log"]);
    assert_eq!(flaws(&said)[taken.count], "unknown_key", "{said}");
}

#[test]
fn files_that_are_no_evidence_are_refused_with_their_line() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str, content: &str| {
        let path = folder.path().join(name);
        fs::write(&path, content).expect("the disk takes it");
        path
    };
    let (empty, garbage) = (file("empty", ""), file("garbage", "\u{0}\u{1}\n"));
    let missing = folder.path().join("missing");
    verify(&garbage, &empty, &[]).refused(3, &["read line 1 of"]);
    verify(&empty, &garbage, &[]).refused(3, &["read line 1 of"]);
    verify(&missing, &empty, &[]).refused(7, &["missing"]);
    verify(&empty, &missing, &[]).refused(7, &["missing"]);
    assert_eq!(verify(&empty, &empty, &[]).code, Some(0));
}
