//! No value that an agent saw, computed or was told as a label's prediction is in what crosses the
//! wire: every byte of MQTT between agent and broker, in both directions, with TLS taken off.
//!
//! A day has 288 windows of five minutes. Here each lasts a second, and has predictions, scores
//! and labels; `MUSTER_FULL=1` records as many as a day has, otherwise there are some.

use muster_tests::bundles::{self, Bundle, Recipe};
use muster_tests::device::{Device, question};
use muster_tests::fleet::Fleet;
use muster_tests::random::Random;
use muster_tests::raw_values::{Leak, leaks, looks, times, times_min};
use muster_tests::recorder::{Recorder, Way};
use muster_tests::settings::Settings;
use muster_tests::{skip, wait};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

/// Values that nothing else has, least of all the reference.
const ROWS: [[f32; 4]; 2] = [
    [0.061_713_27, 0.070_294_19, 0.083_175_43, 0.047_261_91],
    [0.363_829_57, 0.374_618_31, 0.381_347_3, 0.341_938_67],
];
/// Enough rows and labels for a window to be told alone.
const ROWS_OF_REQUEST: usize = 30;
const WINDOWS: u64 = 20;
const WINDOWS_OF_DAY: u64 = 24 * 12;
/// How ids of requests begin, which are nobody's business either.
const ID: &str = "heat-4711-";
/// Labels that a device may hold back because they are too few.
const HELD_MAX: u64 = 19;

/// A classifier: twice the mean of a row is the probability of class 1.
fn classifier(folder: &Path) -> Bundle {
    let mut random = Random(1);
    let mut lines = "a,b,c,d,fault\n".to_owned();
    for row in 0..200 {
        for _ in 0..4 {
            lines += &format!("0.{:03},", 1 + random.below(498));
        }
        lines += &format!("{}\n", row % 2);
    }
    let reference = folder.join("reference.csv");
    fs::write(&reference, lines).expect("the disk takes it");
    let reference = reference.to_str().expect("our paths are text");
    Recipe::new(&bundles::fixture("good.onnx"), "score", "1.0.0")
        .golden(&bundles::fixture("good.golden.npz"))
        .with(&["--reference", reference, "--label", "fault"])
        .with(&["--probabilities", "score"])
        .build()
}

/// Predicts one row many times under an id; gives the scores.
fn predict(device: &Device, row: [f32; 4], id: &str) -> Vec<f32> {
    let mut body: Value = serde_json::from_str(&question(&[row; ROWS_OF_REQUEST])).expect("ours");
    body["id"] = json!(id);
    let path = "/v2/models/score/infer";
    let answer = device.ask("POST", path, Some(&body.to_string()));
    let answer = answer.expect("it answers").body;
    let scores = answer["outputs"][0]["data"].as_array();
    let scores = scores.unwrap_or_else(|| panic!("no scores in {answer}"));
    scores
        .iter()
        .filter_map(Value::as_f64)
        .map(|score| score as f32)
        .collect()
}

/// Labels all rows of a prediction.
fn feed_back(device: &Device, id: &str) {
    let label = |row| json!({ "id": id, "row": row, "label": row % 2 });
    let labels: Vec<Value> = (0..ROWS_OF_REQUEST).map(label).collect();
    let body = json!({ "feedback": labels }).to_string();
    let answer = device.ask("POST", "/v2/models/score/feedback", Some(&body));
    let answer = answer.expect("it answers");
    assert_eq!(answer.body["counted"], ROWS_OF_REQUEST, "{answer:?}");
}

/// Fills windows until `wanted` were closed; gives every value that was in play, and how many rows.
fn fill_windows(device: &Device, wanted: u64) -> (Vec<f32>, u64) {
    let closed = || {
        device
            .model("score")
            .map(|model| model["closed_windows"].as_u64())
    };
    let (mut values, mut rows) = (ROWS.concat(), 0);
    for window in 1..=wanted {
        for (n, row) in ROWS.into_iter().enumerate() {
            let id = format!("{ID}{window}-{n}");
            values.extend(predict(device, row, &id));
            feed_back(device, &id);
            rows += ROWS_OF_REQUEST as u64;
        }
        wait::until(format!("window {window} to close"), wait::LATER, || {
            let closed = closed()?.unwrap_or(0);
            (closed >= window)
                .then_some(())
                .ok_or(format!("{closed} are closed"))
        });
    }
    values.sort_by(f32::total_cmp);
    values.dedup();
    (values, rows)
}

/// What was counted has arrived, so it has crossed the wire.
fn wait_arrived(fleet: &Fleet, rows: u64) {
    wait::until("predictions and labels to arrive", wait::LATER, || {
        let found = fleet.json(&["quality", "score", "--device", "press-01"]);
        let number = |name: &str| found[0][name].as_u64().unwrap_or(0);
        let arrived = number("predictions") == rows && number("labels") + HELD_MAX >= rows;
        arrived.then_some(()).ok_or(found.to_string())
    });
}

/// What a search finds is what was planted, in each form.
fn finds_what_is_planted(values: &[f32], captured: &[u8]) {
    for look in values.iter().flat_map(|value| looks(*value)) {
        let often = times_min(&look, 2 * captured.len());
        let planted = [b"-", &look.bytes[..]].concat().repeat(often);
        let found = leaks(values, &[captured, &planted].concat());
        let is_it = |leak: &Leak| leak.form == look.form;
        assert!(found.iter().any(is_it), "{look:?} is not found: {found:?}");
    }
}

#[test]
fn no_value_is_in_what_crosses_the_wire_in_as_many_windows_as_a_day_has() {
    let fleet = Fleet::start();
    let mut device = Device::enroll(&fleet, "press-01", &Settings::default());
    let recorder = Recorder::before(&fleet, &device);
    device.start();
    fleet.ship(&classifier(fleet.folder()));
    fleet.wait_receipt("press-01", "1.0.0", "committed", wait::SOON);
    let windows = if skip::full() {
        WINDOWS_OF_DAY
    } else {
        WINDOWS
    };
    let (values, rows) = fill_windows(&device, windows);
    assert!(values.len() > ROWS.concat().len(), "no score is among them");
    wait_arrived(&fleet, rows);

    let (up, down) = (recorder.bytes(Way::Up), recorder.bytes(Way::Down));
    let (sent, heard) = (up.len(), down.len());
    println!("{windows} windows, {rows} rows: {sent} bytes up, {heard} bytes down");
    // It is the application's own bytes that were recorded, and windows among them.
    let documents = times(b"muster/v1/press-01/up/doc", &up) as u64;
    assert!(
        documents > windows,
        "{documents} documents of {windows} windows"
    );
    assert!(
        times(b"score", &up) as u64 > windows,
        "documents name the model"
    );
    let captured = [up, down].concat();
    assert_eq!(leaks(&values, &captured), []);
    assert_eq!(times(ID.as_bytes(), &captured), 0, "an id of a request");
    finds_what_is_planted(&values[..1], &captured);
}
