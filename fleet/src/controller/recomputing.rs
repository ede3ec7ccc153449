//! The recomputation of all alarms: one at a time, in the background, for as long as it takes; its
//! result stays until the next one begins, or the program ends.
//!
//! Changes nothing in the store.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;
use tokio::sync::watch;

use super::{Controller, Error};
use crate::store::{StoreError, Tx};
use crate::watching::{Replayed, replay};

/// What came of it; none while it runs.
type Outcome = Option<Result<Replayed, StoreError>>;

/// The newest recomputation, if there was one.
#[derive(Default)]
pub(crate) struct Recomputations(Mutex<Option<Recomputation>>);

#[derive(Clone)]
struct Recomputation {
    number: u64,
    result: watch::Receiver<Outcome>,
}

/// How a recomputation stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub(crate) enum RecomputationState {
    /// It goes on.
    Running,
    /// It came to an end, with this.
    Done(Replayed),
}

impl Recomputation {
    /// Whether it goes on; one that panicked does not.
    fn runs(&self) -> bool {
        self.result.borrow().is_none() && self.result.has_changed().is_ok()
    }
}

impl Controller {
    /// Begins to compute everything again from the windows that are there, or joins the one that does
    /// already; its number.
    pub(crate) fn recompute_drift(&self) -> u64 {
        let newest = &self.recomputations.0;
        let mut newest = newest.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(running) = newest.as_ref().filter(|running| running.runs()) {
            return running.number;
        }
        let number = newest.as_ref().map_or(1, |before| before.number + 1);
        let (sender, result) = watch::channel(None);
        let (store, sources) = (self.store.clone(), self.sources());
        tokio::spawn(async move {
            let again = move |tx: &Tx<'_>| replay(tx, &sources);
            let replayed = store.audit(again).await;
            let _nobody_waits = sender.send(Some(replayed));
        });
        *newest = Some(Recomputation { number, result });
        number
    }

    /// How a recomputation stands; waits for its end, but no longer than `wait`.
    ///
    /// # Errors
    /// [`Error::NotFound`] for one that is not known any more, and [`Error::Store`].
    pub(crate) async fn recomputation(
        &self,
        number: u64,
        wait: Duration,
    ) -> Result<RecomputationState, Error> {
        let newest = {
            let newest = &self.recomputations.0;
            let newest = newest.lock().unwrap_or_else(PoisonError::into_inner);
            newest.clone().filter(|newest| newest.number == number)
        };
        let mut newest = newest.ok_or_else(|| Error::NotFound {
            what: format!("recomputation {number}"),
        })?;
        let ended = newest.result.wait_for(Option::is_some);
        match tokio::time::timeout(wait, ended).await {
            Err(_) => Ok(RecomputationState::Running),
            Ok(Err(_)) => Err(StoreError::Panicked.into()),
            Ok(Ok(result)) => match &*result {
                None => Ok(RecomputationState::Running),
                Some(Ok(replayed)) => Ok(RecomputationState::Done(replayed.clone())),
                Some(Err(error)) => Err(error.clone().into()),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use tokio::sync::oneshot;

    use super::*;
    use crate::command::init;

    const LONG: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn one_runs_at_a_time_for_as_long_as_it_takes() {
        let folder = tempfile::tempdir().expect("a folder");
        let home = init::new_home(&folder.path().join("home")).await;
        let controller = Controller::open(&home).expect("a controller");
        // Something that takes long is before it.
        let (began, begun) = oneshot::channel();
        let (go, waits) = mpsc::channel::<()>();
        let store = controller.store().clone();
        let before = tokio::spawn(async move {
            let job = move |_: &Tx<'_>| {
                began.send(()).expect("it waits");
                Ok::<_, StoreError>(waits.recv().is_ok())
            };
            store.audit(job).await
        });
        begun.await.expect("it began");
        let number = controller.recompute_drift();
        assert_eq!(controller.recompute_drift(), number, "it is the same one");
        let stands = controller.recomputation(number, Duration::ZERO).await;
        assert_eq!(stands.expect("known"), RecomputationState::Running);
        go.send(()).expect("it waits");
        assert!(before.await.expect("joined").expect("answered"));
        let ended = controller.recomputation(number, LONG).await;
        let RecomputationState::Done(replayed) = ended.expect("known") else {
            panic!("it has ended");
        };
        assert_eq!((replayed.windows, replayed.differences.len()), (0, 0));
        let again = controller.recomputation(number, Duration::ZERO).await;
        assert_eq!(again.expect("kept"), RecomputationState::Done(replayed));
        let next = controller.recompute_drift();
        assert_eq!(next, number + 1);
        let gone = controller.recomputation(number, Duration::ZERO).await;
        assert!(matches!(gone, Err(Error::NotFound { .. })), "{gone:?}");
    }
}
