//! What a person can get wrong: each command says what failed, because of what, with a hint, and
//! ends with the exit code of its kind.

use muster_tests::bundles::{self, Recipe};
use muster_tests::cli::{self, Said};
use muster_tests::device::{self, Device};
use muster_tests::fleet::Fleet;
use muster_tests::http::Answer;
use muster_tests::program;
use muster_tests::settings::Settings;
use muster_tests::wait;
use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::process::Command;

fn muster(arguments: &[&str]) -> Said {
    cli::run(Command::new(program::path("muster")).args(arguments))
}

fn check_build(fixture: &str, arguments: &[&str], code: i32, parts: &[&str]) {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("bundle");
    let onnx = bundles::fixture(fixture);
    let said = Recipe::new(&onnx, "score", "1.0.0")
        .with(arguments)
        .build_into(&out);
    said.refused(code, parts);
    assert!(!out.exists(), "half a bundle is left: {said}");
}

#[test]
fn what_is_no_good_model_is_refused_with_operator_and_stage() {
    let golden = |name: &str| bundles::fixture(name).to_str().expect("text").to_owned();
    check_build("not_onnx.onnx", &[], 3, &["stage parse"]);
    check_build("truncated.onnx", &[], 3, &["stage parse"]);
    check_build(
        "unsupported.onnx",
        &[],
        3,
        &["operator ai.onnx.ml.Scaler", "stage analyse"],
    );
    check_build("crash.onnx", &[], 3, &["operator Gather", "stage run"]);
    check_build("crash_on_load.onnx", &[], 3, &["operator Conv", "stage"]);
    check_build("abort_on_load.onnx", &[], 3, &["stage"]);
    check_build("too_big.onnx", &[], 3, &["stage run"]);
    check_build("missing.onnx", &[], 7, &["missing.onnx"]);
    let wrong = golden("good.wrong.golden.npz");
    check_build(
        "good.onnx",
        &["--golden", &wrong],
        3,
        &["stage trial", "score"],
    );
    let misshaped = golden("good.misshaped.golden.npz");
    check_build("good.onnx", &["--golden", &misshaped], 3, &["features"]);
    check_build("good.onnx", &["--rtol", "nan"], 2, &["tolerance"]);
}

#[test]
fn a_home_is_neither_overwritten_nor_invented() {
    let fleet = Fleet::init();
    fleet.cli(&["init"]).refused(7, &["home"]);
    fleet
        .cli(&["device", "list"])
        .refused(5, &["no `muster serve` has run"]);
    let nowhere = fleet.folder().join("nowhere");
    let nowhere = nowhere.to_str().expect("text");
    muster(&["--home", nowhere, "device", "list"]).refused(7, &["nowhere"]);
    muster(&["--home", nowhere, "serve"]).refused(7, &["nowhere"]);
    fleet.configure("broker_lisen = \"127.0.0.1:0\"\n");
    fleet
        .cli(&["serve"])
        .refused(3, &["line 1", "unknown field `broker_lisen`"]);
}

#[test]
fn a_port_in_use_is_said_as_such() {
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let taken = taken
        .local_addr()
        .map(|address| (taken, address))
        .expect("bound");
    let address = taken.1.to_string();
    for key in ["broker_listen", "enroll_listen", "api_listen"] {
        let fleet = Fleet::init();
        let path = fleet.home().join("muster.toml");
        let text = fs::read_to_string(&path).expect("init wrote it");
        let lines = text.lines().filter(|line| !line.starts_with(key));
        let text: String = lines.map(|line| format!("{line}\n")).collect();
        fs::write(path, format!("{key} = \"{address}\"\n{text}")).expect("the disk takes it");
        fleet.cli(&["serve"]).refused(6, &[&address, "in use"]);
    }
}

