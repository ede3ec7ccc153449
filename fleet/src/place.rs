//! Where something moved, and why: one device against its peers, devices of one label against all
//! others, or all of them.
//!
//! Pure: what devices counted in their last windows and what is normal for each come in, findings go
//! out. Never decides that something is worth an incident, never learns what is normal, and blames no
//! device for what its peers do as well. Decision record 0026; how often it is right is measured in
//! docs/drift-cases.md.

mod because;
mod explain;
mod normal;
mod of_limits;
mod panel;
mod peers;
mod reading;
mod rule;
mod symptom;
#[cfg(test)]
mod tests;
mod verdict;

pub use normal::{Apart, Basis, Normal, learn_apart};
pub use of_limits::Made;
pub use panel::{Panel, PanelDevice, PanelFeature, Quality, RawScale, Side, Usual};
pub use rule::{DEVICES_MIN, PlaceRule};

use muster_protocol::time::UnixSeconds;

use crate::finding::Finding;

/// What moved in the last windows of a panel, where, and why; `at` is the end of the last of them.
/// Empty when nothing did: of a thousand panels in which nothing moved, [`PlaceRule::level`] is
/// the most that are not, if windows are as independent as their normal says.
#[must_use]
pub fn place(panel: &Panel, rule: &PlaceRule, at: UnixSeconds) -> Vec<Finding> {
    let signs = symptom::signs(panel, rule, at);
    let explained = explain::explain(panel, &signs, rule);
    verdict::findings(panel, &signs, &explained, rule, at)
}
