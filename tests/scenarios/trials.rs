//! A candidate that fails its trial is never active: the version before it serves on, and the
//! fleet hears why.

use muster_tests::bundles::{self, Bundle, Recipe};
use muster_tests::device::Device;
use muster_tests::fleet::Fleet;
use muster_tests::load::Load;
use muster_tests::settings::Settings;
use muster_tests::{onnx, wait};

use super::{FEATURES, expect_score};

/// A candidate, and the reason that its receipt must name.
struct Case {
    bundle: Bundle,
    reason: &'static str,
}

fn cases(fleet: &Fleet) -> Vec<Case> {
    let good = bundles::fixture("good.onnx");
    let wrong = Recipe::new(&good, "score", "2.0.0")
        .golden(&bundles::fixture("good.wrong.golden.npz"))
        .untried()
        .build();
    let slow = fleet.folder().join("slow.onnx");
    std::fs::write(&slow, onnx::slow(256, 60)).expect("the disk takes it");
    let slow = Recipe::new(&slow, "score", "3.0.0")
        .with(&["--latency-ms-max", "1"])
        .build();
    let of = |name: &str, version: &str| bundles::of_fixture(name, "score", version);
    let case = |bundle, reason| Case { bundle, reason };
    vec![
        case(wrong, "wrong_output"),
        case(slow, "too_slow"),
        case(of("too_big", "4.0.0"), "too_big"),
        case(of("crash", "5.0.0"), "crashed"),
        case(of("hang", "6.0.0"), "hung"),
    ]
}

#[test]
fn a_candidate_that_fails_its_trial_is_never_active() {
    let fleet = Fleet::start();
    let settings = Settings::default().with("trial.timeout_ms", 4000);
    let device = Device::start_new(&fleet, "press-01", &settings);
    fleet.ship(&bundles::of_fixture("good", "score", "1.0.0"));
    fleet.wait_receipt("press-01", "1.0.0", "committed", wait::SOON);
    let load = Load::start(&device, "score", &FEATURES, expect_score);
    for Case { bundle, reason } in cases(&fleet) {
        fleet.ship(&bundle);
        let refused = fleet.wait_receipt("press-01", &bundle.version, "refused", wait::LATER);
        assert_eq!(refused["reason"], reason, "{refused}");
        let receipts = fleet
            .receipts("press-01", &bundle.version)
            .expect("the fleet answers");
        assert!(
            receipts.iter().all(|receipt| receipt["step"] != "active"),
            "{receipts:?}"
        );
    }
    let tally = load.end();
    assert_eq!((tally.failed(), tally.wrong.len()), (0, 0), "{tally:?}");
    assert_eq!(
        tally.by_version.keys().collect::<Vec<_>>(),
        ["1.0.0"],
        "{tally:?}"
    );
}

#[test]
fn a_first_model_that_fails_its_trial_leaves_nothing_serving() {
    let fleet = Fleet::start();
    let device = Device::start_new(&fleet, "press-01", &Settings::default());
    fleet.ship(&bundles::of_fixture("crash", "score", "1.0.0"));
    let refused = fleet.wait_receipt("press-01", "1.0.0", "refused", wait::LATER);
    assert_eq!(refused["reason"], "crashed", "{refused}");
    let answer = device
        .infer("score", &FEATURES)
        .expect("the server answers");
    assert_eq!(answer.status, 404, "{answer:?}");
    fleet.ship(&bundles::of_fixture("good", "score", "2.0.0"));
    fleet.wait_receipt("press-01", "2.0.0", "committed", wait::SOON);
}
