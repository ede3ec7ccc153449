//! An agent that is killed at any moment of a download or of an activation comes back serving,
//! goes on where it was, and fetches at most the window of pieces in flight again.

use muster_tests::bundles::{self, Bundle, Recipe};
use muster_tests::device::Device;
use muster_tests::fleet::Fleet;
use muster_tests::random::Random;
use muster_tests::settings::Settings;
use muster_tests::{onnx, program, skip, wait};
use std::path::Path;

use super::{FEATURES, expect_score};

/// Size of the large model, KiB.
const MODEL_KIB: u64 = 4 * 1024;
/// Size of its pieces, KiB.
const PIECE_KIB: u64 = 16;
/// Pieces in flight, at most.
const WINDOW_PIECES: u64 = 16;
/// What a connection costs beside pieces: handshake, assignment, metadata, KiB.
const CONNECTION_KIB: u64 = 64;

/// Steps of an activation, after which a kill comes.
const STEPS: [&str; 5] = ["Offered", "Fetching", "Staged", "Active", "Committed"];

fn kills() -> u64 {
    if skip::full() { 20 } else { 6 }
}

fn large(folder: &Path, version: &str, seed: u64) -> Bundle {
    let onnx = folder.join(format!("large-{version}.onnx"));
    std::fs::write(&onnx, onnx::large(MODEL_KIB, seed)).expect("the disk takes it");
    let piece = PIECE_KIB.to_string();
    Recipe::new(&onnx, "score", version)
        .with(&["--piece-kib", &piece])
        .build()
}

fn serving_first(fleet: &Fleet) -> Device {
    let device = Device::start_new(fleet, "press-01", &Settings::default());
    fleet.ship(&bundles::of_fixture("good", "score", "1.0.0"));
    fleet.wait_receipt("press-01", "1.0.0", "committed", wait::SOON);
    device
}

#[test]
fn an_agent_that_is_killed_during_a_download_resumes_it() {
    let fleet = Fleet::start();
    let mut device = serving_first(&fleet);
    let bundle = large(fleet.folder(), "2.0.0", 2);
    let (wire, mut random) = (fleet.proxy(), Random(42));
    let before = wire.down_bytes();
    let mut more = || random.below(MODEL_KIB / 2 / kills()) * 1024;
    let mut moment = before + more();
    wire.hold_at(Some(moment));
    fleet.ship(&bundle);
    for n in 0..kills() {
        wait::until(format!("moment {n} of the download"), wait::LATER, || {
            let passed = wire.down_bytes();
            if passed >= moment {
                Ok(())
            } else {
                Err(format!("{passed} of {moment} bytes"))
            }
        });
        device.kill9();
        moment = wire.down_bytes() + more();
        wire.hold_at(Some(moment));
        device.start();
        device.wait_serves("score", "1.0.0", wait::SOON);
    }
    wire.hold_at(None);
    fleet.wait_receipt("press-01", "2.0.0", "committed", wait::LATER);
    device.wait_serves("score", "2.0.0", wait::SOON);
    let fetched = (wire.down_bytes() - before) / 1024;
    let again = kills() * (WINDOW_PIECES * PIECE_KIB + CONNECTION_KIB);
    // A twentieth for the envelopes of pieces and of TLS.
    let most = MODEL_KIB + MODEL_KIB / 20 + CONNECTION_KIB + again;
    assert!(
        fetched <= most,
        "{fetched} KiB fetched, at most {most} are due"
    );
    eprintln!(
        "{fetched} KiB fetched of a model of {MODEL_KIB} KiB, {} kills",
        kills()
    );
}

#[test]
fn an_agent_that_is_killed_during_an_activation_comes_back_serving() {
    let fleet = Fleet::start();
    let mut device = serving_first(&fleet);
    let mut random = Random(7);
    for n in 0..kills() {
        let (version, name) = (
            format!("{}.0.0", n + 2),
            ["crash_later", "nan"][n as usize % 2],
        );
        // `nan` gives other scores; here only versions count.
        fleet.ship(&bundles::of_fixture(name, "score", &version));
        let step = STEPS[random.below(STEPS.len() as u64) as usize];
        let line = format!("version={version} step={step}");
        wait::until_true(&line, wait::SOON, || {
            program::plain(&device.log()).contains(&line)
        });
        // A moment is counted in answers of the agent: no clock tells when it is where.
        for _ in 0..random.below(20) {
            device.status().expect("it answers");
        }
        device.kill9();
        device.start();
        wait::until("a version to serve", wait::SOON, || {
            device.scores("score", &FEATURES)
        });
        let committed = fleet.wait_receipt("press-01", &version, "committed", wait::LATER);
        assert_eq!(committed["reason"], serde_json::Value::Null, "{committed}");
        device.wait_serves("score", &version, wait::SOON);
    }
    device.cli(&["verify"]).ok();
}

#[test]
fn a_worker_ends_with_its_agent() {
    let fleet = Fleet::start();
    let mut device = serving_first(&fleet);
    let scores = device.scores("score", &FEATURES).expect("it serves");
    assert!(expect_score(&scores.0, &scores.1), "{scores:?}");
    let worker = device.worker_pid("score").expect("it serves");
    let process = Path::new("/proc").join(worker.to_string());
    assert!(process.exists());
    device.kill9();
    wait::until_true("the worker to end", wait::SOON, || !process.exists());
}
