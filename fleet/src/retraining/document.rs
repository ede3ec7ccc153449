//! A request for a retrain as it is signed: COSE_Sign1 over the text that pipelines read.
//!
//! What is signed is the JSON itself, byte by byte: nobody has to write it again to compare.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::SigningKey;
use minicbor::{Decode, Encode};
use muster_fleet::incident::RetrainRecord;
use muster_protocol::cose::{self, Document, KeySet, Refused};
use muster_protocol::key::PublicKey;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Largest request: thirty days of 64 features stay far below it.
const BYTES_MAX: usize = 1024 * 1024;

/// What is signed.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
struct Signed<'b> {
    /// [`RetrainRecord`] as JSON.
    #[b(0)]
    record: &'b str,
}

impl<'b> Document<'b> for Signed<'b> {
    const CONTEXT: &'static str = "muster/v1/retrain-request";
    const BYTES_MAX: usize = BYTES_MAX;
}

/// A request as files and alerts carry it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct RetrainFile {
    /// What is asked for, for reading: only what is signed counts.
    pub(crate) record: Value,
    /// The signed document, base64.
    pub(crate) signed: String,
}

/// Why a file is no request that counts.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotARequest {
    /// It is neither a request nor an alert of one.
    #[error("it is neither an exported request nor an alert of one ({0})")]
    Form(String),
    /// The signature does not hold.
    #[error("{0}")]
    Signature(Refused),
    /// The signature holds, but over another text than the one beside it.
    #[error("what stands beside the signature is not what was signed")]
    Changed,
    /// A later program has made it.
    #[error("what was signed is no request that this program knows ({0})")]
    Unknown(String),
}

/// Signs a record.
pub(crate) fn seal(record: &RetrainRecord, key: &SigningKey) -> Vec<u8> {
    let text = serde_json::to_string(record).expect("invariant: a record is plain JSON");
    cose::seal_vec(&Signed { record: &text }, key)
}

impl RetrainFile {
    /// A document of our own store, to be given away.
    ///
    /// # Errors
    /// It is damaged.
    pub(crate) fn of(document: &[u8]) -> Result<Self, NotARequest> {
        let signed = cose::peek::<Signed<'_>>(document).map_err(NotARequest::Signature)?;
        let record = serde_json::from_str(signed.record);
        Ok(Self {
            record: record.map_err(|error| NotARequest::Unknown(error.to_string()))?,
            signed: STANDARD.encode(document),
        })
    }
}

/// The record of a file, or of an alert that was kept, when one of `keys` has signed it.
///
/// # Errors
/// [`NotARequest`].
pub(crate) fn verify(text: &str, keys: &[PublicKey]) -> Result<RetrainRecord, NotARequest> {
    let form = |error: &dyn std::fmt::Display| NotARequest::Form(error.to_string());
    let mut value: Value = serde_json::from_str(text).map_err(|error| form(&error))?;
    if let Some(data) = value.get_mut("data") {
        value = data.take();
    }
    let file: RetrainFile = serde_json::from_value(value).map_err(|error| form(&error))?;
    let document = STANDARD
        .decode(&file.signed)
        .map_err(|error| form(&error))?;
    let mut scratch = vec![0; cose::scratch_len(document.len())];
    let keys = KeySet { keys, threshold: 1 };
    let opened = cose::open::<Signed<'_>>(&document, keys, &mut scratch);
    let signed = opened.map_err(NotARequest::Signature)?;
    let said: Value = serde_json::from_str(signed.record)
        .map_err(|error| NotARequest::Unknown(error.to_string()))?;
    if said != file.record {
        return Err(NotARequest::Changed);
    }
    read(signed.record)
}

fn read(text: &str) -> Result<RetrainRecord, NotARequest> {
    let unknown = |error: &dyn std::fmt::Display| NotARequest::Unknown(error.to_string());
    let record: RetrainRecord = serde_json::from_str(text).map_err(|error| unknown(&error))?;
    match record.format == RetrainRecord::FORMAT {
        true => Ok(record),
        false => Err(unknown(&record.format)),
    }
}
