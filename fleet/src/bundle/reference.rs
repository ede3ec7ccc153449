//! The reference document: how each feature was distributed, from a table and the model's answers.
//!
//! `docs/bundle-format.md` section 6. Counts come from `protocol::stats`, the code that counts on
//! the device. Never leaves a row out silently.

use muster_protocol::bundle::reference::{BadFeature, NAME_BYTES_MAX};
use muster_protocol::bundle::{FeatureLimits, FeatureReference, Reference, Source, Variation};
use muster_protocol::cbor::{self, List};
use muster_protocol::limits::{EDGES_MAX, FEATURES_MAX};
use muster_protocol::stats::feature::BadScale;
use muster_protocol::stats::{FeatureFold, Scale, Transform};

use super::agent::{RowOutputs, Signature};
use super::probabilities::Scored;
use super::quantile;
use super::table::{ROWS_MIN, Table};
use super::variation::Blocks;

/// What the person who builds may choose.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Choices<'a> {
    /// Rows of a block; by itself a twentieth of all.
    pub(super) block_rows: Option<u32>,
    /// Names of features that are categories.
    pub(super) categorical: &'a [String],
}

/// A column of the table or an output of the model.
#[derive(Clone, Copy)]
struct Column<'a> {
    name: &'a str,
    source: Source,
    tensor: u8,
    element: u32,
    values: &'a [f32],
}

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
    categories: Option<Vec<u32>>,
    counts: Vec<u32>,
    missing: u32,
    limits: Option<FeatureLimits>,
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
    #[error("--categorical names {name:?}, and the features are {found}")]
    NoFeature { name: String, found: String },
}

/// A reference without features: only calls, latency and errors of the model are counted.
pub(super) fn empty() -> Made {
    let bytes = cbor::to_vec(&Reference {
        rows: 0,
        features: List::default(),
        probabilities: None,
        variation: None,
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
    choices: Choices<'_>,
    scores: Option<&Scored>,
) -> Result<Made, ReferenceError> {
    let mut notes = Vec::new();
    let scalars = scalars(outputs, model, scores.map(Scored::tensor), &mut notes);
    let columns = columns(table, &scalars, model, &mut notes);
    check_names(&columns, choices.categorical)?;
    let blocks = Blocks::of(table.rows(), columns.len(), choices.block_rows);
    let blocks = blocks.map_err(|few| notes.push(few.to_string())).ok();
    let mut features = Vec::new();
    for column in columns {
        let is_category = choices.categorical.iter().any(|name| name == column.name);
        features.push(match is_category {
            true => Feature::of_categories(column, blocks.as_ref(), &mut notes)?,
            false => Feature::of(column, blocks.as_ref())?,
        });
    }
    let names = features
        .iter()
        .map(|feature| feature.name.clone())
        .collect();
    let variation = blocks.map(|blocks| blocks.said());
    Ok(Made {
        bytes: written(table.rows(), &features, variation, scores),
        names,
        notes,
    })
}

/// What becomes a feature, in the order of the reference.
fn columns<'a>(
    table: &'a Table,
    scalars: &'a [(u8, Vec<f32>)],
    model: &'a Signature,
    notes: &mut Vec<String>,
) -> Vec<Column<'a>> {
    let room = FEATURES_MAX.saturating_sub(scalars.len());
    if table.columns.len() > room {
        let all = table.columns.len();
        notes.push(format!(
            "the reference counts the first {room} of {all} inputs"
        ));
    }
    let inputs = (0_u32..).zip(table.names.iter().zip(&table.columns));
    let inputs = inputs.take(room).map(|(element, (name, values))| Column {
        name,
        source: Source::Input,
        tensor: 0,
        element,
        values,
    });
    let outputs = scalars.iter().take(FEATURES_MAX);
    let outputs = outputs.map(|(tensor, values)| Column {
        name: &model.outputs[usize::from(*tensor)].name,
        source: Source::Output,
        tensor: *tensor,
        element: 0,
        values,
    });
    inputs.chain(outputs).collect()
}

fn check_names(columns: &[Column<'_>], categorical: &[String]) -> Result<(), ReferenceError> {
    let names = || columns.iter().map(|column| column.name);
    match categorical
        .iter()
        .find(|name| names().all(|known| known != *name))
    {
        None => Ok(()),
        Some(name) => Err(ReferenceError::NoFeature {
            name: name.clone(),
            found: names()
                .collect::<Vec<_>>()
                .join(", ")
                .chars()
                .take(200)
                .collect(),
        }),
    }
}

fn written(
    rows: usize,
    features: &[Feature],
    variation: Option<Variation>,
    scores: Option<&Scored>,
) -> Vec<u8> {
    let lists = scores.map(Scored::lists);
    let features: Vec<FeatureReference<'_>> = features.iter().map(Feature::borrowed).collect();
    cbor::to_vec(&Reference {
        rows: rows as u64,
        features: List::of(&features),
        probabilities: scores
            .zip(lists.as_ref())
            .map(|(scores, lists)| scores.borrowed(lists)),
        variation,
    })
}

/// The outputs that give one number for each row, by their place, with those numbers. What becomes
/// of the others is noted, but of `scored`, whose probabilities are counted.
fn scalars(
    rows: &[RowOutputs],
    model: &Signature,
    scored: Option<u8>,
    notes: &mut Vec<String>,
) -> Vec<(u8, Vec<f32>)> {
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
            false if scored == Some(place) => {}
            false => notes.push(format!(
                "output {:?} is not counted: no single number",
                spec.name
            )),
        }
    }
    scalars
}

