//! What `muster bundle inspect` shows of a reference: features, bins or categories, and critical
//! values.
//!
//! Never a value of the data that it was made from but categories, which were declared.

use muster_protocol::bundle::{FeatureReference, Reference};
use muster_protocol::cbor;
use muster_protocol::stats::critical::Limits;
use serde::Serialize;

use crate::output::Table;

/// A reference.
#[derive(Serialize)]
pub(super) struct ShownReference {
    rows: u64,
    /// Rows of a block; none without critical values.
    block_rows: Option<u32>,
    blocks: Option<u32>,
    /// Probability that one more block breaches one limit by chance, which bounds that of two in a
    /// row, which alarm.
    false_alarm: Option<f64>,
    features: Vec<ShownFeature>,
}

#[derive(Serialize)]
struct ShownFeature {
    name: String,
    bins: usize,
    categories: Option<Vec<f32>>,
    limits: Option<ShownLimits>,
}

/// Mean and spread in standard deviations of the reference, shares from 0 to 1.
#[derive(Serialize)]
struct ShownLimits {
    location: Option<[f64; 2]>,
    spread: Option<[f32; 2]>,
    absent: f32,
    out_of_range: f32,
    repeats: f32,
    longest_run: u32,
}

impl ShownReference {
    /// Of the document, which was verified; none if it is none after all.
    pub(super) fn of(document: &[u8]) -> Option<Self> {
        let reference: Reference<'_> = cbor::decode(document).ok()?;
        let said = reference.variation;
        let feature = |feature: FeatureReference<'_>| ShownFeature {
            name: feature.name.to_owned(),
            bins: feature.counts.len(),
            categories: feature
                .categories
                .map(|categories| categories.iter().map(f32::from_bits).collect()),
            limits: feature.limits(said).ok().flatten().map(ShownLimits::of),
        };
        Some(Self {
            rows: reference.rows,
            block_rows: said.map(|said| said.block_rows),
            blocks: said.map(|said| said.blocks),
            false_alarm: said.map(|said| f64::from_bits(said.false_alarm)),
            features: reference.features.iter().map(feature).collect(),
        })
    }

    /// One line: how many rows, in which blocks.
    pub(super) fn summary(&self) -> String {
        let rows = self.rows;
        let blocks = self.blocks.zip(self.block_rows).zip(self.false_alarm);
        blocks.map_or(
            format!("{rows} rows, without critical values"),
            |((blocks, block_rows), false_alarm)| {
                format!(
                    "{rows} rows, {blocks} blocks of {block_rows}; one more breaches one limit by \
                     chance with p {false_alarm:.1e}"
                )
            },
        )
    }

    /// A row for each feature.
    pub(super) fn table(&self) -> Table {
        let mut table = Table::new(&[
            "feature",
            "bins",
            "mean within",
            "spread within",
            "absent",
            "out of range",
            "repeats",
            "in a row",
        ]);
        for feature in &self.features {
            table.row(feature.cells());
        }
        table
    }
}

impl ShownFeature {
    fn cells(&self) -> [String; 8] {
        let bins = match &self.categories {
            Some(categories) => format!("{} and other", categories.len()),
            None => self.bins.to_string(),
        };
        let Some(limits) = &self.limits else {
            let none = || "-".to_owned();
            let name = self.name.clone();
            return [name, bins, none(), none(), none(), none(), none(), none()];
        };
        let percent = |share: f32| format!("{:.1} %", 100.0 * share);
        let within = |low: f64, high: f64| format!("{low:.2} to {high:.2} sd");
        let location = limits.location.map(|[low, high]| within(low, high));
        let spread = limits.spread;
        let spread = spread.map(|[low, high]| within(f64::from(low), f64::from(high)));
        [
            self.name.clone(),
            bins,
            location.unwrap_or_else(|| "-".into()),
            spread.unwrap_or_else(|| "-".into()),
            percent(limits.absent),
            percent(limits.out_of_range),
            percent(limits.repeats),
            limits.longest_run.to_string(),
        ]
    }
}

impl ShownLimits {
    fn of(limits: Limits) -> Self {
        let location = limits.location.map(|location| {
            let (mean, distance) = (f64::from(location.mean), f64::from(location.distance));
            [mean - distance, mean + distance]
        });
        Self {
            location,
            spread: limits.spread.map(|spread| [spread.low, spread.high]),
            absent: limits.absent,
            out_of_range: limits.out_of_range,
            repeats: limits.repeats,
            longest_run: limits.longest_run,
        }
    }
}
