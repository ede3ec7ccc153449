//! One thing that is signed: a statement or a metadata document, and who may sign it.
//!
//! Pure. A signature counts here exactly if it counts where the document is verified.

use std::collections::BTreeSet;

use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use muster_protocol::cose::{self, KeySet};
use muster_protocol::key::PublicKey;
use muster_protocol::message::Statement;
use muster_protocol::tuf::{Authority, Envelope, Key, NotCanonical, Role};

/// What is signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Content {
    /// The statement of a release: its payload.
    Statement(Vec<u8>),
    /// A metadata document, and the bytes that signatures cover.
    Metadata {
        /// Whose.
        role: Role,
        /// It, without signatures.
        envelope: Envelope,
        /// Its canonical form.
        message: Vec<u8>,
    },
}

/// Content with those who must sign it: each authority in full. A root has two.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Part {
    /// What is signed.
    pub(crate) content: Content,
    /// Who must.
    pub(crate) by: Vec<Authority>,
}

/// A signature that a key has made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Made {
    /// The public key.
    pub(crate) key: [u8; 32],
    /// Ed25519, RFC 8032.
    pub(crate) bytes: [u8; 64],
}

impl Content {
    /// A metadata document.
    ///
    /// # Errors
    /// It has no canonical form.
    pub(crate) fn metadata(role: Role, envelope: Envelope) -> Result<Self, NotCanonical> {
        let message = envelope.message()?;
        Ok(Self::Metadata {
            role,
            envelope,
            message,
        })
    }

    /// How a proposal and people name it.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Statement(_) => "statement".to_owned(),
            Self::Metadata { role, .. } => role.name().to_owned(),
        }
    }

    /// Signs it.
    pub(crate) fn sign(&self, key: &SigningKey) -> Made {
        let bytes = match self {
            Self::Statement(payload) => sign_statement(payload, key).bytes,
            Self::Metadata { message, .. } => key.sign(message).to_bytes(),
        };
        let key = key.verifying_key().to_bytes();
        Made { key, bytes }
    }

    /// Whether a signature holds.
    pub(crate) fn holds(&self, made: &Made) -> bool {
        match self {
            Self::Statement(payload) => statement_holds(payload, made),
            Self::Metadata { message, .. } => VerifyingKey::from_bytes(&made.key)
                .and_then(|key| key.verify_strict(message, &Signature::from_bytes(&made.bytes)))
                .is_ok(),
        }
    }
}

impl Part {
    /// Whether a key has a say in it.
    pub(crate) fn may_sign(&self, key: &[u8; 32]) -> bool {
        self.by.iter().any(|by| by.public_keys().contains(key))
    }

    /// Whether these signatures suffice for everyone who must sign.
    pub(crate) fn is_complete(&self, made: &[Made]) -> bool {
        self.by.iter().all(|by| missing(by, made) == 0)
    }

    /// The whole document as it is published.
    ///
    /// # Errors
    /// It has no canonical form.
    pub(crate) fn assembled(&self, made: &[Made]) -> Result<Vec<u8>, NotCanonical> {
        match &self.content {
            Content::Statement(payload) => Ok(assembled_statement(payload, made)),
            Content::Metadata { envelope, .. } => {
                let mut envelope = envelope.clone();
                envelope.signatures = made.iter().map(tuf_signature).collect();
                envelope.signatures.sort();
                envelope.to_bytes()
            }
        }
    }
}

/// How many more signatures an authority asks for.
pub(crate) fn missing(by: &Authority, made: &[Made]) -> usize {
    let signed: BTreeSet<[u8; 32]> = made.iter().map(|made| made.key).collect();
    let have = by.public_keys().intersection(&signed).count();
    (by.threshold() as usize).saturating_sub(have)
}

fn sign_statement(payload: &[u8], key: &SigningKey) -> cose::Signature {
    let mut scratch = vec![0; cose::scratch_len(payload.len())];
    cose::sign::<Statement>(payload, key, &mut scratch)
        .expect("invariant: the scratch has the length that is asked for")
}

fn assembled_statement(payload: &[u8], made: &[Made]) -> Vec<u8> {
    let signatures: Vec<cose::Signature> = made
        .iter()
        .map(|made| cose::Signature {
            key: PublicKey(made.key).id(),
            bytes: made.bytes,
        })
        .collect();
    cose::assemble_vec(payload, &signatures)
}

fn statement_holds(payload: &[u8], made: &Made) -> bool {
    let bytes = assembled_statement(payload, &[*made]);
    let keys = KeySet {
        keys: &[PublicKey(made.key)],
        threshold: 1,
    };
    let mut scratch = vec![0; cose::scratch_len(bytes.len())];
    cose::open::<Statement>(&bytes, keys, &mut scratch).is_ok()
}

fn tuf_signature(made: &Made) -> muster_protocol::tuf::Signature {
    muster_protocol::tuf::Signature {
        keyid: Key::ed25519(made.key).id(),
        sig: muster_protocol::digest::Hex(&made.bytes).to_string(),
    }
}
