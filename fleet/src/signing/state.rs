//! How far a proposal is: what its documents are, which signatures hold, and what is missing.
//!
//! Pure. A signature that does not hold is never passed over: somebody changed the file.

use std::collections::BTreeMap;

use ed25519_dalek::SigningKey;
use muster_protocol::tuf::Key;

use super::base::Ground;
use super::part::{Made, Part};
use super::proposal::Proposal;
use super::wanted::Unfit;
use crate::publish::Publication;

/// A proposal in which everything holds that it carries.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct State {
    /// What it builds on.
    pub(crate) ground: Ground,
    /// What can be signed now.
    pub(crate) parts: Vec<Signed>,
    /// What comes when those are complete.
    pub(crate) later: Option<String>,
}

/// A part and its signatures.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Signed {
    /// What is signed, and by whom.
    pub(crate) part: Part,
    /// In the order in which they were made; each holds.
    pub(crate) made: Vec<Made>,
}

/// Why a proposal is not signed and not published.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unsound {
    #[error(transparent)]
    Unfit(#[from] Unfit),
    #[error(
        "it was changed after it was signed: the signature over {part} by {signer} does not hold"
    )]
    Changed { part: String, signer: String },
    #[error("it holds a signature over {0} that cannot be read")]
    Unreadable(String),
    #[error("it holds a signature over {part} by {signer}, who has no say in it")]
    Stranger { part: String, signer: String },
}

impl State {
    /// What holds of a proposal.
    ///
    /// # Errors
    /// [`Unsound`].
    pub(crate) fn of(proposal: &Proposal) -> Result<Self, Unsound> {
        let role = proposal.wanted.model_role();
        let ground = proposal.base.verified(role.as_ref()).map_err(Unfit::from)?;
        let (mut carried, unreadable) = proposal.carried();
        if let Some(part) = unreadable.into_iter().next() {
            return Err(Unsound::Unreadable(part));
        }
        let parts = proposal.wanted.parts(&ground, &carried)?;
        let mut signed = Vec::new();
        for part in parts.now {
            let made = carried.remove(&part.content.name()).unwrap_or_default();
            signed.push(Signed::checked(part, made)?);
        }
        if let Some((part, made)) = carried.into_iter().next() {
            let signer = made.first().map_or_else(String::new, |made| id(&made.key));
            return Err(Unsound::Changed { part, signer });
        }
        Ok(Self {
            ground,
            parts: signed,
            later: parts.later,
        })
    }

    /// Whether nothing is missing.
    pub(crate) fn is_complete(&self) -> bool {
        self.later.is_none() && self.parts.iter().all(Signed::is_complete)
    }

    /// The first part that this key can and should sign.
    pub(crate) fn wants(&self, key: &[u8; 32]) -> Option<&Signed> {
        self.parts.iter().find(|signed| signed.wants(key))
    }

    /// Whether a key has a say in anything here.
    pub(crate) fn may_sign(&self, key: &[u8; 32]) -> bool {
        self.parts.iter().any(|signed| signed.part.may_sign(key))
    }

    /// What the controller is given; none while something is missing.
    pub(crate) fn publication(&self, proposal: &Proposal) -> Option<Publication> {
        if !self.is_complete() {
            return None;
        }
        let documents = self.parts.iter().map(|signed| {
            let made = match signed.part.content.name().as_str() {
                // The listing names the digest of exactly this one.
                "statement" => super::release::first_that_suffice(&signed.part, &signed.made)?,
                _ => signed.made.clone(),
            };
            Some((
                signed.part.content.name(),
                signed.part.assembled(&made).ok()?,
            ))
        });
        let documents: Option<BTreeMap<_, _>> = documents.collect();
        Some(proposal.wanted.publication(documents?))
    }
}

impl Signed {
    fn checked(part: Part, made: Vec<Made>) -> Result<Self, Unsound> {
        for one in &made {
            let (name, signer) = (part.content.name(), id(&one.key));
            if !part.may_sign(&one.key) {
                return Err(Unsound::Stranger { part: name, signer });
            }
            if !part.content.holds(one) {
                return Err(Unsound::Changed { part: name, signer });
            }
        }
        Ok(Self { part, made })
    }

    /// Whether enough have signed it.
    pub(crate) fn is_complete(&self) -> bool {
        self.part.is_complete(&self.made)
    }

    /// Whether this key can and should sign it.
    pub(crate) fn wants(&self, key: &[u8; 32]) -> bool {
        let has = self.made.iter().any(|made| made.key == *key);
        !has && !self.is_complete() && self.part.may_sign(key)
    }

    /// Signs it.
    pub(crate) fn sign(&self, key: &SigningKey) -> Made {
        self.part.content.sign(key)
    }
}

/// The id of a key as metadata has it, cut short for people.
pub(crate) fn id(key: &[u8; 32]) -> String {
    let id = Key::ed25519(*key).id();
    id.get(..12).unwrap_or_default().to_owned()
}
