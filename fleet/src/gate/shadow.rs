//! A shadow beside what serves, on the same inputs: how often it disagrees, how far its scores lie
//! apart, and whether it is slower.
//!
//! Never compares devices with each other: each is its own control.

use muster_protocol::stats::LatencyFold;

use super::arm::{Arm, Trials};
use super::budget::Alpha;
use super::counting::failures;
use super::evidence::{DeviceCounts, Evidence, ShadowCounts};
use super::gap::Gap;
use super::rate::against_limit;
use super::ratio::Ratio;
use super::share::Share;
use super::verdict::Verdict;

/// Compared requests of a device below which its medians say nothing.
const REQUESTS_MIN: u64 = 20;

/// Rows to which it gives another class.
pub(super) fn disagreement(canary: &Evidence, limit: Share, alpha: Alpha) -> Verdict {
    let of = |shadow: &ShadowCounts| Trials {
        hits: shadow.disagreed,
        of: shadow.classified,
    };
    rows("disagreement", canary, of, limit, alpha)
}

/// Rows whose scores lie at least so far apart.
pub(super) fn score_difference(
    canary: &Evidence,
    over: Gap,
    limit: Share,
    alpha: Alpha,
) -> Verdict {
    let of = |shadow: &ShadowCounts| {
        let (mut hits, mut all) = (0, 0);
        for (bucket, count) in &shadow.differences {
            all = u64::saturating_add(all, *count);
            if *bucket >= over.bucket() {
                hits = u64::saturating_add(hits, *count);
            }
        }
        Trials { hits, of: all }
    };
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
    of: impl Fn(&ShadowCounts) -> Trials,
    limit: Share,
    alpha: Alpha,
) -> Verdict {
    let devices = canary.devices();
    let arm = Arm::of(devices.map(|(_, counts)| of(&counts.shadow)));
    match arm {
        Some(arm) => against_limit(what, &arm, limit, alpha),
        None => Verdict::missing(format!(
            "{what}: fewer than two devices of the ring have compared any"
        )),
    }
}

/// Of the shadow and of what serves, microseconds: the upper bounds of their buckets.
pub(super) fn medians(shadow: &ShadowCounts) -> Option<(u32, u32)> {
    let median = |counts: &std::collections::BTreeMap<u8, u64>| {
        let mut fold = LatencyFold::default();
        for (bucket, count) in counts {
            fold.add(*bucket, u32::try_from(*count).unwrap_or(u32::MAX));
        }
        (fold.n() >= REQUESTS_MIN)
            .then(|| fold.quantile_us(500))
            .flatten()
    };
    median(&shadow.latency).zip(median(&shadow.serving_latency))
}
