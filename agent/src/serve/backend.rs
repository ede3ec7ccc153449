//! The seam between the server and the tasks that own the workers.
//!
//! The supervisor swaps what is behind a model's name; the server only looks it up and queues.
//! Never waits while the table is locked.

use crate::serving::{Columns, Predictions};
use crate::tensor::{Signature, Tensor};
use muster_protocol::digest::Digest;
use muster_protocol::id::ModelId;
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use tokio::sync::{mpsc, oneshot};

/// What answers requests, by model: cheap to clone, all clones show the same table.
///
/// A swap without a failed request: [`Routes::set`] the new route, then let the old task receive
/// until its channel ends. It ends by itself: the table's sender went with the old route, and the
/// server holds one only while it queues.
#[derive(Clone, Debug, Default)]
pub struct Routes {
    inner: Arc<RwLock<BTreeMap<ModelId, Route>>>,
}

/// Where the requests for one model go.
#[derive(Clone, Debug)]
pub struct Route {
    /// Version that serves, as metadata shows it.
    pub version: String,
    /// Bundle that serves.
    pub bundle: Digest,
    /// What its model takes and gives; inputs are arranged by it before they are queued.
    pub signature: Arc<Signature>,
    /// What its bundle calls the elements of its inputs, as metadata shows it.
    pub columns: Arc<Columns>,
    /// What is remembered of the predictions of its model, whichever bundle made them: gone with
    /// the last route of the model.
    pub predictions: Arc<Predictions>,
    /// Bounded queue of the task that owns the worker.
    pub requests: mpsc::Sender<Job>,
    /// Whether requests may be queued.
    pub readiness: Readiness,
}

/// Whether a route answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// Answers now.
    Ready,
    /// Will answer soon: requests are queued, but it does not count as ready.
    Starting,
    /// Does not answer: requests are refused.
    Unavailable {
        /// Why, one line.
        because: String,
    },
}

/// One request. A dropped `reply` makes the server ask again, once, on the route of that moment.
///
/// `reply.is_closed()` says that the client has gone: no need to compute.
#[derive(Debug)]
pub struct Job {
    /// In the model's order, names, datatypes and shapes as in the signature.
    pub inputs: Vec<Tensor>,
    /// By what labels will name the prediction; without one, nobody can.
    pub id: Option<String>,
    /// Where the answer goes.
    pub reply: oneshot::Sender<Result<Answer, Failure>>,
}

/// A prediction.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// All outputs of the model, in any order.
    pub outputs: Vec<Tensor>,
    /// Version that computed them.
    pub version: String,
}

/// Why there is no prediction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The inputs are at fault (400).
    Input(String),
    /// The model failed on these inputs and serves on (500).
    Run {
        /// Operator and reason, one line.
        because: String,
    },
    /// The worker crashed, hung, or is not there (503, worth trying again).
    Worker {
        /// Why, one line.
        because: String,
    },
    /// Too much to do (429, worth trying again).
    Busy,
}

impl Routes {
    /// Routes of a device without models.
    pub fn new() -> Routes {
        Routes::default()
    }

    /// Sends a model's requests to `route` from now on; gives back the route before.
    pub fn set(&self, model: ModelId, route: Route) -> Option<Route> {
        self.write().insert(model, route)
    }

    /// Takes a model out; requests for it are then answered with 404.
    pub fn remove(&self, model: &ModelId) -> Option<Route> {
        self.write().remove(model)
    }

    /// Changes whether a model's route answers; nothing for an unknown model.
    pub fn set_readiness(&self, model: &ModelId, readiness: Readiness) {
        if let Some(route) = self.write().get_mut(model) {
            route.readiness = readiness;
        }
    }

    /// The route of a model at this moment. Do not keep it: it holds the old queue open.
    pub fn get(&self, model: &ModelId) -> Option<Route> {
        self.read().get(model).cloned()
    }

    /// All routes at this moment, by model. Do not keep them.
    pub fn list(&self) -> Vec<(ModelId, Route)> {
        let pairs = self.read();
        pairs
            .iter()
            .map(|(model, route)| (model.clone(), route.clone()))
            .collect()
    }

    fn read(&self) -> RwLockReadGuard<'_, BTreeMap<ModelId, Route>> {
        self.inner.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, BTreeMap<ModelId, Route>> {
        self.inner.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Readiness {
    /// Whether it answers now.
    pub fn is_ready(&self) -> bool {
        *self == Readiness::Ready
    }

    /// What keeps it from answering; empty when it is ready.
    pub fn reason(&self) -> &str {
        match self {
            Readiness::Ready => "",
            Readiness::Starting => "its worker is starting",
            Readiness::Unavailable { because } => because,
        }
    }
}
