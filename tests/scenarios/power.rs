//! What is published of the gates' power is what they do.
//!
//! A few rollouts with a fixed seed, and the tables in docs/rollout-power.md, read again; the many
//! rollouts behind those are for `cargo xtask power`.

use muster_tests::power::{self, Change, Line, Method, Setting, Tally};

const PUBLISHED: &str = include_str!("../../docs/rollout-power.md");
/// The share of bad rollouts that is halted at least, and of good ones at most, in percent.
const POWER_MIN: f64 = 95.0;
const FALSE_STOPS_MAX: f64 = 5.0;

fn tally(setting: &Setting, rollouts: u64) -> Tally {
    let mut tally = Tally::default();
    (1..=rollouts).for_each(|seed| tally.add(power::rollout(setting, seed)));
    tally
}

/// Whether a line is of good rollouts, judged by our gates.
fn is_good(line: &Line) -> bool {
    line.setting.change == Change::None && line.setting.method == Method::Gates
}

#[test]
fn one_seed_is_one_rollout() {
    let setting = Setting::published(Change::Errors, 20);
    for seed in 1..20 {
        let once = power::rollout(&setting, seed);
        assert_eq!(once, power::rollout(&setting, seed), "seed {seed}");
    }
}

#[test]
fn bad_rollouts_are_halted_and_good_ones_are_not() {
    for (change, rollouts, halted) in [
        (Change::None, 200, 0.0..=FALSE_STOPS_MAX),
        (Change::Errors, 100, POWER_MIN..=100.0),
        (Change::Misses, 100, POWER_MIN..=100.0),
        (Change::Mix, 100, POWER_MIN..=100.0),
    ] {
        let tally = tally(&Setting::published(change, 20), rollouts);
        let percent = 100.0 * tally.halted_share();
        assert!(halted.contains(&percent), "{change:?}: {percent} %");
    }
}

/// Good rollouts in worlds that are not as assumed, few of each: all together keep the promise.
#[test]
fn odd_worlds_stop_no_more_good_rollouts() {
    let lines = power::lines();
    let odd = lines
        .iter()
        .filter(|line| is_good(line) && line.setting.windows <= 24);
    let tallies = odd.map(|line| tally(&line.setting, 10));
    let (halted, rollouts) = tallies.fold((0, 0), |(halted, rollouts), tally| {
        (halted + tally.halted(), rollouts + tally.rollouts)
    });
    let percent = 100.0 * halted as f64 / rollouts as f64;
    assert!(percent <= FALSE_STOPS_MAX, "{halted} of {rollouts}");
}

/// The simulation tells good methods from bad ones: without this it would prove nothing.
#[test]
fn taking_requests_for_independent_stops_good_rollouts() {
    let setting = Setting {
        method: Method::PooledRequests,
        windows: 100,
        ..Setting::published(Change::None, 20)
    };
    let percent = 100.0 * tally(&setting, 40).halted_share();
    assert!(percent > FALSE_STOPS_MAX, "{percent} %");
}

/// The published lines are those that the command prints, and they keep what is promised.
#[test]
fn published_tables_are_whole_and_keep_the_promise() {
    for line in power::lines() {
        let devices = line.setting.devices;
        let row = published(&line.name, devices).unwrap_or_else(|| {
            panic!("no line `| {} | {devices} |`: cargo xtask power", line.name)
        });
        let [halted, surely] = row;
        if is_good(&line) {
            assert!(
                halted.max(surely) <= FALSE_STOPS_MAX,
                "{}: {row:?}",
                line.name
            );
        }
        let is_promised =
            [Change::Errors, Change::Misses, Change::Mix].contains(&line.setting.change);
        if is_promised && devices >= 20 {
            assert!(halted.min(surely) >= POWER_MIN, "{}: {row:?}", line.name);
        }
    }
}

/// What is published of a line: percent halted, and its bound.
fn published(name: &str, devices: u32) -> Option<[f64; 2]> {
    let start = format!("| {name} | {devices} | ");
    let rows = PUBLISHED
        .lines()
        .filter_map(|line| line.strip_prefix(&start));
    rows.filter_map(percentages).next()
}

/// The first two cells; none if they are no percentages.
fn percentages(cells: &str) -> Option<[f64; 2]> {
    let mut percentages = cells.split(" | ").map_while(|cell| {
        let number = cell.trim_start_matches(|c: char| !c.is_ascii_digit());
        number.strip_suffix(" %")?.parse().ok()
    });
    Some([percentages.next()?, percentages.next()?])
}
