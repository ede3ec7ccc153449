//! Why something moved: the table of rules.
//!
//! Only from where it is and what shows it. Never from how likely a cause is in general.

use muster_protocol::time::UnixSeconds;

use super::because::because;
use super::explain::{Explained, Place, is_output, sign};
use super::panel::{Panel, Quality, Side};
use super::reading::Mode;
use super::rule::PlaceRule;
use super::symptom::{Item, Shown, Sign, Signs};
use crate::finding::{Cause, Finding, Scope};
use crate::statistics::multiplicity::p_of_count;

/// Everything that shows one finding.
pub(super) struct Evidence<'p> {
    /// What is looked at.
    pub(super) panel: &'p Panel,
    /// By what.
    pub(super) rule: &'p PlaceRule,
    /// All signs.
    pub(super) signs: &'p Signs,
    /// Where.
    pub(super) explained: &'p Explained,
    /// Inputs that show it, strongest first.
    pub(super) inputs: Vec<usize>,
    /// Outputs that changed there as well.
    pub(super) outputs: Vec<usize>,
    /// Whether errors or latency did.
    pub(super) calls: Vec<Item>,
}

/// One finding a place.
pub(super) fn findings(
    panel: &Panel,
    signs: &Signs,
    explained: &[Explained],
    rule: &PlaceRule,
    at: UnixSeconds,
) -> Vec<Finding> {
    let each = explained.iter().map(|of| {
        let evidence = Evidence::of(panel, signs, of, rule);
        let cause = evidence.cause();
        Finding {
            model: panel.model.clone(),
            bundle: panel.bundle,
            scope: evidence.scope(),
            feature: evidence
                .feature(cause)
                .map(|at| panel.features[at].name.clone()),
            cause,
            devices: evidence
                .devices()
                .map(|at| panel.devices[at].device.clone())
                .collect(),
            because: because(&evidence, cause),
            at,
        }
    });
    each.collect()
}

impl<'p> Evidence<'p> {
    fn of(
        panel: &'p Panel,
        signs: &'p Signs,
        explained: &'p Explained,
        rule: &'p PlaceRule,
    ) -> Self {
        let features = |side: Side| {
            let items = explained.items.iter();
            let features = items.filter_map(|item| match item {
                Item::Feature(at) if panel.features[*at].side == side => Some(*at),
                _ => None,
            });
            features.collect::<Vec<usize>>()
        };
        let calls = explained.items.iter().copied();
        let calls = calls.filter(|item| !matches!(item, Item::Feature(_)));
        let mut evidence = Self {
            panel,
            rule,
            signs,
            explained,
            inputs: features(Side::Input),
            outputs: features(Side::Output),
            calls: calls.collect(),
        };
        let mut inputs = std::mem::take(&mut evidence.inputs);
        inputs.sort_by(|a, b| evidence_order(&evidence, *a, *b));
        evidence.inputs = inputs;
        evidence.add_outputs();
        evidence
    }

    /// Outputs that changed in this place, though what went in explains it.
    fn add_outputs(&mut self) {
        for at in 0..self.panel.features.len() {
            let item = Item::Feature(at);
            if !is_output(self.panel, item) || self.outputs.contains(&at) {
                continue;
            }
            let p: Vec<f64> = self.signs_of(item).map(|sign| sign.newest).collect();
            let changed = match p.as_slice() {
                [p] => *p <= self.rule.member_level,
                all => p_of_count(all, self.rule.member_level) <= self.rule.level,
            };
            if changed {
                self.outputs.push(at);
            }
        }
    }

