//! The changelog has a section for what comes next, or ends in a dated release.
//! Whether a change deserves a line is for its author.

use super::{Finding, Rule, house::House};

const PATH: &str = "docs/CHANGELOG.md";

pub(super) const RULE: Rule = Rule {
    name: "changelog",
    because: "whoever upgrades a fleet wants to know what changed before doing so",
    check,
};

fn check(house: &House<'_>) -> Vec<Finding> {
    let Some(text) = house.tree.text(PATH) else {
        return vec![Finding::error(PATH, 1, "does not exist")];
    };
    let first = text.lines().find_map(|line| line.strip_prefix("## "));
    let is_good = first.is_some_and(|title| is_unreleased(title) || is_dated(title));
    let what = "the first section is neither `## Unreleased` nor `## 1.2.3 - 2026-01-31`";
    if is_good {
        Vec::new()
    } else {
        vec![Finding::error(PATH, 1, what)]
    }
}

fn is_unreleased(title: &str) -> bool {
    title.trim_matches(['[', ']', ' ']) == "Unreleased"
}

fn is_dated(title: &str) -> bool {
    let date = title.rsplit(' ').next().unwrap_or(title);
    let parts: Vec<_> = date.split('-').map(str::len).collect();
    parts == [4, 2, 2] && date.chars().all(|c| c.is_ascii_digit() || c == '-')
}

#[cfg(test)]
mod tests {
    use super::{super::check, PATH, RULE};

    #[test]
    fn sections_are_open_or_dated() {
        for text in [
            "# X\n## Unreleased\n",
            "## [Unreleased]\n",
            "## 1.2.3 - 2026-01-31\n",
        ] {
            check(&RULE, &[(PATH, text)], &[]);
        }
        let what = "docs/CHANGELOG.md:1: the first section is neither `## Unreleased` nor \
            `## 1.2.3 - 2026-01-31`";
        for text in [
            "",
            "# Unreleased\n",
            "## 1.2.3\n",
            "## 1.2.3 - soon-er-xx\n",
        ] {
            check(&RULE, &[(PATH, text)], &[what]);
        }
        check(&RULE, &[], &["docs/CHANGELOG.md:1: does not exist"]);
    }
}
