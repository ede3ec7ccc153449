//! Whether the fleet's answer is what the token promises.
//!
//! Believes nothing of it: root metadata and CA by digest, the certificate by name and key.

use super::EnrollError;
use super::address::{Broker, TopicPrefix};
use super::keys::Keys;
use muster_protocol::cbor;
use muster_protocol::digest::Digest;
use muster_protocol::id::DeviceId;
use muster_protocol::message::enrolment::EnrolmentReply;
use muster_protocol::token::Token;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls;
use x509_parser::prelude::{FromDer as _, X509Certificate};

/// An answer that holds what the token promises.
#[derive(Debug)]
pub(super) struct Accepted<'b> {
    pub(super) device: DeviceId,
    pub(super) chain_pem: &'b str,
    pub(super) ca_pem: &'b str,
    pub(super) root: &'b [u8],
    pub(super) broker: Broker,
    pub(super) topic_prefix: TopicPrefix,
}

/// Checks an answer.
pub(super) fn check<'b>(
    answer: &'b [u8],
    token: &Token,
    keys: &Keys,
) -> Result<Accepted<'b>, EnrollError> {
    let reply: EnrolmentReply<'b> = cbor::decode(answer).map_err(EnrollError::answer)?;
    if Digest::of(reply.root) != token.root {
        return Err(EnrollError::answer("its root metadata is not the token's"));
    }
    let ca = certificate(reply.ca_certificate, "CA certificate")?;
    if Digest::of(&ca) != token.ca {
        return Err(EnrollError::answer("its CA certificate is not the token's"));
    }
    check_certificate(reply.certificate_chain, &token.device, &keys.tls_public())?;
    Ok(Accepted {
        device: token.device.clone(),
        chain_pem: reply.certificate_chain,
        ca_pem: reply.ca_certificate,
        root: reply.root,
        broker: Broker::parse(reply.broker).map_err(EnrollError::answer)?,
        topic_prefix: TopicPrefix::parse(reply.topic_prefix).map_err(EnrollError::answer)?,
    })
}

/// Whether a chain is of this device, for this key (SubjectPublicKeyInfo, DER).
pub(super) fn check_certificate(
    chain: &str,
    device: &DeviceId,
    key: &[u8],
) -> Result<(), EnrollError> {
    let der = certificate(chain, "certificate")?;
    let (_, leaf) = X509Certificate::from_der(&der).map_err(EnrollError::answer)?;
    let names: Vec<_> = leaf
        .subject()
        .iter_common_name()
        .map(|name| name.as_str())
        .collect();
    if names != [Ok(device.as_str())] {
        return Err(EnrollError::answer("its certificate names another device"));
    }
    if leaf.public_key().raw != key {
        return Err(EnrollError::answer("its certificate is for another key"));
    }
    Ok(())
}

/// The first certificate of a PEM text.
fn certificate(pem: &str, what: &str) -> Result<CertificateDer<'static>, EnrollError> {
    CertificateDer::from_pem_slice(pem.as_bytes())
        .map_err(|error| EnrollError::answer(format!("its {what} is none ({error})")))
}
