//! Whether outputs equal the expected ones, within a tolerance.
//!
//! Never forgives a NaN that is not expected, nor an integer because it is large.

use crate::tensor::Tensor;

/// `|got - expected| <= atol + rtol * |expected|` for floats; integers may differ by `atol` only
/// (a label of 1000 is not "nearly" 1001).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tolerance {
    /// Relative part.
    pub rtol: f64,
    /// Absolute part.
    pub atol: f64,
}

/// The first difference that counts.
#[derive(Clone, Debug, PartialEq)]
pub enum Difference {
    /// Names, datatypes or shapes differ.
    Form(String),
    /// An element differs by more than its tolerance.
    Value {
        /// Name of the output.
        output: String,
        /// Position, row-major.
        element: usize,
        /// What was expected.
        expected: f64,
        /// What came.
        got: f64,
    },
}

/// Looks for every expected output among the outputs by name; outputs that nobody expects pass.
pub fn compare(
    expected: &[Tensor],
    got: &[Tensor],
    tolerance: Tolerance,
) -> Result<(), Difference> {
    expected.iter().try_for_each(|expected| {
        let found = got.iter().find(|tensor| tensor.name() == expected.name());
        let missing = || Difference::Form(format!("there is no output {:?}", expected.name()));
        compare_one(expected, found.ok_or_else(missing)?, tolerance)
    })
}

/// The largest difference of any element; `None` if names, datatypes or shapes differ. A NaN that
/// is not expected, or is missing, is infinitely far off.
pub fn worst_difference(expected: &[Tensor], got: &[Tensor]) -> Option<f64> {
    expected.iter().try_fold(0.0, |worst: f64, expected| {
        let found = got.iter().find(|tensor| tensor.name() == expected.name())?;
        check_form(expected, found).ok()?;
        let pairs = expected.to_f64().zip(found.to_f64());
        let differences = pairs.map(|(e, g)| match (e == g, e.is_nan(), g.is_nan()) {
            (true, ..) | (_, true, true) => 0.0,
            (_, true, false) | (_, false, true) => f64::INFINITY,
            (false, false, false) => (e - g).abs(),
        });
        Some(differences.fold(worst, f64::max))
    })
}

fn compare_one(expected: &Tensor, got: &Tensor, tolerance: Tolerance) -> Result<(), Difference> {
    check_form(expected, got)?;
    let size = expected.datatype().size();
    let pairs = expected
        .data()
        .chunks_exact(size)
        .zip(got.data().chunks_exact(size));
    for (element, (e, g)) in pairs.enumerate() {
        if !element_fits(expected, e, g, tolerance) {
            return Err(Difference::Value {
                output: expected.name().into(),
                element,
                expected: expected.datatype().read_f64(e),
                got: expected.datatype().read_f64(g),
            });
        }
    }
    Ok(())
}

fn check_form(expected: &Tensor, got: &Tensor) -> Result<(), Difference> {
    let form = |tensor: &Tensor| format!("{} {:?}", tensor.datatype(), tensor.shape());
    if form(expected) == form(got) {
        return Ok(());
    }
    let name = expected.name();
    let (expected, got) = (form(expected), form(got));
    Err(Difference::Form(format!(
        "output {name:?}: expected {expected}, got {got}"
    )))
}

fn element_fits(tensor: &Tensor, expected: &[u8], got: &[u8], tolerance: Tolerance) -> bool {
    let datatype = tensor.datatype();
    if !datatype.is_float() {
        let difference = datatype.read_int(expected).abs_diff(datatype.read_int(got));
        return difference == 0 || difference as f64 <= tolerance.atol;
    }
    let (expected, got) = (datatype.read_f64(expected), datatype.read_f64(got));
    let same = expected == got || (expected.is_nan() && got.is_nan());
    let bound = tolerance.atol + tolerance.rtol * expected.abs();
    same || (expected.is_finite() && (got - expected).abs() <= bound)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_count_or_do_not() {
        fn check(expected: f32, got: f32, fits: bool) {
            let tensor = |value| vec![Tensor::from_f32("y", vec![1], &[value]).expect("valid")];
            let tolerance = Tolerance {
                rtol: 1e-3,
                atol: 1e-4,
            };
            let result = compare(&tensor(expected), &tensor(got), tolerance);
            assert_eq!(result.is_ok(), fits, "{expected} {got} {result:?}");
        }
        check(1.0, 1.001, true);
        check(1.0, 1.002, false);
        check(0.0, 0.00009, true);
        check(0.0, 0.0002, false);
        check(f32::NAN, f32::NAN, true);
        check(1.0, f32::NAN, false);
        check(f32::NAN, 1.0, false);
        check(f32::INFINITY, f32::INFINITY, true);
        check(f32::INFINITY, 1.0, false);
        check(1.0, f32::INFINITY, false);
        check(f32::INFINITY, f32::NEG_INFINITY, false);
    }

    #[test]
    fn the_worst_difference_is_a_number_or_the_form_differs() {
        let tensor = |values: &[f32]| {
            vec![Tensor::from_f32("y", vec![values.len()], values).expect("valid")]
        };
        let check = |expected: &[f32], got: &[f32], worst: Option<f64>| {
            let found = worst_difference(&tensor(expected), &tensor(got));
            assert_eq!(found, worst, "{expected:?} {got:?}");
        };
        check(&[1.0, 2.0], &[1.5, 2.0], Some(0.5));
        check(
            &[f32::NAN, f32::INFINITY],
            &[f32::NAN, f32::INFINITY],
            Some(0.0),
        );
        check(&[1.0], &[f32::NAN], Some(f64::INFINITY));
        check(&[f32::NAN], &[1.0], Some(f64::INFINITY));
        check(&[1.0], &[1.0, 1.0], None);
    }

    #[test]
    fn labels_are_exact() {
        let tensor = |value| vec![Tensor::from_i64("y", vec![1], &[value]).expect("valid")];
        let tolerance = Tolerance {
            rtol: 1e-3,
            atol: 1e-4,
        };
        assert!(compare(&tensor(10_000), &tensor(10_000), tolerance).is_ok());
        assert!(compare(&tensor(10_000), &tensor(10_001), tolerance).is_err());
    }
}
