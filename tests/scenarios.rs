//! One module for each promise.
//!
//! Each test has its own folders and ports; those of one device have their own agent.

mod story;
mod trials;

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
