//! From rows of the store to the facts that the planner looks at. Pure.
//!
//! Says nothing of its own: how far a rollout has come on a device, the planner says.

use muster_fleet::planner::{DeviceFacts, Hold, Link, RolloutId, progress};
use muster_protocol::id::Version;

use super::id_of;
use crate::store::FactRow;

/// The label by which people say how a device is connected: agents do not know.
const LINK_LABEL: &str = "link";
const METERED: &str = "metered";

/// What is known of one device, for one rollout of `version`.
pub(super) fn facts(row: FactRow, rollout: RolloutId, version: &Version) -> DeviceFacts {
    let progress = progress(row.told.as_ref(), row.said.as_ref(), row.accepted, version);
    let health = match (row.degraded, row.agent.is_some()) {
        (true, _) => Some("degraded".to_owned()),
        (false, true) => Some("ok".to_owned()),
        (false, false) => None,
    };
    let say = row.desired.as_ref().map(|(by, _)| id_of(*by));
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
        say: say.filter(|by| *by > rollout),
        other_change: row.other_change.map(id_of),
        ..DeviceFacts::new(row.device)
    }
}
