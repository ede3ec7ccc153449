//! What was counted for each ring, for the gates to judge, as `executor/evidence.rs` does from its
//! store.
//!
//! Never judges.

use muster_fleet::gate::Promised;
use muster_fleet::planner::{Inventory, Plan, RingEvidence, Rollout, RolloutId, State};
use muster_fleet::ring_evidence::{self, Arm, Brought, Counted};
use muster_protocol::digest::Digest;
use muster_protocol::id::{DeviceId, ModelId, Version};

use super::Controller;

/// For what counts are summed: rollout, ring, side, device and bundle.
pub(super) type CountedFor = (RolloutId, u32, Arm, DeviceId, Digest);

/// The bundle of a version.
pub(super) fn bundle(model: &ModelId, version: &Version) -> Digest {
    Digest::of(format!("{model} {version}").as_bytes())
}

/// The ring that others are compared with now.
pub(super) fn open_ring(standing: &Rollout) -> Option<u32> {
    match standing.state {
        State::Running { ring, .. } => Some(ring),
        _ => None,
    }
}

impl Controller {
    /// What is known of each ring.
    pub(super) fn evidence(&self, plan: &Plan, inventory: &Inventory) -> Vec<RingEvidence> {
        let gates = ring_evidence::gates(&plan.policy).unwrap_or_default();
        let released = Brought {
            bundle: bundle(&plan.policy.model, &plan.policy.version),
            promised: Promised::default(),
        };
        let rings = (0_u32..).zip(&gates);
        let known = rings.map(|(ring, gates)| {
            let rows = self.counted(plan.rollout, ring);
            ring_evidence::of_ring(plan, ring, gates, released, inventory, &rows)
                .expect("invariant: the allowance is a share")
        });
        known.collect()
    }

    fn counted(&self, rollout: RolloutId, ring: u32) -> Vec<Counted> {
        let rows = self.counts.iter();
        let ours = rows.filter(|((of, own, ..), _)| (*of, *own) == (rollout, ring));
        ours.map(|((_, _, arm, device, bundle), (since, counts))| Counted {
            arm: *arm,
            device: device.clone(),
            bundle: *bundle,
            since: *since,
            counts: counts.clone(),
        })
        .collect()
    }
}
