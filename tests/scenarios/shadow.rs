//! A version that runs beside the one that serves, with the real programs: what agrees may serve,
//! and costs no bytes; what differs, or dies, is taken off, and nobody was ever answered by it.

use muster_tests::bundles::{Bundle, Recipe, fixture};
use muster_tests::device::Device;
use muster_tests::fleet::Fleet;
use muster_tests::settings::Settings;
use muster_tests::{bundles, wait};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

/// A row that every version answers; the first says twice its mean, `crash_later` the mean.
const ROW: [[f32; 4]; 1] = [[0.1, 0.2, 0.3, 0.4]];
const ANSWER: f64 = 0.5;
/// A row on which the worker of `crash_later` dies.
const BAD: [[f32; 4]; 1] = [[9.0, 9.0, 9.0, 9.0]];
const IDS: [&str; 4] = ["press-01", "press-02", "press-03", "press-04"];

/// Devices on which `good` serves as 1.0.0.
fn devices(fleet: &Fleet) -> [Device; 4] {
    let settings = Settings::default().with("shadow.cpu_percent", 50);
    let all = IDS.map(|id| Device::start_new(fleet, id, &settings));
    fleet.ship(&bundles::of_fixture("good", "score", "1.0.0"));
    for device in &all {
        fleet.wait_receipt(&device.id, "1.0.0", "committed", wait::LATER);
    }
    all
}

/// A version with a reference, against which its outputs have classes.
fn candidate(fleet: &Fleet, name: &str) -> Bundle {
    let mut rows = String::from("a,b,c,d\n");
    for n in 0..200 {
        let at = |step: f32| (n as f32 * 0.618 + step).fract();
        rows += &format!("{},{},{},{}\n", at(0.0), at(0.2), at(0.4), at(0.6));
    }
    let table = fleet.folder().join(format!("{name}.csv"));
    fs::write(&table, rows).expect("the disk takes it");
    Recipe::new(&fixture(&format!("{name}.onnx")), "score", "2.0.0")
        .golden(&fixture(&format!("{name}.golden.npz")))
        .with(&["--reference", table.to_str().expect("text")])
        .build()
}

fn policy(fleet: &Fleet, role: &str, gates: &str) -> PathBuf {
    let shadow = match role {
        "shadow" => "[shadow]\ncpu_percent = 40\nsample_percent = 90\n",
        _ => "",
    };
    let text = format!(
        "model = 'score'\nversion = '2.0.0'\nrole = '{role}'\nmembership = 'frozen'\n\
         on_halt = 'rollback'\n{shadow}[[rings]]\nname = 'all'\nreach = {{ percent = 100 }}\n\
         soak_s = 3\ndeadline_s = 30\nmin_devices = 4\ngates = [{gates}]\n"
    );
    let file = fleet.folder().join(format!("{role}.toml"));
    fs::write(&file, text).expect("the disk takes it");
    file
}

fn apply(fleet: &Fleet, file: &Path) -> String {
    let file = file.to_str().expect("text");
    let begun = fleet.json(&["apply", "-f", file, "--yes"]);
    begun["rollout"].to_string()
}

fn wait_stands(fleet: &Fleet, rollout: &str, expect: &str) -> Value {
    let what = format!("rollout {rollout} {expect}");
    wait::until(what, wait::LATER, || {
        let explained = fleet.json(&["rollout", "explain", rollout]);
        match explained["stands"].as_str() {
            Some(found) if found == expect => Ok(explained),
            _ => Err(explained.to_string()),
        }
    })
}

/// Asks every device over and over while `story` goes on; every answer is that of 1.0.0.
fn answered_by_the_first<T>(
    devices: &[Device],
    rows: &[[[f32; 4]; 1]],
    story: impl FnOnce() -> T,
) -> T {
    /// Ends the asking, also when the story ends badly.
    struct Ends<'a>(&'a AtomicBool);
    impl Drop for Ends<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    let (over, asked) = (AtomicBool::new(false), AtomicU64::new(0));
    let told = thread::scope(|scope| {
        let ends = Ends(&over);
        let askers = devices.iter().map(|device| {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    for row in rows {
                        let (version, scores) = device.scores("score", row).expect("it answers");
                        assert_eq!(version, "1.0.0");
                        assert!(*row != ROW || (scores[0] - ANSWER).abs() < 1e-5);
                        asked.fetch_add(1, Ordering::Relaxed);
                    }
                }
            })
        });
        let askers: Vec<_> = askers.collect();
        let told = story();
        drop(ends);
        for asker in askers {
            asker.join().expect("every answer was that of 1.0.0");
        }
        told
    });
    println!("{} answers, all of 1.0.0", asked.into_inner());
    told
}

/// What a device says of the shadow of the model.
fn shadow_of(device: &Device) -> Value {
    device.model("score").expect("it answers")["shadow"].clone()
}

