//! No file speaks of the machine that it was written on.
//! Paths of the system, such as a temporary folder, are nobody's home and may stay.

use super::{Finding, Rule, house::House};

/// Folders at the top of somebody's machine.
const HOMES: [&str; 4] = ["home", "root", "Users", "work"];

pub(super) const RULE: Rule = Rule {
    name: "machine-paths",
    because: "a path of one machine is wrong on every other",
    check,
};

fn check(house: &House<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in house.tree.texts() {
        for (index, line) in text.lines().enumerate() {
            let homes = HOMES.iter().filter(|home| names_home(line, home));
            let what = |home| format!("names a folder in /{home} of some machine");
            findings.extend(homes.map(|home| Finding::error(path, index + 1, what(home))));
        }
    }
    findings
}

/// Whether `line` has an absolute path below `home`; `a/home/b` and routes with `{` are none.
fn names_home(line: &str, home: &str) -> bool {
    let folder = format!("/{home}/");
    line.match_indices(&folder).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + folder.len()..].chars().next();
        let continues = before.is_some_and(|c| c.is_alphanumeric() || "._-})/".contains(c));
        !continues && after != Some('{')
    })
}

#[cfg(test)]
mod tests {
    use super::{super::check, RULE};

    #[test]
    fn machines_are_not_named() {
        let good = "metadata/root/1.json ../work/x https://example.org/home/a get(\"/root/{v}\")";
        check(&RULE, &[("README.md", good)], &[]);
        let bad = ["home", "root", "work"]
            .map(|home| format!("x = \"/{home}/me\""))
            .join("\n");
        check(
            &RULE,
            &[("a.toml", &bad)],
            &[
                "a.toml:1: names a folder in /home of some machine",
                "a.toml:2: names a folder in /root of some machine",
                "a.toml:3: names a folder in /work of some machine",
            ],
        );
    }
}
