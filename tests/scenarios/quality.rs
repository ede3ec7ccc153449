//! A real classifier on a real agent: what the fleet estimates without labels and measures with
//! them is what the rows themselves say, and a label counts once.

use muster_tests::bundles::Recipe;
use muster_tests::device::{Device, question};
use muster_tests::fleet::Fleet;
use muster_tests::settings::Settings;
use muster_tests::{skip, wait};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};

/// Half a point, which figures from bins may lie beside those from rows.
const APART_MAX: f64 = 0.005;
/// Labels of one bin rank as equal, which takes more from an AUC that is measured.
const MEASURED_APART_MAX: f64 = 0.02;
/// Labels that a device may hold back because they are too few.
const HELD_MAX: u64 = 19;
const ROWS_OF_REQUEST: usize = 500;

/// Rows of the occupancy data: what the model takes, and the right class.
pub(super) type Rows = Vec<([f32; 4], u32)>;

/// The model, its reference data and later rows; none where they are not there.
pub(super) fn occupancy() -> Option<(PathBuf, Rows, Rows)> {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    let rows = |name: &str| -> Option<Rows> {
        let path = data.join("datasets/occupancy").join(name);
        let text = fs::read_to_string(path).ok()?;
        Some(text.lines().skip(1).map(row).collect())
    };
    let model = data.join("trained/occupancy/occupancy_v1.onnx");
    let found = rows("datatraining.txt").zip(rows("datatest.txt"));
    let found = found.filter(|_| model.is_file());
    if found.is_none() {
        let because = format!("{} lacks the occupancy data", data.display());
        let hint = "put the shared data beside the project";
        skip::skip("quality: occupancy", &because, hint);
    }
    found.map(|(reference, later)| (model, reference, later))
}

/// One line; its cells are counted from the right, since the header lacks the first.
fn row(line: &str) -> ([f32; 4], u32) {
    let mut cells: Vec<&str> = line.split(',').collect();
    cells.reverse();
    let number = |place: usize| cells[place].parse().expect("a number");
    // Temperature, humidity, CO2 and humidity ratio, but not the light.
    let features = [5, 4, 2, 1].map(number);
    (features, cells[0].parse().expect("a class"))
}

/// Ships the classifier with a reference of these rows, and starts a device that serves it.
pub(super) fn start_classifier(fleet: &Fleet, model: &Path, rows: &Rows) -> Device {
    let table = reference(rows, fleet.folder());
    let recipe = Recipe::new(model, "occupancy", "1.0.0")
        .with(&["--reference", table.to_str().expect("our paths are text")])
        .with(&[
            "--probabilities",
            "probabilities:positive=1",
            "--label",
            "occupied",
        ]);
    let device = Device::start_new(fleet, "room-1", &Settings::default());
    fleet.ship(&recipe.build());
    fleet.wait_receipt("room-1", "1.0.0", "committed", wait::LATER);
    device
}

fn reference(rows: &Rows, folder: &Path) -> PathBuf {
    let line = |([a, b, c, d], class): &([f32; 4], u32)| format!("{a},{b},{c},{d},{class}\n");
    let lines: String = rows.iter().map(line).collect();
    let path = folder.join("reference.csv");
    let header = "temperature_c,humidity_pct,co2_ppm,humidity_ratio,occupied\n";
    fs::write(&path, format!("{header}{lines}")).expect("the disk takes it");
    path
}

/// Asks about rows under the ids `later-0`, `later-1`, …; gives the probabilities.
pub(super) fn predict(device: &Device, rows: &Rows) -> Vec<f64> {
    let mut scores = Vec::new();
    for (request, rows) in rows.chunks(ROWS_OF_REQUEST).enumerate() {
        let features: Vec<[f32; 4]> = rows.iter().map(|row| row.0).collect();
        let mut body: Value = serde_json::from_str(&question(&features)).expect("our own");
        body["id"] = json!(format!("later-{request}"));
        body["inputs"][0]["name"] = json!("input");
        let path = "/v2/models/occupancy/infer";
        let answer = device.ask("POST", path, Some(&body.to_string()));
        let answer = answer.expect("it answers").body;
        let outputs = answer["outputs"].as_array().expect("outputs");
        let found = outputs
            .iter()
            .find(|output| output["name"] == "probabilities");
        let data = found.and_then(|output| output["data"].as_array());
        let data = data.unwrap_or_else(|| panic!("no probabilities in {answer}"));
        scores.extend(data.iter().skip(1).step_by(2).filter_map(Value::as_f64));
    }
    scores
}

