//! What is published of the charts is what they do.
//!
//! A few devices with a fixed seed, and the tables in docs/drift-curves.md, read again; the many behind
//! those are for `cargo xtask drift-curves`.

use muster_tests::drift_curves::{
    Allowed, BUDGET, DelayLine, DelayTally, QuietTally, delay_lines, quiet_lines,
    season_delay_lines, season_quiet_lines,
};

const PUBLISHED: &str = include_str!("../../docs/drift-curves.md");
/// Drifts of each kind that are run here.
const DRIFTS: u64 = 24;
/// What is promised of a mean that moves by a fifth of a standard deviation: ρ, and minutes.
const PROMISED: [(f64, f64); 2] = [(0.0, 20.0), (0.9, 300.0)];

/// A few of the lines, of each kind that is quick.
fn quick() -> impl Iterator<Item = DelayLine> {
    let named = |line: &DelayLine| {
        line.name.contains("windows of 60 s") || line.name.contains("100 devices")
    };
    delay_lines()
        .into_iter()
        .filter(move |line| named(line) && line.correlation < 0.5)
}

fn tally(line: &DelayLine) -> DelayTally {
    let mut tally = DelayTally::default();
    (1..=DRIFTS).for_each(|seed| tally.add(line.run(seed)));
    tally
}

#[test]
fn one_seed_is_one_device() {
    for line in quick().take(1) {
        assert_eq!(line.run(5), line.run(5), "{}", line.name);
    }
}

/// A median of few is within a factor of two of the published one, and everything is found.
#[test]
fn drifts_are_found_as_soon_as_published() {
    for line in quick() {
        let tally = tally(&line);
        let median = tally.after_s(50).map(|s| s as f64 / 60.0);
        let median = median.unwrap_or_else(|| panic!("{}: not found", line.name));
        let published = published(&line.name, &line.correlation.to_string());
        let expect = minutes(&published[0]).expect("a duration");
        assert!(
            (0.5..2.0).contains(&(median / expect)),
            "{}: {median} min, not {expect}",
            line.name
        );
        assert_eq!((tally.never, tally.before), (0, 0), "{}", line.name);
    }
}

/// Devices without drift, a year of each line that goes by windows of 300 s: far fewer alarms than
/// one would be surprised by.
#[test]
fn quiet_devices_are_left_alone() {
    let mut tally = QuietTally::default();
    for line in quiet_lines() {
        if line.name == "windows of 300 s, 1 feature" {
            (1..=4).for_each(|seed| tally.add(&line.run(seed), 1));
        }
    }
    assert!(
        tally.bounds().0 <= BUDGET.get(),
        "{} in {} years",
        tally.alarms,
        tally.years
    );
}

#[test]
fn published_tables_are_whole_and_keep_the_promise() {
    for line in delay_lines() {
        published(&line.name, &line.correlation.to_string());
    }
    for (correlation, within) in PROMISED {
        let cells = published("mean by 0.2 sd, windows of 60 s", &correlation.to_string());
        let median = minutes(&cells[0]).expect("a duration");
        assert!(median <= within, "ρ {correlation}: {median} min");
    }
    for line in season_quiet_lines() {
        let cells = published(&line.name, &line.correlation.to_string());
        let years: f64 = cells[0].parse().expect("a number");
        let allowed = match line.allowed {
            Allowed::Budget => 2.0 * BUDGET.get(),
            Allowed::KnownException(rate) => rate,
        };
        let is_rare = || cells[2].parse::<f64>().expect("a number") <= allowed;
        assert!(years <= 0.0 || is_rare(), "{}: {cells:?}", line.name);
    }
    for line in season_delay_lines() {
        published(&line.name, &line.correlation.to_string());
    }
    for line in quiet_lines() {
        published(&line.name, &line.correlation.to_string());
        let all = published(&line.name, "all");
        let number = |at: usize| all[at].parse::<f64>().expect("a number");
        let (years, rate, at_most) = (number(0), number(2), number(3));
        assert!(
            years >= 100.0 && rate <= BUDGET.get(),
            "{}: {all:?}",
            line.name
        );
        // Long enough to be sure.
        if years >= 1000.0 {
            assert!(at_most <= BUDGET.get(), "{}: {all:?}", line.name);
        }
    }
}

/// The cells that are published after the name of a line and its correlation.
fn published(name: &str, correlation: &str) -> Vec<String> {
    let start = format!("| {name} | {correlation} | ");
    let row = PUBLISHED.lines().find_map(|line| line.strip_prefix(&start));
    let row = row.unwrap_or_else(|| panic!("no line `{start}`: cargo xtask drift-curves"));
    row.split('|').map(|cell| cell.trim().to_owned()).collect()
}

/// `16 min` or `3.8 h`, in minutes.
fn minutes(cell: &str) -> Option<f64> {
    let (number, unit) = cell.split_once(' ')?;
    let number: f64 = number.parse().ok()?;
    match unit {
        "min" => Some(number),
        "h" => Some(60.0 * number),
        _ => None,
    }
}
