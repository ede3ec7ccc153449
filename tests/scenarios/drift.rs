//! What devices count lies far from the reference where the world has changed, and only there.

use muster_tests::cli::Said;
use muster_tests::device::Device;
use muster_tests::fleet::Fleet;
use muster_tests::settings::Settings;
use muster_tests::wait;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

use super::story::{REFERENCE_ROWS, bearing, reference};

/// The column that is shifted, and by how much: one and a half deviations.
const SHIFTED: (&str, f64) = ("bearing_3", 0.004);

/// The reference with one column shifted.
fn shifted(folder: &Path) -> PathBuf {
    let text = fs::read_to_string(reference()).expect("the story's table");
    let mut lines = text.lines();
    let header = lines.next().expect("a header");
    let column = header.split(',').position(|name| name == SHIFTED.0);
    let column = column.expect("the story has this column");
    let shift = |line: &str| {
        let mut cells: Vec<String> = line.split(',').map(str::to_owned).collect();
        let value: f64 = cells[column].parse().expect("a number");
        cells[column] = (value + SHIFTED.1).to_string();
        cells.join(",")
    };
    let rows: Vec<String> = lines.map(shift).collect();
    let path = folder.join("shifted.csv");
    fs::write(&path, format!("{header}\n{}\n", rows.join("\n"))).expect("the disk takes it");
    path
}

/// One feature of one row of `muster drift`.
fn feature<'a>(rows: &'a Value, device: Option<&str>, name: &str) -> &'a Value {
    let mut rows = rows.as_array().into_iter().flatten();
    let row = rows.find(|row| row["device"].as_str() == device);
    let features = row.and_then(|row| row["features"].as_array());
    let mut features = features.into_iter().flatten();
    let found = features.find(|feature| feature["feature"] == name);
    found.unwrap_or_else(|| panic!("no {name} of {device:?}"))
}

fn check(rows: &Value, device: Option<&str>, name: &str, n: u64, far: bool) {
    let found = feature(rows, device, name);
    assert_eq!(found["state"], "measured", "{device:?} {found}");
    assert_eq!(found["n"].as_u64(), Some(n), "{device:?} {found}");
    let p = found["p"].as_f64().expect("a number");
    assert_eq!(p < 1e-6, far, "{device:?} {found}");
    // What did not move was counted as in the reference, value by value.
    assert!(far || p > 0.999, "{device:?} {found}");
}

fn contains(said: &Said, parts: &[&str]) {
    for part in parts {
        let told = format!("{}\n{}", said.stdout, said.stderr);
        assert!(told.contains(part), "{part:?} is not in: {told}");
    }
}

#[test]
fn a_shifted_feature_lies_far_from_the_reference_and_the_others_do_not() {
    const INPUTS: [&str; 4] = ["bearing_1", "bearing_2", "bearing_3", "bearing_4"];
    let fleet = Fleet::start();
    let drift = ["drift", "--model", "bearing"];
    fleet.cli(&drift).refused(7, &["bearing"]);
    let settings = Settings::default();
    let devices = ["press-01", "press-02"].map(|id| Device::start_new(&fleet, id, &settings));
    fleet.ship(&bearing("1.0.0"));
    for device in &devices {
        fleet.wait_receipt(&device.id, "1.0.0", "committed", wait::SOON);
    }
    let nothing = fleet.cli(&drift);
    assert_eq!(nothing.code, Some(0), "{nothing}");
    contains(&nothing, &["no windows of bearing in the last 24h"]);
    let version = [&drift[..], &["--version", "9.0.0"]].concat();
    fleet.cli(&version).refused(7, &["9.0.0"]);
    let device = [&drift[..], &["--device", "press-99"]].concat();
    fleet.cli(&device).refused(7, &["press-99"]);

    let data = [reference(), shifted(fleet.folder())];
    for (device, data) in devices.iter().zip(&data) {
        let data = data.to_str().expect("our paths are text");
        device.cli(&["predict", "bearing", data]).ok();
        device.wait_told("bearing", REFERENCE_ROWS);
    }
    let rows = fleet.json(&drift);
    for name in INPUTS {
        let moved = name == SHIFTED.0;
        check(&rows, Some("press-01"), name, REFERENCE_ROWS, false);
        check(&rows, Some("press-02"), name, REFERENCE_ROWS, moved);
        let all = feature(&rows, None, name);
        assert_eq!(all["n"].as_u64(), Some(2 * REFERENCE_ROWS), "{all}");
        assert_eq!(all["p"].as_f64().expect("a number") < 1e-6, moved, "{all}");
    }
    let said = fleet.cli(&drift);
    contains(&said, &["X²", "PSI", "measures, not verdicts"]);
    let first = said.stdout.lines().nth(1).unwrap_or_default();
    assert!(first.contains("press-02"), "the least likely first: {said}");
    let one = fleet.json(&[&drift[..], &["--device", "press-01"]].concat());
    assert_eq!(one.as_array().map(Vec::len), Some(1), "{one}");
    cohorts(&fleet, &drift);
    assert_eq!(fleet.json(&["incident", "list"]), Value::Array(vec![]));
}

