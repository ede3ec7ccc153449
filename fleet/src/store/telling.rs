//! Whether an incident is told: by the desk's answer, in the transaction that opens it.
//!
//! Writes alerts and sends none.

use std::collections::BTreeMap;

use muster_fleet::finding::Scope;
use muster_fleet::incident::{
    Desk, Event, EventType, Kind, Subject, Telling, Told, read_place, tell,
};
use muster_protocol::id::{DeviceId, ModelId};
use muster_protocol::time::UnixSeconds;
use rusqlite::params;
use serde_json::{Value, json};

use super::column::bits;
use super::incidents::{COLUMNS, Incident};
use super::{StoreError, Tx};

/// The span of the limit of a storm, seconds.
const HOUR_S: u64 = 3600;
/// Incidents that one round settles.
const ROUND_MAX: u32 = 200;

/// Open incidents that nobody was told of, but for those whose silence still holds.
pub(super) const UNSAID: &str = "SELECT incident FROM incidents
     WHERE told IN ('unsaid', 'silenced') AND closed_at IS NULL AND state = 'opened'
     AND NOT EXISTS (SELECT 1 FROM silences WHERE silence = incidents.silence
                     AND ended_at IS NULL AND expires_at > ?1)
     ORDER BY incident LIMIT ?2";

/// What a round did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Tended {
    /// Incidents that were looked at since nobody was told of them.
    pub(crate) settled: usize,
    /// Incidents that closed.
    pub(crate) closed: usize,
}

