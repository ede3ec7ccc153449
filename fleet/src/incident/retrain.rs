//! When a retrain is asked for, and what the request says.
//!
//! A request is a record for a pipeline to pick up. It deploys nothing and trains nothing: counts
//! of days come in, a verdict with its reasons goes out.

mod quality;

use muster_protocol::time::UnixSeconds;
use serde::{Deserialize, Serialize};

use super::kind::Kind;
use super::rules::RulesName;
pub use quality::{QualityDay, QualitySpan};

const DAY_S: u64 = 86_400;
/// Stretches of time before an incident from which it is learnt how much counts differ anyway.
const STRETCHES_MIN: usize = 50;

/// The rule; `docs/retraining.md` says it in words.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetrainRule {
    /// Only under an incident of one of these.
    pub causes: Vec<Kind>,
    /// Least PSI, less its bias.
    pub psi_min: f64,
    /// Least samples of a day.
    pub samples_min: u64,
    /// Least share of devices whose own PSI is that large, each counting as one.
    pub device_share_min: f64,
    /// Largest probability by chance.
    pub p_max: f64,
    /// Whole days in a row.
    pub days: u32,
    /// Days until the next request for the same model.
    pub cooldown_days: u32,
    /// Least fall of the estimated AUC below that of the reference which asks for one without any
    /// feature; none where it never does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub estimated_auc_drop: Option<f64>,
    /// The same of the estimated accuracy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub estimated_accuracy_drop: Option<f64>,
    /// The same of the measured AUC, over all days together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measured_auc_drop: Option<f64>,
    /// The same of the measured accuracy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measured_accuracy_drop: Option<f64>,
}

/// One whole day (UTC) of a cohort.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Day {
    /// Days since 1970.
    pub day: u64,
    /// Its features, in the order of the reference.
    pub features: Vec<FeatureDay>,
    /// How well a classifier did; none of other models, and where no score or label came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quality: Option<QualityDay>,
}

/// One feature on one day, of all devices of a cohort together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FeatureDay {
    /// Its name.
    pub feature: String,
    /// Samples.
    pub n: u64,
    /// PSI less its bias.
    pub psi: f64,
    /// How often X², divided by how much counts differ anyway, is that large by chance; none where
    /// that is not known.
    pub p: Option<f64>,
    /// Devices that counted enough to be looked at one by one.
    pub devices: u64,
    /// Of those, devices whose own PSI is large.
    pub devices_moved: u64,
    /// What was counted, bin by bin.
    pub observed: Vec<u64>,
}

/// Whether a retrain is asked for.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// It is.
    Request {
        /// The features that moved on every day; none where quality alone asks.
        features: Vec<String>,
        /// A sentence.
        because: String,
    },
    /// Not now.
    Wait {
        /// A sentence.
        because: String,
    },
}

/// How a request stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RetrainState {
    /// Nobody has taken it.
    Requested,
    /// A pipeline works on it.
    PickedUp,
    /// It came to an end.
    Done,
    /// Nothing is trained for it.
    Declined,
}

/// What a pipeline or a person tells a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RetrainCommand {
    /// I work on it.
    PickUp,
    /// It is done.
    Done,
    /// It is not done.
    Decline,
}

/// Whose counts a request rests on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cohort {
    /// Where, as incidents name it.
    pub place: String,
    /// How many devices were counted.
    pub devices: u64,
    /// Devices of the cohort that were left out, since an incident holds them for faulty.
    pub excluded: Vec<String>,
}

/// What is signed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetrainRecord {
    /// `dev.muster.retrain/v1`.
    pub format: String,
    /// The model.
    pub model: String,
    /// The version that served; none for a bundle that was not released here.
    pub version: Option<String>,
    /// Its bundle.
    pub bundle: String,
    /// The digest of the reference that was counted against.
    pub reference: String,
    /// Unix seconds.
    pub requested_at: u64,
    /// Windows from here, unix seconds.
    pub windows_from: u64,
    /// Windows up to here.
    pub windows_until: u64,
    /// Whose.
    pub cohort: Cohort,
    /// Incidents that it rests on.
    pub incidents: Vec<i64>,
    /// The features that moved on every day.
    pub features: Vec<String>,
    /// The counts of each day.
    pub days: Vec<Day>,
    /// How well a classifier did on all of these days together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quality: Option<QualitySpan>,
    /// The version of the rules.
    pub rules: RulesName,
    /// What of them was judged by.
    pub rule: RetrainRule,
    /// A sentence.
    pub because: String,
}

impl RetrainRecord {
    /// What `format` says.
    pub const FORMAT: &'static str = "dev.muster.retrain/v1";
}

impl RetrainState {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Requested, Self::PickedUp, Self::Done, Self::Declined];

    /// As stores and lists have it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::PickedUp => "picked_up",
            Self::Done => "done",
            Self::Declined => "declined",
        }
    }

    /// Reads what [`RetrainState::as_str`] wrote.
    #[must_use]
    pub fn of(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }

    /// What follows from a command; none where it makes no sense.
    #[must_use]
    pub const fn after(self, command: RetrainCommand) -> Option<Self> {
        match (self, command) {
            (Self::Requested, RetrainCommand::PickUp) => Some(Self::PickedUp),
            (Self::PickedUp, RetrainCommand::Done) => Some(Self::Done),
            (Self::Requested | Self::PickedUp, RetrainCommand::Decline) => Some(Self::Declined),
            (
                Self::Requested | Self::PickedUp | Self::Done | Self::Declined,
                RetrainCommand::PickUp | RetrainCommand::Done | RetrainCommand::Decline,
            ) => None,
        }
    }
}

