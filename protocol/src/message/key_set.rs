//! Key sets: what a small node reads instead of TUF metadata.
//!
//! The targets keys sign one chain of documents for the fleet and one for each model. Each
//! document names its version and the digest of the one before, and fits
//! [`NODE_DOCUMENT_BYTES_MAX`]. Nothing here decides whether a chain holds: the device does.

use crate::cbor::List;
use crate::cose::{Document, Signers};
use crate::digest::Digest;
use crate::id::{Epoch, KeySetVersion, ModelId, Rank};
use crate::key::PublicKey;
use crate::limits::{KEYS_MAX, NODE_DOCUMENT_BYTES_MAX, NODE_REVOKED_MAX};
use crate::time::UnixSeconds;
use minicbor::{Decode, Encode};

/// Where a key set stands in its chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Place {
    /// One more than that of its predecessor; the first is 1.
    #[n(0)]
    pub version: KeySetVersion,
    /// Digest of the signed bytes of its predecessor; the first has none.
    #[n(1)]
    pub predecessor: Option<Digest>,
}

/// Keys of one role, and how many of them must sign.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct RoleKeys<'b> {
    /// The keys, each once.
    #[b(0)]
    pub keys: List<'b, PublicKey, KEYS_MAX>,
    /// How many distinct ones must sign.
    #[n(1)]
    pub threshold: u8,
}

impl RoleKeys<'_> {
    /// Whether the threshold can be met, and no key stands there twice.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        let occurs = |key| self.keys.iter().filter(|other| *other == key).count();
        (1..=self.keys.len()).contains(&usize::from(self.threshold))
            && self.keys.iter().all(|key| occurs(key) == 1)
    }
}

/// Who directs the fleet: what `fleet.json` says, as far as a small node needs it.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct FleetKeySet<'b> {
    /// Its place in the chain of the fleet.
    #[n(0)]
    pub place: Place,
    /// When it was signed; raises the permanent time floor.
    #[n(1)]
    pub issued_at: UnixSeconds,
    /// Which director.
    #[n(2)]
    pub epoch: Epoch,
    /// Who signs assignments.
    #[b(3)]
    pub director: RoleKeys<'b>,
    /// Who signs acknowledgements: any one of them.
    #[b(4)]
    pub ack: List<'b, PublicKey, KEYS_MAX>,
    /// Who signs time: any one of them.
    #[b(5)]
    pub time: List<'b, PublicKey, KEYS_MAX>,
}

/// Who releases a model, and what of it must not serve.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct ModelKeySet<'b> {
    /// Its place in the chain of the model.
    #[n(0)]
    pub place: Place,
    /// When it was signed.
    #[n(1)]
    pub issued_at: UnixSeconds,
    /// The model.
    #[n(2)]
    pub model: ModelId,
    /// Who signs statements.
    #[b(3)]
    pub release: RoleKeys<'b>,
    /// Lowest rank that may be activated.
    #[n(4)]
    pub floor: Rank,
    /// Bundles at or above the floor that must not serve.
    #[b(5)]
    #[cbor(default)]
    pub revoked: List<'b, RevokedBundle, NODE_REVOKED_MAX>,
}

/// A bundle that must not serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct RevokedBundle {
    /// Digest of its manifest.
    #[n(0)]
    pub bundle: Digest,
    /// What to do where it serves.
    #[n(1)]
    pub action: Revocation,
}

/// What revocation asks for; numbers are append-only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum Revocation {
    /// Serve nothing rather than this.
    #[n(0)]
    Stop,
    /// Serve the previous release, if there is an eligible one.
    #[n(1)]
    Fallback,
}

impl<'b> Document<'b> for FleetKeySet<'b> {
    const CONTEXT: &'static str = "muster/v1/fleet-key-set";
    const BYTES_MAX: usize = NODE_DOCUMENT_BYTES_MAX;
    const SIGNERS: Signers = Signers::Many;
}

impl<'b> Document<'b> for ModelKeySet<'b> {
    const CONTEXT: &'static str = "muster/v1/model-key-set";
    const BYTES_MAX: usize = NODE_DOCUMENT_BYTES_MAX;
    const SIGNERS: Signers = Signers::Many;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(keys: &[u8], threshold: u8, expect: bool) {
        let keys: heapless::Vec<_, KEYS_MAX> = keys.iter().map(|k| PublicKey([*k; 32])).collect();
        let keys = RoleKeys {
            keys: List::of(&keys),
            threshold,
        };
        assert_eq!(keys.is_sound(), expect, "{keys:?}");
    }

    #[test]
    fn a_threshold_must_be_within_reach() {
        check(&[1], 1, true);
        check(&[1, 2, 3], 2, true);
        check(&[1, 2, 3], 3, true);
        check(&[], 0, false);
        check(&[1], 0, false);
        check(&[1], 2, false);
        check(&[1, 1], 2, false);
        check(&[1, 1], 1, false);
    }
}