impl Feature {
    /// Bins between quantiles.
    fn of(column: Column<'_>, blocks: Option<&Blocks>) -> Result<Self, ReferenceError> {
        let sorted = column.sorted();
        let (edges, transform) = (quantile::edges(&sorted), quantile::transform(&sorted));
        let moments = quantile::moments(&sorted, transform);
        let scale = Scale::new(edges.iter().copied(), transform, moments.0, moments.1);
        let scale = scale.map_err(|bad| column.bad(bad))?;
        let edges = edges.iter().map(|edge| edge.to_bits()).collect();
        let made = Self::counted(column, &scale, (transform, moments), blocks)?;
        Ok(Self { edges, ..made })
    }

    /// A bin for each value of the column; when there are too many, for the most frequent ones.
    fn of_categories(
        column: Column<'_>,
        blocks: Option<&Blocks>,
        notes: &mut Vec<String>,
    ) -> Result<Self, ReferenceError> {
        let sorted = column.sorted();
        let categories = most_frequent(&sorted);
        let all = sorted.chunk_by(|one, other| one == other).count();
        if all > categories.len() {
            notes.push(format!(
                "feature {:?} has {all} categories: the {} most frequent have a bin, the others \
                 share one",
                column.name,
                categories.len()
            ));
        }
        let transform = Transform::Identity;
        let moments = quantile::moments(&sorted, transform);
        let scale = Scale::of_categories(categories.iter().copied(), moments.0, moments.1);
        let scale = scale.map_err(|bad| column.bad(bad))?;
        let categories = categories.iter().map(|value| value.to_bits()).collect();
        let made = Self::counted(column, &scale, (transform, moments), blocks)?;
        Ok(Self {
            categories: Some(categories),
            ..made
        })
    }

    /// The feature without its edges or categories.
    fn counted(
        column: Column<'_>,
        scale: &Scale,
        (transform, (mean, deviation)): (Transform, (f32, f32)),
        blocks: Option<&Blocks>,
    ) -> Result<Self, ReferenceError> {
        let name = column.name;
        if name.is_empty() || name.len() > NAME_BYTES_MAX {
            return Err(ReferenceError::Name(name.chars().take(80).collect()));
        }
        let mut fold = FeatureFold::new(scale.clone());
        let values = column.values.iter();
        values.for_each(|value| fold.fold(Some(*value)));
        let limits = blocks.map(|blocks| blocks.limits(scale, column.values));
        Ok(Self {
            name: name.into(),
            source: column.source,
            tensor: column.tensor,
            element: column.element,
            transform,
            mean,
            deviation,
            edges: Vec::new(),
            categories: None,
            counts: fold.counts().bins[..fold.bins()].to_vec(),
            missing: fold.counts().non_finite,
            limits: limits.as_ref().map(FeatureLimits::of),
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
            limits: self.limits,
            categories: self.categories.as_deref().map(List::of),
        }
    }
}

impl Column<'_> {
    /// Its finite values, ascending.
    fn sorted(&self) -> Vec<f32> {
        let finite = self.values.iter().copied().filter(|x| x.is_finite());
        let mut sorted: Vec<f32> = finite.collect();
        sorted.sort_unstable_by(f32::total_cmp);
        sorted
    }

    fn bad(&self, bad: BadScale) -> ReferenceError {
        ReferenceError::Feature {
            name: self.name.into(),
            bad: BadFeature::Scale(bad),
        }
    }
}

