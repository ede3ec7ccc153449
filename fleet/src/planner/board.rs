//! Whether a device moves now, and if not, why not: the one function that ticks decide by and that
//! explanations are made of.
//!
//! A sweep visits members in the order in which they come to their turn, and counts as it goes.

use super::constraint::Occupancy;
use super::inventory::Hold;
use super::plan::Plan;
use super::rollout::Rollout;
use super::situation::{Fact, Situation};
use super::standing::Standing;
use super::state::State;
use super::tally::{Block, Class, Tally};

/// Where each member stands, in the order of the plan, for a rollout that may have moved on from
/// that of the situation.
pub(super) fn sweep(plan: &Plan, situation: &Situation, rollout: &Rollout) -> Vec<Standing> {
    let tally = Tally::of(plan, situation, rollout);
    sweep_tallied(plan, situation, rollout, &tally)
}

/// [`sweep`], where the tally is known.
pub(super) fn sweep_tallied(
    plan: &Plan,
    situation: &Situation,
    rollout: &Rollout,
    tally: &Tally,
) -> Vec<Standing> {
    let mut board = Board::of(plan, situation, rollout, tally);
    let members = plan.members().zip(&situation.facts).zip(&tally.classes);
    members
        .map(|(((ring, _), fact), class)| match fact {
            Some(fact) => board.place(ring, fact, *class),
            None => Standing::Gone,
        })
        .collect()
}

/// What has been counted so far.
struct Board<'a> {
    plan: &'a Plan,
    situation: &'a Situation,
    rollout: &'a Rollout,
    in_flight: u32,
    dispatched: u32,
    occupancies: Vec<Occupancy>,
}

impl<'a> Board<'a> {
    fn of(plan: &'a Plan, situation: &'a Situation, rollout: &'a Rollout, tally: &Tally) -> Self {
        let constraints = plan.policy.constraints.iter().zip(&situation.places);
        let mut board = Self {
            plan,
            situation,
            rollout,
            in_flight: tally.sum(|ring| ring.in_flight),
            dispatched: rollout.recent_devices(situation.now),
            occupancies: constraints
                .map(|(constraint, places)| Occupancy::of(constraint, places))
                .collect(),
        };
        for (fact, class) in situation.facts.iter().zip(&tally.classes) {
            if let Some(fact) = fact.as_ref().filter(|fact| class.is_in_change(fact)) {
                board.occupy(fact);
            }
        }
        board
    }

    /// Where a member stands; one that moves is counted.
    fn place(&mut self, ring: u32, fact: &Fact, class: Class) -> Standing {
        let standing = self.judge(ring, fact, class);
        if let Standing::MovesNow { .. } = standing {
            self.in_flight = self.in_flight.saturating_add(1);
            self.dispatched = self.dispatched.saturating_add(1);
            if !class.is_in_change(fact) {
                self.occupy(fact);
            }
        }
        standing
    }

    fn occupy(&mut self, fact: &Fact) {
        for (occupancy, place) in self.occupancies.iter_mut().zip(&fact.places) {
            occupancy.take(*place);
        }
    }

    fn judge(&self, ring: u32, fact: &Fact, class: Class) -> Standing {
        if matches!(self.rollout.state, State::RollingBack { .. }) && class.can_go_back() {
            return match fact.hold {
                Hold::Free => Standing::GoesBackNow,
                Hold::AfterRestore => Standing::Held,
            };
        }
        match class {
            Class::Gone => Standing::Gone,
            Class::Elsewhere(rollout) => Standing::OtherSay { rollout },
            Class::Pending(_) => self.pending(ring, fact, class),
            Class::Told { until } => Standing::AwaitsContact { until },
            Class::OnItsWay { until } => Standing::OnItsWay { until },
            Class::Silent { since } => Standing::Late { since },
            Class::Unreachable { since } => Standing::Unreachable { since },
            Class::Committed => self.committed(ring),
            Class::Failed(_) => self.failed(fact),
            Class::GoingBack { until } => Standing::GoingBack { until },
            Class::BackSilent { since } => Standing::BackLate { since },
            Class::Back => Standing::RolledBack,
        }
    }

