//! Models made to do harm: each is refused, or runs within its limits. What serves keeps serving,
//! and the supervisor neither ends nor grows.
//!
//! The files lie beside the project; without them only those of our own fixtures are tried.

use muster_tests::bundles::{self, Bundle, HASTY_S, Recipe};
use muster_tests::cli;
use muster_tests::device::Device;
use muster_tests::fleet::Fleet;
use muster_tests::load::Load;
use muster_tests::program;
use muster_tests::settings::Settings;
use muster_tests::{onnx, skip, wait};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use super::{FEATURES, expect_score};

/// Models that the device is given at a time.
const AT_A_TIME: usize = 9;
/// What the supervisor may grow by while it refuses all of them, KiB of anonymous memory.
const GROWTH_KIB_MAX: u64 = 24 * 1024;

/// Fixtures that crash, abort, hang or take all memory: each is refused by whoever runs it.
const OURS: [&str; 8] = [
    "crash",
    "crash_on_load",
    "abort_on_load",
    "hang",
    "too_big",
    "too_big_on_load",
    "not_onnx",
    "truncated",
];

/// Our fixtures, and what lies beside the project.
fn hostile_files() -> Vec<PathBuf> {
    let ours = OURS.map(|name| bundles::fixture(&format!("{name}.onnx")));
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/hostile");
    let Ok(entries) = std::fs::read_dir(&folder) else {
        let because = format!("{} is not there", folder.display());
        skip::skip(
            "hostile",
            &because,
            "put the shared data beside the project",
        );
        return ours.into();
    };
    let found = entries.map(|entry| entry.expect("an entry").path());
    let mut files: Vec<PathBuf> = ours.into_iter().chain(found).collect();
    files.sort();
    files
}

/// Does something with each file, a few at a time.
fn for_each<T: Send>(files: &[PathBuf], work: impl Fn(usize, &Path) -> T + Sync) -> Vec<T> {
    let numbered: Vec<(usize, &PathBuf)> = files.iter().enumerate().collect();
    let chunk = |chunk: &[(usize, &PathBuf)]| {
        let one = |&(n, path): &(usize, &PathBuf)| work(n, path);
        chunk.iter().map(one).collect::<Vec<T>>()
    };
    thread::scope(|scope| {
        let chunks = numbered.chunks(numbered.len().div_ceil(4));
        let handles: Vec<_> = chunks.map(|c| scope.spawn(move || chunk(c))).collect();
        let ends = handles.into_iter().map(|handle| handle.join());
        ends.flat_map(|end| end.expect("the work does not panic"))
            .collect()
    })
}

/// The file as a version of one of a few models, as a careless builder packs it.
fn packed(place: usize, path: &Path) -> Bundle {
    let model = format!("hostile-{}", place % AT_A_TIME);
    let version = format!("{}.0.0", place / AT_A_TIME + 1);
    Recipe::new(path, &model, &version).untried().build()
}

/// Nobody packs an empty file.
fn is_not_empty(path: &PathBuf) -> bool {
    std::fs::metadata(path).expect("a file").len() > 0
}

#[test]
fn hostile_models_are_refused_while_another_one_serves() {
    let files: Vec<PathBuf> = hostile_files().into_iter().filter(is_not_empty).collect();
    let bundles = for_each(&files, packed);
    let fleet = Fleet::start();
    let settings = Settings::default().with("trial.timeout_ms", 2_000);
    let device = Device::start_new(&fleet, "press-01", &settings);
    fleet.ship(&bundles::of_fixture("good", "score", "1.0.0"));
    fleet.wait_receipt("press-01", "1.0.0", "committed", wait::SOON);
    bundles.iter().for_each(|bundle| fleet.release(bundle));
    let load = Load::start(&device, "score", &FEATURES, expect_score);
    wait::until_true("predictions", wait::SOON, || load.so_far().answered() > 100);
    let (pid, mut before_kib) = (device.pid(), None);
    for wave in bundles.chunks(AT_A_TIME) {
        for bundle in wave {
            fleet.roll_out(&bundle.model, &bundle.version);
        }
        wave.iter().for_each(|bundle| wait_verdict(&fleet, bundle));
        // The first wave fills caches and pools; the others must not add to them.
        before_kib.get_or_insert_with(|| anonymous_kib(pid));
    }
    let grown_kib = anonymous_kib(pid).saturating_sub(before_kib.expect("a wave"));
    assert!(grown_kib <= GROWTH_KIB_MAX, "it grew by {grown_kib} KiB");
    device.status().expect("the supervisor answers");
    assert_eq!(device.pid(), pid, "the supervisor was started again");
    let tally = load.end();
    assert_eq!((tally.failed(), tally.wrong.len()), (0, 0), "{tally:?}");
}

