//! The sentence of a finding: value, threshold and n.
//!
//! Never decides.

use super::explain::Place;
use super::panel::Quality;
use super::reading::{Mode, Reading};
use super::symptom::{Item, Shown, Sign};
use super::verdict::Evidence;
use crate::finding::Cause;

/// Names that are told of several.
const TOLD: usize = 4;

/// Why it is where it is said to be.
pub(super) fn because(evidence: &Evidence<'_>, cause: Cause) -> String {
    let first = evidence.inputs.first().copied().map(Item::Feature);
    let first = first.or(evidence.calls.first().copied());
    let first = first.or(evidence.outputs.first().copied().map(Item::Feature));
    let shown = first.and_then(|item| {
        let sign = evidence.typical(item)?;
        Some(format!("{} {}", name(evidence, item), moved(sign)))
    });
    let parts = [
        Some(format!(
            "{} in each of {} windows",
            shown.unwrap_or_default(),
            evidence.rule.windows
        )),
        Some(chance(evidence, first)),
        Some(place(evidence)),
        others(evidence),
        Some(came_out(evidence, cause)),
        Some(quality(evidence, cause).to_owned()),
    ];
    let parts: Vec<String> = parts
        .into_iter()
        .flatten()
        .filter(|part| !part.is_empty())
        .collect();
    parts.join("; ")
}

fn name(evidence: &Evidence<'_>, item: Item) -> String {
    match item {
        Item::Feature(at) => evidence.panel.features[at].name.clone(),
        Item::Errors => "errors".to_owned(),
        Item::Slow => "latency".to_owned(),
    }
}

fn moved(sign: &Sign) -> String {
    match (sign.least, sign.mode) {
        (Shown::Feature(reading, errors), mode) => of_feature(&reading, errors, mode),
        (Shown::Calls(share, usual, n), _) => format!(
            "in {:.1} % of {n} requests, usually {:.1} % at most",
            100.0 * share,
            100.0 * usual
        ),
    }
}

fn of_feature(reading: &Reading, errors: f64, mode: Option<Mode>) -> String {
    let Reading {
        n, shift, ratio, ..
    } = *reading;
    match mode {
        Some(Mode::Stuck) => format!("does not change, n {n}, {shift:+.2} sd from its mean"),
        Some(Mode::OutOfRange) => format!(
            "stands where it cannot be: {:.0} % of {n} values are out of range, mean {shift:+.1} sd",
            100.0 * reading.outside
        ),
        Some(Mode::Absent) => format!("is absent in {:.0} % of rows", 100.0 * reading.absent),
        None => format!(
            "moved by {shift:+.2} sd and varies {ratio:.2} times as usual, {errors:+.1} standard errors, n {n},"
        ),
    }
}

/// What chance would do, and what is allowed.
fn chance(evidence: &Evidence<'_>, first: Option<Item>) -> String {
    let p = first
        .and_then(|item| evidence.typical(item))
        .map_or(1.0, |sign| sign.p);
    let at_most = match evidence.explained.place {
        Place::Device(_) => evidence.rule.level,
        Place::Cohort(..) | Place::Fleet => evidence.rule.member_level,
    };
    match p {
        0.0 => format!("p 0, at most {at_most:.0e}"),
        p => format!("p {p:.0e}, at most {at_most:.0e}"),
    }
}

fn place(evidence: &Evidence<'_>) -> String {
    let counts = evidence.explained.shown;
    match &evidence.explained.place {
        Place::Device(_) if counts.of_others == 0 => "it has no peers".to_owned(),
        Place::Device(_) => format!(
            "{} of its {} peers show it",
            counts.outside, counts.of_others
        ),
        Place::Cohort(label, value) => format!(
            "{} of {} devices with {label} {value} show it, {} of {} others{}",
            counts.inside,
            counts.of,
            counts.outside,
            counts.of_others,
            namesakes(evidence, label)
        ),
        Place::Fleet => format!("{} of {} devices show it", counts.inside, counts.of),
    }
}

/// Other labels that all these devices, and no others, have in common.
fn namesakes(evidence: &Evidence<'_>, label: &str) -> String {
    let inside = &evidence.explained.devices;
    let devices = &evidence.panel.devices;
    let Some(first) = inside.first().map(|at| &devices[*at].labels) else {
        return String::new();
    };
    let same = first.iter().filter(|(of, value)| {
        let has = |at: usize| devices[at].labels.get(*of) == Some(value);
        *of != label && (0..devices.len()).all(|at| has(at) == inside.contains(&at))
    });
    let same: Vec<String> = same.map(|(of, value)| format!("{of} {value}")).collect();
    match same.is_empty() {
        true => String::new(),
        false => format!(" (the same devices have {})", same.join(", ")),
    }
}

/// What else shows it.
fn others(evidence: &Evidence<'_>) -> Option<String> {
    let rest = evidence.inputs.iter().skip(1).copied().map(Item::Feature);
    let skipped = usize::from(evidence.inputs.is_empty());
    let calls = evidence.calls.iter().copied().skip(skipped);
    let names: Vec<String> = rest.chain(calls).map(|item| name(evidence, item)).collect();
    let more = names.len().saturating_sub(TOLD);
    let told = names
        .iter()
        .take(TOLD)
        .cloned()
        .collect::<Vec<String>>()
        .join(", ");
    match (names.len(), more) {
        (0, _) => None,
        (_, 0) => Some(format!("so do {told}")),
        _ => Some(format!("so do {told} and {more} more")),
    }
}

fn came_out(evidence: &Evidence<'_>, cause: Cause) -> String {
    let outputs = evidence
        .outputs
        .iter()
        .map(|at| name(evidence, Item::Feature(*at)));
    let outputs: Vec<String> = outputs.collect();
    match (outputs.is_empty(), cause) {
        (false, Cause::ModelMismatch) => "no input moved".to_owned(),
        (false, _) => format!("of outputs {} changed", outputs.join(", ")),
        (true, Cause::Benign | Cause::RealDrift) => "no output changed".to_owned(),
        (true, _) => String::new(),
    }
}

/// What quality says of it, where that decides.
fn quality(evidence: &Evidence<'_>, cause: Cause) -> &'static str {
    match (evidence.quality(), cause) {
        (Quality::Changed, Cause::RealDrift) => "quality fell with it",
        (Quality::Unchanged, Cause::RealDrift | Cause::Benign) => {
            "estimated quality is as usual, if scores are calibrated"
        }
        _ => "",
    }
}
