//! The canonical JSON that TUF signatures cover (OLPC form: sorted keys, no blanks, only quote and
//! backslash escaped, integers only), and the strict reader in front of it. It never repairs:
//! duplicate keys, fractions and exponents are refused, because readers disagree about them.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use serde::de::{Deserialize, DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// The bytes that a signature over `value` covers.
///
/// # Errors
/// [`NotCanonical`] if the value holds a number that is not a 64-bit integer.
pub fn canonical_bytes(value: &Value) -> Result<Vec<u8>, NotCanonical> {
    let mut out = Vec::new();
    write(value, &mut out, write_canonical_string)?;
    Ok(out)
}

/// A number in it is not an integer, so that it has no canonical form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotCanonical;

impl fmt::Display for NotCanonical {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number that is not a 64-bit integer has no canonical form")
    }
}

impl core::error::Error for NotCanonical {}

/// Reads one JSON value and nothing after it; depth is bounded by serde_json.
pub(super) fn read(bytes: &[u8]) -> Result<Value, serde_json::Error> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = Strict.deserialize(&mut reader)?;
    reader.end()?;
    Ok(value)
}

/// Valid JSON with the same order as the canonical form, for files: the canonical form itself
/// leaves control characters bare, which is no JSON.
pub(super) fn file_bytes(value: &Value) -> Result<Vec<u8>, NotCanonical> {
    let mut out = Vec::new();
    write(value, &mut out, write_json_string)?;
    Ok(out)
}

fn write(
    value: &Value,
    out: &mut Vec<u8>,
    string: fn(&str, &mut Vec<u8>),
) -> Result<(), NotCanonical> {
    match value {
        Value::Null => out.extend(b"null"),
        Value::Bool(true) => out.extend(b"true"),
        Value::Bool(false) => out.extend(b"false"),
        Value::Number(number) if number.is_u64() || number.is_i64() => {
            out.extend(alloc::format!("{number}").bytes());
        }
        Value::Number(_) => return Err(NotCanonical),
        Value::String(text) => string(text, out),
        Value::Array(items) => write_array(items, out, string)?,
        Value::Object(fields) => write_object(fields, out, string)?,
    }
    Ok(())
}

fn write_array(
    items: &[Value],
    out: &mut Vec<u8>,
    string: fn(&str, &mut Vec<u8>),
) -> Result<(), NotCanonical> {
    out.push(b'[');
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write(item, out, string)?;
    }
    out.push(b']');
    Ok(())
}

fn write_object(
    fields: &Map<String, Value>,
    out: &mut Vec<u8>,
    string: fn(&str, &mut Vec<u8>),
) -> Result<(), NotCanonical> {
    // Sorted here: whether the map is sorted depends on features that another crate may switch on.
    let mut sorted: Vec<(&String, &Value)> = fields.iter().collect();
    sorted.sort_unstable_by_key(|(name, _)| *name);
    out.push(b'{');
    for (index, (name, value)) in sorted.into_iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        string(name, out);
        out.push(b':');
        write(value, out, string)?;
    }
    out.push(b'}');
    Ok(())
}

fn write_canonical_string(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    for byte in text.bytes() {
        if byte == b'"' || byte == b'\\' {
            out.push(b'\\');
        }
        out.push(byte);
    }
    out.push(b'"');
}

fn write_json_string(text: &str, out: &mut Vec<u8>) {
    out.extend(alloc::format!("{}", Value::from(text)).bytes());
}

struct Strict;

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;

    fn deserialize<D: serde::Deserializer<'de>>(self, reader: D) -> Result<Value, D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON without duplicate keys and fractions")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, bool: bool) -> Result<Value, E> {
        Ok(Value::Bool(bool))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(Value::from(number))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(Value::from(number))
    }

    fn visit_f64<E: serde::de::Error>(self, _: f64) -> Result<Value, E> {
        Err(E::custom("a number is not a 64-bit integer"))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::from(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut array = Vec::new();
        while let Some(item) = items.next_element_seed(Strict)? {
            array.push(item);
        }
        Ok(Value::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(name) = fields.next_key::<String>()? {
            let value = fields.next_value_seed(Strict)?;
            if object.insert(name, value).is_some() {
                return Err(A::Error::custom("a key occurs twice in one object"));
            }
        }
        Ok(Value::Object(object))
    }
}

/// Reads strictly, then into a type.
pub(super) fn read_into<T: for<'de> Deserialize<'de>>(
    bytes: &[u8],
) -> Result<T, serde_json::Error> {
    T::deserialize(&read(bytes)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(input: &str, expect: Option<&str>) {
        let seen = read(input.as_bytes())
            .ok()
            .and_then(|value| canonical_bytes(&value).ok());
        assert_eq!(seen.as_deref(), expect.map(str::as_bytes), "{input}");
    }

    #[test]
    fn canonical_form() {
        for (input, expect) in [
            (
                r#" { "b" : 1 , "a" : [ true , null ] } "#,
                Some(r#"{"a":[true,null],"b":1}"#),
            ),
            (
                r#"{"é":-1,"z":18446744073709551615}"#,
                Some(r#"{"z":18446744073709551615,"é":-1}"#),
            ),
            (r#""\u0041\n\"\\\/\t""#, Some("\"A\n\\\"\\\\/\t\"")),
            (r#"{"a":1,"a":1}"#, None),
            (r#"{"a":{"b":1,"b":2}}"#, None),
            ("1.0", None),
            ("1e3", None),
            ("18446744073709551616", None),
            ("1 2", None),
            (r#""\ud800""#, None),
            ("", None),
        ] {
            check(input, expect);
        }
    }

    #[test]
    fn nesting_without_end_is_refused() {
        let deep = [b'['; 100_000];
        assert!(read(&deep).is_err());
    }

    #[test]
    fn a_file_is_json_even_with_control_characters() {
        let value = Value::from("a\n\u{1}\"");
        let bytes = file_bytes(&value).unwrap();
        assert_eq!(read(&bytes).unwrap(), value);
    }
}
