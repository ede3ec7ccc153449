//! Enrolment: a new device asks for its certificate, over HTTPS.
//!
//! The request is signed by the document key that it brings; the token's secret says that the
//! device is expected. The identity comes from the token, never from the request.

use crate::cose::Document;
use crate::id::DeviceId;
use crate::key::PublicKey;
use crate::limits::ENROLMENT_BYTES_MAX;
use minicbor::{Decode, Encode};

/// What a device brings.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct EnrolmentRequest<'b> {
    /// The device that the token names.
    #[n(0)]
    pub device: DeviceId,
    /// The secret of the token.
    #[cbor(b(1), with = "minicbor::bytes")]
    pub secret: &'b [u8],
    /// Its document key, which also signs this request.
    #[n(2)]
    pub document_key: PublicKey,
    /// A certificate request (PKCS #10, DER) for its TLS key; only the key in it counts.
    #[cbor(b(3), with = "minicbor::bytes")]
    pub certificate_request: &'b [u8],
}

/// What it gets.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct EnrolmentReply<'b> {
    /// Its certificate and the intermediate, PEM.
    #[b(0)]
    pub certificate_chain: &'b str,
    /// The CA that anchors broker and controller, PEM; its digest is in the token.
    #[b(1)]
    pub ca_certificate: &'b str,
    /// The root metadata whose digest is in the token.
    #[cbor(b(2), with = "minicbor::bytes")]
    pub root: &'b [u8],
    /// The broker, `mqtts://host:port`.
    #[b(3)]
    pub broker: &'b str,
    /// First levels of all topics.
    #[b(4)]
    pub topic_prefix: &'b str,
}

impl<'b> Document<'b> for EnrolmentRequest<'b> {
    const CONTEXT: &'static str = "muster/v1/enrolment";
    const BYTES_MAX: usize = ENROLMENT_BYTES_MAX;
}