/// Refused or taken back, or serving because it does no harm.
fn wait_verdict(fleet: &Fleet, bundle: &Bundle) {
    let Bundle { model, version, .. } = bundle;
    let what = format!("a verdict on {model} {version}");
    wait::until(what, wait::LATER, || {
        let receipts = fleet.receipts("press-01", version)?;
        let own = receipts.iter().filter(|r| r["model"] == model.as_str());
        let steps: Vec<_> = own.map(|receipt| receipt["step"].clone()).collect();
        let is_last = |step: &serde_json::Value| {
            ["refused", "reverted", "committed"].contains(&step.as_str().unwrap_or_default())
        };
        match steps.iter().any(is_last) {
            true => Ok(()),
            false => Err(format!("{steps:?}")),
        }
    });
}

fn anonymous_kib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("RssAnon:"));
    let number = line.and_then(|line| line.trim().strip_suffix("kB"));
    let number = number.and_then(|number| number.trim().parse().ok());
    number.expect("Linux tells")
}

/// Neither program shows what the runtime panicked with as its own words, and a refusal says where.
fn check_said(path: &Path, said: &cli::Said) {
    let ours = OURS.map(|name| bundles::fixture(&format!("{name}.onnx")));
    assert!(
        !ours.iter().any(|o| o == path) || said.code != Some(0),
        "{said}"
    );
    for word in ["panicked at", "thread '", "RUST_BACKTRACE"] {
        assert!(!said.stderr.contains(word), "{word:?} in {said}");
    }
    if said.code != Some(0) {
        said.refused(3, &[]);
    }
}

#[test]
fn hostile_models_are_refused_by_check_with_a_stage() {
    for_each(&hostile_files(), |_, path| {
        let mut command = Command::new(program::path("muster-agent"));
        command.arg("check").arg(path);
        command.args(["--timeout-s", &HASTY_S.to_string(), "--memory-mib", "256"]);
        let said = cli::run(&mut command);
        check_said(path, &said);
        assert!(
            said.code == Some(0) || said.stderr.contains("stage "),
            "{said}"
        );
    });
}

#[test]
fn hostile_models_make_no_bundle() {
    for_each(&hostile_files(), |_, path| {
        let folder = tempfile::tempdir().expect("a folder");
        let out = folder.path().join("bundle");
        let recipe = Recipe::new(path, "hostile", "1.0.0").hasty();
        let said = recipe.build_into(&out);
        check_said(path, &said);
        assert_eq!(out.exists(), said.code == Some(0), "{said}");
    });
}

/// The runtime gives wrong numbers for some models without an error: another runtime's answers
/// tell, whichever way they are written down.
#[test]
fn a_model_that_the_runtime_answers_wrongly_makes_no_bundle() {
    let folder = tempfile::tempdir().expect("a folder");
    let set = folder.path().join("test_data_set_0");
    std::fs::create_dir(&set).expect("a folder");
    let file = |name: &str, dims: &[u64], values: &[f32]| {
        let path = set.join(name);
        std::fs::write(path, onnx::test_data(dims, values)).expect("the disk takes it");
    };
    file("input_0.pb", &[1, 4], &[0.06, 0.07, 0.08, 0.04]);
    file("output_0.pb", &[1, 1], &[0.246_093_75]);
    let npz = bundles::fixture("wrong_quantised_softmax.golden.npz");
    for golden in [npz, folder.path().to_owned(), set.clone()] {
        let onnx = bundles::fixture("wrong_quantised_softmax.onnx");
        let out = folder.path().join("bundle");
        let recipe = Recipe::new(&onnx, "score", "1.0.0").golden(&golden);
        let said = recipe.build_into(&out);
        said.refused(3, &["stage trial", "expects", "output \"score\""]);
        assert!(!out.exists(), "{said}");
    }
}

/// Left to itself, the runtime would run it forward.
#[test]
fn a_recurrence_over_reversed_steps_answers_like_another_runtime() {
    let onnx = bundles::fixture("reverse_lstm.onnx");
    let golden = bundles::fixture("reverse_lstm.golden.npz");
    Recipe::new(&onnx, "score", "1.0.0").golden(&golden).build();
}
