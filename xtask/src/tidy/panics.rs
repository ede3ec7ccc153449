//! Production code neither unwraps nor expects without saying why it may.
//! Whether the stated invariant holds is for tests and reviewers.

use super::{Finding, Rule, house::House, lexer::Kind, source::Source};

pub(super) const RULE: Rule = Rule {
    name: "panics",
    because: "nothing panics on bad input, and what cannot happen says why it cannot",
    check,
};

fn check(house: &House<'_>) -> Vec<Finding> {
    house
        .sources
        .iter()
        .flat_map(|source| unwraps(source).chain(mute_expects(source)))
        .collect()
}

fn unwraps(source: &Source<'_>) -> impl Iterator<Item = Finding> {
    let found = source
        .find(&[".", "unwrap", "(", ")"])
        .filter(|&at| !source.is_test(at));
    found.map(|at| source.finding(at, "`.unwrap()`: return an error, or `expect` an invariant"))
}

fn mute_expects(source: &Source<'_>) -> impl Iterator<Item = Finding> {
    // A parser's own `expect` takes what it expects, not a reason.
    let own = source.find(&["fn", "expect"]).next().is_some();
    let found = source
        .find(&[".", "expect", "("])
        .filter(move |&at| !own && !source.is_test(at));
    let mute = found.filter(|&at| !states_invariant(source, at + 3));
    mute.map(|at| source.finding(at, "`.expect(..)` without an invariant in words"))
}

/// Whether the argument is a literal of at least two words.
fn states_invariant(source: &Source<'_>, at: usize) -> bool {
    let argument = source
        .tokens
        .get(at)
        .filter(|token| token.kind == Kind::Literal);
    argument.is_some_and(|token| token.text.split_whitespace().count() >= 2)
}

#[cfg(test)]
mod tests {
    use super::{super::check, RULE};

    #[test]
    fn invariants_are_stated() {
        let good = "x.expect(\"invariant: the buffer holds a whole piece\"); y.unwrap_or(0)";
        check(&RULE, &[("a/src/lib.rs", good)], &[]);
        check(
            &RULE,
            &[(
                "a/src/lib.rs",
                "#[test] fn a() { x.unwrap(); y.expect(\"\") }",
            )],
            &[],
        );
        check(
            &RULE,
            &[("a/src/lib.rs", "fn expect(b: u8) {} self.expect(b)")],
            &[],
        );
    }

    #[test]
    fn mute_panics_are_found() {
        let unwrap = "a/src/lib.rs:1: `.unwrap()`: return an error, or `expect` an invariant";
        check(&RULE, &[("a/src/lib.rs", "x.unwrap()")], &[unwrap]);
        let expect = "a/src/lib.rs:1: `.expect(..)` without an invariant in words";
        for text in [
            "x.expect(\"\")",
            "x.expect(\"oops\")",
            "x.expect(&format!(\"a b\"))",
        ] {
            check(&RULE, &[("a/src/lib.rs", text)], &[expect]);
        }
    }
}
