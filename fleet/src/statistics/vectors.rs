//! The worked cases of another program (numpy, scipy), with inputs and results in full in a file
//! beside the project. Sums agree to nine digits, probabilities to six.

use std::path::Path;

use muster_protocol::stats::Measures;
use muster_protocol::stats::comparison::{Cell, Comparison, compare};
use serde_json::Value;

use super::quality::{Scored, estimated};
use super::rates::{fisher_exact, two_proportions};
use super::two_sample::{Distances, likelihood_ratio, pearson, psi_p};
use super::*;

const SUM: f64 = 1e-9;
const P: f64 = 1e-6;
/// The part that steps of the moments are made of: the cases have six decimals.
const STEP: f64 = 1e-6;

/// The name of a case, and what checks it.
type Case = (&'static str, fn(&Value));

#[test]
fn the_worked_cases_of_another_program_agree() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/drift_vectors.json");
    let Ok(text) = std::fs::read_to_string(&path) else {
        let because = format!("{} is not there", path.display());
        let hint = "put the shared data beside the project";
        return crate::skip::skip("statistics: worked cases", &because, hint);
    };
    let all: Value = serde_json::from_str(&text).expect("JSON");
    let cases: [Case; 10] = [
        ("v1_counts_decile", counted),
        ("v2_counts_with_empty_bins", counted),
        ("v3_raw_continuous", raw),
        ("v4_raw_integers_ties", raw),
        ("v5_null_small_n", raw),
        ("v6_categorical_unseen", categories),
        ("v7_missing_rate", missing),
        ("v8_cbpe_from_score_histogram", without_labels),
        ("v9_cusum_one_sided", cumulative_sums),
        ("v10_multiple_testing", many_tests),
    ];
    let mut known: Vec<&str> = cases.iter().map(|(name, _)| *name).collect();
    known.push("v11_moments_merge");
    let listed = all.as_object().expect("an object").keys();
    for name in listed.filter(|name| *name != "meta") {
        assert!(known.contains(&name.as_str()), "{name} is not checked");
    }
    cases.iter().for_each(|(name, check)| check(&all[*name]));
    merging(&all["v11_moments_merge"], &all["v3_raw_continuous"]);
}

fn check(found: f64, expected: &Value, name: &str, tolerance: f64) {
    let expect = number(expected, name);
    let allowed = tolerance * expect.abs().max(1e-12);
    assert!(
        (found - expect).abs() <= allowed,
        "{name}: {found}, not {expect}"
    );
}

fn number(of: &Value, name: &str) -> f64 {
    let at = if name.starts_with('/') {
        of.pointer(name)
    } else {
        of.get(name)
    };
    at.and_then(Value::as_f64)
        .unwrap_or_else(|| panic!("{name}: no number"))
}

fn numbers(of: &Value) -> Vec<f64> {
    let all = of.as_array().expect("numbers").iter();
    all.map(|x| x.as_f64().expect("a number")).collect()
}

fn whole(of: &Value) -> Vec<u64> {
    numbers(of).into_iter().map(|x| x as u64).collect()
}

fn cells(reference: &[u64], observed: &[u64]) -> Vec<Cell> {
    let pairs = reference.iter().zip(observed);
    let cells = pairs.map(|(&reference, &observed)| Cell {
        reference,
        observed,
    });
    cells.collect()
}

fn measures(cells: &[Cell]) -> Measures {
    match compare(cells, 1) {
        Comparison::Measured(measures) => measures,
        other @ (Comparison::NoReference | Comparison::TooFew { .. }) => panic!("{other:?}"),
    }
}

