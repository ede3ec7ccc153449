//! What the store has counted for each ring, for the gates to judge.
//!
//! Never judges.

use std::collections::{BTreeMap, BTreeSet};

use muster_fleet::gate::{DeviceCounts, Gate};
use muster_fleet::planner::{Inventory, Plan, RingEvidence};
use muster_fleet::ring_evidence::{self, Brought, Counted};
use muster_protocol::digest::Digest;
use muster_protocol::stats::score::{HALF, STEPS_PER_ONE};

use crate::controller::Error;
use crate::store::{Released, RingCounts, Tx};

/// What is known of each ring.
pub(super) fn of_rings(
    tx: &Tx<'_>,
    plan: &Plan,
    released: &Released,
    inventory: &Inventory,
) -> Result<Vec<RingEvidence>, Error> {
    let brought = Brought {
        bundle: released.bundle,
        promised: released.countable.promised(),
    };
    let refused = |why: String| Error::Refused { why };
    let gates = ring_evidence::gates(&plan.policy).map_err(refused)?;
    let mut all = Vec::new();
    for (ring, gates) in (0_u32..).zip(&gates) {
        let rows = counted(tx, plan, ring, gates)?;
        let known = ring_evidence::of_ring(plan, ring, gates, brought, inventory, &rows);
        all.push(known.map_err(refused)?);
    }
    Ok(all)
}

/// What devices counted, with what these gates need to know beside it.
fn counted(tx: &Tx<'_>, plan: &Plan, ring: u32, gates: &[Gate]) -> Result<Vec<Counted>, Error> {
    let rollout = plan.rollout.0.cast_signed();
    let has = |of: fn(&Gate) -> bool| gates.iter().any(of);
    let drift = has(|gate| matches!(gate, Gate::Drift { .. }));
    let auc = has(|gate| matches!(gate, Gate::EstimatedAucDrop(_)));
    let rows = tx.ring_counts(rollout, ring)?;
    let bundles: BTreeSet<Digest> = rows.iter().map(|row| row.bundle).collect();
    let mut known = BTreeMap::new();
    for bundle in bundles {
        let moved = match drift {
            true => tx.drifted(rollout, bundle)?,
            false => BTreeSet::new(),
        };
        let countable = match auc {
            true => tx.countable_of_bundle(&plan.policy.model, &bundle)?,
            false => None,
        };
        known.insert(bundle, (moved, countable.and_then(|of| of.layout)));
    }
    let rows = rows.into_iter().map(|row| {
        let mut counts = of_counts(&row.counts);
        if let Some((moved, layout)) = known.get(&row.bundle) {
            counts.drifted = u64::from(moved.contains(&row.device));
            let ranked = layout.map(|layout| layout.ranked(&row.counts.scores));
            (counts.ranked, counts.misranked_steps) = ranked.unwrap_or_default();
        }
        Counted {
            arm: row.arm,
            device: row.device,
            bundle: row.bundle,
            since: row.since,
            counts,
        }
    });
    Ok(rows.collect())
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

#[cfg(test)]
mod tests;
