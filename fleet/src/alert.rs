//! Alerts go out: what waits in the store is posted to its webhook, tried again, or given up.
//!
//! At least once, in the order in which alerts are due. Decides nothing about incidents, and keeps
//! nothing: what a try came to is in the store before the next one.

mod secret;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use muster_fleet::incident::next;
use muster_protocol::digest::Digest;
use muster_protocol::time::UnixSeconds;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use crate::client::webhook::{self, Outbound, Trust};
use crate::clock;
use crate::config::{Config, Scheme, WebhookUrl};
use crate::controller::{Controller, Error};
use crate::error::OperatorError;
use crate::home::Home;
use crate::store::{DueAlert, Store};

use secret::Secret;

/// How often it is looked what is due.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Longest that one try may take, from the connection to the answer.
const TRY_MAX: Duration = Duration::from_secs(10);
/// Alerts of one look.
const LOOK_MAX: u32 = 16;

/// One webhook with what it takes to post to it.
pub(crate) struct Postman {
    name: String,
    url: WebhookUrl,
    secret: Secret,
    trust: Option<Trust>,
    try_max: Duration,
}

/// What one look came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Round {
    /// Alerts that were taken.
    pub(crate) delivered: usize,
    /// Tries that failed.
    pub(crate) failed: usize,
}

/// The webhooks of a configuration.
///
/// # Errors
/// A secret that is missing, that others may read, or that is none; no CA of the system.
pub(crate) fn postmen(config: &Config, home: &Home) -> Result<Vec<Postman>, OperatorError> {
    let is_tls = |scheme: Scheme| scheme == Scheme::Https;
    let any_tls = config.webhooks.iter().any(|one| is_tls(one.url.scheme));
    let trust = any_tls.then(webhook::system_trust).transpose()?;
    let postman = |one: &crate::config::Webhook| {
        Ok(Postman {
            name: one.name.clone(),
            url: one.url.clone(),
            secret: Secret::read(&home.folder().join(&one.secret_file), &one.name)?,
            trust: trust.clone().filter(|_| is_tls(one.url.scheme)),
            try_max: TRY_MAX,
        })
    };
    config.webhooks.iter().map(postman).collect()
}

/// Delivers until it is dropped: each webhook by itself, so that none waits for another.
pub(crate) async fn deliver(controller: Arc<Controller>, postmen: Vec<Postman>) {
    let names: Vec<_> = postmen.iter().map(|postman| postman.name.clone()).collect();
    match controller.give_up_strangers(names).await {
        Ok(0) => {}
        Ok(count) => tracing::warn!(count, "gave up alerts to webhooks that are not configured"),
        Err(error) => tracing::error!("failed to look at waiting alerts: because {error}"),
    }
    let mut all = JoinSet::new();
    for postman in postmen {
        let controller = Arc::clone(&controller);
        all.spawn(async move { postman.keep_delivering(controller.store()).await });
    }
    while all.join_next().await.is_some() {}
}

impl Postman {
    async fn keep_delivering(self, store: &Store) {
        let mut looks = tokio::time::interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            looks.tick().await;
            if let Err(error) = self.look(store, clock::now).await {
                let name = &self.name;
                tracing::error!("failed to deliver alerts to {name}: because {error}");
            }
        }
    }

    /// Tries every alert that is due, one after the other, each at its own time: a receiver refuses
    /// what was signed long ago, and tries before it may have taken long.
    async fn look(&self, store: &Store, clock: impl Fn() -> UnixSeconds) -> Result<Round, Error> {
        let (name, begun) = (self.name.clone(), clock());
        let due = store
            .read::<_, Error>(move |tx| Ok(tx.due_alerts(&name, begun, LOOK_MAX)?))
            .await?;
        let mut round = Round::default();
        for alert in due {
            let tried = self.post(&alert, clock()).await;
            match tried {
                Ok(()) => round.delivered += 1,
                Err(_) => round.failed += 1,
            }
            self.note(store, &alert, tried, clock()).await?;
        }
        Ok(round)
    }

    async fn post(&self, alert: &DueAlert, now: UnixSeconds) -> Result<(), String> {
        let signature = self.secret.sign(&alert.event, now, &alert.body);
        let outbound = Outbound {
            url: &self.url,
            trust: self.trust.as_ref(),
            headers: [
                ("webhook-id", alert.event.clone()),
                ("webhook-timestamp", now.0.to_string()),
                ("webhook-signature", signature),
            ],
            content_type: "application/cloudevents+json; charset=UTF-8",
            body: alert.body.clone(),
        };
        webhook::post(outbound, self.try_max).await
    }

    async fn note(
        &self,
        store: &Store,
        alert: &DueAlert,
        tried: Result<(), String>,
        now: UnixSeconds,
    ) -> Result<(), Error> {
        let (number, mut tries, seed) = (alert.alert, alert.tries, self.seed(alert));
        let Err(problem) = tried else {
            let note = store.write::<_, Error>(move |tx| Ok(tx.note_delivered(number, now)?));
            return note.await;
        };
        let name = &self.name;
        tracing::warn!(
            alert = number,
            "failed to deliver to {name}: because {problem}"
        );
        tries.failed = tries.failed.saturating_add(1);
        let next = next(tries, now, seed);
        let note = move |tx: &crate::store::Tx<'_>| {
            Ok::<_, Error>(tx.note_failed(number, &problem, next, now)?)
        };
        store.write(note).await
    }

    /// The same for one alert and webhook, another for every other.
    fn seed(&self, alert: &DueAlert) -> u64 {
        let digest = Digest::of(format!("{} {}", alert.event, self.name).as_bytes());
        let first: [u8; 8] = std::array::from_fn(|at| digest.0[at]);
        u64::from_be_bytes(first)
    }
}
