//! The reference document: how each feature was distributed, from a table and the model's answers.
//!
//! `docs/bundle-format.md` section 6. Counts come from `protocol::stats`, the code that counts on
//! the device.

use muster_protocol::bundle::reference::{BadFeature, NAME_BYTES_MAX};
use muster_protocol::bundle::{FeatureReference, Reference, Source};
use muster_protocol::cbor::{self, List};
use muster_protocol::limits::FEATURES_MAX;
use muster_protocol::stats::{FeatureFold, Scale, Transform};

use super::agent::{RowOutputs, Signature};
use super::probabilities::Scored;
use super::quantile;
use super::table::{ROWS_MIN, Table};

/// One feature of the reference, owned.
struct Feature {
    name: String,
    source: Source,
    tensor: u8,
    element: u32,
    transform: Transform,
    mean: f32,
    deviation: f32,
    edges: Vec<u32>,
    counts: Vec<u32>,
    missing: u32,
}

/// The document, and what the card says of it.
pub(super) struct Made {
    pub(super) bytes: Vec<u8>,
    pub(super) names: Vec<String>,
    /// Sentences for the person who builds.
    pub(super) notes: Vec<String>,
}

/// Why there is no reference.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReferenceError {
    #[error("the name of column {0:?} is empty or has more than {NAME_BYTES_MAX} bytes")]
    Name(String),
    #[error("feature {name:?} cannot be counted: {bad:?}")]
    Feature { name: String, bad: BadFeature },
}

/// A reference without features: only calls, latency and errors of the model are counted.
pub(super) fn empty() -> Made {
    let bytes = cbor::to_vec(&Reference {
        rows: 0,
        features: List::default(),
        probabilities: None,
    });
    Made {
        bytes,
        names: Vec::new(),
        notes: Vec::new(),
    }
}

/// The reference of a table and of what the model answers to its rows.
pub(super) fn make(
    table: &Table,
    outputs: &[RowOutputs],
    model: &Signature,
    scores: Option<&Scored>,
) -> Result<Made, ReferenceError> {
    let mut notes = Vec::new();
    let scalars = scalars(outputs, model, &mut notes);
    let room = FEATURES_MAX.saturating_sub(scalars.len());
    if table.columns.len() > room {
        let all = table.columns.len();
        notes.push(format!(
            "the reference counts the first {room} of {all} inputs"
        ));
    }
    let columns = table.names.iter().zip(&table.columns).take(room);
    let inputs = columns
        .enumerate()
        .map(|(place, (name, column))| Feature::of(name, Source::Input, 0, place as u32, column));
    let outputs = scalars.iter().take(FEATURES_MAX).map(|(tensor, column)| {
        let name = &model.outputs[usize::from(*tensor)].name;
        Feature::of(name, Source::Output, *tensor, 0, column)
    });
    let features = inputs.chain(outputs).collect::<Result<Vec<_>, _>>()?;
    let names = features
        .iter()
        .map(|feature| feature.name.clone())
        .collect();
    Ok(Made {
        bytes: written(table.rows(), &features, scores),
        names,
        notes,
    })
}

fn written(rows: usize, features: &[Feature], scores: Option<&Scored>) -> Vec<u8> {
    let lists = scores.map(Scored::lists);
    let features: Vec<FeatureReference<'_>> = features.iter().map(Feature::borrowed).collect();
    cbor::to_vec(&Reference {
        rows: rows as u64,
        features: List::of(&features),
        probabilities: scores
            .zip(lists.as_ref())
            .map(|(scores, lists)| scores.borrowed(lists)),
    })
}

