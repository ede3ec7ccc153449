//! Real recordings with known faults: those that are in them, and those that are put in.
//!
//! Rooms and machines of others, read from `../shared/data`; nothing of it is in this repository. Values
//! are counted as devices count, and placed from windows in which nothing was wrong.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use muster_fleet::finding::{Finding, Scope};
use muster_fleet::place::{
    Normal, Panel, PanelDevice, PanelFeature, PlaceRule, Quality, RawScale, Side, Usual,
    learn_apart, place,
};
use muster_fleet::watch::{Clock, Counted};
use muster_protocol::digest::Digest;
use muster_protocol::id::{DeviceId, ModelId};
use muster_protocol::stats::{FeatureFold, FeatureSum, Scale, Transform};
use muster_protocol::time::UnixSeconds;

/// Devices that share the room: the first has its first row, the ninth, and so on.
const ROOM_DEVICES: usize = 8;
/// Rows of a window of those, and windows in which nothing is wrong.
const ROOM_ROWS: usize = 30;
const ROOM_LEARNT: usize = 20;
/// The device that is broken.
const BROKEN: usize = 3;
/// The columns of the room that are looked at, by name and from the right.
const ROOM: [(&str, usize); 4] = [
    ("Temperature", 6),
    ("Humidity", 5),
    ("CO2", 3),
    ("HumidityRatio", 2),
];
/// Rows of a window of the machine, and rows in which nothing is wrong.
const MACHINE_ROWS: usize = 2;
const MACHINE_LEARNT: usize = 400;

/// What was found in one recording.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RealRow {
    /// Which.
    pub recording: &'static str,
    /// What was done to it, and where was looked.
    pub done: String,
    /// What was found.
    pub found: String,
}

/// All of them; none where the recordings are not.
#[must_use]
pub fn rows() -> Option<Vec<RealRow>> {
    let folder = folder()?;
    let mut rows = room(&folder.join("occupancy/datatraining.txt"))?;
    rows.extend(machine(
        &folder.join("ims-bearing/2nd_test_resample_10minutes.csv"),
    )?);
    Some(rows)
}

/// Where the recordings are.
#[must_use]
pub fn folder() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/datasets");
    folder.is_dir().then_some(folder)
}

impl RealRow {
    /// The line of the table.
    #[must_use]
    pub fn line(&self) -> String {
        format!("| {} | {} | {} |", self.recording, self.done, self.found)
    }
}

/// Rows of a device, by column.
type Rows = Vec<Vec<f64>>;

/// A change of one value; none is an absent one.
type Change = fn(row: usize, value: f64, deviation: f64) -> Option<f64>;

/// A room, as eight devices saw it.
fn room(path: &Path) -> Option<Vec<RealRow>> {
    let columns = ROOM.map(|(_, from_right)| from_right);
    let all = read(path, &columns)?;
    let names = ROOM.map(|(name, _)| name);
    let part = |device: usize| -> Rows {
        let own = all.iter().map(|column| {
            column
                .iter()
                .skip(device)
                .step_by(ROOM_DEVICES)
                .copied()
                .collect()
        });
        own.collect()
    };
    let devices: Vec<Rows> = (0..ROOM_DEVICES).map(part).collect();
    let learnt = Recording::new(&names, devices, ROOM_ROWS, ROOM_LEARNT * ROOM_ROWS);
    let rule = PlaceRule::default();
    let last = learnt.windows();
    let quiet: Vec<Finding> = (ROOM_LEARNT + 2..=last)
        .flat_map(|until| learnt.place(until, &rule, None))
        .collect();
    let mut rows = vec![RealRow {
        recording: "occupancy",
        done: format!("nothing, {} panels", last - ROOM_LEARNT - 1),
        found: told(&quiet),
    }];
    let changes: [(&str, Change); 4] = [
        ("−200 in every tenth row of", |row, x, _| {
            Some(if row.is_multiple_of(10) { -200.0 } else { x })
        }),
        ("half a standard deviation added to", |_, x, sd| {
            Some(x + 0.5 * sd)
        }),
        ("one standard deviation taken from", |_, x, sd| Some(x - sd)),
        ("every fifth row without", |row, x, _| {
            (!row.is_multiple_of(5)).then_some(x)
        }),
    ];
    for (what, change) in changes {
        for (column, name) in names.iter().enumerate() {
            let fault = (BROKEN, column, change);
            rows.push(RealRow {
                recording: "occupancy",
                done: format!("{what} {name} of d{BROKEN}"),
                found: told(&learnt.place(ROOM_LEARNT + 4, &rule, Some(fault))),
            });
        }
    }
    Some(rows)
}

