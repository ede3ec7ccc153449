//! Measures how many bytes a feature takes in a window on the wire: `cargo xtask bench window-size`.
//!
//! Windows of made-up sensors, counted and written as a device does. It fails beyond the limits;
//! the envelope, which all features of a window share, is told beside them.

use std::process::ExitCode;

use clap::Parser;
use muster_protocol::cbor::{self, List};
use muster_protocol::digest::Digest;
use muster_protocol::id::{BootId, DeviceId, EpochGeneration, ModelId, Sequence, StreamId};
use muster_protocol::message::{Document, FeatureWindow, Window};
use muster_protocol::stats::{FeatureCounts, FeatureFold, Scale, Transform};
use muster_protocol::time::{Millis, UnixSeconds};
use muster_tests::random::Random;

/// Features of a window.
const FEATURES: usize = 16;
/// Values of a window.
const VALUES: usize = 300;
/// Bins between the tails.
const BINS: usize = 16;
/// Values that edges are made from.
const REFERENCE: usize = 20_000;
const MEDIAN_BYTES_MAX: usize = 32;
const P99_BYTES_MAX: usize = 52;

#[derive(Parser)]
#[command(
    name = "window-size",
    about = "Bytes of a feature in a window on the wire"
)]
struct Args {
    /// Windows of each kind of sensor.
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u32).range(100..=100_000))]
    windows: u32,
    /// From where all chance comes.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// A kind of sensor.
#[derive(Clone, Copy)]
enum Sensor {
    /// Neighbouring values correlate by so much, normally distributed.
    Normal { correlation: f64 },
    /// Normal after a logarithm.
    Lognormal { correlation: f64 },
    /// Rounded to so many steps of a standard deviation.
    Rounded { steps: f64 },
    /// One of so many numbers.
    Discrete { values: u64 },
    /// Normal, but absent now and then, and stuck now and then.
    Faulty,
}

const SENSORS: [(&str, Sensor); 9] = [
    ("normal", Sensor::Normal { correlation: 0.0 }),
    ("normal, ρ 0.9", Sensor::Normal { correlation: 0.9 }),
    ("normal, ρ 0.99", Sensor::Normal { correlation: 0.99 }),
    ("lognormal", Sensor::Lognormal { correlation: 0.0 }),
    ("lognormal, ρ 0.9", Sensor::Lognormal { correlation: 0.9 }),
    (
        "rounded to half a deviation",
        Sensor::Rounded { steps: 2.0 },
    ),
    ("rounded to a tenth", Sensor::Rounded { steps: 10.0 }),
    ("one of five numbers", Sensor::Discrete { values: 5 }),
    ("absent and stuck now and then", Sensor::Faulty),
];

fn main() -> ExitCode {
    let args = Args::parse();
    println!(
        "{FEATURES} features of {VALUES} values, {} windows a line",
        args.windows
    );
    println!("bytes of a feature: median, 99 %, largest; of the whole document, unsigned");
    let mut all = Vec::new();
    for (at, (name, sensor)) in (0..).zip(SENSORS) {
        let (mut bytes, document) = measure(sensor, &args, at);
        print(name, &mut bytes, &format!("{document}"));
        all.extend(bytes);
    }
    let (median, p99) = print("all", &mut all, "");
    println!("limits: median {MEDIAN_BYTES_MAX}, 99 % {P99_BYTES_MAX}");
    if median <= MEDIAN_BYTES_MAX && p99 <= P99_BYTES_MAX {
        return ExitCode::SUCCESS;
    }
    eprintln!("a feature takes more bytes than its limits");
    ExitCode::FAILURE
}

/// Prints one line; median and 99 % of what it is about.
fn print(name: &str, bytes: &mut [usize], document: &str) -> (usize, usize) {
    bytes.sort_unstable();
    let at = |per_cent: usize| bytes[(bytes.len() * per_cent / 100).min(bytes.len() - 1)];
    let (median, p99, largest) = (at(50), at(99), at(100));
    println!("{name:<32} {median:>4} {p99:>4} {largest:>4} {document:>6}");
    (median, p99)
}

