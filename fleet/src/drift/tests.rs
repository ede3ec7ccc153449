//! Numbers of another program where they are at hand, p by hand, and what must never be summed.

use std::collections::BTreeMap;
use std::path::Path;

use muster_protocol::digest::Digest;
use muster_protocol::stats::comparison::Cell;
use serde_json::Value;

use super::*;
use crate::store::{FeatureHour, WindowSums};

fn close(found: f64, expect: f64, relative: f64, what: &str) {
    let difference = (found - expect).abs();
    let allowed = relative * expect.abs().max(f64::MIN_POSITIVE);
    assert!(difference <= allowed, "{what}: {found} is not {expect}");
}

fn check_p(x2: f64, df: u32, expect: f64) {
    let measures = Measures {
        n: 1,
        x2,
        df,
        psi: 0.0,
        psi_expected: 0.0,
    };
    close(p_value(&measures), expect, 1e-9, &format!("{x2} {df}"));
}

#[test]
fn p_is_the_upper_tail_of_the_distribution() {
    // With two degrees of freedom it is exp(-X²/2); with four, times (1 + X²/2).
    check_p(2.0, 2, (-1f64).exp());
    check_p(100.0, 2, (-50f64).exp());
    check_p(6.0, 4, 4.0 * (-3f64).exp());
    check_p(0.0, 5, 1.0);
    check_p(0.0, 0, 1.0);
    check_p(1e300, 17, 0.0);
}

/// Inputs and results of numpy and scipy, in full in a file beside the project.
#[test]
fn the_worked_cases_of_another_program_agree() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/drift_vectors.json");
    let Ok(text) = std::fs::read_to_string(&path) else {
        let because = format!("{} is not there", path.display());
        let hint = "put the shared data beside the project";
        return crate::skip::skip("drift: worked cases", &because, hint);
    };
    let all: BTreeMap<String, Value> = serde_json::from_str(&text).expect("JSON");
    let checked = all.iter().filter(|(name, case)| check_case(name, case));
    assert_eq!(checked.count(), 6, "cases with counts");
}

/// Whether the case has counts; they give its numbers.
fn check_case(name: &str, case: &Value) -> bool {
    let expected = &case["expected"];
    let cells = match (&case["key_order"], &expected["ref_counts"]) {
        (Value::Array(keys), _) => {
            let count = |side: &str, key: &Value| {
                let key = key.as_str().expect("a name");
                case[side][key].as_u64().unwrap_or(0)
            };
            let cell = |key| (count("ref", key), count("cur", key));
            keys.iter().map(cell).collect()
        }
        (_, Value::Array(_)) => pairs(expected),
        _ => pairs(case),
    };
    if cells.is_empty() {
        return false;
    }
    let cells: Vec<Cell> = cells
        .into_iter()
        .map(|(reference, observed)| Cell {
            reference,
            observed,
        })
        .collect();
    let Comparison::Measured(found) = comparison::compare(&cells, 1) else {
        panic!("{name}: {cells:?}");
    };
    let expect = expected.get("binned").unwrap_or(expected);
    let number = |name: &str| expect.pointer(name).and_then(Value::as_f64).expect(name);
    for (found, expect) in [
        (found.psi, "/psi_jeffreys_add_half"),
        (found.psi_expected, "/psi_null_mean"),
        (found.psi_corrected(), "/psi_bias_corrected_jeffreys"),
        (found.x2, "/chi2_two_sample/stat"),
        (f64::from(found.df), "/chi2_two_sample/df"),
    ] {
        close(found, number(expect), 1e-9, &format!("{name}{expect}"));
    }
    let p = number("/chi2_two_sample/p");
    close(p_value(&found), p, 1e-6, name);
    true
}

fn pairs(holder: &Value) -> Vec<(u64, u64)> {
    let counts = |name: &str| {
        let counts = holder[name].as_array().into_iter().flatten();
        counts.filter_map(Value::as_u64).collect::<Vec<_>>()
    };
    let (reference, observed) = (counts("ref_counts"), counts("cur_counts"));
    reference.into_iter().zip(observed).collect()
}

const BUNDLE: Digest = Digest([5; 32]);
const RIGHT: Digest = Digest([6; 32]);
const OTHER: Digest = Digest([7; 32]);

