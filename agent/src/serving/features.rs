//! Which elements of which tensors a model's reference names, and how they are counted.
//!
//! A reference that does not fit the model counts nothing; it never stops a model.

use crate::tensor::{Dim, Signature, Tensor};
use muster_device::fold::WindowFold;
use muster_device::scores::ScoreFold;
use muster_protocol::bundle::{Reference, Source};
use muster_protocol::cbor;
use muster_protocol::digest::Digest;
use muster_protocol::stats::{FeatureFold, Limits, Score, ScoreScale};
use std::collections::BTreeMap;

/// The names of all elements of a row, in their order, by the input that they belong to.
pub type Columns = BTreeMap<String, Vec<String>>;

/// The features of one model.
#[derive(Debug, Clone, Default)]
pub struct Features {
    reference: Option<Digest>,
    places: Vec<Place>,
    names: Vec<String>,
    folds: Vec<FeatureFold>,
    probabilities: Option<(usize, ScoreScale)>,
    limits: Vec<Option<Limits>>,
}

/// Where a feature is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    source: Source,
    tensor: usize,
    element: usize,
}

impl Features {
    /// Reads the encoded reference of a bundle.
    ///
    /// # Errors
    /// One line that says what is wrong with it.
    pub fn of(digest: Digest, bytes: &[u8]) -> Result<Self, String> {
        let reference: Reference<'_> = cbor::decode(bytes).map_err(|error| error.to_string())?;
        let (mut places, mut names, mut folds) = (Vec::new(), Vec::new(), Vec::new());
        let mut limits = Vec::new();
        for feature in reference.features.iter() {
            let bad = |bad| format!("feature {:?} cannot be counted: {bad:?}", feature.name);
            let scale = feature.scale().map_err(bad)?;
            limits.push(feature.limits(reference.variation).map_err(bad)?);
            places.push(Place {
                source: feature.source,
                tensor: usize::from(feature.tensor),
                element: feature.element as usize,
            });
            names.push(feature.name.to_owned());
            folds.push(FeatureFold::new(scale));
        }
        let probabilities = reference.probabilities.map(|probabilities| {
            let scale = probabilities.scale();
            let scale = scale.map_err(|bad| format!("probabilities cannot be counted: {bad:?}"));
            Ok::<_, String>((usize::from(probabilities.tensor), scale?))
        });
        Ok(Self {
            reference: Some(digest),
            places,
            names,
            folds,
            probabilities: probabilities.transpose()?,
            limits,
        })
    }

    /// Digest of the reference, if there is one.
    pub const fn reference(&self) -> Option<Digest> {
        self.reference
    }

    /// What the reference calls the elements of those inputs of which it names all.
    pub fn columns(&self, signature: &Signature) -> Columns {
        let inputs = signature.inputs.iter().enumerate();
        let named = inputs.filter_map(|(tensor, input)| {
            let elements = row_len(input.shape.get(1..).unwrap_or_default())?;
            let name = |element| self.name_of(tensor, element);
            let names: Option<Vec<String>> = (0..elements).map(name).collect();
            Some((input.name.clone(), names?))
        });
        named.filter(|(_, names)| !names.is_empty()).collect()
    }

    fn name_of(&self, tensor: usize, element: usize) -> Option<String> {
        let place = Place {
            source: Source::Input,
            tensor,
            element,
        };
        let found = self.places.iter().position(|known| *known == place)?;
        Some(self.names[found].clone())
    }

    /// Empty folds, in the order of the reference.
    pub fn folds(&self) -> Vec<FeatureFold> {
        self.folds.clone()
    }

    /// An empty fold of scores, where the reference says which output holds probabilities.
    pub fn scores(&self) -> Option<ScoreFold> {
        self.probabilities.map(|(_, scale)| ScoreFold::new(scale))
    }

    /// The name of each feature, and beyond what a block of it is a breach, if the reference says.
    pub fn limits(&self) -> impl Iterator<Item = (&str, Option<Limits>)> {
        let names = self.names.iter().map(String::as_str);
        names.zip(self.limits.iter().copied())
    }

    /// How the first element of the first output is counted, if it is.
    pub fn first_output(&self) -> Option<&FeatureFold> {
        let first = Place {
            source: Source::Output,
            tensor: 0,
            element: 0,
        };
        let found = self.places.iter().position(|place| *place == first)?;
        self.folds.get(found)
    }

    /// Counts every row of one answered request; gives the number of rows.
    pub fn count(
        &self,
        fold: &mut WindowFold<Vec<FeatureFold>>,
        inputs: &[Tensor],
        outputs: &[Tensor],
    ) -> u32 {
        let rows = inputs.first().map_or(1, rows_of);
        for (index, place) in self.places.iter().enumerate() {
            let tensors = match place.source {
                Source::Input => inputs,
                Source::Output => outputs,
            };
            match tensors.get(place.tensor) {
                Some(tensor) => count_column(fold, index, tensor, place.element, rows),
                None => (0..rows).for_each(|_| fold.value(index, None)),
            }
        }
        u32::try_from(rows).unwrap_or(u32::MAX)
    }

