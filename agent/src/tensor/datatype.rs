//! Element types: their names in the Open Inference Protocol, codes on the wire, and sizes.
//!
//! Never a quantised type with scale and zero point: those stay inside the runtime.

use std::fmt;
use std::str::FromStr;

/// Type of a tensor's elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Datatype {
    /// One byte, 0 or 1.
    Bool,
    /// Unsigned 8 bits.
    U8,
    /// Signed 8 bits.
    I8,
    /// Unsigned 16 bits.
    U16,
    /// Signed 16 bits.
    I16,
    /// Unsigned 32 bits.
    U32,
    /// Signed 32 bits.
    I32,
    /// Unsigned 64 bits.
    U64,
    /// Signed 64 bits.
    I64,
    /// IEEE 754 half precision.
    F16,
    /// IEEE 754 single precision.
    F32,
    /// IEEE 754 double precision.
    F64,
}

/// A name or code that stands for no datatype.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no datatype; known are {known}", known = known())]
pub struct UnknownDatatype(String);

/// Order is wire format: the position is the code. Append only.
const TABLE: [(Datatype, &str, usize); 12] = [
    (Datatype::Bool, "BOOL", 1),
    (Datatype::U8, "UINT8", 1),
    (Datatype::I8, "INT8", 1),
    (Datatype::U16, "UINT16", 2),
    (Datatype::I16, "INT16", 2),
    (Datatype::U32, "UINT32", 4),
    (Datatype::I32, "INT32", 4),
    (Datatype::U64, "UINT64", 8),
    (Datatype::I64, "INT64", 8),
    (Datatype::F16, "FP16", 2),
    (Datatype::F32, "FP32", 4),
    (Datatype::F64, "FP64", 8),
];

impl Datatype {
    /// Name in the Open Inference Protocol v2 ("FP32", "INT64", …).
    pub fn as_str(self) -> &'static str {
        TABLE[self as usize].1
    }

    /// Bytes of one element.
    pub fn size(self) -> usize {
        TABLE[self as usize].2
    }

    /// Code on the wire.
    pub fn code(self) -> u8 {
        self as u8
    }

    /// The datatype of a code on the wire.
    pub fn from_code(code: u8) -> Result<Datatype, UnknownDatatype> {
        let row = TABLE.get(usize::from(code));
        row.map(|row| row.0)
            .ok_or_else(|| UnknownDatatype(format!("code {code}")))
    }

    /// Whether elements can be NaN or infinite.
    pub fn is_float(self) -> bool {
        matches!(self, Datatype::F16 | Datatype::F32 | Datatype::F64)
    }

    /// One element of exactly [`Datatype::size`] little-endian bytes; 0 for any other length.
    pub fn read_f64(self, bytes: &[u8]) -> f64 {
        match self {
            Datatype::F16 => f64::from(half_to_f32(u16::from_le_bytes(array(bytes)))),
            Datatype::F32 => f64::from(f32::from_le_bytes(array(bytes))),
            Datatype::F64 => f64::from_le_bytes(array(bytes)),
            Datatype::Bool
            | Datatype::U8
            | Datatype::I8
            | Datatype::U16
            | Datatype::I16
            | Datatype::U32
            | Datatype::I32
            | Datatype::U64
            | Datatype::I64 => self.read_int(bytes) as f64,
        }
    }

    /// One integer element, exactly; floats give 0.
    pub fn read_int(self, bytes: &[u8]) -> i128 {
        match self {
            Datatype::Bool | Datatype::U8 => u8::from_le_bytes(array(bytes)).into(),
            Datatype::I8 => i8::from_le_bytes(array(bytes)).into(),
            Datatype::U16 => u16::from_le_bytes(array(bytes)).into(),
            Datatype::I16 => i16::from_le_bytes(array(bytes)).into(),
            Datatype::U32 => u32::from_le_bytes(array(bytes)).into(),
            Datatype::I32 => i32::from_le_bytes(array(bytes)).into(),
            Datatype::U64 => u64::from_le_bytes(array(bytes)).into(),
            Datatype::I64 => i64::from_le_bytes(array(bytes)).into(),
            Datatype::F16 | Datatype::F32 | Datatype::F64 => 0,
        }
    }
}

impl fmt::Display for Datatype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Datatype {
    type Err = UnknownDatatype;

    fn from_str(name: &str) -> Result<Datatype, UnknownDatatype> {
        let row = TABLE.iter().find(|row| row.1 == name);
        row.map(|row| row.0)
            .ok_or_else(|| UnknownDatatype(name.chars().take(32).collect()))
    }
}

fn known() -> String {
    TABLE.map(|row| row.1).join(", ")
}

fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
    bytes.try_into().unwrap_or([0; N])
}

/// IEEE 754 binary16 to binary32, exact.
fn half_to_f32(bits: u16) -> f32 {
    let sign = if bits >> 15 == 1 { -1.0 } else { 1.0 };
    let exponent = i32::from(bits >> 10 & 0x1f);
    let fraction = f32::from(bits & 0x3ff);
    match exponent {
        0 => sign * fraction * 2f32.powi(-24),
        31 if fraction == 0.0 => sign * f32::INFINITY,
        31 => f32::NAN,
        _ => sign * (1.0 + fraction / 1024.0) * 2f32.powi(exponent - 15),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_codes_go_both_ways() {
        for (position, (datatype, name, _)) in TABLE.into_iter().enumerate() {
            assert_eq!(usize::from(datatype.code()), position);
            assert_eq!(Datatype::from_code(datatype.code()), Ok(datatype));
            assert_eq!(name.parse(), Ok(datatype));
        }
        assert!("fp32".parse::<Datatype>().is_err());
        assert!(Datatype::from_code(12).is_err());
    }

    #[test]
    fn elements_read_exactly() {
        fn check(datatype: Datatype, bytes: &[u8], expect: f64) {
            assert_eq!(datatype.read_f64(bytes), expect, "{datatype} {bytes:?}");
        }
        check(Datatype::F16, &0x3c00u16.to_le_bytes(), 1.0);
        check(Datatype::F16, &0xc000u16.to_le_bytes(), -2.0);
        check(Datatype::F16, &0x0001u16.to_le_bytes(), 2f64.powi(-24));
        check(Datatype::F16, &0x7bffu16.to_le_bytes(), 65504.0);
        check(Datatype::F16, &0xfc00u16.to_le_bytes(), f64::NEG_INFINITY);
        check(Datatype::I8, &[0xff], -1.0);
        check(Datatype::U16, &[1, 1], 257.0);
        check(Datatype::F32, &[1, 2], 0.0);
        assert_eq!(
            Datatype::I64.read_int(&i64::MIN.to_le_bytes()),
            i128::from(i64::MIN)
        );
    }
}
