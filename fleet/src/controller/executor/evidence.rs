//! What the store has counted for each ring, for the gates to judge.
//!
//! Never judges.

use std::collections::BTreeSet;

use muster_fleet::gate::{DeviceCounts, Gate};
use muster_fleet::planner::{Inventory, Plan, RingEvidence};
use muster_fleet::ring_evidence::{self, Counted};
use muster_protocol::digest::Digest;
use muster_protocol::id::DeviceId;
use muster_protocol::stats::score::{HALF, STEPS_PER_ONE};

use crate::controller::Error;
use crate::store::{RingCounts, RingCountsRow, Tx};

/// What is known of each ring.
pub(super) fn of_rings(
    tx: &Tx<'_>,
    plan: &Plan,
    bundle: Digest,
    inventory: &Inventory,
) -> Result<Vec<RingEvidence>, Error> {
    let refused = |why: String| Error::Refused { why };
    let gates = ring_evidence::gates(&plan.policy).map_err(refused)?;
    let mut all = Vec::new();
    for (ring, gates) in (0_u32..).zip(&gates) {
        let rows = tx.ring_counts(plan.rollout.0.cast_signed(), ring)?;
        let mut rows: Vec<Counted> = rows.into_iter().map(counted).collect();
        if gates.iter().any(|gate| matches!(gate, Gate::Drift { .. })) {
            let moved = tx.drifted(plan.rollout.0.cast_signed(), bundle)?;
            mark_drifted(&mut rows, bundle, &moved);
        }
        let known = ring_evidence::of_ring(plan, ring, gates, bundle, inventory, &rows);
        all.push(known.map_err(refused)?);
    }
    Ok(all)
}

/// Marks the rows of devices on which something has moved with the bundle.
fn mark_drifted(rows: &mut [Counted], bundle: Digest, moved: &BTreeSet<DeviceId>) {
    let ours = rows.iter_mut().filter(|row| row.bundle == bundle);
    for row in ours.filter(|row| moved.contains(&row.device)) {
        row.counts.drifted = 1;
    }
}

fn counted(row: RingCountsRow) -> Counted {
    Counted {
        arm: row.arm,
        device: row.device,
        bundle: row.bundle,
        since: row.since,
        counts: of_counts(&row.counts),
    }
}

fn of_counts(counts: &RingCounts) -> DeviceCounts {
    DeviceCounts {
        closed_windows: counts.closed_windows,
        soaked_ms: counts.soaked_ms,
        ok: counts.calls,
        errors: counts.errors.clone(),
        latencies: counts.latencies,
        latency_misses: counts.latency_misses,
        scored: counts.scored,
        estimated_wrong: counts.estimated_wrong_steps.saturating_add(HALF.into())
            / u64::from(STEPS_PER_ONE),
        classes: counts.classes.clone(),
        shadow: counts.shadow.clone(),
        ..DeviceCounts::default()
    }
}
