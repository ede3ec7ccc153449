//! Checks the invariants of the house: what no compiler and no linter of ours can see.
//! A rule is one short file with a reason and its own good and bad example; none mends anything.

mod arrows;
mod changelog;
mod clock;
mod core_only;
mod decisions;
mod disk;
mod house;
mod leftovers;
mod length;
mod lexer;
mod links;
mod machine_paths;
mod names;
mod opening;
mod owners;
mod panics;
mod provider;
mod reachable;
mod source;
mod threats;
mod thumb;
mod tree;
mod waiting;

use std::{fmt, path::Path};

use anyhow::Context as _;

use crate::run::{Outcome, Report};
use {house::House, tree::Tree};

/// What `cargo xtask tidy` may be told.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Leave out the builds for a Cortex-M0.
    #[arg(long)]
    no_build: bool,
}

/// Runs every rule, then builds what must do without a heap.
///
/// # Errors
/// The tree cannot be read.
pub(crate) fn run(args: &Args, root: &Path, report: &mut Report) -> anyhow::Result<()> {
    let tree = Tree::read(root).context("failed to read the project")?;
    report.step("tidy", || judge(&tree));
    if !args.no_build {
        thumb::run(root, report);
    }
    Ok(())
}

/// One invariant: its name, why it stands, and how a breach is found.
struct Rule {
    name: &'static str,
    because: &'static str,
    check: fn(&House<'_>) -> Vec<Finding>,
}

const RULES: [Rule; 18] = [
    opening::RULE,
    length::RULE,
    names::RULE,
    reachable::RULE,
    arrows::RULE,
    core_only::RULE,
    owners::RULE,
    disk::RULE,
    provider::RULE,
    clock::RULE,
    waiting::RULE,
    panics::RULE,
    leftovers::RULE,
    links::RULE,
    threats::RULE,
    decisions::RULE,
    changelog::RULE,
    machine_paths::RULE,
];

/// Whether a finding stops the build.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Weight {
    Error,
    Warning,
}

/// A place where a rule is broken.
#[derive(Debug)]
struct Finding {
    path: String,
    line: usize,
    what: String,
    weight: Weight,
}

impl Finding {
    fn error(path: &str, line: usize, what: impl Into<String>) -> Self {
        Self {
            path: path.to_owned(),
            line,
            what: what.into(),
            weight: Weight::Error,
        }
    }

    fn warning(path: &str, line: usize, what: impl Into<String>) -> Self {
        Self {
            weight: Weight::Warning,
            ..Self::error(path, line, what)
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            path,
            line,
            what,
            weight,
        } = self;
        let mark = if *weight == Weight::Warning {
            "warning: "
        } else {
            ""
        };
        write!(f, "{path}:{line}: {mark}{what}")
    }
}

fn judge(tree: &Tree) -> Outcome {
    let house = House::new(tree);
    let (mut errors, mut warnings) = (0, 0);
    for rule in &RULES {
        let findings = (rule.check)(&house);
        if !findings.is_empty() {
            println!("  {}: because {}", rule.name, rule.because);
        }
        for finding in findings {
            println!("    {finding}");
            match finding.weight {
                Weight::Error => errors += 1,
                Weight::Warning => warnings += 1,
            }
        }
    }
    let seen = format!(
        "{} rules over {} Rust files",
        RULES.len(),
        house.sources.len()
    );
    println!("  {seen}: {errors} errors, {warnings} warnings");
    if errors == 0 {
        Outcome::Passed
    } else {
        Outcome::Failed(format!("{errors} errors"))
    }
}

/// Runs one rule over made-up files and compares its findings.
#[cfg(test)]
fn check(rule: &Rule, files: &[(&str, &str)], expect: &[&str]) {
    let tree = Tree::of(files);
    let findings = (rule.check)(&House::new(&tree));
    let found: Vec<_> = findings.iter().map(Finding::to_string).collect();
    assert_eq!(found, expect, "rule {}", rule.name);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_house_is_tidy() {
        let tree = Tree::read(&crate::run::root()).expect("a readable tree");
        assert!(
            matches!(judge(&tree), Outcome::Passed),
            "see the findings above"
        );
    }

    #[test]
    fn every_rule_says_why() {
        for rule in &RULES {
            assert!(rule.because.split(' ').count() > 4, "{}", rule.name);
        }
    }

    #[test]
    fn an_error_fails_and_a_warning_does_not() {
        let long = format!("//! x\n{}", "use a;\n".repeat(401));
        let judged = |path, text| {
            judge(&Tree::of(&[
                ("docs/CHANGELOG.md", "## Unreleased\n"),
                ("agent/Cargo.toml", "[package]\nname = \"x\"\n"),
                (path, text),
            ]))
        };
        assert!(matches!(
            judged("agent/src/main.rs", "//! x\nfn main() {}"),
            Outcome::Passed
        ));
        assert!(matches!(
            judged("agent/src/main.rs", &long),
            Outcome::Passed
        ));
        assert!(matches!(
            judged("agent/src/main.rs", "fn main() {}"),
            Outcome::Failed(_)
        ));
        assert!(matches!(
            judged("agent/src/lost.rs", "//! x"),
            Outcome::Failed(_)
        ));
    }
}
