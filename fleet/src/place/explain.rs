//! Which devices moved together, and which label's value explains them best.
//!
//! By likelihood: of devices in the set that is blamed nine in ten are taken to show it, of others two
//! in a hundred. A value has to win against each device for itself, against all devices, and against
//! every other value. *That* something moved takes all windows; *which* devices it is says the newest.
//! Never says why.

use std::collections::{BTreeMap, BTreeSet};

use super::panel::{Panel, Side};
use super::rule::{DEVICES_MIN, PlaceRule};
use super::symptom::{Item, Sign, Signs};
use crate::statistics::Rate;
use crate::statistics::multiplicity::p_of_count;
use crate::statistics::rates::fisher_exact;

/// How often a device shows what its set does, and what it does not.
const INSIDE: f64 = 0.9;
const OUTSIDE: f64 = 0.02;
/// p of Fisher's exact test, times the values compared, at which a value explains its devices.
const ENRICHED: f64 = 0.05;

/// Where something is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// One device, by its place in the panel.
    Device(usize),
    /// All devices that have this value of this label.
    Cohort(String, String),
    /// All.
    Fleet,
}

/// Something that moved in one place.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Explained {
    /// Where.
    pub(super) place: Place,
    /// All devices there that were judged.
    pub(super) devices: Vec<usize>,
    /// What shows it.
    pub(super) items: Vec<Item>,
    /// Of the first item: devices that show it here, and elsewhere, and all that are elsewhere.
    pub(super) shown: Counts,
}

/// Devices that show an item, in a set and beyond.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Counts {
    /// In the set, of its devices.
    pub(super) inside: u64,
    /// Its devices.
    pub(super) of: u64,
    /// Elsewhere.
    pub(super) outside: u64,
    /// Devices elsewhere.
    pub(super) of_others: u64,
}

/// A set of devices that may be to blame.
struct Candidate {
    place: Place,
    devices: BTreeSet<usize>,
    /// What it costs that it was chosen among several.
    penalty: f64,
}

/// All places, inputs and requests first: what comes out where something went in needs no other.
pub(super) fn explain(panel: &Panel, signs: &Signs, rule: &PlaceRule) -> Vec<Explained> {
    let judged: BTreeSet<usize> = (0..signs.len()).filter(|at| signs[*at].is_some()).collect();
    let mut search = Search {
        panel,
        signs,
        rule,
        found: Vec::new(),
        held: BTreeSet::new(),
    };
    let (inputs, outputs) = items(panel, signs);
    for item in inputs {
        search.one(item, &judged);
    }
    let found = search.found.iter().flat_map(|of| of.devices.iter());
    let covered: BTreeSet<usize> = found.chain(&search.held).copied().collect();
    let rest: BTreeSet<usize> = judged.difference(&covered).copied().collect();
    for item in outputs {
        search.one(item, &rest);
    }
    search.complete(judged.len());
    search.found
}

/// The sign that a device shows of an item.
pub(super) fn sign(signs: &Signs, device: usize, item: Item) -> Option<&Sign> {
    let mut each = signs.get(device)?.as_ref()?.iter();
    each.find(|sign| sign.item == item)
}

/// Items, strongest first: of requests and inputs, and of outputs.
fn items(panel: &Panel, signs: &Signs) -> (Vec<Item>, Vec<Item>) {
    let strength = |item: &Item| -> f64 {
        let each = (0..signs.len()).filter_map(|at| sign(signs, at, *item));
        each.map(|sign| -sign.adjusted.max(f64::MIN_POSITIVE).ln())
            .sum()
    };
    let all = (0..panel.features.len()).map(Item::Feature);
    let mut all: Vec<Item> = all.chain([Item::Errors, Item::Slow]).collect();
    all.sort_by(|a, b| strength(b).total_cmp(&strength(a)));
    all.into_iter().partition(|item| !is_output(panel, *item))
}

pub(super) fn is_output(panel: &Panel, item: Item) -> bool {
    matches!(item, Item::Feature(at) if panel.features[at].side == Side::Output)
}

/// What was found so far.
struct Search<'p> {
    panel: &'p Panel,
    signs: &'p Signs,
    rule: &'p PlaceRule,
    found: Vec<Explained>,
    /// Devices of sets that seem to move, but not surely yet: none of them is blamed for itself.
    held: BTreeSet<usize>,
}

/// Whether a set is to blame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sure {
    /// It is.
    Yes,
    /// It may be, once more windows are there.
    NotYet,
    /// That it is this set may be chance.
    No,
}