/// The outputs that give one number for each row, by their place, with those numbers.
fn scalars(rows: &[RowOutputs], model: &Signature, notes: &mut Vec<String>) -> Vec<(u8, Vec<f32>)> {
    let mut scalars = Vec::new();
    for (place, spec) in (0u8..).zip(&model.outputs) {
        let value = |row: &RowOutputs| match row.get(&spec.name)?.as_slice() {
            [value] => Some(value.map_or(f32::NAN, |value| value as f32)),
            _ => None,
        };
        let column: Option<Vec<f32>> = rows.iter().map(value).collect();
        let column = column.unwrap_or_default();
        let counted = column.iter().filter(|value| value.is_finite()).count() >= ROWS_MIN;
        match counted {
            true => scalars.push((place, column)),
            false => notes.push(format!(
                "output {:?} is not counted: no single number",
                spec.name
            )),
        }
    }
    scalars
}

impl Feature {
    fn of(
        name: &str,
        source: Source,
        tensor: u8,
        element: u32,
        column: &[f32],
    ) -> Result<Self, ReferenceError> {
        if name.is_empty() || name.len() > NAME_BYTES_MAX {
            return Err(ReferenceError::Name(name.chars().take(80).collect()));
        }
        let mut sorted: Vec<f32> = column.iter().copied().filter(|x| x.is_finite()).collect();
        sorted.sort_unstable_by(f32::total_cmp);
        let (edges, transform) = (quantile::edges(&sorted), quantile::transform(&sorted));
        let (mean, deviation) = quantile::moments(&sorted, transform);
        let scale = Scale::new(edges.iter().copied(), transform, mean, deviation);
        let bad = |bad| ReferenceError::Feature {
            name: name.into(),
            bad: BadFeature::Scale(bad),
        };
        let mut fold = FeatureFold::new(scale.map_err(bad)?);
        column.iter().for_each(|value| fold.fold(Some(*value)));
        Ok(Self {
            name: name.into(),
            source,
            tensor,
            element,
            transform,
            mean,
            deviation,
            edges: edges.iter().map(|edge| edge.to_bits()).collect(),
            counts: fold.counts().bins[..fold.bins()].to_vec(),
            missing: fold.counts().non_finite,
        })
    }

    fn borrowed(&self) -> FeatureReference<'_> {
        FeatureReference {
            name: &self.name,
            source: self.source,
            tensor: self.tensor,
            element: self.element,
            transform: self.transform,
            mean: self.mean.to_bits(),
            deviation: self.deviation.to_bits(),
            edges: List::of(&self.edges),
            counts: List::of(&self.counts),
            missing: self.missing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    #[test]
    fn a_reference_counts_columns_and_scalar_outputs() {
        let made = sample::reference();
        let reference: Reference<'_> = cbor::decode(&made.bytes).expect("a reference");
        assert_eq!(made.names, ["a", "b", "score"]);
        let features: Vec<_> = reference.features.iter().collect();
        for feature in &features {
            feature.scale().expect("countable");
            let counted: u32 = feature.counts.iter().sum();
            assert_eq!(
                u64::from(counted + feature.missing),
                reference.rows,
                "{}",
                feature.name
            );
        }
        assert_eq!((features[1].missing, features[1].element), (1, 1));
        assert_eq!(
            (features[2].source, features[2].tensor),
            (Source::Output, 0)
        );
    }

    #[test]
    fn a_constant_column_is_in_range() {
        let feature = Feature::of("c", Source::Input, 0, 0, &[0.3; 150]).expect("countable");
        assert_eq!(feature.counts, [0, 150, 0]);
    }

    #[test]
    fn more_columns_than_features_are_cut_with_a_note() {
        let names: Vec<String> = (0..70).map(|place| format!("x{place}")).collect();
        let table = Table {
            names,
            columns: vec![vec![1.0; 100]; 70],
        };
        let made = make(&table, &[], &sample::signature(), None).expect("countable");
        assert_eq!(made.names.len(), FEATURES_MAX);
        assert!(
            made.notes
                .iter()
                .any(|note| note.contains("first 64 of 70")),
            "{:?}",
            made.notes
        );
    }

    #[test]
    fn a_name_beyond_its_limit_is_refused() {
        assert!(Feature::of(&"x".repeat(65), Source::Input, 0, 0, &[0.3; 150]).is_err());
    }
}
