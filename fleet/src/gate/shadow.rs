//! A shadow beside what serves, on the same inputs: how often it disagrees, how far its scores lie
//! apart, and whether it is slower.
//!
//! Never compares devices with each other: each is its own control.

use muster_protocol::stats::LatencyFold;

use super::arm::{Arm, Trials};
use super::budget::Alpha;
use super::compared::Compared;
use super::counting::failures;
use super::evidence::{DeviceCounts, Evidence};
use super::gap::Gap;
use super::rate::against_limit;
use super::ratio::Ratio;
use super::share::Share;
use super::verdict::Verdict;

/// Compared requests of a device below which its medians say nothing.
const REQUESTS_MIN: u64 = 20;

/// Rows to which it gives another class.
pub(super) fn disagreement(canary: &Evidence, limit: Share, alpha: Alpha) -> Verdict {
    let of = |shadow: &Compared| shadow.classified();
    rows("disagreement", canary, of, limit, alpha)
}

/// Rows whose scores lie at least so far apart.
pub(super) fn score_difference(
    canary: &Evidence,
    over: Gap,
    limit: Share,
    alpha: Alpha,
) -> Verdict {
    let of = |shadow: &Compared| shadow.scored(over.bucket());
    let what = format!("scores that differ by {over} or more");
    rows(&what, canary, of, limit, alpha)
}

/// Devices on which its median latency is more than `ratio` times that of what serves.
pub(super) fn slower(canary: &Evidence, ratio: Ratio, limit: Share, alpha: Alpha) -> Verdict {
    let medians = |counts: &DeviceCounts| medians(&counts.shadow);
    let compared = canary.count(|counts| medians(counts).is_some());
    let is_slower = |(shadow, serving)| ratio.is_exceeded(shadow, serving);
    let slower = canary.count(|counts| medians(counts).is_some_and(is_slower));
    let did = format!("take more than {ratio} times as long as what serves there, by the median");
    failures((slower, compared, compared), &did, limit, alpha)
}

fn rows(
    what: &str,
    canary: &Evidence,
    of: impl Fn(&Compared) -> (u64, u64),
    limit: Share,
    alpha: Alpha,
) -> Verdict {
    let devices = canary.devices().map(|(_, counts)| of(&counts.shadow));
    match Arm::of(devices.map(|(of, hits)| Trials::new(hits, of))) {
        Some(arm) => against_limit(what, &arm, limit, alpha),
        None => Verdict::missing(format!(
            "{what}: fewer than two devices of the ring have compared any"
        )),
    }
}

/// Of the shadow and of what serves, microseconds: the upper bounds of their buckets.
fn medians(shadow: &Compared) -> Option<(u32, u32)> {
    let median = |latency: &LatencyFold| {
        let enough = latency.n() >= REQUESTS_MIN;
        enough.then(|| latency.quantile_us(500)).flatten()
    };
    let (shadow, serving) = shadow.latencies();
    median(&shadow).zip(median(&serving))
}