/// Bytes of each feature of each window, and of the last document.
fn measure(sensor: Sensor, args: &Args, at: u64) -> (Vec<usize>, usize) {
    let mut sources: Vec<Source> = (0..FEATURES as u64)
        .map(|feature| Source::new(sensor, args.seed ^ (at << 32 | feature << 16)))
        .collect();
    let mut bytes = Vec::new();
    let mut last = 0;
    for _ in 0..args.windows {
        let counts: Vec<(FeatureCounts, usize)> = sources.iter_mut().map(Source::window).collect();
        let features: Vec<FeatureWindow<'_>> = counts
            .iter()
            .map(|(counts, bins)| FeatureWindow::of(counts, *bins))
            .collect();
        bytes.extend(features.iter().map(|feature| cbor::to_vec(feature).len()));
        last = cbor::to_vec(&document(&features)).len();
    }
    (bytes, last)
}

/// A sensor, its reference, and its next values.
struct Source {
    sensor: Sensor,
    random: Random,
    value: f64,
    last: Option<f32>,
    fold: FeatureFold,
}

impl Source {
    fn new(sensor: Sensor, seed: u64) -> Self {
        let mut random = Random(seed);
        let random = Random(random.draw());
        let unit = Scale::new([0.0], Transform::Identity, 0.0, 1.0);
        let mut source = Self {
            sensor,
            random,
            value: 0.0,
            last: None,
            fold: FeatureFold::new(unit.expect("invariant: one edge ascends")),
        };
        let values = (0..REFERENCE).filter_map(|_| source.draw()).collect();
        source.fold = FeatureFold::new(scale(values));
        source
    }

    /// The counts of a window and how many bins they have.
    fn window(&mut self) -> (FeatureCounts, usize) {
        self.fold.reset();
        for _ in 0..VALUES {
            let value = self.draw();
            self.fold.fold(value);
        }
        (*self.fold.counts(), self.fold.bins())
    }

    fn draw(&mut self) -> Option<f32> {
        let value = match self.sensor {
            Sensor::Normal { correlation } => self.process(correlation),
            Sensor::Lognormal { correlation } => self.process(correlation).exp(),
            Sensor::Rounded { steps } => (self.process(0.5) * steps).round() / steps,
            Sensor::Discrete { values } => self.random.below(values) as f64,
            Sensor::Faulty => match self.random.below(100) {
                0..3 => return None,
                3..20 => return self.last,
                _ => self.process(0.5),
            },
        };
        self.last = Some(value as f32);
        self.last
    }

    /// A first-order process of variance 1: the noise is the sum of twelve uniform numbers.
    fn process(&mut self, correlation: f64) -> f64 {
        let mut uniform = || self.random.below(1 << 32) as f64 / f64::from(u32::MAX);
        let noise = (0..12).map(|_| uniform()).sum::<f64>() - 6.0;
        self.value = correlation * self.value + (1.0 - correlation * correlation).sqrt() * noise;
        self.value
    }
}

/// Bins between quantiles of these values, as `muster bundle build` makes them, but without
/// interpolation.
fn scale(mut values: Vec<f32>) -> Scale {
    values.sort_unstable_by(f32::total_cmp);
    let last = values.len() - 1;
    let at = |share: f64| values[(share * last as f64) as usize];
    let inner = (1..BINS).map(|bin| at(bin as f64 / BINS as f64));
    let edges = [at(0.0005)].into_iter().chain(inner);
    let mut edges: Vec<f32> = edges.chain([at(0.9995).next_up()]).collect();
    edges.dedup();
    let n = values.len() as f64;
    let mean = values.iter().map(|x| f64::from(*x)).sum::<f64>() / n;
    let squares = values.iter().map(|x| (f64::from(*x) - mean).powi(2));
    let deviation = (squares.sum::<f64>() / n).sqrt();
    let scale = Scale::new(edges, Transform::Identity, mean as f32, deviation as f32);
    scale.expect("invariant: quantiles ascend, and values vary")
}

/// What a device would sign: a window of these features alone.
fn document<'b>(features: &'b [FeatureWindow<'b>]) -> Document<'b> {
    let window = Window {
        model: ModelId::parse("bearing").expect("invariant: a model id"),
        bundle: Digest([1; 32]),
        since: EpochGeneration::new(1, 1),
        reference: Some(Digest([2; 32])),
        started: Millis(86_400_000),
        ended: Millis(86_700_000),
        unix: Some(UnixSeconds(1_900_000_000)),
        closed_windows: 1,
        calls: VALUES as u64,
        errors: List::default(),
        latency: List::default(),
        features: List::of(features),
        latency_misses: None,
        shadow: None,
        scores: None,
        labels: None,
    };
    Document {
        device: DeviceId::parse("press-07").expect("invariant: a device id"),
        stream: StreamId([3; 8]),
        sequence: Sequence(1000),
        boot: BootId([4; 8]),
        receipt: None,
        window: Some(window),
        gap: None,
    }
}
