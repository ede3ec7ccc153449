//! How many values of each block lie beyond all other blocks of the reference.
//!
//! Tails that a block helped to place say little of what the next one does: of a slow process
//! nearly all that will ever be out of range lies in blocks that the reference does not have. So
//! each block is counted against the tails of the others.

use muster_protocol::stats::Scale;
use muster_protocol::stats::feature::STEPS_PER_SIGMA;

use super::super::quantile::TAIL;

/// A finite value and its block.
#[derive(Clone, Copy)]
struct Placed {
    value: f32,
    block: usize,
}

/// Of each block of `rows` rows, the values that lie in the tails of the others, or that are a
/// category of none of them.
pub(super) fn beyond_others(column: &[f32], rows: usize, scale: &Scale) -> Vec<u64> {
    let mut sorted: Vec<Placed> = Vec::new();
    for (block, values) in column.chunks_exact(rows).enumerate() {
        let finite = values.iter().filter(|value| value.is_finite());
        sorted.extend(finite.map(|value| Placed {
            value: *value + 0.0,
            block,
        }));
    }
    sorted.sort_by(|one, other| one.value.total_cmp(&other.value));
    let blocks = column.len() / rows;
    if scale.range().is_none() {
        return of_categories(&sorted, blocks, scale);
    }
    let mut counts = vec![0; blocks];
    sorted.iter().for_each(|placed| counts[placed.block] += 1);
    let blocks = counts.iter().enumerate();
    let beyond = blocks.map(|(block, count)| in_tails(&sorted, block, sorted.len() - count));
    beyond.collect()
}

/// The share of values that would be out of range if all moved by `distance` standard deviations,
/// up or down: as many as a block may have whose mean lies as far off as it may by chance.
pub(super) fn share_when_moved(column: &[f32], scale: &Scale, distance: f64) -> f64 {
    let Some((low, high)) = scale.range() else {
        return 0.0;
    };
    let standard = |x: f32| f64::from(scale.step(x)) / f64::from(STEPS_PER_SIGMA);
    let (low, high) = (standard(low), standard(high));
    let (mut values, mut up, mut down) = (0, 0, 0);
    for x in column.iter().filter(|x| x.is_finite()) {
        let x = standard(*x);
        values += 1;
        up += u32::from(x + distance > high);
        down += u32::from(x - distance < low);
    }
    f64::from(up.max(down)) / f64::from(values.max(1))
}

fn in_tails(sorted: &[Placed], block: usize, others_count: usize) -> u64 {
    let is_mine = |placed: &&Placed| placed.block == block;
    let others = || sorted.iter().filter(|placed| placed.block != block);
    let Some(last) = others_count.checked_sub(1) else {
        return 0;
    };
    let place = TAIL * last as f64;
    let low = order_statistic(others(), place);
    let high = order_statistic(others().rev(), place);
    let below = sorted.iter().take_while(|placed| placed.value < low);
    let above = sorted.iter().rev().take_while(|placed| placed.value > high);
    (below.filter(is_mine).count() + above.filter(is_mine).count()) as u64
}

/// The value at a place between two of them, as the builder's quantiles are.
fn order_statistic<'a>(mut values: impl Iterator<Item = &'a Placed>, place: f64) -> f32 {
    let first = values.nth(place.floor() as usize);
    let first = first.map_or(0.0, |placed| f64::from(placed.value));
    let second = values
        .next()
        .map_or(first, |placed| f64::from(placed.value));
    (first + (second - first) * place.fract()) as f32
}

fn of_categories(sorted: &[Placed], blocks: usize, scale: &Scale) -> Vec<u64> {
    let mut beyond = vec![0; blocks];
    for equal in sorted.chunk_by(|one, other| one.value == other.value) {
        let is_alone = equal.iter().all(|placed| placed.block == equal[0].block);
        if is_alone || scale.is_outside(scale.bin(equal[0].value)) {
            equal.iter().for_each(|placed| beyond[placed.block] += 1);
        }
    }
    beyond
}

#[cfg(test)]
mod tests {
    use muster_protocol::stats::Transform;

    use super::*;

    #[test]
    fn a_block_is_counted_against_the_others() {
        let scale = Scale::new([0.0], Transform::Identity, 0.0, 1.0).expect("valid");
        let check = |column: &[f32], expect: &[u64]| {
            assert_eq!(beyond_others(column, 3, &scale), expect, "{column:?}");
        };
        // Least and largest of equal ones lie beyond the quantiles between them.
        check(&[1.0, 2.0, 3.0, 1.0, 2.0, 3.0], &[2, 2]);
        check(&[1.0, 2.0, 3.0, 0.0, 4.0, 5.0, 0.0, 2.0, 4.0], &[0, 3, 1]);
        // What is absent is nowhere, and rows that make no block are not looked at.
        check(&[1.0, 2.0, 3.0, f32::NAN, f32::NAN, 9.0, 70.0], &[3, 1]);
        check(&[1.0, 2.0, 3.0], &[0]);
        check(&[f32::NAN; 6], &[0, 0]);
    }

    #[test]
    fn a_block_that_moves_leaves_the_range() {
        let edges = [-2.0, 0.0, 2.0];
        let scale = Scale::new(edges, Transform::Identity, 0.0, 1.0).expect("valid");
        let column = [-1.5, -0.5, f32::NAN, 0.5, 1.0];
        for (distance, expect) in [
            (0.0, 0.0),
            (0.75, 0.25),
            (1.25, 0.25),
            (2.0, 0.5),
            (9.0, 1.0),
        ] {
            let share = share_when_moved(&column, &scale, distance);
            assert_eq!(share, expect, "{distance}");
        }
        assert_eq!(share_when_moved(&[f32::NAN], &scale, 9.0), 0.0);
    }

    #[test]
    fn a_category_that_one_block_has_is_beyond_the_others() {
        let scale = Scale::of_categories([0.0, 1.0, 2.0], 0.0, 1.0).expect("valid");
        let column = [0.0, 1.0, -0.0, 2.0, 2.0, 0.0, 7.0, 1.0, 7.0];
        assert_eq!(beyond_others(&column, 3, &scale), [0, 2, 2]);
    }
}
