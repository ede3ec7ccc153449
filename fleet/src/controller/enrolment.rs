//! Tokens and enrolment: the decision is made elsewhere, here it is looked up and recorded.
//!
//! Never keeps a secret: only its digest.

use std::num::NonZeroU16;
use std::sync::{Arc, PoisonError};

use muster_protocol::cbor;
use muster_protocol::digest::Digest;
use muster_protocol::id::DeviceId;
use muster_protocol::message::enrolment::EnrolmentReply;
use muster_protocol::time::UnixSeconds;
use muster_protocol::token::Token;

use super::{Controller, Endpoints, Error, Outgoing};
use crate::authority::Authority;
use crate::clock;
use crate::enroll::{self, Decision, Request, TokenState, Used};
use crate::store::{IssuedCertificate, NewestSerial, TokenRow, Tx};

impl Controller {
    /// Makes a token with which one device can enrol.
    ///
    /// # Errors
    /// [`Error::Conflict`] before the first metadata was published.
    pub(crate) async fn create_token(&self, device: DeviceId, ttl_s: u64) -> Result<Token, Error> {
        let root = self.root().await?;
        let mut secret = [0; 16];
        getrandom::fill(&mut secret).map_err(Error::Random)?;
        let now = clock::now();
        let expires = UnixSeconds(now.0.saturating_add(ttl_s));
        let token = Token {
            url: self.endpoints().enroll_url,
            root: Digest::of(&root),
            ca: self.authority.root_digest(),
            device: device.clone(),
            secret,
            expires,
        };
        let add =
            move |tx: &Tx<'_>| Ok(tx.add_token(Digest::of(&secret), &device, expires, now)?);
        self.store.write::<_, Error>(add).await?;
        Ok(token)
    }

    /// Answers an enrolment request: signed, with a token that is good for its keys.
    ///
    /// # Errors
    /// [`Error::Refused`].
    pub(crate) async fn enroll(&self, request: Vec<u8>) -> Result<Vec<u8>, Error> {
        let request = enroll::read(&request).map_err(refused)?;
        let (authority, now) = (Arc::clone(&self.authority), clock::now());
        let root = self.root().await?;
        let days = self.device_certificate_days;
        let work = move |tx: &Tx<'_>| enrol(tx, (&authority, days), &request, now);
        let enrolled = self.store.write(work).await?;
        if let Some(issued) = enrolled.issued {
            let device = enrolled.device;
            if self.admit_from_now_on(device.clone(), issued).is_some() {
                if let Err(error) = self.write_revocations().await {
                    tracing::error!("failed to write the revocation list: because {error}");
                }
                self.send_out(Outgoing::Disconnect(device)).await;
            }
        }
        let broker = match self.named_broker() {
            Some(named) => named.to_string(),
            None => self.endpoints().broker_url,
        };
        Ok(cbor::to_vec(&EnrolmentReply {
            certificate_chain: &enrolled.chain,
            ca_certificate: self.authority.root_pem(),
            root: &root,
            broker: &broker,
            topic_prefix: &self.topic_prefix,
        }))
    }

    async fn root(&self) -> Result<Vec<u8>, Error> {
        let missing = || Error::Conflict {
            why: "no metadata is published yet".to_owned(),
        };
        self.metadata("root", None).await?.ok_or_else(missing)
    }

    fn endpoints(&self) -> Endpoints {
        self.endpoints
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

struct Enrolled {
    device: DeviceId,
    chain: String,
    /// Of a certificate that was made now.
    issued: Option<NewestSerial>,
}

fn enrol(
    tx: &Tx<'_>,
    (authority, days): (&Authority, NonZeroU16),
    request: &Request,
    now: UnixSeconds,
) -> Result<Enrolled, Error> {
    let token = tx.token(request.secret)?;
    let state = token.as_ref().map(state);
    let device = request.device.clone();
    match (enroll::decide(request, state.as_ref(), now), &token) {
        (Ok(Decision::Repeat { chain_pem }), _) => Ok(Enrolled {
            device,
            chain: chain_pem.to_owned(),
            issued: None,
        }),
        (Ok(Decision::Issue), Some(token)) => {
            let certificate = authority.issue_device(&token.device, &request.tls_key, now, days)?;
            let issued = IssuedCertificate {
                serial: certificate.serial,
                tls_key: request.tls_key.digest(),
                document_key: request.document_key,
                issued_at: now,
                expires: certificate.expires,
                chain: certificate.chain_pem,
            };
            let newest = tx.enrol(token, &issued)?;
            Ok(Enrolled {
                device,
                chain: issued.chain,
                issued: Some(newest),
            })
        }
        (Ok(Decision::Issue), None) => Err(refused(enroll::Refusal::UnknownToken)),
        (Err(refusal), _) => {
            tracing::warn!(%device, "refused an enrolment: because {refusal}");
            Err(refused(refusal))
        }
    }
}

fn state(token: &TokenRow) -> TokenState {
    let used = token.used.as_ref().map(|used| Used {
        document_key: used.document_key,
        tls_key: used.tls_key,
        chain_pem: used.chain.clone(),
    });
    TokenState {
        device: token.device.clone(),
        secret: token.secret,
        expires: token.expires,
        used,
    }
}

fn refused(refusal: enroll::Refusal) -> Error {
    Error::Refused {
        why: refusal.to_string(),
    }
}
