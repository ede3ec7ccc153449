//! The plan of a rollout: which device is in which ring, what would move next, what is held back.
//!
//! Immutable and numbered; a changed fleet makes a new one that names its parent. Making one moves
//! nothing.

use muster_protocol::id::DeviceId;
use muster_protocol::time::UnixSeconds;
use serde::{Deserialize, Serialize};

use super::because::{self, Because};
use super::board;
use super::inventory::{DeviceFacts, Inventory, Progress};
use super::members::{self, Placed};
use super::place;
use super::policy::{Membership, Policy, PolicyError};
use super::rollout::{Rollout, RolloutId};
use super::situation::Situation;
use super::standing::Standing;
use super::state::State;
use super::text;

/// Counts the plans of a rollout, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PlanNumber(pub u32);

/// Who is where, and what would come of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// The rollout.
    pub rollout: RolloutId,
    /// Its number.
    pub number: PlanNumber,
    /// The plan that it follows.
    pub parent: Option<PlanNumber>,
    /// When it was made.
    #[serde(with = "text::unix")]
    pub made_at: UnixSeconds,
    /// Why it was made.
    pub because: Because,
    /// What it follows from.
    pub policy: Policy,
    /// Its rings.
    pub rings: Vec<PlannedRing>,
    /// Members that no ring reaches, in order of their ids.
    #[serde(with = "text::list")]
    pub not_reached: Vec<DeviceId>,
    /// Devices that would move at once.
    #[serde(with = "text::list")]
    pub next: Vec<DeviceId>,
    /// Why those.
    pub next_because: Because,
    /// Devices whose ring is open that would not, and why.
    pub held_back: Vec<HeldBack>,
}

/// A ring with its devices.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedRing {
    /// Its name.
    pub name: String,
    /// In the order in which they come to their turn.
    #[serde(with = "text::list")]
    pub devices: Vec<DeviceId>,
}

/// A device that would not move.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldBack {
    /// The device.
    #[serde(with = "text")]
    pub device: DeviceId,
    /// Why.
    pub standing: Standing,
}

/// Why there is no plan.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CannotPlan {
    /// The policy cannot be acted on.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// It reaches nobody.
    #[error(
        "failed to plan: because the selector {selector:?} matches none of {devices} devices: \
         hint: `muster device list` shows their labels"
    )]
    NobodyMatches {
        /// As it was written.
        selector: String,
        /// In the fleet.
        devices: usize,
    },
    /// A ring is smaller than what it needs.
    #[error(
        "failed to plan: because the ring {ring} reaches {reaches} devices and needs \
         {min_devices}: hint: let it reach more, or lower min_devices"
    )]
    RingTooSmall {
        /// Its name.
        ring: String,
        /// Devices in it.
        reaches: usize,
        /// Devices that must commit.
        min_devices: u32,
    },
}

impl Plan {
    /// The first plan of a rollout.
    ///
    /// # Errors
    /// [`CannotPlan`].
    pub fn make(
        rollout: RolloutId,
        policy: Policy,
        inventory: &Inventory,
        now: UnixSeconds,
    ) -> Result<Self, CannotPlan> {
        policy.check()?;
        let matched: Vec<&DeviceFacts> = matching(&policy, inventory).collect();
        if matched.is_empty() {
            return Err(CannotPlan::NobodyMatches {
                selector: policy.selector.to_string(),
                devices: inventory.devices().len(),
            });
        }
        let placed = members::place(&policy, rollout, &matched);
        let n = matched.len() as u64;
        let all = inventory.devices().len() as u64;
        let sentence = match policy.selector.to_string() {
            every if every.is_empty() => format!("all devices of the fleet match: {all}"),
            selector => format!("{n} of {all} devices match {selector:?}"),
        };
        let plan = Self::of(
            rollout,
            policy,
            placed,
            now,
            Because::counted(sentence, n, 1, all),
        );
        plan.check_sizes()?;
        let opened = plan.opened(now);
        Ok(plan.previewed(&opened, inventory, now))
    }

    /// The plan that follows when the membership is live and the fleet has changed; none when
    /// nothing follows. Devices keep their places; nobody who was dispatched leaves.
    #[must_use]
    pub fn amended(
        &self,
        rollout: &Rollout,
        inventory: &Inventory,
        now: UnixSeconds,
    ) -> Option<Self> {
        if self.policy.membership == Membership::Frozen || rollout.state.is_terminal() {
            return None;
        }
        let (joining, leaving) = self.difference(inventory);
        if joining.is_empty() && leaving.is_empty() {
            return None;
        }
        let mut next = self.clone();
        let stays = |device: &DeviceId| leaving.binary_search(device).is_err();
        for ring in &mut next.rings {
            ring.devices.retain(stays);
        }
        next.not_reached.retain(stays);
        let left = leaving.len() as u64;
        let joined = joining.len() as u64;
        next.rings.last_mut()?.devices.extend(joining);
        let sentence = moves(joined, left);
        next.parent = Some(self.number);
        next.number = PlanNumber(self.number.0.saturating_add(1));
        next.made_at = now;
        next.because = Because::counted(sentence, joined + left, 1, next.size());
        Some(next.previewed(rollout, inventory, now))
    }

    /// Members of all rings, each with its ring, in the order in which they come to their turn.
    pub(super) fn members(&self) -> impl Iterator<Item = (u32, &DeviceId)> {
        let rings = (0..).zip(&self.rings);
        rings.flat_map(|(ring, planned)| planned.devices.iter().map(move |one| (ring, one)))
    }

