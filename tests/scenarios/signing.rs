//! Several people sign: on folders that share nothing but the carried file, as a team would; and a
//! device follows what they signed.

use muster_tests::bundles::{self, Recipe};
use muster_tests::device::Device;
use muster_tests::fleet::Fleet;
use muster_tests::settings::Settings;
use muster_tests::team::{Person, Team, key_of};
use muster_tests::wait;
use std::fs;
use std::path::Path;

#[test]
fn two_of_three_people_release_and_a_device_serves_it() {
    let fleet = Fleet::start();
    let team = Team::take_over(&fleet);
    let [alice, bob, carol] = &team.people;
    let device = Device::start_new(&fleet, "press-01", &Settings::default());
    let about = fleet.folder().join("about.toml");
    let text = "intended_use = 'presses of line 4'\n[metrics]\nauc = 0.97\n";
    fs::write(&about, text).expect("the disk takes it");
    let about = about.to_str().expect("our paths are text");
    let bundle = Recipe::new(&bundles::fixture("good.onnx"), "score", "1.0.0")
        .golden(&bundles::fixture("good.golden.npz"))
        .with(&["--about", about])
        .untried()
        .build();

    // The one key of before is worth nothing any more.
    fleet
        .cli(&["release", bundle.arg(), "--yes"])
        .refused(4, &["is not signed by our key"]);
    let proposal = fleet.folder().join("score.proposal");
    let path = proposal.display().to_string();
    let keys = [alice, bob, carol].map(Person::public);
    let signers = [
        "--signer", &keys[0], "--signer", &keys[1], "--signer", &keys[2],
    ];
    let line = [
        "release",
        "propose",
        bundle.arg(),
        "--out",
        &path,
        "--threshold",
        "2",
    ];
    fleet.cli(&[&line[..], &signers].concat()).ok();

    carol
        .sign("release", &proposal, &[])
        .refused(4, &["nobody here has trusted its first root"]);
    let other = "0".repeat(64);
    carol
        .sign("release", &proposal, &["--trust-root", &other])
        .refused(4, &["another fleet"]);
    alice
        .sign("root", &proposal, &[])
        .refused(2, &["it proposes a release"]);
    let said = alice.sign("release", &proposal, &[]);
    assert!(said.stderr.contains("score 1.0.0"), "{said:?}");
    assert!(said.stderr.contains("EXPIRES"), "{said:?}");
    for about in ["presses of line 4", "card: about.metrics.auc", "0.97"] {
        assert!(said.stderr.contains(about), "{said:?}");
    }
    assert!(said.stdout.contains("MAY STILL SIGN"), "{said:?}");

    tampered(bob, &proposal);
    bob.sign("release", &proposal, &[]).ok();
    fleet
        .cli(&["release", "publish", &path, bundle.arg()])
        .refused(4, &["missing"]);
    team.trusting(carol, "release", &proposal).ok();
    let wrong = bundles::of_fixture("good", "score", "9.9.9");
    fleet
        .cli(&["release", "publish", &path, wrong.arg()])
        .refused(3, &["does not release the bundle"]);
    fleet.cli(&["release", "publish", &path, bundle.arg()]).ok();
    fleet.roll_out("score", "1.0.0");
    fleet.wait_receipt(&device.id, "1.0.0", "committed", wait::LATER);
    device.wait_serves("score", "1.0.0", wait::SOON);

    moves_enrolment(&fleet, [alice, carol]);
}

/// Somebody between Alice and Bob puts another wish into the file.
fn tampered(bob: &Person, proposal: &Path) {
    let honest = fs::read_to_string(proposal).expect("written");
    let mut changed: serde_json::Value = serde_json::from_str(&honest).expect("JSON");
    changed["wanted"]["signers"]["threshold"] = 1.into();
    fs::write(proposal, changed.to_string()).expect("written");
    bob.sign("release", proposal, &[])
        .refused(4, &["it was changed after it was signed", "begin anew"]);
    fs::write(proposal, honest).expect("written");
}

/// `fleet.json` takes two signatures as well.
fn moves_enrolment(fleet: &Fleet, signers: [&Person; 2]) {
    let proposal = fleet.folder().join("fleet.proposal");
    let path = proposal.display().to_string();
    let url = "https://elsewhere.example:8443";
    fleet
        .cli(&["fleet", "set", "--enroll", url, "--propose", &path])
        .ok();
    for person in signers {
        person.sign("fleet", &proposal, &[]).ok();
    }
    fleet.cli(&["fleet", "publish", &path]).ok();
    let shown = fleet.json(&["fleet", "show"]);
    assert_eq!(shown["endpoints"]["enroll"], url, "{shown}");
}

#[test]
fn a_device_applies_ten_root_rotations_that_it_slept_through() {
    let fleet = Fleet::start();
    let mut device = Device::start_new(&fleet, "press-01", &Settings::default());
    fleet.ship(&bundles::of_fixture("good", "score", "1.0.0"));
    fleet.wait_receipt(&device.id, "1.0.0", "committed", wait::LATER);
    device.stop();
    let offline = fleet.home().join("offline").display().to_string();
    let mut before = key_of(&fleet, "root");
    for turn in 0..10 {
        let name = format!("root-{turn}");
        let create = [
            "keys",
            "create",
            &name,
            "--no-passphrase",
            "--keys",
            &offline,
        ];
        fleet.cli(&create).ok();
        let add = format!("root={offline}/{name}.pub");
        let remove = format!("root={before}");
        fleet
            .cli(&[
                "root", "rotate", "--add", &add, "--remove", &remove, "--yes",
            ])
            .ok();
        before = key_of(&fleet, "root");
    }
    assert_eq!(fleet.json(&["root", "show"])["version"], 11);
    fleet.ship(&bundles::of_fixture("good", "score", "1.1.0"));
    device.start();
    fleet.wait_receipt(&device.id, "1.1.0", "committed", wait::LATER);
    device.wait_serves("score", "1.1.0", wait::SOON);
}
