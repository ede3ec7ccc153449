//! Renewal: a device that has an identity gets another certificate, for another TLS key, by a
//! request that its document key signs. The certificate before may have expired.
//!
//! Never touches the certificate in use before the next one is checked and on disk.

use super::address::Endpoint;
use super::disk::Folder;
use super::http::{self, Ask};
use super::{EnrollError, identity, keys, reply};
use crate::tls::{self, Anchors, Credentials, TrustedTime};
use ed25519_dalek::SigningKey;
use muster_protocol::cbor;
use muster_protocol::cose;
use muster_protocol::id::DeviceId;
use muster_protocol::message::renewal::{RenewalOffer, RenewalReply, RenewalRequest};
use rcgen::PublicKeyData as _;
use std::path::PathBuf;
use std::sync::Arc;

/// Who renews, and where.
pub struct Renewing {
    /// The state folder.
    pub state: PathBuf,
    /// The device.
    pub device: DeviceId,
    /// Signs the request.
    pub document_key: SigningKey,
    /// `https://host:port` of `fleet.json`.
    pub url: String,
    /// Exactly the CAs that are trusted there, and under which a certificate is taken.
    pub anchors: Anchors,
    /// By which dates of certificates are judged.
    pub time: TrustedTime,
    /// What is in use.
    pub in_use: Credentials,
}

/// Renews.
///
/// # Errors
/// [`EnrollError`]; what is in use stays.
pub async fn renew(with: &Renewing) -> Result<Credentials, EnrollError> {
    let endpoint = Endpoint::renewal(&with.url)?;
    let trust = tls::anonymous(&with.anchors, Arc::clone(&with.time));
    let trust = Arc::new(trust.map_err(EnrollError::answer)?);
    let folder = Folder::open(&identity::folder(&with.state))?;
    let offer = http::ask(&endpoint, Arc::clone(&trust), Ask::Get).await?;
    let offer: RenewalOffer = cbor::decode(&offer).map_err(EnrollError::answer)?;
    if !with.anchors.include(offer.ca) {
        return Err(EnrollError::answer(
            "it offers a certificate under a CA that is not trusted",
        ));
    }
    let key = keys::next_tls(&folder, &with.in_use)?;
    let request = RenewalRequest {
        device: with.device.clone(),
        nonce: offer.nonce,
        ca: offer.ca,
        certificate_request: &keys::certificate_request(&key)?,
    };
    let signed = cose::seal_vec(&request, &with.document_key);
    let answer = http::ask(&endpoint, trust, Ask::Post(signed)).await?;
    let answer: RenewalReply<'_> = cbor::decode(&answer).map_err(EnrollError::answer)?;
    let chain = answer.certificate_chain;
    reply::check_certificate(chain, &with.device, &key.subject_public_key_info())?;
    identity::write_renewed(&folder, chain, &key.serialize_pem())
}
