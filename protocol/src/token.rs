//! The enrolment token: one line of text that a person carries from the controller to a device.
//!
//! It pins root metadata and CA by digest, so that the first contact trusts nobody. Whoever
//! holds it can enrol its one device, once.

use crate::cbor;
use crate::digest::Digest;
use crate::id::DeviceId;
use crate::time::UnixSeconds;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use minicbor::{Decode, Encode};

/// Start of every token; the digit is the version of the format.
const START: &str = "muster1.";

/// What a device needs for its first contact.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Token {
    /// Where to enrol, `https://host:port`.
    #[n(0)]
    pub url: String,
    /// Digest of the exact current root metadata.
    #[n(1)]
    pub root: Digest,
    /// Digest of the CA certificate, DER.
    #[n(2)]
    pub ca: Digest,
    /// The device that will be enrolled.
    #[n(3)]
    pub device: DeviceId,
    /// The secret.
    #[cbor(n(4), with = "minicbor::bytes")]
    pub secret: [u8; 16],
    /// Until when it can be used.
    #[n(5)]
    pub expires: UnixSeconds,
}

/// A text that is not a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotAToken;

impl fmt::Display for NotAToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "not an enrolment token: expected one line that starts with {START:?}"
        )
    }
}

impl core::error::Error for NotAToken {}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{START}{}", crate::digest::Hex(&cbor::to_vec(self)))
    }
}

impl core::str::FromStr for Token {
    type Err = NotAToken;

    fn from_str(text: &str) -> Result<Self, NotAToken> {
        let hex = text
            .trim()
            .strip_prefix(START)
            .filter(|hex| hex.len() <= 4096);
        let hex = hex.ok_or(NotAToken)?;
        let mut bytes: Vec<u8> = alloc::vec![0; hex.len() / 2];
        crate::digest::decode_hex(hex, &mut bytes).map_err(|_| NotAToken)?;
        cbor::decode(&bytes).map_err(|_| NotAToken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn a_token_is_read_as_it_was_printed_and_no_cut_one_is() {
        let token = Token {
            url: "https://fleet.example:8443".into(),
            root: Digest([1; 32]),
            ca: Digest([2; 32]),
            device: DeviceId::parse("press-07").expect("valid"),
            secret: [3; 16],
            expires: UnixSeconds(1_800_000_000),
        };
        let text = token.to_string();
        assert_eq!(text.parse(), Ok(token));
        for end in 0..text.len() {
            assert_eq!(text[..end].parse::<Token>(), Err(NotAToken));
        }
    }
}