impl Search<'_> {
    /// Explains one item over these devices.
    fn one(&mut self, item: Item, devices: &BTreeSet<usize>) {
        let level = self.rule.member_level;
        let of = |at: &usize| sign(self.signs, *at, item);
        let shows = |at: &usize| of(at).is_some_and(|sign| sign.newest <= level);
        let members: BTreeSet<usize> = devices.iter().copied().filter(shows).collect();
        if members.is_empty() {
            return;
        }
        let candidates = candidates(self.panel, devices, self.rule, &self.found);
        let set = best(&candidates, &members, devices);
        let sure = set.map_or(Sure::No, |set| {
            let known = self.found.iter().any(|other| other.place == set.place);
            match known {
                true => Sure::Yes,
                false => self.sure(
                    item,
                    set,
                    &members,
                    devices,
                    candidates.len().saturating_sub(1),
                ),
            }
        });
        match (set, sure) {
            (Some(set), Sure::Yes) => {
                let counts = counts(&set.devices, &members, devices);
                add(&mut self.found, &set.place, &set.devices, item, counts);
            }
            (Some(set), Sure::NotYet) => self.held.extend(&set.devices),
            (_, Sure::No) | (None, _) => {}
        }
        let explained = set.filter(|_| sure != Sure::No).map(|set| &set.devices);
        let others = members.iter().copied();
        let others = others.filter(|at| explained.is_none_or(|set| !set.contains(at)));
        let alone: Vec<usize> = others.filter(|at| self.is_alone(item, *at)).collect();
        for at in alone {
            let only = BTreeSet::from([at]);
            let counts = counts(&only, &members, devices);
            add(&mut self.found, &Place::Device(at), &only, item, counts);
        }
    }

    /// Whether a device is to blame for itself.
    fn is_alone(&self, item: Item, at: usize) -> bool {
        let Some(sign) = sign(self.signs, at, item) else {
            return false;
        };
        let own = sign
            .against_peers
            .is_none_or(|p| p <= self.rule.member_level);
        let mut sets = self
            .found
            .iter()
            .filter(|of| !matches!(of.place, Place::Device(_)));
        let inside = self.held.contains(&at) || sets.any(|of| of.devices.contains(&at));
        // What is broken is so wherever it stands; what has only moved did so with its cohort.
        sign.adjusted <= self.rule.level && own && (sign.mode.is_some() || !inside)
    }

    /// Whether it is no chance that this set moved, and that it was this set.
    fn sure(
        &self,
        item: Item,
        set: &Candidate,
        members: &BTreeSet<usize>,
        devices: &BTreeSet<usize>,
        values: usize,
    ) -> Sure {
        let of = set
            .devices
            .iter()
            .filter_map(|at| sign(self.signs, *at, item));
        let of: Vec<&Sign> = of.collect();
        let tests = self
            .signs
            .iter()
            .flatten()
            .map(Vec::len)
            .max()
            .unwrap_or(1)
            .max(1) as f64;
        let yes = |holds: bool| if holds { Sure::Yes } else { Sure::NotYet };
        if set.place == Place::Fleet {
            // All devices share the weather, so together they are as good as one.
            let mut p: Vec<f64> = of.iter().map(|sign| sign.p).collect();
            p.sort_unstable_by(f64::total_cmp);
            let middle = p.get(p.len() / 2).copied().unwrap_or(1.0);
            return yes(middle * tests <= self.rule.level);
        }
        let counts = counts(&set.devices, members, devices);
        let inside = Rate::new(counts.inside, counts.of);
        let rates = inside.zip(Rate::new(counts.outside, counts.of_others));
        let enriched = rates.and_then(|(inside, outside)| fisher_exact(inside, outside));
        if enriched.unwrap_or(1.0) * values as f64 > ENRICHED {
            return Sure::No;
        }
        let strong = of.iter().any(|sign| sign.adjusted <= self.rule.level);
        let joint = |sign: &&Sign| sign.p.max(sign.against_peers.unwrap_or(0.0));
        let joint: Vec<f64> = of.iter().map(joint).collect();
        let by_count = p_of_count(&joint, self.rule.member_level) * tests * values as f64;
        yes(strong || by_count <= self.rule.level)
    }

    /// What else the newest window shows of devices that are to blame for themselves: with it a
    /// broken sensor is told from a broken device.
    fn complete(&mut self, judged: usize) {
        let sets = self
            .found
            .iter()
            .filter(|of| !matches!(of.place, Place::Device(_)));
        let sets: Vec<(Vec<usize>, Vec<Item>)> = sets
            .map(|of| (of.devices.clone(), of.items.clone()))
            .collect();
        for of in &mut self.found {
            let Place::Device(at) = of.place else {
                continue;
            };
            let all = self
                .signs
                .get(at)
                .and_then(Option::as_deref)
                .unwrap_or_default();
            let tests = (all.len() * judged) as f64;
            let strong = all
                .iter()
                .filter(|sign| sign.newest * tests <= self.rule.level);
            let inputs = strong.filter(|sign| !is_output(self.panel, sign.item));
            let own = inputs.filter(|sign| {
                let explained = |(devices, items): &(Vec<usize>, Vec<Item>)| {
                    devices.contains(&at) && items.contains(&sign.item)
                };
                !of.items.contains(&sign.item) && !sets.iter().any(explained)
            });
            let more: Vec<Item> = own.map(|sign| sign.item).collect();
            of.items.extend(more);
        }
    }
}

