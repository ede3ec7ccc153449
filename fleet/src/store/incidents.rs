//! Incidents: what a person must look at, as it is kept, listed and judged.
//!
//! Never decides who is told, nor when one closes: [`super::telling`] and [`super::closing`] do.

use muster_fleet::incident::{Command, DeviceKind, Kind, Person, State};
use muster_protocol::digest::Digest;
use muster_protocol::id::DeviceId;
use muster_protocol::time::UnixSeconds;
use rusqlite::{OptionalExtension as _, Row, params};
use serde::Serialize;

use super::column::{self, bits};
use super::{Page, Paged, Said, StoreError, Tx};

pub(crate) use muster_fleet::incident::DeviceKind as IncidentKind;

/// Open incidents of one kind that one device can have.
const OF_A_KIND_MAX: u32 = 100;

/// The columns of [`Incident::read`].
pub(super) const COLUMNS: &str = "incident, device, kind, detail, raised_at, model, bundle, place, \
     feature, devices, first_at, last_at, findings, rules, state, acknowledged_at, judged_at, \
     closed_at, told, silence";

/// An incident as lists show it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub(crate) struct Incident {
    /// Its number.
    pub(crate) incident: i64,
    /// The device; none where it is of a cohort or of the fleet.
    pub(crate) device: Option<String>,
    /// What it is about, see [`Kind`].
    pub(crate) kind: String,
    /// The newest sentence.
    pub(crate) detail: String,
    /// Unix seconds.
    pub(crate) raised_at: u64,
    /// `opened`, `acknowledged`, `confirmed` or `dismissed`.
    pub(crate) state: String,
    /// When somebody first looked at it.
    pub(crate) acknowledged_at: Option<u64>,
    /// When it was last judged.
    pub(crate) judged_at: Option<u64>,
    /// When it had been quiet, or what a device said was judged; none while it is open.
    pub(crate) closed_at: Option<u64>,
    /// Whether anybody was told: `unsaid`, `told`, `nobody`, `silenced` or `storm`.
    pub(crate) told: String,
    /// The silence that covered it.
    pub(crate) silence: Option<i64>,
    /// Of what windows show: the rest.
    #[serde(flatten)]
    pub(crate) shown: Option<Shown>,
}

/// What windows show.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Shown {
    /// The model; none of a storm.
    pub(crate) model: Option<String>,
    /// The bundle that served.
    pub(crate) bundle: Option<String>,
    /// `device:NAME`, `cohort:LABEL=VALUE` or `fleet`.
    pub(crate) place: String,
    /// The feature that shows it most.
    pub(crate) feature: Option<String>,
    /// The devices that showed it in the newest finding.
    pub(crate) devices: Vec<String>,
    /// End of the windows of the first finding.
    pub(crate) first_at: u64,
    /// End of the windows of the newest.
    pub(crate) last_at: u64,
    /// How often it was found.
    pub(crate) findings: u64,
    /// The version of the rules that it was opened by.
    pub(crate) rules: u32,
}

/// An incident with what was found and what was said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct IncidentStory {
    /// The incident.
    #[serde(flatten)]
    pub(crate) incident: Incident,
    /// The newest findings, the newest first.
    pub(crate) newest_findings: Vec<FindingRow>,
    /// What people decided, in its order.
    pub(crate) orders: Vec<Said>,
}

/// A finding as it was recorded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct FindingRow {
    /// End of the window that completed it.
    pub(crate) at: u64,
    /// When it was recorded.
    pub(crate) recorded_at: u64,
    /// The sentence.
    pub(crate) because: String,
    /// The devices that showed it.
    pub(crate) devices: Vec<String>,
    /// The version of the rules.
    pub(crate) rules: u32,
}

/// Which incidents.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct IncidentFilter {
    /// Of this device.
    pub(crate) device: Option<DeviceId>,
    /// Of this model.
    pub(crate) model: Option<String>,
    /// About this.
    pub(crate) kind: Option<Kind>,
    /// Of which people have said this.
    pub(crate) state: Option<State>,
    /// Only those that are open, or that have closed.
    pub(crate) open: Option<bool>,
}

/// Findings that one look at an incident shows.
const FINDINGS_SHOWN: u32 = 20;

impl Incident {
    /// Reads [`COLUMNS`].
    pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        let shown = match row.get::<_, Option<String>>(7)? {
            Some(place) => Some(Shown::read(row, place)?),
            None => None,
        };
        Ok(Self {
            incident: row.get(0)?,
            device: row.get(1)?,
            kind: row.get(2)?,
            detail: row.get(3)?,
            raised_at: column::number(row, 4)?,
            state: row.get(14)?,
            acknowledged_at: column::maybe_number(row, 15)?,
            judged_at: column::maybe_number(row, 16)?,
            closed_at: column::maybe_number(row, 17)?,
            told: row.get(18)?,
            silence: row.get(19)?,
            shown,
        })
    }

    /// Where it is, for people.
    pub(crate) fn place(&self) -> &str {
        let shown = self.shown.as_ref().map(|shown| shown.place.as_str());
        self.device.as_deref().or(shown).unwrap_or("fleet")
    }
}

