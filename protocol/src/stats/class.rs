//! The class of a prediction, as far as a shadow is compared with what serves.
//!
//! A number of a short list, never a value.

use crate::limits::SHADOW_CLASSES_MAX;

/// The class of what has none of its own: a label beyond the list, or no number.
pub const OTHER: u8 = SHADOW_CLASSES_MAX as u8 - 1;

/// The class of scores, one for each class: the place of the highest, the first of equal ones.
/// [`OTHER`] where one is no number, or there are too many.
#[must_use]
pub fn of_scores(scores: impl IntoIterator<Item = f32>) -> u8 {
    let mut highest = (OTHER, f32::NEG_INFINITY);
    for (place, score) in scores.into_iter().enumerate() {
        let place = u8::try_from(place).unwrap_or(OTHER);
        if score.is_nan() || place >= OTHER {
            return OTHER;
        }
        if highest.0 == OTHER || score > highest.1 {
            highest = (place, score);
        }
    }
    highest.0
}

/// The class of a label: itself, where the list has it.
#[must_use]
pub fn of_label(label: i64) -> u8 {
    let class = u8::try_from(label).unwrap_or(OTHER);
    class.min(OTHER)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_score_names_the_class() {
        let check = |scores: &[f32], expect: u8| {
            assert_eq!(of_scores(scores.iter().copied()), expect, "{scores:?}");
        };
        check(&[0.1, 0.7, 0.2], 1);
        check(&[0.5, 0.5], 0);
        check(&[f32::NEG_INFINITY, f32::NEG_INFINITY], 0);
        check(&[0.1, f32::NAN], OTHER);
        check(&[], OTHER);
        check(&[0.0; SHADOW_CLASSES_MAX], OTHER);
    }

    #[test]
    fn a_label_beyond_the_list_is_another() {
        for (label, expect) in [
            (0, 0),
            (1, 1),
            (17, 17),
            (18, OTHER),
            (-1, OTHER),
            (300, OTHER),
        ] {
            assert_eq!(of_label(label), expect, "{label}");
        }
    }
}
