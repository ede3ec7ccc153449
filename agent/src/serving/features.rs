//! Which elements of which tensors a model's reference names, and how they are counted.
//!
//! A reference that does not fit the model counts nothing; it never stops a model.

use crate::tensor::Tensor;
use muster_device::fold::WindowFold;
use muster_protocol::bundle::{Reference, Source};
use muster_protocol::cbor;
use muster_protocol::digest::Digest;
use muster_protocol::stats::FeatureFold;

/// The features of one model.
#[derive(Debug, Clone, Default)]
pub struct Features {
    reference: Option<Digest>,
    places: Vec<Place>,
    folds: Vec<FeatureFold>,
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
        let (mut places, mut folds) = (Vec::new(), Vec::new());
        for feature in reference.features.iter() {
            let scale = feature
                .scale()
                .map_err(|bad| format!("feature {:?} cannot be counted: {bad:?}", feature.name))?;
            places.push(Place {
                source: feature.source,
                tensor: usize::from(feature.tensor),
                element: feature.element as usize,
            });
            folds.push(FeatureFold::new(scale));
        }
        Ok(Self {
            reference: Some(digest),
            places,
            folds,
        })
    }

    /// Digest of the reference, if there is one.
    pub const fn reference(&self) -> Option<Digest> {
        self.reference
    }

    /// Empty folds, in the order of the reference.
    pub fn folds(&self) -> Vec<FeatureFold> {
        self.folds.clone()
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
