//! Predictions against what another runtime has answered.
//! Counts every number; never leaves one out because it is missing or not a number.

/// Tolerance of the project's golden vectors: relative, and absolute near zero.
const RELATIVE: f64 = 1e-3;
const ABSOLUTE: f64 = 1e-4;

/// What comparing has found so far.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Comparison {
    /// Numbers compared.
    pub(super) numbers: usize,
    /// Those outside the tolerance.
    pub(super) wrong: usize,
    /// Largest difference as a share of the tolerance.
    pub(super) worst: f64,
    /// Largest difference within the tolerance; of numbers above 1, as a share of them.
    pub(super) largest: f64,
    /// The first number outside, for people.
    pub(super) first_wrong: Option<String>,
}

impl Comparison {
    /// Compares one row of one output.
    pub(super) fn row(&mut self, what: &str, got: &[f64], expect: &[f64]) {
        if got.len() != expect.len() {
            self.miss(format!(
                "{what}: {} numbers, not {}",
                got.len(),
                expect.len()
            ));
        }
        for (got, expect) in got.iter().zip(expect) {
            self.numbers += 1;
            let difference = (got - expect).abs();
            let share = difference / (ABSOLUTE + RELATIVE * expect.abs());
            if share <= 1.0 {
                self.worst = self.worst.max(share);
                self.largest = self.largest.max(difference / expect.abs().max(1.0));
            } else {
                self.miss(format!("{what}: {got}, not {expect}"));
            }
        }
    }

    /// Counts something that is wrong or missing.
    pub(super) fn miss(&mut self, what: String) {
        self.wrong += 1;
        self.first_wrong.get_or_insert(what);
    }

    /// Adds what was found elsewhere.
    pub(super) fn merge(&mut self, other: Self) {
        self.numbers += other.numbers;
        self.wrong += other.wrong;
        self.worst = self.worst.max(other.worst);
        self.largest = self.largest.max(other.largest);
        self.first_wrong = self.first_wrong.take().or(other.first_wrong);
    }

    /// Whether something was compared and nothing was wrong.
    pub(super) fn is_equal(&self) -> bool {
        self.numbers > 0 && self.wrong == 0
    }

    /// In words.
    pub(super) fn words(&self) -> String {
        let numbers = self.numbers;
        match &self.first_wrong {
            None => format!(
                "{numbers} numbers, the worst at {:.1} % of the tolerance",
                self.worst * 100.0
            ),
            Some(first) => format!("{} of {numbers} numbers differ, first {first}", self.wrong),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(got: &[f64], expect: &[f64], is_equal: bool) {
        let mut comparison = Comparison::default();
        comparison.row("a", got, expect);
        assert_eq!(comparison.is_equal(), is_equal, "{got:?} and {expect:?}");
        assert_eq!(comparison.first_wrong.is_none(), comparison.wrong == 0);
    }

    #[test]
    fn a_thousandth_is_tolerated() {
        check(&[1_000.9], &[1_000.0], true);
        check(&[1_001.2], &[1_000.0], false);
        check(&[-1_000.9], &[-1_000.0], true);
        check(&[0.000_05], &[0.0], true);
        check(&[0.000_2], &[0.0], false);
        check(&[f64::NAN], &[0.0], false);
        check(&[0.0], &[f64::NAN], false);
        check(&[f64::INFINITY], &[f64::INFINITY], false);
        check(&[1.0], &[1.0, 1.0], false);
        check(&[], &[], false);
    }

    #[test]
    fn what_is_wrong_anywhere_is_wrong() {
        let mut all = Comparison::default();
        all.row("a", &[1.0], &[1.0]);
        let mut other = Comparison::default();
        other.row("b", &[2.0], &[1.0]);
        all.merge(other);
        assert!(!all.is_equal());
        assert_eq!(all.words(), "1 of 2 numbers differ, first b: 2, not 1");
    }
}
