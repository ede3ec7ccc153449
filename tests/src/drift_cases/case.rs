//! One case: a fleet that has learnt what is normal, a fault, and where it is said to be in each of the
//! windows after that.
//!
//! Knows what is right; nothing of that reaches the rules.

use std::collections::BTreeMap;

use muster_fleet::finding::{Cause, Finding, Scope};
use muster_fleet::place::{Panel, PanelDevice, PanelFeature, PlaceRule, Quality, Side, place};
use muster_fleet::watch::{DeviceRule, IncidentsPerYear};
use muster_protocol::digest::Digest;
use muster_protocol::id::{DeviceId, ModelId};

use super::WINDOWS;
use super::fault::{Fault, Kind};
use super::fleet::{DEVICES, Fleet, SAMPLES, rule};
use super::model::{INPUTS, OUTPUTS, References, SENSORS};
use crate::drift_curves::Normals;

const YEAR_S: u64 = 31_557_600;
/// Windows before the fault that every case draws anew.
const BEFORE: usize = 2;
/// Labels and how many values each has.
const LABELS: [(&str, usize); 4] = [("firmware", 3), ("hardware", 2), ("lot", 4), ("site", 4)];

/// A case.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Case {
    /// What goes wrong.
    pub kind: Kind,
    /// How much, in what is visible.
    pub size: f64,
    /// From where its chance comes.
    pub seed: u64,
}

/// A fleet whose charts run: cases begin there.
pub struct Learnt {
    references: References,
    fleet: Fleet,
    rule: DeviceRule,
}

/// How a place was said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// The right devices and feature, and nothing else, from the first finding on.
    Right,
    /// Nothing was found in time.
    Silent,
    /// Something else, at some time, or more than there was.
    Wrong,
}

/// What was said of a case.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// Where.
    pub place: Place,
    /// Why, after the last window; none where nothing was found, or several things.
    pub cause: Option<Cause>,
    /// Whether that is right.
    pub is_cause_right: bool,
    /// Whether several things were found.
    pub several: bool,
    /// Whether a chart alarmed in these windows.
    pub alarmed: bool,
    /// All that was found, and what would have been right, to be read.
    pub told: String,
}

/// What is right.
struct Truth {
    scope: Option<Scope>,
    /// Features any of which may be named; empty if none is to be.
    features: Vec<&'static str>,
    cause: Option<Cause>,
}

impl Learnt {
    /// A fleet of this correlation.
    #[must_use]
    pub fn new(correlation: f64, seed: u64) -> Self {
        let references = References::new(seed);
        let fleet = Fleet::learnt(correlation, &references, seed.wrapping_add(1));
        let rule = rule(&references);
        Self {
            references,
            fleet,
            rule,
        }
    }

    /// Windows until its charts ran.
    #[must_use]
    pub const fn windows(&self) -> u64 {
        self.fleet.windows
    }

    /// Runs a case.
    #[must_use]
    pub fn run(&self, case: Case) -> Answer {
        let mut normals = Normals::new(case.seed);
        let labels = labels(&mut normals);
        let (devices, scope) = target(case.kind, &labels, &mut normals);
        let mut fleet = self.fleet.with_seed(normals.below(u64::MAX));
        let mut fault = Fault::new(case.kind, case.size, devices, &fleet, &mut normals);
        let truth = Truth::of(case.kind, &fault, scope);
        for _ in 0..BEFORE {
            fleet.window(None, 0, &self.rule);
        }
        let begins = normals.below(SAMPLES as u64) as usize;
        let (mut said, mut alarmed) = (Vec::new(), false);
        for at in 0..WINDOWS {
            let from = if at == 0 { begins } else { 0 };
            let moved = fleet.window(Some(&mut fault), from, &self.rule);
            alarmed |= !moved.is_empty();
            let panel = self.panel(&fleet, &labels);
            said.push(place(&panel, &every_slot(), fleet.now()));
        }
        truth.answer(&said, alarmed)
    }

    /// Windows of the fleet in so many device-years.
    #[must_use]
    pub const fn windows_of(device_years: u64) -> u64 {
        device_years * YEAR_S / (SAMPLES * DEVICES) as u64
    }

    /// Device-years of so many windows of the fleet.
    #[must_use]
    pub fn device_years(windows: u64) -> f64 {
        (windows * (SAMPLES * DEVICES) as u64) as f64 / YEAR_S as f64
    }

    /// Windows of a sound fleet, asked after each; what is found in them, to be read.
    #[must_use]
    pub fn quiet(&self, windows: u64, seed: u64) -> Vec<String> {
        let mut normals = Normals::new(seed);
        let labels = labels(&mut normals);
        let mut fleet = self.fleet.with_seed(normals.below(u64::MAX));
        let mut said = Vec::new();
        for _ in 0..windows {
            fleet.window(None, 0, &self.rule);
            let panel = self.panel(&fleet, &labels);
            let findings = place(&panel, &every_slot(), fleet.now());
            said.extend(findings.into_iter().map(|of| {
                format!(
                    "{:?} {:?} {:?}: {}",
                    of.cause, of.scope, of.feature, of.because
                )
            }));
        }
        said
    }

