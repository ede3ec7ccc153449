//! `fleet.json`, the one ordinary target of top-level targets: who directs the fleet, who may tell
//! it the time, what is below the floor and what is revoked. The bytes are believed because targets
//! lists their sha256; nothing here verifies, and unknown fields are skipped.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use serde::{Deserialize, Serialize};

use super::canonical;
use super::hex::Hex32;
use super::{date, limits};

/// The path under which targets lists it.
pub const PATH: &str = "fleet.json";

/// What the offline keys say about the fleet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FleetDocument {
    /// Counts from 1, rises with each ceremony.
    pub version: u64,
    /// When it was signed, unix seconds; the permanent time floor of a device rises with it.
    #[serde(rename = "issued_at", with = "date::unix_seconds")]
    pub issued_at_s: u64,
    /// Raised when the director is replaced; ranks above any generation.
    pub director_epoch: u64,
    /// Who signs assignments.
    pub director: Director,
    /// Ed25519 keys that sign acknowledgements.
    pub ack_keys: Vec<Hex32>,
    /// Ed25519 keys that sign time.
    pub time_keys: Vec<Hex32>,
    /// The only CA certificates that devices accept, in PEM.
    pub ca_certificates: Vec<String>,
    /// Where the fleet is reached.
    pub endpoints: Endpoints,
    /// The lowest rank that may be activated, by model.
    pub floor: BTreeMap<String, u32>,
    /// Bundles that must not serve, by digest.
    pub revoked: BTreeMap<Hex32, Revocation>,
}

/// The keys of the director.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Director {
    /// Ed25519 public keys.
    pub keys: Vec<Hex32>,
    /// How many of them must sign an assignment.
    pub threshold: u32,
}

/// Where the fleet is reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoints {
    /// The broker.
    pub mqtt: String,
    /// Enrolment and renewal.
    pub enroll: String,
}

/// What a device does with a revoked bundle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Revocation {
    /// Serve it no longer, whatever remains.
    Stop,
    /// Go back to an eligible previous one; without one, keep serving and report.
    Fallback,
}

/// Why bytes are not a `fleet.json`, or a document cannot be written as one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FleetDocumentError {
    /// More bytes than allowed.
    TooLarge {
        /// Bytes allowed.
        bytes_max: u64,
    },
    /// Not JSON, or a field is missing or of the wrong kind.
    Malformed(String),
    /// More entries than allowed, or an entry too long.
    TooMany(&'static str),
    /// A field that must not be empty or zero, or a threshold above the number of keys.
    OutOfRange(&'static str),
    /// One key twice in a list: thresholds count distinct keys.
    DuplicateKey(&'static str),
}

impl fmt::Display for FleetDocumentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge { bytes_max } => write!(f, "{PATH} has more than {bytes_max} bytes"),
            Self::Malformed(what) => write!(f, "{PATH} is malformed: {what}"),
            Self::TooMany(field) => write!(f, "{PATH} has too much in {field}"),
            Self::OutOfRange(field) => write!(f, "{PATH} has a value out of range in {field}"),
            Self::DuplicateKey(field) => write!(f, "{PATH} has one key twice in {field}"),
        }
    }
}

impl core::error::Error for FleetDocumentError {}

impl FleetDocument {
    /// Reads and checks the bytes of `fleet.json`.
    ///
    /// # Errors
    /// [`FleetDocumentError`].
    pub fn parse(bytes: &[u8]) -> Result<Self, FleetDocumentError> {
        check_length(bytes)?;
        let document: Self = canonical::read_into(bytes)
            .map_err(|error| FleetDocumentError::Malformed(error.to_string()))?;
        document.check()?;
        Ok(document)
    }

    /// Writes it as sorted, compact JSON; the same document gives the same bytes.
    ///
    /// # Errors
    /// [`FleetDocumentError`] if [`FleetDocument::parse`] would refuse the bytes.
    pub fn encode(&self) -> Result<Vec<u8>, FleetDocumentError> {
        self.check()?;
        let malformed = |error: &dyn fmt::Display| FleetDocumentError::Malformed(error.to_string());
        let value = serde_json::to_value(self).map_err(|error| malformed(&error))?;
        let bytes = canonical::file_bytes(&value).map_err(|error| malformed(&error))?;
        check_length(&bytes)?;
        Ok(bytes)
    }

    fn check(&self) -> Result<(), FleetDocumentError> {
        in_range("version", self.version >= 1)?;
        check_keys("director.keys", &self.director.keys)?;
        let threshold = self.director.threshold as usize;
        in_range(
            "director.threshold",
            (1..=self.director.keys.len()).contains(&threshold),
        )?;
        check_keys("ack_keys", &self.ack_keys)?;
        check_keys("time_keys", &self.time_keys)?;
        self.check_certificates()?;
        check_endpoint("endpoints.mqtt", &self.endpoints.mqtt)?;
        check_endpoint("endpoints.enroll", &self.endpoints.enroll)?;
        few("floor", self.floor.len() <= limits::FLEET_ENTRIES_MAX)?;
        let short = self
            .floor
            .keys()
            .all(|model| model.len() <= limits::ROLE_NAME_BYTES_MAX);
        few("floor", short)?;
        few("revoked", self.revoked.len() <= limits::FLEET_ENTRIES_MAX)
    }

    fn check_certificates(&self) -> Result<(), FleetDocumentError> {
        let certificates = &self.ca_certificates;
        in_range("ca_certificates", !certificates.is_empty())?;
        few(
            "ca_certificates",
            certificates.len() <= limits::FLEET_CERTIFICATES_MAX,
        )?;
        let short = certificates
            .iter()
            .all(|pem| pem.len() <= limits::FLEET_CERTIFICATE_BYTES_MAX);
        few("ca_certificates", short)
    }
}

fn check_length(bytes: &[u8]) -> Result<(), FleetDocumentError> {
    let bytes_max = limits::FLEET_DOCUMENT_BYTES_MAX;
    if bytes.len() as u64 > bytes_max {
        return Err(FleetDocumentError::TooLarge { bytes_max });
    }
    Ok(())
}

fn check_keys(field: &'static str, keys: &[Hex32]) -> Result<(), FleetDocumentError> {
    in_range(field, !keys.is_empty())?;
    few(field, keys.len() <= limits::FLEET_KEYS_MAX)?;
    let distinct: BTreeSet<&Hex32> = keys.iter().collect();
    if distinct.len() != keys.len() {
        return Err(FleetDocumentError::DuplicateKey(field));
    }
    Ok(())
}

fn check_endpoint(field: &'static str, endpoint: &str) -> Result<(), FleetDocumentError> {
    few(field, endpoint.len() <= limits::FLEET_ENDPOINT_BYTES_MAX)?;
    let plain = endpoint.bytes().all(|byte| byte.is_ascii_graphic());
    in_range(field, plain && !endpoint.is_empty())
}

fn in_range(field: &'static str, holds: bool) -> Result<(), FleetDocumentError> {
    if holds {
        Ok(())
    } else {
        Err(FleetDocumentError::OutOfRange(field))
    }
}

fn few(field: &'static str, holds: bool) -> Result<(), FleetDocumentError> {
    if holds {
        Ok(())
    } else {
        Err(FleetDocumentError::TooMany(field))
    }
}

#[cfg(test)]
mod tests;
