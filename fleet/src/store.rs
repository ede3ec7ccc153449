//! What the fleet knows, in one SQLite file: the only module that speaks SQL.
//!
//! One thread writes for everybody and answers after the commit. Never decides anything about a
//! device: its callers do, inside the transaction that they are given.

use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};
use tokio::sync::{mpsc, oneshot};

mod alerts;
mod assignments;
pub(crate) mod backup;
mod closing;
mod cohort_hours;
mod column;
mod countable;
mod devices;
mod documents;
mod enrolment;
mod error;
mod feature_hours;
mod findings;
mod held;
mod hours;
mod incidents;
mod kpis;
mod metadata;
mod migrations;
mod overview;
mod page;
mod planned;
mod receipts;
mod releases;
mod restores;
mod retention;
mod retraining;
mod ring_counts;
mod rollouts;
mod rules;
mod said;
mod score_hours;
mod silences;
mod streams;
mod summary;
#[cfg(test)]
mod tampering;
mod telling;
#[cfg(test)]
mod tests;
mod told;
mod watch_clock;
mod watch_log;
mod watches;
mod windows;
mod writer;

pub(crate) use alerts::{AlertRow, DueAlert, Replay, Replayed};
pub(crate) use assignments::StoredAssignment;
pub(crate) use cohort_hours::{ALL, CohortSums, OfCohort, WindowOfCohorts};
pub(crate) use countable::{Classes, Compares, Countable, ScoreLayout, ScoresOf};
pub(crate) use devices::{DeviceRow, HelloRecord};
pub(crate) use documents::Known;
pub(crate) use enrolment::{EnrolmentRow, IssuedCertificate, NewestSerial, TokenRow};
pub(crate) use error::StoreError;
pub(crate) use feature_hours::{FeatureHour, WindowSums};
pub(crate) use findings::Recorded;
pub(crate) use held::{Claim, Held, HeldRow, HoldReason};
pub(crate) use hours::HOUR_S;
pub(crate) use incidents::{Incident, IncidentFilter, IncidentKind, IncidentStory};
pub(crate) use kpis::{Counted, FleetCounts, KpiCounts};
pub(crate) use migrations::NEWEST as NEWEST_SCHEMA;
pub(crate) use muster_fleet::compose::{DesiredRow, StoredEntry};
pub(crate) use overview::{ModelSums, Presences, StandingCount};
pub(crate) use page::{ListFilter, Page, Paged};
pub(crate) use planned::DecisionRow;
pub(crate) use receipts::{ReceiptRow, ReceiptToStore, SignedReceipt, step_name};
pub(crate) use releases::ReleaseRow;
pub(crate) use restores::RestoreRow;
pub(crate) use retraining::{DriftingCohort, NewRequest, RetrainRow};
pub(crate) use ring_counts::{Released, RingCounts};
pub(crate) use rollouts::{RolloutRow, RolloutToStore};
pub(crate) use rules::RulesRow;
pub(crate) use said::Said;
pub(crate) use score_hours::ScoreHour;
pub(crate) use silences::SilenceRow;
pub(crate) use streams::StreamRow;
pub(crate) use summary::{DeviceSummary, ModelSummary};
#[cfg(test)]
pub(crate) use tampering::Tampering;
pub(crate) use telling::Tended;
pub(crate) use told::FactRow;
pub(crate) use watch_log::{AlarmRow, KeptFinding, NewEvent, PlacingRow};
pub(crate) use watches::{Kept, Position, TakenWindow};
pub(crate) use windows::{WindowRow, WindowToStore};

/// Jobs that may wait for the writer: beyond it, callers wait.
const QUEUE_JOBS_MAX: usize = 1024;

/// The store: a handle that is cheap to clone.
#[derive(Clone)]
pub(crate) struct Store {
    jobs: mpsc::Sender<writer::Job>,
    reader: Arc<Mutex<Connection>>,
    /// For questions about everything, so that devices need not wait for their answers.
    surveyor: Arc<Mutex<Connection>>,
    /// For what may take minutes, so that questions about everything need not wait either.
    auditor: Arc<Mutex<Connection>>,
}

/// One transaction, as a job sees it: every method of it is one question or one change.
pub(crate) struct Tx<'c>(&'c Connection);

impl Store {
    /// Opens the file, makes it when it is missing, and brings it to the newest schema.
    ///
    /// # Errors
    /// A file that is not to be had, or that a newer program wrote.
    pub(crate) fn open(path: &Path) -> Result<Self, StoreError> {
        let failed = |error: rusqlite::Error| StoreError::Open {
            path: path.to_owned(),
            because: error.to_string(),
        };
        make_private(path).map_err(|error| StoreError::Open {
            path: path.to_owned(),
            because: error.to_string(),
        })?;
        let mut connection = Connection::open(path).map_err(failed)?;
        configure(&connection).map_err(failed)?;
        migrations::run(&mut connection)?;
        let reader = || open_to_read(path).map(|open| Arc::new(Mutex::new(open)));
        let [reader, surveyor, auditor] = [reader(), reader(), reader()];
        let (jobs, queue) = mpsc::channel(QUEUE_JOBS_MAX);
        writer::start(connection, queue)?;
        Ok(Self {
            jobs,
            reader: reader.map_err(failed)?,
            surveyor: surveyor.map_err(failed)?,
            auditor: auditor.map_err(failed)?,
        })
    }

