//! JSON `data` into little-endian bytes, flat or nested, without a tree in between.
//!
//! Never rounds an integer, never takes more elements than the shape says, never recurses deeper
//! than a tensor can have dimensions.

use super::Encoding;
use crate::tensor::{Datatype, Element, RANK_MAX};
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::fmt;

/// What the head said of one input.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) datatype: Datatype,
    pub(super) shape: Vec<usize>,
    pub(super) encoding: Encoding,
}

/// The bytes of every input whose data is JSON; empty for the others. `json` has been read once
/// and gave `plans`.
pub(super) fn read(json: &[u8], plans: &[Plan]) -> serde_json::Result<Vec<Vec<u8>>> {
    let mut reader = serde_json::Deserializer::from_slice(json);
    Field(Key::Inputs, Inputs(plans))
        .deserialize(&mut reader)
        .map(Option::unwrap_or_default)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Key {
    Inputs,
    Data,
    #[serde(other)]
    Other,
}

/// Reads one field of an object, skips the others.
struct Field<S>(Key, S);

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for Field<S> {
    type Value = Option<S::Value>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        from.deserialize_map(self)
    }
}

impl<'de, S: DeserializeSeed<'de>> Visitor<'de> for Field<S> {
    type Value = Option<S::Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let (mut seed, mut value) = (Some(self.1), None);
        while let Some(key) = map.next_key::<Key>()? {
            match seed.take_if(|_| key == self.0) {
                Some(seed) => value = Some(map.next_value_seed(seed)?),
                None => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(value)
    }
}

/// The list of inputs.
struct Inputs<'a>(&'a [Plan]);

impl<'de> DeserializeSeed<'de> for Inputs<'_> {
    type Value = Vec<Vec<u8>>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        from.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Inputs<'_> {
    type Value = Vec<Vec<u8>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of inputs")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let mut all = Vec::with_capacity(self.0.len());
        for plan in self.0 {
            let bytes = match plan.encoding {
                Encoding::Json => items
                    .next_element_seed(Field(Key::Data, Data(plan)))?
                    .flatten(),
                Encoding::Binary => items.next_element::<IgnoredAny>()?.map(|_| Vec::new()),
            };
            all.push(bytes.unwrap_or_default());
        }
        // A list that is not read to its end is an error of the reader.
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(all)
    }
}

/// All elements of one input.
struct Data<'a>(&'a Plan);

impl<'de> DeserializeSeed<'de> for Data<'_> {
    type Value = Vec<u8>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Vec<u8>, D::Error> {
        let mut filling = Filling::of(self.0);
        let level = Level {
            filling: &mut filling,
            depth: 0,
        };
        level.deserialize(from)?;
        filling.finish().map_err(D::Error::custom)
    }
}

/// The bytes so far, and the nesting that was seen.
struct Filling<'a> {
    plan: &'a Plan,
    bytes: Vec<u8>,
    elements: usize,
    elements_max: usize,
    /// Length of the lists at each depth.
    lengths: [Option<usize>; RANK_MAX],
    /// Depth of the elements.
    leaves: Option<usize>,
}

impl<'a> Filling<'a> {
    fn of(plan: &'a Plan) -> Filling<'a> {
        let elements = plan
            .shape
            .iter()
            .try_fold(1usize, |n, &dim| n.checked_mul(dim));
        Filling {
            plan,
            bytes: Vec::new(),
            elements: 0,
            elements_max: elements.unwrap_or(usize::MAX),
            lengths: [None; RANK_MAX],
            leaves: None,
        }
    }

    fn push<E: Error>(&mut self, depth: usize, element: Element) -> Result<(), E> {
        if *self.leaves.get_or_insert(depth) != depth {
            return Err(E::custom("data mixes elements and lists at one depth"));
        }
        if self.elements == self.elements_max {
            let (shape, max) = (&self.plan.shape, self.elements_max);
            let why = format!("shape {shape:?} has {max} elements, data has more");
            return Err(E::custom(why));
        }
        self.elements += 1;
        element
            .append(self.plan.datatype, &mut self.bytes)
            .ok_or_else(|| {
                let (at, datatype) = (self.elements - 1, self.plan.datatype);
                E::custom(format!("element {at} is {element}, expected {datatype}"))
            })
    }

    fn close<E: Error>(&mut self, depth: usize, length: usize) -> Result<(), E> {
        let before = *self.lengths[depth].get_or_insert(length);
        match before == length {
            true => Ok(()),
            false => Err(E::custom(format!(
                "data is ragged: a list of {before} stands beside one of {length}"
            ))),
        }
    }

    /// Flat data fits any shape, nested data only its own.
    fn finish(self) -> Result<Vec<u8>, String> {
        let depth = self.leaves.unwrap_or(0);
        let nested: Vec<usize> = self.lengths.iter().take(depth).flatten().copied().collect();
        match depth <= 1 || nested == self.plan.shape {
            true => Ok(self.bytes),
            false => Err(format!(
                "data is nested as {nested:?}, shape says {:?}",
                self.plan.shape
            )),
        }
    }
}

/// A list or an element, at one depth.
struct Level<'f, 'p> {
    filling: &'f mut Filling<'p>,
    depth: usize,
}

impl<'de> DeserializeSeed<'de> for Level<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Level<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} elements, flat or nested", self.filling.plan.datatype)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let Level { filling, depth } = self;
        if depth == RANK_MAX {
            return Err(A::Error::custom(format_args!(
                "data is nested deeper than {RANK_MAX}"
            )));
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
        self.filling.push(self.depth, Element::Int(value.into()))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<(), E> {
        self.filling.push(self.depth, Element::Int(value.into()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<(), E> {
        self.filling.push(self.depth, Element::Float(value))
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<(), E> {
        self.filling.push(self.depth, Element::Bool(value))
    }
}