#[test]
fn an_operator_is_told_what_is_not_there() {
    let mut fleet = Fleet::start();
    let good = bundles::of_fixture("good", "score", "1.0.0");
    let create = [
        "rollout",
        "create",
        "--model",
        "score",
        "--version",
        "1.0.0",
    ];
    fleet
        .cli(&[&create[..], &["--yes"]].concat())
        .refused(7, &["1.0.0"]);
    fleet
        .cli(&["device", "show", "press-01"])
        .refused(7, &["press-01"]);
    fleet.cli(&["rollout", "show", "7"]).refused(7, &["7"]);
    let broken = good.copy(&fleet.folder().join("broken"));
    bundles::flip(&broken.blobs()[0]);
    fleet
        .cli(&["release", broken.arg(), "--yes"])
        .refused(3, &["release the bundle"]);
    fleet.cli(&["release", good.arg()]).refused(2, &["--yes"]);
    fleet.release(&good);
    fleet.cli(&create).refused(2, &["--yes"]);
    fleet.stop();
    fleet.cli(&["device", "list"]).refused(5, &["muster serve"]);
}

#[test]
fn a_token_counts_once_and_for_the_keys_that_used_it() {
    let fleet = Fleet::start();
    let token = fleet.cli(&["enroll-token", "press-01"]).ok();
    let state = |name: &str| fleet.folder().join(name);
    device::enroll(&token, &state("first")).ok();
    // A lost answer must not brick a device: the same keys get the same certificate.
    device::enroll(&token, &state("first")).ok();
    device::enroll(&token, &state("second")).refused(4, &["token"]);
    device::enroll("garbage", &state("third")).refused(2, &["token"]);
    let half = &token[..token.len() / 2];
    device::enroll(half, &state("third")).refused(2, &["token"]);
    let other = fleet.cli(&["enroll-token", "press-02"]).ok();
    device::enroll(&other, &state("first")).refused(7, &["press-01", "press-02"]);
}

#[test]
fn an_agent_says_what_keeps_it_from_starting() {
    let fleet = Fleet::start();
    let device = Device::enroll(&fleet, "press-01", &Settings::default());
    device.cli(&["status"]).refused(5, &["nothing answers"]);
    device.set(&Settings::default().with("windows_s", 1));
    device
        .cli(&["run"])
        .refused(2, &["unknown field `windows_s`"]);
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let address = taken.local_addr().expect("bound").to_string();
    device.set(&Settings::default().with("http", format!("\"{address}\"")));
    device.cli(&["run"]).refused(6, &[&address, "in use"]);
    let nowhere = fleet.folder().join("nowhere");
    let mut command = Command::new(program::path("muster-agent"));
    let said = cli::run(command.args(["run", "--state"]).arg(nowhere));
    said.refused(6, &["nowhere"]);
}

fn check_question(device: &Device, body: &str, status: u16, parts: &[&str]) {
    let answer = device
        .ask("POST", "/v2/models/score/infer", Some(body))
        .expect("it answers");
    let Answer {
        status: seen,
        body: said,
    } = &answer;
    assert_eq!(*seen, status, "{body} gives {answer:?}");
    let sentence = said["error"].as_str().unwrap_or_default();
    for part in ["failed to ", ": because ", ": hint: "].iter().chain(parts) {
        assert!(
            sentence.contains(part),
            "{part:?} is not in {sentence:?}, the answer to {body}"
        );
    }
}