    /// The devices that are meant for this plan, while it goes on: an older rollout of the model
    /// tells them nothing new. Before it is approved, and once it goes back, they are not.
    pub fn claimed<'a>(&'a self, standing: &Rollout) -> impl Iterator<Item = &'a DeviceId> {
        let goes_on = matches!(
            standing.state,
            State::Running { .. } | State::Paused { .. } | State::Halted { .. }
        );
        let members = self.members().filter(move |_| goes_on);
        members.map(|(_, device)| device)
    }

    /// How many rings it has.
    #[must_use]
    pub fn rings_len(&self) -> u32 {
        u32::try_from(self.policy.rings.len()).unwrap_or(u32::MAX)
    }

    /// The name of a ring.
    pub(super) fn ring_name(&self, ring: u32) -> &str {
        let ring = self.policy.rings.get(ring as usize);
        ring.map_or("beyond the last", |ring| &ring.name)
    }

    fn of(
        rollout: RolloutId,
        policy: Policy,
        placed: Placed,
        made_at: UnixSeconds,
        because: Because,
    ) -> Self {
        let names = policy.rings.iter().map(|ring| ring.name.clone());
        let rings = names.zip(placed.rings);
        Self {
            rollout,
            number: PlanNumber(1),
            parent: None,
            made_at,
            because,
            rings: rings
                .map(|(name, devices)| PlannedRing { name, devices })
                .collect(),
            policy,
            not_reached: placed.not_reached,
            next: Vec::new(),
            next_because: Because::plain("nothing moves"),
            held_back: Vec::new(),
        }
    }

    /// Every ring has enough devices; only the last of a live rollout may wait for its own.
    fn check_sizes(&self) -> Result<(), CannotPlan> {
        let live = self.policy.membership == Membership::Live;
        let judged = self.rings.len() - usize::from(live);
        let rings = self.policy.rings.iter().zip(&self.rings).take(judged);
        for (ring, planned) in rings {
            let reaches = planned.devices.len();
            if reaches == 0 || reaches < ring.min_devices as usize {
                return Err(CannotPlan::RingTooSmall {
                    ring: ring.name.clone(),
                    reaches,
                    min_devices: ring.min_devices.max(1),
                });
            }
        }
        Ok(())
    }

    /// The rollout as if the plan had been approved.
    fn opened(&self, now: UnixSeconds) -> Rollout {
        Rollout::begin(self, now).moved(State::FIRST, now, Because::plain("to see what moves"))
    }

    fn previewed(mut self, rollout: &Rollout, inventory: &Inventory, now: UnixSeconds) -> Self {
        let situation = Situation::of(&self, rollout, inventory, &[], now);
        let standings = board::sweep(&self, &situation, rollout);
        let (mut moving, mut held_back) = (Vec::new(), Vec::new());
        for ((_, device), standing) in self.members().zip(&standings) {
            match standing {
                Standing::MovesNow { .. } => moving.push(device.clone()),
                held if held.is_held_back() => held_back.push(HeldBack {
                    device: device.clone(),
                    standing: held.clone(),
                }),
                _ => {}
            }
        }
        let (next, held) = (moving.len(), held_back.len());
        let ring = self.ring_name(rollout.ring().unwrap_or_default());
        let sentence = format!(
            "up to ring {ring} the rollout is open: {} would move at once, {held} wait",
            because::devices(u32::try_from(next).unwrap_or(u32::MAX))
        );
        let n = (next + held) as u64;
        self.next_because = Because::counted(sentence, next as u64, n, n);
        (self.next, self.held_back) = (moving, held_back);
        self
    }

    fn size(&self) -> u64 {
        let rings = self.rings.iter().map(|ring| ring.devices.len());
        (rings.sum::<usize>() + self.not_reached.len()) as u64
    }

    /// Devices that match and have no place yet, in the order of the hash; and devices whose
    /// place ends, in order of their ids.
    fn difference(&self, inventory: &Inventory) -> (Vec<DeviceId>, Vec<DeviceId>) {
        let devices = inventory.devices();
        let mut known = vec![false; devices.len()];
        let mut leaving = Vec::new();
        let placed = self.members().map(|(_, device)| device);
        for device in placed.chain(&self.not_reached) {
            let at = inventory.at(device);
            if let Some(at) = at {
                known[at] = true;
            }
            if !at.is_some_and(|at| self.stays(&devices[at])) {
                leaving.push(device.clone());
            }
        }
        leaving.sort_unstable();
        let new = devices.iter().zip(&known).filter(|(_, known)| !**known);
        let new = new.filter(|(device, _)| device.is_selected_by(&self.policy.selector));
        let mut joining: Vec<_> = new
            .map(|(device, _)| (place::hash(self.rollout, &device.device), &device.device))
            .collect();
        joining.sort_unstable();
        let joining = joining.into_iter().map(|(_, device)| device.clone());
        (joining.collect(), leaving)
    }

    fn stays(&self, facts: &DeviceFacts) -> bool {
        facts.progress != Progress::NotDispatched || facts.is_selected_by(&self.policy.selector)
    }
}

/// Who joins and who leaves, in a sentence.
fn moves(joined: u64, left: u64) -> String {
    let join = match joined {
        0 => None,
        1 => Some("1 device matches now and joins the last ring".to_owned()),
        n => Some(format!("{n} devices match now and join the last ring")),
    };
    let leave = match left {
        0 => None,
        1 => Some("1 device that was not told leaves".to_owned()),
        n => Some(format!("{n} devices that were not told leave")),
    };
    let both: Vec<String> = join.into_iter().chain(leave).collect();
    both.join(", ")
}

fn matching<'a>(
    policy: &'a Policy,
    inventory: &'a Inventory,
) -> impl Iterator<Item = &'a DeviceFacts> {
    let devices = inventory.devices().iter();
    devices.filter(|device| device.is_selected_by(&policy.selector))
}
