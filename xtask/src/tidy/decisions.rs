//! Decision records are numbered from 0001 without gaps.
//! It does not read what was decided.

use super::{Finding, Rule, house::House};

const FOLDER: &str = "docs/decisions/";

pub(super) const RULE: Rule = Rule {
    name: "decisions",
    because: "a record is cited by its number, so a number is given once and none is missing",
    check,
};

fn check(house: &House<'_>) -> Vec<Finding> {
    let records = house
        .tree
        .paths()
        .filter_map(|path| Some((path, path.strip_prefix(FOLDER)?)));
    let mut findings = Vec::new();
    for (index, (path, name)) in records.enumerate() {
        let expected = format!("{:04}-", index + 1);
        if !name.starts_with(&expected) || !name.ends_with(".md") {
            let what = format!("should be named {expected}something.md");
            findings.push(Finding::error(path, 1, what));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::{super::check, RULE};

    #[test]
    fn numbers_have_no_gaps() {
        let (one, two) = (
            ("docs/decisions/0001-a.md", ""),
            ("docs/decisions/0002-b.md", ""),
        );
        check(&RULE, &[one, two], &[]);
        let gap = ("docs/decisions/0003-c.md", "");
        let what = ["docs/decisions/0003-c.md:1: should be named 0002-something.md"];
        check(&RULE, &[one, gap], &what);
        let double = ("docs/decisions/0001-b.md", "");
        let what = ["docs/decisions/0001-b.md:1: should be named 0002-something.md"];
        check(&RULE, &[one, double], &what);
    }
}
