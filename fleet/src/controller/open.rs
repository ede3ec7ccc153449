//! Opening a controller: keys, certificates, store and blobs of one home. Never makes a key.

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, OnceLock, RwLock};

use muster_protocol::tuf::FleetDocument;

use super::recomputing::Recomputations;
use super::{Controller, Endpoints, Error, Hearers, Keys, Publication, brokers};
use crate::authority::Authority;
use crate::blobs::Blobs;
use crate::config::Config;
use crate::drift::References;
use crate::error::{Exit, OperatorError};
use crate::home::{self, Home};
use crate::ingest::{Rates, UnsentAcks};
use crate::renew::Offers;
use crate::store::{Store, StoreError};

/// The epoch before the first `fleet.json` says another.
const FIRST_EPOCH: u64 = 1;

/// Publishes the first metadata of a home whose configuration is not written yet.
///
/// # Errors
/// As [`Controller::open`], and a refusal of the metadata.
pub(crate) async fn found(home: &Home, publication: Publication) -> Result<(), OperatorError> {
    let controller = open(home, home, &Config::default())?;
    let published = controller.publish(publication).await;
    published.map(drop).map_err(|error| {
        let hint = "this is a bug if the keys are those of this home";
        OperatorError::new(Exit::Refused, "publish the first metadata", error, hint)
    })
}

/// Whether the files of a home are those of a controller, but for its store.
///
/// # Errors
/// The first that is missing or not what it should be.
pub(crate) fn check(home: &Home) -> Result<(), OperatorError> {
    Config::read(home)?;
    Keys::read(home)?;
    Authority::load(home)?;
    home::read_api_token(home).map(drop)
}

/// Opens `home` with the keys and the certificates that lie in another.
pub(super) fn open(home: &Home, keys: &Home, config: &Config) -> Result<Controller, OperatorError> {
    let blobs = Blobs::open(&home.blobs()).map_err(|error| {
        let hint = "is the disk writable, and has it room?";
        OperatorError::new(Exit::Resource, "open the blobs", error, hint)
    })?;
    let store = Store::open(&home.database()).map_err(not_open)?;
    let fleet = newest_fleet(&store).map_err(not_open)?;
    let controller = Controller {
        blobs,
        keys: Keys::read(keys)?,
        authority: Arc::new(Authority::load(keys)?),
        topic_prefix: config.topic_prefix.clone(),
        device_certificate_days: config.device_certificate_days,
        endpoints: RwLock::new(Endpoints {
            broker_url: config.broker_url_for(config.broker_listen.port()),
            enroll_url: config.enroll_url_for(config.enroll_listen.port()),
        }),
        named_broker: RwLock::new(fleet.as_ref().and_then(brokers::broker_of)),
        revocations: tokio::sync::Mutex::new(home.revocations_pem()),
        epoch: AtomicU64::new(fleet.map_or(FIRST_EPOCH, |fleet| fleet.director_epoch)),
        serials: RwLock::new(
            store
                .look(|tx| tx.newest_serials())
                .map_err(not_open)?
                .into_iter()
                .collect(),
        ),
        offers: Mutex::new(Offers::default()),
        rates: Mutex::new(Rates::default()),
        known_keys: Arc::default(),
        unsent_acks: UnsentAcks::default(),
        outgoing: OnceLock::new(),
        publishing: tokio::sync::Mutex::new(()),
        references: Arc::new(References::default()),
        cards: config.cards.clone(),
        hearers: Hearers::of(config),
        recomputations: Recomputations::default(),
        metrics: config.metrics,
        store,
    };
    Ok(controller)
}

fn newest_fleet(store: &Store) -> Result<Option<FleetDocument>, StoreError> {
    let newest = store.look(|tx| tx.metadata("fleet.json", None))?;
    // It was parsed before it was stored.
    Ok(newest.and_then(|(_, bytes)| FleetDocument::parse(&bytes).ok()))
}

fn not_open(error: StoreError) -> OperatorError {
    let hint = match error {
        StoreError::Newer { .. } => "use the program that wrote it",
        StoreError::Full => "free some space on this disk",
        StoreError::Open { .. }
        | StoreError::Failed { .. }
        | StoreError::Stopped
        | StoreError::Panicked => "run as the owner of the home, and no other program on this file",
    };
    OperatorError::new(Exit::Resource, "open the store", error, hint)
}

impl From<Error> for OperatorError {
    fn from(error: Error) -> Self {
        let hint = "look into the log of `muster serve`";
        Self::new(Exit::Resource, "run the controller", error, hint)
    }
}