    /// Signs of an item in this place.
    pub(super) fn signs_of(&self, item: Item) -> impl Iterator<Item = &'p Sign> {
        let signs = self.signs;
        let devices = self.explained.devices.iter();
        devices.filter_map(move |at| sign(signs, *at, item))
    }

    /// The sign of an item that is told: the middle one of those that show it.
    pub(super) fn typical(&self, item: Item) -> Option<&'p Sign> {
        let mut shown: Vec<&Sign> = self
            .signs_of(item)
            .filter(|sign| sign.newest <= self.rule.member_level)
            .collect();
        shown.sort_by(|a, b| strength(a).total_cmp(&strength(b)));
        shown.get(shown.len() / 2).copied()
    }

    fn cause(&self) -> Cause {
        match &self.explained.place {
            Place::Device(_) => self.cause_of_device(),
            Place::Cohort(label, _) if self.rule.build_labels.contains(label) => Cause::Regression,
            Place::Cohort(..) | Place::Fleet => self.cause_of_many(),
        }
    }

    fn cause_of_device(&self) -> Cause {
        let Some((first, others)) = self.inputs.split_first() else {
            return match self.calls.is_empty() {
                true => Cause::ModelMismatch,
                false => Cause::BadDevice,
            };
        };
        let mode = |at: &usize| self.typical(Item::Feature(*at)).and_then(|sign| sign.mode);
        let shared = mode(first).filter(|of| others.iter().all(|at| mode(at) == Some(*of)));
        // One sensor that gives nothing makes requests fail. When all of them fail alike, that is
        // one fault; some are more than one.
        let all = self.inputs.len() == self.judged_inputs();
        if let Some(mode) = shared.filter(|_| others.is_empty() || all && self.calls.is_empty()) {
            return cause_of(mode);
        }
        let several = !others.is_empty() && (self.has_peers() || shared.is_some());
        if several || !self.calls.is_empty() {
            return Cause::BadDevice;
        }
        if self.has_peers() {
            Cause::Calibration
        } else {
            Cause::Unplaced
        }
    }

    fn cause_of_many(&self) -> Cause {
        let Some(first) = self.inputs.first() else {
            return Cause::ModelMismatch;
        };
        let item = Item::Feature(*first);
        if let Some(mode) = self.typical(item).and_then(|sign| sign.mode) {
            return cause_of(mode);
        }
        let has_outputs = self.panel.features.iter().any(|of| of.side == Side::Output);
        match (self.outputs.is_empty(), self.quality()) {
            (false, _) | (true, Quality::Changed) => Cause::RealDrift,
            (true, Quality::Unchanged) => Cause::Benign,
            (true, Quality::Unknown) if has_outputs => Cause::Benign,
            (true, Quality::Unknown) => Cause::Unplaced,
        }
    }

    /// How well the classifier does in this place.
    pub(super) fn quality(&self) -> Quality {
        match &self.explained.place {
            Place::Device(_) => Quality::Unknown,
            Place::Cohort(label, value) => {
                let key = (label.clone(), value.clone());
                let known = self.panel.cohort_quality.get(&key);
                known.copied().unwrap_or(Quality::Unknown)
            }
            Place::Fleet => self.panel.quality,
        }
    }

    /// Whether there was anything to compare a device with.
    fn has_peers(&self) -> bool {
        let mut each = self.inputs.iter();
        each.all(|at| {
            let sign = self.typical(Item::Feature(*at));
            sign.is_some_and(|sign| sign.against_peers.is_some())
        })
    }

    /// Inputs of which something can be said here.
    fn judged_inputs(&self) -> usize {
        let features = self.panel.features.iter().enumerate();
        let inputs = features.filter(|(_, feature)| feature.side == Side::Input);
        inputs
            .filter(|(at, _)| self.signs_of(Item::Feature(*at)).next().is_some())
            .count()
    }

    fn scope(&self) -> Scope {
        match &self.explained.place {
            Place::Device(at) => Scope::Device(self.panel.devices[*at].device.clone()),
            Place::Cohort(label, value) => Scope::Cohort {
                label: label.clone(),
                value: value.clone(),
            },
            Place::Fleet => Scope::Fleet,
        }
    }

    fn feature(&self, cause: Cause) -> Option<usize> {
        match cause {
            Cause::BadDevice => None,
            _ => self.inputs.first().or(self.outputs.first()).copied(),
        }
    }

    /// Devices that show it.
    fn devices(&self) -> impl Iterator<Item = usize> {
        let first = self.explained.items.first().copied();
        let shows = move |at: &usize| {
            let sign = first.and_then(|item| sign(self.signs, *at, item));
            sign.is_some_and(|sign| sign.newest <= self.rule.member_level)
        };
        self.explained.devices.iter().copied().filter(shows)
    }
}

fn evidence_order(evidence: &Evidence<'_>, a: usize, b: usize) -> std::cmp::Ordering {
    let of = |at| evidence.typical(Item::Feature(at)).map_or(0.0, strength);
    of(b).total_cmp(&of(a))
}

/// How much a sign shows: what is broken most.
fn strength(sign: &Sign) -> f64 {
    match (sign.mode, sign.least) {
        (Some(_), _) => f64::INFINITY,
        (None, Shown::Feature(_, errors)) => errors.abs(),
        (None, Shown::Calls(share, usual, _)) => share / usual,
    }
}

fn cause_of(mode: Mode) -> Cause {
    match mode {
        Mode::Stuck => Cause::Stuck,
        Mode::OutOfRange => Cause::OutOfRange,
        Mode::Absent => Cause::Absent,
    }
}
