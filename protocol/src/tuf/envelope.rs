//! The outer form of each metadata document: what is signed, and signatures over its canonical
//! form. What was received stays as received: fields we do not know are part of what is verified.

use alloc::collections::BTreeSet;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::canonical::{self, NotCanonical, canonical_bytes};
use super::key::Authority;
use super::limits;
use super::refused::Refused;
use super::role::Role;

/// A document with its signatures, not yet believed.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Envelope {
    /// One entry per key id.
    pub signatures: Vec<Signature>,
    /// What they cover, by its canonical form.
    pub signed: Value,
}

/// One signature as metadata writes it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Signature {
    /// The id of the key that made it.
    pub keyid: String,
    /// 128 lower-case hexadecimal digits; anything else does not count, and is no error.
    pub sig: String,
}

impl Envelope {
    /// Reads bytes that claim to be a document of `role`.
    ///
    /// # Errors
    /// [`Refused::TooLarge`], [`Refused::Malformed`] or [`Refused::DuplicateSignature`].
    pub fn parse(role: &Role, bytes: &[u8]) -> Result<Self, Refused> {
        let bytes_max = role.bytes_max();
        if bytes.len() as u64 > bytes_max {
            return Err(Refused::TooLarge {
                role: role.clone(),
                bytes_max,
            });
        }
        let malformed = |what: String| Refused::Malformed {
            role: role.clone(),
            what,
        };
        let envelope: Self =
            canonical::read_into(bytes).map_err(|error| malformed(error.to_string()))?;
        if envelope.signatures.len() > limits::SIGNATURES_MAX {
            return Err(malformed("too many signatures".into()));
        }
        envelope.check_unique(role)?;
        Ok(envelope)
    }

    /// The document as a file: sorted, compact JSON; the same content gives the same bytes.
    ///
    /// # Errors
    /// [`NotCanonical`].
    pub fn to_bytes(&self) -> Result<Vec<u8>, NotCanonical> {
        canonical::file_bytes(&json!({ "signatures": self.signatures, "signed": self.signed }))
    }

    /// The bytes that the signatures cover.
    ///
    /// # Errors
    /// [`NotCanonical`].
    pub fn message(&self) -> Result<Vec<u8>, NotCanonical> {
        canonical_bytes(&self.signed)
    }

    /// Refuses unless enough distinct keys signed.
    pub(super) fn require(&self, role: &Role, by: &Authority) -> Result<(), Refused> {
        let message = self.message().map_err(|error| Refused::Malformed {
            role: role.clone(),
            what: error.to_string(),
        })?;
        let (have, need) = (by.count(&message, &self.signatures), by.threshold());
        if have < need || need == 0 {
            return Err(Refused::ThresholdNotMet {
                role: role.clone(),
                have,
                need,
            });
        }
        Ok(())
    }

    fn check_unique(&self, role: &Role) -> Result<(), Refused> {
        let mut seen = BTreeSet::new();
        match self
            .signatures
            .iter()
            .find(|signature| !seen.insert(&signature.keyid))
        {
            None => Ok(()),
            Some(twice) => Err(Refused::DuplicateSignature {
                role: role.clone(),
                key_id: twice.keyid.clone(),
            }),
        }
    }
}
