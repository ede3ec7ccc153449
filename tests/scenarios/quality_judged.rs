//! A real classifier on a real agent, day after day by a clock that is moved: scores that become unsure
//! are an incident that says *estimated*, labels that contradict scores one that says *measured*, and
//! both come out again from the windows.

use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

use muster_tests::device::Device;
use muster_tests::fake_clock::FakeClock;
use muster_tests::fleet::Fleet;
use muster_tests::wait;
use serde_json::Value;

use super::quality::{Rows, feed_back, occupancy, predict, start_classifier};

const HOUR_S: u64 = 3600;

/// A fleet of one device and a clock.
struct World {
    fleet: Fleet,
    device: Device,
    /// Predictions since it was started.
    told: u64,
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.expect("a machine of our time").as_secs()
}

impl World {
    /// Moves the clock of the controller so far ahead, and waits until the device, started anew, knows.
    fn move_to(&mut self, hours: u64, rows: &Rows) {
        self.fleet.clock().set(&format!("+{hours}h"));
        self.fleet.stop();
        self.fleet.serve();
        // It waits longer before each attempt to connect, as connections were short; one that starts does
        // not.
        self.device.stop();
        self.device.start();
        wait::until("the model to serve again", wait::LATER, || {
            self.device.worker_pid("occupancy")
        });
        self.told = 0;
        let then = now() + hours * HOUR_S - 60;
        wait::until("the device to know what time it is", wait::LATER, || {
            let told = self.told + rows.len() as u64;
            predict(&self.device, rows);
            self.device.wait_told("occupancy", told);
            self.told = told;
            let windows = self.fleet.list("windows?device=room-1")?;
            let times = windows.iter().filter_map(|row| row["unix"].as_u64());
            match times.max() {
                Some(newest) if newest >= then => Ok(()),
                newest => Err(format!("{newest:?} is before {then}")),
            }
        });
    }

    fn predict(&mut self, rows: &Rows) -> Vec<f64> {
        let scores = predict(&self.device, rows);
        self.told += rows.len() as u64;
        self.device.wait_told("occupancy", self.told);
        scores
    }

    fn incidents(&self, cause: &str) -> Vec<Value> {
        let found = self.fleet.json(&["incident", "list", "--cause", cause]);
        found.as_array().cloned().unwrap_or_default()
    }

    fn wait_incident(&self, cause: &str, says: &[&str]) -> Value {
        let found = wait::until(cause, wait::LATER, || {
            let found = self.incidents(cause);
            found.first().cloned().ok_or_else(|| "none".to_owned())
        });
        assert_eq!(found["place"], "fleet", "{found}");
        let said = found["detail"].as_str().unwrap_or_default();
        for part in says {
            assert!(said.contains(part), "{part:?} is not in {said:?}");
        }
        found
    }
}

/// Rules by which two days tell what is usual. That little excludes no chance, so as many falls by chance
/// are allowed as may be.
fn learn_from_two_days(fleet: &Fleet) {
    let rules = fleet.json(&["drift", "rules", "show"]);
    let text = rules["text"].as_str().expect("a text");
    let quick = text.replace("baseline_days = 14", "baseline_days = 2");
    let (before, after) = quick
        .rsplit_once("per_cohort_year = 0.1")
        .expect("a budget");
    let quick = format!("{before}per_cohort_year = 1000.0{after}");
    let file = fleet.folder().join("rules.toml");
    fs::write(&file, quick).expect("the disk takes it");
    let file = file.to_str().expect("our paths are text");
    let because = ["--reason", "a test has no fortnight"];
    let line = [&["drift", "rules", "apply", file][..], &because].concat();
    fleet.cli(&line).ok();
}

#[test]
fn a_classifier_that_becomes_unsure_or_is_contradicted_is_an_incident_that_comes_out_again() {
    let Some((model, before, _)) = occupancy() else {
        return;
    };
    let mut fleet = Fleet::init();
    let file = fleet.folder().join("clock");
    let Some(clock) = FakeClock::at("quality judged", &file, "+0") else {
        return;
    };
    fleet.set_clock(Some(clock));
    fleet.serve();
    learn_from_two_days(&fleet);
    let device = start_classifier(&fleet, &model, &before);
    let mut world = World {
        fleet,
        device,
        told: 0,
    };

    // What the reference was made from is as usual as can be.
    let usual: Rows = before.iter().step_by(4).copied().collect();
    let few: Rows = usual.iter().take(25).copied().collect();
    let scores = world.predict(&usual);
    let unsure = |score: &f64| (0.2..0.8).contains(score);
    let rows = usual.iter().zip(&scores);
    let rows: Rows = rows.filter(|of| unsure(of.1)).map(|of| *of.0).collect();
    assert!(!rows.is_empty(), "the model is never unsure");
    let unsure: Rows = rows.iter().cycle().take(600).copied().collect();
    // Whatever the hour is, two whole days are among these slots, and they have ended.
    for hours in (6..=66).step_by(6) {
        world.move_to(hours, &few);
        world.predict(&usual);
    }
    world.move_to(72, &few);
    world.predict(&unsure);
    assert_eq!(world.incidents("estimated_quality_drop"), [] as [Value; 0]);
    for hours in [78, 84] {
        world.move_to(hours, &few);
        world.predict(&unsure);
    }

    // Labels that say the other class, each time.
    world.move_to(90, &few);
    let says = [
        "the estimated accuracy",
        "2 days here",
        "without labels: an estimate assumes calibrated scores",
    ];
    let found = world.wait_incident("estimated_quality_drop", &says);
    let stands = world
        .fleet
        .json(&["drift", "quality", "--model", "occupancy"]);
    let all = &stands[0];
    let seen = (&all["cohort"], &all["stands"], &all["days"]);
    assert_eq!(
        seen,
        (&"all".into(), &"fallen".into(), &2.into()),
        "{stands}"
    );
    assert!(all["auc"]["mean"].as_f64() > Some(0.9), "{stands}");
    assert_eq!(world.incidents("measured_quality_drop"), [] as [Value; 0]);
    world.predict(&usual);
    let wrong: Rows = usual.iter().map(|(row, class)| (*row, 1 - class)).collect();
    feed_back(&world.device, &wrong);
    world.move_to(102, &few);
    let says = ["the measured AUC", "the measured accuracy", "labels of"];
    world.wait_incident("measured_quality_drop", &says);

    let number = found["incident"].to_string();
    let because = ["--reason", "the room was rebuilt"];
    let line = [&["retrain", "request", &number][..], &because].concat();
    world.fleet.cli(&line).ok();
    let asked = world.fleet.json(&["retrain", "show", "1"]);
    let quality = &asked["record"]["quality"];
    assert!(quality["estimated"]["auc"]["low"].is_number(), "{asked}");
    assert!(
        quality["measured"]["accuracy"]["drop"]["low"].is_number(),
        "{asked}"
    );
    let again = world.fleet.json(&["drift", "recompute"]);
    assert_eq!(again["differences"], Value::Array(vec![]), "{again}");
    assert!(again["findings"].as_u64() >= Some(2), "{again}");
}
