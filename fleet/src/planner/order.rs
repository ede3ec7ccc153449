//! What a person tells a rollout: a command with their name and a reason.
//!
//! Follows `state` in everything; adds only whom a retry is for, and what a promotion excuses.

use std::fmt;

use muster_protocol::id::DeviceId;
use serde::{Deserialize, Serialize};

use super::because::{self, Because};
use super::decision::Change;
use super::plan::Plan;
use super::rollout::{Rollout, RolloutId};
use super::situation::Situation;
use super::state::{Command, State, Transition};
use super::tally::Tally;

/// Longest name and reason, in bytes.
const TEXT_BYTES_MAX: usize = 500;

/// A command as it was given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    command: Command,
    operator: String,
    reason: String,
}

impl Order {
    /// A command, by whom, and why.
    ///
    /// # Errors
    /// A name or a reason that is empty, too long, or holds control characters.
    pub fn new(command: Command, operator: &str, reason: &str) -> Result<Self, BadOrder> {
        for (what, text) in [("operator", operator), ("reason", reason)] {
            let bad = text.trim().is_empty()
                || text.len() > TEXT_BYTES_MAX
                || text.chars().any(char::is_control);
            if bad {
                return Err(BadOrder { what });
            }
        }
        Ok(Self {
            command,
            operator: operator.trim().to_owned(),
            reason: reason.trim().to_owned(),
        })
    }

    /// The command.
    #[must_use]
    pub fn command(&self) -> Command {
        self.command
    }
}

/// An order that nobody could read later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "failed to take the order: because its {what} is empty, holds control characters or is longer \
     than {TEXT_BYTES_MAX} bytes: hint: say who orders it, and why, in a sentence"
)]
pub struct BadOrder {
    what: &'static str,
}

/// What an order comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Obeyed {
    /// The rollout as it stands from now on.
    pub rollout: Rollout,
    /// How it came there; none when it was there already.
    pub change: Option<Change>,
}

/// An order that makes no sense now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The rollout.
    pub rollout: RolloutId,
    /// What it was told.
    pub command: Command,
    /// Why not.
    pub because: String,
    /// What to do instead.
    pub hint: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "failed to {} rollout {}: because {}: hint: {}",
            self.command.name(),
            self.rollout.0,
            self.because,
            self.hint
        )
    }
}

impl std::error::Error for Refusal {}

/// Gives an order to a rollout. A tick follows: it moves what may move.
///
/// # Errors
/// [`Refusal`], with what to do instead.
pub fn obey(plan: &Plan, situation: &Situation, order: &Order) -> Result<Obeyed, Refusal> {
    let rollout = &situation.rollout;
    let refuse = |because: &str, hint: &str| Refusal {
        rollout: rollout.id,
        command: order.command,
        because: because.to_owned(),
        hint: hint.to_owned(),
    };
    let (rings, role) = (plan.rings_len(), plan.policy.role);
    let to = match rollout.state.after(order.command, rings, role) {
        Transition::Becomes(to) => to,
        Transition::Stays(_) => {
            return Ok(Obeyed {
                rollout: rollout.clone(),
                change: None,
            });
        }
        Transition::Refused { because, hint } => return Err(refuse(because, hint)),
    };
    let devices = match order.command {
        Command::Retry => {
            let again = again(plan, situation);
            again.map_err(|(because, hint)| refuse(because, hint))?
        }
        _ => Vec::new(),
    };
    Ok(obeyed(situation, order, to, devices))
}

fn obeyed(situation: &Situation, order: &Order, to: State, devices: Vec<DeviceId>) -> Obeyed {
    let before = &situation.rollout;
    let because = Because::plain(format!(
        "{} by {}: {}{}",
        order.command.name(),
        order.operator,
        order.reason,
        match devices.len() {
            0 => String::new(),
            _ => format!(" ({})", because::names(&devices)),
        }
    ));
    let mut rollout = before.clone().moved(to, situation.now, because.clone());
    if let (State::Running { .. }, Command::Promote, Some(ring)) =
        (to, order.command, before.ring())
    {
        rollout.excused = ring.saturating_add(1);
    }
    rollout.retrying.extend(devices.iter().cloned());
    rollout.retrying.sort_unstable();
    rollout.retrying.dedup();
    if to.is_terminal() || matches!(to, State::RollingBack { .. }) {
        rollout.retrying.clear();
    }
    Obeyed {
        rollout,
        change: Some(Change {
            from: before.state,
            to,
            because,
            devices,
        }),
    }
}

/// Devices that failed, fell silent or were never heard of, and may be told again.
fn again(
    plan: &Plan,
    situation: &Situation,
) -> Result<Vec<DeviceId>, (&'static str, &'static str)> {
    let tally = Tally::of(plan, situation, &situation.rollout);
    let max = plan.policy.limits.retries_per_device;
    let members = plan.members().zip(&situation.facts).zip(&tally.classes);
    let gone_wrong = members.filter(|(_, class)| class.went_wrong());
    let gone_wrong: Vec<_> = gone_wrong
        .filter_map(|(((_, device), fact), _)| Some((device, fact.as_ref()?.retries)))
        .collect();
    if gone_wrong.is_empty() {
        let hint = "`muster rollout explain` shows how its devices stand";
        return Err(("no device has failed or fallen silent", hint));
    }
    let may = gone_wrong.iter().filter(|(_, retries)| *retries < max);
    let mut may: Vec<DeviceId> = may.map(|(device, _)| (*device).clone()).collect();
    if may.is_empty() {
        let because = "every device that went wrong was told to try again as often as may be";
        return Err((because, "promote in spite of them, roll back or abort"));
    }
    may.sort_unstable();
    Ok(may)
}
