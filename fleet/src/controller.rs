//! The controller: store, blobs, keys and what goes out to devices, behind one handle that the
//! API and the broker call.
//!
//! Knows neither HTTP nor SQL nor MQTT. Whatever it sends was committed before.

use std::collections::BTreeMap;
use std::num::NonZeroU16;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};

use muster_protocol::id::{DeviceId, Epoch};
use muster_protocol::topic::{self, Down};
use muster_protocol::tuf::FleetDocument;
use tokio::sync::mpsc;

use crate::authority::Authority;
use crate::blobs::Blobs;
use crate::broker::Retain;
use crate::clock;
use crate::config::{Cards, Config, MetricsAccess};
use crate::dispatch::{Director, When, dispatch_one_of_many};
use crate::drift::References;
use crate::endpoint::MqttUrl;
use crate::error::OperatorError;
use crate::home::Home;
use crate::ingest::{KnownKeys, Rates, UnsentAcks};
use crate::renew::Offers;
use crate::store::{NewestSerial, Store, StoredAssignment, Tx};

mod alerts;
mod brokers;
mod cards;
mod connections;
mod content;
mod drift;
mod enrolment;
mod error;
mod executor;
mod incidents;
mod keys;
mod kpis;
mod open;
mod overview;
mod recomputing;
mod renewal;
mod retraining;
mod rollouts;
mod stick;
#[cfg(test)]
mod tests;
mod views;
mod watching;

pub(crate) use crate::publish::Publication;
pub(crate) use error::Error;
pub(crate) use incidents::Hearers;
pub(crate) use keys::Keys;
pub(crate) use open::{check, found};
pub(crate) use overview::{DeviceLook, DevicesLook, FleetLook, ModelLook, Spread, WhichDevices};
pub(crate) use stick::Parcel;

use recomputing::Recomputations;

/// Messages that may wait for the broker: beyond it, those who answer devices wait.
const OUTGOING_MAX: usize = 256;

/// Where devices reach this controller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Endpoints {
    /// `mqtts://host:port`.
    pub(crate) broker_url: String,
    /// `https://host:port`.
    pub(crate) enroll_url: String,
}

/// What the broker is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outgoing {
    /// Publish.
    Message {
        /// Where.
        topic: String,
        /// What.
        payload: Vec<u8>,
        /// Whether it is kept as a hint.
        retain: Retain,
    },
    /// End the session of a device whose certificate is no longer the newest.
    Disconnect(DeviceId),
}

/// The handle.
pub(crate) struct Controller {
    store: Store,
    blobs: Blobs,
    keys: Keys,
    authority: Arc<Authority>,
    topic_prefix: String,
    device_certificate_days: NonZeroU16,
    endpoints: RwLock<Endpoints>,
    /// The broker that the newest `fleet.json` names.
    named_broker: RwLock<Option<MqttUrl>>,
    /// Where the list of replaced certificates is written, by one at a time.
    revocations: tokio::sync::Mutex<PathBuf>,
    epoch: AtomicU64,
    /// The newest certificate of each device.
    serials: RwLock<BTreeMap<DeviceId, NewestSerial>>,
    /// Of renewals.
    offers: Mutex<Offers>,
    rates: Mutex<Rates>,
    known_keys: Arc<KnownKeys>,
    unsent_acks: UnsentAcks,
    outgoing: OnceLock<mpsc::Sender<Outgoing>>,
    publishing: tokio::sync::Mutex<()>,
    references: Arc<References>,
    /// What the card of a release must say before it is rolled out.
    cards: Cards,
    /// Whom alerts go to.
    hearers: Hearers,
    recomputations: Recomputations,
    metrics: MetricsAccess,
}

impl Controller {
    /// Opens the controller of a home. Until [`Controller::outgoing`] is called, what it sends
    /// goes nowhere.
    ///
    /// # Errors
    /// A key, a certificate or a store that is missing or not what it should be.
    pub(crate) fn open(home: &Home) -> Result<Self, OperatorError> {
        open::open(home, home, &Config::read(home)?)
    }