impl Shown {
    fn read(row: &Row<'_>, place: String) -> rusqlite::Result<Self> {
        let feature: Option<String> = row.get(8)?;
        Ok(Self {
            model: row.get(5)?,
            bundle: column::maybe_digest(row, 6)?.map(|bundle: Digest| bundle.to_string()),
            place,
            feature: feature.filter(|feature| !feature.is_empty()),
            devices: column::from_json(row, 9)?,
            first_at: column::number(row, 10)?,
            last_at: column::number(row, 11)?,
            findings: column::number(row, 12)?,
            rules: row.get(13)?,
        })
    }
}

impl Tx<'_> {
    /// Raises an incident of a device. While one of the same kind with the same detail is open, it
    /// stays the one, and of one kind a device can open only so many: details carry numbers of its
    /// choice.
    pub(crate) fn raise_incident(
        &self,
        device: &DeviceId,
        kind: DeviceKind,
        detail: &str,
        now: UnixSeconds,
    ) -> Result<(), StoreError> {
        self.0.execute(
            "INSERT INTO incidents (device, kind, detail, raised_at) SELECT ?1, ?2, ?3, ?4
             WHERE NOT EXISTS (SELECT 1 FROM incidents
                               WHERE device = ?1 AND kind = ?2 AND detail = ?3
                               AND closed_at IS NULL)
             AND (SELECT count(*) FROM incidents
                  WHERE device = ?1 AND kind = ?2 AND closed_at IS NULL) < ?5",
            params![
                device.as_str(),
                kind.as_str(),
                detail,
                bits(now.0),
                OF_A_KIND_MAX
            ],
        )?;
        Ok(())
    }

    /// Incidents in the order in which they were raised.
    pub(crate) fn incidents(
        &self,
        filter: &IncidentFilter,
        page: &Page,
    ) -> Result<Paged<Incident>, StoreError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM incidents
             WHERE incident > ?1 AND (?3 IS NULL OR device = ?3) AND (?4 IS NULL OR model = ?4)
             AND (?5 IS NULL OR kind = ?5) AND (?6 IS NULL OR state = ?6)
             AND (?7 IS NULL OR (closed_at IS NULL) = (?7 = 'open'))
             ORDER BY incident LIMIT ?2"
        );
        let filters = [
            filter.device.as_ref().map(DeviceId::as_str),
            filter.model.as_deref(),
            filter.kind.map(Kind::as_str),
            filter.state.map(State::as_str),
            filter.open.map(|open| if open { "open" } else { "closed" }),
        ];
        self.list(&sql, &filters, page, Incident::read, |row| row.incident)
    }

    /// One incident.
    pub(crate) fn incident(&self, incident: i64) -> Result<Option<Incident>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM incidents WHERE incident = ?");
        let found = self.0.query_row(&sql, [incident], Incident::read);
        Ok(found.optional()?)
    }

    /// One incident with what was found and what was said.
    pub(crate) fn incident_story(
        &self,
        incident: i64,
    ) -> Result<Option<IncidentStory>, StoreError> {
        let Some(found) = self.incident(incident)? else {
            return Ok(None);
        };
        Ok(Some(IncidentStory {
            incident: found,
            newest_findings: self.newest_findings(incident)?,
            orders: self.said_about("incident", incident)?,
        }))
    }

    fn newest_findings(&self, incident: i64) -> Result<Vec<FindingRow>, StoreError> {
        let mut statement = self.0.prepare_cached(
            "SELECT at, recorded_at, because, devices, rules FROM findings
             WHERE incident = ? ORDER BY finding DESC LIMIT ?",
        )?;
        let rows = statement.query_map(params![incident, FINDINGS_SHOWN], |row| {
            Ok(FindingRow {
                at: column::number(row, 0)?,
                recorded_at: column::number(row, 1)?,
                because: row.get(2)?,
                devices: column::from_json(row, 3)?,
                rules: row.get(4)?,
            })
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Keeps what a person said of an incident, and in which state it is from then on. Whether it
    /// closes by that, [`Tx::close_judged`] says.
    pub(crate) fn judge_incident(
        &self,
        incident: i64,
        command: Command,
        to: State,
        person: &Person,
        now: UnixSeconds,
    ) -> Result<(), StoreError> {
        let judged = matches!(to, State::Confirmed | State::Dismissed);
        self.0.execute(
            "UPDATE incidents SET state = ?2, acknowledged_at = coalesce(acknowledged_at, ?3),
             judged_at = CASE WHEN ?4 THEN ?3 ELSE judged_at END WHERE incident = ?1",
            params![incident, to.as_str(), bits(now.0), judged],
        )?;
        self.say("incident", incident, command.as_str(), person, now)
    }
}