impl RetrainCommand {
    /// As orders are kept.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PickUp => "pick_up",
            Self::Done => "done",
            Self::Decline => "decline",
        }
    }
}

/// How much more X² of a stretch of time is than independent samples would make it: its median, by
/// that of χ²; at least 1. X² is then divided by it (quasi-likelihood; McCullagh and Nelder 1989,
/// section 4.5). Of each stretch `(x2, df)`; none from fewer than 50.
#[must_use]
pub fn dispersion(stretches: &[(f64, u32)]) -> Option<f64> {
    let mut ratios: Vec<f64> = stretches
        .iter()
        .filter(|(x2, df)| *df > 0 && x2.is_finite())
        .map(|(x2, df)| x2 / median_chi_squared(f64::from(*df)))
        .collect();
    if ratios.len() < STRETCHES_MIN {
        return None;
    }
    ratios.sort_by(f64::total_cmp);
    Some(ratios[ratios.len() / 2].max(1.0))
}

/// Wilson and Hilferty (1931).
fn median_chi_squared(df: f64) -> f64 {
    df * (1.0 - 2.0 / (9.0 * df)).powi(3)
}

/// Whether what was counted asks for a retrain at `now`. `days` are those that have ended, the newest
/// last; `span` is how well a classifier did on those that the rule looks at.
#[must_use]
pub fn judge(
    rule: &RetrainRule,
    days: &[Day],
    span: Option<&QualitySpan>,
    now: UnixSeconds,
) -> Verdict {
    let wait = |because: String| Verdict::Wait { because };
    let Some(days) = last_in_a_row(rule.days, days, now) else {
        let wanted = rule.days;
        return wait(format!(
            "there are no counts of the last {wanted} whole days"
        ));
    };
    let moved = |day: &Day| -> Vec<String> {
        let features = day.features.iter().filter(|feature| rule.holds(feature));
        features.map(|feature| feature.feature.clone()).collect()
    };
    let mut always = days.first().map(moved).unwrap_or_default();
    for day in &days[1..] {
        let today = moved(day);
        always.retain(|feature| today.contains(feature));
    }
    let fell = rule.fell(days, span);
    if always.is_empty() && fell.is_empty() {
        return wait(format!(
            "neither a feature nor quality fulfils the rule on each of {} days: {}{}",
            rule.days,
            days.last().map(|day| rule.nearest(day)).unwrap_or_default(),
            days.last().map(Day::nearest_quality).unwrap_or_default()
        ));
    }
    let moved = (!always.is_empty()).then(|| rule.because(&always, days));
    let because: Vec<String> = moved.into_iter().chain(fell).collect();
    Verdict::Request {
        features: always,
        because: because.join("; "),
    }
}

/// The last `count` days before today, when all of them are there.
fn last_in_a_row(count: u32, days: &[Day], now: UnixSeconds) -> Option<&[Day]> {
    let today = now.0 / DAY_S;
    let ended = days.partition_point(|day| day.day < today);
    let from = ended.checked_sub(usize::try_from(count).ok()?)?;
    let last = days[..ended].get(from..).filter(|last| !last.is_empty())?;
    let mut expected = today.checked_sub(u64::from(count))?..today;
    last.iter()
        .all(|day| expected.next() == Some(day.day))
        .then_some(last)
}

impl RetrainRule {
    /// Whether one was asked for so lately that nothing need be counted; `newest` is when that was,
    /// for the same model.
    #[must_use]
    pub fn rests(&self, newest: UnixSeconds, now: UnixSeconds) -> bool {
        let cooldown_s = u64::from(self.cooldown_days).saturating_mul(DAY_S);
        now.0.saturating_sub(newest.0) < cooldown_s
    }

    fn holds(&self, day: &FeatureDay) -> bool {
        let share = day.devices_moved as f64 / day.devices.max(1) as f64;
        day.n >= self.samples_min
            && day.psi > self.psi_min
            && day.devices > 0
            && share >= self.device_share_min
            && day.p.is_some_and(|p| p < self.p_max)
    }

    fn because(&self, features: &[String], days: &[Day]) -> String {
        let of = |feature: &String| {
            let all = days.iter().flat_map(|day| &day.features);
            let own: Vec<_> = all.filter(|day| day.feature == *feature).collect();
            let least = own.iter().map(|day| day.psi).fold(f64::INFINITY, f64::min);
            let n: u64 = own.iter().fold(0, |n, day| n.saturating_add(day.n));
            format!("{feature} (PSI {least:.3} or more, n = {n})")
        };
        let names: Vec<_> = features.iter().map(of).collect();
        format!(
            "on each of {} days, PSI above {} on {} % of the devices or more, p below {:e}: {}",
            days.len(),
            self.psi_min,
            (self.device_share_min * 100.0).round(),
            self.p_max,
            names.join(", ")
        )
    }

    /// The feature that moved most on a day, with its numbers.
    fn nearest(&self, day: &Day) -> String {
        let most = day.features.iter().max_by(|a, b| a.psi.total_cmp(&b.psi));
        most.map_or("no feature was counted".to_owned(), |day| {
            let p = day.p.map_or("not known".to_owned(), |p| format!("{p:.1e}"));
            format!(
                "the last day {} has PSI {:.3} above {}, n {} from {}, {} of {} devices, p {p}",
                day.feature,
                day.psi,
                self.psi_min,
                day.n,
                self.samples_min,
                day.devices_moved,
                day.devices
            )
        })
    }
}

#[cfg(test)]
mod tests;
