//! Ways of judging that were not taken, to be measured in the same rollouts: they look at errors
//! alone, at the error rate of one gate (docs/decisions/0019).
//!
//! Never used by `muster`.

use muster_fleet::gate::{DeviceCounts, Evidence};

use super::Look;

/// Scale of the effects that are looked for.
const EFFECT: f64 = 0.01;

/// Robbins' mixture over the difference of two shares, each request an independent trial.
pub(super) fn pooled_requests(canary: &Evidence, control: &Evidence, alpha: f64) -> Look {
    let (ring, others) = (pooled(canary), pooled(control));
    let mean = (ring.failed + others.failed) / (ring.requests + others.requests);
    let variance = mean * (1.0 - mean) * (1.0 / ring.requests + 1.0 / others.requests);
    let excess = ring.failed / ring.requests - others.failed / others.requests;
    let shrink = EFFECT * EFFECT / (EFFECT * EFFECT + variance);
    let ln_evidence = 0.5 * (1.0 - shrink).ln() + 0.5 * shrink * excess * excess / variance;
    fails_if(excess > 0.0 && ln_evidence >= -alpha.ln())
}

/// A z-test of the devices' shares, after every window as if it were the only one.
pub(super) fn repeated_test(canary: &Evidence, control: &Evidence, alpha: f64) -> Look {
    let (ring, others) = (shares(canary), shares(control));
    let (mine, theirs) = (mean_and_variance(&ring), mean_and_variance(&others));
    let z = (mine.0 - theirs.0) / (mine.1 + theirs.1).sqrt();
    fails_if(z > normal_quantile(alpha))
}

struct Pooled {
    failed: f64,
    requests: f64,
}

fn pooled(evidence: &Evidence) -> Pooled {
    let of = |count: fn(&DeviceCounts) -> u64| -> f64 {
        let counts = evidence.devices().map(|(_, counts)| count(counts));
        counts.sum::<u64>() as f64
    };
    Pooled {
        failed: of(DeviceCounts::failed),
        requests: of(DeviceCounts::inferences),
    }
}

fn shares(evidence: &Evidence) -> Vec<f64> {
    let devices = evidence.devices();
    devices
        .map(|(_, counts)| counts.failed() as f64 / counts.inferences().max(1) as f64)
        .collect()
}

fn mean_and_variance(shares: &[f64]) -> (f64, f64) {
    let n = shares.len() as f64;
    let mean = shares.iter().sum::<f64>() / n;
    let squares: f64 = shares.iter().map(|share| (share - mean).powi(2)).sum();
    (mean, squares / (n - 1.0) / n)
}

/// The upper quantile of the standard normal distribution, within 4.5e-4 (Hastings 1955).
fn normal_quantile(alpha: f64) -> f64 {
    let t = (-2.0 * alpha.ln()).sqrt();
    let above = 2.515_517 + t * (0.802_853 + t * 0.010_328);
    let below = 1.0 + t * (1.432_788 + t * (0.189_269 + t * 0.001_308));
    t - above / below
}

fn fails_if(fails: bool) -> Look {
    if fails {
        Look::Fails("errors")
    } else {
        Look::Holds
    }
}
