//! Every test that the threat model names exists.
//! Whether it shows what the threat model says of it is for people to judge.

use super::{Finding, Rule, house::House, source::Source};

const DOCUMENT: &str = "docs/threat-model.md";

pub(super) const RULE: Rule = Rule {
    name: "threats",
    because: "a threat model whose tests are gone promises what nobody has checked",
    check,
};

fn check(house: &House<'_>) -> Vec<Finding> {
    let text = house.tree.texts().find(|(path, _)| *path == DOCUMENT);
    let lines = text
        .into_iter()
        .flat_map(|(_, text)| (1..).zip(text.lines()));
    let named = lines.flat_map(|(number, line)| named(line).map(move |name| (number, name)));
    let missing = named.filter(|(_, (path, test))| !is_there(&house.sources, path, test));
    let finding = |(number, (path, test))| {
        Finding::error(DOCUMENT, number, format!("there is no test {path}::{test}"))
    };
    missing.map(finding).collect()
}

/// The tests that a line names, as `path/of/file.rs::name` in a code span.
fn named(line: &str) -> impl Iterator<Item = (&str, &str)> {
    let spans = line.split('`').skip(1).step_by(2);
    let pairs = spans.filter_map(|span| span.split_once("::"));
    pairs.filter(|(path, _)| path.ends_with(".rs"))
}

fn is_there(sources: &[Source<'_>], path: &str, test: &str) -> bool {
    let source = sources.iter().find(|source| source.path == path);
    let functions = source.map(Source::functions).unwrap_or_default();
    functions
        .iter()
        .any(|function| function.name == test && function.test)
}

#[cfg(test)]
mod tests {
    use super::super::{Tree, check, house::House};
    use super::{DOCUMENT, RULE, is_there};

    const PACKAGE: (&str, &str) = ("a/Cargo.toml", "[package]\nname = \"a\"\n");
    const SOURCE: (&str, &str) = (
        "a/src/lib.rs",
        "fn f() {} #[cfg(test)] mod tests { #[test] fn t() {} }",
    );

    fn check_row(row: &str, expect: &[&str]) {
        let text = format!("| who | what |\n|---|---|\n{row}\n");
        check(&RULE, &[PACKAGE, SOURCE, (DOCUMENT, &text)], expect);
    }

    #[test]
    fn tests_that_are_named_exist() {
        check_row("| thief | `a/src/lib.rs::t` |", &[]);
        check_row(
            "a/src/lib.rs::gone stands in no code span; `a::b` is no test",
            &[],
        );
        check_row(
            "| thief | `a/src/lib.rs::gone`, `a/src/lib.rs::t` |",
            &["docs/threat-model.md:3: there is no test a/src/lib.rs::gone"],
        );
        check_row(
            "`a/src/lost.rs::t`",
            &["docs/threat-model.md:3: there is no test a/src/lost.rs::t"],
        );
        check_row(
            "`a/src/lib.rs::f`",
            &["docs/threat-model.md:3: there is no test a/src/lib.rs::f"],
        );
    }

    #[test]
    fn a_test_is_looked_for_in_its_own_file() {
        let tree = Tree::of(&[PACKAGE, SOURCE, ("a/src/b.rs", "")]);
        let house = House::new(&tree);
        assert!(is_there(&house.sources, "a/src/lib.rs", "t"));
        assert!(!is_there(&house.sources, "a/src/b.rs", "t"));
    }
}