/// Everything that two rows of counts give.
fn binned(cells: &[Cell], expected: &Value) {
    let found = measures(cells);
    let distances = Distances::of(cells).expect("counts");
    let root = distances.jensen_shannon.sqrt();
    let scale = found.psi_expected / (cells.len() - 1) as f64;
    for (found, name) in [
        (found.psi, "psi_jeffreys_add_half"),
        (found.psi_expected, "psi_null_mean"),
        (found.psi_corrected(), "psi_bias_corrected_jeffreys"),
        (psi_eps(cells), "psi_eps1e-4_no_renorm"),
        (distances.jensen_shannon, "js_divergence_nat"),
        (
            distances.jensen_shannon / std::f64::consts::LN_2,
            "js_divergence_base2",
        ),
        (root, "js_distance_nat"),
        (root / std::f64::consts::LN_2.sqrt(), "js_distance_base2"),
        (distances.total_variation, "tvd"),
        (distances.largest, "l_infinity"),
        (distances.kolmogorov_smirnov, "ks_on_bins_D"),
        (pearson(&found).statistic, "/chi2_two_sample/stat"),
        (pearson(&found).df, "/chi2_two_sample/df"),
        (likelihood_ratio(cells).statistic, "/g_two_sample/stat"),
        (likelihood_ratio(cells).df, "/g_two_sample/df"),
    ] {
        check(found, expected, name, SUM);
    }
    check(pearson(&found).p, expected, "/chi2_two_sample/p", P);
    check(likelihood_ratio(cells).p, expected, "/g_two_sample/p", P);
    check(
        psi_p(&found, cells),
        expected,
        "psi_null_pvalue_jeffreys",
        P,
    );
    for (name, p) in [("psi_crit_p01", 0.01), ("psi_crit_p001", 0.001)] {
        let df = (cells.len() - 1) as f64;
        let found = tail::chi_squared(number(expected, name) / scale, df);
        assert!((found / p - 1.0).abs() < P, "{name}: {found}");
    }
}

/// PSI as others have it, with a floor of shares in place of half a sample.
fn psi_eps(cells: &[Cell]) -> f64 {
    let (m, n) = two_sample::totals(cells);
    let term = |cell: &Cell| {
        let floor = |count, of| two_sample::share(count, of).max(1e-4);
        let (q, p) = (floor(cell.reference, m), floor(cell.observed, n));
        (p - q) * (p / q).ln()
    };
    cells.iter().map(term).sum()
}

fn counted(case: &Value) {
    let (reference, observed) = (whole(&case["ref_counts"]), whole(&case["cur_counts"]));
    binned(&cells(&reference, &observed), &case["expected"]);
}

fn categories(case: &Value) {
    let keys = case["key_order"].as_array().expect("names").iter();
    let cell = |key: &Value| {
        let count = |side: &str| case[side][key.as_str().expect("a name")].as_u64();
        Cell {
            reference: count("ref").unwrap_or(0),
            observed: count("cur").unwrap_or(0),
        }
    };
    binned(&keys.map(cell).collect::<Vec<_>>(), &case["expected"]);
}

fn raw(case: &Value) {
    let (reference, observed) = (numbers(&case["ref"]), numbers(&case["cur"]));
    let expected = &case["expected"];
    let edges = numbers(&expected["inner_edges"]);
    let counts = |values: &[f64]| {
        let mut counts = vec![0; edges.len() + 1];
        values
            .iter()
            .for_each(|x| counts[edges.partition_point(|edge| edge <= x)] += 1);
        counts
    };
    binned(
        &cells(&counts(&reference), &counts(&observed)),
        &expected["binned"],
    );
    of_values(&reference, &observed, expected);
}

/// What values give that bins do not: every value has a bin of its own.
fn of_values(reference: &[f64], observed: &[f64], expected: &Value) {
    let mut points = [reference, observed].concat();
    points.sort_unstable_by(f64::total_cmp);
    points.dedup();
    let count = |values: &[f64], point| values.iter().filter(|x| **x == point).count() as u64;
    let cells: Vec<Cell> = points
        .iter()
        .map(|&point| Cell {
            reference: count(reference, point),
            observed: count(observed, point),
        })
        .collect();
    let distance = Distances::of(&cells).expect("values").kolmogorov_smirnov;
    let (m, n) = (reference.len() as u64, observed.len() as u64);
    check(distance, expected, "/ks_exact/D", SUM);
    check(distance, expected, "/ks_asymp/D", SUM);
    let exact = kolmogorov::p_exact(distance, m, n).expect("small");
    check(exact, expected, "/ks_exact/p", P);
    let effective = kolmogorov::p_effective(distance, m as f64, n as f64).expect("small");
    check(effective, expected, "/ks_asymp/p", P);
    assert!(kolmogorov::p_binned(&cells).expect("small") <= exact + 1e-12);
    let carried = between_points(&points, &cells).expect("ascending");
    check(carried, expected, "wasserstein1", SUM);
    let mean = reference.iter().sum::<f64>() / m as f64;
    let square: f64 = reference.iter().map(|x| (x - mean).powi(2)).sum();
    let deviation = (square / m as f64).sqrt();
    check(
        carried / deviation,
        expected,
        "wasserstein1_norm_by_ref_std_ddof0",
        SUM,
    );
}

