//! The JSON of a request without its data.
//!
//! Never holds more tensors or dimensions than a model can have: lists are bounded as they are
//! read. What the protocol lets a server ignore is skipped.

use crate::tensor::{RANK_MAX, TENSORS_MAX};
use serde::Deserialize;
use serde::de::{Deserializer, Error, IgnoredAny, SeqAccess, Visitor};
use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;

#[derive(Debug, Deserialize)]
pub(super) struct Head {
    pub(super) id: Option<String>,
    #[serde(default)]
    pub(super) parameters: Parameters,
    pub(super) inputs: Bounded<InputHead, TENSORS_MAX>,
    #[serde(default)]
    pub(super) outputs: Bounded<OutputHead, TENSORS_MAX>,
}

#[derive(Debug, Deserialize)]
pub(super) struct InputHead {
    pub(super) name: String,
    pub(super) datatype: String,
    pub(super) shape: Bounded<usize, RANK_MAX>,
    #[serde(default)]
    pub(super) parameters: Parameters,
    /// Whether it is there; read later.
    pub(super) data: Option<IgnoredAny>,
}

#[derive(Debug, Deserialize)]
pub(super) struct OutputHead {
    pub(super) name: String,
    #[serde(default)]
    pub(super) parameters: Parameters,
}

/// Those that change what a request means here.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Parameters {
    pub(super) binary_data_size: Option<u64>,
    pub(super) binary_data: Option<bool>,
    pub(super) binary_data_output: Option<bool>,
    pub(super) classification: Option<IgnoredAny>,
    pub(super) shared_memory_region: Option<IgnoredAny>,
}

/// A list of at most `MAX`.
#[derive(Debug)]
pub(super) struct Bounded<T, const MAX: usize>(pub(super) Vec<T>);

impl<T, const MAX: usize> Default for Bounded<T, MAX> {
    fn default() -> Self {
        Bounded(Vec::new())
    }
}

impl<T, const MAX: usize> Deref for Bounded<T, MAX> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<T, const MAX: usize> IntoIterator for Bounded<T, MAX> {
    type Item = T;
    type IntoIter = std::vec::IntoIter<T>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'de, T: Deserialize<'de>, const MAX: usize> Deserialize<'de> for Bounded<T, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(BoundedVisitor(PhantomData))
    }
}

struct BoundedVisitor<T, const MAX: usize>(PhantomData<T>);

impl<'de, T: Deserialize<'de>, const MAX: usize> Visitor<'de> for BoundedVisitor<T, MAX> {
    type Value = Bounded<T, MAX>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a list of at most {MAX}")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            if list.len() == MAX {
                return Err(A::Error::custom(format_args!("a list has more than {MAX}")));
            }
            list.push(item);
        }
        Ok(Bounded(list))
    }
}
