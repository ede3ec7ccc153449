//! Counts what the tests said: passed, failed, left out.
//! It only listens; what follows from the counts is decided elsewhere.

use std::collections::BTreeSet;

/// Counts over all test programs.
#[derive(Default)]
pub(crate) struct Tally {
    passed: usize,
    failed: usize,
    ignored: usize,
    skips: BTreeSet<String>,
}

impl Tally {
    /// Takes one line of output, or of the list of skips.
    pub(crate) fn hear(&mut self, line: &str) {
        let line = line.trim();
        if line.starts_with("SKIPPED ") {
            self.skips.insert(line.to_owned());
        } else if let Some(counts) = line.strip_prefix("test result: ") {
            self.passed += count(counts, "passed");
            self.failed += count(counts, "failed");
            self.ignored += count(counts, "ignored");
        }
    }

    /// Takes many lines.
    pub(crate) fn hear_all(&mut self, lines: &str) {
        lines.lines().for_each(|line| self.hear(line));
    }

    /// How many tests failed.
    pub(crate) fn failed(&self) -> usize {
        self.failed
    }

    /// How many tests ended early because something was missing.
    pub(crate) fn skipped(&self) -> usize {
        self.skips
            .iter()
            .map(|skip| test_name(skip))
            .collect::<BTreeSet<_>>()
            .len()
    }

    /// What to print at the end. libtest counts a skipped test as passed; we do not.
    pub(crate) fn closing_lines(&self, full: bool) -> Vec<String> {
        let mut lines = vec![String::new()];
        lines.extend(self.skips.iter().cloned());
        if self.ignored > 0 && !full {
            lines.push(format!(
                "{} long tests left out: cargo xtask test --full",
                self.ignored
            ));
        }
        let (passed, skipped) = (self.passed.saturating_sub(self.skipped()), self.skipped());
        lines.push(format!(
            "{passed} passed, {} failed, {skipped} skipped",
            self.failed
        ));
        lines
    }
}

/// The number before `word` in `ok. 3 passed; 0 failed; …`.
fn count(counts: &str, word: &str) -> usize {
    let words: Vec<_> = counts
        .split([' ', ';', '.'])
        .filter(|word| !word.is_empty())
        .collect();
    let pair = words.windows(2).find(|pair| pair[1] == word);
    pair.and_then(|pair| pair[0].parse().ok()).unwrap_or(0)
}

/// The name in `SKIPPED name: because: install line`; names have `::`, never `: `.
fn test_name(skip: &str) -> &str {
    let name = skip.trim_start_matches("SKIPPED ");
    name.split_once(": ").map_or(name, |(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(full: bool, heard: &str, expect: &[&str]) {
        let mut tally = Tally::default();
        tally.hear_all(heard);
        assert_eq!(tally.closing_lines(full)[1..], *expect, "{heard}");
    }

    #[test]
    fn results_of_all_programs_are_added() {
        let heard = "test a ... ok\n\
            test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out\n\
            test result: FAILED. 1 passed; 2 failed; 4 ignored; 0 measured; 9 filtered out\n";
        let left_out = "4 long tests left out: cargo xtask test --full";
        check(false, heard, &[left_out, "4 passed, 2 failed, 0 skipped"]);
        check(true, heard, &["4 passed, 2 failed, 0 skipped"]);
        check(false, "", &["0 passed, 0 failed, 0 skipped"]);
    }

    #[test]
    fn skips_are_repeated_and_not_called_passed() {
        let skip = "SKIPPED topics::acl: because mosquitto is missing: apt-get install mosquitto";
        let result = "test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured";
        let heard = format!("{result}\n{skip}\n{skip}\n");
        check(false, &heard, &[skip, "2 passed, 0 failed, 1 skipped"]);
    }

    #[test]
    fn one_test_with_two_reasons_is_one_skip() {
        let heard = "test result: ok. 1 passed; 0 failed; 0 ignored\n\
            SKIPPED a::b: because c: d\nSKIPPED a::b: because e: f\n";
        let lines = ["SKIPPED a::b: because c: d", "SKIPPED a::b: because e: f"];
        check(
            false,
            heard,
            &[lines[0], lines[1], "0 passed, 0 failed, 1 skipped"],
        );
    }
}
