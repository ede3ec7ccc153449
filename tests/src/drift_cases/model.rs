//! The model of the fleet: eight inputs, of which it uses six, and two outputs; and the reference that
//! a bundle of it would carry.
//!
//! Small, but a function of the inputs as any other. Knows nothing of faults.

use muster_fleet::place::RawScale;
use muster_fleet::watch::{ExpectedFeature, FeatureRule};
use muster_protocol::stats::{FeatureFold, Scale, Transform};

use crate::drift_curves::Normals;

/// Inputs.
pub(super) const INPUTS: usize = 8;
/// Inputs and outputs.
pub(super) const FEATURES: usize = INPUTS + 2;
/// Inputs that the model uses: the first ones.
pub(super) const USED: usize = 6;
/// Rows of the reference.
const ROWS: usize = 160_000;

/// Name, mean and standard deviation of each input. The value −200 lies twenty standard
/// deviations or more from all.
pub(super) const SENSORS: [(&str, f64, f64); INPUTS] = [
    ("temperature", 22.0, 2.0),
    ("humidity", 45.0, 6.0),
    ("pressure", 1013.0, 8.0),
    ("current", 3.2, 0.4),
    ("voltage", 230.0, 3.0),
    ("vibration", 0.8, 0.1),
    ("light", 300.0, 25.0),
    ("co2", 600.0, 40.0),
];
/// Names of the outputs.
pub(super) const OUTPUTS: [&str; 2] = ["risk", "load"];
/// What each input adds to the first output.
const WEIGHTS: [f64; USED] = [0.45, 0.45, 0.4, 0.4, 0.4, 0.35];

/// One row of values; none where a sensor gave none.
pub(super) type Row = [Option<f64>; FEATURES];

/// Fills in the outputs, the first with `bias` standard deviations of its own too much.
pub(super) fn infer(row: &mut Row, bias: f64) {
    let standard = |at: usize| {
        let (_, mean, deviation) = SENSORS[at];
        // As the bundle would: what is absent is average, what is far off is clipped.
        row[at].map_or(0.0, |x| ((x - mean) / deviation).clamp(-6.0, 6.0))
    };
    let sum: f64 = (0..USED).map(|at| WEIGHTS[at] * standard(at)).sum();
    let risk = 1.0 / (1.0 + (-(sum + bias)).exp());
    let load = 0.5 * (standard(0) + standard(3) + standard(4)) + (standard(1) * standard(5)).tanh();
    row[INPUTS] = Some(risk);
    row[INPUTS + 1] = Some(load);
}

/// What each feature is counted by.
pub(super) struct References {
    /// Folds with nothing in them.
    pub(super) folds: Vec<FeatureFold>,
    /// Moments and range.
    pub(super) scales: Vec<RawScale>,
    /// Scores of bins.
    pub(super) rules: Vec<FeatureRule>,
}

impl References {
    /// From rows of independent values.
    pub(super) fn new(seed: u64) -> Self {
        let mut normals = Normals::new(seed);
        let mut columns: Vec<Vec<f64>> = vec![Vec::new(); FEATURES];
        for _ in 0..ROWS {
            let mut row: Row = [None; FEATURES];
            for (value, (_, mean, deviation)) in row.iter_mut().zip(SENSORS) {
                *value = Some(mean + deviation * normals.draw());
            }
            infer(&mut row, 0.0);
            for (column, value) in columns.iter_mut().zip(row) {
                column.extend(value);
            }
        }
        let mut all = Self {
            folds: Vec::new(),
            scales: Vec::new(),
            rules: Vec::new(),
        };
        columns.iter_mut().for_each(|column| all.add(column));
        all
    }

    fn add(&mut self, column: &mut [f64]) {
        column.sort_unstable_by(f64::total_cmp);
        let n = column.len() as f64;
        let mean = column.iter().sum::<f64>() / n;
        let squares: f64 = column.iter().map(|x| (x - mean).powi(2)).sum();
        let deviation = (squares / n).sqrt();
        let quantile = |share: f64| column[(share * n) as usize] as f32;
        let inner = (1..16).map(|at| quantile(f64::from(at) / 16.0));
        let edges = [quantile(0.0005)]
            .into_iter()
            .chain(inner)
            .chain([quantile(0.9995)]);
        let scale = Scale::new(edges, Transform::Identity, mean as f32, deviation as f32);
        let scale = scale.expect("invariant: quantiles of a continuous distribution ascend");
        let mut bins = vec![0_u64; scale.bins()];
        column.iter().for_each(|x| bins[scale.bin(*x as f32)] += 1);
        self.folds.push(FeatureFold::new(scale));
        self.scales.push(RawScale { mean, deviation });
        self.rules.push(FeatureRule::of(&ExpectedFeature {
            bins,
            ..ExpectedFeature::default()
        }));
    }
}
