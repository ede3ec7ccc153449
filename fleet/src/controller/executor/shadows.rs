//! How the shadows of a ring compare with what serves, for people to look at before they let the
//! version serve.
//!
//! Never judges: gates do.

use muster_fleet::gate::Compared;
use muster_fleet::planner::{Plan, Role};
use muster_protocol::stats::difference;
use serde::Serialize;

use crate::controller::Error;
use crate::store::Tx;

/// The shadows of one ring together.
#[derive(Debug, Serialize)]
pub(crate) struct RingShadow {
    /// The name of the ring.
    ring: String,
    /// Devices that have compared.
    devices: usize,
    /// Rows that were given a class.
    classified: u64,
    /// Of those, the ones to which the shadow gave another class.
    disagreed: u64,
    /// Median latency of the shadow, microseconds.
    latency_us: Option<u32>,
    /// Median latency of what serves for the same requests, microseconds.
    serving_latency_us: Option<u32>,
    /// From which difference on: the largest that one row in a hundred reaches.
    difference_of_one_percent: Option<f32>,
    /// All counts: classes are written `serving>shadow`.
    #[serde(flatten)]
    counts: Compared,
}

/// The rings of the rollout of a shadow; none of any other.
pub(super) fn of_rings(tx: &Tx<'_>, plan: &Plan) -> Result<Vec<RingShadow>, Error> {
    if plan.policy.role == Role::Serve {
        return Ok(Vec::new());
    }
    let mut rings = Vec::new();
    for (number, ring) in (0_u32..).zip(&plan.rings) {
        let rows = tx.ring_counts(plan.rollout.0.cast_signed(), number)?;
        let compared = rows.iter().map(|row| &row.counts.shadow);
        rings.push(of_ring(ring.name.clone(), compared));
    }
    Ok(rings)
}

fn of_ring<'a>(ring: String, devices: impl Iterator<Item = &'a Compared>) -> RingShadow {
    let (mut counts, mut compared) = (Compared::default(), 0);
    for device in devices {
        compared += usize::from(device.compared > 0);
        counts.add(device);
    }
    let (classified, disagreed) = counts.classified();
    let (latency, serving_latency) = counts.latencies();
    RingShadow {
        ring,
        devices: compared,
        classified,
        disagreed,
        latency_us: latency.quantile_us(500),
        serving_latency_us: serving_latency.quantile_us(500),
        difference_of_one_percent: reached_by_one_percent(&counts),
        counts,
    }
}

/// The lower end of the bucket; zero for the smallest differences.
fn reached_by_one_percent(counts: &Compared) -> Option<f32> {
    let all: u128 = counts.differences.values().map(|n| u128::from(*n)).sum();
    let mut above = 0;
    let mut buckets = counts.differences.iter().rev();
    let found = buckets.find(|(_, count)| {
        above += u128::from(**count);
        above * 100 >= all
    });
    found.map(|(bucket, _)| difference::lower(*bucket).unwrap_or(0.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_row_in_a_hundred_names_the_difference() {
        let check = |differences: &[(u8, u64)], expect: Option<f32>| {
            let counts = Compared {
                differences: differences.iter().copied().collect(),
                ..Compared::default()
            };
            assert_eq!(reached_by_one_percent(&counts), expect, "{differences:?}");
        };
        check(&[], None);
        check(&[(0, 100)], Some(0.0));
        check(&[(0, 99), (20, 1)], Some(0.25));
        check(&[(0, 199), (20, 1)], Some(0.0));
        check(&[(20, 500), (22, 4), (31, 1)], Some(0.25));
        check(&[(20, u64::MAX), (22, u64::MAX)], Some(1.0));
    }

    #[test]
    fn devices_that_compared_nothing_are_not_counted() {
        let idle = Compared {
            served: 10,
            ..Compared::default()
        };
        let busy = Compared {
            compared: 4,
            latency: [(40, 30)].into(),
            ..idle.clone()
        };
        let ring = of_ring("canary".to_owned(), [&idle, &busy, &busy].into_iter());
        assert_eq!((ring.devices, ring.counts.served), (2, 30));
        assert!(ring.latency_us.is_some() && ring.serving_latency_us.is_none());
    }
}
