//! Lists within lists of JSON as the elements of one row, without a tree in between.
//!
//! Never rounds an integer, never nests deeper than a tensor.

use super::field;
use crate::tensor::{Datatype, Element, RANK_MAX};
use serde::de::{DeserializeSeed, Deserializer, Error, SeqAccess, Visitor};
use std::fmt;

/// What was read.
#[derive(Debug)]
pub(super) struct Nested {
    /// Lengths of the lists, outermost first; empty for a lone element.
    pub(super) shape: Vec<usize>,
    pub(super) elements: usize,
    /// Little endian.
    pub(super) bytes: Vec<u8>,
}

/// Reads one JSON value; one line that says what is wrong with it otherwise.
pub(super) fn read(json: &str, datatype: Datatype) -> Result<Nested, String> {
    let mut filling = Filling {
        datatype,
        bytes: Vec::new(),
        elements: 0,
        lengths: [None; RANK_MAX],
        leaves: None,
    };
    let mut reader = serde_json::Deserializer::from_str(json);
    let level = Level {
        filling: &mut filling,
        depth: 0,
    };
    let read = level.deserialize(&mut reader).and_then(|()| reader.end());
    // Where in the line it is says the sentence itself.
    read.map_err(|error| {
        let sentence = error.to_string();
        let end = sentence.find(" at line ").unwrap_or(sentence.len());
        match error.is_syntax() {
            true => format!("{} (JSON has no NaN: write null)", &sentence[..end]),
            false => sentence[..end].to_owned(),
        }
    })?;
    let shape = filling.lengths.iter().map_while(|length| *length);
    Ok(Nested {
        shape: shape.collect(),
        elements: filling.elements,
        bytes: filling.bytes,
    })
}

struct Filling {
    datatype: Datatype,
    bytes: Vec<u8>,
    elements: usize,
    /// Length of the lists at each depth.
    lengths: [Option<usize>; RANK_MAX],
    /// Depth of the elements.
    leaves: Option<usize>,
}

impl Filling {
    fn push<E: Error>(&mut self, depth: usize, element: Option<Element>) -> Result<(), E> {
        if *self.leaves.get_or_insert(depth) != depth {
            return Err(E::custom("elements and lists stand side by side"));
        }
        let at = self.elements;
        self.elements += 1;
        let Some(element) = element else {
            let missing = field::append_missing(self.datatype, &mut self.bytes);
            return missing.map_err(|because| E::custom(format!("element {at}: {because}")));
        };
        let fits = element.append(self.datatype, &mut self.bytes);
        fits.ok_or_else(|| E::custom(format!("element {at}: {element} is no {}", self.datatype)))
    }

    fn close<E: Error>(&mut self, depth: usize, length: usize) -> Result<(), E> {
        let before = *self.lengths[depth].get_or_insert(length);
        match before == length {
            true => Ok(()),
            false => Err(E::custom(format!(
                "a list of {before} stands beside one of {length}"
            ))),
        }
    }
}

/// A list or an element, at one depth.
struct Level<'a> {
    filling: &'a mut Filling,
    depth: usize,
}

impl<'de> DeserializeSeed<'de> for Level<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Level<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} numbers, flat or nested", self.filling.datatype)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let Level { filling, depth } = self;
        if depth == RANK_MAX {
            let because = format!("it is nested deeper than {RANK_MAX}");
            return Err(A::Error::custom(because));
        }
        let mut length = 0;
        loop {
            let inner = Level {
                filling: &mut *filling,
                depth: depth + 1,
            };
            match items.next_element_seed(inner)? {
                Some(()) => length += 1,
                None => return filling.close(depth, length),
            }
        }
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        self.filling
            .push(self.depth, Some(Element::Int(value.into())))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<(), E> {
        self.filling
            .push(self.depth, Some(Element::Int(value.into())))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<(), E> {
        self.filling.push(self.depth, Some(Element::Float(value)))
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<(), E> {
        self.filling.push(self.depth, Some(Element::Bool(value)))
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.filling.push(self.depth, None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nested_lists_are_read_or_refused() {
        fn check(json: &str, datatype: Datatype, expect: Result<(&[usize], &str), &str>) {
            match (read(json, datatype), expect) {
                (Ok(got), Ok((shape, shown))) => {
                    let elements = got.bytes.chunks(datatype.size());
                    let elements: Vec<_> = elements
                        .map(|bytes| Element::read(datatype, bytes).to_string())
                        .collect();
                    assert_eq!(
                        (got.shape.as_slice(), elements.join(" ").as_str()),
                        (shape, shown)
                    );
                }
                (Err(because), Err(part)) => assert!(because.contains(part), "{because}"),
                (got, expect) => panic!("{json}: {got:?} instead of {expect:?}"),
            }
        }
        check("7", Datatype::F32, Ok((&[], "7.0")));
        check(
            "[[1, null], [2.5, 3]]",
            Datatype::F32,
            Ok((&[2, 2], "1.0 NaN 2.5 3.0")),
        );
        let large = "[9223372036854775807]";
        check(large, Datatype::I64, Ok((&[1], "9223372036854775807")));
        check("[true]", Datatype::Bool, Ok((&[1], "true")));
        check("[]", Datatype::F32, Ok((&[0], "")));
        check("[1.5]", Datatype::I64, Err("element 0: 1.5 is no INT64"));
        check("[null]", Datatype::I64, Err("element 0: it is missing"));
        check(
            "[[1], [2, 3]]",
            Datatype::F32,
            Err("a list of 1 stands beside one of 2"),
        );
        check("[1, [2]]", Datatype::F32, Err("side by side"));
        check("[NaN]", Datatype::F32, Err("write null"));
        check("[\"a\"]", Datatype::F32, Err("expected FP32 numbers"));
        let deep = "[".repeat(99);
        check(&deep, Datatype::F32, Err("deeper than 16"));
    }
}
