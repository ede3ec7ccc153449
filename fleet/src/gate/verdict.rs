//! A verdict: three values, why, and on what it rests.
//!
//! Never an action: what a failed gate leads to is for the rollout.

use serde::{Deserialize, Serialize};

/// What a gate says, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// Pass, fail or neither.
    pub outcome: Outcome,
    /// One sentence with value, threshold and n.
    pub because: String,
    /// On what it rests.
    pub ground: Ground,
}

/// The three values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The condition is met.
    Pass,
    /// It is broken.
    Fail,
    /// Neither is shown: the ring holds.
    Inconclusive,
}

/// On what a verdict rests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ground {
    /// What devices signed, or what an operator said.
    Signed,
    /// What is missing. Whoever can drop messages can bring that about.
    Absence,
}

impl Verdict {
    /// Whether it may undo what was installed: only a failure that devices have signed.
    #[must_use]
    pub fn may_roll_back(&self) -> bool {
        self.outcome == Outcome::Fail && self.ground == Ground::Signed
    }

    pub(super) const fn pass(because: String) -> Self {
        Self::signed(Outcome::Pass, because)
    }

    pub(super) const fn fail(because: String) -> Self {
        Self::signed(Outcome::Fail, because)
    }

    /// There is evidence, and it is not enough.
    pub(super) const fn undecided(because: String) -> Self {
        Self::signed(Outcome::Inconclusive, because)
    }

    /// There is no evidence.
    pub(super) const fn missing(because: String) -> Self {
        Self {
            outcome: Outcome::Inconclusive,
            because,
            ground: Ground::Absence,
        }
    }

    const fn signed(outcome: Outcome, because: String) -> Self {
        Self {
            outcome,
            because,
            ground: Ground::Signed,
        }
    }
}
