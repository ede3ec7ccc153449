//! One device against the others at the same time: what moves all of them is not its own.
//!
//! Robust: up to half of the others may be anywhere. Never a mean.

/// A median varies by √(π/2) of what a mean does.
const OF_MEDIAN: f64 = std::f64::consts::FRAC_PI_2;
/// The median distance from the median of normal values, in their standard deviation.
const OF_DISTANCE: f64 = 1.482_602_218_505_602;
/// Fewer others say nothing.
pub(super) const PEERS_MIN: usize = 3;

/// How far `own` is from the median of `others`, in units that are at least those of `own` (in which
/// it has variance 1 over time), and larger where the others differ among each other by more. None with
/// too few others. What is not a number is left out.
pub(super) fn apart(own: f64, others: &[f64]) -> Option<f64> {
    let mut known: Vec<f64> = others.iter().copied().filter(|x| x.is_finite()).collect();
    if known.len() < PEERS_MIN || !own.is_finite() {
        return None;
    }
    let count = known.len() as f64;
    let centre = median(&mut known);
    known.iter_mut().for_each(|x| *x = (*x - centre).abs());
    let scale = f64::max(1.0, OF_DISTANCE * median(&mut known));
    Some((own - centre) / (scale * (1.0 + OF_MEDIAN / count).sqrt()))
}

/// The median, of some.
pub(super) fn median(values: &mut [f64]) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values {
        [] => f64::NAN,
        _ if values.len() % 2 == 1 => values[middle],
        _ => 0.5 * (values[middle - 1] + values[middle]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weather_is_nobodys_own() {
        let others = [4.8, 5.1, 5.0, 5.2, 4.9];
        let check = |own: f64, low: f64, high: f64| {
            let found = apart(own, &others).expect("enough");
            assert!((low..high).contains(&found), "{own}: {found}");
        };
        check(5.3, 0.2, 0.3);
        check(-5.0, -9.0, -8.0);
        // One that is broken as well changes nothing.
        assert_eq!(
            apart(9.0, &[5.0, 5.0, 5.0, 5.0]),
            apart(9.0, &[5.0, 5.0, 5.0, 1e9])
        );
        assert_eq!(apart(1.0, &[1.0, f64::NAN, 2.0]), None);
        assert_eq!(apart(f64::NAN, &others), None);
    }
}
