//! Whether a device gets another certificate: a pure decision over its request, the offer that it
//! answers and the key that the fleet knows.
//!
//! Stores nothing and issues nothing. No certificate is asked for: the document key says who asks.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use muster_protocol::cose::{self, KeySet};
use muster_protocol::digest::Digest;
use muster_protocol::id::{DeviceId, Nonce};
use muster_protocol::key::PublicKey;
use muster_protocol::limits::ENROLMENT_BYTES_MAX;
use muster_protocol::message::renewal::RenewalRequest;

use crate::authority::{BadRequest, TlsKey};

/// How long an offer is good for.
const OFFER_LIFE: Duration = Duration::from_secs(60);
/// Offers at a time; beyond it the oldest goes. Who asks for very many keeps others from renewing
/// while that lasts; they have a third of a certificate's life to try again.
const OFFERS_MAX: usize = 4096;

/// Offers that nobody has used.
#[derive(Debug, Default)]
pub(crate) struct Offers(VecDeque<(Nonce, Instant)>);

/// A request whose signature holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Renewal {
    /// Who asks.
    pub(crate) device: DeviceId,
    /// The offer that it answers.
    pub(crate) nonce: Nonce,
    /// The key that its certificate is to be for.
    pub(crate) tls_key: TlsKey,
}

/// Why a device gets none. Log it; the device learns the sentence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    /// It is no request.
    #[error("the renewal request is refused: {0}")]
    Request(cose::Refused),
    /// Nobody of that name has enrolled, or it was revoked.
    #[error("no device of that name is enrolled")]
    UnknownDevice,
    /// Used, expired, or never made.
    #[error("it answers no offer that is open")]
    NoOffer,
    /// It means another authority.
    #[error("it is meant for another CA")]
    OtherCa,
    /// The certificate request in it gives no key.
    #[error("the certificate request is refused: {0}")]
    Certificate(BadRequest),
}

impl Offers {
    /// Makes one.
    pub(crate) fn add(&mut self, nonce: Nonce, now: Instant) {
        self.expire(now);
        if self.0.len() >= OFFERS_MAX {
            self.0.pop_front();
        }
        self.0.push_back((nonce, now + OFFER_LIFE));
    }

    /// Uses one up.
    ///
    /// # Errors
    /// [`Refusal::NoOffer`].
    pub(crate) fn take(&mut self, nonce: Nonce, now: Instant) -> Result<(), Refusal> {
        self.expire(now);
        let found = self.0.iter().position(|(open, _)| *open == nonce);
        let found = found.ok_or(Refusal::NoOffer)?;
        self.0.remove(found);
        Ok(())
    }

    fn expire(&mut self, now: Instant) {
        self.0.retain(|(_, until)| now < *until);
    }
}

/// Who says that it asks; not believed yet.
///
/// # Errors
/// [`Refusal::Request`].
pub(crate) fn claimed(bytes: &[u8]) -> Result<DeviceId, Refusal> {
    if bytes.len() > ENROLMENT_BYTES_MAX {
        return Err(Refusal::Request(cose::Refused::TooLarge));
    }
    let claimed: RenewalRequest<'_> = cose::peek(bytes).map_err(Refusal::Request)?;
    Ok(claimed.device)
}

/// Reads a request that the document key of its device has signed for this CA.
///
/// # Errors
/// Every [`Refusal`] but [`Refusal::NoOffer`].
pub(crate) fn read(bytes: &[u8], key: Option<PublicKey>, ca: Digest) -> Result<Renewal, Refusal> {
    let keys = [key.ok_or(Refusal::UnknownDevice)?];
    let keys = KeySet {
        keys: &keys,
        threshold: 1,
    };
    let mut scratch = vec![0; cose::scratch_len(bytes.len())];
    let request = cose::open::<RenewalRequest<'_>>(bytes, keys, &mut scratch)
        .map_err(Refusal::Request)?
        .into_inner();
    if request.ca != ca {
        return Err(Refusal::OtherCa);
    }
    let tls_key = TlsKey::of_request(request.certificate_request).map_err(Refusal::Certificate)?;
    Ok(Renewal {
        device: request.device,
        nonce: request.nonce,
        tls_key,
    })
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::SigningKey;
    use rcgen::{CertificateParams, KeyPair};

    use super::*;

    const CA: Digest = Digest([3; 32]);

    fn key(seed: u8) -> SigningKey {
        SigningKey::from_bytes(&[seed; 32])
    }

    fn request(signer: u8, ca: Digest, kind: &'static rcgen::SignatureAlgorithm) -> Vec<u8> {
        let tls = KeyPair::generate_for(kind).expect("a key");
        let csr = CertificateParams::default().serialize_request(&tls);
        let csr = csr.expect("a request");
        let request = RenewalRequest {
            device: DeviceId::parse("press-07").expect("valid"),
            nonce: Nonce([7; 16]),
            ca,
            certificate_request: csr.der(),
        };
        cose::seal_vec(&request, &key(signer))
    }

    #[test]
    fn only_the_document_key_that_is_known_renews_and_under_this_ca() {
        let known: PublicKey = key(1).verifying_key().into();
        let check = |bytes: &[u8], key: Option<PublicKey>, expect: Result<(), Refusal>| {
            assert_eq!(read(bytes, key, CA).map(drop), expect);
        };
        let p256 = &rcgen::PKCS_ECDSA_P256_SHA256;
        let good = request(1, CA, p256);
        check(&good, Some(known), Ok(()));
        check(&good, None, Err(Refusal::UnknownDevice));
        let unknown = Err(Refusal::Request(cose::Refused::UnknownKey));
        check(&request(2, CA, p256), Some(known), unknown);
        let elsewhere = request(1, Digest([4; 32]), p256);
        check(&elsewhere, Some(known), Err(Refusal::OtherCa));
        let other_kind = request(1, CA, &rcgen::PKCS_ED25519);
        check(
            &other_kind,
            Some(known),
            Err(Refusal::Certificate(BadRequest::KeyKind)),
        );
        let mut flipped = good.clone();
        *flipped.last_mut().expect("bytes") ^= 1;
        let broken = Err(Refusal::Request(cose::Refused::BadSignature));
        check(&flipped, Some(known), broken);
        assert!(claimed(&good).is_ok());
        assert!(claimed(&vec![0; ENROLMENT_BYTES_MAX + 1]).is_err());
        assert!(claimed(b"").is_err());
    }

    #[test]
    fn an_offer_is_good_once_and_for_a_while() {
        let mut offers = Offers::default();
        let nonce = |number: u8| Nonce([number; 16]);
        let now = Instant::now();
        offers.add(nonce(1), now);
        offers.add(nonce(2), now);
        assert_eq!(offers.take(nonce(1), now), Ok(()));
        assert_eq!(offers.take(nonce(1), now), Err(Refusal::NoOffer), "twice");
        assert_eq!(offers.take(nonce(3), now), Err(Refusal::NoOffer), "never");
        let late = now + OFFER_LIFE;
        assert_eq!(offers.take(nonce(2), late), Err(Refusal::NoOffer), "late");
        for _ in 0..2 * OFFERS_MAX {
            offers.add(nonce(9), now);
        }
        assert_eq!(offers.0.len(), OFFERS_MAX);
    }
}
