//! Whom a device believes: the one input for authority.
//!
//! A host builds it from verified metadata; nothing here verifies metadata. Bounded, and
//! restricted to the models of this device.

use muster_protocol::cose::KeySet;
use muster_protocol::digest::Digest;
use muster_protocol::id::{Epoch, ModelId, Rank};
use muster_protocol::key::PublicKey;
use muster_protocol::limits::KEYS_MAX;

/// Revocations that a device keeps; the host hands on those of its own bundles.
pub const REVOKED_MAX: usize = 64;

/// Keys of one role, and how many of them must sign.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Keys {
    /// The keys.
    pub keys: heapless::Vec<PublicKey, KEYS_MAX>,
    /// How many distinct ones must sign; zero accepts nothing.
    pub threshold: u8,
}

impl Keys {
    /// As what opens a document.
    #[must_use]
    pub fn as_set(&self) -> KeySet<'_> {
        KeySet {
            keys: &self.keys,
            threshold: self.threshold,
        }
    }
}

/// Everything that a device knows about authority, for at most `MODELS` models.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Facts<const MODELS: usize> {
    /// Which director.
    pub epoch: Epoch,
    /// Who signs assignments.
    pub director: Keys,
    /// Who signs acknowledgements.
    pub ack: Keys,
    /// Who signs time.
    pub time: Keys,
    /// Who releases each model, and its floor.
    pub models: heapless::Vec<ModelFacts, MODELS>,
    /// Bundles that must not serve.
    pub revoked: heapless::Vec<Revoked, REVOKED_MAX>,
}

/// Authority over one model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelFacts {
    /// The model.
    pub model: ModelId,
    /// Who releases it.
    pub release: Keys,
    /// Lowest rank that may be activated.
    pub floor: Rank,
}

/// A bundle that must not serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Revoked {
    /// Digest of its manifest.
    pub bundle: Digest,
    /// What to do where it serves.
    pub action: RevokedAction,
}

/// What revocation asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RevokedAction {
    /// Serve nothing rather than this.
    Stop,
    /// Serve the previous release, if there is an eligible one.
    Fallback,
}

/// What one updater may know: the facts about its model.
#[derive(Debug, Clone, Copy)]
pub struct View<'f> {
    /// Who releases the model; nobody when the metadata does not know it.
    pub release: KeySet<'f>,
    /// Lowest rank that may be activated.
    pub floor: Rank,
    revoked: &'f [Revoked],
}

impl<const MODELS: usize> Facts<MODELS> {
    /// The facts about one model.
    #[must_use]
    pub fn view(&self, model: &ModelId) -> View<'_> {
        let known = self.models.iter().find(|facts| facts.model == *model);
        View {
            release: known.map_or(
                KeySet {
                    keys: &[],
                    threshold: 0,
                },
                |m| m.release.as_set(),
            ),
            floor: known.map_or(Rank(0), |m| m.floor),
            revoked: &self.revoked,
        }
    }
}

impl View<'_> {
    /// What revocation asks for this bundle, if it is revoked.
    #[must_use]
    pub fn revocation(&self, bundle: &Digest) -> Option<RevokedAction> {
        self.revoked
            .iter()
            .find(|revoked| revoked.bundle == *bundle)
            .map(|revoked| revoked.action)
    }
}
