//! What every device shows in its last windows, with p: by its own normal, and against its peers.
//!
//! A sign has to be there in all of the windows, so its p is the largest of theirs. Never says where
//! the cause is.

use muster_protocol::time::UnixSeconds;

use super::normal::from_others;
use super::panel::{Panel, PanelDevice};
use super::peers::apart;
use super::reading::{Mode, Reading, Sound, read, stands_far_out};
use super::rule::PlaceRule;
use crate::statistics::{Rate, multiplicity::benjamini_hochberg, tail};
use crate::watch::Counted;

/// The share of failed, or slow, requests that is usual at least.
const CALLS_SHARE_MIN: f64 = 0.005;

/// A device whose newest window ended more of its windows ago is not judged: its peers are elsewhere
/// by now.
const FRESH_WINDOWS: u64 = 3;
/// Tests of a feature: its mean, its spread, what it is apart from its peers, and whether the sensor is
/// broken.
const TESTS: f64 = 4.0;
/// What moves the peers by less than so many of their standard deviations hides no broken sensor: the
/// device's own normal tells.
const WEATHER_MIN: f64 = 1.0;
/// Peers that a device is compared with at most: every so many-th, so that a large fleet does not
/// take the square of its size.
const PEERS_MAX: usize = 255;

/// What a sign is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Item {
    /// A feature, by its place.
    Feature(usize),
    /// Failed requests.
    Errors,
    /// Slow requests.
    Slow,
}

/// What one device shows of one item.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Sign {
    /// Of what.
    pub(super) item: Item,
    /// p by its own normal, of all its tests of this item.
    pub(super) p: f64,
    /// The same of the newest window alone: what began within an older one shows there in full.
    pub(super) newest: f64,
    /// `p` after all tests of the device (Benjamini and Hochberg) and all devices
    /// (Bonferroni).
    pub(super) adjusted: f64,
    /// p against its peers; 1 where it does what they do, none without peers.
    pub(super) against_peers: Option<f64>,
    /// How the sensor is broken, if it is.
    pub(super) mode: Option<Mode>,
    /// The window that shows it least.
    pub(super) least: Shown,
}

/// What is told of a sign.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Shown {
    /// A feature, and standard errors of what moved, with its sign.
    Feature(Reading, f64),
    /// A share of requests, the usual one, and requests.
    Calls(f64, f64, u64),
}

/// Signs of all devices, in the order of the panel; none of a device that was not judged.
pub(super) type Signs = Vec<Option<Vec<Sign>>>;

/// Reads all windows and tests them.
pub(super) fn signs(panel: &Panel, rule: &PlaceRule, now: UnixSeconds) -> Signs {
    let mut read: Vec<Option<Vec<Vec<Option<Reading>>>>> = panel
        .devices
        .iter()
        .map(|device| readings(panel, device, rule, now))
        .collect();
    compare(panel, &mut read, rule);
    let judged = read.iter().flatten().count().max(1);
    let stride = panel.devices.len().div_ceil(PEERS_MAX).max(1);
    let each = panel.devices.iter().enumerate().map(|(at, device)| {
        let own = read[at].as_ref()?;
        let mut signs = of_calls(device, rule);
        for (feature, windows) in own.iter().enumerate() {
            let others = |window: usize, of: fn(&Reading) -> f64| -> Vec<f64> {
                let others = read.iter().enumerate().step_by(stride);
                let others = others.filter(|(other, _)| *other != at);
                let readings = others.filter_map(|(_, read)| read.as_ref()?[feature][window]);
                readings.map(|reading| of(&reading)).collect()
            };
            let df = |looks: u32| f64::from(looks.saturating_sub(1).max(1));
            let normal = device.normal[feature];
            let apart = normal.and_then(|normal| normal.apart);
            let judged = Judged {
                df: df(normal.map_or(1, |normal| normal.looks)),
                apart_df: df(apart.map_or(1, |apart| apart.windows)),
                level: rule.member_level,
            };
            signs.extend(of_feature(feature, windows, judged, others));
        }
        adjust(&mut signs, judged);
        Some(signs)
    });
    each.collect()
}

/// Readings of all devices, by feature and window.
type Read = [Option<Vec<Vec<Option<Reading>>>>];

