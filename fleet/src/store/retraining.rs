//! Requests for a retrain as they were signed, how they stand, and the counts of a cohort by the
//! hour from which they are made.
//!
//! Never decides whether one is asked for.

use muster_fleet::finding::{Cause, Scope};
use muster_fleet::incident::{Desk, Event, Kind, Person, RetrainCommand, RetrainState, read_place};
use muster_protocol::digest::Digest;
use muster_protocol::id::ModelId;
use muster_protocol::time::UnixSeconds;
use rusqlite::{OptionalExtension as _, Row, params};
use serde::Serialize;

use super::column::{self, bits};
use super::feature_hours::read_sums;
use super::hours::Hour;
use super::{FeatureHour, Page, Paged, Said, StoreError, Tx};

/// A request as lists show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct RetrainRow {
    /// Its number.
    pub(crate) request: i64,
    /// The model.
    pub(crate) model: String,
    /// The bundle that served.
    pub(crate) bundle: String,
    /// Where.
    pub(crate) place: String,
    /// Unix seconds.
    pub(crate) requested_at: u64,
    /// `requested`, `picked_up`, `done` or `declined`.
    pub(crate) state: String,
    /// A sentence.
    pub(crate) because: String,
    /// The version of the rules.
    pub(crate) rules: u32,
    /// What was decided about it.
    pub(crate) orders: Vec<Said>,
    /// As it was signed.
    #[serde(skip)]
    pub(crate) document: Vec<u8>,
}

/// A request as it is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NewRequest {
    /// The model.
    pub(crate) model: ModelId,
    /// The bundle.
    pub(crate) bundle: Digest,
    /// Where.
    pub(crate) place: String,
    /// A sentence.
    pub(crate) because: String,
    /// As it was signed.
    pub(crate) document: Vec<u8>,
}

/// An open incident under which a retrain may be asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DriftingCohort {
    /// The incident.
    pub(crate) incident: i64,
    /// The model.
    pub(crate) model: ModelId,
    /// The bundle that served.
    pub(crate) bundle: Digest,
    /// Where.
    pub(crate) scope: Scope,
    /// When its first windows ended.
    pub(crate) first_at: UnixSeconds,
}

const COLUMNS: &str =
    "request, model, bundle, place, requested_at, state, because, rules, document";

