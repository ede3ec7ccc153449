//! Gates of shadows: rows that differ, and devices on which it is slower.

use super::*;

const SAME: Pair = Pair {
    serving: 1,
    shadow: 1,
};
const OTHER: Pair = Pair {
    serving: 1,
    shadow: 0,
};

/// A device that has compared 10,000 rows, of which so many differ, and 100 requests that took the
/// shadow so many times as long.
fn compared(disagreed: u64, times: u32) -> DeviceCounts {
    use muster_protocol::stats::latency::bucket;
    DeviceCounts {
        contacts: 3,
        installed: 1,
        ok: 10_000,
        shadow: Compared {
            served: 50_000,
            compared: 10_000,
            agreement: [(SAME, 10_000 - disagreed), (OTHER, disagreed)].into(),
            differences: [(0, 9000), (18, 1000 - disagreed), (22, disagreed)].into(),
            latency: [(bucket(1000 * times), 100)].into(),
            serving_latency: [(bucket(1000), 100)].into(),
        },
        ..DeviceCounts::default()
    }
}

fn unlike(disagreed: u64, devices: usize) -> Evidence {
    arm(some(compared(disagreed, 1), devices))
}

fn disagreement(limit: f64) -> Gate {
    Gate::Disagreement {
        limit: share(limit),
    }
}

#[test]
fn rows_with_another_class_are_judged_by_device() {
    for (canary, (outcome, ground), because) in [
        (arm([]), MISSING, "disagreement: fewer than two devices"),
        (
            unlike(10, 1),
            MISSING,
            "disagreement: fewer than two devices of the ring have compared any",
        ),
        (
            arm(some(serving(0, 0), 20)),
            MISSING,
            "disagreement: fewer than two devices",
        ),
        (
            unlike(10, 20),
            PASS,
            "disagreement 0.10 % of 200000 on 20 devices, and surely below",
        ),
        (
            unlike(500, 20),
            FAIL,
            "disagreement 5.0 % of 200000 on 20 devices, at most 2.0 %",
        ),
        // One device alone that always differs: the others do not.
        (
            both(some(compared(1000, 1), 1), some(compared(0, 1), 3)),
            UNDECIDED,
            "disagreement 2.5 % of 40000 on 4 devices, at most 2.0 %",
        ),
    ] {
        check(
            &disagreement(0.02),
            &canary,
            None,
            (outcome, ground, because),
        );
    }
}

#[test]
fn scores_count_from_the_named_difference_on() {
    let gate = |over| Gate::ScoreDifference {
        over: Gap::try_from(over).expect("a bound"),
        limit: share(0.02),
    };
    for (over, (outcome, ground), because) in [
        (1.0, PASS, "scores that differ by 1 or more 0.50 % of"),
        (2.0, PASS, "scores that differ by 2 or more 0 % of"),
        (
            0.0625,
            FAIL,
            "scores that differ by 0.0625 or more 10.0 % of",
        ),
    ] {
        check(
            &gate(over),
            &unlike(50, 20),
            None,
            (outcome, ground, because),
        );
    }
}

#[test]
fn devices_on_which_it_is_slower_are_counted() {
    let gate = |limit| Gate::SlowerThanServing {
        ratio: Ratio::try_from(1.5).expect("a ratio"),
        limit: share(limit),
    };
    let few = DeviceCounts {
        shadow: Compared {
            latency: [(40, 19)].into(),
            serving_latency: [(10, 19)].into(),
            ..Compared::default()
        },
        ..compared(0, 1)
    };
    let said = "take more than 1.5 times as long as what serves there, by the median";
    for (limit, canary, (outcome, ground), devices) in [
        (0.1, arm([]), MISSING, "0 of 0"),
        (0.1, arm(some(few, 20)), MISSING, "0 of 0"),
        (0.1, unlike(0, 20), PASS, "0 of 20"),
        (0.1, arm(some(compared(0, 2), 20)), FAIL, "20 of 20"),
        (
            0.1,
            both(some(compared(0, 2), 1), some(compared(0, 1), 3)),
            UNDECIDED,
            "1 of 4",
        ),
        (
            0.0,
            both(some(compared(0, 2), 1), some(compared(0, 1), 19)),
            FAIL,
            "1 of 20",
        ),
    ] {
        let because = format!("{devices} devices {said}");
        check(&gate(limit), &canary, None, (outcome, ground, &because));
    }
}