    fn committed(&self, ring: u32) -> Standing {
        match self.rollout.ring() {
            Some(open) if ring >= open => Standing::Installed { ring },
            _ => Standing::Done,
        }
    }

    fn failed(&self, fact: &Fact) -> Standing {
        let super::Progress::Failed { failure, code } = &fact.progress else {
            return Standing::Gone;
        };
        let (failure, code) = (*failure, code.clone());
        let (n, max) = (fact.retries, self.plan.policy.limits.retries_per_device);
        if max > 0 && n >= max {
            return Standing::RetriesSpent {
                failure,
                code,
                n,
                max,
            };
        }
        Standing::Failed {
            failure,
            code,
            retries_left: max.saturating_sub(n),
        }
    }

    fn pending(&self, ring: u32, fact: &Fact, class: Class) -> Standing {
        match self.rollout.state {
            State::Draft => Standing::AwaitsPlanApproval,
            State::Running { ring: open, .. } if ring > open => {
                Standing::WaitsForRing { ring, open }
            }
            State::Running { .. } => self.due(fact, class),
            State::Paused { .. } => Standing::Paused,
            State::Halted { cause, .. } => Standing::Halted { cause: cause.kind },
            State::RollingBack { .. }
            | State::RolledBack
            | State::Aborted
            | State::Completed
            | State::Superseded => Standing::Ended {
                how: self.rollout.state.name().to_owned(),
            },
        }
    }

    /// A member whose ring is open: what is its own comes before what is shared.
    fn due(&self, fact: &Fact, class: Class) -> Standing {
        let own = self.blocked(fact).or_else(|| self.outside_window(fact));
        let shared = || {
            self.constrained(fact, class)
                .or_else(|| self.concurrency_full())
                .or_else(|| self.rate_limited())
        };
        own.or_else(shared).unwrap_or(match class {
            Class::Pending(r#try) => Standing::MovesNow { r#try },
            _ => Standing::Gone,
        })
    }

    fn blocked(&self, fact: &Fact) -> Option<Standing> {
        Some(match Block::of(fact, &self.plan.policy)? {
            Block::Held => Standing::Held,
            Block::OtherChange(rollout) => Standing::OtherChange { rollout },
            Block::Metered => Standing::Metered,
        })
    }

    fn outside_window(&self, fact: &Fact) -> Option<Standing> {
        let maintenance = self.plan.policy.maintenance.as_ref()?;
        let Some(offset) = fact.offset else {
            return Some(Standing::OutsideWindow { until: None });
        };
        let closed = maintenance.open(offset, self.situation.now).err()?;
        Some(Standing::OutsideWindow { until: closed })
    }

    /// A device that is in change already adds nothing.
    fn constrained(&self, fact: &Fact, class: Class) -> Option<Standing> {
        if class.is_in_change(fact) {
            return None;
        }
        let constraints = self.plan.policy.constraints.iter().zip(&self.occupancies);
        let mut places = constraints.zip(&fact.places).enumerate();
        places.find_map(|(at, ((constraint, occupancy), place))| {
            let (n, max) = occupancy.full(*place)?;
            let value = self.situation.places.get(at)?.get((*place)? as usize)?;
            Some(Standing::ConstraintFull {
                label: constraint.label.clone(),
                value: value.value.clone(),
                n,
                max,
            })
        })
    }

    fn concurrency_full(&self) -> Option<Standing> {
        let max = self.plan.policy.limits.concurrent?;
        let n = self.in_flight;
        (n >= max).then_some(Standing::ConcurrencyFull { n, max })
    }

    fn rate_limited(&self) -> Option<Standing> {
        let max = self.plan.policy.limits.dispatches_per_hour?;
        let n = self.dispatched;
        let now = self.situation.now;
        // What this sweep has dispatched counts for an hour from now on.
        let swept = n.saturating_sub(self.rollout.recent_devices(now));
        let until = || self.rollout.fewer_than(max, swept, now);
        (n >= max).then(|| Standing::RateLimited {
            n,
            max,
            until: until(),
        })
    }
}
