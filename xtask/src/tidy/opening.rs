//! Every Rust file opens with `//!`.
//! It does not judge what is said there.

use super::{Finding, Rule, house::House};

pub(super) const RULE: Rule = Rule {
    name: "opening",
    because: "a reader learns in the first lines what a file is for and what it never does",
    check,
};

fn check(house: &House<'_>) -> Vec<Finding> {
    let mute = house.sources.iter().filter(|source| !speaks(source.text));
    mute.map(|source| Finding::error(source.path, 1, "does not open with `//!`"))
        .collect()
}

fn speaks(text: &str) -> bool {
    let opening = text
        .lines()
        .next()
        .and_then(|line| line.strip_prefix("//!"));
    opening.is_some_and(|words| !words.trim().is_empty())
}

#[cfg(test)]
mod tests {
    use super::{super::check, RULE};

    #[test]
    fn a_file_says_what_it_is_for() {
        check(
            &RULE,
            &[("a/src/lib.rs", "//! Counts sheep.\nfn a() {}")],
            &[],
        );
        for text in ["", "fn a() {}", "//!\nfn a() {}", "/// Counts.\nfn a() {}"] {
            check(
                &RULE,
                &[("a/src/lib.rs", text)],
                &["a/src/lib.rs:1: does not open with `//!`"],
            );
        }
    }
}
