//! Quality of classifiers as findings and panels have it: where it has fallen, and how it stands
//! beside what moved.
//!
//! Never judges: `muster_fleet::watch` has.

use std::collections::BTreeMap;

use muster_fleet::finding::{Finding, Scope};
use muster_fleet::place::Quality;
use muster_fleet::watch::{Cohort, Fell, QualityStands, Subject};
use muster_protocol::time::UnixSeconds;

use super::run::{Run, Taken};

/// What one window shows of quality. No device is blamed: all of the cohort add up to it.
pub(super) fn findings(shown: &Taken) -> Vec<Finding> {
    let fallen = shown.fallen.iter();
    let finding = |(cohort, fell): &(Cohort, Fell)| Finding {
        model: shown.subject.model.clone(),
        bundle: shown.subject.bundle,
        scope: scope(cohort),
        feature: None,
        cause: fell.how.cause(),
        devices: Vec::new(),
        because: fell.because(),
        at: fell.at,
    };
    fallen.map(finding).collect()
}

/// Where a cohort is.
pub(super) fn scope(cohort: &Cohort) -> Scope {
    match cohort {
        Cohort::All => Scope::Fleet,
        Cohort::Of { label, value } => Scope::Cohort {
            label: label.clone(),
            value: value.clone(),
        },
    }
}

/// How quality stands at `at` in all devices of a bundle, and in each value of a label.
pub(super) fn stands(
    run: &Run<'_, '_>,
    subject: &Subject,
    at: UnixSeconds,
) -> (Quality, BTreeMap<(String, String), Quality>) {
    let (mut all, mut cohorts) = (Quality::Unknown, BTreeMap::new());
    let rule = run.watches.rule().quality.as_ref();
    let ours = run.watches.quality.iter();
    for ((_, cohort), watch) in ours.filter(|((of, _), _)| of == subject) {
        let stands = known(watch.stands(rule, at));
        match cohort {
            Cohort::All => all = stands,
            Cohort::Of { label, value } => {
                cohorts.insert((label.clone(), value.clone()), stands);
            }
        }
    }
    (all, cohorts)
}

const fn known(stands: QualityStands) -> Quality {
    match stands {
        QualityStands::Unknown => Quality::Unknown,
        QualityStands::Usual => Quality::Unchanged,
        QualityStands::Fallen => Quality::Changed,
    }
}