fn reference() -> BundleReference {
    BundleReference {
        digest: RIGHT,
        rows: 400,
        features: vec![ReferenceFeature {
            name: "x".to_owned(),
            source: Side::Input,
            edges: vec![0.0],
            counts: vec![200, 200],
            missing: 0,
            raw: None,
            limits: None,
        }],
        scores: None,
        variation: None,
    }
}

fn hour(device: &str, reference: Option<Digest>, bins: &[u64]) -> FeatureHour {
    let feature = FeatureSum {
        bins: bins.iter().copied().collect(),
        ..FeatureSum::default()
    };
    FeatureHour {
        device: device.to_owned(),
        bundle: BUNDLE,
        reference,
        sums: WindowSums {
            closed_windows: 1,
            calls: bins.iter().sum(),
            misfits: 0,
            features: reference.map(|_| feature).into_iter().collect(),
        },
    }
}

/// The row of all devices together.
fn row(hours: &[FeatureHour], known: Option<&BundleReference>) -> DriftRow {
    let mut merged = Merged::default();
    for hour in hours {
        merged.add(Of::All, hour.clone());
    }
    let version = Some("1.0.0".to_owned());
    let known = |_: &Digest| (version.clone(), known);
    let mut rows = merged.rows("bearing", known, &MergedScores::default(), Histograms::With);
    assert_eq!(rows.len(), 1, "{rows:?}");
    rows.remove(0)
}

fn observed(row: &DriftRow) -> Vec<u64> {
    let feature = row.features.first().expect("a feature");
    feature
        .histogram
        .as_ref()
        .expect("it was wanted")
        .observed
        .clone()
}

#[test]
fn sums_do_not_depend_on_their_order() {
    let reference = reference();
    let hours = [
        hour("a", Some(RIGHT), &[10, 20]),
        hour("b", Some(RIGHT), &[100, 70]),
        hour("a", None, &[4]),
        hour("c", Some(OTHER), &[5, 5]),
        hour("a", Some(RIGHT), &[1, 0]),
    ];
    let expect = row(&hours, Some(&reference));
    assert_eq!(observed(&expect), [111, 90]);
    assert_eq!((expect.devices, expect.closed_windows), (3, 5));
    for turn in 1..hours.len() {
        let mut turned = hours.to_vec();
        turned.rotate_left(turn);
        assert_eq!(row(&turned, Some(&reference)), expect, "{turn}");
        turned.reverse();
        assert_eq!(row(&turned, Some(&reference)), expect, "{turn} reversed");
    }
}

#[test]
fn two_references_never_merge() {
    let reference = reference();
    let found = row(
        &[
            hour("a", Some(RIGHT), &[150, 100]),
            hour("b", Some(OTHER), &[0, 900]),
            hour("c", Some(RIGHT), &[0, 0, 900]),
            hour("d", None, &[19]),
        ],
        Some(&reference),
    );
    assert_eq!(observed(&found), [150, 100]);
    assert_eq!(found.windows_left_out, 2);
    assert_eq!((found.calls, found.calls_without_features), (2069, 19));
}

#[test]
fn a_feature_has_numbers_once_there_are_samples_enough() {
    let reference = reference();
    let check = |bins: &[u64], expect: Measure| {
        let row = row(&[hour("a", Some(RIGHT), bins)], Some(&reference));
        assert_eq!(row.features[0].measure, expect);
        assert_eq!(row.features[0].n, bins.iter().sum::<u64>());
    };
    check(&[100, 99], Measure::TooFew { n_min: 200 });
    // Half and half in both: nothing to see, and PSI's bias is 1/400 + 1/200.
    check(
        &[100, 100],
        Measure::Measured {
            x2: 0.0,
            df: 1,
            p: 1.0,
            psi: 0.0,
            psi_expected: 1.0 / 400.0 + 1.0 / 200.0,
        },
    );
}

#[test]
fn without_a_reference_there_are_counts_and_no_features() {
    let found = row(&[hour("a", Some(RIGHT), &[150, 100])], None);
    assert_eq!((found.calls, found.reference_rows), (250, None));
    assert_eq!((found.features.len(), found.windows_left_out), (0, 0));
}
