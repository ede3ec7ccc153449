//! How many windows of 16 features one core decodes, merges and compares in a second:
//! `cargo xtask bench window-speed`. Fails below the limit.
//!
//! Windows are made before the clock runs, each with counts of its own. Signatures are not in here:
//! `cargo xtask bench ingest` has everything.

use std::hint::black_box;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use muster_protocol::cbor::{self, List};
use muster_protocol::digest::Digest;
use muster_protocol::id::{BootId, DeviceId, EpochGeneration, ModelId, Sequence, StreamId};
use muster_protocol::message::{Document, FeatureWindow, Window};
use muster_protocol::stats::comparison::{each_cell, pearson};
use muster_protocol::stats::{FeatureCounts, FeatureFold, FeatureSum, Scale, Transform};
use muster_protocol::time::{Millis, UnixSeconds};

/// Windows a second on one core, at least.
const WINDOWS_PER_S_MIN: f64 = 300_000.0;
const FEATURES: usize = 16;
const SAMPLES: usize = 300;
/// Different windows.
const WINDOWS: usize = 512;
/// Each is taken so often in a run.
const TIMES: usize = 20;
const RUNS: usize = 50;

/// Edges at the sixteenths of a normal distribution, and its tails.
const EDGES: [f32; 17] = [
    -3.29, -1.534, -1.150, -0.887, -0.674, -0.489, -0.319, -0.157, 0.0, 0.157, 0.319, 0.489, 0.674,
    0.887, 1.150, 1.534, 3.29,
];

fn main() -> ExitCode {
    let mut random = 1;
    let reference = folded(&mut random, 20_000);
    let documents: Vec<Vec<u8>> = (0..WINDOWS).map(|at| document(&mut random, at)).collect();
    let bytes: usize = documents.iter().map(Vec::len).sum();
    let best = (0..RUNS).map(|_| run(&documents, &reference)).min();
    let seconds = best.unwrap_or(Duration::MAX).as_secs_f64();
    let per_s = (WINDOWS * TIMES) as f64 / seconds;
    println!(
        "windows of {FEATURES} features, {SAMPLES} samples, {} bytes each: {per_s:.0} a second on \
         one core, the best of {RUNS} runs of {}; {:.2} times the limit of {WINDOWS_PER_S_MIN:.0}",
        bytes / WINDOWS,
        WINDOWS * TIMES,
        per_s / WINDOWS_PER_S_MIN
    );
    if per_s < WINDOWS_PER_S_MIN {
        eprintln!("slower than the limit");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

/// Takes each window so many times: decoded, added to its sums, compared.
fn run(documents: &[Vec<u8>], reference: &FeatureCounts) -> Duration {
    let empty = FeatureSum::of(&FeatureCounts::default(), EDGES.len() + 1);
    let mut sums = vec![empty; FEATURES];
    let begun = Instant::now();
    for _ in 0..TIMES {
        for document in documents {
            take(black_box(document), reference, &mut sums);
        }
    }
    black_box(&sums);
    begun.elapsed()
}

fn take(document: &[u8], reference: &FeatureCounts, sums: &mut [FeatureSum]) {
    let document: Document<'_> = cbor::decode(document).expect("one of ours");
    let window = document.window.expect("it has one");
    for (feature, sum) in window.features.iter().zip(sums) {
        let observed = FeatureSum::of(&feature.counts(), feature.bins.len());
        sum.merge(&observed).expect("the same bins");
        let bins = reference.bins[..observed.bins.len()].iter();
        let bins = bins.map(|count| u64::from(*count));
        let cells = each_cell(bins, 0, &observed).expect("as many bins");
        black_box(pearson(cells));
    }
}

fn document(random: &mut u64, at: usize) -> Vec<u8> {
    let counts: Vec<FeatureCounts> = (0..FEATURES).map(|_| folded(random, SAMPLES)).collect();
    let features: Vec<_> = counts
        .iter()
        .map(|counts| FeatureWindow::of(counts, EDGES.len() + 1))
        .collect();
    let ended = Millis((at as u64 + 1) * 300_000);
    let window = Window {
        model: ModelId::parse("bearing").expect("valid"),
        bundle: Digest([5; 32]),
        since: EpochGeneration::new(1, 1),
        reference: Some(Digest([6; 32])),
        started: Millis(ended.0 - 300_000),
        ended,
        unix: Some(UnixSeconds(1_800_000_000 + 300 * at as u64)),
        closed_windows: 1,
        calls: SAMPLES as u64,
        errors: List::default(),
        latency: List::default(),
        features: List::of(&features),
        latency_misses: None,
        shadow: None,
        scores: None,
        labels: None,
    };
    cbor::to_vec(&Document {
        device: DeviceId::parse("press-07").expect("valid"),
        stream: StreamId([2; 8]),
        sequence: Sequence(at as u64 + 1),
        boot: BootId([4; 8]),
        receipt: None,
        window: Some(window),
        gap: None,
    })
}

/// What a device counts of so many normal values.
fn folded(random: &mut u64, samples: usize) -> FeatureCounts {
    let scale = Scale::new(EDGES, Transform::Identity, 0.0, 1.0).expect("a scale");
    let mut fold = FeatureFold::new(scale);
    for _ in 0..samples {
        let mut value = -6.0;
        for _ in 0..12 {
            *random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            value += (*random >> 40) as f32 / (1_u64 << 24) as f32;
        }
        fold.fold(Some(value));
    }
    *fold.counts()
}