/// A machine that fails, and its sensors that die at the end. It has no peers.
fn machine(path: &Path) -> Option<Vec<RealRow>> {
    let names = ["Bearing 1", "Bearing 2", "Bearing 3", "Bearing 4"];
    let device = read(path, &[4, 3, 2, 1])?;
    let learnt = Recording::new(&names, vec![device], MACHINE_ROWS, MACHINE_LEARNT);
    let rule = PlaceRule {
        windows: 1,
        samples_min: MACHINE_ROWS as u64,
        ..PlaceRule::default()
    };
    let at = |row: usize| row / MACHINE_ROWS;
    let last = learnt.windows();
    let over = |from: usize, until: usize| -> Vec<Finding> {
        (at(from) + 1..=at(until))
            .flat_map(|until| learnt.place(until, &rule, None))
            .collect()
    };
    let first = (at(400) + 1..=last).find_map(|until| {
        let found = learnt.place(until, &rule, None);
        (!found.is_empty()).then(|| format!("row {}: {}", MACHINE_ROWS * until, told(&found)))
    });
    let row = |done: String, found: String| RealRow {
        recording: "bearing test 2",
        done,
        found,
    };
    Some(vec![
        row(
            "rows 400–500, nothing is wrong".to_owned(),
            told(&over(400, 500)),
        ),
        row(
            "the first finding after row 400".to_owned(),
            first.unwrap_or_default(),
        ),
        row(
            "the last rows, sensors are dead".to_owned(),
            told(&learnt.place(last, &rule, None)),
        ),
    ])
}

/// What was found, in few words: the same findings once.
fn told(findings: &[Finding]) -> String {
    let mut each: Vec<String> = findings
        .iter()
        .map(|of| {
            let place = match &of.scope {
                Scope::Device(device) => device.to_string(),
                Scope::Cohort { label, value } => format!("{label} {value}"),
                Scope::Fleet => "all".to_owned(),
            };
            let feature = of.feature.as_deref().unwrap_or("no one feature");
            format!("{:?}, {feature}, {place}", of.cause)
        })
        .collect();
    each.sort();
    each.dedup();
    if each.is_empty() {
        "nothing".to_owned()
    } else {
        each.join("; ")
    }
}

/// Devices, what is normal for them, and their windows.
struct Recording {
    features: Vec<PanelFeature>,
    folds: Vec<FeatureFold>,
    devices: Vec<Rows>,
    normals: Vec<Vec<Option<Normal>>>,
    rows: usize,
}

impl Recording {
    /// Learns from the first `learnt` rows of each device.
    fn new(names: &[&str], devices: Vec<Rows>, rows: usize, learnt: usize) -> Self {
        let mut recording = Self {
            features: Vec::new(),
            folds: Vec::new(),
            normals: vec![Vec::new(); devices.len()],
            devices,
            rows,
        };
        for (column, name) in names.iter().enumerate() {
            let all = recording.devices.iter();
            let mut values: Vec<f64> = all
                .flat_map(|of| of[column][..learnt].iter().copied())
                .collect();
            let (fold, scale) = reference(&mut values);
            recording.folds.push(fold);
            recording.features.push(PanelFeature {
                name: (*name).to_owned(),
                side: Side::Input,
                scale: Some(scale),
            });
            recording.learn(column, learnt / rows);
        }
        recording
    }

    fn learn(&mut self, column: usize, windows: usize) {
        let counted = |device: usize| -> Vec<FeatureSum> {
            (0..windows)
                .map(|at| self.count(device, column, at, None))
                .collect()
        };
        let windows: Vec<Vec<FeatureSum>> = (0..self.devices.len()).map(counted).collect();
        let mut normals: Vec<Option<Normal>> =
            windows.iter().map(|of| Normal::of_windows(of)).collect();
        learn_apart(&mut normals, &windows);
        for (device, normal) in self.normals.iter_mut().zip(normals) {
            device.push(normal);
        }
    }

