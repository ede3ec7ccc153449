//! Rollouts by policy, with the real programs: a good model goes through its rings, a bad one is
//! halted in its first and rolled back without a human, silence is named.

use muster_tests::bundles::{self, Recipe};
use muster_tests::device::Device;
use muster_tests::fleet::Fleet;
use muster_tests::settings::Settings;
use muster_tests::{onnx, wait};
use serde_json::Value;
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

/// Rows that every version answers.
const GOOD: [[f32; 4]; 1] = [[0.1, 0.2, 0.3, 0.4]];
/// A row on which the worker of `crash_later` dies.
const BAD: [[f32; 4]; 1] = [[9.0, 9.0, 9.0, 9.0]];
/// Above it, a row takes long where golden vectors do not.
const SLOW_ABOVE: f32 = 100.0;
/// A row that does.
const SLOW: [[f32; 4]; 1] = [[200.0, 0.2, 0.3, 0.4]];

/// Devices that put up with a bad model: it is the fleet that must notice.
fn patient() -> Settings {
    Settings::default()
        .with("budget.crashes_max", 1_000_000)
        .with("budget.errors_per_mille_max", 1000)
        .with("budget.slow_per_mille_max", 1000)
}

fn devices(fleet: &Fleet, n: usize) -> Vec<Device> {
    let all: Vec<Device> = (1..=n)
        .map(|n| Device::start_new(fleet, &format!("press-{n:02}"), &patient()))
        .collect();
    fleet.ship(&bundles::of_fixture("good", "score", "1.0.0"));
    for device in &all {
        fleet.wait_receipt(&device.id, "1.0.0", "committed", wait::LATER);
    }
    all
}

/// Two rings: two of three devices first, then all.
fn policy(fleet: &Fleet, version: &str, canary: usize, more: &str) -> String {
    let text = format!(
        "model = 'score'\nversion = '{version}'\nmembership = 'frozen'\non_halt = 'rollback'\n\
         [[rings]]\nname = 'canary'\nreach = {{ count = {canary} }}\nsoak_s = 5\n\
         deadline_s = 20\nmin_devices = {canary}\n{more}\n\
         [[rings]]\nname = 'all'\nreach = {{ percent = 100 }}\nsoak_s = 0\ndeadline_s = 20\n"
    );
    let file = fleet.folder().join(format!("{version}.toml"));
    fs::write(&file, text).expect("the disk takes it");
    file.display().to_string()
}

/// Asks every device for all of these, over and over, while `story` goes on.
fn asked_all_the_while(devices: &[Device], rows: &[[[f32; 4]; 1]], story: impl FnOnce()) {
    /// Ends the asking, also when the story ends badly.
    struct Ends<'a>(&'a AtomicBool);
    impl Drop for Ends<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let _ends = Ends(&over);
        for device in devices {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    for row in rows {
                        let _however_it_ends = device.scores("score", row);
                    }
                }
            });
        }
        story();
    });
}

fn apply(fleet: &Fleet, file: &str) -> String {
    let begun = fleet.json(&["apply", "-f", file, "--yes"]);
    begun["rollout"].to_string()
}

fn stands(fleet: &Fleet, rollout: &str) -> String {
    let explained = fleet.json(&["rollout", "explain", rollout]);
    explained["stands"].as_str().unwrap_or_default().to_owned()
}

fn wait_stands(fleet: &Fleet, rollout: &str, expect: &str) {
    wait::until(
        format!("rollout {rollout} {expect}"),
        wait::LATER,
        || match stands(fleet, rollout) {
            found if found == expect => Ok(()),
            found => Err(found),
        },
    );
}

/// Every decision comes out once more as it was written down.
fn replays(fleet: &Fleet, rollout: &str) {
    let said = fleet.json(&["rollout", "replay", rollout]);
    assert!(said["decisions"].as_u64() > Some(0), "{said}");
}

fn log(fleet: &Fleet, rollout: &str) -> Vec<Value> {
    let rows = fleet.json(&["rollout", "log", rollout]);
    rows.as_array().expect("a list").clone()
}

/// Every device serves the version before, and only so many have ever heard of the new one.
fn all_are_back(fleet: &Fleet, devices: &[Device], told: usize) {
    for device in devices {
        device.wait_serves("score", "1.0.0", wait::SOON);
    }
    let heard = devices.iter().filter(|device| {
        let found = fleet.receipts(&device.id, "2.0.0").expect("it answers");
        !found.is_empty()
    });
    assert_eq!(heard.count(), told, "the second ring never heard of it");
}

