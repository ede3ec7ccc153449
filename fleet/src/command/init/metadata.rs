//! The first signed metadata of a fleet: root, targets and `fleet.json`, each role with one key.
//!
//! Snapshot and timestamp are the controller's to sign, when it publishes these.

use ed25519_dalek::SigningKey;
use muster_protocol::time::UnixSeconds;
use muster_protocol::tuf::author::key_of;
use muster_protocol::tuf::fleet_document::{Director, Endpoints, PATH};
use muster_protocol::tuf::{Envelope, FleetDocument, Hex, Role, Root, TargetFile, Targets};

use crate::config::Config;
use crate::controller;
use crate::error::{Exit, OperatorError};
use crate::home::Home;
use crate::key_file;
use crate::own_metadata::{ROOT_DAYS, TARGETS_DAYS};
use crate::publish::Publication;

/// The keys of a new fleet.
pub(super) struct Keys {
    root: SigningKey,
    targets: SigningKey,
    online: controller::Keys,
}

impl Keys {
    /// Makes them all and writes each to its file.
    pub(super) fn create(home: &Home) -> Result<Self, OperatorError> {
        let online = controller::Keys::generate()?;
        for (path, key) in online.files(home) {
            key_file::write_new(&path, key)?;
        }
        Ok(Self {
            root: key_file::create(&home.root_key())?,
            targets: key_file::create(&home.targets_key())?,
            online,
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
    controller::found(home, publication).await
}

fn root(keys: &Keys, now: UnixSeconds) -> Root {
    let mut root = Root::new(1, now.plus_days(ROOT_DAYS).0);
    for (role, key) in [
        (Role::Root, &keys.root),
        (Role::Targets, &keys.targets),
        (Role::Snapshot, &keys.online.snapshot),
        (Role::Timestamp, &keys.online.timestamp),
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
            keys: public(&keys.online.director),
            threshold: 1,
        },
        ack_keys: public(&keys.online.ack),
        time_keys: public(&keys.online.time),
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