    fn panel(&self, fleet: &Fleet, labels: &[BTreeMap<String, String>]) -> Panel {
        let names = SENSORS.iter().map(|(name, _, _)| (*name, Side::Input));
        let names = names.chain(OUTPUTS.map(|name| (name, Side::Output)));
        let features = names.zip(&self.references.scales);
        let devices = fleet.watches.iter().zip(labels).enumerate();
        Panel {
            model: ModelId::parse("made-up").expect("invariant: a model's name"),
            bundle: Digest::of(b"made up"),
            features: features
                .map(|((name, side), scale)| PanelFeature {
                    name: name.to_owned(),
                    side,
                    scale: Some(*scale),
                })
                .collect(),
            devices: devices
                .map(|(at, (watch, labels))| PanelDevice::watched(name(at), labels.clone(), watch))
                .collect(),
            quality: Quality::Unknown,
            cohort_quality: BTreeMap::new(),
        }
    }
}

/// The rule by which the controller looks at every slot of time.
fn every_slot() -> PlaceRule {
    PlaceRule::default().every_slot(IncidentsPerYear::TENTH, DEVICES, SAMPLES as u32)
}

fn name(device: usize) -> DeviceId {
    DeviceId::parse(&format!("d{device}")).expect("invariant: a device's name")
}

/// Labels of all devices: each value as often as any other, dealt at random.
fn labels(normals: &mut Normals) -> Vec<BTreeMap<String, String>> {
    let mut labels = vec![BTreeMap::new(); DEVICES];
    for (label, values) in LABELS {
        let mut dealt: Vec<usize> = (0..DEVICES).map(|at| at % values).collect();
        for at in (1..DEVICES).rev() {
            dealt.swap(at, normals.below(at as u64 + 1) as usize);
        }
        for (labels, value) in labels.iter_mut().zip(dealt) {
            labels.insert(label.to_owned(), format!("{label}-{value}"));
        }
    }
    labels
}

/// The devices that a fault is in, and how that place is called.
fn target(
    kind: Kind,
    labels: &[BTreeMap<String, String>],
    normals: &mut Normals,
) -> (Vec<usize>, Option<Scope>) {
    let device = normals.below(DEVICES as u64) as usize;
    let cohort = |label: &str| {
        let value = &labels[device][label];
        let same = |at: &usize| labels[*at][label] == *value;
        let scope = Scope::Cohort {
            label: label.to_owned(),
            value: value.clone(),
        };
        ((0..DEVICES).filter(same).collect(), Some(scope))
    };
    match kind {
        Kind::Nothing => (Vec::new(), None),
        Kind::RealDrift | Kind::BenignSite => cohort("site"),
        Kind::Regression => cohort("firmware"),
        Kind::Mismatch | Kind::BenignFleet | Kind::World => {
            ((0..DEVICES).collect(), Some(Scope::Fleet))
        }
        _ => (vec![device], Some(Scope::Device(name(device)))),
    }
}

impl Truth {
    fn of(kind: Kind, fault: &Fault, scope: Option<Scope>) -> Self {
        let inputs: Vec<&'static str> = fault.inputs().map(|at| SENSORS[at].0).collect();
        let (features, cause) = match kind {
            Kind::Stuck => (inputs, Some(Cause::Stuck)),
            Kind::Saturated | Kind::Sentinel => (inputs, Some(Cause::OutOfRange)),
            Kind::Missing => (inputs, Some(Cause::Absent)),
            Kind::Constant | Kind::Gain | Kind::Noise => (inputs, Some(Cause::Calibration)),
            Kind::Swapped | Kind::BadDevice | Kind::Errors | Kind::Latency => {
                (Vec::new(), Some(Cause::BadDevice))
            }
            Kind::RealDrift | Kind::World => (inputs, Some(Cause::RealDrift)),
            Kind::Regression => (inputs, Some(Cause::Regression)),
            Kind::Mismatch => (vec![OUTPUTS[0]], Some(Cause::ModelMismatch)),
            Kind::BenignSite | Kind::BenignFleet => (inputs, Some(Cause::Benign)),
            Kind::Nothing => (Vec::new(), None),
        };
        Self {
            scope,
            features,
            cause,
        }
    }

    fn is_right(&self, finding: &Finding) -> bool {
        let feature = match &finding.feature {
            None => self.features.is_empty(),
            Some(name) => self.features.contains(&name.as_str()),
        };
        Some(&finding.scope) == self.scope.as_ref() && feature
    }

    fn answer(&self, said: &[Vec<Finding>], alarmed: bool) -> Answer {
        let right =
            |findings: &Vec<Finding>| matches!(findings.as_slice(), [one] if self.is_right(one));
        let given: Vec<&Vec<Finding>> = said.iter().filter(|of| !of.is_empty()).collect();
        let place = match (given.is_empty(), &self.scope) {
            (true, None) => Place::Right,
            (true, Some(_)) => Place::Silent,
            (false, _) if given.into_iter().all(right) => Place::Right,
            (false, _) => Place::Wrong,
        };
        let last = said.last().map_or(&[][..], Vec::as_slice);
        let cause = match last {
            [one] => Some(one.cause),
            _ => None,
        };
        let told = said.iter().enumerate().flat_map(|(at, findings)| {
            findings.iter().map(move |of| {
                format!(
                    "\n    window {}: {:?} {:?} {:?}: {}",
                    at + 1,
                    of.cause,
                    of.scope,
                    of.feature,
                    of.because
                )
            })
        });
        Answer {
            place,
            cause,
            is_cause_right: last.len() <= 1 && cause == self.cause,
            several: last.len() > 1,
            alarmed,
            told: format!(
                "expected {:?} {:?} {:?}{}",
                self.cause,
                self.scope,
                self.features,
                told.collect::<String>()
            ),
        }
    }
}

const _: () = assert!(INPUTS >= 3, "a bad device has three inputs");
