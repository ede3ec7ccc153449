//! What the page says, as its template takes it: every text bounded, every number written out.
//!
//! Reads a look and decides nothing. Two looks that are the same give the same view.

use askama::Template;
use muster_protocol::time::UnixSeconds;

use super::drawing;
use super::drift::{self, DriftTable, Numbers};
use super::lookout::{DRIFT_DEVICES_MAX, Look};
use super::mark::{self, Mark};
use super::text::{Moment, Shown, count, counted, latency, query_part, typed};
use crate::controller::{DeviceLook, DevicesLook, FleetLook, ModelLook, Spread, WhichDevices};
use crate::drift::DriftRow;
use crate::standing::{Group, Standing};
use crate::store::{Incident, ModelSummary};

/// Lines of versions that are in sight for each model.
const SPREAD_MAX: usize = 6;
/// Labels that are in sight for each device.
const LABELS_MAX: usize = 8;

/// The page.
#[derive(Template)]
#[template(path = "overview.html", blocks = ["live"])]
pub(super) struct OverviewPage {
    pub(super) address: String,
    pub(super) now: UnixSeconds,
    pub(super) fleet: Fleet,
    pub(super) devices: Devices,
}

impl OverviewPage {
    /// Of a look.
    pub(super) fn new(look: &Look, now: UnixSeconds, address: String) -> Self {
        Self {
            address,
            now,
            fleet: Fleet::new(&look.fleet, &look.drift),
            devices: Devices::new(&look.devices, &look.which, &look.device_drift),
        }
    }

    fn rendered_at(&self) -> Moment {
        Moment(self.now.0)
    }
}

/// What does not depend on the page of devices.
pub(super) struct Fleet {
    /// Of devices, of models on them, of incidents.
    pub(super) figures: [Vec<Figure>; 3],
    pub(super) models: Vec<Model>,
    pub(super) models_showing: String,
    pub(super) drift: Vec<DriftTable>,
    pub(super) incidents: Vec<IncidentLine>,
    pub(super) incidents_showing: String,
}

/// A number of the whole fleet.
pub(super) struct Figure {
    pub(super) mark: Mark,
    pub(super) value: String,
    pub(super) is_zero: bool,
}

/// A model over the whole fleet.
pub(super) struct Model {
    pub(super) name: Shown,
    pub(super) parts: Vec<Part>,
    pub(super) spread: Vec<SpreadLine>,
    pub(super) spread_more: Option<String>,
    pub(super) predictions: String,
    pub(super) errors: String,
    pub(super) p50: String,
    pub(super) p95: String,
    pub(super) p99: String,
}

/// Devices of one group, as part of the bar.
pub(super) struct Part {
    pub(super) mark: Mark,
    pub(super) count: String,
    pub(super) is_zero: bool,
    pub(super) x: u64,
    pub(super) width: u64,
}

/// Devices that stand the same.
pub(super) struct SpreadLine {
    pub(super) versions: Versions,
    pub(super) mark: Mark,
    pub(super) devices: String,
}

/// What is wanted and what serves.
pub(super) struct Versions {
    pub(super) desired: Shown,
    pub(super) active: Shown,
}

/// A page of devices.
pub(super) struct Devices {
    /// As it was typed: it goes back into the field.
    pub(super) query: String,
    pub(super) is_filtered: bool,
    pub(super) showing: String,
    pub(super) problem: Option<Shown>,
    pub(super) rows: Vec<Device>,
    pub(super) previous: Option<String>,
    pub(super) next: Option<String>,
}

