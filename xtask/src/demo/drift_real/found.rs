//! What the controller found, in rows of the recording: an incident is where the windows end that
//! completed it. Judges whether that was expected; never asks anything itself.

use std::collections::BTreeMap;

use super::super::controller::{Alarm, Incident, StoredWindow};
use super::case::{Answer, BROKEN, Case, Expected, What};

/// An incident, and the last row of the recording that was in its windows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) row: usize,
    pub(super) place: String,
    pub(super) feature: String,
    pub(super) cause: String,
}

/// What the controller has said of a scene, all in the order in which it happened.
pub(super) struct Said {
    pub(super) incidents: Vec<Incident>,
    pub(super) alarms: Vec<Alarm>,
    pub(super) windows: Vec<StoredWindow>,
}

/// Incidents of a case, the first found first.
pub(super) fn found(case: &Case, devices: &[String], said: &Said) -> Vec<Found> {
    let ours = said.incidents.iter();
    let ours = ours.filter(|incident| incident.model.as_deref() == Some(case.id.as_str()));
    let mut found: Vec<Found> = ours
        .map(|incident| Found {
            row: row(case, devices, incident, said),
            place: incident.place.clone().unwrap_or_default(),
            feature: incident.feature.clone().unwrap_or_else(|| "–".to_owned()),
            cause: incident.kind.clone(),
        })
        .collect();
    found.sort_by_key(|found| (found.row, found.feature.clone(), found.cause.clone()));
    found
}

/// The last row that its device had counted when the incident was first found.
fn row(case: &Case, devices: &[String], incident: &Incident, said: &Said) -> usize {
    let until = found_at(case, incident, said).unwrap_or(i64::MAX);
    let mut calls: BTreeMap<&str, u64> = BTreeMap::new();
    for window in &said.windows {
        let is_in = window.model == case.id && window.window <= until;
        let device = incident.device();
        if is_in && device.is_none_or(|device| device == window.device) {
            *calls.entry(&window.device).or_default() += window.calls;
        }
    }
    let last = calls.iter().filter_map(|(device, calls)| {
        let rows = case.rows.get(devices.iter().position(|of| of == device)?)?;
        let counted = usize::try_from(*calls).ok()?.min(rows.len());
        // A row that is replayed again is where it was first.
        rows[..counted].iter().copied().max()
    });
    last.max().unwrap_or(0)
}

/// The number of the window whose alarm it was: at that time the newest of all windows ended when the
/// incident says.
fn found_at(case: &Case, incident: &Incident, said: &Said) -> Option<i64> {
    let ours = |model: &str, device: Option<&str>| {
        let of = incident.device();
        model == case.id && (of.is_none() || device == of)
    };
    let newest = |alarm: &&Alarm| {
        let windows = said.windows.iter();
        let before = windows.filter(|of| of.model == case.id && of.window <= alarm.window);
        before.map(StoredWindow::ended).max() == incident.first_at
    };
    let mut alarms = said.alarms.iter();
    let first = alarms.find(|of| ours(&of.model, of.device.as_deref()) && newest(of));
    first.map(|alarm| alarm.window)
}

impl Found {
    /// In few words.
    pub(super) fn words(&self) -> String {
        format!("{} {} at {}", self.feature, self.cause, self.place)
    }

    fn is_of(&self, device: &str) -> bool {
        self.place == format!("device:{device}")
    }
}

impl Expected {
    /// Whether what was found is as it is written here: found, or not yet.
    pub(super) fn is_as_written(&self, found: &[Found], devices: &[String]) -> bool {
        self.what.holds(found, devices) == matches!(self.answer, Answer::Found)
    }
}

impl What {
    /// Whether it holds of these incidents, the first found first.
    pub(super) fn holds(&self, found: &[Found], devices: &[String]) -> bool {
        match self {
            Self::Nothing => found.is_empty(),
            Self::NothingBefore(row) => found.iter().all(|of| of.row > *row),
            Self::First(feature, rows) => found
                .first()
                .is_some_and(|of| of.feature == *feature && rows.contains(&of.row)),
            Self::Each(features, rows) => features.iter().all(|feature| {
                let mut each = found.iter();
                each.any(|of| of.feature == *feature && rows.contains(&of.row))
            }),
            Self::Cause(cause, features, from) => found.iter().any(|of| {
                of.cause == *cause && features.contains(&of.feature.as_str()) && of.row >= *from
            }),
            Self::OfBroken(cause, feature) => {
                let broken = devices.get(BROKEN).map_or("", String::as_str);
                let named = |of: &Found| of.cause == *cause && of.feature == *feature;
                found.iter().all(|of| of.is_of(broken) && named(of)) && !found.is_empty()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(row: usize, device: &str, feature: &str, cause: &str) -> Found {
        Found {
            row,
            place: format!("device:{device}"),
            feature: feature.to_owned(),
            cause: cause.to_owned(),
        }
    }

    #[test]
    fn what_is_asked_holds_or_not() {
        let devices = ["d0", "d1", "d2"].map(str::to_owned);
        let check = |what: What, found: &[Found], expect: bool| {
            assert_eq!(what.holds(found, &devices), expect, "{found:?}");
        };
        let moved = [of(580, "d2", "a", "stuck"), of(700, "d2", "b", "unplaced")];
        check(What::Nothing, &[], true);
        check(What::Nothing, &moved, false);
        check(What::NothingBefore(579), &moved, true);
        check(What::NothingBefore(580), &moved, false);
        check(What::First("a", 500..=600), &moved, true);
        check(What::First("b", 500..=800), &moved, false);
        check(What::First("a", 500..=579), &moved, false);
        check(What::First("a", 500..=600), &[], false);
        check(What::Each(&["a", "b"], 500..=700), &moved, true);
        check(What::Each(&["a", "b"], 500..=699), &moved, false);
        check(What::Cause("unplaced", &["a", "b"], 700), &moved, true);
        check(What::Cause("unplaced", &["a"], 700), &moved, false);
        check(What::Cause("unplaced", &["b"], 701), &moved, false);
        check(What::OfBroken("stuck", "a"), &moved[..1], true);
        check(What::OfBroken("stuck", "a"), &moved, false);
        check(What::OfBroken("stuck", "a"), &[], false);
        check(
            What::OfBroken("stuck", "a"),
            &[of(1, "d1", "a", "stuck")],
            false,
        );
    }
}
