//! The file that goes from hand to hand: what is wanted, what it builds on, and signatures.
//!
//! Believes nothing that it reads: [`super::state::State`] says what holds.

use std::fs;
use std::path::Path;

use muster_protocol::digest::{Hex, decode_hex};
use serde::{Deserialize, Serialize};

use super::base::Base;
use super::part::Made;
use super::wanted::{Carried, Wanted};
use crate::error::{Exit, OperatorError};
use crate::home;

/// The version of this format.
const FORMAT: u32 = 1;
/// Largest file that is read.
const BYTES_MAX: u64 = 16 * 1024 * 1024;

/// A proposal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Proposal {
    muster_proposal: u32,
    /// What is wanted.
    pub(crate) wanted: Wanted,
    /// What it builds on.
    pub(crate) base: Base,
    /// In the order in which they were made.
    signatures: Vec<CarriedSignature>,
}

/// A signature as it is carried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct CarriedSignature {
    /// `statement`, or the role of a metadata document.
    part: String,
    /// The public key, 64 hexadecimal digits.
    key: String,
    /// Ed25519, 128 hexadecimal digits.
    signature: String,
}

impl Proposal {
    /// A proposal that nobody has signed.
    pub(crate) fn new(wanted: Wanted, base: Base) -> Self {
        Self {
            muster_proposal: FORMAT,
            wanted,
            base,
            signatures: Vec::new(),
        }
    }

    /// Reads a file.
    ///
    /// # Errors
    /// It cannot be read, or is no proposal.
    pub(crate) fn read(path: &Path) -> Result<Self, OperatorError> {
        let failed = |error| OperatorError::file("read the proposal", path, &error);
        let length = fs::metadata(path).map_err(failed)?.len();
        let bytes = match length <= BYTES_MAX {
            true => fs::read(path).map_err(failed)?,
            false => return Err(no_proposal(path, "it is far too large")),
        };
        Self::parse(&bytes).map_err(|because| no_proposal(path, &because))
    }

    fn parse(bytes: &[u8]) -> Result<Self, String> {
        let read: Self = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        match read.muster_proposal {
            FORMAT => Ok(read),
            other => Err(format!(
                "it has format {other}, and this program reads {FORMAT}"
            )),
        }
    }

    /// Writes a new file.
    ///
    /// # Errors
    /// It exists, or the disk refuses.
    pub(crate) fn write_new(&self, path: &Path) -> Result<(), OperatorError> {
        home::write_private(path, self.text().as_bytes())
    }

    /// Puts it in the place of what the file held.
    ///
    /// # Errors
    /// The disk refuses.
    pub(crate) fn replace(&self, path: &Path) -> Result<(), OperatorError> {
        home::replace(path, &self.text())
    }

    /// Adds a signature over a part.
    pub(crate) fn add(&mut self, part: &str, made: &Made) {
        self.signatures.push(CarriedSignature {
            part: part.to_owned(),
            key: Hex(&made.key).to_string(),
            signature: Hex(&made.bytes).to_string(),
        });
    }

    /// Its signatures by part, and what of them cannot be read.
    pub(super) fn carried(&self) -> (Carried, Vec<String>) {
        let (mut carried, mut unreadable) = (Carried::new(), Vec::new());
        for signature in &self.signatures {
            match signature.made() {
                Some(made) => carried
                    .entry(signature.part.clone())
                    .or_default()
                    .push(made),
                None => unreadable.push(signature.part.clone()),
            }
        }
        (carried, unreadable)
    }

    fn text(&self) -> String {
        let text = serde_json::to_string_pretty(self).expect("invariant: a proposal is plain JSON");
        text + "\n"
    }
}

impl CarriedSignature {
    fn made(&self) -> Option<Made> {
        let (mut key, mut bytes) = ([0; 32], [0; 64]);
        decode_hex(&self.key, &mut key).ok()?;
        decode_hex(&self.signature, &mut bytes).ok()?;
        Some(Made { key, bytes })
    }
}

fn no_proposal(path: &Path, because: &str) -> OperatorError {
    let what = format!("read the proposal {}", path.display());
    let hint = "name the file that `propose` or `rotate` wrote, or ask for it again";
    OperatorError::new(Exit::BadInput, what, because, hint)
}