/// A device.
pub(super) struct Device {
    pub(super) id: Shown,
    pub(super) labels: Vec<String>,
    pub(super) connection: Mark,
    pub(super) heard: Option<Moment>,
    pub(super) agent: Option<Shown>,
    /// How it is held, when it is.
    pub(super) held: Option<(Mark, &'static str)>,
    /// One line for each model; one that is none for a device without models.
    pub(super) lines: Vec<Option<Line>>,
    pub(super) drift: Vec<DriftTable>,
}

/// A model on a device.
pub(super) struct Line {
    pub(super) model: Shown,
    pub(super) versions: Versions,
    pub(super) mark: Mark,
    pub(super) sentence: Option<Shown>,
    /// What the device says of it.
    pub(super) said: Option<Shown>,
    pub(super) predictions: String,
    pub(super) errors: Option<String>,
    pub(super) recent: Option<Recent>,
    pub(super) p50: String,
    pub(super) p99: String,
}

/// Predictions of the newest windows.
pub(super) struct Recent {
    pub(super) path: String,
    pub(super) words: String,
}

/// An incident.
pub(super) struct IncidentLine {
    pub(super) raised: Moment,
    pub(super) device: Shown,
    pub(super) mark: Mark,
    pub(super) detail: Shown,
}

impl Fleet {
    fn new(look: &FleetLook, drift: &[DriftRow]) -> Self {
        let (shown, total) = (look.incidents.len() as u64, look.incidents_total);
        Self {
            figures: figures(look),
            models: look.models.iter().map(Model::new).collect(),
            models_showing: match (look.models.len(), look.models_total) {
                (shown, total) if shown < total => format!("showing {shown} of {total}"),
                _ => "desired against active version, over all devices".to_owned(),
            },
            drift: drift_tables(look, drift),
            incidents: look.incidents.iter().map(IncidentLine::new).collect(),
            incidents_showing: match shown < total {
                true => format!("showing the newest {shown} of {}", count(total)),
                false => format!("{} since the beginning", count(total)),
            },
        }
    }
}

fn figures(look: &FleetLook) -> [Vec<Figure>; 3] {
    let figure = |mark, number: u64| Figure {
        mark,
        value: count(number),
        is_zero: number == 0,
    };
    let presences = look.presences;
    let of_group = |group| look.groups.get(&group).copied().unwrap_or_default();
    let devices = vec![
        figure(Mark::DEVICES, presences.total()),
        figure(Mark::CONNECTED, presences.connected),
        figure(Mark::OFFLINE, presences.offline),
        figure(Mark::STALE, presences.stale),
        figure(Mark::NEVER_SEEN, presences.never_seen),
    ];
    let models = Group::ALL.map(|group| figure(Mark::group(group), of_group(group)));
    let incidents = figure(Mark::INCIDENTS, look.incidents_total);
    [devices, models.into(), vec![incidents]]
}

/// What serves comes first, and of one model the newest version.
fn drift_tables(look: &FleetLook, rows: &[DriftRow]) -> Vec<DriftTable> {
    let is_serving = |row: &DriftRow| {
        let mut models = look.models.iter();
        let own = models.find(|model| model.model == row.model);
        let mut spread = own.into_iter().flat_map(|model| &model.spread);
        spread.any(|spread| row.version.is_some() && spread.active == row.version)
    };
    let mut rows: Vec<_> = rows.iter().map(|row| (!is_serving(row), row)).collect();
    rows.sort_by(|(one_old, one), (other_old, other)| {
        let versions = other.version.cmp(&one.version);
        (one_old, &one.model)
            .cmp(&(other_old, &other.model))
            .then(versions)
    });
    let table = |(is_old, row): (bool, &DriftRow)| drift::table(row, !is_old);
    rows.into_iter().map(table).collect()
}

impl Model {
    fn new(look: &ModelLook) -> Self {
        let counts = Group::ALL.map(|group| look.groups.get(&group).copied().unwrap_or_default());
        let drawn = drawing::parts(&counts);
        let parts = Group::ALL.into_iter().zip(counts).zip(drawn);
        let rest = look.spread.get(SPREAD_MAX..).unwrap_or_default();
        let rest_devices = rest.iter().map(|spread| spread.devices).sum();
        let latency_of = |per_mille| latency(look.sums.latency.quantile_us(per_mille));
        Self {
            name: Shown::new(&look.model),
            parts: parts
                .map(|((group, number), (x, width))| Part {
                    mark: Mark::group(group),
                    count: count(number),
                    is_zero: number == 0,
                    x,
                    width,
                })
                .collect(),
            spread: look
                .spread
                .iter()
                .take(SPREAD_MAX)
                .map(SpreadLine::new)
                .collect(),
            spread_more: (!rest.is_empty()).then(|| {
                let lines = rest.len();
                format!(
                    "and {} in {lines} more combinations",
                    counted(rest_devices, "device")
                )
            }),
            predictions: count(look.sums.predictions),
            errors: count(look.sums.errors),
            p50: latency_of(500),
            p95: latency_of(950),
            p99: latency_of(990),
        }
    }
}

impl SpreadLine {
    fn new(spread: &Spread) -> Self {
        Self {
            versions: Versions::new(spread.desired.as_deref(), spread.active.as_deref()),
            mark: Mark::standing(spread.standing),
            devices: counted(spread.devices, "device"),
        }
    }
}

impl Versions {
    fn new(desired: Option<&str>, active: Option<&str>) -> Self {
        let shown = |version: Option<&str>| Shown::new(version.unwrap_or("none"));
        Self {
            desired: shown(desired),
            active: shown(active),
        }
    }

