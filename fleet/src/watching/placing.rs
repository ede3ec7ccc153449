//! From alarms to findings: the devices of a bundle side by side, and what that shows.
//!
//! Fills in what `muster_fleet::place` looks at, and never judges itself. An alarm that nothing is
//! found for is a finding as well: something moved, and counts do not tell why.

use std::collections::BTreeSet;

use muster_fleet::finding::{Cause, Finding, Scope};
use muster_fleet::place::{
    Made, Normal, Panel, PanelDevice, PanelFeature, PlaceRule, RawScale, Side, place,
};
use muster_fleet::watch::{Alarmed, CohortSlots, Counted, DeviceWatch, RECENT_MAX, Subject, What};
use muster_protocol::id::DeviceId;
use muster_protocol::time::UnixSeconds;

use super::quality;
use super::run::{Run, Slot, Taken};
use crate::drift::{self, BundleReference, ReferenceFeature};
use crate::store::{StoreError, TakenWindow};

/// What devices sent longer ago than so many windows does not stand beside what they send now.
const OLD_WINDOWS: u64 = 2 * RECENT_MAX as u64;

/// Why devices are laid side by side.
#[derive(Clone, Copy, PartialEq)]
enum Asked {
    /// Something has alarmed.
    ByAlarm,
    /// A slot of time begins: the one before it has most of its windows.
    BySlot,
}

/// What one window is found to show: of what alarms in it, of what no chart has seen yet when it is
/// the first of its slot, and of how well a classifier does.
pub(super) fn findings(
    run: &mut Run<'_, '_>,
    shown: &Taken,
    taken: &TakenWindow,
) -> Result<Vec<Finding>, StoreError> {
    let mut findings = moved(run, shown, taken)?;
    findings.extend(quality::findings(shown));
    Ok(findings)
}

fn moved(
    run: &mut Run<'_, '_>,
    shown: &Taken,
    taken: &TakenWindow,
) -> Result<Vec<Finding>, StoreError> {
    let asked = match (shown.alarms.is_empty(), shown.slot) {
        (false, _) => Asked::ByAlarm,
        (true, Slot::Begins) => Asked::BySlot,
        (true, Slot::GoesOn) => return Ok(Vec::new()),
    };
    let subject = &shown.subject;
    let reference = run.reference(subject.bundle);
    run.load_all(subject)?;
    let at = newest(run, subject).unwrap_or(taken.received_at);
    let mut findings = match &reference {
        Some(reference) => {
            let panel = panel(run, subject, (reference, asked), at);
            place(&panel, &rule(run, &panel, asked), at)
        }
        None => Vec::new(),
    };
    let rest = unexplained(&findings, &shown.alarms, reference.as_deref(), at);
    findings.extend(rest);
    Ok(findings)
}

/// Alarms that nothing was found for, each feature of a place once: what is not explained explains
/// nothing else.
fn unexplained(
    placed: &[Finding],
    alarms: &[Alarmed],
    reference: Option<&BundleReference>,
    at: UnixSeconds,
) -> Vec<Finding> {
    let mut rest: Vec<Finding> = Vec::new();
    for alarmed in alarms {
        let name = feature_name(reference, &alarmed.what);
        let mut placed = placed.iter();
        if placed.any(|finding| explains(finding, alarmed, name.as_deref())) {
            continue;
        }
        let finding = unplaced(alarmed, name, at);
        let same = |of: &Finding| of.scope == finding.scope && of.feature == finding.feature;
        if !rest.iter().any(same) {
            rest.push(finding);
        }
    }
    rest
}

/// The rule with the cohorts of the watch, at the level at which it may be asked so often.
fn rule(run: &Run<'_, '_>, panel: &Panel, asked: Asked) -> PlaceRule {
    let mut rule = PlaceRule::default();
    if asked == Asked::BySlot {
        let subject = Subject {
            model: panel.model.clone(),
            bundle: panel.bundle,
        };
        let slot_s = run.watches.side_by_side(&subject).map(CohortSlots::slot_s);
        let speaks = |device: &&PanelDevice| device.windows.iter().any(Option::is_some);
        let devices = panel.devices.iter().filter(speaks).count();
        let incidents = run.watches.rule().incidents_per_device_year;
        rule = rule.every_slot(incidents, devices, slot_s.unwrap_or(0));
    }
    let cohorts = run.watches.rule().cohort_labels.iter();
    let more: Vec<String> = cohorts
        .filter(|label| !rule.cohort_labels.contains(label) && !rule.build_labels.contains(label))
        .cloned()
        .collect();
    rule.cohort_labels.extend(more);
    rule.build_labels.push("agent".to_owned());
    rule
}

