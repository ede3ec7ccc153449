//! One file per program reads the clock.
//! Tests may read it for their deadlines.

use super::{Finding, Rule, house::House};

const READINGS: [&[&str]; 3] = [
    &["Instant", "::", "now"],
    &["SystemTime", "::", "now"],
    &["UNIX_EPOCH"],
];

pub(super) const RULE: Rule = Rule {
    name: "clock",
    because: "time is an argument: what does not read the clock can be tested at any hour",
    check,
};

fn check(house: &House<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in &house.sources {
        if source.path.ends_with("/src/clock.rs") {
            continue;
        }
        for reading in READINGS {
            let found = source.find(reading).filter(|&at| !source.is_test(at));
            let what = format!("`{}`: only clock.rs reads the clock", reading.concat());
            findings.extend(found.map(|at| source.finding(at, what.clone())));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::{super::check, RULE};

    #[test]
    fn only_clock_rs_reads_the_clock() {
        let reading = "let now = std::time::SystemTime::now();";
        check(
            &RULE,
            &[("agent/src/clock.rs", reading), ("tests/all.rs", reading)],
            &[],
        );
        let what = "agent/src/run.rs:1: `SystemTime::now`: only clock.rs reads the clock";
        check(&RULE, &[("agent/src/run.rs", reading)], &[what]);
        let what = "agent/src/run/clock.rs:1: `UNIX_EPOCH`: only clock.rs reads the clock";
        check(
            &RULE,
            &[("agent/src/run/clock.rs", "x.duration_since(UNIX_EPOCH)")],
            &[what],
        );
    }
}
