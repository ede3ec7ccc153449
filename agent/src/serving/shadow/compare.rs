//! How what a shadow said lies to what served: classes of the first output, differences of the
//! first one of floats.
//!
//! Pure. Never keeps a value: what goes out are numbers of short lists.

use crate::tensor::Tensor;
use muster_device::comparison::Pair;
use muster_protocol::limits::BINS_MAX;
use muster_protocol::stats::difference::BEYOND;
use muster_protocol::stats::{FeatureFold, class, difference};

/// Pairs of classes and differences of all rows; each row has one of each, where the model has
/// them, and no pair where neither answer is of a class in the list. `bins` count the first element of the first output.
///
/// Rows whose answers have another form or datatype are of [`class::OTHER`] to the shadow, and
/// [`BEYOND`] each other.
pub(super) fn pairs(served: &[Tensor], shadow: &[Tensor], bins: Option<&FeatureFold>) -> Vec<Pair> {
    let classes = classes(served, shadow, bins).into_iter().map(|pair| Pair {
        classes: Some(pair),
        difference: None,
    });
    let differences = differences(served, shadow).into_iter().map(|bucket| Pair {
        classes: None,
        difference: Some(bucket),
    });
    classes.chain(differences).collect()
}

fn classes(served: &[Tensor], shadow: &[Tensor], bins: Option<&FeatureFold>) -> Vec<(u8, u8)> {
    let (Some(one), other) = (served.first(), shadow.first()) else {
        return Vec::new();
    };
    let served = classes_of(one, bins);
    let mut pairs: Vec<_> = match other.filter(|other| are_alike(one, other)) {
        Some(other) => served.into_iter().zip(classes_of(other, bins)).collect(),
        None => served.into_iter().map(|c| (c, class::OTHER)).collect(),
    };
    // Whether two answers that no list has are the same, nobody can say.
    pairs.retain(|pair| *pair != (class::OTHER, class::OTHER));
    pairs
}

/// The class of each row; none where the model has no classes that can be listed.
fn classes_of(tensor: &Tensor, bins: Option<&FeatureFold>) -> Vec<u8> {
    let datatype = tensor.datatype();
    match (row_len(tensor), bins) {
        (2..=BINS_MAX, _) if datatype.is_float() => rows(tensor).map(class::of_scores).collect(),
        (1, Some(bins)) if datatype.is_float() => tensor
            .to_f32()
            .map(|value| bins.bin_of(value).map_or(class::OTHER, label))
            .collect(),
        (1, _) if !datatype.is_float() => {
            let elements = tensor.data().chunks_exact(datatype.size());
            let labels = elements.map(|bytes| i64::try_from(datatype.read_int(bytes)));
            labels
                .map(|label| label.map_or(class::OTHER, class::of_label))
                .collect()
        }
        _ => Vec::new(),
    }
}

fn label(bin: usize) -> u8 {
    class::of_label(i64::try_from(bin).unwrap_or(i64::MAX))
}

/// The bucket of the largest difference of each row.
fn differences(served: &[Tensor], shadow: &[Tensor]) -> Vec<u8> {
    let mut numbered = served.iter().enumerate();
    let Some((n, one)) = numbered.find(|(_, tensor)| tensor.datatype().is_float()) else {
        return Vec::new();
    };
    let firsts = served.first().zip(shadow.first());
    let comparable = firsts.is_some_and(|(one, other)| are_alike(one, other));
    let other = shadow
        .get(n)
        .filter(|other| comparable && are_alike(one, other));
    match other {
        Some(other) => rows(one)
            .zip(rows(other))
            .map(|(one, other)| largest(one, other))
            .collect(),
        None => rows(one).map(|_| BEYOND).collect(),
    }
}

/// Buckets ascend with the difference.
fn largest(one: Vec<f32>, other: Vec<f32>) -> u8 {
    let pairs = one.into_iter().zip(other);
    let buckets = pairs.map(|(one, other)| difference::bucket(one, other));
    buckets.max().unwrap_or(0)
}

fn are_alike(one: &Tensor, other: &Tensor) -> bool {
    (one.datatype(), one.shape()) == (other.datatype(), other.shape())
}

/// Elements of one row; the first dimension counts rows, and a scalar is one.
fn row_len(tensor: &Tensor) -> usize {
    let rows = tensor.shape().first().copied().unwrap_or(1).max(1);
    tensor.elements() / rows
}

