//! Tests wait on conditions, never for a while.
//! Production code may sleep: backing off is a behaviour.

use super::{Finding, Rule, house::House};

/// The one place that polls a condition until a deadline.
const WAITING_ROOM: &str = "tests/src/wait.rs";

const SLEEPS: [&[&str]; 2] = [&["sleep", "("], &["sleep_until", "("]];

pub(super) const RULE: Rule = Rule {
    name: "waiting",
    because: "a test that sleeps is slow on a fast machine and wrong on a slow one",
    check,
};

fn check(house: &House<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in house
        .sources
        .iter()
        .filter(|source| source.path != WAITING_ROOM)
    {
        let sleeps = SLEEPS.iter().flat_map(|sleep| source.find(sleep));
        let in_tests = sleeps.filter(|&at| source.is_test(at));
        findings.extend(in_tests.map(|at| source.finding(at, "a test waits on a condition")));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::{super::check, RULE};

    #[test]
    fn tests_do_not_sleep() {
        check(
            &RULE,
            &[("agent/src/link.rs", "fn a() { sleep(backoff) }")],
            &[],
        );
        check(&RULE, &[("tests/src/wait.rs", "thread::sleep(pause)")], &[]);
        let what = "a test waits on a condition";
        let inline = "#[cfg(test)] mod tests { fn a() { thread::sleep(pause) } }";
        check(
            &RULE,
            &[("agent/src/link.rs", inline)],
            &[&format!("agent/src/link.rs:1: {what}")],
        );
        check(
            &RULE,
            &[("tests/all.rs", "sleep(x)")],
            &[&format!("tests/all.rs:1: {what}")],
        );
    }
}
