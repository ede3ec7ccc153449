//! The database as a whole: a consistent copy of it while others write, what a copy holds, and
//! making a copy the beginning of a restored controller.
//!
//! Never touches the database that it copies.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use muster_protocol::digest::Digest;
use muster_protocol::time::UnixSeconds;
use rusqlite::{Connection, OpenFlags};
use serde::{Deserialize, Serialize};

use super::column;
use super::{BUSY_TIMEOUT, StoreError, Tx, configure, migrations};

/// What every restore adds to the next generations and versions.
const STEP: u64 = 1 << 32;
/// Added for each second since the backup: a backup that is restored twice gives no number twice.
const STEP_PER_S: u64 = 1 << 16;

/// What a database holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Counts {
    /// Devices.
    pub(crate) devices: u64,
    /// Releases.
    pub(crate) releases: u64,
    /// Rollouts.
    pub(crate) rollouts: u64,
    /// Receipts.
    pub(crate) receipts: u64,
    /// Windows.
    pub(crate) windows: u64,
}

/// What a restore changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct Resumed {
    /// Devices that are held.
    pub(crate) devices_held: u64,
    /// What was added to every next generation and version.
    pub(crate) step: u64,
}

/// Writes the database as it is at one moment to `to`, which only its owner may read.
///
/// # Errors
/// [`StoreError`]; what is at `to` then means nothing.
pub(crate) fn copy(from: &Path, to: &Path) -> Result<(), StoreError> {
    let source = open(from)?;
    migrations::found(&source)?;
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    options.open(to).map_err(|error| StoreError::Open {
        path: to.to_owned(),
        because: error.to_string(),
    })?;
    let path = to.to_str().ok_or_else(|| StoreError::Open {
        path: to.to_owned(),
        because: "its path is not UTF-8".to_owned(),
    })?;
    source.execute("VACUUM INTO ?", [path])?;
    Ok(())
}

/// The schema of a database.
///
/// # Errors
/// [`StoreError`].
pub(crate) fn schema(path: &Path) -> Result<i64, StoreError> {
    migrations::found(&open(path)?)
}

/// How much a database holds.
///
/// # Errors
/// [`StoreError`].
pub(crate) fn counts(path: &Path) -> Result<Counts, StoreError> {
    let connection = open(path)?;
    let count = |table: &str| -> Result<u64, StoreError> {
        let sql = format!("SELECT COUNT(*) FROM {table}");
        Ok(connection.query_row(&sql, [], |row| column::number(row, 0))?)
    };
    Ok(Counts {
        devices: count("devices")?,
        releases: count("releases")?,
        rollouts: count("rollouts")?,
        receipts: count("receipts")?,
        windows: count("windows")?,
    })
}

/// The blobs that the releases of a database reach.
///
/// # Errors
/// [`StoreError`].
pub(crate) fn blobs(path: &Path) -> Result<Vec<Digest>, StoreError> {
    let connection = open(path)?;
    let mut statement =
        connection.prepare("SELECT DISTINCT digest FROM release_blobs ORDER BY digest")?;
    let rows = statement.query_map([], |row| column::digest(row, 0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Makes a copy the database of a restored controller: of the newest schema, with every number
/// raised and every device held.
///
/// # Errors
/// [`StoreError`]; it is damaged, or of a newer program.
pub(crate) fn resume(
    path: &Path,
    backup_at: UnixSeconds,
    now: UnixSeconds,
) -> Result<Resumed, StoreError> {
    let mut connection = open(path)?;
    check(&connection)?;
    configure(&connection)?;
    migrations::run(&mut connection)?;
    let seconds = now.0.saturating_sub(backup_at.0);
    let step = STEP.saturating_add(seconds.saturating_mul(STEP_PER_S));
    let transaction = connection.transaction()?;
    let devices_held = Tx(&transaction).resume(backup_at, now, step)?;
    transaction.commit()?;
    Ok(Resumed { devices_held, step })
}

fn open(path: &Path) -> Result<Connection, StoreError> {
    let failed = |error: rusqlite::Error| StoreError::Open {
        path: path.to_owned(),
        because: error.to_string(),
    };
    // Also for reading: what a controller that was killed left in its log must be looked at.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(failed)?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(failed)?;
    Ok(connection)
}

fn check(connection: &Connection) -> Result<(), StoreError> {
    let verdict: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if verdict == "ok" {
        return Ok(());
    }
    Err(StoreError::Failed { because: verdict })
}