/// Sends the labels of all rows; how many count, and how many did before.
pub(super) fn feed_back(device: &Device, rows: &Rows) -> (u64, u64) {
    let (mut counted, mut duplicates) = (0, 0);
    for (request, rows) in rows.chunks(ROWS_OF_REQUEST).enumerate() {
        let id = format!("later-{request}");
        let label = |(row, (_, label)): (usize, &([f32; 4], u32))| json!({ "id": id, "row": row, "label": label });
        let labels: Vec<Value> = rows.iter().enumerate().map(label).collect();
        let body = json!({ "feedback": labels }).to_string();
        let path = "/v2/models/occupancy/feedback";
        let answer = device.ask("POST", path, Some(&body)).expect("it answers");
        assert_eq!(answer.body["refused"], 0, "{answer:?}");
        counted += answer.body["counted"].as_u64().expect("a number");
        duplicates += answer.body["duplicates"].as_u64().expect("a number");
    }
    (counted, duplicates)
}

/// The AUC of rows, each of which counts as positive with this weight; equal scores count half.
fn auc(rows: &[(f64, f64)]) -> f64 {
    let mut rows = rows.to_vec();
    rows.sort_by(|one, other| one.0.total_cmp(&other.0));
    let (mut wins, mut below, mut positive) = (0.0, 0.0, 0.0);
    for equal in rows.chunk_by(|one, other| one.0 == other.0) {
        let p: f64 = equal.iter().map(|row| row.1).sum();
        let n = equal.len() as f64 - p;
        wins += p * (below + 0.5 * n);
        (below, positive) = (below + n, positive + p);
    }
    wins / (positive * below)
}

fn accuracy(rows: &[(f64, f64)]) -> f64 {
    let right = |(score, weight): &(f64, f64)| if *score >= 0.5 { *weight } else { 1.0 - weight };
    rows.iter().map(right).sum::<f64>() / rows.len() as f64
}

/// Checks the figures of one kind beside those of rows, and prints them as the docs show them.
fn check(
    quality: &Value,
    kind: &str,
    rows: &[(f64, f64)],
    (auc_apart_max, accuracy_apart_max): (f64, f64),
) {
    let number = |name: &str| {
        let value = quality[kind][name]["value"].as_f64();
        value.unwrap_or_else(|| panic!("no {kind} {name}: {quality}"))
    };
    let (found, by_rows) = (number("auc"), auc(rows));
    println!("| occupancy, {kind} AUC | {by_rows:.4} | {found:.4} |");
    assert!(
        (found - by_rows).abs() <= auc_apart_max,
        "{kind} AUC: {found} is not {by_rows}"
    );
    let (found, by_rows) = (number("accuracy"), accuracy(rows));
    println!("| occupancy, {kind} accuracy | {by_rows:.4} | {found:.4} |");
    let apart = (found - by_rows).abs();
    assert!(
        apart <= accuracy_apart_max,
        "{kind} accuracy: {found} is not {by_rows}"
    );
}

#[test]
fn estimates_and_measures_of_a_real_classifier_are_those_of_its_rows() {
    let Some((model, before, later)) = occupancy() else {
        return;
    };
    let fleet = Fleet::start();
    let device = start_classifier(&fleet, &model, &before);

    let scores = predict(&device, &later);
    assert_eq!(scores.len(), later.len());
    assert_eq!(feed_back(&device, &later), (later.len() as u64, 0));
    assert_eq!(
        feed_back(&device, &later),
        (0, later.len() as u64),
        "each counts once"
    );
    let row = wait::until("the labels to be told", wait::LATER, || {
        let rows = fleet.json(&["quality", "occupancy", "--device", "room-1"]);
        let labels = rows[0]["labels"].as_u64().unwrap_or(0);
        let told = labels + HELD_MAX >= later.len() as u64
            && rows[0]["predictions"].as_u64() == Some(later.len() as u64);
        told.then(|| rows[0].clone())
            .ok_or_else(|| rows.to_string())
    });
    let estimated: Vec<_> = scores.iter().map(|score| (*score, *score)).collect();
    check(&row, "estimated", &estimated, (APART_MAX, 1e-4));
    let truth = later.iter().map(|row| f64::from(row.1));
    let measured: Vec<_> = scores.iter().copied().zip(truth).collect();
    let held = HELD_MAX as f64 / later.len() as f64;
    check(&row, "measured", &measured, (MEASURED_APART_MAX, held));
    assert!(row["measured"]["auc"]["drop"]["value"].is_number(), "{row}");

    let said = fleet.cli(&["quality", "occupancy"]);
    let told = format!("{}\n{}", said.stdout, said.stderr);
    for part in ["estimated", "measured", "assumes calibrated scores"] {
        assert!(told.contains(part), "{part:?} is not in: {told}");
    }
}
