//! How features lie beside their reference, as tables show it: the worst first, each with its
//! chart and its numbers. Never a verdict, and no colour that looks like one.

use std::cmp::Ordering;

use super::drawing::{self, HISTOGRAM_HEIGHT};
use super::quality;
use super::text::{Shown, count, counted};
use crate::drift::{DriftRow, FeatureDrift, Histogram, Measure, Side};

/// Features of one table that are in sight; the rest can be unfolded.
const FEATURES_IN_SIGHT: usize = 8;

/// One table: one version of a model, on one device or on all together.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct DriftTable {
    /// For the page to tell it from others.
    pub(super) id: String,
    pub(super) model: Shown,
    pub(super) version: Shown,
    pub(super) bundle: String,
    /// Whether it serves on some device.
    pub(super) is_serving: bool,
    /// The worst feature, in a few words.
    pub(super) worst: String,
    /// What it is made of, in a sentence.
    pub(super) basis: String,
    /// What is not in it.
    pub(super) missing: Vec<String>,
    /// How well a classifier does, in sentences; estimated and measured apart.
    pub(super) quality: Vec<String>,
    pub(super) features: Vec<FeatureLine>,
    /// The rest of them.
    pub(super) folded: Vec<FeatureLine>,
}

/// One feature.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct FeatureLine {
    pub(super) feature: Shown,
    pub(super) side: &'static str,
    pub(super) chart: Option<Chart>,
    pub(super) n: String,
    pub(super) numbers: Numbers,
    pub(super) out_of_range: String,
    pub(super) missing: String,
}

/// What there is to say of it.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Numbers {
    Measured {
        x2: String,
        df: u32,
        p: String,
        psi: String,
        psi_expected: String,
    },
    Words(String),
}

/// Two histograms over the same bins.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Chart {
    pub(super) observed: String,
    pub(super) reference: String,
    pub(super) width: usize,
    pub(super) height: u32,
    pub(super) words: String,
}

/// A row as a table.
pub(super) fn table(row: &DriftRow, is_serving: bool) -> DriftTable {
    let mut features: Vec<&FeatureDrift> = row.features.iter().collect();
    features.sort_by(|one, other| worst_first(one, other));
    let mut lines = features
        .iter()
        .map(|feature| line(feature, row.reference_rows));
    DriftTable {
        id: format!(
            "{}-{}",
            Shown::new(row.device.as_deref().unwrap_or("_")),
            hex_of(&row.bundle)
        ),
        model: Shown::new(&row.model),
        version: Shown::new(
            row.version
                .as_deref()
                .unwrap_or("of a bundle that is not released"),
        ),
        bundle: row.bundle.clone(),
        is_serving,
        worst: features
            .first()
            .map_or_else(String::new, |feature| worst(feature)),
        basis: basis(row),
        missing: missing(row),
        quality: row.quality.as_ref().map(quality::said).unwrap_or_default(),
        features: lines.by_ref().take(FEATURES_IN_SIGHT).collect(),
        folded: lines.collect(),
    }
}

fn hex_of(bundle: &str) -> String {
    bundle
        .trim_start_matches("sha256:")
        .chars()
        .take(12)
        .collect()
}

fn basis(row: &DriftRow) -> String {
    let rows = counted(row.calls, "row");
    let windows = counted(row.closed_windows, "window");
    let reference = match row.reference_rows {
        Some(rows) => format!("against {} of the reference", counted(rows, "row")),
        None => "the reference of the bundle cannot be read here".to_owned(),
    };
    match row.device {
        Some(_) => format!("{rows} in {windows}, {reference}"),
        None => {
            let together = if row.devices == 1 { "" } else { " together" };
            let devices = counted(row.devices as u64, "device");
            format!("{devices}{together}, {rows} in {windows}, {reference}")
        }
    }
}

fn missing(row: &DriftRow) -> Vec<String> {
    let mut said = Vec::new();
    if row.features.is_empty() {
        said.push("No window with features yet: they are sent once a window has 20 rows.".into());
    }
    if row.calls_without_features > 0 {
        let rows = counted(row.calls_without_features, "row");
        said.push(format!(
            "{rows} came in windows too small to carry features."
        ));
    }
    if row.windows_left_out > 0 {
        let windows = counted(row.windows_left_out, "window");
        said.push(format!(
            "{windows} counted against another reference and left out."
        ));
    }
    said
}

/// Small p first, then large X² for its degrees of freedom; what has no numbers comes last.
fn worst_first(one: &FeatureDrift, other: &FeatureDrift) -> Ordering {
    let key = |feature: &FeatureDrift| match feature.measure {
        Measure::Measured { x2, df, p, .. } => (0, p, -x2 / f64::from(df.max(1))),
        Measure::TooFew { .. } => (1, 0.0, 0.0),
        Measure::NoReference => (2, 0.0, 0.0),
    };
    let (one, other) = (key(one), key(other));
    let numbers = one.1.total_cmp(&other.1).then(one.2.total_cmp(&other.2));
    one.0.cmp(&other.0).then(numbers)
}