fn wait_no_shadow(devices: &[Device]) {
    for device in devices {
        let what = format!("{} to run no shadow", device.id);
        wait::until(what, wait::SOON, || match shadow_of(device) {
            Value::Null => Ok(()),
            shadow => Err(shadow.to_string()),
        });
    }
}

#[test]
fn a_shadow_that_agrees_passes_and_then_serves_at_no_bytes() {
    let fleet = Fleet::start();
    let devices = devices(&fleet);
    fleet.release(&candidate(&fleet, "good"));
    let gates = "{ gate = 'disagreement', limit = 0.05 }, \
                 { gate = 'score_difference', over = 0.125, limit = 0.05 }, \
                 { gate = 'minimum_inferences', min = 40 }";
    let file = policy(&fleet, "shadow", gates);
    let explained = answered_by_the_first(&devices, &[ROW], || {
        let rollout = apply(&fleet, &file);
        let explained = wait_stands(&fleet, &rollout, "completed");
        let shown = fleet.cli(&["rollout", "explain", &rollout]).ok();
        for part in ["run it beside what serves", "COMPARED", "DISAGREED"] {
            assert!(shown.contains(part), "{part}: {shown}");
        }
        explained
    });
    let shadow = &explained["shadows"][0];
    let number = |field: &str| shadow[field].as_u64().unwrap_or_else(|| panic!("{shadow}"));
    // Gates need two devices; windows of the others may still be too small to be sent.
    assert!(
        number("devices") >= 2 && number("disagreed") == 0,
        "{shadow}"
    );
    assert!(number("compared") >= 40 && number("served") >= number("compared"));
    // What could show single rows was held back where windows are small.
    assert!(number("classified") > 0 && number("classified") <= number("compared"));
    assert!(number("latency_us") > 0 && number("serving_latency_us") > 0);
    for device in &devices {
        assert_eq!(shadow_of(device)["active"]["version"], "2.0.0");
    }

    let rollout = apply(&fleet, &policy(&fleet, "serve", ""));
    wait_stands(&fleet, &rollout, "completed");
    wait_no_shadow(&devices);
    for device in &devices {
        device.wait_serves("score", "2.0.0", wait::SOON);
        let receipts = fleet.receipts(&device.id, "2.0.0").expect("it answers");
        let of = |role: &str, step: &str| {
            let ours = |row: &&Value| row["role"] == role && row["step"] == step;
            let found = receipts.iter().find(ours);
            found.unwrap_or_else(|| panic!("no {step}: {receipts:#?}"))
        };
        assert!(of("shadow", "staged")["measured"]["fetched_bytes"].as_u64() > Some(0));
        assert_eq!(
            of("serve", "staged")["measured"]["fetched_bytes"],
            Value::Null
        );
    }
}

#[test]
fn a_shadow_that_differs_is_taken_off_by_itself() {
    let fleet = Fleet::start();
    let devices = devices(&fleet);
    fleet.release(&candidate(&fleet, "crash_later"));
    let serving = policy(&fleet, "serve", "{ gate = 'disagreement', limit = 0.05 }");
    let serving = serving.to_str().expect("text");
    fleet
        .cli(&["apply", "-f", serving, "--yes"])
        .refused(4, &["only a shadow is compared", "role = \"shadow\""]);
    let file = policy(&fleet, "shadow", "{ gate = 'disagreement', limit = 0.05 }");
    answered_by_the_first(&devices, &[ROW], || {
        let rollout = apply(&fleet, &file);
        let explained = wait_stands(&fleet, &rollout, "rolled back");
        let because = fleet.cli(&["rollout", "log", &rollout]).ok();
        assert!(because.contains("disagreement 100.0 %"), "{because}");
        let shadow = &explained["shadows"][0];
        assert!(shadow["disagreed"].as_u64() > Some(0), "{shadow}");
        assert_eq!(shadow["disagreed"], shadow["classified"], "{shadow}");
        wait_no_shadow(&devices);
    });
    let windows = fleet.list("windows").expect("it answers");
    let compared = windows.iter().filter(|row| !row["shadow"].is_null());
    assert!(compared.count() > 0, "{windows:#?}");
}

#[test]
fn a_shadow_that_dies_is_given_up_and_what_serves_does_not_notice() {
    let fleet = Fleet::start();
    let devices = devices(&fleet);
    fleet.release(&candidate(&fleet, "crash_later"));
    let file = policy(&fleet, "shadow", "");
    answered_by_the_first(&devices, &[ROW, BAD], || {
        let rollout = apply(&fleet, &file);
        wait_stands(&fleet, &rollout, "rolled back");
        let log = fleet.cli(&["rollout", "log", &rollout]).ok();
        assert!(log.contains("failed"), "{log}");
    });
    wait_no_shadow(&devices);
}