/// At most as many values as there may be categories, ascending: of more, those that come most
/// often, and of equally frequent ones the smallest. Zero has one sign.
fn most_frequent(sorted: &[f32]) -> Vec<f32> {
    let values = sorted.chunk_by(|one, other| one == other);
    let mut counted: Vec<(usize, f32)> = values.map(|of| (of.len(), of[0] + 0.0)).collect();
    counted.sort_by(|one, other| other.0.cmp(&one.0).then(one.1.total_cmp(&other.1)));
    counted.truncate(EDGES_MAX);
    let mut categories: Vec<f32> = counted.into_iter().map(|(_, value)| value).collect();
    categories.sort_unstable_by(f32::total_cmp);
    categories
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
    fn an_output_is_noted_unless_it_is_counted() {
        let outputs = serde_json::json!([
            { "name": "p", "datatype": "FP32", "shape": [-1, 2] },
            { "name": "logits", "datatype": "FP32", "shape": [-1, 2] },
        ]);
        let outputs = serde_json::from_value(outputs).expect("tensors");
        let model = Signature {
            inputs: sample::signature().inputs,
            outputs,
        };
        let table = sample::table();
        let row = |_| {
            let two = vec![Some(0.25), Some(0.75)];
            RowOutputs::from([("p".to_owned(), two.clone()), ("logits".to_owned(), two)])
        };
        let rows: Vec<RowOutputs> = (0..table.rows()).map(row).collect();
        let asked = "p".parse().expect("valid");
        let scored = Scored::of(&asked, &rows, None, &model).ok();
        let check = |scored: Option<&Scored>, expect: &[&str]| {
            let made = make(&table, &rows, &model, Choices::default(), scored).expect("countable");
            let told = made
                .notes
                .iter()
                .filter(|note| note.contains("not counted"));
            let told: Vec<&str> = told.map(String::as_str).collect();
            assert_eq!(told, expect);
        };
        let of = |name: &str| format!("output {name:?} is not counted: no single number");
        assert!(scored.is_some());
        check(scored.as_ref(), &[&of("logits")]);
        check(None, &[&of("p"), &of("logits")]);
    }

    #[test]
    fn a_constant_column_is_in_range() {
        let feature = Feature::of(column("c", &[0.3; 150]), None).expect("countable");
        assert_eq!(feature.counts, [0, 150, 0]);
    }

    #[test]
    fn more_columns_than_features_are_cut_with_a_note() {
        let names: Vec<String> = (0..70).map(|place| format!("x{place}")).collect();
        let table = Table {
            names,
            columns: vec![vec![1.0; 100]; 70],
        };
        let choices = Choices::default();
        let made = make(&table, &[], &sample::signature(), choices, None).expect("countable");
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
        assert!(Feature::of(column(&"x".repeat(65), &[0.3; 150]), None).is_err());
    }

    #[test]
    fn categories_are_the_values_that_come_most_often() {
        let check = |values: &[f32], expect: &[f32], counts: &[u32], told: usize| {
            let mut notes = Vec::new();
            let feature = Feature::of_categories(column("c", values), None, &mut notes);
            let feature = feature.expect("countable");
            let categories: Vec<f32> = feature
                .categories
                .iter()
                .flatten()
                .copied()
                .map(f32::from_bits)
                .collect();
            assert_eq!(
                (categories.as_slice(), feature.counts.as_slice()),
                (expect, counts)
            );
            assert!(feature.edges.is_empty());
            assert!(feature.borrowed().scale().is_ok());
            assert_eq!(notes.len(), told, "{notes:?}");
        };
        let few = [[2.0, 0.0, -0.0, 2.0].as_slice(), &[7.5; 100], &[f32::NAN]].concat();
        check(&few, &[0.0, 2.0, 7.5], &[2, 2, 100, 0], 0);
        // Of twenty values, all twice but three: seventeen have a bin.
        let many: Vec<f32> = (0..20)
            .flat_map(|value| vec![value as f32; 1 + usize::from(value > 2)])
            .collect();
        let kept: Vec<f32> = (3..20).map(|value| value as f32).collect();
        let counts = [[2; 17].as_slice(), &[3]].concat();
        check(&many, &kept, &counts, 1);
    }

    #[test]
    fn a_categorical_that_is_no_feature_is_named() {
        let made = |categorical: &[String], block_rows| {
            let choices = Choices {
                block_rows,
                categorical,
            };
            make(&sample::table(), &[], &sample::signature(), choices, None)
        };
        let error = made(&["z".to_owned()], None)
            .err()
            .expect("no such feature");
        assert_eq!(
            error.to_string(),
            "--categorical names \"z\", and the features are a, b"
        );
        let made = made(&["a".to_owned()], None).expect("countable");
        let reference: Reference<'_> = cbor::decode(&made.bytes).expect("a reference");
        let kinds = reference
            .features
            .iter()
            .map(|feature| feature.categories.is_some());
        assert!(kinds.eq([true, false]));
    }

    #[test]
    fn limits_come_with_enough_blocks_and_a_note_says_when_not() {
        let check = |block_rows: Option<u32>, expect: Option<(u32, u32)>| {
            let choices = Choices {
                block_rows,
                categorical: &[],
            };
            let made = make(&sample::table(), &[], &sample::signature(), choices, None)
                .expect("countable");
            let reference: Reference<'_> = cbor::decode(&made.bytes).expect("a reference");
            let said = reference
                .variation
                .map(|said| (said.block_rows, said.blocks));
            assert_eq!(said, expect, "{block_rows:?}");
            for feature in reference.features.iter() {
                let limits = feature.limits(reference.variation).expect("limits");
                assert_eq!(limits.is_some(), expect.is_some());
            }
            let told = made
                .notes
                .iter()
                .any(|note| note.contains("no critical values"));
            assert_eq!(told, expect.is_none(), "{:?}", made.notes);
        };
        check(None, Some((20, 10)));
        check(Some(25), Some((25, 8)));
        check(Some(26), None);
    }

    fn column<'a>(name: &'a str, values: &'a [f32]) -> Column<'a> {
        let (source, tensor, element) = (Source::Input, 0, 0);
        Column {
            name,
            source,
            tensor,
            element,
            values,
        }
    }
}
