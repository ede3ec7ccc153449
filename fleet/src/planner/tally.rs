//! What a device's progress comes to at a moment, and how many of each there are in a ring.
//!
//! The only place that says what counts as failed, silent or unreachable.

use muster_protocol::time::UnixSeconds;
use serde::{Deserialize, Serialize};

use super::inventory::{Failure, Hold, Link, Progress};
use super::plan::Plan;
use super::policy::{Metered, OtherChanges, Policy};
use super::rollout::{Rollout, RolloutId};
use super::situation::{Fact, Situation};

/// What a member comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    /// It is no longer in the fleet.
    Gone,
    /// A newer rollout has the say there.
    Elsewhere(RolloutId),
    /// It was not told yet; or shall be told again.
    Pending(Try),
    /// It was told, and has not been heard of since.
    Told {
        /// When it becomes unreachable.
        until: UnixSeconds,
    },
    /// It has been heard of, and has not ended.
    OnItsWay {
        /// Its deadline.
        until: UnixSeconds,
    },
    /// It is past its deadline.
    Silent {
        /// Since when.
        since: UnixSeconds,
    },
    /// It was never heard of, within the deadline and after.
    Unreachable {
        /// Since when.
        since: UnixSeconds,
    },
    /// The version serves and has passed its probation.
    Committed,
    /// It gave up.
    Failed(Failure),
    /// It was told to go back.
    GoingBack {
        /// Its deadline.
        until: UnixSeconds,
    },
    /// It was told to go back, and is past its deadline.
    BackSilent {
        /// Since when.
        since: UnixSeconds,
    },
    /// It went back.
    Back,
}

/// Whether a device is told for the first time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Try {
    /// It is.
    First,
    /// A person has asked for another try: the composer raises the attempt, and so `since`.
    Again,
}

impl Class {
    /// Of a member of a ring with that deadline.
    pub(super) fn of(fact: &Fact, deadline_s: u64, retrying: bool, now: UnixSeconds) -> Self {
        if let Some(rollout) = fact.say {
            return Self::Elsewhere(rollout);
        }
        let later = |at: UnixSeconds| UnixSeconds(at.0.saturating_add(deadline_s));
        let class = match &fact.progress {
            Progress::NotDispatched => return Self::Pending(Try::First),
            Progress::Dispatched { at, first_contact } => match first_contact.map(later) {
                Some(until) if now > until => Self::Silent { since: until },
                Some(until) => Self::OnItsWay { until },
                None if now > later(*at) => Self::Unreachable { since: later(*at) },
                None => Self::Told { until: later(*at) },
            },
            Progress::Committed => return Self::Committed,
            Progress::Failed { failure, .. } => Self::Failed(*failure),
            Progress::GoingBack { at, first_contact } => {
                let until = later(first_contact.unwrap_or(*at));
                return if now > until {
                    Self::BackSilent { since: until }
                } else {
                    Self::GoingBack { until }
                };
            }
            Progress::Back => return Self::Back,
        };
        // Who is at it again, after a clock went back, needs no second try.
        if retrying && class.went_wrong() {
            return Self::Pending(Try::Again);
        }
        class
    }

    /// Whether a retry is for such a device.
    pub(super) fn went_wrong(self) -> bool {
        matches!(
            self,
            Self::Failed(_) | Self::Silent { .. } | Self::Unreachable { .. }
        )
    }

    /// Whether the device is, or may be, in the middle of a change or broken by one: what
    /// constraints across rollouts count.
    pub(super) fn is_in_change(self, fact: &Fact) -> bool {
        let own = match self {
            Self::Told { .. }
            | Self::OnItsWay { .. }
            | Self::Silent { .. }
            | Self::Unreachable { .. }
            | Self::GoingBack { .. }
            | Self::BackSilent { .. }
            | Self::Failed(Failure::Degraded) => true,
            // Told before, and perhaps still at it.
            Self::Pending(Try::Again) => !matches!(
                fact.progress,
                Progress::Failed {
                    failure: Failure::Refused | Failure::Reverted,
                    ..
                }
            ),
            Self::Gone
            | Self::Elsewhere(_)
            | Self::Pending(Try::First)
            | Self::Committed
            | Self::Failed(Failure::Refused | Failure::Reverted)
            | Self::Back => false,
        };
        own || fact.other_change.is_some()
    }

    /// Whether a rollback has something to do there.
    pub(super) fn can_go_back(self) -> bool {
        match self {
            Self::Told { .. }
            | Self::OnItsWay { .. }
            | Self::Silent { .. }
            | Self::Unreachable { .. }
            | Self::Committed
            | Self::Failed(_)
            | Self::Pending(Try::Again) => true,
            Self::Gone
            | Self::Elsewhere(_)
            | Self::Pending(Try::First)
            | Self::GoingBack { .. }
            | Self::BackSilent { .. }
            | Self::Back => false,
        }
    }
}

