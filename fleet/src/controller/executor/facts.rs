//! From rows of the store to the facts that the planner looks at. Pure.
//!
//! Says nothing of its own: how far a rollout has come on a device, the planner says.

use muster_fleet::planner::{DeviceFacts, Hold, Link, Role, RolloutId, progress};
use muster_protocol::id::Version;

use super::id_of;
use crate::store::FactRow;

/// The label by which people say how a device is connected: agents do not know.
const LINK_LABEL: &str = "link";
const METERED: &str = "metered";

/// What is known of one device, for one rollout of `version`. A newer rollout that claims it has
/// the say there as soon as this one has told it nothing.
pub(super) fn facts(
    row: FactRow,
    rollout: RolloutId,
    version: &Version,
    role: Role,
    claim: Option<RolloutId>,
) -> DeviceFacts {
    let progress = progress(row.told.as_ref(), row.said.as_ref(), row.accepted, version);
    let health = match (row.degraded, row.agent.is_some()) {
        (true, _) => Some("degraded".to_owned()),
        (false, true) => Some("ok".to_owned()),
        (false, false) => None,
    };
    let say = say(&row, rollout, role);
    let claim = claim.filter(|_| row.told.is_none());
    let previous = match &row.told {
        Some(told) => told.previous.clone(),
        None => row.desired.map(|(_, version)| version),
    };
    DeviceFacts {
        link: match row.labels.get(LINK_LABEL).map(String::as_str) {
            Some(METERED) => Link::Metered,
            _ => Link::Unmetered,
        },
        labels: row.labels,
        agent: row.agent,
        health,
        serving: row.serving,
        hold: if row.held {
            Hold::AfterRestore
        } else {
            Hold::Free
        },
        last_contact: row.last_contact,
        progress,
        retries: row.told.as_ref().map_or(0, |told| told.retries),
        previous,
        say: say.max(claim),
        other_change: row.other_change.map(id_of),
        ..DeviceFacts::new(row.device)
    }
}

/// Another rollout that has the say: a newer one in the same role, or one that has brought another
/// version to serve, which ends a shadow.
fn say(row: &FactRow, rollout: RolloutId, role: Role) -> Option<RolloutId> {
    let by = row.desired.as_ref().map(|(by, _)| id_of(*by));
    let is_on = row.told.as_ref().is_some_and(|told| told.back.is_none());
    match (role, by) {
        (Role::Shadow, None) if is_on => row.serving_by.map(id_of),
        (Role::Serve | Role::Shadow, by) => by.filter(|by| *by > rollout),
    }
}