/// When the newest window of any device ended.
pub(super) fn newest(run: &Run<'_, '_>, subject: &Subject) -> Option<UnixSeconds> {
    let watches = of_subject(run, subject);
    watches
        .filter_map(|(_, watch)| Some(watch.recent.back()?.ended))
        .max()
}

fn of_subject<'r>(
    run: &'r Run<'_, '_>,
    subject: &'r Subject,
) -> impl Iterator<Item = (&'r DeviceId, &'r DeviceWatch)> {
    let watches = run.watches.devices.iter();
    let ours = watches.filter(move |((of, _), _)| of == subject);
    ours.map(|((_, device), watch)| (device, watch))
}

fn panel(
    run: &Run<'_, '_>,
    subject: &Subject,
    (reference, asked): (&BundleReference, Asked),
    at: UnixSeconds,
) -> Panel {
    let features = reference.features.iter().map(panel_feature);
    let devices = of_subject(run, subject).map(|(device, watch)| {
        let labels = run.watches.labels.get(device).cloned();
        let known = PanelDevice::watched(device.clone(), labels.unwrap_or_default(), watch);
        PanelDevice {
            normal: normal(&known, reference, asked),
            windows: windows(watch, at),
            ..known
        }
    });
    let (quality, cohort_quality) = quality::stands(run, subject, at);
    Panel {
        model: subject.model.clone(),
        bundle: subject.bundle,
        features: features.collect(),
        devices: devices.collect(),
        quality,
        cohort_quality,
    }
}

fn panel_feature(feature: &ReferenceFeature) -> PanelFeature {
    PanelFeature {
        name: feature.name.clone(),
        side: match feature.source {
            drift::Side::Input => Side::Input,
            drift::Side::Output => Side::Output,
        },
        scale: feature
            .raw
            .map(|(mean, deviation)| RawScale { mean, deviation }),
    }
}

/// What is normal for each feature: as charts know it, or else, where something is wrong already, as
/// the reference says. A sound device differs from the reference a little, and would every time.
fn normal(known: &PanelDevice, reference: &BundleReference, asked: Asked) -> Vec<Option<Normal>> {
    if asked == Asked::BySlot {
        return known.normal.clone();
    }
    let made = reference.variation.map(|variation| Made {
        blocks: variation.blocks,
        false_alarm: f64::from_bits(variation.false_alarm),
    });
    let of_reference = |feature: &ReferenceFeature| Normal::of_limits(&feature.limits?, made?);
    let features = reference.features.iter().enumerate();
    let each = features.map(|(at, feature)| {
        let own = known.normal.get(at).copied().flatten();
        own.or_else(|| of_reference(feature))
    });
    each.collect()
}

/// The newest windows, the oldest first, aligned at the end; none where they are too old.
fn windows(watch: &DeviceWatch, at: UnixSeconds) -> Vec<Option<Counted>> {
    let window_s = u64::from(watch.window_s().unwrap_or(1));
    let old = at.0.saturating_sub(OLD_WINDOWS * window_s);
    let missing = RECENT_MAX.saturating_sub(watch.recent.len());
    let recent = watch.recent.iter().map(|window| {
        let is_new = window.ended.0 >= old && !window.features.is_empty();
        is_new.then(|| window.clone())
    });
    std::iter::repeat_n(None, missing).chain(recent).collect()
}

/// The name of the feature that alarmed.
fn feature_name(reference: Option<&BundleReference>, what: &What) -> Option<String> {
    let at = what.feature()?;
    let known = reference.and_then(|reference| reference.features.get(at));
    Some(known.map_or_else(|| format!("feature {at}"), |known| known.name.clone()))
}

/// Whether a finding says why something alarmed.
fn explains(finding: &Finding, alarmed: &Alarmed, feature: Option<&str>) -> bool {
    match &alarmed.what {
        What::Device(device, _) => finding.devices.contains(device),
        What::Cohort(..) => {
            !matches!(finding.scope, Scope::Device(_)) || feature == finding.feature.as_deref()
        }
    }
}

/// Where an alarm is, when nothing more can be said.
fn unplaced(alarmed: &Alarmed, feature: Option<String>, at: UnixSeconds) -> Finding {
    let (scope, devices) = match &alarmed.what {
        What::Device(device, _) => (
            Scope::Device(device.clone()),
            BTreeSet::from([device.clone()]),
        ),
        What::Cohort(cohort, _) => (quality::scope(cohort), BTreeSet::new()),
    };
    Finding {
        model: alarmed.subject.model.clone(),
        bundle: alarmed.subject.bundle,
        scope,
        because: alarmed.what.because(feature.as_deref().unwrap_or_default()),
        feature,
        cause: Cause::Unplaced,
        devices: devices.into_iter().collect(),
        at,
    }
}