/// Why a pending device cannot be told, for as long as something outside this rollout lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Block {
    /// It is held after a restore.
    Held,
    /// Another rollout is changing it.
    OtherChange(RolloutId),
    /// Its link is metered.
    Metered,
}

impl Block {
    /// What blocks it, if anything does.
    pub(super) fn of(fact: &Fact, policy: &Policy) -> Option<Self> {
        if fact.hold == Hold::AfterRestore {
            return Some(Self::Held);
        }
        let other = fact.other_change;
        if let (Some(rollout), OtherChanges::Wait) = (other, policy.limits.other_changes) {
            return Some(Self::OtherChange(rollout));
        }
        if fact.link == Link::Metered && policy.limits.metered == Metered::Deny {
            return Some(Self::Metered);
        }
        None
    }
}

/// The members of a ring, by what they come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Counts {
    /// All, without those that are gone or under the say of another rollout.
    pub members: u32,
    /// Under the say of another rollout.
    pub elsewhere: u32,
    /// Not told yet.
    pub waiting: u32,
    /// Not told yet, for a reason outside this rollout.
    pub blocked: u32,
    /// Told, within the deadline.
    pub in_flight: u32,
    /// The version serves.
    pub committed: u32,
    /// Gave up.
    pub failed: u32,
    /// Past the deadline.
    pub silent: u32,
    /// Never heard of.
    pub unreachable: u32,
    /// Told to go back, within the deadline.
    pub going_back: u32,
    /// Told to go back, past the deadline.
    pub back_silent: u32,
    /// Went back.
    pub back: u32,
}

impl Counts {
    fn count(&mut self, class: Class, blocked: bool) {
        let counter = match class {
            Class::Gone => return,
            Class::Elsewhere(_) => {
                self.elsewhere += 1;
                return;
            }
            Class::Pending(_) if blocked => &mut self.blocked,
            Class::Pending(_) => &mut self.waiting,
            Class::Told { .. } | Class::OnItsWay { .. } => &mut self.in_flight,
            Class::Silent { .. } => &mut self.silent,
            Class::Unreachable { .. } => &mut self.unreachable,
            Class::Committed => &mut self.committed,
            Class::Failed(_) => &mut self.failed,
            Class::GoingBack { .. } => &mut self.going_back,
            Class::BackSilent { .. } => &mut self.back_silent,
            Class::Back => &mut self.back,
        };
        *counter += 1;
        self.members += 1;
    }
}

/// All members at a moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tally {
    /// By ring.
    pub rings: Vec<Counts>,
    /// Of each member, in the order of the plan.
    pub(super) classes: Vec<Class>,
    /// Devices that a rollback has still to tell, and may.
    pub(super) to_go_back: u32,
    /// By ring, devices that a rollback has still to tell, once they are held no longer.
    pub(super) held_to_go_back: Vec<u32>,
}

impl Tally {
    /// Counts them, for a rollout that may have moved on from that of the situation.
    #[must_use]
    pub fn of(plan: &Plan, situation: &Situation, rollout: &Rollout) -> Self {
        let mut tally = Self {
            rings: vec![Counts::default(); plan.policy.rings.len()],
            classes: Vec::with_capacity(situation.facts.len()),
            to_go_back: 0,
            held_to_go_back: vec![0; plan.policy.rings.len()],
        };
        for ((ring, device), fact) in plan.members().zip(&situation.facts) {
            let retrying = rollout.retrying.binary_search(device).is_ok();
            let policy = plan.policy.rings.get(ring as usize);
            let deadline_s = policy.map_or(0, |ring| ring.deadline_s);
            let now = situation.now;
            let class = fact.as_ref().map_or(Class::Gone, |fact| {
                Class::of(fact, deadline_s, retrying, now)
            });
            let block = fact.as_ref().and_then(|fact| Block::of(fact, &plan.policy));
            if let Some(counts) = tally.rings.get_mut(ring as usize) {
                counts.count(class, block.is_some());
            }
            if class.can_go_back() {
                tally.count_to_go_back(ring, block == Some(Block::Held));
            }
            tally.classes.push(class);
        }
        tally
    }

    fn count_to_go_back(&mut self, ring: u32, is_held: bool) {
        let held = self.held_to_go_back.get_mut(ring as usize);
        match held.filter(|_| is_held) {
            Some(held) => *held += 1,
            None => self.to_go_back += 1,
        }
    }

    /// One ring.
    pub(super) fn ring(&self, ring: u32) -> Counts {
        self.rings.get(ring as usize).copied().unwrap_or_default()
    }

    /// Over all rings.
    pub(super) fn sum(&self, count: fn(&Counts) -> u32) -> u32 {
        self.rings.iter().map(count).sum()
    }
}
