//! Alerts that were written: which there are, once more, and as a trial. Never sends one.

use muster_fleet::incident::{Event, EventType, Person};
use serde_json::json;

use super::{Controller, Error};
use crate::clock;
use crate::store::{AlertRow, Page, Paged, Replay, Replayed, Tx};

impl Controller {
    /// Alerts in the order in which they were made.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub(crate) async fn alerts(
        &self,
        state: Option<String>,
        webhook: Option<String>,
        page: Page,
    ) -> Result<Paged<AlertRow>, Error> {
        let work = move |tx: &Tx<'_>| Ok(tx.alerts(state.as_deref(), webhook.as_deref(), &page)?);
        self.store.read(work).await
    }

    /// One alert.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub(crate) async fn alert(&self, alert: i64) -> Result<AlertRow, Error> {
        self.store.read(move |tx| alert_row(tx, alert)).await
    }

    /// Lets alerts go out once more, but for those to webhooks that there are no longer.
    ///
    /// # Errors
    /// [`Error::NotFound`], and [`Error::Refused`] for one alert to such a webhook.
    pub(crate) async fn replay_alerts(
        &self,
        which: Replay,
        person: Person,
    ) -> Result<Replayed, Error> {
        let (known, now) = (self.webhooks(), clock::now());
        let work = move |tx: &Tx<'_>| {
            if let Replay::One(alert) = which {
                let webhook = alert_row(tx, alert)?.webhook;
                if !known.contains(&webhook) {
                    return Err(Error::Refused {
                        why: format!(
                            "alert {alert} goes to the webhook {webhook:?}, which muster.toml does \
                             not have: hint: add [[webhooks]] of that name there, and start \
                             `muster serve` again"
                        ),
                    });
                }
            }
            Ok(tx.replay_alerts(which, &known, &person, now)?)
        };
        self.store.write(work).await
    }

    fn webhooks(&self) -> Vec<String> {
        let listeners = self.hearers.listeners.iter();
        listeners.map(|listener| listener.name.clone()).collect()
    }

    /// Writes an alert that tries whether a webhook is reached.
    ///
    /// # Errors
    /// [`Error::NotFound`] for a webhook that there is not.
    pub(crate) async fn test_alert(
        &self,
        webhook: String,
        person: Person,
    ) -> Result<AlertRow, Error> {
        if !self.webhooks().contains(&webhook) {
            let what = format!("a webhook {webhook:?} in muster.toml");
            return Err(Error::NotFound { what });
        }
        let (source, now) = (self.hearers.source.clone(), clock::now());
        let work = move |tx: &Tx<'_>| {
            let data = json!({ "webhook": webhook, "operator": person.name() });
            let kind = EventType::AlertTest;
            let event = Event::new(kind, &source, "alerts/test", now, &data);
            let alert = tx.add_test_alert(&event, &webhook, &person, now)?;
            alert_row(tx, alert)
        };
        self.store.write(work).await
    }

    /// Gives up alerts to webhooks that are not among `known`; how many.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub(crate) async fn give_up_strangers(&self, known: Vec<String>) -> Result<usize, Error> {
        let now = clock::now();
        let work = move |tx: &Tx<'_>| Ok(tx.give_up_strangers(&known, now)?);
        self.store.write(work).await
    }
}

fn alert_row(tx: &Tx<'_>, alert: i64) -> Result<AlertRow, Error> {
    tx.alert(alert)?.ok_or_else(|| Error::NotFound {
        what: format!("alert {alert}"),
    })
}
