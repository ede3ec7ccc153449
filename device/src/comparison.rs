//! Folding what a shadow said beside what served, on the same inputs.
//!
//! Keeps counts of pairs, never a pair, and never a value.

use muster_protocol::cbor::List;
use muster_protocol::digest::Digest;
use muster_protocol::limits::{
    DIFFERENCE_BUCKETS, LATENCY_BUCKETS, SHADOW_CELLS_MAX, SHADOW_CLASSES_MAX,
};
use muster_protocol::message::{AgreementCount, DifferenceCount, LatencyCount, Shadow};
use muster_protocol::stats::{DifferenceFold, LatencyFold};

/// How the two answers to one row lie to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pair {
    /// The classes of what serves and of the shadow, where the model has classes; see
    /// [`muster_protocol::stats::class`].
    pub classes: Option<(u8, u8)>,
    /// The bucket of the difference of their scores, where it gives scores; see
    /// [`muster_protocol::stats::difference`].
    pub difference: Option<u8>,
}

/// The open window of one shadow beside one bundle that serves.
#[derive(Debug)]
pub struct ComparisonFold {
    beside: Digest,
    served: u64,
    compared: u64,
    /// By the class that served, then by that of the shadow.
    cells: [[u32; SHADOW_CLASSES_MAX]; SHADOW_CLASSES_MAX],
    differences: DifferenceFold,
    latency: LatencyFold,
}

impl ComparisonFold {
    /// Counts from nothing, beside the bundle that serves.
    #[must_use]
    pub fn new(beside: Digest) -> Self {
        Self {
            beside,
            served: 0,
            compared: 0,
            cells: [[0; SHADOW_CLASSES_MAX]; SHADOW_CLASSES_MAX],
            differences: DifferenceFold::default(),
            latency: LatencyFold::default(),
        }
    }

    /// What serves.
    #[must_use]
    pub const fn beside(&self) -> Digest {
        self.beside
    }

    /// Whether nothing was answered, by whomever.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.served == 0 && self.compared == 0
    }

    /// Rows that what serves answered so far.
    #[must_use]
    pub const fn rows_served(&self) -> u64 {
        self.served
    }

    /// Counts rows that what serves answered, whether the shadow is asked or not.
    pub const fn served(&mut self, rows: u64) {
        self.served = self.served.saturating_add(rows);
    }

    /// Counts a request of `rows` rows that both answered; what serves took so long for it.
    pub fn compared(&mut self, rows: u32, latency_us: u32) {
        self.compared = self.compared.saturating_add(u64::from(rows));
        self.latency.fold(latency_us);
    }

    /// Counts how the answers to one of its rows lie to each other.
    pub fn pair(&mut self, pair: Pair) {
        let cell = pair.classes.and_then(|(serving, shadow)| {
            let row = self.cells.get_mut(usize::from(serving))?;
            row.get_mut(usize::from(shadow))
        });
        if let Some(count) = cell {
            *count = count.saturating_add(1);
        }
        if let Some(bucket) = pair.difference {
            self.differences.fold(bucket);
        }
    }

    /// Shows the counts as a window carries them.
    pub fn with_shadow<R>(&self, read: impl FnOnce(Shadow<'_>) -> R) -> R {
        let agreement: heapless::Vec<_, SHADOW_CELLS_MAX> = self.agreement().collect();
        let differences: heapless::Vec<_, DIFFERENCE_BUCKETS> = self
            .differences
            .iter()
            .map(|(bucket, count)| DifferenceCount { bucket, count })
            .collect();
        let latency: heapless::Vec<_, LATENCY_BUCKETS> = self
            .latency
            .iter()
            .map(|(bucket, count)| LatencyCount { bucket, count })
            .collect();
        read(Shadow {
            beside: self.beside,
            served: self.served,
            compared: self.compared,
            agreement: List::of(&agreement),
            differences: List::of(&differences),
            latency: List::of(&latency),
        })
    }

    /// Starts the next window, beside the same bundle.
    pub fn reset(&mut self) {
        *self = Self::new(self.beside);
    }

    /// Cells that are not empty, ascending.
    fn agreement(&self) -> impl Iterator<Item = AgreementCount> + '_ {
        (0..).zip(&self.cells).flat_map(|(serving, row)| {
            let cells = (0..).zip(row).filter(|(_, count)| **count > 0);
            cells.map(move |(shadow, count)| AgreementCount {
                serving,
                shadow,
                count: *count,
            })
        })
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use muster_protocol::stats::class::OTHER;
    use muster_protocol::stats::difference::BEYOND;
    use std::vec::Vec;

    const BESIDE: Digest = Digest([7; 32]);

    /// Cells and buckets of these pairs, each of a row of its own.
    fn check(pairs: &[Pair], cells: &[(u8, u8, u32)], buckets: &[(u8, u32)]) {
        let mut fold = ComparisonFold::new(BESIDE);
        fold.served(2 * pairs.len() as u64);
        for pair in pairs {
            fold.compared(1, 100);
            fold.pair(*pair);
        }
        let n = pairs.len() as u64;
        fold.with_shadow(|shadow| {
            let got: Vec<_> = shadow.agreement.iter().collect();
            let got: Vec<_> = got.iter().map(|c| (c.serving, c.shadow, c.count)).collect();
            assert_eq!(got, cells, "{pairs:?}");
            let got: Vec<_> = shadow.differences.iter().collect();
            let got: Vec<_> = got.iter().map(|d| (d.bucket, d.count)).collect();
            assert_eq!(got, buckets, "{pairs:?}");
            assert_eq!(
                (shadow.beside, shadow.served, shadow.compared),
                (BESIDE, 2 * n, n)
            );
            let requests: u64 = shadow.latency.iter().map(|l| u64::from(l.count)).sum();
            assert_eq!(requests, n);
        });
        fold.reset();
        assert!(fold.is_empty() && fold.beside() == BESIDE);
        fold.with_shadow(|shadow| assert!(shadow.agreement.is_empty()));
    }

    fn pair(classes: impl Into<Option<(u8, u8)>>, difference: impl Into<Option<u8>>) -> Pair {
        Pair {
            classes: classes.into(),
            difference: difference.into(),
        }
    }

    #[test]
    fn pairs_are_counted_by_class_and_by_difference() {
        check(&[], &[], &[]);
        check(&[pair((3, 3), 0), pair((3, 3), 0)], &[(3, 3, 2)], &[(0, 2)]);
        check(
            &[pair((1, 0), 9), pair((0, 1), 5), pair((0, 0), 0)],
            &[(0, 0, 1), (0, 1, 1), (1, 0, 1)],
            &[(0, 1), (5, 1), (9, 1)],
        );
        check(
            &[pair((OTHER, OTHER), BEYOND), pair((2, OTHER), BEYOND)],
            &[(2, OTHER, 1), (OTHER, OTHER, 1)],
            &[(BEYOND, 2)],
        );
    }

    #[test]
    fn what_has_no_class_and_no_score_is_only_compared() {
        check(&[pair(None, None), pair(None, None)], &[], &[]);
        check(&[pair((4, 4), None)], &[(4, 4, 1)], &[]);
        check(&[pair(None, 1)], &[], &[(1, 1)]);
        check(&[pair((OTHER + 1, 0), BEYOND + 1)], &[], &[]);
    }

    #[test]
    fn rows_that_nobody_compares_are_still_served() {
        let mut fold = ComparisonFold::new(BESIDE);
        assert!(fold.is_empty());
        fold.served(5);
        assert!(!fold.is_empty());
        assert_eq!(fold.rows_served(), 5);
    }
}
