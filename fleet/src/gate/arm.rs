//! One share in one arm: its mean over devices, and how far the devices disagree.
//!
//! A device is one observation, however much it predicts: what its inferences have in common never
//! counts as evidence twice. Knows nothing of limits.

use muster_protocol::stats::score::STEPS_PER_ONE;

/// Successes of trials on one device.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Trials {
    /// Need not be whole: shares may be estimated.
    hits: f64,
    of: u64,
}

/// A share in one arm.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Arm {
    /// The weighted mean of the devices' shares, 0 to 1.
    pub(super) mean: f64,
    /// Variance of that mean divided by `mean · (1 − mean)`: the inverse of how many independent
    /// trials it is worth. Without heterogeneity 1/trials, with it at best 1/devices of a constant.
    pub(super) dispersion: f64,
    /// How many equally weighted devices it is worth; above 1.
    pub(super) effective_devices: f64,
    /// Devices with trials.
    pub(super) devices: u64,
    /// Their trials.
    pub(super) trials: u64,
}

impl Arm {
    /// The share over all `devices`; none of fewer than two, which show no spread.
    ///
    /// A device weighs as its trials, and at most as the median device: a busy one does not speak
    /// for all, a new one does not add noise. The variance is that of a weighted mean between
    /// devices, robust to any correlation within them (Liang and Zeger 1986, with the factor
    /// m/(m − 1)), and never below the binomial one.
    pub(super) fn of(devices: impl Iterator<Item = Trials>) -> Option<Self> {
        let known: Vec<Trials> = devices.filter(|trials| trials.of > 0).collect();
        let cap = median(&known)?;
        let (mut weights, mut squares, mut hits) = (0.0, 0.0, 0.0);
        for trials in &known {
            let weight = trials.weight(cap);
            weights += weight;
            squares += weight * weight;
            hits += weight * trials.share();
        }
        let (mean, effective_devices) = (hits / weights, weights * weights / squares);
        (effective_devices > 1.0 + 1e-6).then(|| Self {
            mean,
            dispersion: dispersion(&known, cap, mean, weights, effective_devices),
            effective_devices,
            devices: known.len() as u64,
            trials: known.iter().fold(0, |n, t| u64::saturating_add(n, t.of)),
        })
    }
}

impl Trials {
    pub(super) const fn new(hits: u64, of: u64) -> Self {
        let hits = hits as f64;
        Self { hits, of }
    }

    /// So many steps of 2^-16.
    pub(super) const fn of_steps(steps: u64, of: u64) -> Self {
        let hits = steps as f64 / STEPS_PER_ONE as f64;
        Self { hits, of }
    }

    fn share(self) -> f64 {
        (self.hits / self.of as f64).min(1.0)
    }

    fn weight(self, cap: f64) -> f64 {
        (self.of as f64).min(cap)
    }
}

fn median(known: &[Trials]) -> Option<f64> {
    let mut sizes: Vec<u64> = known.iter().map(|trials| trials.of).collect();
    let middle = sizes.len() / 2;
    let in_order = (middle < sizes.len()).then(|| sizes.select_nth_unstable(middle));
    in_order.map(|(_, median, _)| *median as f64)
}

fn dispersion(known: &[Trials], cap: f64, mean: f64, weights: f64, effective: f64) -> f64 {
    let (mut between, mut binomial) = (0.0, 0.0);
    for trials in known {
        let weight = trials.weight(cap) / weights;
        let distance = weight * (trials.share() - mean);
        between += distance * distance;
        binomial += weight * weight / trials.of as f64;
    }
    let spread = mean * (1.0 - mean);
    let robust = between * effective / (effective - 1.0);
    if spread > 0.0 {
        f64::max(robust / spread, binomial)
    } else {
        binomial
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arm(devices: &[(u64, u64)]) -> Option<Arm> {
        let devices = devices.iter();
        Arm::of(devices.map(|&(hits, of)| Trials::new(hits, of)))
    }

    #[test]
    fn fewer_than_two_devices_show_no_spread() {
        for devices in [&[][..], &[(1, 10)], &[(0, 0), (1, 10)]] {
            assert_eq!(arm(devices), None, "{devices:?}");
        }
    }

    #[test]
    fn the_mean_and_its_spread_are_those_of_devices() {
        // What it holds, the mean, the devices it is worth, the trials that its mean is worth.
        for (devices, mean, effective, worth) in [
            // Equal shares: as many as there are trials.
            (vec![(1, 100); 4], 0.01, 4.0, 400.0),
            // Never anything: the same.
            (vec![(0, 100); 4], 0.0, 4.0, 400.0),
            // Each always or never: as many as there are devices, less one.
            (
                vec![(100, 100), (0, 100), (100, 100), (0, 100)],
                0.5,
                4.0,
                3.0,
            ),
            // A device a thousand times as busy weighs no more than the median.
            (
                vec![(1, 100), (1, 100), (50_000, 100_000)],
                0.52 / 3.0,
                3.0,
                5.37,
            ),
            // A new one weighs little.
            (vec![(1, 100), (1, 100), (1, 1)], 3.0 / 201.0, 2.02, 201.0),
        ] {
            let arm = arm(&devices).expect("an arm");
            assert!((arm.mean - mean).abs() < 1e-9, "{devices:?}: {arm:?}");
            assert!((arm.effective_devices - effective).abs() < 0.01, "{arm:?}");
            let ratio = 1.0 / arm.dispersion / worth;
            assert!((ratio - 1.0).abs() < 0.01, "{devices:?}: {arm:?}");
        }
    }
}
