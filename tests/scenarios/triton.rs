//! An unmodified client of the Open Inference Protocol: `tritonclient[http]` as PyPI has it.
//!
//! It lives in a virtual environment beside the built programs, made once.

use muster_tests::cli::{self, Said};
use muster_tests::device::Device;
use muster_tests::fleet::Fleet;
use muster_tests::program;
use muster_tests::settings::Settings;
use muster_tests::skip;
use muster_tests::wait;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const NAME: &str = "an_unmodified_client_of_the_protocol_is_served";
const HINT: &str = "apt-get install python3 python3-venv, and let pip reach a package index";
/// Downloads may take a while.
const INSTALLING: Duration = Duration::from_secs(600);

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fixtures")
        .join(name)
}

/// The interpreter of an environment with the client; noted as left out if there is none.
fn python() -> Option<PathBuf> {
    if !skip::has_program(NAME, "python3", HINT) {
        return None;
    }
    let agent = program::path("muster-agent");
    let folder = agent.ancestors().nth(2).expect("target/debug/…");
    let folder = folder.join("python/tritonclient");
    let (python, list) = (folder.join("bin/python"), fixture("triton_client.txt"));
    let (wanted, done) = (fs::read(&list).expect("ours"), folder.join("installed.txt"));
    if fs::read(&done).is_ok_and(|installed| installed == wanted) && python.exists() {
        return Some(python);
    }
    let mut make = Command::new("python3");
    make.args(["-m", "venv", "--clear"]).arg(&folder);
    let mut install = Command::new(&python);
    install.args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
    ]);
    install.arg("--requirement").arg(&list);
    for step in [&mut make, &mut install] {
        let Said { code, stderr, .. } = cli::run_within(step, INSTALLING);
        if code != Some(0) {
            let last = stderr.lines().rfind(|line| !line.trim().is_empty());
            let because = last.unwrap_or("it said nothing");
            skip::skip(
                NAME,
                &format!("the client cannot be installed ({because})"),
                HINT,
            );
            return None;
        }
    }
    fs::write(done, wanted).expect("the disk takes it");
    Some(python)
}

#[test]
fn an_unmodified_client_of_the_protocol_is_served() {
    let Some(python) = python() else { return };
    let fleet = Fleet::start();
    let device = Device::start_new(&fleet, "press-01", &Settings::default());
    fleet.ship(&super::story::bearing("1.0.0"));
    fleet.wait_receipt("press-01", "1.0.0", "committed", wait::SOON);
    let story = Path::new(env!("CARGO_MANIFEST_DIR")).join("../xtask/story");
    let mut command = Command::new(python);
    command.arg(fixture("triton_client.py"));
    command.args([&device.http().to_string(), "bearing"]);
    command.arg(story.join("bearing-1.0.0.golden.npz"));
    let said = cli::run(&mut command).ok();
    let seen: Value = serde_json::from_str(&said).expect("it prints JSON");
    for truth in ["live", "ready", "model_ready"] {
        assert_eq!(seen[truth], true, "{truth}: {seen}");
    }
    assert_eq!(seen["server"]["name"], "muster-agent", "{seen}");
    assert_eq!(seen["metadata"]["versions"], serde_json::json!(["1.0.0"]));
    assert_eq!(seen["metadata"]["inputs"][0]["name"], "features", "{seen}");
    let columns = &seen["metadata"]["parameters"]["columns"]["features"];
    assert_eq!(columns[0], "bearing_1", "{seen}");
    assert_eq!(seen["index"][0]["state"], "READY", "{seen}");
    check_predictions(&seen);
    check_refusals(&seen);
}

/// The golden vectors are those of another runtime.
fn check_predictions(seen: &Value) {
    for how in ["binary", "json", "mixed", "row by row"] {
        let answer = &seen["predictions"][how];
        assert_eq!(answer["rows"], 16, "{how}: {seen}");
        let furthest = answer["furthest"].as_f64().expect("a number");
        assert!(furthest < 1e-4, "{how}: {furthest}");
    }
}

fn check_refusals(seen: &Value) {
    let cases = [
        (
            "unknown model",
            "404",
            "this device serves \"bearing\", not \"nobody\"",
        ),
        ("wrong shape", "400", "expected shape [-1, 4], got [2, 3]"),
        ("wrong datatype", "400", "expected datatype FP32, got INT64"),
        ("unknown output", "400", "expected outputs among"),
        (
            "no configuration",
            "404",
            "this server has no such endpoint",
        ),
    ];
    for (what, status, part) in cases {
        let refused = &seen["refused"][what];
        let status_seen = refused["status"].as_str().unwrap_or_default();
        let message = refused["message"].as_str().unwrap_or_default();
        assert!(status_seen.contains(status), "{what}: {refused}");
        for part in ["failed to ", ": because ", part, ": hint: "] {
            assert!(
                message.contains(part),
                "{what}: {part:?} is not in {message:?}"
            );
        }
    }
}