    /// As [`Controller::open`], with the keys and certificates that wait in `keys`.
    ///
    /// # Errors
    /// As [`Controller::open`].
    pub(crate) fn open_with(home: &Home, keys: &Home) -> Result<Self, OperatorError> {
        open::open(home, keys, &Config::read(home)?)
    }

    /// The messages that go out from now on; only the first caller gets them.
    pub(crate) fn outgoing(&self) -> Option<mpsc::Receiver<Outgoing>> {
        let (sender, receiver) = mpsc::channel(OUTGOING_MAX);
        self.outgoing.set(sender).ok().map(|()| receiver)
    }

    /// Where devices reach it, once the real ports are known.
    pub(crate) fn set_endpoints(&self, endpoints: Endpoints) {
        *self
            .endpoints
            .write()
            .unwrap_or_else(PoisonError::into_inner) = endpoints;
    }

    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    pub(crate) fn blobs(&self) -> &Blobs {
        &self.blobs
    }

    pub(crate) fn keys(&self) -> &Keys {
        &self.keys
    }

    pub(crate) fn authority(&self) -> &Authority {
        &self.authority
    }

    pub(crate) fn metrics_access(&self) -> MetricsAccess {
        self.metrics
    }

    pub(crate) fn topic_prefix(&self) -> &str {
        &self.topic_prefix
    }

    /// Held while one publication is verified and stored.
    pub(crate) fn publishing(&self) -> &tokio::sync::Mutex<()> {
        &self.publishing
    }

    pub(crate) fn known_keys(&self) -> Arc<KnownKeys> {
        Arc::clone(&self.known_keys)
    }

    pub(crate) fn unsent_acks(&self) -> &UnsentAcks {
        &self.unsent_acks
    }

    pub(crate) fn rates_lock(&self) -> &Mutex<Rates> {
        &self.rates
    }

    pub(crate) fn director(&self) -> Director {
        let epoch = Epoch(self.epoch.load(Ordering::SeqCst));
        Director {
            key: self.keys.director.clone(),
            epoch,
        }
    }

    /// Sends to one device.
    pub(crate) async fn send(
        &self,
        device: &DeviceId,
        what: Down,
        payload: Vec<u8>,
        retain: Retain,
    ) {
        let topic = topic::down(&self.topic_prefix, device, what);
        self.send_to(topic.as_str(), payload, retain).await;
    }

    /// Sends. A broker that is gone hears nothing: devices ask again when it is back.
    pub(crate) async fn send_to(&self, topic: &str, payload: Vec<u8>, retain: Retain) {
        let message = Outgoing::Message {
            topic: topic.to_owned(),
            payload,
            retain,
        };
        self.send_out(message).await;
    }

    async fn send_out(&self, what: Outgoing) {
        if let Some(outgoing) = self.outgoing.get() {
            let _stopping = outgoing.send(what).await;
        }
    }

    /// Follows a `fleet.json` that was published: devices that enrol are told its broker, and
    /// under a new epoch every device gets a new assignment.
    pub(crate) async fn follow(&self, document: FleetDocument) -> Result<(), Error> {
        self.name_broker(&document);
        let before = self.epoch.swap(document.director_epoch, Ordering::SeqCst);
        if before == document.director_epoch {
            return Ok(());
        }
        let (director, now) = (self.director(), clock::now());
        let compose = move |tx: &Tx<'_>| -> Result<Vec<_>, Error> {
            let mut made = Vec::new();
            for (device, _) in tx.inventory()? {
                if tx.newest_assignment(&device)?.is_some() {
                    let assignment =
                        dispatch_one_of_many(tx, &director, &device, When::Always, now)?;
                    made.extend(assignment.map(|assignment| (device, assignment)));
                }
            }
            Ok(made)
        };
        let made = self.store.write(compose).await?;
        self.send_assignments(made).await;
        Ok(())
    }

    /// Sends assignments that were committed.
    async fn send_assignments(&self, assignments: Vec<(DeviceId, StoredAssignment)>) {
        for (device, assignment) in assignments {
            self.send(&device, Down::Assignment, assignment.document, Retain::Yes)
                .await;
        }
    }
}