#[test]
fn a_good_model_goes_through_its_rings() {
    let fleet = Fleet::start();
    let devices = devices(&fleet, 3);
    fleet.release(&bundles::of_fixture("crash_later", "score", "2.0.0"));
    let file = policy(&fleet, "2.0.0", 1, "approval = 'manual'");
    let shown = fleet.cli(&["apply", "-f", &file, "--dry-run"]).ok();
    assert!(shown.contains("canary"), "{shown}");
    assert_eq!(
        fleet.json(&["rollout", "list"]).as_array().map(Vec::len),
        Some(1)
    );

    let rollout = apply(&fleet, &file);
    assert_eq!(
        apply(&fleet, &file),
        rollout,
        "the same file begins nothing new"
    );
    wait_stands(&fleet, &rollout, "awaiting approval");
    fleet
        .cli(&["rollout", "wait", &rollout])
        .refused(8, &["awaiting approval", "approve"]);
    let on_it = |device: &&Device| {
        let found = fleet.receipts(&device.id, "2.0.0").expect("it answers");
        !found.is_empty()
    };
    assert_eq!(devices.iter().filter(on_it).count(), 1, "the canary alone");
    let waits = devices.iter().find(|device| !on_it(device));
    let waits = &waits.expect("two of them").id;
    let why = fleet.cli(&["device", "explain", waits]).ok();
    assert!(why.contains("ring all"), "{why}");
    fleet
        .cli(&["rollout", "retry", &rollout, "--reason", "to see"])
        .refused(7, &["hint"]);
    let order = [
        "rollout",
        "approve",
        &rollout,
        "--reason",
        "the canary is well",
    ];
    fleet.cli(&order).ok();
    fleet
        .cli(&["rollout", "wait", &rollout, "--timeout-s", "60"])
        .ok();
    for device in &devices {
        device.wait_serves("score", "2.0.0", wait::SOON);
    }
    assert!(
        log(&fleet, &rollout)
            .iter()
            .any(|row| row["kind"] == "approve"),
        "the order is kept"
    );
    replays(&fleet, &rollout);
}

#[test]
fn a_model_that_fails_in_the_field_is_halted_in_its_first_ring_and_rolled_back() {
    let fleet = Fleet::start();
    let devices = devices(&fleet, 6);
    fleet.release(&bundles::of_fixture("crash_later", "score", "2.0.0"));
    let gates = "gates = [{ gate = 'error_rate', limit = 0.05 }]";
    let file = policy(&fleet, "2.0.0", 4, gates);
    asked_all_the_while(&devices, &[GOOD, BAD], || {
        let rollout = apply(&fleet, &file);
        wait_stands(&fleet, &rollout, "rolled back");
        fleet
            .cli(&["rollout", "wait", &rollout])
            .refused(4, &["rolled back"]);
        let log = log(&fleet, &rollout);
        let stop = log.iter().find(|row| {
            let because = row["because"].as_str().unwrap_or_default();
            because.contains("rolling back: ") && because.contains("error")
        });
        let stop = stop.unwrap_or_else(|| panic!("{log:#?}"));
        let at = stop["decided_at"].as_u64().expect("a time");
        let windows = fleet.list("windows").expect("it answers");
        let before = windows.iter().filter_map(|row| row["received_at"].as_u64());
        let deciding = before.filter(|received| *received <= at).max();
        let after_s = at - deciding.expect("a window decided");
        println!("stopped {after_s} s after the window that decided");
        assert!(after_s <= 30, "{after_s} s");
        replays(&fleet, &rollout);
    });
    all_are_back(&fleet, &devices, 4);
}

#[test]
fn a_model_that_is_slow_in_the_field_is_halted_in_its_first_ring_and_rolled_back() {
    let fleet = Fleet::start();
    let devices = devices(&fleet, 6);
    let slow = fleet.folder().join("slow.onnx");
    fs::write(&slow, onnx::slow_above(SLOW_ABOVE, 256, 150)).expect("the disk takes it");
    let of_card =
        |version: &str, more: &[&str]| Recipe::new(&slow, "score", version).with(more).build();
    let gates = "gates = [{ gate = 'latency_misses', limit = 0.05 }]";
    fleet.release(&of_card("1.5.0", &[]));
    let without = policy(&fleet, "1.5.0", 4, gates);
    fleet
        .cli(&["apply", "-f", &without, "--yes"])
        .refused(4, &["no latency_us_max", "hint", "--latency-ms-max"]);

    fleet.release(&of_card("2.0.0", &["--latency-ms-max", "40"]));
    let file = policy(&fleet, "2.0.0", 4, gates);
    asked_all_the_while(&devices, &[GOOD, SLOW], || {
        let rollout = apply(&fleet, &file);
        wait_stands(&fleet, &rollout, "rolled back");
        let log = log(&fleet, &rollout);
        let stop = log.iter().find(|row| {
            let because = row["because"].as_str().unwrap_or_default();
            because.contains("rolling back: ") && because.contains("latency misses")
        });
        let stop = stop.unwrap_or_else(|| panic!("{log:#?}"));
        println!("{}", stop["because"].as_str().unwrap_or_default());
        replays(&fleet, &rollout);
    });
    all_are_back(&fleet, &devices, 4);
}

