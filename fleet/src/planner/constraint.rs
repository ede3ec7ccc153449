//! Constraints across rollouts: at most so many devices of one value of a label in change at once.
//!
//! Counted by value, once for each tick. Never decides alone: the board asks.

use serde::{Deserialize, Serialize};

use super::policy::Constraint;

/// One value of a label, as `site=hall-4`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The value.
    pub value: String,
    /// Devices of the fleet that have it.
    pub devices: u32,
    /// Of those that are no members, the ones that another rollout is changing.
    pub busy_elsewhere: u32,
}

/// How many devices are in change, by place, for one constraint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Occupancy {
    /// By index of the place: in change, and how many may be.
    counts: Vec<(u32, u32)>,
}

impl Occupancy {
    /// Before any member is counted.
    pub(super) fn of(constraint: &Constraint, places: &[Place]) -> Self {
        let counts = places
            .iter()
            .map(|place| (place.busy_elsewhere, constraint.max(place.devices)));
        Self {
            counts: counts.collect(),
        }
    }

    /// How many are in change there and how many may be, when no more may.
    pub(super) fn full(&self, place: Option<u32>) -> Option<(u32, u32)> {
        let (n, max) = *self.counts.get(place? as usize)?;
        (n >= max).then_some((n, max))
    }

    /// Counts one more.
    pub(super) fn take(&mut self, place: Option<u32>) {
        let count = place.and_then(|place| self.counts.get_mut(place as usize));
        if let Some((n, _)) = count {
            *n = n.saturating_add(1);
        }
    }
}