    /// Whole windows that all devices have.
    fn windows(&self) -> usize {
        let rows = self.devices.iter().map(|of| of[0].len() / self.rows);
        rows.min().unwrap_or(0)
    }

    fn count(
        &self,
        device: usize,
        column: usize,
        window: usize,
        change: Option<Change>,
    ) -> FeatureSum {
        let mut fold = self.folds[column].clone();
        let deviation = self.features[column]
            .scale
            .map_or(1.0, |scale| scale.deviation);
        let from = window * self.rows;
        for row in from..from + self.rows {
            let x = self.devices[device][column][row];
            let x = change.map_or(Some(x), |change| change(row, x, deviation));
            fold.fold(x.map(|x| x as f32));
        }
        FeatureSum::of(fold.counts(), fold.bins())
    }

    /// What is found in the last windows before `until`, with this fault in one column of one device.
    fn place(
        &self,
        until: usize,
        rule: &PlaceRule,
        fault: Option<(usize, usize, Change)>,
    ) -> Vec<Finding> {
        let window = |device: usize, at: usize| {
            let change = |column: usize| {
                let own = fault.filter(|of| (of.0, of.1) == (device, column));
                own.map(|(_, _, change)| change)
            };
            let columns = 0..self.features.len();
            Counted {
                features: columns
                    .map(|of| self.count(device, of, at, change(of)))
                    .collect(),
                closed_windows: 1,
                span_ms: 60_000,
                calls: self.rows as u64,
                errors: 0,
                measured: 0,
                misses: 0,
                ended: UnixSeconds(60 * (at as u64 + 1)),
                clock: Clock::Trusted,
                usual: Vec::new(),
            }
        };
        let devices = self
            .normals
            .iter()
            .enumerate()
            .map(|(device, normal)| PanelDevice {
                device: DeviceId::parse(&format!("d{device}")).expect("invariant: a device's name"),
                labels: BTreeMap::new(),
                normal: normal.clone(),
                usual: Usual::default(),
                windows: (until - rule.windows..until)
                    .map(|at| Some(window(device, at)))
                    .collect(),
            });
        let panel = Panel {
            model: ModelId::parse("recorded").expect("invariant: a model's name"),
            bundle: Digest::of(b"recorded"),
            features: self.features.clone(),
            devices: devices.collect(),
            quality: Quality::Unknown,
            cohort_quality: BTreeMap::new(),
        };
        place(&panel, rule, UnixSeconds(60 * until as u64))
    }
}

/// How a column is counted: by the quantiles of these values, each once.
fn reference(values: &mut [f64]) -> (FeatureFold, RawScale) {
    values.sort_unstable_by(f64::total_cmp);
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let squares: f64 = values.iter().map(|x| (x - mean).powi(2)).sum();
    let deviation = (squares / n).sqrt();
    let quantile = |share: f64| values[((share * n) as usize).min(values.len() - 1)] as f32;
    let inner = (1..16).map(|at| quantile(f64::from(at) / 16.0));
    let mut edges = vec![quantile(0.0005)];
    edges.extend(inner);
    edges.push(quantile(0.9995));
    edges.dedup();
    let raw = RawScale { mean, deviation };
    let scale = Scale::new(edges, Transform::Identity, mean as f32, deviation as f32);
    (
        FeatureFold::new(scale.expect("invariant: they ascend")),
        raw,
    )
}

/// Columns of a file, by their place from the right: headers may have a name too few.
fn read(path: &Path, from_right: &[usize]) -> Option<Rows> {
    let text = std::fs::read_to_string(path).ok()?;
    let mut columns = vec![Vec::new(); from_right.len()];
    for line in text.lines().skip(1) {
        let fields: Vec<&str> = line.split(',').collect();
        for (column, from_right) in columns.iter_mut().zip(from_right) {
            let field = fields.get(fields.len().checked_sub(*from_right)?)?;
            column.push(field.parse().ok()?);
        }
    }
    Some(columns)
}
