//! The planner of rollouts: which devices move next, which wait, and why.
//!
//! Pure, in integers: what is known comes in with the time it is, decisions come out, each with a
//! *because*. The same tick twice decides nothing new. No clock, no store, no sending: an executor
//! makes the decisions so, through the one composer of each device.
//!
//! In the order of use: [`Policy`] is what an operator writes; [`Plan::make`] places devices in
//! rings; [`Rollout`] is what an executor keeps; [`Situation`] is all that a tick looks at;
//! [`tick`] decides; [`explain_device`] and [`explain_rollout`] say why, from the same sweep; a
//! [`Record`] replays a decision bit for bit. `docs/rollouts.md` has the rules in words.

mod advance;
mod because;
mod board;
mod constraint;
mod decision;
mod explain;
mod inventory;
mod maintenance;
mod members;
mod order;
mod place;
mod plan;
mod policy;
mod record;
mod rollout;
mod situation;
mod standing;
mod state;
mod tally;
#[cfg(test)]
mod tests;
use crate::text;
mod told;

pub use because::Because;
pub use constraint::Place;
pub use decision::{Change, Decisions, Dispatch, RollBack, tick};
pub use explain::{
    DeviceExplanation, RolloutExplanation, explain_device, explain_rollout, standings,
};
pub use inventory::{DeviceFacts, Failure, Hold, Inventory, Link, Progress};
pub use maintenance::{BadTime, Maintenance, Offset, TimeOfDay, Weekday, Window};
pub use order::{BadOrder, Obeyed, Order, Refusal, obey};
pub use plan::{CannotPlan, HeldBack, Plan, PlanNumber, PlannedRing};
pub use policy::{
    Allowance, Approval, Budget, Constraint, Gates, Limits, Membership, Metered, OnDevice, OnHalt,
    OtherChanges, Percent, Policy, PolicyError, PolicyPlace, Reach, Ring, Role, Shadow, Swap,
};
pub use record::{Record, replay};
pub use rollout::{Recent, Rollout, RolloutId};
pub use situation::{Fact, GateVerdict, RingEvidence, Situation, Verdict};
pub use standing::Standing;
pub use state::{Cause, CauseKind, Command, Phase, Signed, State, Transition, table};
pub use tally::{Counts, Tally, Try};
pub use told::{Said, Told, ToldBack, progress};
