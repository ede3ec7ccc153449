//! Links in the documents lead to files that exist.
//! Links to other machines are not followed.

use super::{
    Finding, Rule,
    house::House,
    tree::{Tree, folder_of, resolve},
};

/// How a mention of a decision begins, in a comment or in any other file.
const DECISIONS: &str = "docs/decisions/";

pub(super) const RULE: Rule = Rule {
    name: "links",
    because: "a dead link costs each reader the search that its author spared",
    check,
};

fn check(house: &House<'_>) -> Vec<Finding> {
    let documents = house.tree.ending(".md");
    let mut findings: Vec<_> = documents
        .flat_map(|(path, text)| dead_links(house.tree, path, text))
        .collect();
    for (path, text) in house
        .tree
        .texts()
        .filter(|(path, _)| !path.ends_with(".rs"))
    {
        findings.extend(dead_mentions(house.tree, path, 1, text));
    }
    for source in &house.sources {
        let comments = source.comments.iter();
        findings.extend(comments.flat_map(|comment| {
            dead_mentions(house.tree, source.path, comment.line, comment.text)
        }));
    }
    findings
}

fn dead_links(tree: &Tree, path: &str, text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (line, prose) in prose_lines(text) {
        let dead = targets(&prose).filter(|target| !leads_somewhere(tree, path, target));
        findings.extend(dead.map(|to| Finding::error(path, line, format!("{to} does not exist"))));
    }
    findings
}

fn leads_somewhere(tree: &Tree, path: &str, target: &str) -> bool {
    let file = target.split('#').next().unwrap_or(target);
    let elsewhere = file.is_empty() || target.contains("://") || target.starts_with("mailto:");
    elsewhere || resolve(folder_of(path), file).is_some_and(|file| tree.holds(&file))
}

/// The lines outside code blocks, numbered from 1, without their code spans.
fn prose_lines(text: &str) -> impl Iterator<Item = (usize, String)> {
    let mut in_code = false;
    text.lines().enumerate().filter_map(move |(index, line)| {
        let is_fence = line.trim_start().starts_with("```");
        in_code ^= is_fence;
        let prose = || line.split('`').step_by(2).collect::<Vec<_>>().join("``");
        (!in_code && !is_fence).then(|| (index + 1, prose()))
    })
}

/// The targets of `[text](target)`.
fn targets(line: &str) -> impl Iterator<Item = &str> {
    let after = line.split("](").skip(1);
    after.filter_map(|rest| rest.split([')', ' ']).next())
}

/// Mentions of a decision by its number, in a text that begins at line `start`.
fn dead_mentions(tree: &Tree, path: &str, start: usize, text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (line_number, line) in (start..).zip(text.lines()) {
        let numbers = line.split(DECISIONS).skip(1).filter_map(leading_number);
        let dead = numbers.filter(|number| {
            let record = format!("{DECISIONS}{number}-");
            !tree.paths().any(|known| known.starts_with(&record))
        });
        findings.extend(dead.map(|number| {
            Finding::error(path, line_number, format!("there is no decision {number}"))
        }));
    }
    findings
}

fn leading_number(rest: &str) -> Option<&str> {
    let end = rest
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(rest.len());
    (end == 4).then(|| &rest[..end])
}

#[cfg(test)]
mod tests {
    use super::{super::check, DECISIONS, RULE};

    #[test]
    fn links_lead_somewhere() {
        let text = "[a](../README.md#start) [b](https://example.org) [c](#here) [d](decisions)\n\
            `[e](nowhere)`\n```\n[f](nowhere)\n```\n";
        let decision = ("docs/decisions/0001-a.md", "");
        check(
            &RULE,
            &[("README.md", ""), ("docs/A.md", text), decision],
            &[],
        );
    }

    #[test]
    fn dead_links_are_found() {
        check(
            &RULE,
            &[("docs/A.md", "x\n[a](B.md) and [b](../../out)")],
            &[
                "docs/A.md:2: B.md does not exist",
                "docs/A.md:2: ../../out does not exist",
            ],
        );
    }

    #[test]
    fn mentioned_decisions_exist() {
        let (good, bad) = (format!("# {DECISIONS}0001"), format!("# {DECISIONS}0002"));
        let decision = ("docs/decisions/0001-a.md", "");
        check(&RULE, &[("Cargo.toml", &good), decision], &[]);
        check(
            &RULE,
            &[("Cargo.toml", &bad), decision],
            &["Cargo.toml:1: there is no decision 0002"],
        );
    }
}
