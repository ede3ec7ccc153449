//! From alarms to findings: the devices of a bundle side by side, and what that shows.
//!
//! Never judges: `muster_fleet::place` does.

use muster_fleet::finding::{Cause, Finding, Scope};
use muster_fleet::watch::{Alarmed, Cohort, Moved, What};
use muster_protocol::time::UnixSeconds;

use super::run::Run;
use crate::store::{StoreError, TakenWindow};

/// What the alarms of one window are found to be.
pub(super) fn findings(
    run: &mut Run<'_, '_>,
    alarms: &[Alarmed],
    taken: &TakenWindow,
) -> Result<Vec<Finding>, StoreError> {
    Ok(alarms
        .iter()
        .map(|alarmed| unplaced(run, alarmed, taken.received_at))
        .collect())
}

/// Where an alarm is, when nothing more can be said.
fn unplaced(run: &Run<'_, '_>, alarmed: &Alarmed, at: UnixSeconds) -> Finding {
    let reference = run.reference(alarmed.subject.bundle);
    let feature = |at: usize| Some(reference.as_ref()?.features.get(at)?.name.clone());
    let (scope, feature, devices, because) = match &alarmed.what {
        What::Device(device, moved) => {
            let feature = match moved {
                Moved::Feature(at, _) => feature(*at),
                Moved::Errors | Moved::Latency => None,
            };
            let because = format!("{moved:?}");
            (
                Scope::Device(device.clone()),
                feature,
                vec![device.clone()],
                because,
            )
        }
        What::Cohort(cohort, moved) => {
            let scope = match cohort {
                Cohort::All => Scope::Fleet,
                Cohort::Of { label, value } => Scope::Cohort {
                    label: label.clone(),
                    value: value.clone(),
                },
            };
            (
                scope,
                feature(moved.feature),
                Vec::new(),
                format!("{:?}", moved.excursion),
            )
        }
    };
    Finding {
        model: alarmed.subject.model.clone(),
        bundle: alarmed.subject.bundle,
        scope,
        feature,
        cause: Cause::Unplaced,
        devices,
        because,
        at,
    }
}
