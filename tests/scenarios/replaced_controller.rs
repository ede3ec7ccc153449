//! Keys that are merely old are replaced: the CA, then the online keys. Devices follow while they
//! predict, and nothing is lost.

use muster_tests::bundles;
use muster_tests::device::Device;
use muster_tests::fleet::Fleet;
use muster_tests::load::Load;
use muster_tests::settings::Settings;
use muster_tests::wait;
use std::fs;

use super::outages::{wait_connected, wait_windows};
use super::{FEATURES, counts_agree, expect_score, stored_once};

/// What `muster fleet show` says of the keys of the controller.
fn shown(fleet: &Fleet) -> [String; 3] {
    let shown = fleet.json(&["fleet", "show"]);
    ["ca_certificates", "director", "director_epoch"].map(|field| shown[field].to_string())
}

/// What waits for signatures is given up, or stays as it was proposed.
fn pending_keys_change_nothing(fleet: &Fleet) {
    let proposal = fleet.folder().join("replace.proposal");
    let path = proposal.display().to_string();
    let propose = ["controller", "replace", "--out", &path];
    fleet
        .cli(&["controller", "give-up"])
        .refused(7, &["no new keys wait"]);
    fleet.cli(&propose).ok();
    fleet
        .cli(&propose)
        .refused(7, &["new keys wait for signatures"]);
    fleet
        .cli(&["controller", "publish", &path])
        .refused(6, &["serves it already"]);
    fleet.cli(&["controller", "give-up"]).ok();
}

#[test]
fn a_ca_and_the_online_keys_are_swapped_under_load() {
    let mut fleet = Fleet::start();
    let device = Device::start_new(&fleet, "press-01", &Settings::default());
    fleet.ship(&bundles::of_fixture("good", "score", "1.0.0"));
    fleet.wait_receipt(&device.id, "1.0.0", "committed", wait::LATER);
    let load = Load::start(&device, "score", &FEATURES, expect_score);
    wait_windows(&device, 1);
    pending_keys_change_nothing(&fleet);
    let [ca, director, epoch] = shown(&fleet);
    let replace = ["controller", "replace", "--yes"];
    fleet.cli(&replace).refused(6, &["serves it already"]);

    fleet.stop();
    fleet.cli(&[&replace[..], &["--only", "ca"]].concat()).ok();
    fleet.serve();
    let identity = device.state().join("identity/renewed.pem");
    wait::until_true("a certificate under the new CA", wait::LATER, || {
        identity.exists()
    });
    wait_connected(&device);
    let after_ca = shown(&fleet);
    assert_ne!(after_ca[0], ca);
    assert_eq!(after_ca[1..], [director.clone(), epoch]);

    fleet.stop();
    let certificate = fs::read(&identity).expect("it renewed");
    fleet
        .cli(&[&replace[..], &["--only", "keys"]].concat())
        .ok();
    fleet.serve();
    wait_connected(&device);
    let after_keys = shown(&fleet);
    assert_eq!(after_keys[0], after_ca[0]);
    assert_ne!(after_keys[1], director);
    assert_eq!(after_keys[2], "2");
    fleet.ship(&bundles::of_fixture("crash_later", "score", "2.0.0"));
    fleet.wait_receipt(&device.id, "2.0.0", "committed", wait::LATER);
    assert_eq!(fs::read(&identity).expect("it renewed"), certificate);

    wait_windows(&device, 1);
    let tally = load.end();
    assert_eq!((tally.failed(), tally.wrong.len()), (0, 0), "{tally:?}");
    counts_agree(&fleet, &device, tally.answered() * FEATURES.len() as u64);
    stored_once(&fleet);
}
