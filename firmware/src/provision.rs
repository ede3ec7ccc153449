//! What the factory writes into a node: who it is and whose key sets it believes.
//!
//! Never comes over a wire: whoever writes this owns the node.

use muster_device::facts::Keys;
use muster_protocol::cbor::{self, Malformed};
use muster_protocol::id::{DeviceId, Nonce, TargetClass};
use muster_protocol::message::RoleKeys;

use minicbor::{Decode, Encode};

/// One node.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Provision<'b> {
    /// Its name.
    #[n(0)]
    pub device: DeviceId,
    /// What kind of machine it is.
    #[n(1)]
    pub class: TargetClass,
    /// Who signs key sets.
    #[b(2)]
    pub targets: RoleKeys<'b>,
    /// What it asks for signed time with. A board with a source of randomness draws it.
    #[n(3)]
    pub nonce: Nonce,
}

impl<'b> Provision<'b> {
    /// Reads it.
    ///
    /// # Errors
    /// [`Malformed`]; also when the targets keys could never sign.
    pub fn read(bytes: &'b [u8]) -> Result<Self, Malformed> {
        let provision: Self = cbor::decode(bytes)?;
        if provision.targets.is_sound() {
            Ok(provision)
        } else {
            Err(Malformed::Field)
        }
    }

    /// The targets keys, as what opens a key set.
    #[must_use]
    pub fn targets(&self) -> Keys {
        Keys {
            keys: self.targets.keys.iter().collect(),
            threshold: self.targets.threshold,
        }
    }
}
