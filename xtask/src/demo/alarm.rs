//! An alarm is several rows in a row above the threshold of the version that answered.
//! Never falls silent by itself, so that nobody misses it.

/// What the scores of one machine have amounted to.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Alarm {
    sustained_rows: usize,
    above: usize,
    /// First row of the first sustained run above the threshold.
    pub(super) first_row: Option<usize>,
}

impl Alarm {
    /// An alarm that needs so many rows in a row.
    pub(super) fn new(sustained_rows: usize) -> Self {
        Self {
            sustained_rows,
            above: 0,
            first_row: None,
        }
    }

    /// Takes the score of a row; without a threshold nothing is above.
    pub(super) fn hear(&mut self, row: usize, score: f64, threshold: Option<f64>) {
        let above = threshold.is_some_and(|threshold| score > threshold);
        self.above = if above { self.above + 1 } else { 0 };
        if above && self.above == self.sustained_rows && self.first_row.is_none() {
            self.first_row = Some((row + 1).saturating_sub(self.sustained_rows));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(scores: &[f64], threshold: Option<f64>, expect: Option<usize>) {
        let mut alarm = Alarm::new(3);
        for (row, &score) in scores.iter().enumerate() {
            alarm.hear(row, score, threshold);
        }
        assert_eq!(alarm.first_row, expect, "{scores:?}");
    }

    #[test]
    fn it_takes_rows_in_a_row() {
        check(&[0.0, 2.0, 2.0, 2.0, 0.0], Some(1.0), Some(1));
        check(&[2.0, 2.0, 0.0, 2.0, 2.0], Some(1.0), None);
        check(&[1.0, 1.0, 1.0], Some(1.0), None);
        check(&[2.0, 2.0, 2.0, 2.0], Some(1.0), Some(0));
        check(&[2.0, 2.0, 2.0], None, None);
        check(&[f64::NAN; 4], Some(1.0), None);
    }
}
