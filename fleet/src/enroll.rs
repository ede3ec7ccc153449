//! Whether a device may enrol: a pure decision over its request and the token that it brings.
//!
//! Stores nothing and signs nothing: the controller does, when the decision is to issue. The
//! identity comes from the token, never from the request.

use muster_protocol::cose::{self, KeySet};
use muster_protocol::digest::Digest;
use muster_protocol::id::DeviceId;
use muster_protocol::key::PublicKey;
use muster_protocol::limits::ENROLMENT_BYTES_MAX;
use muster_protocol::message::enrolment::EnrolmentRequest;
use muster_protocol::time::UnixSeconds;

use crate::authority::{BadRequest, TlsKey};

/// A request whose signature and proof of possession hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Request {
    /// Who it says it is; the token decides.
    pub(crate) device: DeviceId,
    /// The sha256 of the token's secret.
    pub(crate) secret: Digest,
    /// The key that signs the device's documents; it signed the request.
    pub(crate) document_key: PublicKey,
    /// The key that its certificate is for.
    pub(crate) tls_key: TlsKey,
}

/// What the fleet knows about a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TokenState {
    /// The device that it was made for.
    pub(crate) device: DeviceId,
    /// The sha256 of its secret: the secret itself is not kept.
    pub(crate) secret: Digest,
    /// Until when it can be used.
    pub(crate) expires: UnixSeconds,
    /// By whom it was used.
    pub(crate) used: Option<Used>,
}

/// What a token was used for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Used {
    /// The device's document key.
    pub(crate) document_key: PublicKey,
    /// [`TlsKey::digest`] of its TLS key.
    pub(crate) tls_key: Digest,
    /// The certificate and intermediate that it got, PEM.
    pub(crate) chain_pem: String,
}

/// What to answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Decision<'t> {
    /// Make a certificate and remember the keys.
    Issue,
    /// The same device asks again, its reply was lost: the same certificate.
    Repeat {
        /// The certificate and intermediate, PEM.
        chain_pem: &'t str,
    },
}

/// Why a device may not enrol. Log it; the device learns the sentence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    /// The request is not a signed document, or not signed by the key that it brings.
    #[error("the enrolment request is refused: {0}")]
    Request(cose::Refused),
    /// The certificate request in it gives no key.
    #[error("the certificate request is refused: {0}")]
    Certificate(BadRequest),
    /// No token has this secret.
    #[error("no token has this secret")]
    UnknownToken,
    /// The token is for another device.
    #[error("the token is for another device")]
    OtherDevice,
    /// The token has expired.
    #[error("the token has expired")]
    Expired,
    /// The token was used by a device with other keys.
    #[error("the token was used already, by a device with other keys")]
    UsedByOther,
}

/// Reads a request and checks that the keys in it are the sender's.
///
/// # Errors
/// [`Refusal::Request`] or [`Refusal::Certificate`].
pub(crate) fn read(bytes: &[u8]) -> Result<Request, Refusal> {
    if bytes.len() > ENROLMENT_BYTES_MAX {
        return Err(Refusal::Request(cose::Refused::TooLarge));
    }
    let claimed: EnrolmentRequest<'_> = cose::peek(bytes).map_err(Refusal::Request)?;
    let keys = [claimed.document_key];
    let mut scratch = vec![0; cose::scratch_len(bytes.len())];
    let keys = KeySet {
        keys: &keys,
        threshold: 1,
    };
    let request = cose::open::<EnrolmentRequest<'_>>(bytes, keys, &mut scratch)
        .map_err(Refusal::Request)?
        .into_inner();
    let tls_key = TlsKey::of_request(request.certificate_request).map_err(Refusal::Certificate)?;
    Ok(Request {
        device: request.device,
        secret: Digest::of(request.secret),
        document_key: request.document_key,
        tls_key,
    })
}

/// Judges a request by the token that has its secret, if there is one.
///
/// # Errors
/// Every other [`Refusal`].
pub(crate) fn decide<'t>(
    request: &Request,
    token: Option<&'t TokenState>,
    now: UnixSeconds,
) -> Result<Decision<'t>, Refusal> {
    let token = token.filter(|token| token.secret == request.secret);
    let token = token.ok_or(Refusal::UnknownToken)?;
    if token.device != request.device {
        return Err(Refusal::OtherDevice);
    }
    if now >= token.expires {
        return Err(Refusal::Expired);
    }
    match &token.used {
        None => Ok(Decision::Issue),
        Some(used) if is_same(used, request) => Ok(Decision::Repeat {
            chain_pem: &used.chain_pem,
        }),
        Some(_) => Err(Refusal::UsedByOther),
    }
}