impl Tx<'_> {
    /// What time brings: incidents that nobody was told of yet are told, those whose silence has
    /// ended as well, and those that were quiet for long enough close.
    pub(crate) fn tend_incidents(
        &self,
        desk: &Desk,
        now: UnixSeconds,
    ) -> Result<Tended, StoreError> {
        self.tick_watch_clock(now)?;
        let unsaid = self.incidents_by(UNSAID, params![bits(now.0), ROUND_MAX])?;
        for incident in &unsaid {
            self.settle_telling(*incident, desk, now)?;
        }
        Ok(Tended {
            settled: unsaid.len(),
            closed: self.close_quiet(desk, now)?,
        })
    }

    /// Tells of an incident, or notes why nobody is told; nothing when that was settled before.
    pub(super) fn settle_telling(
        &self,
        incident: i64,
        desk: &Desk,
        now: UnixSeconds,
    ) -> Result<(), StoreError> {
        let Some(found) = self.incident(incident)? else {
            return Ok(());
        };
        // Whoever has looked at it need not be told that it is there.
        if found.state != "opened" {
            return Ok(());
        }
        let told = Told::ALL
            .into_iter()
            .find(|told| told.as_str() == found.told);
        let told = told.unwrap_or(Told::Told);
        let silence = self.silence_over(&found, now)?;
        let others = self.told_within_an_hour(incident, now)?;
        let per_hour_max = desk.applied.rules.storm_per_hour;
        match tell(told, silence.is_some(), others, per_hour_max) {
            // By another silence, where the one before has ended.
            Telling::Nothing if told == Told::Silenced => {
                self.note_told(incident, Told::Silenced, silence, now)
            }
            Telling::Nothing => Ok(()),
            Telling::Silence => self.note_told(incident, Told::Silenced, silence, now),
            Telling::Storm => {
                self.note_told(incident, Told::Storm, None, now)?;
                self.storm(desk, now)
            }
            Telling::Tell => {
                let told = self.announce(&found, EventType::IncidentOpened, desk, now)?;
                self.note_told(incident, told, None, now)
            }
        }
    }

    /// The numbers of incidents that a question gives.
    pub(super) fn incidents_by(
        &self,
        sql: &str,
        values: impl rusqlite::Params,
    ) -> Result<Vec<i64>, StoreError> {
        let mut statement = self.0.prepare_cached(sql)?;
        let rows = statement.query_map(values, |row| row.get(0))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    fn note_told(
        &self,
        incident: i64,
        told: Told,
        silence: Option<i64>,
        now: UnixSeconds,
    ) -> Result<(), StoreError> {
        let sql = "UPDATE incidents SET told = ?2, told_at = ?3,
                   silence = coalesce(?4, silence) WHERE incident = ?1";
        let values = params![incident, told.as_str(), bits(now.0), silence];
        self.0.execute(sql, values)?;
        Ok(())
    }

    /// Other incidents that were told in the last hour, or would have been without a storm and if
    /// anybody listened. Of a clock that went back, later ones count as well.
    fn told_within_an_hour(&self, incident: i64, now: UnixSeconds) -> Result<u32, StoreError> {
        let sql = "SELECT count(*) FROM incidents WHERE told IN ('told', 'nobody', 'storm')
                   AND kind <> 'storm' AND told_at > ? AND incident <> ?";
        let after = bits(now.0.saturating_sub(HOUR_S));
        let mut statement = self.0.prepare_cached(sql)?;
        Ok(statement.query_row(params![after, incident], |row| row.get(0))?)
    }

    /// The silence that covers an incident now.
    pub(super) fn silence_over(
        &self,
        incident: &Incident,
        now: UnixSeconds,
    ) -> Result<Option<i64>, StoreError> {
        let silences = self.silences_now(now)?;
        if silences.is_empty() {
            return Ok(None);
        }
        let Ok(kind) = incident.kind.parse::<Kind>() else {
            return Ok(None);
        };
        let shown = incident.shown.as_ref();
        let device = incident.device.as_deref();
        let device = device.and_then(|device| device.parse::<DeviceId>().ok());
        let scope = match (shown, &device) {
            (Some(shown), _) => read_place(&shown.place).unwrap_or(Scope::Fleet),
            (None, Some(device)) => Scope::Device(device.clone()),
            (None, None) => Scope::Fleet,
        };
        let labels = match &device {
            Some(device) => self.device(device)?.map(|row| row.labels),
            None => None,
        };
        let model = shown.and_then(|shown| shown.model.as_deref());
        let model = model.and_then(|model| model.parse::<ModelId>().ok());
        let subject = Subject {
            model: model.as_ref(),
            scope: &scope,
            labels: &labels.unwrap_or_else(BTreeMap::new),
            feature: shown.and_then(|shown| shown.feature.as_deref()),
            kind,
        };
        let mut silences = silences.iter();
        let covers = silences.find(|(_, silence)| silence.covers(&subject));
        Ok(covers.map(|(number, _)| *number))
    }

    /// Opens the incident of a storm, or counts one more in it.
    fn storm(&self, desk: &Desk, now: UnixSeconds) -> Result<(), StoreError> {
        let watched_s = bits(self.watched_s(now)?);
        let limit = desk.applied.rules.storm_per_hour;
        let detail = format!(
            "more than {limit} incidents within an hour: those that follow are recorded and told \
             to nobody until fewer come; `muster incident list --open` shows them"
        );
        let counted = self.0.execute(
            "UPDATE incidents SET findings = findings + 1, noted_at = ?1, noted_seen_s = ?2,
             last_at = ?1 WHERE kind = 'storm' AND place = 'fleet' AND closed_at IS NULL",
            [bits(now.0), watched_s],
        )?;
        if counted > 0 {
            return Ok(());
        }
        self.0.execute(
            "INSERT INTO incidents (kind, detail, raised_at, place, feature, devices, first_at,
             last_at, noted_at, noted_seen_s, findings, rules)
             VALUES ('storm', ?1, ?2, 'fleet', '', '[]', ?2, ?2, ?2, ?4, 1, ?3)",
            params![detail, bits(now.0), desk.applied.number, watched_s],
        )?;
        let sql = format!("SELECT {COLUMNS} FROM incidents WHERE incident = last_insert_rowid()");
        let storm = self.0.query_row(&sql, [], Incident::read)?;
        let told = self.announce(&storm, EventType::IncidentOpened, desk, now)?;
        self.note_told(storm.incident, told, None, now)
    }

    /// Writes the alerts of an incident; whether anybody is told.
    pub(super) fn announce(
        &self,
        incident: &Incident,
        kind: EventType,
        desk: &Desk,
        now: UnixSeconds,
    ) -> Result<Told, StoreError> {
        let Ok(about) = incident.kind.parse::<Kind>() else {
            return Ok(Told::Nobody);
        };
        let audience = desk.audience(about);
        if audience.is_empty() {
            return Ok(Told::Nobody);
        }
        let subject = format!("incidents/{}", incident.incident);
        let event = Event::new(kind, &desk.source, &subject, now, &data(incident, desk)?);
        self.add_alerts(&event, &audience, Some(incident.incident), None, now)?;
        Ok(Told::Told)
    }
}

/// What an alert says of an incident: its row, and the rules by their full name.
fn data(incident: &Incident, desk: &Desk) -> Result<Value, StoreError> {
    let written = serde_json::to_value(incident);
    let mut data = written.map_err(|error| StoreError::Failed {
        because: error.to_string(),
    })?;
    data["rules"] = json!(desk.applied.name());
    // How it was told is no news to those who are told.
    if let Some(fields) = data.as_object_mut() {
        fields.remove("told");
        fields.remove("silence");
    }
    Ok(data)
}