fn add(
    found: &mut Vec<Explained>,
    place: &Place,
    devices: &BTreeSet<usize>,
    item: Item,
    shown: Counts,
) {
    match found.iter_mut().find(|of| of.place == *place) {
        Some(same) => same.items.push(item),
        None => found.push(Explained {
            place: place.clone(),
            devices: devices.iter().copied().collect(),
            items: vec![item],
            shown,
        }),
    }
}

/// All sets of at least [`DEVICES_MIN`] devices: values of labels, those that say how a device was made
/// first, then those that say where it stands, then others; and all devices.
fn candidates(
    panel: &Panel,
    devices: &BTreeSet<usize>,
    rule: &PlaceRule,
    found: &[Explained],
) -> Vec<Candidate> {
    let mut values: BTreeMap<(usize, &str, &str), BTreeSet<usize>> = BTreeMap::new();
    for at in devices {
        for (label, value) in &panel.devices[*at].labels {
            let order = order(rule, label);
            values.entry((order, label, value)).or_default().insert(*at);
        }
    }
    values.retain(|_, of| of.len() >= DEVICES_MIN && of.len() < devices.len());
    let penalty = (values.len().max(1) as f64).ln();
    let of_values = values.into_iter().map(|((_, label, value), devices)| {
        let place = Place::Cohort(label.to_owned(), value.to_owned());
        // What was found already needs not be chosen again.
        let known = found.iter().any(|of| of.place == place);
        Candidate {
            penalty: if known { 0.0 } else { penalty },
            place,
            devices,
        }
    });
    let all = (devices.len() >= DEVICES_MIN).then(|| Candidate {
        place: Place::Fleet,
        devices: devices.clone(),
        penalty: 0.0,
    });
    of_values.chain(all).collect()
}

fn order(rule: &PlaceRule, label: &str) -> usize {
    let known = rule.build_labels.iter().chain(&rule.cohort_labels);
    let known: Vec<&String> = known.collect();
    known
        .iter()
        .position(|of| *of == label)
        .unwrap_or(known.len())
}

/// The set that makes what is shown likeliest; none when each device for itself is likelier. Of
/// equals the first.
fn best<'c>(
    candidates: &'c [Candidate],
    members: &BTreeSet<usize>,
    devices: &BTreeSet<usize>,
) -> Option<&'c Candidate> {
    let mut best = (None, likelihood(counts(&BTreeSet::new(), members, devices)));
    for candidate in candidates {
        let of = likelihood(counts(&candidate.devices, members, devices)) - candidate.penalty;
        if of > best.1 + 1e-9 {
            best = (Some(candidate), of);
        }
    }
    best.0
}

fn likelihood(counts: Counts) -> f64 {
    let part = |hits: u64, of: u64, share: f64| {
        hits as f64 * share.ln() + (of - hits) as f64 * (1.0 - share).ln()
    };
    part(counts.inside, counts.of, INSIDE) + part(counts.outside, counts.of_others, OUTSIDE)
}

fn counts(set: &BTreeSet<usize>, members: &BTreeSet<usize>, devices: &BTreeSet<usize>) -> Counts {
    let inside = members.intersection(set).count() as u64;
    let of = devices.intersection(set).count() as u64;
    Counts {
        inside,
        of,
        outside: members.len() as u64 - inside,
        of_others: devices.len() as u64 - of,
    }
}
