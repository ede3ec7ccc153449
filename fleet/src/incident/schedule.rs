//! When an alert that was not taken is tried again, and when it is given up.
//!
//! Times and a seed come in, a time goes out: waits for nothing.

use muster_protocol::time::UnixSeconds;

/// Pause after the first try, seconds.
const FIRST_S: u64 = 5;
/// Longest pause, seconds.
const LONGEST_S: u64 = 3600;
/// Doublings after which the longest pause is reached.
const DOUBLINGS_MAX: u32 = 10;
/// How long an alert is tried, seconds: over a weekend.
pub const GIVEN_UP_AFTER_S: u64 = 72 * 3600;

/// The tries of an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tries {
    /// How many failed, with the last one.
    pub failed: u32,
    /// When it was first to go out, or was replayed.
    pub since: UnixSeconds,
}

/// What follows a try that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Another one.
    At(UnixSeconds),
    /// None: it is kept, and a person may replay it.
    GiveUp,
}

/// What follows a try that failed at `now`. Pauses double from 5 s to an hour, each drawn by
/// `seed` from its upper half, so that many that failed together do not come back together.
#[must_use]
pub fn next(tries: Tries, now: UnixSeconds, seed: u64) -> Next {
    if now.0.saturating_sub(tries.since.0) >= GIVEN_UP_AFTER_S {
        return Next::GiveUp;
    }
    let doublings = tries.failed.saturating_sub(1).min(DOUBLINGS_MAX);
    let whole = (FIRST_S << doublings).min(LONGEST_S);
    let half = whole / 2;
    let drawn = mixed(seed ^ u64::from(tries.failed)) % (whole - half + 1);
    Next::At(UnixSeconds(now.0.saturating_add(half + drawn)))
}

/// SplitMix64 (Steele, Lea and Flood 2014).
const fn mixed(seed: u64) -> u64 {
    let x = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SINCE: UnixSeconds = UnixSeconds(1_800_000_000);

    /// The pause after so many failures lies in these bounds for every seed, and both are met.
    fn check(failed: u32, least: u64, most: u64) {
        let pause = |seed| match next(
            Tries {
                failed,
                since: SINCE,
            },
            SINCE,
            seed,
        ) {
            Next::At(at) => at.0 - SINCE.0,
            Next::GiveUp => panic!("{failed}: given up at once"),
        };
        let pauses: Vec<_> = (0..50_000).map(pause).collect();
        let found = (pauses.iter().min(), pauses.iter().max());
        assert_eq!(found, (Some(&least), Some(&most)), "{failed}");
    }

    #[test]
    fn pauses_double_up_to_an_hour() {
        check(0, 2, 5);
        check(1, 2, 5);
        check(2, 5, 10);
        check(3, 10, 20);
        check(10, 1280, 2560);
        check(11, 1800, 3600);
        check(u32::MAX, 1800, 3600);
    }

    #[test]
    fn the_same_seed_gives_the_same_pause() {
        let tries = Tries {
            failed: 5,
            since: SINCE,
        };
        assert_eq!(next(tries, SINCE, 7), next(tries, SINCE, 7));
    }

    #[test]
    fn after_three_days_it_is_given_up_and_a_clock_that_went_back_does_not_end_it() {
        let tries = Tries {
            failed: 9,
            since: SINCE,
        };
        let at = |s: u64| next(tries, UnixSeconds(SINCE.0 + s), 1);
        assert!(matches!(at(GIVEN_UP_AFTER_S - 1), Next::At(_)));
        assert_eq!(at(GIVEN_UP_AFTER_S), Next::GiveUp);
        assert!(matches!(next(tries, UnixSeconds(0), 1), Next::At(_)));
        let last = next(
            Tries {
                failed: 1,
                since: UnixSeconds(u64::MAX),
            },
            UnixSeconds(u64::MAX),
            1,
        );
        assert_eq!(last, Next::At(UnixSeconds(u64::MAX)));
    }
}
