//! The provision: what a factory writes into a small node.
//!
//! Never comes over a wire and is not signed: whoever writes this owns the node.

use super::RoleKeys;
use crate::id::{DeviceId, Nonce, TargetClass};
use minicbor::{Decode, Encode};

/// Who a node is, and whose key sets it believes.
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
    /// What a board without a source of randomness asks for signed time with.
    #[n(3)]
    pub nonce: Nonce,
}
