//! Who this device is: its keys, certificate, CA and root metadata, as enrolment left them.
//!
//! Never asks the network. `enrolment.json` is written last: without it nobody is enrolled.

use super::address::{Broker, TopicPrefix};
use super::disk::Folder;
use super::reply::Accepted;
use super::{EnrollError, keys};
use crate::tls::{Anchors, Credentials};
use ed25519_dalek::SigningKey;
use muster_protocol::id::DeviceId;
use muster_protocol::limits::{ENROLMENT_BYTES_MAX, METADATA_BYTES_MAX};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

pub(super) const DOCUMENT_KEY: &str = "document.key";
pub(super) const TLS_KEY: &str = "tls.key";
/// The key of a renewal that is under way.
pub(super) const NEXT_TLS_KEY: &str = "tls.next.key";
/// Key and chain after a renewal: one file, so that no power cut parts them.
const RENEWED: &str = "renewed.pem";
const CHAIN: &str = "chain.pem";
const CA: &str = "ca.pem";
const ROOT: &str = "root.json";
const ENROLMENT: &str = "enrolment.json";
/// Every other file is smaller than a reply.
const FILE_BYTES_MAX: usize = ENROLMENT_BYTES_MAX;

/// The identity of an enrolled device.
#[derive(Debug)]
pub struct Identity {
    /// Its name.
    pub device: DeviceId,
    /// Signs its documents.
    pub document_key: SigningKey,
    /// What it shows in TLS.
    pub credentials: Credentials,
    /// Whom it trusts in TLS until there is a `fleet.json`.
    pub anchors: Anchors,
    /// The root metadata whose digest the token carried.
    pub root: Vec<u8>,
    /// The broker, until `fleet.json` names one.
    pub broker: Broker,
    /// First levels of all topics.
    pub topic_prefix: TopicPrefix,
}

/// Why there is no identity to work with.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// Nobody has enrolled this machine.
    #[error(
        "failed to load the device's identity: because this machine is not enrolled ({folder} \
         is missing or incomplete): hint: run `muster-agent enroll TOKEN`"
    )]
    NotEnrolled {
        /// Where it should lie.
        folder: PathBuf,
    },
    /// A file that cannot be read.
    #[error("failed to read {path}: because {because}: hint: run as the user of the agent")]
    File {
        /// Which.
        path: PathBuf,
        /// What the system says.
        because: io::Error,
    },
    /// A file that is not what it should be.
    #[error(
        "failed to use {path}: because {because}: hint: restore it, or move the folder away and \
         enroll with a new token"
    )]
    Broken {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        because: String,
    },
}

/// `enrolment.json`.
#[derive(Serialize, Deserialize)]
struct Enrolment {
    device: String,
    broker: String,
    topic_prefix: String,
}

impl Identity {
    /// Reads the identity under a state folder.
    ///
    /// # Errors
    /// [`IdentityError`].
    pub fn load(state: &Path) -> Result<Self, IdentityError> {
        let folder = folder(state);
        let path = |name: &str| folder.join(name);
        let (device, enrolment) =
            read_enrolment(&folder)?.ok_or_else(|| IdentityError::NotEnrolled {
                folder: folder.clone(),
            })?;
        let broken = |error: &dyn fmt::Display| IdentityError::broken(&path(ENROLMENT), error);
        Ok(Self {
            device,
            document_key: keys::read_document(&path(DOCUMENT_KEY))?,
            credentials: credentials(&folder)?,
            anchors: anchors(&path(CA))?,
            root: read(&path(ROOT), METADATA_BYTES_MAX)?,
            broker: Broker::parse(&enrolment.broker).map_err(|error| broken(&error))?,
            topic_prefix: TopicPrefix::parse(&enrolment.topic_prefix)
                .map_err(|error| broken(&error))?,
        })
    }
}

impl IdentityError {
    pub(super) fn broken(path: &Path, because: impl fmt::Display) -> Self {
        Self::Broken {
            path: path.to_owned(),
            because: because.to_string(),
        }
    }
}

/// Where the identity lies.
pub(super) fn folder(state: &Path) -> PathBuf {
    state.join("identity")
}

