//! The first signed metadata of a fleet: root, targets and `fleet.json`, each role with one key.
//!
//! Snapshot and timestamp are the controller's to sign, when it publishes these.

use ed25519_dalek::SigningKey;
use muster_protocol::time::UnixSeconds;
use muster_protocol::tuf::author::key_of;
use muster_protocol::tuf::fleet_document::{Director, Endpoints, PATH};
use muster_protocol::tuf::{Envelope, FleetDocument, Hex, Role, Root, TargetFile, Targets};

use crate::config::Config;
use crate::error::{Exit, OperatorError};
use crate::home::Home;
use crate::key_file;
use crate::publish::Publication;

/// Life of the first root: the ceremony that replaces it is rare.
const ROOT_DAYS: u64 = 5 * 365;
/// Life of targets: renewed with every key or floor that changes, and at least once a year.
const TARGETS_DAYS: u64 = 365;

/// The keys of a new fleet.
pub(super) struct Keys {
    root: SigningKey,
    targets: SigningKey,
    snapshot: SigningKey,
    timestamp: SigningKey,
    director: SigningKey,
    ack: SigningKey,
    time: SigningKey,
}

impl Keys {
    /// Makes them all and writes each to its file.
    pub(super) fn create(home: &Home) -> Result<Self, OperatorError> {
        Ok(Self {
            root: key_file::create(&home.root_key())?,
            targets: key_file::create(&home.targets_key())?,
            snapshot: key_file::create(&home.snapshot_key())?,
            timestamp: key_file::create(&home.timestamp_key())?,
            director: key_file::create(&home.director_key())?,
            ack: key_file::create(&home.ack_key())?,
            time: key_file::create(&home.time_key())?,
        })
    }
}

/// The first documents, signed.
pub(super) struct Documents {
    pub(super) root: Vec<u8>,
    pub(super) targets: Vec<u8>,
    pub(super) fleet: Vec<u8>,
}

/// Makes and signs them.
pub(super) fn write(
    keys: &Keys,
    config: &Config,
    ca_root_pem: &str,
    now: UnixSeconds,
) -> Result<Documents, OperatorError> {
    let fleet = fleet(keys, config, ca_root_pem, now)
        .encode()
        .map_err(failed)?;
    let mut targets = Targets::new(1, now.plus_days(TARGETS_DAYS).0);
    targets.add_target(PATH, TargetFile::of(&fleet, None));
    Ok(Documents {
        root: Envelope::signed_bytes(&root(keys, now), &[&keys.root]).map_err(failed)?,
        targets: Envelope::signed_bytes(&targets, &[&keys.targets]).map_err(failed)?,
        fleet,
    })
}

/// Hands them to the controller, which verifies them and signs snapshot and timestamp.
pub(super) async fn publish(home: &Home, documents: Documents) -> Result<(), OperatorError> {
    let publication = Publication {
        root: Some(documents.root),
        targets: Some(documents.targets),
        delegated: Vec::new(),
        target_files: vec![(PATH.to_owned(), documents.fleet)],
    };
    crate::controller::found(home, publication).await
}

fn root(keys: &Keys, now: UnixSeconds) -> Root {
    let mut root = Root::new(1, now.plus_days(ROOT_DAYS).0);
    for (role, key) in [
        (Role::Root, &keys.root),
        (Role::Targets, &keys.targets),
        (Role::Snapshot, &keys.snapshot),
        (Role::Timestamp, &keys.timestamp),
    ] {
        root.authorize(&role, &[key_of(key)], 1);
    }
    root
}

fn fleet(keys: &Keys, config: &Config, ca_root_pem: &str, now: UnixSeconds) -> FleetDocument {
    let public = |key: &SigningKey| vec![Hex(key.verifying_key().to_bytes())];
    FleetDocument {
        version: 1,
        issued_at_s: now.0,
        director_epoch: 1,
        director: Director {
            keys: public(&keys.director),
            threshold: 1,
        },
        ack_keys: public(&keys.ack),
        time_keys: public(&keys.time),
        ca_certificates: vec![ca_root_pem.to_owned()],
        endpoints: Endpoints {
            mqtt: config.broker_url_for(config.broker_listen.port()),
            enroll: config.enroll_url_for(config.enroll_listen.port()),
        },
        floor: Default::default(),
        revoked: Default::default(),
    }
}

fn failed(error: impl std::fmt::Display) -> OperatorError {
    let hint = "shorten host names if they are very long; otherwise report this";
    OperatorError::new(Exit::Bug, "write the first metadata", error, hint)
}
