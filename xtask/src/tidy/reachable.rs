//! Every Rust file is part of some build.
//! It follows `mod` alone and does not know `include!`.

use super::{Finding, Rule, house::House};

pub(super) const RULE: Rule = Rule {
    name: "reachable",
    because: "a file that no `mod` names is never compiled, yet people read and mend it",
    check,
};

fn check(house: &House<'_>) -> Vec<Finding> {
    let dead = house
        .sources
        .iter()
        .filter(|source| !house.reachable.contains(source.path));
    dead.map(|source| Finding::error(source.path, 1, "no `mod` leads here"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{super::check, RULE};

    #[test]
    fn dead_files_are_found() {
        let package = ("a/Cargo.toml", "[package]\nname = \"a\"\n");
        let (root, slot) = (("a/src/lib.rs", "mod slot;"), ("a/src/slot.rs", ""));
        check(&RULE, &[package, root, slot], &[]);
        let dead = ("a/src/old.rs", "");
        check(
            &RULE,
            &[package, root, slot, dead],
            &["a/src/old.rs:1: no `mod` leads here"],
        );
    }
}