#[test]
fn a_device_that_is_dead_halts_the_ring_and_is_named() {
    let fleet = Fleet::start();
    let mut devices = devices(&fleet, 3);
    fleet.release(&bundles::of_fixture("crash_later", "score", "2.0.0"));
    let file = policy(&fleet, "2.0.0", 2, "");
    let plan = fleet.json(&["apply", "-f", &file, "--dry-run"]);
    let canary = |nth: usize| {
        plan["rings"][0]["devices"][nth]
            .as_str()
            .expect("two")
            .to_owned()
    };
    let (dead, well) = (canary(0), canary(1));
    let by_id = |devices: &[Device], id: &str| devices.iter().position(|one| one.id == id);
    let at = by_id(&devices, &dead).expect("one of ours");
    devices[at].kill9();

    let rollout = apply(&fleet, &file);
    wait_stands(&fleet, &rollout, "halted");
    let explained = fleet.cli(&["rollout", "explain", &rollout]).ok();
    assert!(explained.contains(&dead), "{explained}");
    // Silence halts and never rolls back.
    let still = by_id(&devices, &well).expect("one of ours");
    devices[still].wait_serves("score", "2.0.0", wait::SOON);
    let why = fleet.cli(&["device", "explain", &dead]).ok();
    assert!(why.contains("never"), "{why}");
    devices[at].start();
    fleet.wait_receipt(&dead, "2.0.0", "committed", wait::LATER);
    let order = ["rollout", "resume", &rollout, "--reason", "it is back"];
    fleet.cli(&order).ok();
    wait_stands(&fleet, &rollout, "completed");
    replays(&fleet, &rollout);
}

#[test]
fn a_model_that_devices_revert_by_themselves_is_rolled_back_everywhere() {
    let fleet = Fleet::start();
    let strict = Settings::default().with("probation_s", 8);
    let ids = ["press-01", "press-02", "press-03"];
    let devices = ids.map(|id| Device::start_new(&fleet, id, &strict));
    fleet.ship(&bundles::of_fixture("good", "score", "1.0.0"));
    for device in &devices {
        fleet.wait_receipt(&device.id, "1.0.0", "committed", wait::LATER);
    }
    fleet.release(&bundles::of_fixture("crash_later", "score", "2.0.0"));
    let file = policy(&fleet, "2.0.0", 2, "");
    asked_all_the_while(&devices, &[BAD], || {
        let rollout = apply(&fleet, &file);
        wait_stands(&fleet, &rollout, "rolled back");
        let log = fleet.cli(&["rollout", "log", &rollout]).ok();
        assert!(log.contains("rolling back: "), "{log}");
        replays(&fleet, &rollout);
    });
    for device in &devices {
        device.wait_serves("score", "1.0.0", wait::SOON);
    }
}

#[test]
fn a_first_version_that_fails_is_taken_off_again() {
    let fleet = Fleet::start();
    let settings = patient().with("hello_s", 300);
    let ids = ["press-01", "press-02", "press-03"];
    let devices = ids.map(|id| Device::start_new(&fleet, id, &settings));
    fleet.release(&bundles::of_fixture("good", "score", "1.0.0"));
    let file = policy(&fleet, "1.0.0", 2, "approval = 'manual'");
    let rollout = apply(&fleet, &file);
    wait_stands(&fleet, &rollout, "awaiting approval");
    let order = ["rollout", "rollback", &rollout, "--reason", "not wanted"];
    fleet.cli(&order).ok();
    wait_stands(&fleet, &rollout, "rolled back");
    let explained = fleet.json(&["rollout", "explain", &rollout]);
    assert_eq!(explained["rings"][0][1]["back"], 2, "{explained}");
    for device in &devices {
        wait::until_true("the model to be gone", wait::SOON, || {
            device.scores("score", &GOOD).is_err()
        });
    }
}

#[test]
fn a_model_without_what_its_card_must_say_is_not_rolled_out() {
    let mut fleet = Fleet::init();
    fleet.configure("cards = { required = ['licence', 'metrics'] }\n");
    fleet.serve();
    let device = Device::start_new(&fleet, "press-01", &patient());
    fleet.release(&bundles::of_fixture("good", "score", "1.0.0"));
    let create = |version| {
        let words = [
            "rollout",
            "create",
            "--model",
            "score",
            "--version",
            version,
        ];
        fleet.cli(&[&words[..], &["--yes"]].concat())
    };
    let lacks = ["licence, metrics", "--about", "[cards]"];
    create("1.0.0").refused(4, &lacks);
    let file = policy(&fleet, "1.0.0", 1, "");
    fleet
        .cli(&["apply", "-f", &file, "--yes"])
        .refused(4, &lacks);
    let about = fleet.folder().join("about.toml");
    let said = "licence = 'MIT'\n[metrics]\nauc = 0.97\n";
    fs::write(&about, said).expect("the disk takes it");
    let good = bundles::fixture("good.onnx");
    let about = about.to_str().expect("text");
    let whole = Recipe::new(&good, "score", "1.1.0").with(&["--about", about]);
    let bundle = whole.build();
    let shown = fleet.cli(&["bundle", "inspect", bundle.folder.to_str().expect("text")]);
    let shown = shown.ok();
    assert!(shown.contains("2 of 6 parts"), "{shown}");
    fleet.release(&bundle);
    create("1.1.0").ok();
    fleet.wait_receipt(&device.id, "1.1.0", "committed", wait::LATER);
}
