//! A shadow: the task that runs a release beside what serves, on a sample of the same requests.
//!
//! It answers nobody, and nobody waits for it: what it is too busy for, or may not spend, is
//! skipped. Never judges how well it agrees: the fleet does.

mod compare;
mod cpu_budget;
mod tap;
mod task;

pub use cpu_budget::CpuBudget;
pub use tap::{Sample, Share, Tap};

use super::{Event, Plan, Vitals};
use muster_protocol::digest::Digest;
use std::sync::{Arc, Mutex};
use tokio::sync::{mpsc, oneshot};

/// Samples that wait for one shadow, at most: each may hold large tensors.
const SAMPLES_MAX: usize = 4;

/// How the supervisor speaks to the task of a shadow. Dropping it ends the task.
#[derive(Debug)]
pub struct Handle {
    /// What runs.
    pub bundle: Digest,
    /// For the tap.
    pub samples: mpsc::Sender<Sample>,
    /// Process id of the worker and its memory, as last seen.
    pub vitals: Arc<Mutex<Vitals>>,
    end: Option<oneshot::Sender<()>>,
}

impl Handle {
    /// Asks the task to end.
    pub fn end(&mut self) {
        self.end.take();
    }

    /// Whether it was asked to end.
    pub const fn is_ending(&self) -> bool {
        self.end.is_none()
    }
}

/// Starts the task of a shadow on this thread's runtime.
#[must_use]
pub fn start(plan: Plan, tap: Arc<Tap>, events: mpsc::Sender<Event>) -> Handle {
    let (samples, taken) = mpsc::channel(SAMPLES_MAX);
    let (end, ended) = oneshot::channel();
    let vitals = Arc::new(Mutex::new(Vitals::default()));
    let bundle = plan.release.bundle;
    tokio::spawn(task::Task::new(plan, tap, events, vitals.clone()).run(taken, ended));
    Handle {
        bundle,
        samples,
        vitals,
        end: Some(end),
    }
}

#[cfg(test)]
mod tests;