fn missing(case: &Value) {
    let rate = |side: &str| {
        let of = |name: &str| case[side][name].as_u64().expect("a count");
        Rate::new(of("missing"), of("n")).expect("a rate")
    };
    let (reference, observed, expected) = (rate("ref"), rate("cur"), &case["expected"]);
    let z = two_proportions(reference, observed).expect("it varies");
    check(z.statistic, expected, "z", SUM);
    check(z.p, expected, "p_two_sided", P);
    check(
        fisher_exact(reference, observed).expect("small"),
        expected,
        "fisher_p",
        P,
    );
    let share = reference.share().expect("trials");
    check(
        observed.upper_tail(share),
        expected,
        "binom_greater_p_vs_ref",
        P,
    );
    for (found, name) in [
        (observed.wilson(Confidence::P95), "wilson95"),
        (
            observed.clopper_pearson(Confidence::P95),
            "clopper_pearson95",
        ),
    ] {
        check(found.low, expected, &format!("/{name}/0"), SUM);
        check(found.high, expected, &format!("/{name}/1"), SUM);
    }
}

fn without_labels(case: &Value) {
    let (counts, sums) = (whole(&case["counts"]), numbers(&case["sum_calibrated_p"]));
    let bins = counts.into_iter().zip(sums);
    let bins: Vec<Scored> = bins
        .map(|(count, sum_p)| Scored {
            count,
            sum_p,
            deviation: 0.0,
        })
        .collect();
    let (found, expected) = (estimated(&bins, 5), &case["expected"]);
    for (found, name) in [
        (found.accuracy, "accuracy"),
        (found.precision, "precision"),
        (found.recall, "recall"),
        (found.f1, "f1"),
        (found.auc, "auc_midrank"),
    ] {
        check(found.expect("a share"), expected, name, SUM);
    }
}

fn cumulative_sums(case: &Value) {
    let chart = Chart {
        allowance: number(case, "k"),
        threshold: number(case, "h"),
    };
    let values = numbers(&case["x"]);
    let states: Vec<OneSided> = values
        .iter()
        .scan(OneSided::default(), |state, x| {
            *state = state.with(*x, &chart);
            Some(*state)
        })
        .collect();
    let alarm = states.iter().position(|state| state.alarms(&chart));
    assert_eq!(
        alarm,
        case["expected"]["alarm_index"].as_u64().map(|i| i as usize)
    );
    let last = states.last().expect("values");
    check(last.sum, &case["expected"], "final_S", SUM);
}

fn many_tests(case: &Value) {
    let (p, expected) = (numbers(&case["p"]), &case["expected"]);
    let hochberg = multiplicity::benjamini_hochberg(&p);
    for (found, name) in [
        (&hochberg, "bh_adjusted"),
        (&multiplicity::benjamini_yekutieli(&p), "by_adjusted"),
        (&multiplicity::bonferroni(&p), "bonferroni"),
    ] {
        for (at, found) in found.iter().enumerate() {
            check(*found, expected, &format!("/{name}/{at}"), SUM);
        }
    }
    let rejected = hochberg.iter().filter(|p| **p <= 0.05).count();
    check(rejected as f64, expected, "bh_q05_rejected", SUM);
    let combined = multiplicity::fisher(&p);
    check(combined.statistic, expected, "/fisher_combined/stat", SUM);
    check(combined.p, expected, "/fisher_combined/p", P);
}

/// The values of another case, in whole steps.
fn merging(case: &Value, raw: &Value) {
    let of = |side: &str| {
        let steps = numbers(&raw[side])
            .into_iter()
            .map(|x| (x / STEP).round() as i64);
        steps.fold(Moments::default(), |sum, q| Moments {
            n: sum.n + 1,
            sum: sum.sum + q,
            sum_of_squares: sum.sum_of_squares + q.unsigned_abs().pow(2),
        })
    };
    let (a, b) = (of("ref"), of("cur"));
    let merged = a.merged(&b).expect("room");
    for (found, expected) in [
        (&a, &case["a"]),
        (&b, &case["b"]),
        (&merged, &case["expected_merge"]),
    ] {
        let mean = found.mean().expect("values") * STEP;
        assert!((mean - number(expected, "mean")).abs() < SUM);
        let squares = found.squared_deviations().expect("values") * STEP * STEP;
        check(squares, expected, "m2", SUM);
        assert_eq!(found.n as f64, number(expected, "n"));
    }
    let welch = moments::welch(&a, &b).expect("they vary");
    check(welch.statistic, case, "/welch_t/t", SUM);
    check(welch.p, case, "/welch_t/p", P);
}
