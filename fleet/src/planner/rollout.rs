//! What an executor keeps of a rollout between two ticks, beside its plan.
//!
//! Small, and never changed in place: a tick or an order gives the next one.

use muster_protocol::id::DeviceId;
use muster_protocol::time::UnixSeconds;
use serde::{Deserialize, Serialize};

use super::because::Because;
use super::plan::Plan;
use super::policy::Approval;
use super::state::State;
use super::text;

/// The span of the limit of dispatches, seconds.
const HOUR_S: u64 = 3_600;

/// A rollout, by its number.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct RolloutId(pub u64);

/// A rollout as it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rollout {
    /// Its number.
    pub id: RolloutId,
    /// Where it stands.
    pub state: State,
    /// Since when.
    #[serde(with = "text::unix")]
    pub since: UnixSeconds,
    /// Why.
    pub because: Because,
    /// A person has promoted the rings before this one: they halt nothing any more.
    pub excused: u32,
    /// Dispatches of the last hour. A clock that jumped ahead has made it forget.
    pub recent: Vec<Recent>,
    /// Devices that a person has told to try again, and that were not dispatched since; in order.
    #[serde(with = "text::list")]
    pub retrying: Vec<DeviceId>,
}

/// Dispatches of one tick.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recent {
    /// When.
    #[serde(with = "text::unix")]
    pub at: UnixSeconds,
    /// How many.
    pub devices: u32,
}

impl Rollout {
    /// A rollout of a plan that was just made: a draft when the plan must be approved.
    #[must_use]
    pub fn begin(plan: &Plan, now: UnixSeconds) -> Self {
        let (state, because) = match plan.policy.approval {
            Approval::Manual => (State::Draft, "its plan waits for approval"),
            Approval::None => (State::FIRST, "its policy asks for no approval of the plan"),
        };
        Self {
            id: plan.rollout,
            state,
            since: now,
            because: Because::plain(because),
            excused: 0,
            recent: Vec::new(),
            retrying: Vec::new(),
        }
    }

    /// The same in another state.
    #[must_use]
    pub(super) fn moved(mut self, to: State, now: UnixSeconds, because: Because) -> Self {
        self.state = to;
        self.since = now;
        self.because = because;
        self
    }

    /// Dispatches that count at `now`. After a clock went back, later ones count as well.
    #[must_use]
    pub(super) fn recent_devices(&self, now: UnixSeconds) -> u32 {
        let recent = self.recent.iter().filter(|one| one.counts(now));
        recent.fold(0, |sum, one| sum.saturating_add(one.devices))
    }

    /// When fewer than `max` of them count, together with `more` dispatched at `now`.
    #[must_use]
    pub(super) fn fewer_than(&self, max: u32, more: u32, now: UnixSeconds) -> UnixSeconds {
        let mut recent: Vec<_> = self.recent.iter().filter(|one| one.counts(now)).collect();
        recent.sort_by_key(|one| one.at);
        let mut rest = self.recent_devices(now).saturating_add(more);
        for one in recent {
            rest = rest.saturating_sub(one.devices);
            if rest < max {
                return one.end();
            }
        }
        UnixSeconds(now.0.saturating_add(HOUR_S))
    }

    /// Notes dispatches, and forgets what no longer counts.
    pub(super) fn note_dispatches(&mut self, devices: u32, now: UnixSeconds) {
        self.recent.retain(|one| one.counts(now));
        self.recent.push(Recent { at: now, devices });
    }

    /// The ring it is in; none before the first and after the last.
    #[must_use]
    pub(super) fn ring(&self) -> Option<u32> {
        match self.state {
            State::Running { ring, .. }
            | State::Paused { ring, .. }
            | State::Halted { ring, .. }
            | State::RollingBack { ring } => Some(ring),
            State::Draft
            | State::RolledBack
            | State::Aborted
            | State::Completed
            | State::Superseded => None,
        }
    }
}

impl Recent {
    fn counts(&self, now: UnixSeconds) -> bool {
        now.0.saturating_sub(self.at.0) < HOUR_S
    }

    fn end(&self) -> UnixSeconds {
        UnixSeconds(self.at.0.saturating_add(HOUR_S))
    }
}