fn is_same(used: &Used, request: &Request) -> bool {
    used.document_key == request.document_key && used.tls_key == request.tls_key.digest()
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::SigningKey;
    use rcgen::{CertificateParams, KeyPair};

    use super::*;

    const NOW: UnixSeconds = UnixSeconds(1_800_000_000);
    const SECRET: [u8; 16] = [7; 16];

    fn device(name: &str) -> DeviceId {
        DeviceId::parse(name).expect("valid")
    }

    fn certificate_request(key: &KeyPair) -> Vec<u8> {
        let params = CertificateParams::default();
        params
            .serialize_request(key)
            .expect("a request")
            .der()
            .to_vec()
    }

    /// A request that brings the key of `seed` and is signed by that of `signer`.
    fn request(seed: u8, signer: u8, secret: [u8; 16], tls: &KeyPair) -> Vec<u8> {
        let key = SigningKey::from_bytes(&[seed; 32]);
        let request = EnrolmentRequest {
            device: device("press-07"),
            secret: &secret,
            document_key: key.verifying_key().into(),
            certificate_request: &certificate_request(tls),
        };
        cose::seal_vec(&request, &SigningKey::from_bytes(&[signer; 32]))
    }

    fn token(used: Option<Used>) -> TokenState {
        TokenState {
            device: device("press-07"),
            secret: Digest::of(&SECRET),
            expires: UnixSeconds(NOW.0 + 60),
            used,
        }
    }

    fn used_by(request: &Request) -> Option<Used> {
        Some(Used {
            document_key: request.document_key,
            tls_key: request.tls_key.digest(),
            chain_pem: "first".to_owned(),
        })
    }

    fn check(
        request: &Request,
        token: Option<&TokenState>,
        now: UnixSeconds,
        expect: Result<Decision<'_>, Refusal>,
    ) {
        assert_eq!(decide(request, token, now), expect);
    }

    #[test]
    fn a_token_serves_one_device_with_one_pair_of_keys_until_it_expires() {
        let (tls, other_tls) = (new_key(), new_key());
        let first = read(&request(1, 1, SECRET, &tls)).expect("signed");
        let other_document = read(&request(2, 2, SECRET, &tls)).expect("signed");
        let other_certificate = read(&request(1, 1, SECRET, &other_tls)).expect("signed");
        let (fresh, used) = (token(None), token(used_by(&first)));
        let repeat = Ok(Decision::Repeat { chain_pem: "first" });
        check(&first, Some(&fresh), NOW, Ok(Decision::Issue));
        check(&first, Some(&used), NOW, repeat);
        check(&other_document, Some(&used), NOW, Err(Refusal::UsedByOther));
        check(
            &other_certificate,
            Some(&used),
            NOW,
            Err(Refusal::UsedByOther),
        );
        for token in [&fresh, &used] {
            check(&first, Some(token), token.expires, Err(Refusal::Expired));
        }
        let elsewhere = TokenState {
            device: device("press-08"),
            ..fresh
        };
        check(&first, Some(&elsewhere), NOW, Err(Refusal::OtherDevice));
    }

    #[test]
    fn a_wrong_secret_finds_no_token() {
        let wrong = read(&request(1, 1, [8; 16], &new_key())).expect("signed");
        check(&wrong, None, NOW, Err(Refusal::UnknownToken));
        check(&wrong, Some(&token(None)), NOW, Err(Refusal::UnknownToken));
    }

    #[test]
    fn a_request_is_signed_by_the_keys_in_it() {
        let refused = |bytes: &[u8]| read(bytes).expect_err("refused");
        let tls = new_key();
        let other = request(1, 2, SECRET, &tls);
        assert_eq!(refused(&other), Refusal::Request(cose::Refused::UnknownKey));
        let mut flipped = request(1, 1, SECRET, &tls);
        *flipped.last_mut().expect("bytes") ^= 1;
        assert_eq!(
            refused(&flipped),
            Refusal::Request(cose::Refused::BadSignature)
        );
        let huge = vec![0; ENROLMENT_BYTES_MAX + 1];
        assert_eq!(refused(&huge), Refusal::Request(cose::Refused::TooLarge));
        assert!(matches!(refused(b""), Refusal::Request(_)));
    }

    #[test]
    fn a_certificate_request_that_is_no_p256_key_is_refused() {
        let ed25519 = KeyPair::generate_for(&rcgen::PKCS_ED25519).expect("a key");
        let refusal = read(&request(1, 1, SECRET, &ed25519)).expect_err("refused");
        assert_eq!(refusal, Refusal::Certificate(BadRequest::KeyKind));
    }

    fn new_key() -> KeyPair {
        KeyPair::generate().expect("a key")
    }
}
