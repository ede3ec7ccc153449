//! How alerts are signed: the symmetric scheme of Standard Webhooks 1.0, HMAC-SHA256 over
//! `id.timestamp.body`.
//!
//! Never shows a secret.

use std::fmt;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use muster_protocol::time::UnixSeconds;
use sha2::Sha256;

use crate::error::{Exit, OperatorError};
use crate::home;

const PREFIX: &str = "whsec_";
/// Bytes that a secret may have, by the specification.
const BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// The secret that a webhook and this fleet share.
pub(super) struct Secret(Vec<u8>);

impl Secret {
    /// Reads the secret of the webhook `name` from its file.
    ///
    /// # Errors
    /// It is missing, others may read it, or it is no secret of the form `whsec_…`.
    pub(super) fn read(path: &Path, name: &str) -> Result<Self, OperatorError> {
        let text = home::read_secret(path)?;
        Self::parse(text.trim()).map_err(|because| {
            let what = format!("use the secret of the webhook {name} in {}", path.display());
            let hint = "write one with: umask 077; echo whsec_$(head -c 32 /dev/urandom | base64)";
            OperatorError::new(Exit::BadInput, what, because, hint)
        })
    }

    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let coded = text.strip_prefix(PREFIX);
        let coded = coded.ok_or("it does not begin with whsec_".to_owned())?;
        let bytes = STANDARD.decode(coded);
        let bytes = bytes.map_err(|_| "what follows whsec_ is not base64".to_owned())?;
        match BYTES.contains(&bytes.len()) {
            true => Ok(Self(bytes)),
            false => Err(format!("it has {} bytes, not 24 to 64", bytes.len())),
        }
    }

    /// The header `webhook-signature`.
    pub(super) fn sign(&self, id: &str, at: UnixSeconds, body: &str) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0)
            .expect("invariant: HMAC takes a key of any length");
        mac.update(format!("{id}.{}.{body}", at.0).as_bytes());
        format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example that the libraries of Standard Webhooks test themselves with.
    #[test]
    fn a_signature_is_that_of_the_specification() {
        let secret = Secret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").expect("a secret");
        let signature = secret.sign(
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            UnixSeconds(1_614_265_330),
            r#"{"test": 2432232314}"#,
        );
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        assert_eq!(format!("{secret:?}"), "Secret(…)");
    }

    #[test]
    fn a_secret_has_its_form_and_length() {
        let of = |count: usize| format!("whsec_{}", STANDARD.encode(vec![7; count]));
        let check = |text: &str, expect: Option<&str>| {
            let because = Secret::parse(text).err();
            assert_eq!(because.is_some(), expect.is_some(), "{text}");
            let because = because.unwrap_or_default();
            assert!(because.contains(expect.unwrap_or("")), "{because}");
        };
        check(&of(24), None);
        check(&of(64), None);
        check(&of(23), Some("23 bytes"));
        check(&of(65), Some("65 bytes"));
        check("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", Some("whsec_"));
        check("whsec_ä", Some("base64"));
        check("", Some("whsec_"));
    }
}
