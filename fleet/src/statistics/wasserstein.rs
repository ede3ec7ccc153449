//! Wasserstein's distance W₁ (the earth mover's): how far mass has to be carried, in the unit of
//! the values.
//!
//! Where values lie inside a bin is unknown; what is assumed is said. Never a probability.

use muster_protocol::stats::comparison::Cell;

use super::two_sample::{share, totals};

/// W₁ of two samples over bins between ascending `edges`, one bin more than edges.
///
/// Values are taken as uniform inside a bin, and those of the two open bins as lying on the edge:
/// it is the distance of what is clipped to the edges, and says nothing of how far tails go.
/// None when a sample is empty, or bins and edges do not fit.
#[must_use]
pub fn between_edges(edges: &[f64], cells: &[Cell]) -> Option<f64> {
    let ascend = edges.windows(2).all(|pair| pair[0] < pair[1]);
    let finite = edges.iter().all(|edge| edge.is_finite());
    if edges.is_empty() || cells.len() != edges.len() + 1 || !ascend || !finite {
        return None;
    }
    let gaps = gaps(cells)?;
    let widths = edges.windows(2).map(|pair| pair[1] - pair[0]);
    let ends = gaps.windows(2);
    Some(
        widths
            .zip(ends)
            .map(|(w, g)| w * mean_size(g[0], g[1]))
            .sum(),
    )
}

/// W₁ of two samples of values that are known: cell `i` counts values of `points[i]`, ascending
/// (Vallender 1974). None when a sample is empty, or points and cells do not fit.
#[must_use]
pub fn between_points(points: &[f64], cells: &[Cell]) -> Option<f64> {
    let ascend = points.windows(2).all(|pair| pair[0] < pair[1]);
    let finite = points.iter().all(|point| point.is_finite());
    if cells.len() != points.len() || !ascend || !finite {
        return None;
    }
    let gaps = gaps(cells)?;
    let steps = points.windows(2).map(|pair| pair[1] - pair[0]);
    Some(steps.zip(gaps).map(|(step, gap)| step * gap.abs()).sum())
}

/// After each cell but the last, by how much the shares up to there differ.
fn gaps(cells: &[Cell]) -> Option<Vec<f64>> {
    let (m, n) = totals(cells);
    if m == 0 || n == 0 {
        return None;
    }
    let inner = cells.iter().take(cells.len().saturating_sub(1));
    let mut gap = 0.0;
    let gaps = inner.map(|cell| {
        gap += share(cell.observed, n) - share(cell.reference, m);
        gap
    });
    Some(gaps.collect())
}

/// The mean of |x| while x goes straight from `from` to `to`.
fn mean_size(from: f64, to: f64) -> f64 {
    if from * to >= 0.0 {
        return 0.5 * (from + to).abs();
    }
    0.5 * (from * from + to * to) / (from.abs() + to.abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cells(pairs: &[(u64, u64)]) -> Vec<Cell> {
        let cells = pairs.iter().map(|&(reference, observed)| Cell {
            reference,
            observed,
        });
        cells.collect()
    }

    #[test]
    fn mass_is_carried_as_far_as_it_goes() {
        for (edges, pairs, expect) in [
            // From the middle of one bin to the middle of the next.
            (
                &[0.0, 1.0, 2.0][..],
                &[(0, 0), (5, 0), (0, 5), (0, 0)][..],
                1.0,
            ),
            // From one open bin to the other: from edge to edge.
            (&[0.0, 1.0, 3.0], &[(5, 0), (0, 0), (0, 0), (0, 5)], 3.0),
            (&[0.0, 1.0, 3.0], &[(1, 10), (2, 20), (3, 30), (4, 40)], 0.0),
            // One bin spread over two.
            (
                &[0.0, 2.0, 4.0, 6.0],
                &[(0, 0), (0, 5), (10, 0), (0, 5), (0, 0)],
                1.5,
            ),
        ] {
            let found = between_edges(edges, &cells(pairs)).expect("they fit");
            assert!((found - expect).abs() < 1e-12, "{pairs:?}: {found}");
        }
    }

    #[test]
    fn what_does_not_fit_has_no_distance() {
        for (edges, pairs) in [
            (&[][..], &[(1, 1)][..]),
            (&[0.0], &[(1, 1)]),
            (&[1.0, 0.0], &[(1, 1), (1, 1), (1, 1)]),
            (&[0.0, f64::NAN], &[(1, 1), (1, 1), (1, 1)]),
            (&[0.0], &[(0, 1), (0, 1)]),
        ] {
            assert_eq!(between_edges(edges, &cells(pairs)), None, "{pairs:?}");
        }
        assert_eq!(between_points(&[0.0], &cells(&[(1, 1), (1, 1)])), None);
        assert_eq!(between_points(&[], &[]), None);
    }
}
