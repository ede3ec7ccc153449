//! Incidents: what a person must look at. Never resolved by the program.

use muster_protocol::id::DeviceId;
use muster_protocol::time::UnixSeconds;
use rusqlite::{Row, params};
use serde::Serialize;

use super::column::{self, bits};
use super::{Page, Paged, StoreError, Tx};

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum IncidentKind {
    /// Two speak as one device.
    Clone,
    /// A device knows a later assignment than this controller: it was restored.
    ControllerBehind,
    /// A device names an epoch that this controller does not know.
    UnknownEpoch,
    /// No assignment can be composed for a device.
    NotComposed,
    /// A device lost its queue and opened a stream that names no predecessor.
    StreamLost,
    /// A held device showed an assignment that cannot be adopted.
    NotAdopted,
    /// A device runs a release that is not in this store.
    ReleaseMissing,
    /// A device trusts newer metadata than this controller has.
    MetadataBehind,
}

impl IncidentKind {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Clone => "clone",
            Self::ControllerBehind => "controller_behind",
            Self::UnknownEpoch => "unknown_epoch",
            Self::NotComposed => "not_composed",
            Self::StreamLost => "stream_lost",
            Self::NotAdopted => "not_adopted",
            Self::ReleaseMissing => "release_missing",
            Self::MetadataBehind => "metadata_behind",
        }
    }
}

/// Incidents of one kind that one device can have.
const OF_A_KIND_MAX: u32 = 100;

/// An incident as lists show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Incident {
    /// Its number.
    pub(crate) incident: i64,
    /// The device.
    pub(crate) device: String,
    /// `clone`, `controller_behind`, `unknown_epoch`, `not_composed`, `stream_lost`,
    /// `not_adopted`, `release_missing` or `metadata_behind`.
    pub(crate) kind: String,
    /// A sentence.
    pub(crate) detail: String,
    /// Unix seconds.
    pub(crate) raised_at: u64,
}

impl Incident {
    /// Reads the columns `incident, device, kind, detail, raised_at`.
    pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            incident: row.get(0)?,
            device: row.get(1)?,
            kind: row.get(2)?,
            detail: row.get(3)?,
            raised_at: column::number(row, 4)?,
        })
    }
}

impl Tx<'_> {
    /// Raises an incident; the same kind with the same detail stays one, and of one kind a device
    /// can cause only so many: details carry numbers of its choice.
    pub(crate) fn raise_incident(
        &self,
        device: &DeviceId,
        kind: IncidentKind,
        detail: &str,
        now: UnixSeconds,
    ) -> Result<(), StoreError> {
        self.0.execute(
            "INSERT INTO incidents (device, kind, detail, raised_at) SELECT ?1, ?2, ?3, ?4
             WHERE NOT EXISTS (SELECT 1 FROM incidents
                               WHERE device = ?1 AND kind = ?2 AND detail = ?3)
             AND (SELECT count(*) FROM incidents WHERE device = ?1 AND kind = ?2) < ?5",
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
        device: Option<&DeviceId>,
        page: &Page,
    ) -> Result<Paged<Incident>, StoreError> {
        let sql = "SELECT incident, device, kind, detail, raised_at FROM incidents
                   WHERE incident > ?1 AND (?3 IS NULL OR device = ?3)
                   ORDER BY incident LIMIT ?2";
        let device = device.map(DeviceId::as_str);
        self.list(sql, &[device], page, Incident::read, |row| row.incident)
    }
}
