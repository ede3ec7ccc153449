//! The sha256 of bytes, as the name under which blobs and documents are known.
//!
//! Never a key and never secret: digests are compared in ordinary time.

use core::fmt;
use minicbor::{Decode, Encode};
use sha2::Digest as _;

/// The sha256 of some bytes; written `sha256:` and 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(transparent)]
pub struct Digest(#[cbor(n(0), with = "minicbor::bytes")] pub [u8; 32]);

/// Text that is not `sha256:` and 64 lower-case hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotADigest;

impl Digest {
    /// The digest of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(sha2::Sha256::digest(bytes).into())
    }

    /// Reads `sha256:<hex>`.
    ///
    /// # Errors
    /// Anything else, upper-case digits included.
    pub fn parse(text: &str) -> Result<Self, NotADigest> {
        Self::parse_hex(text.strip_prefix("sha256:").ok_or(NotADigest)?)
    }

    /// Reads the 64 hexadecimal digits alone, as file names and TUF write them.
    ///
    /// # Errors
    /// Anything else, upper-case digits included.
    pub fn parse_hex(hex: &str) -> Result<Self, NotADigest> {
        let mut bytes = [0; 32];
        decode_hex(hex, &mut bytes)?;
        Ok(Self(bytes))
    }

    /// The 64 hexadecimal digits alone.
    #[must_use]
    pub fn hex(&self) -> Hex<'_> {
        Hex(&self.0)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", self.hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for NotADigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a digest: expected \"sha256:\" and 64 lower-case hexadecimal digits")
    }
}

impl core::error::Error for NotADigest {}

/// The digest of bytes that come in parts.
#[derive(Clone, Default)]
pub struct Digester(sha2::Sha256);

impl Digester {
    /// Takes the next part.
    pub fn update(&mut self, part: &[u8]) {
        self.0.update(part);
    }

    /// The digest of all parts in order.
    #[must_use]
    pub fn finish(self) -> Digest {
        Digest(self.0.finalize().into())
    }
}

/// Bytes shown as lower-case hexadecimal digits.
pub struct Hex<'a>(pub &'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Reads exactly `2 × into.len()` lower-case hexadecimal digits.
///
/// # Errors
/// Another length or another character.
pub fn decode_hex(hex: &str, into: &mut [u8]) -> Result<(), NotADigest> {
    if hex.len() != into.len() * 2 {
        return Err(NotADigest);
    }
    for (byte, pair) in into.iter_mut().zip(hex.as_bytes().chunks_exact(2)) {
        *byte = nibble(pair[0])? << 4 | nibble(pair[1])?;
    }
    Ok(())
}

const fn nibble(digit: u8) -> Result<u8, NotADigest> {
    match digit {
        b'0'..=b'9' => Ok(digit - b'0'),
        b'a'..=b'f' => Ok(digit - b'a' + 10),
        _ => Err(NotADigest),
    }
}
