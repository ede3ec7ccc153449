//! How documents are written: CBOR (RFC 8949) with integer keys, in one form only.
//!
//! Every reader first checks the core deterministic form of RFC 8949 section 4.2.1 (definite
//! lengths, shortest integers, ascending integer keys), so that one meaning has one writing.
//! Never a float: numbers that need one travel as scaled integers or as bits.

mod canonical;
mod list;

pub use canonical::Malformed;
pub(crate) use canonical::{after, check, head};
pub use list::List;

use minicbor::encode::write::{Cursor, EndOfSlice};
use minicbor::{Decode, Encode};

/// Reads one document that fills `bytes` exactly.
///
/// # Errors
/// [`Malformed`]: not in the deterministic form, a missing or ill-typed field, or bytes behind.
pub fn decode<'b, T: Decode<'b, ()>>(bytes: &'b [u8]) -> Result<T, Malformed> {
    check(bytes)?;
    minicbor::decode(bytes).map_err(|_| Malformed::Field)
}

/// Writes `value` to the start of `buffer` and gives its length.
///
/// # Errors
/// [`NoRoom`] when the buffer is too small.
pub fn encode<T: Encode<()>>(value: &T, buffer: &mut [u8]) -> Result<usize, NoRoom> {
    let mut cursor = Cursor::new(buffer);
    minicbor::encode(value, &mut cursor)
        .map_err(|_: minicbor::encode::Error<EndOfSlice>| NoRoom)?;
    Ok(cursor.position())
}

/// A buffer that is too small for the document that should go into it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoRoom;

impl core::fmt::Display for NoRoom {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("the document does not fit its buffer")
    }
}

impl core::error::Error for NoRoom {}

/// Writes `value` to a vector.
#[cfg(feature = "alloc")]
#[must_use]
pub fn to_vec<T: Encode<()>>(value: &T) -> alloc::vec::Vec<u8> {
    let mut bytes = alloc::vec::Vec::new();
    match minicbor::encode(value, &mut bytes) {
        Ok(()) => bytes,
        Err(error) => unreachable!("a vector takes all bytes: {error}"),
    }
}
