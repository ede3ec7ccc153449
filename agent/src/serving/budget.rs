//! When a serving model has failed: deaths of its worker, and shares of bad answers.
//!
//! Pure: time is an argument. Shares are judged on at least so many requests, then start anew.

use crate::config::BudgetConfig;
use muster_device::updater::Verdict;
use muster_protocol::message::Reason;
use muster_protocol::time::Millis;
use std::collections::VecDeque;

/// How one request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answered {
    /// As it should.
    Well,
    /// Slower than the card allows.
    Slowly,
    /// With a value that is no number, although every input was one.
    NotANumber,
    /// With an error.
    Failed,
}

/// Counts towards the budget of one model.
#[derive(Debug)]
pub struct Budget {
    config: BudgetConfig,
    deaths: VecDeque<Millis>,
    requests: u64,
    failed: u64,
    not_a_number: u64,
    slow: u64,
}

impl Budget {
    /// Counts from nothing.
    pub const fn new(config: BudgetConfig) -> Self {
        Self {
            config,
            deaths: VecDeque::new(),
            requests: 0,
            failed: 0,
            not_a_number: 0,
            slow: 0,
        }
    }

    /// Counts a death of the worker; gives a verdict when there were too many.
    pub fn died(&mut self, because: &str, reason: Reason, now: Millis) -> Option<Verdict> {
        let window_ms = self.config.crash_window_s * 1000;
        self.deaths.retain(|at| now.since(*at) < window_ms);
        self.deaths.push_back(now);
        let deaths = self.deaths.len();
        (deaths >= self.config.crashes_max as usize).then(|| {
            let sentence = format!(
                "its worker died {deaths} times in {} s, last: {because}",
                self.config.crash_window_s
            );
            Verdict::new(reason, &sentence)
        })
    }

    /// Counts a request; gives a verdict when a share is beyond its budget.
    pub fn answered(&mut self, how: Answered) -> Option<Verdict> {
        self.requests += 1;
        match how {
            Answered::Well => {}
            Answered::Slowly => self.slow += 1,
            Answered::NotANumber => self.not_a_number += 1,
            Answered::Failed => self.failed += 1,
        }
        if self.requests < self.config.requests_min {
            return None;
        }
        let verdict = self.judge();
        if verdict.is_some() || self.requests >= self.config.requests_min.saturating_mul(50) {
            (self.requests, self.failed, self.not_a_number, self.slow) = (0, 0, 0, 0);
        }
        verdict
    }

    fn judge(&self) -> Option<Verdict> {
        let shares = [
            (
                self.failed,
                self.config.errors_per_mille_max,
                Reason::ErrorRate,
                "failed",
            ),
            (
                self.not_a_number,
                self.config.not_a_number_per_mille_max,
                Reason::NotANumber,
                "gave values that are no numbers",
            ),
            (
                self.slow,
                self.config.slow_per_mille_max,
                Reason::Latency,
                "were slower than the card allows",
            ),
        ];
        shares.into_iter().find_map(|(count, max, reason, what)| {
            let over = count * 1000 > max * self.requests;
            over.then(|| {
                let n = self.requests;
                let sentence =
                    format!("{count} of {n} requests {what}; the budget is {max} in 1000");
                Verdict::new(reason, &sentence)
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(answers: &[(Answered, usize)], expect: Option<Reason>) {
        let mut budget = Budget::new(BudgetConfig::default());
        let all = answers
            .iter()
            .flat_map(|(how, times)| std::iter::repeat_n(*how, *times));
        let verdict = all.filter_map(|how| budget.answered(how)).next();
        assert_eq!(verdict.map(|verdict| verdict.reason), expect, "{answers:?}");
    }

    #[test]
    fn shares_beyond_their_budget_fail_a_model() {
        check(&[(Answered::Well, 1000)], None);
        check(&[(Answered::Failed, 19)], None);
        check(&[(Answered::Failed, 20)], Some(Reason::ErrorRate));
        check(&[(Answered::Well, 95), (Answered::Failed, 5)], None);
        check(
            &[(Answered::Well, 90), (Answered::Failed, 10)],
            Some(Reason::ErrorRate),
        );
        check(&[(Answered::NotANumber, 20)], Some(Reason::NotANumber));
        check(
            &[(Answered::Well, 20), (Answered::Slowly, 20)],
            Some(Reason::Latency),
        );
    }

    #[test]
    fn deaths_count_for_a_while() {
        let mut budget = Budget::new(BudgetConfig::default());
        let mut died = |at| {
            budget
                .died("signal 9", Reason::Crashed, Millis(at))
                .is_some()
        };
        assert!(!died(0) && !died(1000) && !died(121_000));
        assert!(!died(122_000));
        assert!(died(123_000));
    }
}
