//! One number or truth value on its way into a tensor of a given datatype.
//!
//! Never rounds an integer, never turns a finite number into infinity, never takes a number for a
//! truth value.

use super::Datatype;
use std::fmt;

/// A scalar as people and programs write it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Element {
    /// A whole number.
    Int(i128),
    /// Any other number, also NaN and the infinities.
    Float(f64),
    /// A truth value.
    Bool(bool),
}

impl Element {
    /// Appends it in little-endian bytes, if the datatype holds it: integers exactly, floats
    /// rounded to the nearest.
    pub fn append(self, datatype: Datatype, to: &mut Vec<u8>) -> Option<()> {
        match (self, datatype) {
            (Element::Bool(value), Datatype::Bool) => to.push(value.into()),
            (Element::Bool(_), _) | (Element::Int(_), Datatype::Bool) => return None,
            (Element::Int(value), Datatype::F32) => to.extend((value as f32).to_le_bytes()),
            (Element::Int(value), Datatype::F16 | Datatype::F64) => {
                append_float(value as f64, datatype, to)?;
            }
            (Element::Int(value), integer) => append_int(value, integer, to)?,
            (Element::Float(value), float) => append_float(value, float, to)?,
        }
        Some(())
    }

    /// One element of exactly [`Datatype::size`] little-endian bytes.
    pub fn read(datatype: Datatype, bytes: &[u8]) -> Element {
        match datatype {
            Datatype::Bool => Element::Bool(bytes.first().is_some_and(|&byte| byte != 0)),
            float if float.is_float() => Element::Float(float.read_f64(bytes)),
            integer => Element::Int(integer.read_int(bytes)),
        }
    }
}

fn append_float(value: f64, datatype: Datatype, to: &mut Vec<u8>) -> Option<()> {
    let stays = |rounded_is_finite: bool| (rounded_is_finite || !value.is_finite()).then_some(());
    match datatype {
        Datatype::F64 => to.extend(value.to_le_bytes()),
        Datatype::F32 => {
            let rounded = value as f32;
            stays(rounded.is_finite())?;
            to.extend(rounded.to_le_bytes());
        }
        Datatype::F16 => {
            let bits = half_of(value);
            stays(bits & 0x7c00 != 0x7c00)?;
            to.extend(bits.to_le_bytes());
        }
        Datatype::Bool
        | Datatype::U8
        | Datatype::I8
        | Datatype::U16
        | Datatype::I16
        | Datatype::U32
        | Datatype::I32
        | Datatype::U64
        | Datatype::I64 => return None,
    }
    Some(())
}

fn append_int(value: i128, datatype: Datatype, to: &mut Vec<u8>) -> Option<()> {
    match datatype {
        Datatype::U8 => to.extend(u8::try_from(value).ok()?.to_le_bytes()),
        Datatype::I8 => to.extend(i8::try_from(value).ok()?.to_le_bytes()),
        Datatype::U16 => to.extend(u16::try_from(value).ok()?.to_le_bytes()),
        Datatype::I16 => to.extend(i16::try_from(value).ok()?.to_le_bytes()),
        Datatype::U32 => to.extend(u32::try_from(value).ok()?.to_le_bytes()),
        Datatype::I32 => to.extend(i32::try_from(value).ok()?.to_le_bytes()),
        Datatype::U64 => to.extend(u64::try_from(value).ok()?.to_le_bytes()),
        Datatype::I64 => to.extend(i64::try_from(value).ok()?.to_le_bytes()),
        Datatype::Bool | Datatype::F16 | Datatype::F32 | Datatype::F64 => return None,
    }
    Some(())
}

/// The nearest IEEE 754 binary16, ties to even; infinity where none is near.
fn half_of(value: f64) -> u16 {
    let sign = if value.is_sign_negative() { 0x8000 } else { 0 };
    let size = value.abs();
    if value.is_nan() {
        return sign | 0x7e00;
    }
    // Below the smallest normal number the spacing stays 2^-24.
    let exponent = match size {
        size if size < 2f64.powi(-14) => -14,
        size if size >= 65_520.0 => return sign | 0x7c00,
        size => (size.to_bits() >> 52) as i32 - 1023,
    };
    // A whole number of spacings: exact in binary64, and rounded once.
    let steps = (size * 2f64.powi(10 - exponent)).round_ties_even() as u16;
    // A mantissa that rounds up to 2048 carries into the exponent by itself.
    sign | ((((exponent + 14) as u16) << 10) + steps)
}

impl fmt::Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Element::Int(value) => write!(f, "{value}"),
            Element::Float(value) => write!(f, "{value:?}"),
            Element::Bool(value) => write!(f, "{value}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(element: Element, datatype: Datatype, expect: Option<&[u8]>) {
        let mut bytes = Vec::new();
        let got = element.append(datatype, &mut bytes).map(|()| bytes);
        assert_eq!(got.as_deref(), expect, "{element} as {datatype}");
    }

    #[test]
    fn an_element_goes_in_exactly_or_not_at_all() {
        check(Element::Int(255), Datatype::U8, Some(&[255]));
        check(Element::Int(256), Datatype::U8, None);
        check(Element::Int(-1), Datatype::U8, None);
        let large = (1i64 << 53) + 1;
        let bytes = large.to_le_bytes();
        check(Element::Int(large.into()), Datatype::I64, Some(&bytes));
        check(Element::Float(1.0), Datatype::I64, None);
        check(Element::Bool(true), Datatype::Bool, Some(&[1]));
        check(Element::Int(1), Datatype::Bool, None);
        check(Element::Bool(true), Datatype::F32, None);
        check(Element::Float(1e300), Datatype::F32, None);
        let infinity = f32::INFINITY.to_le_bytes();
        check(
            Element::Float(f64::INFINITY),
            Datatype::F32,
            Some(&infinity),
        );
        check(Element::Float(65_520.0), Datatype::F16, None);
    }

    #[test]
    fn every_half_survives_and_others_round_to_the_nearest() {
        for bits in 0..=u16::MAX {
            let value = Datatype::F16.read_f64(&bits.to_le_bytes());
            if !value.is_nan() {
                assert_eq!(half_of(value), bits, "{value}");
            }
        }
        let rounds = |value: f64, expect: u16| assert_eq!(half_of(value), expect, "{value}");
        rounds(f64::NAN, 0x7e00);
        rounds(1.0 + 2f64.powi(-11), 0x3c00);
        rounds(1.0 + 3.0 * 2f64.powi(-11), 0x3c02);
        rounds(2.0 - 2f64.powi(-12), 0x4000);
        rounds(65_519.9, 0x7bff);
        rounds(2f64.powi(-25), 0);
        rounds(1.1 * 2f64.powi(-25), 1);
        rounds(2f64.powi(-14) * (1.0 - 2f64.powi(-12)), 0x0400);
    }
}