    /// Counts the scores of every row of one answered request; gives those that rows have.
    pub fn score(
        &self,
        fold: &mut ScoreFold,
        inputs: &[Tensor],
        outputs: &[Tensor],
    ) -> Vec<Option<Score>> {
        let rows = inputs.first().map_or(1, rows_of);
        let place = self.probabilities.map(|(tensor, _)| tensor);
        let tensor = place.and_then(|place| outputs.get(place));
        let len = tensor.map_or(0, |tensor| tensor.elements() / rows.max(1));
        let fits =
            |tensor: &&Tensor| tensor.datatype().is_float() && rows_of(tensor) == rows && len > 0;
        let Some(tensor) = tensor.filter(fits) else {
            (0..rows).for_each(|_| fold.absent());
            return vec![None; rows];
        };
        let mut values = tensor.to_f32();
        let mut row = || values.by_ref().take(len).collect::<Vec<_>>();
        (0..rows).map(|_| fold.row(row())).collect()
    }
}

/// By how many its latency may be divided: by its rows, where a model takes any number of them.
/// Where the first dimension is fixed, it belongs to the one thing that was asked.
pub fn batch_of(signature: &Signature, rows: u32) -> u32 {
    let first = signature.inputs.first();
    match first.and_then(|input| input.shape.first()) {
        Some(Dim::Any) => rows.max(1),
        Some(Dim::Fixed(_)) | None => 1,
    }
}

/// The first dimension counts rows; a scalar is one row.
fn rows_of(tensor: &Tensor) -> usize {
    tensor.shape().first().copied().unwrap_or(1).max(1)
}

fn count_column(
    fold: &mut WindowFold<Vec<FeatureFold>>,
    index: usize,
    tensor: &Tensor,
    element: usize,
    rows: usize,
) {
    let row_len = tensor.elements() / rows.max(1);
    if element >= row_len || rows_of(tensor) != rows {
        return (0..rows).for_each(|_| fold.value(index, None));
    }
    let values = tensor.to_f32().skip(element).step_by(row_len);
    values
        .take(rows)
        .for_each(|value| fold.value(index, Some(value)));
}

/// Elements of one row, if that is fixed.
fn row_len(dims: &[Dim]) -> Option<usize> {
    let mut sizes = dims.iter().map(|dim| match dim {
        Dim::Fixed(size) => Some(*size),
        Dim::Any => None,
    });
    sizes.try_fold(1_usize, |all, size| all.checked_mul(size?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::{Datatype, TensorSpec};

    fn features(named: &[(Source, usize, usize, &str)]) -> Features {
        let place = |&(source, tensor, element, _): &(Source, usize, usize, &str)| Place {
            source,
            tensor,
            element,
        };
        Features {
            places: named.iter().map(place).collect(),
            names: named.iter().map(|named| named.3.to_owned()).collect(),
            ..Features::default()
        }
    }

    fn signature(shape: &[Dim]) -> Signature {
        let input = TensorSpec {
            name: "x".into(),
            datatype: Datatype::F32,
            shape: shape.to_vec(),
        };
        Signature {
            inputs: vec![input],
            outputs: vec![],
        }
    }

    #[test]
    fn only_a_batch_shares_out_its_latency() {
        let check = |shape: &[Dim], rows, expect| {
            assert_eq!(batch_of(&signature(shape), rows), expect, "{shape:?}");
        };
        check(&[Dim::Any, Dim::Fixed(4)], 256, 256);
        check(&[Dim::Any], 0, 1);
        check(&[Dim::Fixed(16_000)], 16_000, 1);
        check(&[Dim::Fixed(1), Dim::Any], 1, 1);
        check(&[], 1, 1);
        assert_eq!(batch_of(&Signature::default(), 7), 1);
    }

    #[test]
    fn an_input_has_columns_when_all_of_a_row_is_named() {
        fn check(shape: &[Dim], named: &[(Source, usize, usize, &str)], expect: &[&str]) {
            let columns = features(named).columns(&signature(shape));
            let got = columns.get("x").map_or(&[][..], Vec::as_slice);
            assert_eq!(got, expect, "{shape:?}");
        }
        let pair = [
            (Source::Output, 0, 0, "y"),
            (Source::Input, 0, 1, "b"),
            (Source::Input, 0, 0, "a"),
        ];
        check(&[Dim::Any, Dim::Fixed(2)], &pair, &["a", "b"]);
        check(&[Dim::Any, Dim::Fixed(3)], &pair, &[]);
        check(&[Dim::Any, Dim::Any], &pair, &[]);
        check(&[Dim::Any], &pair, &["a"]);
        check(&[Dim::Any, Dim::Fixed(2)], &[], &[]);
    }
}
