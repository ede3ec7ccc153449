//! The one thread that writes: it takes all jobs that wait, runs each in a savepoint, commits
//! once and then answers. Never answers before the commit.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use super::{StoreError, Tx};

/// Jobs of one commit: a bound on how long the first of them waits.
const BATCH_JOBS_MAX: usize = 256;

/// What the thread runs.
pub(super) type Job = Box<dyn FnOnce(&Tx<'_>) -> Done + Send>;

/// What a job leaves behind.
pub(super) struct Done {
    outcome: Outcome,
    answer: Answer,
}

type Answer = Box<dyn FnOnce(Result<(), StoreError>) + Send>;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Keep,
    Undo,
}

/// Makes a job of a closure whose result goes to `sender` after the commit.
pub(super) fn job<T, E>(
    work: impl FnOnce(&Tx<'_>) -> Result<T, E> + Send + 'static,
    sender: oneshot::Sender<Result<T, E>>,
) -> Job
where
    T: Send + 'static,
    E: From<StoreError> + Send + 'static,
{
    Box::new(move |tx| {
        let result = work(tx);
        let outcome = if result.is_ok() {
            Outcome::Keep
        } else {
            Outcome::Undo
        };
        let answer: Answer = Box::new(move |committed| {
            let result = result.and_then(|value| committed.map(|()| value).map_err(E::from));
            // Whoever asked may have gone; what is stored stays stored.
            let _gone = sender.send(result);
        });
        Done { outcome, answer }
    })
}

/// Starts the thread. It ends when the last handle of the store is dropped.
pub(super) fn start(
    connection: Connection,
    mut queue: mpsc::Receiver<Job>,
) -> Result<(), StoreError> {
    let run = move || {
        while let Some(first) = queue.blocking_recv() {
            let mut batch = vec![first];
            while batch.len() < BATCH_JOBS_MAX
                && let Ok(next) = queue.try_recv()
            {
                batch.push(next);
            }
            commit(&connection, batch);
        }
    };
    let started = thread::Builder::new().name("store".to_owned()).spawn(run);
    let failed = |error: std::io::Error| StoreError::Failed {
        because: error.to_string(),
    };
    started.map(drop).map_err(failed)
}

fn commit(connection: &Connection, batch: Vec<Job>) {
    let mut answers = Vec::with_capacity(batch.len());
    let result = run_all(connection, batch, &mut answers);
    if let Err(error) = &result {
        tracing::error!("failed to commit: because {error}");
        // Without an open transaction there is nothing to undo.
        let _none_open = connection.execute_batch("ROLLBACK");
    }
    answers
        .into_iter()
        .for_each(|answer| answer(result.clone()));
}

fn run_all(
    connection: &Connection,
    batch: Vec<Job>,
    answers: &mut Vec<Answer>,
) -> Result<(), StoreError> {
    connection.execute_batch("BEGIN IMMEDIATE")?;
    for job in batch {
        run_one(connection, job, answers)?;
    }
    Ok(connection.execute_batch("COMMIT")?)
}

/// A job that panics answers nobody: its caller sees [`StoreError::Panicked`].
fn run_one(connection: &Connection, job: Job, answers: &mut Vec<Answer>) -> Result<(), StoreError> {
    connection.prepare_cached("SAVEPOINT job")?.execute([])?;
    let done = catch_unwind(AssertUnwindSafe(|| job(&Tx(connection)))).ok();
    let outcome = done.as_ref().map_or(Outcome::Undo, |done| done.outcome);
    answers.extend(done.map(|done| done.answer));
    if outcome == Outcome::Undo {
        // A full disk has undone the whole transaction already, and all jobs of it fail.
        connection.execute_batch("ROLLBACK TO job")?;
    }
    connection.prepare_cached("RELEASE job")?.execute([])?;
    Ok(())
}
