//! How many good rollouts may be stopped by chance, and how that is split.
//!
//! Split evenly over every gate that chance can fail, in every ring: Bonferroni's inequality, which
//! needs no independence. Never judges.

use std::num::NonZeroU32;

use super::policy::Gate;
use super::share::Share;

/// An error rate strictly between 0 and 1: of one gate in one ring, over all looks.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Alpha(f64);

/// False stops of a whole rollout, split.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Budget {
    whole_rollout: f64,
    rings: u32,
    statistical_gates: u32,
}

/// An allowance that is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0} of good rollouts cannot be the allowance of false stops: because then a gate either never \
     stops or always: hint: use a share above 0 and at most 0.5, usually 0.05"
)]
pub struct BudgetError(pub Share);

impl Budget {
    /// At most `whole_rollout` of good rollouts stop by chance, over all `rings`, `gates` and looks.
    ///
    /// # Errors
    /// An allowance of zero, or above one half.
    pub fn split(
        whole_rollout: Share,
        rings: NonZeroU32,
        gates: &[Gate],
    ) -> Result<Self, BudgetError> {
        if !(f64::MIN_POSITIVE..=0.5).contains(&whole_rollout.get()) {
            return Err(BudgetError(whole_rollout));
        }
        let statistical = gates.iter().filter(|gate| gate.is_statistical()).count();
        Ok(Self {
            whole_rollout: whole_rollout.get(),
            rings: rings.get(),
            statistical_gates: u32::try_from(statistical).unwrap_or(u32::MAX).max(1),
        })
    }

    /// The part of one gate in one ring.
    #[must_use]
    pub fn of_one_gate(&self) -> Alpha {
        let parts = f64::from(self.rings) * f64::from(self.statistical_gates);
        Alpha(self.whole_rollout / parts)
    }
}

impl Alpha {
    /// How often, at most, *pass* is ever said of a ring that is worse by exactly the margin: of one
    /// gate, over all looks.
    pub(super) const FALSE_PASS: Self = Self(0.1);

    /// The rate.
    #[must_use]
    pub const fn get(self) -> f64 {
        self.0
    }

    /// The evidence from which on the hypothesis is rejected, as a logarithm: Ville's inequality
    /// says that an e-process ever reaches 1/α with probability α at most.
    pub(super) fn ln_threshold(self) -> f64 {
        -self.0.ln()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gates_that_chance_cannot_fail_take_nothing() {
        let share = |number: f64| Share::try_from(number).expect("a share");
        let mix = Gate::PredictionMix { margin: share(0.1) };
        let installed = Gate::InstalledShare { min: share(0.9) };
        for (rings, gates, expect) in [
            (1, vec![], 0.05),
            (1, vec![Gate::ManualApproval], 0.05),
            (2, vec![mix.clone(), installed], 0.025),
            (4, vec![mix.clone(), mix], 0.05 / 8.0),
        ] {
            let rings = NonZeroU32::new(rings).expect("rings");
            let budget = Budget::split(share(0.05), rings, &gates).expect("a budget");
            assert!((budget.of_one_gate().get() - expect).abs() < 1e-12);
        }
    }

    #[test]
    fn allowances_that_decide_nothing_are_refused() {
        for share in [Share::ZERO, Share::ONE] {
            let refused = Budget::split(share, NonZeroU32::MIN, &[]).expect_err("refused");
            assert!(refused.to_string().contains("usually 0.05"), "{refused}");
        }
    }
}