/// Who this machine is, if it is enrolled.
pub(super) fn device(state: &Path) -> Result<Option<DeviceId>, IdentityError> {
    Ok(read_enrolment(&folder(state))?.map(|(device, _)| device))
}

/// Writes what the fleet answered; the keys are there already. A power cut in between leaves
/// files that belong to the same device and keys, and asking again repairs them.
pub(super) fn write(folder: &Folder, accepted: &Accepted<'_>) -> Result<(), EnrollError> {
    let enrolment = Enrolment {
        device: accepted.device.to_string(),
        broker: accepted.broker.to_string(),
        topic_prefix: accepted.topic_prefix.as_str().to_owned(),
    };
    let enrolment = serde_json::to_vec_pretty(&enrolment).map_err(EnrollError::answer)?;
    folder.remove(RENEWED)?;
    folder.write(CHAIN, accepted.chain_pem.as_bytes())?;
    folder.write(CA, accepted.ca_pem.as_bytes())?;
    folder.write(ROOT, accepted.root)?;
    folder.write(ENROLMENT, &enrolment)
}

/// Puts a renewed certificate and its key in the place of those before.
pub(super) fn write_renewed(
    folder: &Folder,
    chain_pem: &str,
    key_pem: &str,
) -> Result<Credentials, EnrollError> {
    let both = format!("{key_pem}\n{chain_pem}");
    let path = folder.file(RENEWED);
    let credentials =
        Credentials::from_pem(&both, &both).map_err(|error| IdentityError::broken(&path, error))?;
    folder.write(RENEWED, both.as_bytes())?;
    folder.remove(NEXT_TLS_KEY)?;
    Ok(credentials)
}

/// Reads a file that only its owner may read.
pub(super) fn read_secret(path: &Path) -> Result<String, IdentityError> {
    let status = std::fs::metadata(path).map_err(|error| failed(path, error))?;
    if status.permissions().mode() & 0o077 != 0 {
        let because = "others may read or write it: `chmod 600` it if you trust them";
        return Err(IdentityError::broken(path, because));
    }
    read_text(path)
}

fn credentials(folder: &Path) -> Result<Credentials, IdentityError> {
    let renewed = folder.join(RENEWED);
    if renewed.exists() {
        let both = read_secret(&renewed)?;
        return Credentials::from_pem(&both, &both)
            .map_err(|error| IdentityError::broken(&renewed, error));
    }
    let chain = read_text(&folder.join(CHAIN))?;
    let key = read_secret(&folder.join(TLS_KEY))?;
    Credentials::from_pem(&chain, &key).map_err(|error| IdentityError::broken(folder, error))
}

fn anchors(path: &Path) -> Result<Anchors, IdentityError> {
    let ca = read_text(path)?;
    Anchors::from_pem(&[ca]).map_err(|error| IdentityError::broken(path, error))
}

fn read_enrolment(folder: &Path) -> Result<Option<(DeviceId, Enrolment)>, IdentityError> {
    let path = folder.join(ENROLMENT);
    let bytes = match read(&path, FILE_BYTES_MAX) {
        Err(IdentityError::File { because, .. }) if because.kind() == io::ErrorKind::NotFound => {
            return Ok(None);
        }
        other => other?,
    };
    let enrolment: Enrolment =
        serde_json::from_slice(&bytes).map_err(|error| IdentityError::broken(&path, error))?;
    let device =
        DeviceId::parse(&enrolment.device).map_err(|error| IdentityError::broken(&path, error))?;
    Ok(Some((device, enrolment)))
}

fn read_text(path: &Path) -> Result<String, IdentityError> {
    String::from_utf8(read(path, FILE_BYTES_MAX)?)
        .map_err(|_| IdentityError::broken(path, "it is not text"))
}

fn read(path: &Path, bytes_max: usize) -> Result<Vec<u8>, IdentityError> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(bytes_max as u64 + 1).read_to_end(&mut bytes))
        .map_err(|error| failed(path, error))?;
    if bytes.len() > bytes_max {
        return Err(IdentityError::broken(
            path,
            format!("it is larger than {bytes_max} bytes"),
        ));
    }
    Ok(bytes)
}

fn failed(path: &Path, because: io::Error) -> IdentityError {
    let path = path.to_owned();
    IdentityError::File { path, because }
}
