//! One field of text as one element of a datatype.
//!
//! Never rounds an integer; what is missing becomes NaN where the datatype has it, and is refused
//! otherwise.

use crate::tensor::{Datatype, Element};

/// Appends a field; an empty one, `nan` and `null` are missing.
pub(super) fn append(text: &str, datatype: Datatype, to: &mut Vec<u8>) -> Result<(), String> {
    let text = text.trim();
    let element = match text {
        _ if is_missing(text) => return append_missing(datatype, to),
        _ if datatype == Datatype::Bool => truth(text),
        _ if datatype.is_float() => text.parse().ok().map(Element::Float),
        _ => whole(text).map(Element::Int),
    };
    let shown = || text.chars().take(40).collect::<String>();
    let element = element.ok_or_else(|| format!("{:?} is no {datatype} number", shown()))?;
    let fits = element.append(datatype, to);
    fits.ok_or_else(|| format!("{} does not fit {datatype}", shown()))
}

/// Appends what is not there.
pub(super) fn append_missing(datatype: Datatype, to: &mut Vec<u8>) -> Result<(), String> {
    let none = || format!("it is missing, and {datatype} has no value for that");
    Element::Float(f64::NAN)
        .append(datatype, to)
        .ok_or_else(none)
}

fn is_missing(text: &str) -> bool {
    text.is_empty() || text.eq_ignore_ascii_case("nan") || text.eq_ignore_ascii_case("null")
}

fn truth(text: &str) -> Option<Element> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" => Some(Element::Bool(true)),
        "false" | "0" => Some(Element::Bool(false)),
        _ => None,
    }
}

/// Digits, also with the `.0` that tables with missing values get.
fn whole(text: &str) -> Option<i128> {
    let digits = match text.split_once('.') {
        Some((digits, zeros)) if zeros.bytes().all(|byte| byte == b'0') => digits,
        Some(_) => return None,
        None => text,
    };
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_a_number_or_missing_or_refused() {
        fn check(text: &str, datatype: Datatype, expect: Result<&str, &str>) {
            let mut bytes = Vec::new();
            let got = append(text, datatype, &mut bytes);
            match (got, expect) {
                (Ok(()), Ok(shown)) => {
                    assert_eq!(Element::read(datatype, &bytes).to_string(), shown, "{text}");
                }
                (Err(because), Err(part)) => assert!(because.contains(part), "{because}"),
                (got, expect) => panic!("{text:?}: {got:?} instead of {expect:?}"),
            }
        }
        check(" 1.5 ", Datatype::F32, Ok("1.5"));
        check("-0", Datatype::F64, Ok("-0.0"));
        check("inf", Datatype::F32, Ok("inf"));
        check("", Datatype::F32, Ok("NaN"));
        check("NaN", Datatype::F16, Ok("NaN"));
        check("null", Datatype::I64, Err("missing"));
        check("", Datatype::Bool, Err("missing"));
        check(
            "9223372036854775807",
            Datatype::I64,
            Ok("9223372036854775807"),
        );
        check("9223372036854775808", Datatype::I64, Err("does not fit"));
        check("3.00", Datatype::I32, Ok("3"));
        check("3.5", Datatype::I32, Err("\"3.5\" is no INT32 number"));
        check("1e40", Datatype::F32, Err("does not fit"));
        check("1,5", Datatype::F32, Err("\"1,5\" is no FP32"));
        check("True", Datatype::Bool, Ok("true"));
        check("2", Datatype::Bool, Err("is no BOOL"));
    }
}
