//! Renewal: a device that has an identity asks for a new certificate, over HTTPS.
//!
//! The request is signed by the document key that the fleet knows; no certificate is needed, so
//! one that has expired can be renewed. An offer is used once, so that a request cannot be said
//! again.

use crate::cose::Document;
use crate::digest::Digest;
use crate::id::{DeviceId, Nonce};
use crate::limits::ENROLMENT_BYTES_MAX;
use minicbor::{Decode, Encode};

/// What the fleet offers to whoever asks.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct RenewalOffer {
    /// Good for one request.
    #[n(0)]
    pub nonce: Nonce,
    /// The sha256 in DER of the CA certificate under which it would issue.
    #[n(1)]
    pub ca: Digest,
}

/// What a device asks for.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct RenewalRequest<'b> {
    /// The device; its document key signs this request.
    #[n(0)]
    pub device: DeviceId,
    /// Of the offer.
    #[n(1)]
    pub nonce: Nonce,
    /// Of the offer, and one of the CAs that the device trusts.
    #[n(2)]
    pub ca: Digest,
    /// A certificate request (PKCS #10, DER) for its next TLS key; only the key in it counts.
    #[cbor(b(3), with = "minicbor::bytes")]
    pub certificate_request: &'b [u8],
}

/// What it gets.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct RenewalReply<'b> {
    /// Its certificate and the intermediate, PEM.
    #[b(0)]
    pub certificate_chain: &'b str,
}

impl<'b> Document<'b> for RenewalRequest<'b> {
    const CONTEXT: &'static str = "muster/v1/renewal";
    const BYTES_MAX: usize = ENROLMENT_BYTES_MAX;
}