/// Fills in how far each device is from its peers, and, in weather that moves them all, whether some
/// of its values stand far from where theirs are.
fn compare(panel: &Panel, read: &mut Read, rule: &PlaceRule) {
    for feature in 0..panel.features.len() {
        for window in 0..rule.windows.max(1) {
            let of = |of: fn(&Reading) -> f64| -> Vec<f64> {
                let each = read.iter().map(|read| {
                    let reading = read.as_ref().and_then(|all| all[feature][window]);
                    reading.map_or(f64::NAN, |reading| of(&reading))
                });
                each.collect()
            };
            let standings = of(|reading| reading.shift);
            let tails = [
                of(|reading| reading.tails[0]),
                of(|reading| reading.tails[1]),
            ];
            for (at, device) in panel.devices.iter().enumerate() {
                let normal = device.normal.get(feature).copied().flatten();
                let reading = read[at]
                    .as_mut()
                    .and_then(|all| all[feature][window].as_mut());
                let (Some(normal), Some(reading)) = (normal, reading) else {
                    continue;
                };
                if let Some(usual) = normal.apart {
                    let apart = from_others(&standings, at) - usual.mean;
                    reading.apart = apart / usual.deviation.max(f64::MIN_POSITIVE);
                }
                let counted = last(device, rule).and_then(|last| last.get(window).copied());
                let counts = counted.and_then(|counted| counted.features.get(feature));
                let normal = normal.at(counted.and_then(|counted| counted.usual_of(feature)));
                if let (None, Some(counts), Some(normal)) = (reading.mode, counts, normal)
                    && reading.n >= rule.samples_min
                    && let Some(sound) = sound(&standings, &tails, at)
                    && stands_far_out(counts, &normal, sound)
                {
                    reading.mode = Some(Mode::OutOfRange);
                }
            }
        }
    }
}

/// Where the values of the others are; none with too few of them, or where they usually are.
fn sound(standings: &[f64], tails: &[Vec<f64>; 2], at: usize) -> Option<Sound> {
    let of_others = |all: &[f64]| Some(all[at] - from_others(all, at)).filter(|of| of.is_finite());
    let shift = of_others(standings).filter(|shift| shift.abs() >= WEATHER_MIN)?;
    Some(Sound {
        shift,
        tails: [of_others(&tails[0])?, of_others(&tails[1])?],
    })
}

/// Readings by feature, then window; none of a device that lacks a window or does not fit.
fn readings(
    panel: &Panel,
    device: &PanelDevice,
    rule: &PlaceRule,
    now: UnixSeconds,
) -> Option<Vec<Vec<Option<Reading>>>> {
    let windows = last(device, rule)?;
    let newest = windows.last()?;
    let age_s = now.0.saturating_sub(newest.ended.0);
    if age_s > FRESH_WINDOWS.saturating_mul(u64::from(newest.window_s())) {
        return None;
    }
    let fits = |window: &&Counted| window.features.len() == panel.features.len();
    if !windows.iter().all(fits) || device.normal.len() != panel.features.len() {
        return None;
    }
    let of = |(at, feature): (usize, &super::PanelFeature)| {
        let each = windows.iter().map(|window| {
            let normal = device.normal[at]?.at(window.usual_of(at))?;
            let counts = &window.features[at];
            Some(read(counts, &normal, feature.scale, rule.samples_min))
        });
        each.collect()
    };
    Some(panel.features.iter().enumerate().map(of).collect())
}

fn last<'p>(device: &'p PanelDevice, rule: &PlaceRule) -> Option<Vec<&'p Counted>> {
    let from = device.windows.len().checked_sub(rule.windows.max(1))?;
    device.windows[from..].iter().map(Option::as_ref).collect()
}

/// The sign of a feature: the smallest p of its tests, times their number; none where nothing can
/// be said.
fn of_feature(
    feature: usize,
    windows: &[Option<Reading>],
    judged: Judged,
    others: impl Fn(usize, fn(&Reading) -> f64) -> Vec<f64>,
) -> Option<Sign> {
    let windows: Option<Vec<Reading>> = windows.iter().copied().collect();
    let windows = windows?;
    let mode = same_mode(&windows);
    let broken = windows.iter().map(|window| broken_p(window, window.mode));
    let broken_p = match mode {
        None => 1.0,
        Some(_) => broken.fold(0.0, f64::max),
    };
    let signals: [fn(&Reading) -> f64; 2] = [|r| r.location, |r| r.spread];
    let moved = signals.map(|of| {
        let df = (judged.df, judged.level);
        Moved::of(&windows, of, df, |window| others(window, of))
    });
    let apart = Moved::apart(&windows, judged.apart_df);
    let best = moved
        .into_iter()
        .fold(apart, |best, of| if of.p < best.p { of } else { best });
    let p = (TESTS * best.p.min(broken_p)).min(1.0);
    Some(Sign {
        item: Item::Feature(feature),
        p,
        newest: newest(&windows, judged),
        adjusted: p,
        against_peers: if broken_p < 1.0 && best.against_peers.is_some() {
            Some(0.0)
        } else {
            best.against_peers
        },
        mode,
        least: Shown::Feature(windows[best.least], best.errors),
    })
}

/// p of a broken sensor. Constant values, or values where none can be, are no matter of chance.
fn broken_p(window: &Reading, mode: Option<Mode>) -> f64 {
    match mode {
        Some(Mode::Stuck | Mode::OutOfRange) => 0.0,
        Some(Mode::Absent) => window.absent_p,
        None => 1.0,
    }
}

/// See [`Sign::newest`].
fn newest(windows: &[Reading], judged: Judged) -> f64 {
    let of = |window: &Reading| {
        let moved = [
            (window.location, judged.df),
            (window.spread, judged.df),
            (window.apart, judged.apart_df),
        ];
        let moved = moved.map(|(errors, df)| tail::student_two_sided(errors, df));
        let broken = broken_p(window, window.mode);
        moved.into_iter().fold(broken, f64::min)
    };
    (TESTS * windows.last().map_or(1.0, of)).min(1.0)
}

