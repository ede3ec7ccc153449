//! Files and folders are named for what they hold.
//! It looks at Rust sources only.

use super::{Finding, Rule, house::House};

const EMPTY_NAMES: [&str; 7] = [
    "common", "helper", "helpers", "misc", "shared", "util", "utils",
];

pub(super) const RULE: Rule = Rule {
    name: "names",
    because: "a name that fits everything collects everything, and `mod.rs` says nothing in a tab",
    check,
};

fn check(house: &House<'_>) -> Vec<Finding> {
    let paths = house.sources.iter().map(|source| source.path);
    paths
        .filter_map(|path| Some(Finding::error(path, 1, complaint(path)?)))
        .collect()
}

fn complaint(path: &str) -> Option<String> {
    if path.ends_with("/mod.rs") {
        return Some("is named `mod.rs`: use `name.rs` beside `name/`".to_owned());
    }
    let mut parts = path.trim_end_matches(".rs").split('/');
    let empty = parts.find(|part| EMPTY_NAMES.contains(part))?;
    Some(format!("`{empty}` names no thing of the design"))
}

#[cfg(test)]
mod tests {
    use super::{super::check, RULE};

    #[test]
    fn names_name_something() {
        check(
            &RULE,
            &[("a/src/slot.rs", ""), ("a/src/slot/header.rs", "")],
            &[],
        );
        let bad = [
            ("a/src/helpers/x.rs", ""),
            ("a/src/slot/mod.rs", ""),
            ("a/src/utils.rs", ""),
        ];
        check(
            &RULE,
            &bad,
            &[
                "a/src/helpers/x.rs:1: `helpers` names no thing of the design",
                "a/src/slot/mod.rs:1: is named `mod.rs`: use `name.rs` beside `name/`",
                "a/src/utils.rs:1: `utils` names no thing of the design",
            ],
        );
    }
}
