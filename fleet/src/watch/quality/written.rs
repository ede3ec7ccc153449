//! Sums of a slot as they are written down: what figures are made of, and no more.

use serde::{Deserialize, Deserializer, Serialize as _, Serializer};

use crate::quality::ScoreSums;

/// Bins, steps, squares, positive and negative, each without the zeros at its end.
type Written = [Vec<u64>; 5];

/// What is written down of these sums: what was read again is what was written.
pub(super) fn kept(sums: &ScoreSums) -> ScoreSums {
    ScoreSums {
        bins: sums.bins,
        steps: sums.steps,
        squares: sums.squares,
        positive: sums.positive,
        negative: sums.negative,
        ..ScoreSums::default()
    }
}

pub(super) fn serialize<S: Serializer>(sums: &ScoreSums, to: S) -> Result<S::Ok, S::Error> {
    let lists = [
        &sums.bins,
        &sums.steps,
        &sums.squares,
        &sums.positive,
        &sums.negative,
    ];
    let short = |list: &[u64]| {
        let len = list.iter().rposition(|n| *n > 0).map_or(0, |last| last + 1);
        list[..len].to_vec()
    };
    lists.map(|list| short(list)).serialize(to)
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<ScoreSums, D::Error> {
    let written = Written::deserialize(from)?;
    let mut sums = ScoreSums::default();
    let into = [
        &mut sums.bins,
        &mut sums.steps,
        &mut sums.squares,
        &mut sums.positive,
        &mut sums.negative,
    ];
    for (into, from) in into.into_iter().zip(written) {
        into.iter_mut()
            .zip(from)
            .for_each(|(into, from)| *into = from);
    }
    Ok(sums)
}
