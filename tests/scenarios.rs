//! One module for each promise.
//!
//! Each test has its own folders and ports; those of one device have their own agent.

mod access;
mod bad_input;
mod bad_wire;
mod batch;
mod controller_kills;
mod damage;
mod drift;
mod drift_cases;
mod drift_curves;
mod drift_incident;
mod evidence;
mod full_disk;
mod hostile;
mod kills;
mod mosquitto;
mod moving;
mod moving_address;
mod no_raw_values;
mod other_processor;
mod outages;
mod packet_capture;
mod page;
mod power;
mod power_cuts;
mod quality;
mod quality_judged;
mod renewal;
mod replaced_controller;
mod restore;
mod revoked;
mod rings;
mod shadow;
mod signing;
mod simulated;
mod sneakernet;
mod stolen_broker;
mod stolen_controller;
mod story;
mod swaps;
mod trials;
mod triton;
mod workers;
mod wrong_clocks;

use muster_tests::device::Device;
use muster_tests::fleet::Fleet;
use std::collections::BTreeSet;

/// Rows that every fixture answers.
const FEATURES: [[f32; 4]; 2] = [[0.06, 0.07, 0.08, 0.04], [0.1, 0.2, 0.3, 0.4]];

/// Whether scores are those of [`FEATURES`]: version 1 is `good.onnx`, twice the mean; later ones
/// that come to serve give the mean.
fn expect_score(version: &str, scores: &[f64]) -> bool {
    let factor = if version == "1.0.0" { 2.0 } else { 1.0 };
    let means = [0.0625, 0.25].map(|mean| mean * factor);
    scores.len() == means.len()
        && scores
            .iter()
            .zip(means)
            .all(|(score, mean)| (score - mean).abs() < 1e-5)
}

/// Both ends have counted the same windows, and just the predictions that were made: `rows` so
/// far. A window of few samples is held back until others join it, so more are made here.
fn counts_agree(fleet: &Fleet, device: &Device, rows: u64) {
    const MORE: usize = 32;
    device
        .scores("score", &[[0.1, 0.2, 0.3, 0.4]; MORE])
        .expect("it serves");
    let (windows, calls) = device.wait_told("score", rows + MORE as u64);
    assert_eq!(
        calls,
        rows + MORE as u64,
        "predictions that {} has counted",
        device.id
    );
    let there = fleet
        .counted(&device.id, "score")
        .expect("the fleet answers");
    assert_eq!(
        (windows, calls),
        there,
        "windows and predictions, {} and the fleet",
        device.id
    );
    assert!(windows > 0, "{} has closed no window", device.id);
}

/// The fleet has every receipt that a device has written, once each; how many. Its queue must be
/// empty.
fn receipts_agree(fleet: &Fleet, device: &Device) -> u64 {
    let status = device.status().expect("it answers");
    let through = status["queue"]["receipts"]["through"].as_u64();
    let through = through.expect("a number");
    let stored = fleet.list(&format!("receipts?device={}", device.id));
    let stored = stored.expect("the fleet answers");
    let mut numbers: Vec<_> = stored.iter().map(|row| row["sequence"].as_u64()).collect();
    numbers.sort_unstable();
    let expect: Vec<_> = (1..=through).map(Some).collect();
    assert_eq!(numbers, expect, "receipts of {}", device.id);
    through
}

/// Every number of every stream is stored once.
fn stored_once(fleet: &Fleet) {
    let windows = fleet.list("windows").expect("the fleet answers");
    let number = |row: &serde_json::Value| {
        (
            row["device"].to_string(),
            row["stream"].to_string(),
            row["sequence"].to_string(),
        )
    };
    let numbers: BTreeSet<_> = windows.iter().map(number).collect();
    assert_eq!(numbers.len(), windows.len(), "a number is stored once");
}
