//! Digests as listings give them: sha256, sha512 or both, of which every one that is given must hold.
//! Kinds that we do not know are passed over, but never taken alone.

use serde::{Deserialize, Serialize};

use super::super::hex::{Hex32, Hex64};

/// Digests of a file, at least one of a kind that we know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Given")]
pub struct Hashes {
    #[serde(skip_serializing_if = "Option::is_none")]
    sha256: Option<Hex32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sha512: Option<Hex64>,
}

impl Hashes {
    /// What our own listings give: the sha256 of some bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self {
            sha256: Some(Hex32::sha256(bytes)),
            sha512: None,
        }
    }

    /// The sha256, if it is listed. What we publish always has it.
    #[must_use]
    pub fn sha256(&self) -> Option<Hex32> {
        self.sha256
    }

    /// The sha512, if it is listed.
    #[must_use]
    pub fn sha512(&self) -> Option<Hex64> {
        self.sha512
    }

    /// Whether every digest that is listed is the one of these bytes.
    #[must_use]
    pub fn match_bytes(&self, bytes: &[u8]) -> bool {
        let same256 = |listed: Hex32| listed == Hex32::sha256(bytes);
        let same512 = |listed: Hex64| listed == Hex64::sha512(bytes);
        self.sha256.is_none_or(same256) && self.sha512.is_none_or(same512)
    }

    pub(super) fn match_digests(&self, digests: &Digests) -> bool {
        self.sha256.is_none_or(|listed| listed == digests.sha256)
            && self.sha512.is_none_or(|listed| listed == digests.sha512)
    }
}

/// Every digest that a listing may give, of the bytes of one document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Digests {
    pub(super) sha256: Hex32,
    sha512: Hex64,
}

impl Digests {
    pub(super) fn of(bytes: &[u8]) -> Self {
        Self {
            sha256: Hex32::sha256(bytes),
            sha512: Hex64::sha512(bytes),
        }
    }
}

/// As it is read, before it is known that there is one.
#[derive(Deserialize)]
struct Given {
    sha256: Option<Hex32>,
    sha512: Option<Hex64>,
}

impl TryFrom<Given> for Hashes {
    type Error = &'static str;

    fn try_from(given: Given) -> Result<Self, Self::Error> {
        let Given { sha256, sha512 } = given;
        match (sha256, sha512) {
            (None, None) => Err("hashes need a sha256 or a sha512"),
            _ => Ok(Self { sha256, sha512 }),
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::{String, ToString as _};

    use serde_json::{Value, json};

    use super::*;

    const BYTES: &[u8] = b"bytes";

    fn good256() -> String {
        Hex32::sha256(BYTES).to_string()
    }

    fn good512() -> String {
        Hex64::sha512(BYTES).to_string()
    }

    #[test]
    fn every_known_digest_must_hold() {
        let (other256, other512) = (Hex32::sha256(b"x"), Hex64::sha512(b"x"));
        let check = |listed: Value, expect: Option<bool>| {
            let hashes: Option<Hashes> = serde_json::from_value(listed.clone()).ok();
            let held = hashes.map(|hashes| hashes.match_bytes(BYTES));
            assert_eq!(held, expect, "{listed}");
            let digests = Digests::of(BYTES);
            let held = hashes.map(|hashes| hashes.match_digests(&digests));
            assert_eq!(held, expect, "{listed}");
        };
        check(json!({ "sha256": good256() }), Some(true));
        check(json!({ "sha512": good512() }), Some(true));
        check(
            json!({ "sha256": good256(), "sha512": good512() }),
            Some(true),
        );
        check(json!({ "sha256": good256(), "md5": "00" }), Some(true));
        check(json!({ "sha256": other256 }), Some(false));
        check(json!({ "sha512": other512 }), Some(false));
        check(
            json!({ "sha256": other256, "sha512": good512() }),
            Some(false),
        );
        check(
            json!({ "sha256": good256(), "sha512": other512 }),
            Some(false),
        );
        check(json!({ "md5": "00" }), None);
        check(json!({}), None);
        check(json!({ "sha256": good512() }), None);
    }
}