    fn are_same(&self) -> bool {
        self.desired == self.active
    }
}

impl IncidentLine {
    fn new(incident: &Incident) -> Self {
        Self {
            raised: Moment(incident.raised_at),
            device: Shown::new(incident.place()),
            mark: Mark::incident(&incident.kind),
            detail: Shown::new(&incident.detail),
        }
    }
}

impl Devices {
    fn new(look: &DevicesLook, which: &WhichDevices, drift: &[DriftRow]) -> Self {
        let (first, last) = (look.skipped + 1, look.skipped + look.items.len());
        let with_drift = |one: &DeviceLook| {
            let own = drift
                .iter()
                .filter(|row| row.device.as_deref() == Some(one.device.device.as_str()));
            Device::new(one, own.map(|row| drift::table(row, true)).collect())
        };
        let link = |name: &str, id: &str| {
            let query = query_part(&which.query);
            format!("/?q={query}&{name}={}#devices", query_part(id))
        };
        let id_of = |one: &DeviceLook| one.device.device.clone();
        let (head, tail) = (look.items.first().map(id_of), look.items.last().map(id_of));
        Self {
            query: typed(&which.query),
            is_filtered: !which.query.trim().is_empty(),
            showing: showing(look, first, last),
            problem: look.bad_query.as_deref().map(Shown::new),
            rows: look.items.iter().map(with_drift).collect(),
            previous: head
                .filter(|_| look.skipped > 0)
                .map(|id| link("before", &id)),
            next: tail
                .filter(|_| last < look.matching)
                .map(|id| link("after", &id)),
        }
    }

    /// Drift device by device is shown for few.
    fn are_few(&self) -> bool {
        (1..=DRIFT_DEVICES_MAX).contains(&self.rows.len())
    }

    fn few_max(&self) -> usize {
        DRIFT_DEVICES_MAX
    }
}

fn showing(look: &DevicesLook, first: usize, last: usize) -> String {
    let all = count(look.matching as u64);
    match (look.items.len(), look.matching) {
        (shown, matching) if shown == matching => counted(matching as u64, "device"),
        (0, _) => format!("none of {all} from here on"),
        _ => format!(
            "showing {}–{} of {all}",
            count(first as u64),
            count(last as u64)
        ),
    }
}

impl Device {
    fn new(look: &DeviceLook, drift: Vec<DriftTable>) -> Self {
        let device = &look.device;
        let connection = Mark::connection(look);
        let mut labels: Vec<_> = device
            .labels
            .iter()
            .take(LABELS_MAX)
            .map(|(key, value)| format!("{}={}", Shown::new(key), Shown::new(value)))
            .collect();
        if device.labels.len() > LABELS_MAX {
            labels.push(format!("and {} more", device.labels.len() - LABELS_MAX));
        }
        let mut lines: Vec<_> = look
            .models
            .iter()
            .map(|(model, recent)| Some(Line::new(model, recent, connection)))
            .collect();
        if lines.is_empty() {
            lines.push(None);
        }
        Self {
            id: Shown::new(&device.device),
            labels,
            connection,
            heard: look.heard_at.map(Moment),
            agent: device.agent.as_deref().map(Shown::new),
            held: device
                .held
                .as_ref()
                .map(|held| (Mark::HELD, mark::held_because(held))),
            lines,
            drift,
        }
    }
}

impl Line {
    fn new(model: &ModelSummary, recent: &[u64], connection: Mark) -> Self {
        let (desired, active) = (
            model.desired_version.as_deref(),
            model.active_version.as_deref(),
        );
        let said = model.step_version.as_deref().zip(model.step.as_deref());
        let standing = Standing::of(desired, active, said);
        let sentence = mark::sentence(standing, desired, active, connection);
        Self {
            model: Shown::new(&model.model),
            versions: Versions::new(desired, active),
            mark: Mark::standing(standing),
            sentence: sentence.map(|sentence| Shown::new(&sentence)),
            said: said_of(model, standing),
            predictions: count(model.predictions),
            errors: (model.errors > 0).then(|| counted(model.errors, "error")),
            recent: (recent.len() > 1).then(|| Recent::new(recent)),
            p50: latency(model.latency_p50_us),
            p99: latency(model.latency_p99_us),
        }
    }
}

/// The reason of a step that is not the way forward, in the words of the device.
fn said_of(model: &ModelSummary, standing: Standing) -> Option<Shown> {
    if standing.group() != Some(Group::Failed) {
        return None;
    }
    let reason = model
        .reason
        .as_deref()
        .map(|reason| reason.replace('_', " "));
    let said: Vec<_> = reason
        .as_deref()
        .into_iter()
        .chain(model.detail.as_deref())
        .collect();
    (!said.is_empty()).then(|| Shown::new(&said.join(": ")))
}

impl Recent {
    fn new(calls: &[u64]) -> Self {
        let newest = calls.last().copied().unwrap_or_default();
        let most = calls.iter().copied().max().unwrap_or_default();
        Self {
            path: drawing::sparkline(calls),
            words: format!(
                "Predictions in the newest windows: {} in the last, {} at most",
                count(newest),
                count(most)
            ),
        }
    }
}

/// The form to sign in.
#[derive(Template)]
#[template(path = "login.html")]
pub(super) struct LoginPage {
    pub(super) why: Option<&'static str>,
}

/// A page that there is not, or that failed.
#[derive(Template)]
#[template(path = "problem.html")]
pub(super) struct ProblemPage {
    pub(super) detail: String,
}