fn rows(tensor: &Tensor) -> impl Iterator<Item = Vec<f32>> + '_ {
    let mut values = tensor.to_f32();
    let len = row_len(tensor);
    let count = tensor.elements().checked_div(len).unwrap_or(0);
    (0..count).map(move |_| values.by_ref().take(len).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::Datatype;
    use class::OTHER;
    use muster_protocol::stats::{Scale, Transform};

    fn floats(shape: &[usize], values: &[f32]) -> Tensor {
        Tensor::from_f32("y", shape.to_vec(), values).expect("valid")
    }

    fn labels(shape: &[usize], values: &[i64]) -> Tensor {
        Tensor::from_i64("label", shape.to_vec(), values).expect("valid")
    }

    fn bytes(datatype: Datatype, values: &[u8]) -> Tensor {
        Tensor::new("b", datatype, vec![values.len()], values.to_vec()).expect("valid")
    }

    fn bins() -> FeatureFold {
        let scale = Scale::new([0.0, 1.0], Transform::Identity, 0.0, 1.0);
        FeatureFold::new(scale.expect("valid"))
    }

    fn check(
        served: &[Tensor],
        shadow: &[Tensor],
        bins: Option<&FeatureFold>,
        classes: &[(u8, u8)],
        differences: &[u8],
    ) {
        let got = pairs(served, shadow, bins);
        let got_classes: Vec<_> = got.iter().filter_map(|pair| pair.classes).collect();
        let got_differences: Vec<_> = got.iter().filter_map(|pair| pair.difference).collect();
        assert_eq!(got_classes, classes, "{served:?} {shadow:?}");
        assert_eq!(got_differences, differences, "{served:?} {shadow:?}");
    }

    #[test]
    fn scores_are_compared_by_the_highest_and_the_largest_difference() {
        let one = floats(&[2, 3], &[0.1, 0.7, 0.2, 0.5, 0.4, 0.1]);
        let other = floats(&[2, 3], &[0.1, 0.7, 0.2, 0.25, 0.65, 0.1]);
        let same = std::slice::from_ref(&one);
        check(same, &[other], None, &[(1, 1), (0, 1)], &[0, 20]);
        let broken = floats(&[2, 3], &[0.1, f32::NAN, 0.2, 0.5, 0.4, 0.1]);
        check(same, &[broken], None, &[(1, OTHER), (0, 0)], &[BEYOND, 0]);
    }

    #[test]
    fn labels_are_compared_and_scores_behind_them_too() {
        let served = [
            labels(&[2], &[3, 40]),
            floats(&[2, 2], &[1.0, 0.0, 0.0, 1.0]),
        ];
        let shadow = [
            labels(&[2], &[3, -1]),
            floats(&[2, 2], &[1.0, 0.5, 0.0, 1.0]),
        ];
        check(&served, &shadow, None, &[(3, 3)], &[21, 0]);
        let column = [labels(&[2, 1], &[0, 1])];
        check(&column, &column, None, &[(0, 0), (1, 1)], &[]);
        let truth = [bytes(Datatype::Bool, &[1, 0])];
        check(&truth, &truth, None, &[(1, 1), (0, 0)], &[]);
        let huge = [Tensor::new("u", Datatype::U64, vec![1], vec![255; 8]).expect("valid")];
        check(&huge, &huge, None, &[], &[]);
    }

    #[test]
    fn one_number_a_row_has_the_class_of_its_bin() {
        let served = [floats(&[3], &[-1.0, 0.5, 2.0])];
        let shadow = [floats(&[3], &[-1.0, 1.5, f32::INFINITY])];
        let classes = [(0, 0), (1, 2), (2, OTHER)];
        check(&served, &shadow, Some(&bins()), &classes, &[0, 22, BEYOND]);
        check(&served, &shadow, None, &[], &[0, 22, BEYOND]);
    }

    #[test]
    fn what_cannot_be_paired_disagrees() {
        let served = [floats(&[1, 2], &[0.2, 0.8])];
        check(&served, &[], None, &[(1, OTHER)], &[BEYOND]);
        let wider = [floats(&[1, 3], &[0.2, 0.8, 0.0])];
        check(&served, &wider, None, &[(1, OTHER)], &[BEYOND]);
        check(
            &served,
            &[labels(&[1, 2], &[0, 1])],
            None,
            &[(1, OTHER)],
            &[BEYOND],
        );
        let behind = [labels(&[1], &[2]), floats(&[1], &[0.5])];
        check(&behind, &[labels(&[1], &[2])], None, &[(2, 2)], &[BEYOND]);
        check(
            &behind,
            &[labels(&[2], &[2, 2])],
            None,
            &[(2, OTHER)],
            &[BEYOND],
        );
    }

    #[test]
    fn what_has_no_classes_is_compared_by_differences_alone() {
        let image = [floats(&[1, 20], &[0.0; 20])];
        check(&image, &image, None, &[], &[0]);
        let boxes = [labels(&[1, 4], &[1, 2, 3, 4])];
        check(&boxes, &boxes, None, &[], &[]);
        let nothing = [floats(&[0, 4], &[])];
        check(&nothing, &nothing, None, &[], &[]);
        check(&[], &[], None, &[], &[]);
    }
}
