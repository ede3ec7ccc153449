//! How much CPU time a shadow may take: a bucket that fills with a share of one core.
//!
//! Pure: time is an argument. It never knows what the time is spent on.

use muster_protocol::time::Millis;

/// How long the bucket can be saved up, milliseconds.
const SAVED_MS_MAX: u64 = 60_000;

/// CPU time that was saved up, or is owed.
///
/// It is charged what a run took by the clock in a worker of one thread: an upper bound of the
/// CPU time that it used. A run is begun only while nothing is owed, so that at most the runs
/// under way are overdrawn; as long as the first has not told what one costs, that is one.
#[derive(Debug, Clone)]
pub struct CpuBudget {
    per_mille: u64,
    filled_at: Millis,
    saved_us: i64,
    under_way: u32,
    last_us: u64,
}

impl CpuBudget {
    /// An empty bucket that fills with this share of one core.
    pub fn new(per_mille: u32, now: Millis) -> Self {
        Self {
            per_mille: u64::from(per_mille.min(1000)),
            filled_at: now,
            saved_us: 0,
            under_way: 0,
            last_us: 0,
        }
    }

    /// Whether one more run may begin; if so, it counts as under way.
    pub fn begin(&mut self, now: Millis) -> bool {
        self.fill(now);
        let expected_us = u64::from(self.under_way).saturating_mul(self.last_us);
        let known = self.under_way == 0 || self.last_us > 0;
        let may = self.per_mille > 0 && known && self.saved_us >= signed(expected_us);
        self.under_way += u32::from(may);
        may
    }

    /// A run that began has ended, after this long.
    pub fn end(&mut self, took_us: u64, now: Millis) {
        self.fill(now);
        self.under_way = self.under_way.saturating_sub(1);
        self.last_us = took_us;
        self.saved_us = self.saved_us.saturating_sub(signed(took_us));
    }

    /// Whether a run that began has not ended.
    #[cfg(test)]
    pub const fn is_under_way(&self) -> bool {
        self.under_way > 0
    }

    /// The share of one core, in a thousand.
    pub const fn per_mille(&self) -> u64 {
        self.per_mille
    }

    /// Microseconds saved up by now; negative when they are owed.
    pub fn saved_us(&mut self, now: Millis) -> i64 {
        self.fill(now);
        self.saved_us
    }

    /// A thousandth of a millisecond is a microsecond: nothing is lost to rounding.
    fn fill(&mut self, now: Millis) {
        let gained_us = now.since(self.filled_at).saturating_mul(self.per_mille);
        let most_us = signed(SAVED_MS_MAX * self.per_mille);
        self.filled_at = self.filled_at.max(now);
        self.saved_us = self.saved_us.saturating_add(signed(gained_us)).min(most_us);
    }
}

fn signed(us: u64) -> i64 {
    i64::try_from(us).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Asks whether a run may begin.
    #[derive(Debug, Clone, Copy)]
    enum Do {
        Begin(bool),
        End(u64),
    }
    use Do::{Begin, End};

    fn check(per_mille: u32, steps: &[(u64, Do)], saved_us: i64) {
        let mut budget = CpuBudget::new(per_mille, Millis(0));
        let mut now = Millis(0);
        for (n, (at, what)) in steps.iter().enumerate() {
            now = Millis(*at);
            match what {
                Begin(expect) => assert_eq!(budget.begin(now), *expect, "step {n} of {steps:?}"),
                End(took_us) => budget.end(*took_us, now),
            }
        }
        assert_eq!(budget.saved_us(now), saved_us, "{steps:?}");
    }

    #[test]
    fn a_run_begins_only_while_nothing_is_owed() {
        check(50, &[(0, Begin(true)), (0, End(1000))], -1000);
        check(
            50,
            &[(0, Begin(true)), (0, End(1000)), (19, Begin(false))],
            -50,
        );
        check(
            50,
            &[(0, Begin(true)), (0, End(1000)), (20, Begin(true))],
            0,
        );
        check(
            1000,
            &[(0, Begin(true)), (3, End(3000)), (3, Begin(true))],
            0,
        );
    }

    #[test]
    fn what_one_run_costs_is_unknown_until_the_first_has_ended() {
        check(500, &[(0, Begin(true)), (0, Begin(false))], 0);
        let known = [(0, Begin(true)), (10, End(1000))];
        let two = [known[0], known[1], (10, Begin(true)), (10, Begin(true))];
        check(500, &two, 4000);
        let many = [(10, Begin(true)); 4];
        let many: Vec<_> = known
            .into_iter()
            .chain(many)
            .chain([(10, Begin(false))])
            .collect();
        check(500, &many[..6], 4000);
        check(
            100,
            &[known[0], known[1], (10, Begin(true)), (10, Begin(false))],
            0,
        );
    }

    #[test]
    fn at_most_a_minute_is_saved_up() {
        check(50, &[(10_000, Begin(true))], 500_000);
        check(50, &[(600_000, Begin(true))], 3_000_000);
        check(
            50,
            &[(u64::MAX, Begin(true)), (u64::MAX, End(u64::MAX))],
            3_000_000 - i64::MAX,
        );
    }

    #[test]
    fn without_a_share_nothing_runs() {
        check(0, &[(0, Begin(false)), (600_000, Begin(false))], 0);
    }

    #[test]
    fn time_that_goes_back_fills_nothing() {
        check(
            50,
            &[(1000, Begin(true)), (10, End(0)), (1000, Begin(true))],
            50_000,
        );
        check(5000, &[(10, Begin(true))], 10_000);
    }
}