/// How the sensor is broken in all windows. A fault that begins in a window may look like another
/// one there, so the last decides.
fn same_mode(windows: &[Reading]) -> Option<Mode> {
    let broken = windows.iter().all(|window| window.mode.is_some());
    broken.then(|| windows.last()?.mode).flatten()
}

/// Degrees of freedom of a feature's normal, and of what it is apart from its peers; and the level at
/// which peers are asked.
#[derive(Clone, Copy)]
struct Judged {
    df: f64,
    apart_df: f64,
    level: f64,
}

/// One signal over the windows.
struct Moved {
    p: f64,
    errors: f64,
    least: usize,
    against_peers: Option<f64>,
}

impl Moved {
    /// How far it is from its peers, against how far it usually is: 1 where that is not known.
    fn apart(windows: &[Reading], df: f64) -> Self {
        let values: Vec<f64> = windows.iter().map(|reading| reading.apart).collect();
        let (least, errors) = least(&values);
        let p = tail::student_two_sided(errors, df);
        Self {
            p,
            errors,
            least,
            against_peers: Some(p),
        }
    }

    fn of(
        windows: &[Reading],
        of: fn(&Reading) -> f64,
        (df, level): (f64, f64),
        others: impl Fn(usize) -> Vec<f64>,
    ) -> Self {
        let values: Vec<f64> = windows.iter().map(of).collect();
        let (least, errors) = least(&values);
        let p = tail::student_two_sided(errors, df);
        let against_peers = if p <= level {
            against(&values, errors, others)
        } else {
            Some(1.0)
        };
        Self {
            p,
            errors,
            least,
            against_peers,
        }
    }
}

/// p of what a device is apart from its peers in the same direction; none without peers.
fn against(values: &[f64], errors: f64, others: impl Fn(usize) -> Vec<f64>) -> Option<f64> {
    let apart = (0..values.len()).map(|at| apart(values[at], &others(at)));
    let apart: Option<Vec<f64>> = apart.collect();
    let (_, apart) = least(&apart?);
    if apart * errors > 0.0 {
        Some(tail::student_two_sided(apart, f64::INFINITY))
    } else {
        Some(1.0)
    }
}

/// The value nearest to zero and its place; zero where values lie on both sides, or are none.
fn least(values: &[f64]) -> (usize, f64) {
    let nearest = values
        .iter()
        .enumerate()
        .min_by(|a, b| a.1.abs().total_cmp(&b.1.abs()));
    let Some((at, value)) = nearest else {
        return (0, 0.0);
    };
    let one_side = values.iter().all(|x| x.is_finite() && x * value > 0.0);
    (at, if one_side { *value } else { 0.0 })
}

/// What went wrong of how many in a window.
type Hits = fn(&Counted) -> (u64, u64);

fn of_calls(device: &PanelDevice, rule: &PlaceRule) -> Vec<Sign> {
    let Some(windows) = last(device, rule) else {
        return Vec::new();
    };
    // Rows, not requests, are what windows count of the good ones: a batch that fails is one.
    let errors = |of: &Counted| (of.errors, of.calls.saturating_add(of.errors));
    let slow = |of: &Counted| (of.misses, of.measured);
    let kinds: [(Item, f64, Hits); 2] = [
        (Item::Errors, device.usual.errors, errors),
        (Item::Slow, device.usual.misses, slow),
    ];
    let each = kinds.into_iter().map(|(item, usual, of)| {
        let usual = usual.max(CALLS_SHARE_MIN);
        let shown = windows.iter().map(|window| {
            let (hits, trials) = of(window);
            let rate = Rate::new(hits, trials);
            let share = rate.and_then(Rate::share).unwrap_or(0.0);
            // As for absent values: twice as often, and by a point more.
            let more = share > 2.0 * usual && share > usual + 0.01;
            let p = rate.map_or(1.0, |rate| rate.upper_tail(usual));
            (if more { p } else { 1.0 }, share, trials)
        });
        let shown: Vec<(f64, f64, u64)> = shown.collect();
        let worst = shown.iter().copied().max_by(|a, b| a.0.total_cmp(&b.0));
        let (p, share, trials) = worst.unwrap_or((1.0, 0.0, 0));
        Sign {
            item,
            p,
            newest: shown.last().map_or(1.0, |newest| newest.0),
            adjusted: p,
            against_peers: None,
            mode: None,
            least: Shown::Calls(share, usual, trials),
        }
    });
    each.collect()
}

fn adjust(signs: &mut [Sign], devices: usize) {
    let p: Vec<f64> = signs.iter().map(|sign| sign.p).collect();
    for (sign, adjusted) in signs.iter_mut().zip(benjamini_hochberg(&p)) {
        sign.adjusted = (adjusted * devices as f64).min(1.0);
    }
}