impl Tx<'_> {
    /// Open incidents of more than one device, not dismissed and not silenced now, by number.
    pub(crate) fn drifting_cohorts(
        &self,
        causes: &[Kind],
        now: UnixSeconds,
    ) -> Result<Vec<DriftingCohort>, StoreError> {
        let mut statement = self.0.prepare_cached(
            "SELECT incident, model, bundle, place, first_at FROM incidents
             WHERE closed_at IS NULL AND model IS NOT NULL AND device IS NULL
             AND state <> 'dismissed' AND kind IN (SELECT value FROM json_each(?)) ORDER BY incident",
        )?;
        let rows = statement.query_map([column::to_json(&causes)?], |row| {
            Ok((
                row.get(0)?,
                column::id(row, 1)?,
                column::digest(row, 2)?,
                row.get::<_, String>(3)?,
                UnixSeconds(column::number(row, 4)?),
            ))
        })?;
        let rows = rows.collect::<rusqlite::Result<Vec<_>>>()?;
        let mut cohorts = Vec::new();
        for (incident, model, bundle, place, first_at) in rows {
            let Ok(scope) = read_place(&place) else {
                continue;
            };
            // What was told of it says how it was then: silences begin and end.
            let found = self.incident(incident)?;
            let silence = found.map(|found| self.silence_over(&found, now));
            if silence.transpose()?.flatten().is_none() {
                cohorts.push(DriftingCohort {
                    incident,
                    model,
                    bundle,
                    scope,
                    first_at,
                });
            }
        }
        Ok(cohorts)
    }

    /// An incident that windows show, in whatever place, with its feature; none of another kind.
    pub(crate) fn incident_of_windows(
        &self,
        incident: i64,
    ) -> Result<Option<(DriftingCohort, Option<String>)>, StoreError> {
        let sql = "SELECT model, bundle, place, first_at, feature FROM incidents
                   WHERE incident = ? AND model IS NOT NULL AND place IS NOT NULL";
        let read = |row: &Row<'_>| {
            let (model, bundle) = (column::id(row, 0)?, column::digest(row, 1)?);
            let first_at = UnixSeconds(column::number(row, 3)?);
            let feature: String = row.get(4)?;
            Ok((model, bundle, row.get::<_, String>(2)?, first_at, feature))
        };
        let found = self.0.query_row(sql, [incident], read).optional()?;
        Ok(found.and_then(|(model, bundle, place, first_at, feature)| {
            let cohort = DriftingCohort {
                incident,
                model,
                bundle,
                scope: read_place(&place).ok()?,
                first_at,
            };
            Some((cohort, Some(feature).filter(|feature| !feature.is_empty())))
        }))
    }

    /// Devices that an open incident of this model holds for faulty, by name.
    pub(crate) fn faulty_devices(&self, model: &ModelId) -> Result<Vec<String>, StoreError> {
        let faults: Vec<Kind> = Kind::all()
            .filter(|kind| matches!(kind, Kind::Drift(cause) if Cause::is_fault(*cause)))
            .collect();
        let mut statement = self.0.prepare_cached(
            "SELECT DISTINCT device FROM incidents WHERE closed_at IS NULL AND model = ?
             AND device IS NOT NULL AND state <> 'dismissed'
             AND kind IN (SELECT value FROM json_each(?)) ORDER BY device",
        )?;
        let key = params![model.as_str(), column::to_json(&faults)?];
        let rows = statement.query_map(key, |row| row.get(0))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Hands out the hours of one bundle from the hour `from` on, with their number.
    pub(crate) fn each_hour_of_bundle(
        &self,
        model: &ModelId,
        bundle: &Digest,
        from: u64,
        mut take: impl FnMut(u64, FeatureHour),
    ) -> Result<(), StoreError> {
        let mut statement = self.0.prepare_cached(
            "SELECT hour, device, bundle, reference, closed_windows, calls, misfits, sums
             FROM feature_hours WHERE model = ? AND hour >= ? AND bundle = ?",
        )?;
        let mut rows = statement.query(params![model.as_str(), bits(from), bundle.0])?;
        while let Some(row) = rows.next()? {
            take(
                column::number(row, 0)?,
                Hour::read(row, 1, read_sums(row, 4)?)?,
            );
        }
        Ok(())
    }

    /// When a retrain of a model was asked for last, and whether that one is still open.
    pub(crate) fn newest_request(
        &self,
        model: &ModelId,
    ) -> Result<Option<(UnixSeconds, bool)>, StoreError> {
        let sql = "SELECT requested_at, state IN ('requested', 'picked_up') FROM retrain_requests
                   WHERE model = ? ORDER BY request DESC LIMIT 1";
        let row = |row: &Row<'_>| Ok((UnixSeconds(column::number(row, 0)?), row.get(1)?));
        Ok(self.0.query_row(sql, [model.as_str()], row).optional()?)
    }

    /// Keeps a request with the alerts that tell of it; `event` makes one of its number.
    pub(crate) fn add_request(
        &self,
        new: &NewRequest,
        desk: &Desk,
        now: UnixSeconds,
        event: impl FnOnce(i64) -> Event,
    ) -> Result<i64, StoreError> {
        self.0.execute(
            "INSERT INTO retrain_requests (model, bundle, place, requested_at, because, rules,
             document) VALUES (?, ?, ?, ?, ?, ?, ?)",
            params![
                new.model.as_str(),
                new.bundle.0,
                new.place,
                bits(now.0),
                new.because,
                desk.applied.number,
                new.document
            ],
        )?;
        let request = self.0.last_insert_rowid();
        // Whoever hears of real drift hears that a retrain is asked for.
        let audience = desk.audience(Kind::Drift(Cause::RealDrift));
        self.add_alerts(&event(request), &audience, None, Some(request), now)?;
        Ok(request)
    }

    /// One request.
    pub(crate) fn request(&self, request: i64) -> Result<Option<RetrainRow>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM retrain_requests WHERE request = ?");
        let found = self.0.query_row(&sql, [request], read).optional()?;
        found.map(|row| self.with_decisions(row)).transpose()
    }

    /// Requests in the order in which they were made.
    pub(crate) fn requests(
        &self,
        model: Option<&ModelId>,
        state: Option<RetrainState>,
        page: &Page,
    ) -> Result<Paged<RetrainRow>, StoreError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM retrain_requests WHERE request > ?1
             AND (?3 IS NULL OR model = ?3) AND (?4 IS NULL OR state = ?4)
             ORDER BY request LIMIT ?2"
        );
        let filters = [model.map(ModelId::as_str), state.map(RetrainState::as_str)];
        let mut rows = self.list(&sql, &filters, page, read, |row| row.request)?;
        let items = std::mem::take(&mut rows.items).into_iter();
        rows.items = items
            .map(|row| self.with_decisions(row))
            .collect::<Result<_, _>>()?;
        Ok(rows)
    }

    /// Keeps what was decided about a request.
    pub(crate) fn move_request(
        &self,
        request: i64,
        command: RetrainCommand,
        to: RetrainState,
        person: &Person,
        now: UnixSeconds,
    ) -> Result<(), StoreError> {
        let sql = "UPDATE retrain_requests SET state = ? WHERE request = ?";
        self.0.execute(sql, params![to.as_str(), request])?;
        self.say("request", request, command.as_str(), person, now)
    }

    fn with_decisions(&self, mut row: RetrainRow) -> Result<RetrainRow, StoreError> {
        row.orders = self.said_about("request", row.request)?;
        Ok(row)
    }
}

fn read(row: &Row<'_>) -> rusqlite::Result<RetrainRow> {
    Ok(RetrainRow {
        request: row.get(0)?,
        model: row.get(1)?,
        bundle: column::digest(row, 2)?.to_string(),
        place: row.get(3)?,
        requested_at: column::number(row, 4)?,
        state: row.get(5)?,
        because: row.get(6)?,
        rules: row.get(7)?,
        orders: Vec::new(),
        document: row.get(8)?,
    })
}

#[cfg(test)]
impl Tx<'_> {
    /// For tests: what one device counted in one hour.
    pub(crate) fn put_hour(&self, model: &ModelId, hour: u64, counted: &FeatureHour) {
        let reference = counted
            .reference
            .map_or(Vec::new(), |digest| digest.0.to_vec());
        let sums = &counted.sums;
        let values = params![
            model.as_str(),
            counted.device,
            bits(hour),
            counted.bundle.0,
            reference,
            bits(sums.closed_windows),
            bits(sums.calls),
            super::feature_hours::write_features(&sums.features),
        ];
        let sql = "INSERT INTO feature_hours (model, device, hour, bundle, reference,
                   closed_windows, calls, misfits, sums) VALUES (?, ?, ?, ?, ?, ?, ?, 0, ?)";
        self.0.execute(sql, values).expect("added");
    }
}
