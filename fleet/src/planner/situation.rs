//! All that a tick looks at, beside the plan: the rollout, of each member what can decide, what
//! gates say, and the time.
//!
//! Made from an inventory, so that a decision can be written down with its inputs and replayed.
//! What is not in here cannot decide.

use std::collections::HashMap;

use muster_protocol::id::Version;
use muster_protocol::time::UnixSeconds;
use serde::{Deserialize, Serialize};

use super::constraint::Place;
use super::inventory::{DeviceFacts, Hold, Inventory, Link, Progress};
use super::maintenance::{Maintenance, Offset};
use super::plan::Plan;
use super::policy::Constraint;
use super::record;
use super::rollout::{Rollout, RolloutId};
use super::state::Signed;
use super::text;

/// The inputs of one tick.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Situation {
    /// The rollout as it stands.
    pub rollout: Rollout,
    /// Of each member, in the order of the plan; none for a device that is gone.
    #[serde(with = "record::grouped")]
    pub facts: Vec<Option<Fact>>,
    /// The places of each constraint of the policy.
    pub places: Vec<Vec<Place>>,
    /// What gates say, by ring; rings beyond the end have no evidence.
    pub evidence: Vec<RingEvidence>,
    /// The time.
    #[serde(with = "text::unix")]
    pub now: UnixSeconds,
}

/// What can decide about one member.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Fact {
    /// Whether anything may be composed for it.
    pub hold: Hold,
    /// How it is connected.
    pub link: Link,
    /// Its time zone, when the policy asks for one and it is known.
    pub offset: Option<Offset>,
    /// By constraint, the index of its place; none without that label.
    pub places: Vec<Option<u32>>,
    /// Another rollout that is changing it now.
    pub other_change: Option<RolloutId>,
    /// A newer rollout that has the say there.
    pub say: Option<RolloutId>,
    /// How far this rollout has come there.
    pub progress: Progress,
    /// How often it was told to try again.
    pub retries: u8,
    /// The version it goes back to.
    #[serde(with = "text::optional")]
    pub previous: Option<Version>,
}

/// What is known of one ring in the field.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RingEvidence {
    /// Inferences that its gates have seen.
    pub inferences: u64,
    /// One for each gate of the ring.
    pub verdicts: Vec<GateVerdict>,
}

/// What one gate says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GateVerdict {
    /// The gate.
    pub gate: String,
    /// What it says.
    pub verdict: Verdict,
    /// Why, with value, threshold and n.
    pub because: String,
    /// Whether that rests on what devices have signed. A failure that does not never rolls back.
    pub signed: Signed,
}

/// A verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Good enough for the next ring.
    Pass,
    /// Not good enough.
    Fail,
    /// Not known yet: it holds.
    Inconclusive,
}

impl Situation {
    /// From what an executor knows.
    #[must_use]
    pub fn of(
        plan: &Plan,
        rollout: &Rollout,
        inventory: &Inventory,
        evidence: &[RingEvidence],
        now: UnixSeconds,
    ) -> Self {
        let members = plan.members().map(|(_, device)| inventory.at(device));
        let members: Vec<Option<usize>> = members.collect();
        let mut is_member = vec![false; inventory.devices().len()];
        for at in members.iter().flatten() {
            is_member[*at] = true;
        }
        let constraints = plan.policy.constraints.iter();
        let numbered: Vec<Numbered<'_>> = constraints
            .map(|constraint| Numbered::of(constraint, inventory, &is_member))
            .collect();
        let fact = |at: usize| {
            let device = &inventory.devices()[at];
            let places = numbered.iter().map(|one| one.of_device[at]).collect();
            Fact::of(device, plan.policy.maintenance.as_ref(), places)
        };
        Self {
            rollout: rollout.clone(),
            facts: members.iter().map(|at| at.map(fact)).collect(),
            places: numbered.into_iter().map(|one| one.places).collect(),
            evidence: evidence.to_vec(),
            now,
        }
    }

    /// What is known of a ring in the field.
    pub(super) fn evidence_of(&self, ring: u32) -> RingEvidence {
        let evidence = self.evidence.get(ring as usize);
        evidence.cloned().unwrap_or_default()
    }
}

impl Fact {
    fn of(
        device: &DeviceFacts,
        maintenance: Option<&Maintenance>,
        places: Vec<Option<u32>>,
    ) -> Self {
        Self {
            hold: device.hold,
            link: device.link,
            offset: maintenance.and_then(|maintenance| offset(device, maintenance)),
            places,
            other_change: device.other_change,
            say: device.say,
            progress: device.progress.clone(),
            retries: device.retries,
            previous: device.previous.clone(),
        }
    }
}

/// A label that is no offset is as good as none.
fn offset(device: &DeviceFacts, maintenance: &Maintenance) -> Option<Offset> {
    let label = maintenance.offset_label.as_ref();
    let own = label.and_then(|label| device.value(label)?.parse().ok());
    own.or(maintenance.offset)
}

/// The places of one constraint, numbered in the order in which the inventory comes to them.
struct Numbered<'a> {
    numbers: HashMap<&'a str, u32>,
    places: Vec<Place>,
    /// By index in the inventory.
    of_device: Vec<Option<u32>>,
}

impl<'a> Numbered<'a> {
    fn of(constraint: &Constraint, inventory: &'a Inventory, is_member: &[bool]) -> Self {
        let mut this = Self {
            numbers: HashMap::new(),
            places: Vec::new(),
            of_device: Vec::with_capacity(is_member.len()),
        };
        for (device, member) in inventory.devices().iter().zip(is_member) {
            let busy = !member && device.other_change.is_some();
            let place = device.value(&constraint.label);
            let place = place.map(|value| this.count(value, busy));
            this.of_device.push(place);
        }
        this
    }

    fn count(&mut self, value: &'a str, busy_elsewhere: bool) -> u32 {
        let next = u32::try_from(self.places.len()).unwrap_or(u32::MAX);
        let number = *self.numbers.entry(value).or_insert(next);
        if number == next {
            self.places.push(Place {
                value: value.to_owned(),
                devices: 0,
                busy_elsewhere: 0,
            });
        }
        if let Some(place) = self.places.get_mut(number as usize) {
            place.devices = place.devices.saturating_add(1);
            place.busy_elsewhere += u32::from(busy_elsewhere);
        }
        number
    }
}
