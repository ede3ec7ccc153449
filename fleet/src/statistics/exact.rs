//! Floats written down as their bits, so that a state that was read again goes on to the last bit.
//!
//! Decimal text may lose the last digit, and then no alarm could be told again from what was stored.

use serde::{Deserialize, Deserializer, Serialize as _, Serializer};

/// Writes the bits.
///
/// # Errors
/// Those of the writer.
pub(crate) fn serialize<S: Serializer>(number: &f64, to: S) -> Result<S::Ok, S::Error> {
    number.to_bits().serialize(to)
}

/// Reads them.
///
/// # Errors
/// Those of the reader.
pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
    u64::deserialize(from).map(f64::from_bits)
}