/// All devices together, as the watch has merged them; and a cohort that nobody is in.
fn cohorts(fleet: &Fleet, drift: &[&str]) {
    let all = [drift, &["--cohort", "all"]].concat();
    let what = "the hours of all devices together";
    wait::until_true(what, wait::LATER, || {
        let said = fleet.cli(&[&["--output", "json"], &all[..]].concat());
        let rows: Value = serde_json::from_str(&said.stdout).unwrap_or_default();
        let n = rows[0]["features"][0]["n"].as_u64();
        n == Some(2 * REFERENCE_ROWS) && rows[0]["cohort"] == "all" && rows[0]["devices"] == 2
    });
    let nobody = [drift, &["--cohort", "site=moon"]].concat();
    fleet.cli(&nobody).refused(7, &["site=moon"]);
}

#[test]
fn few_samples_have_no_numbers() {
    let fleet = Fleet::start();
    let device = Device::start_new(&fleet, "press-01", &Settings::default());
    fleet.ship(&bearing("1.0.0"));
    fleet.wait_receipt("press-01", "1.0.0", "committed", wait::SOON);
    device
        .scores("bearing", &[[0.06, 0.07, 0.08, 0.04]; 50])
        .expect("it serves");
    device.wait_told("bearing", 50);
    let said = fleet.cli(&["drift", "--model", "bearing", "--since", "1h"]);
    contains(&said, &["fewer than 200 samples"]);
    assert!(!said.stdout.contains("e-"), "no p of few samples: {said}");
}

/// Rows of the reference as the model takes them, with the third column moved.
pub(super) fn rows(moved: f32) -> Vec<[f32; 4]> {
    let text = fs::read_to_string(reference()).expect("the story's table");
    let row = |line: &str| {
        let mut cells = line.split(',').map(|cell| cell.parse().expect("a number"));
        let mut row = [(); 4].map(|()| cells.next().expect("four columns"));
        row[2] += moved;
        row
    };
    text.lines().skip(1).take(200).map(row).collect()
}

/// What a device says alarms: feature and kind.
fn alarms(device: &Device) -> Result<Vec<(String, String)>, String> {
    let model = device.model("bearing")?;
    let alarms = model["alarms"].as_array().ok_or("no alarms are told")?;
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let each = alarms.iter();
    Ok(each
        .map(|alarm| (word(&alarm["feature"]), word(&alarm["kind"])))
        .collect())
}

#[test]
fn a_device_without_a_network_alarms_by_itself() {
    let moved = ("bearing_3".to_owned(), "location_high".to_owned());
    let mut fleet = Fleet::start();
    let device = Device::start_new(&fleet, "press-01", &Settings::default());
    fleet.ship(&bearing("1.0.0"));
    fleet.wait_receipt("press-01", "1.0.0", "committed", wait::SOON);
    let (normal, far) = (rows(0.0), rows(0.05));
    device.scores("bearing", &normal).expect("it serves");
    device.wait_told("bearing", normal.len() as u64);
    assert_eq!(alarms(&device), Ok(vec![]), "the reference itself");

    fleet.stop();
    let ask_until = |what: &str, rows: &[[f32; 4]], is_told: bool| {
        wait::until(what, wait::LATER, || {
            device.scores("bearing", rows)?;
            let told = alarms(&device)?;
            match told.contains(&moved) == is_told {
                true => Ok(()),
                false => Err(format!("{told:?}")),
            }
        });
    };
    ask_until("an alarm", &far, true);
    let said = device.cli(&["status"]);
    contains(
        &said,
        &["ALARM     bearing_3  location_high  for ", " sd, limit "],
    );
    ask_until("the end of the alarm", &normal, false);
    let log = device.log();
    for part in ["an alarm begins", "an alarm has ended"] {
        assert!(log.contains(part), "{part:?} is not in: {log}");
    }
}