#[test]
fn a_prediction_that_makes_no_sense_is_refused_and_the_model_serves_on() {
    let fleet = Fleet::start();
    let device = Device::start_new(&fleet, "press-01", &Settings::default());
    fleet.ship(&bundles::of_fixture("good", "score", "1.0.0"));
    device.wait_serves("score", "1.0.0", wait::SOON);
    let tensor = |name: &str, kind: &str, shape: &str, data: &str| {
        format!(
            r#"{{"inputs":[{{"name":"{name}","datatype":"{kind}","shape":{shape},"data":{data}}}]}}"#
        )
    };
    let whole = "[1,2,3,4]";
    check_question(
        &device,
        &tensor("features", "FP32", "[1,3]", "[1,2,3]"),
        400,
        &["shape"],
    );
    check_question(
        &device,
        &tensor("features", "FP32", "[1,4]", "[1,2,3]"),
        400,
        &["4"],
    );
    check_question(
        &device,
        &tensor("features", "INT64", "[1,4]", whole),
        400,
        &["INT64"],
    );
    check_question(
        &device,
        &tensor("feature", "FP32", "[1,4]", whole),
        400,
        &["feature"],
    );
    check_question(
        &device,
        &tensor("features", "FP32", "[1,4]", "[1,2,3,NaN]"),
        400,
        &[],
    );
    check_question(
        &device,
        &tensor("features", "FP32", "[1,4]", "[1,2,3,\"a\"]"),
        400,
        &[],
    );
    check_question(&device, "{", 400, &[]);
    check_question(&device, r#"{"inputs":[]}"#, 400, &["features"]);
    device
        .scores("score", &super::FEATURES)
        .expect("it serves on");
}

#[test]
fn a_file_that_is_not_there_ends_every_command_with_the_same_code() {
    let fleet = Fleet::start();
    let nowhere = fleet.folder().join("nowhere");
    let (here, there) = (
        bundles::fixture("good.onnx"),
        nowhere.to_str().expect("text"),
    );
    let build = ["bundle", "build", "--model", "m", "--version", "1.0.0"];
    let out = fleet.folder().join("bundle");
    let out = ["--out", out.to_str().expect("text")];
    let here = here.to_str().expect("text");
    let of_fleet: [&[&str]; 5] = [
        &[&build[..], &out, &[there]].concat(),
        &[&build[..], &out, &[here, "--reference", there]].concat(),
        &[&build[..], &out, &[here, "--golden", there]].concat(),
        &["bundle", "inspect", there],
        &["release", there, "--yes"],
    ];
    for line in of_fleet {
        fleet.cli(line).refused(7, &["nowhere"]);
    }
    let token = format!("@{there}");
    let state = fleet.folder().join("state");
    let state = state.to_str().expect("text");
    let of_agent: [&[&str]; 4] = [
        &["check", there],
        &["check", here, "--rows", there],
        &["enroll", &token, "--state", state],
        &["predict", "m", there, "--format", "csv", "--state", state],
    ];
    for line in of_agent {
        let mut command = Command::new(program::path("muster-agent"));
        cli::run(command.args(line)).refused(7, &["nowhere"]);
    }
}

#[test]
fn a_file_that_is_no_text_ends_every_command_with_the_same_code() {
    let fleet = Fleet::start();
    let path = fleet.folder().join("no-text");
    fs::write(&path, [0xff, 0xfe, 0x00]).expect("the disk takes it");
    let path = path.to_str().expect("text");
    let here = bundles::fixture("good.onnx");
    let here = here.to_str().expect("text");
    let build = ["bundle", "build", here, "--model", "m"];
    let build = [&build[..], &["--version", "1.0.0", "--out", "out"]].concat();
    let of_fleet: [&[&str]; 4] = [
        &["apply", "--file", path],
        &["drift", "rules", "apply", path, "--reason", "test"],
        &[&build[..], &["--about", path]].concat(),
        &[&build[..], &["--reference", path]].concat(),
    ];
    for line in of_fleet {
        fleet.cli(line).refused(3, &["no-text", "UTF-8"]);
    }
    let token = format!("@{path}");
    let state = fleet.folder().join("state");
    let state = state.to_str().expect("text");
    let of_agent: [&[&str]; 3] = [
        &["feedback", "m", path, "--state", state],
        &["enroll", &token, "--state", state],
        &["check", here, "--rows", path],
    ];
    for line in of_agent {
        let mut command = Command::new(program::path("muster-agent"));
        cli::run(command.args(line)).refused(3, &["no-text", "UTF-8"]);
    }
}
