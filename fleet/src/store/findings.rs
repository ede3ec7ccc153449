//! Findings become incidents: the first opens one, further ones are counted in it.
//!
//! Never judges a finding; what is found once more changes nothing.

use muster_fleet::finding::{Finding, Scope};
use muster_fleet::incident::{Desk, Kind, finding_digest, place};
use muster_protocol::digest::Digest;
use muster_protocol::id::DeviceId;
use muster_protocol::time::UnixSeconds;
use rusqlite::{OptionalExtension as _, params};

use super::column::{self, bits};
use super::{StoreError, Tx};

/// What became of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Recorded {
    /// It opened this incident.
    Opened(i64),
    /// It is counted in this one.
    Counted(i64),
    /// It was recorded before, in this one.
    Known(i64),
}

impl Recorded {
    /// The incident.
    pub(crate) const fn incident(self) -> i64 {
        match self {
            Self::Opened(incident) | Self::Counted(incident) | Self::Known(incident) => incident,
        }
    }
}

impl Tx<'_> {
    /// Records a finding, and writes the alerts that follow from it. The same finding again changes
    /// nothing, also after its incident has closed.
    pub(crate) fn record_finding(
        &self,
        finding: &Finding,
        desk: &Desk,
        now: UnixSeconds,
    ) -> Result<Recorded, StoreError> {
        let digest = finding_digest(finding);
        if let Some(incident) = self.incident_of(&digest)? {
            return Ok(Recorded::Known(incident));
        }
        let recorded = match self.open_incident(finding)? {
            Some(incident) => {
                self.count_finding(incident, finding, now)?;
                Recorded::Counted(incident)
            }
            None => Recorded::Opened(self.open_by(finding, desk, now)?),
        };
        self.keep_finding(recorded.incident(), finding, &digest, desk, now)?;
        self.settle_telling(recorded.incident(), desk, now)?;
        Ok(recorded)
    }

    fn incident_of(&self, digest: &Digest) -> Result<Option<i64>, StoreError> {
        let sql = "SELECT incident FROM findings WHERE digest = ?";
        let mut statement = self.0.prepare_cached(sql)?;
        let found = statement.query_row([digest.0], |row| row.get(0));
        Ok(found.optional()?)
    }

    /// The open incident of the same model, place, feature and cause.
    fn open_incident(&self, finding: &Finding) -> Result<Option<i64>, StoreError> {
        let sql = "SELECT incident FROM incidents WHERE kind = ? AND coalesce(model, '') = ?
                   AND place = ? AND feature = ? AND place IS NOT NULL AND closed_at IS NULL";
        let mut statement = self.0.prepare_cached(sql)?;
        let key = params![
            Kind::Drift(finding.cause).as_str(),
            finding.model.as_str(),
            place(&finding.scope),
            finding.feature.as_deref().unwrap_or_default(),
        ];
        Ok(statement.query_row(key, |row| row.get(0)).optional()?)
    }

    fn open_by(&self, finding: &Finding, desk: &Desk, now: UnixSeconds) -> Result<i64, StoreError> {
        let device = match &finding.scope {
            Scope::Device(device) => Some(device.as_str()),
            Scope::Cohort { .. } | Scope::Fleet => None,
        };
        self.0.execute(
            "INSERT INTO incidents (device, kind, detail, raised_at, model, bundle, place, feature,
             devices, first_at, last_at, noted_at, findings, rules, noted_seen_s)
             VALUES (?, ?, ?, ?4, ?, ?, ?, ?, ?, ?10, ?10, ?4, 1, ?11, ?12)",
            params![
                device,
                Kind::Drift(finding.cause).as_str(),
                finding.because,
                bits(now.0),
                finding.model.as_str(),
                finding.bundle.0,
                place(&finding.scope),
                finding.feature.as_deref().unwrap_or_default(),
                devices(finding)?,
                bits(finding.at.0),
                desk.applied.number,
                bits(self.watched_s(now)?),
            ],
        )?;
        Ok(self.0.last_insert_rowid())
    }

    /// The newest sentence is that of the newest windows, in whatever order findings come.
    fn count_finding(
        &self,
        incident: i64,
        finding: &Finding,
        now: UnixSeconds,
    ) -> Result<(), StoreError> {
        self.0.execute(
            "UPDATE incidents SET findings = findings + 1, noted_at = ?2, noted_seen_s = ?7,
             first_at = min(first_at, ?3),
             detail = CASE WHEN ?3 >= last_at THEN ?4 ELSE detail END,
             bundle = CASE WHEN ?3 >= last_at THEN ?5 ELSE bundle END,
             devices = CASE WHEN ?3 >= last_at THEN ?6 ELSE devices END,
             last_at = max(last_at, ?3) WHERE incident = ?1",
            params![
                incident,
                bits(now.0),
                bits(finding.at.0),
                finding.because,
                finding.bundle.0,
                devices(finding)?,
                bits(self.watched_s(now)?),
            ],
        )?;
        Ok(())
    }

    fn keep_finding(
        &self,
        incident: i64,
        finding: &Finding,
        digest: &Digest,
        desk: &Desk,
        now: UnixSeconds,
    ) -> Result<(), StoreError> {
        let mut statement = self.0.prepare_cached(
            "INSERT INTO findings (incident, digest, at, recorded_at, because, devices, rules)
             VALUES (?, ?, ?, ?, ?, ?, ?)",
        )?;
        statement.execute(params![
            incident,
            digest.0,
            bits(finding.at.0),
            bits(now.0),
            finding.because,
            devices(finding)?,
            desk.applied.number
        ])?;
        Ok(())
    }
}

fn devices(finding: &Finding) -> rusqlite::Result<String> {
    let names: Vec<&str> = finding.devices.iter().map(DeviceId::as_str).collect();
    column::to_json(&names)
}

#[cfg(test)]
mod tests;
