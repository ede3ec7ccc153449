//! Elements as text: integers exactly, floats with as few digits as read back to the same value.
//!
//! Never a locale.

use crate::tensor::{Datatype, Element};

/// As JSON writes it; NaN and the infinities, which JSON has not, are null.
pub(super) fn json(datatype: Datatype, bytes: &[u8]) -> String {
    match Element::read(datatype, bytes) {
        Element::Float(value) if !value.is_finite() => "null".to_owned(),
        element => shortest(datatype, element),
    }
}

/// As tables write it: `NaN`, `inf` and `-inf` included.
pub(super) fn csv(datatype: Datatype, bytes: &[u8]) -> String {
    shortest(datatype, Element::read(datatype, bytes))
}

fn shortest(datatype: Datatype, element: Element) -> String {
    match element {
        // As binary32 it needs fewer digits than the same value as binary64.
        Element::Float(value) if datatype != Datatype::F64 => format!("{:?}", value as f32),
        element => element.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_and_exact() {
        let check = |datatype, bytes: &[u8], expect: [&str; 2]| {
            assert_eq!([csv(datatype, bytes), json(datatype, bytes)], expect);
        };
        check(Datatype::F32, &0.1f32.to_le_bytes(), ["0.1", "0.1"]);
        check(Datatype::F32, &1e-10f32.to_le_bytes(), ["1e-10", "1e-10"]);
        check(Datatype::F64, &0.1f64.to_le_bytes(), ["0.1", "0.1"]);
        check(Datatype::F32, &f32::NAN.to_le_bytes(), ["NaN", "null"]);
        let infinity = f64::NEG_INFINITY.to_le_bytes();
        check(Datatype::F64, &infinity, ["-inf", "null"]);
        let large = i64::MAX.to_le_bytes();
        check(Datatype::I64, &large, ["9223372036854775807"; 2]);
        check(Datatype::Bool, &[1], ["true", "true"]);
    }
}