    /// Runs `job` in a transaction and answers when it is on disk. An error of the job undoes
    /// what the job did, and nothing of other jobs.
    ///
    /// # Errors
    /// Those of the job, and [`StoreError`] when the commit fails.
    pub(crate) async fn write<T, E>(
        &self,
        job: impl FnOnce(&Tx<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let (sender, receiver) = oneshot::channel();
        let job = writer::job(job, sender);
        self.jobs.send(job).await.map_err(|_| StoreError::Stopped)?;
        receiver.await.map_err(|_| StoreError::Panicked)?
    }

    /// Asks at once, on this thread: for the start of the program.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(crate) fn look<T>(
        &self,
        job: impl FnOnce(&Tx<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let connection = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        job(&Tx(&connection))
    }

    /// Asks questions that all see the same state.
    ///
    /// # Errors
    /// Those of the job, and [`StoreError`].
    pub(crate) async fn read<T, E>(
        &self,
        job: impl FnOnce(&Tx<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        ask(&self.reader, job).await
    }

    /// As [`Store::read`], for questions that may take seconds in a large fleet: they wait for
    /// each other, and nobody else waits for them.
    ///
    /// # Errors
    /// As there.
    pub(crate) async fn survey<T, E>(
        &self,
        job: impl FnOnce(&Tx<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        ask(&self.surveyor, job).await
    }

    /// As [`Store::survey`], for what may take minutes. Until it has ended, the file of recent changes
    /// grows: what it still sees must stay.
    ///
    /// # Errors
    /// As there.
    pub(crate) async fn audit<T, E>(
        &self,
        job: impl FnOnce(&Tx<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        ask(&self.auditor, job).await
    }
}

async fn ask<T, E>(
    reader: &Arc<Mutex<Connection>>,
    job: impl FnOnce(&Tx<'_>) -> Result<T, E> + Send + 'static,
) -> Result<T, E>
where
    T: Send + 'static,
    E: From<StoreError> + Send + 'static,
{
    let reader = Arc::clone(reader);
    let asked = tokio::task::spawn_blocking(move || {
        let connection = reader.lock().unwrap_or_else(PoisonError::into_inner);
        let snapshot = connection
            .unchecked_transaction()
            .map_err(StoreError::from)?;
        job(&Tx(&snapshot))
    });
    asked.await.map_err(|error| match error.is_panic() {
        true => StoreError::Panicked,
        false => StoreError::Stopped,
    })?
}

fn open_to_read(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let reader = Connection::open_with_flags(path, flags)?;
    configure_any(&reader)?;
    Ok(reader)
}

/// Makes an empty file for its owner only; the library's files beside it take its mode.
fn make_private(path: &Path) -> std::io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.append(true).create(true).mode(0o600);
    options.open(path).map(drop)
}

/// How long a connection waits for another program that holds the file.
const BUSY_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(2);

/// Statements that a connection keeps: a document takes some thirty, and to read them anew for each takes
/// longer than to run them.
const STATEMENTS_MAX: usize = 256;

/// What the writer keeps of the file in memory: where it does not hold what a commit changes, pages are
/// written and read again before it.
const CACHE_KIB: i64 = 32 * 1024;

/// Changed pages of 4 KiB that wait beside the file: what is written to it once has often changed many times.
const CHECKPOINT_PAGES: i64 = 8192;

/// What holds for those that read, too.
fn configure_any(connection: &Connection) -> rusqlite::Result<()> {
    connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    // Otherwise some are read anew with every value that is bound: where an index is for some rows
    // only, plans might depend on it.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.busy_timeout(BUSY_TIMEOUT)
}

fn configure(connection: &Connection) -> rusqlite::Result<()> {
    configure_any(connection)?;
    connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
    connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", "ON")
}

/// A database of a test.
#[cfg(test)]
pub(crate) type InMemory = Connection;

/// A store in memory, for tests that run their jobs themselves.
#[cfg(test)]
pub(crate) fn in_memory() -> InMemory {
    let mut connection = Connection::open_in_memory().expect("memory");
    migrations::run(&mut connection).expect("an empty store migrates");
    connection
}

#[cfg(test)]
impl<'c> Tx<'c> {
    /// For tests: every statement commits by itself.
    pub(crate) fn of(connection: &'c Connection) -> Self {
        Self(connection)
    }
}
