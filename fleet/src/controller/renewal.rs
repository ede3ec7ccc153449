//! Renewal of certificates: the decision is made elsewhere, here it is looked up and recorded.
//!
//! A live session goes on under the certificate before; the next one needs the new.

use std::num::NonZeroU16;
use std::sync::{Arc, PoisonError};

use muster_protocol::cbor;
use muster_protocol::id::Nonce;
use muster_protocol::message::renewal::{RenewalOffer, RenewalReply};
use muster_protocol::time::UnixSeconds;

use super::{Controller, Error};
use crate::authority::Authority;
use crate::clock;
use crate::renew::{self, Refusal, Renewal};
use crate::store::{IssuedCertificate, NewestSerial, Tx};

impl Controller {
    /// Offers a certificate to whoever can sign for one.
    ///
    /// # Errors
    /// The system gives no randomness.
    pub(crate) fn offer_renewal(&self) -> Result<Vec<u8>, Error> {
        let mut nonce = [0; 16];
        getrandom::fill(&mut nonce).map_err(Error::Random)?;
        let nonce = Nonce(nonce);
        let mut offers = self.offers.lock().unwrap_or_else(PoisonError::into_inner);
        offers.add(nonce, clock::monotonic());
        let ca = self.authority.root_digest();
        Ok(cbor::to_vec(&RenewalOffer { nonce, ca }))
    }

    /// Answers a renewal request. The same key gets the same certificate again: a lost reply
    /// costs nothing.
    ///
    /// # Errors
    /// [`Error::Refused`].
    pub(crate) async fn renew(&self, request: Vec<u8>) -> Result<Vec<u8>, Error> {
        let device = renew::claimed(&request).map_err(refused)?;
        let asked = device.clone();
        let key = self.store.read(move |tx| tx.document_key(&asked)).await;
        let ca = self.authority.root_digest();
        let judged = renew::read(&request, key.map_err(Error::Store)?, ca);
        let judged = judged.and_then(|renewal| {
            let mut offers = self.offers.lock().unwrap_or_else(PoisonError::into_inner);
            offers.take(renewal.nonce, clock::monotonic())?;
            Ok(renewal)
        });
        let renewal = judged.map_err(|refusal| {
            tracing::warn!(%device, "refused a renewal: because {refusal}");
            refused(refusal)
        })?;
        let (authority, now) = (Arc::clone(&self.authority), clock::now());
        let days = self.device_certificate_days;
        let issue_in = move |tx: &Tx<'_>| issue(tx, &renewal, (&authority, days), now);
        let (chain, issued) = self.store.write(issue_in).await?;
        if let Some(issued) = issued {
            tracing::info!(%device, serial = issued.serial, "renewed a certificate");
            self.admit_from_now_on(device, issued);
            if let Err(error) = self.write_revocations().await {
                tracing::error!("failed to write the revocation list: because {error}");
            }
        }
        Ok(cbor::to_vec(&RenewalReply {
            certificate_chain: &chain,
        }))
    }
}

/// The certificate, and its place in the log if it was made now.
fn issue(
    tx: &Tx<'_>,
    renewal: &Renewal,
    (authority, days): (&Authority, NonZeroU16),
    now: UnixSeconds,
) -> Result<(String, Option<NewestSerial>), Error> {
    let document_key = tx.document_key(&renewal.device)?;
    let document_key = document_key.ok_or_else(|| refused(Refusal::UnknownDevice))?;
    let newest = tx.newest_certificate(&renewal.device)?;
    let tls_key = renewal.tls_key.digest();
    if let Some(newest) = newest.filter(|newest| newest.tls_key == tls_key) {
        return Ok((newest.chain, None));
    }
    let certificate = authority.issue_device(&renewal.device, &renewal.tls_key, now, days)?;
    let issued = IssuedCertificate {
        serial: certificate.serial,
        tls_key,
        document_key,
        issued_at: now,
        expires: certificate.expires,
        chain: certificate.chain_pem,
    };
    let newest = tx.add_certificate(&renewal.device, &issued)?;
    Ok((issued.chain, Some(newest)))
}

fn refused(refusal: Refusal) -> Error {
    Error::Refused {
        why: refusal.to_string(),
    }
}