fn line(feature: &FeatureDrift, reference_rows: Option<u64>) -> FeatureLine {
    FeatureLine {
        feature: Shown::new(&feature.feature),
        side: match feature.source {
            Side::Input => "input",
            Side::Output => "output",
        },
        chart: feature
            .histogram
            .as_ref()
            .and_then(|histogram| chart(histogram, reference_rows)),
        n: count(feature.n),
        numbers: numbers(feature),
        out_of_range: count(feature.out_of_range),
        missing: count(feature.missing.saturating_add(feature.non_finite)),
    }
}

fn numbers(feature: &FeatureDrift) -> Numbers {
    match feature.measure {
        Measure::NoReference => Numbers::Words("no reference to compare with".to_owned()),
        Measure::TooFew { n_min } => {
            Numbers::Words(format!("too few: {} of {}", count(feature.n), count(n_min)))
        }
        Measure::Measured {
            x2,
            df,
            p,
            psi,
            psi_expected,
        } => Numbers::Measured {
            x2: statistic(x2),
            df,
            p: probability(p),
            psi: format!("{psi:.3}"),
            psi_expected: format!("{psi_expected:.3}"),
        },
    }
}

fn worst(feature: &FeatureDrift) -> String {
    let name = Shown::new(&feature.feature);
    match feature.measure {
        Measure::Measured { x2, df, p, .. } => {
            let (x2, p) = (statistic(x2), probability(p));
            format!("{name}: X² {x2} ({df}), p {p}")
        }
        Measure::TooFew { .. } | Measure::NoReference => match numbers(feature) {
            Numbers::Words(words) => words,
            Numbers::Measured { .. } => String::new(),
        },
    }
}

fn chart(histogram: &Histogram, reference_rows: Option<u64>) -> Option<Chart> {
    let (first, last) = (histogram.edges.first()?, histogram.edges.last()?);
    let paths = drawing::histogram(&histogram.reference, &histogram.observed);
    let observed = histogram
        .observed
        .iter()
        .fold(0_u64, |n, count| n.saturating_add(*count));
    let rows = reference_rows.map_or(String::new(), |rows| format!(" ({})", counted(rows, "row")));
    Some(Chart {
        observed: paths.observed,
        reference: paths.reference,
        width: paths.width,
        height: HISTOGRAM_HEIGHT,
        words: format!(
            "Shares in {} bins: reference{rows} as the line, {} as bars; the middle bins lie from \
             {first} to {last}, the outermost are open",
            histogram.reference.len(),
            counted(observed, "observed value"),
        ),
    })
}

fn statistic(x2: f64) -> String {
    match x2 {
        0.0..1000.0 => format!("{x2:.1}"),
        1000.0..1e9 => count(x2 as u64),
        _ => format!("{x2:.1e}"),
    }
}

fn probability(p: f64) -> String {
    match p {
        0.001.. => format!("{p:.3}"),
        1e-300.. => format!("{p:.0e}"),
        _ => "< 1e-300".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn feature(name: &str, n: u64, measure: Measure) -> FeatureDrift {
        FeatureDrift {
            feature: name.to_owned(),
            source: Side::Input,
            n,
            missing: 1,
            non_finite: 2,
            out_of_range: 3,
            measure,
            histogram: None,
        }
    }

    fn measured(x2: f64, p: f64) -> Measure {
        Measure::Measured {
            x2,
            df: 17,
            p,
            psi: 0.1234,
            psi_expected: 0.009,
        }
    }

    #[test]
    fn the_worst_comes_first_and_what_has_no_numbers_last() {
        let row = DriftRow {
            model: "bearing".to_owned(),
            quality: None,
            version: Some("1.0.0".to_owned()),
            bundle: "sha256:00112233445566778899".to_owned(),
            device: None,
            cohort: None,
            devices: 4,
            closed_windows: 12,
            calls: 4032,
            calls_without_features: 1,
            windows_left_out: 0,
            reference_rows: Some(2016),
            features: vec![
                feature("unknown", 500, Measure::NoReference),
                feature("few", 12, Measure::TooFew { n_min: 200 }),
                feature("calm", 500, measured(16.0, 0.52)),
                feature("far", 500, measured(9000.0, 0.0)),
                feature("farther", 500, measured(19_000.0, 0.0)),
            ],
        };
        let table = table(&row, true);
        let names: Vec<_> = table
            .features
            .iter()
            .map(|line| line.feature.to_string())
            .collect();
        assert_eq!(names, ["farther", "far", "calm", "few", "unknown"]);
        assert_eq!(
            table.basis,
            "4 devices together, 4,032 rows in 12 windows, against 2,016 rows of the reference"
        );
        assert_eq!(
            table.missing,
            ["1 row came in windows too small to carry features."]
        );
        assert_eq!(table.id, "_-001122334455");
        assert_eq!(
            table.features[3].numbers,
            Numbers::Words("too few: 12 of 200".to_owned())
        );
    }

    #[test]
    fn numbers_are_as_exact_as_they_mean() {
        let said = [16.04, 999.94, 19_000.7, 2.5e12].map(statistic);
        assert_eq!(said, ["16.0", "999.9", "19,000", "2.5e12"]);
        let said = [1.0, 0.0123, 0.000_31, 3e-250, 0.0].map(probability);
        assert_eq!(said, ["1.000", "0.012", "3e-4", "3e-250", "< 1e-300"]);
    }
}
