//! Nothing half-done is left behind.
//! Open work belongs into the issue list, which this does not read.

use super::{Finding, Rule, house::House, source::Source};

const MACROS: [&str; 3] = ["todo", "unimplemented", "dbg"];
const MARKS: [&str; 3] = ["FIXME", "TODO", "XXX"];

pub(super) const RULE: Rule = Rule {
    name: "leftovers",
    because: "a note to oneself in the code is read by everyone and acted on by no one",
    check,
};

fn check(house: &House<'_>) -> Vec<Finding> {
    let sources = house
        .sources
        .iter()
        .flat_map(|source| macros(source).chain(marks(source)));
    sources.collect()
}

fn macros(source: &Source<'_>) -> impl Iterator<Item = Finding> {
    MACROS.iter().flat_map(move |name| {
        let found = source.find(&[name, "!"]).collect::<Vec<_>>();
        found
            .into_iter()
            .map(move |at| source.finding(at, format!("`{name}!`")))
    })
}

fn marks(source: &Source<'_>) -> impl Iterator<Item = Finding> {
    source.comments.iter().filter_map(|comment| {
        let mut words = comment
            .text
            .split(|c: char| !c.is_alphanumeric() && c != '_');
        let mark = words.find(|word| MARKS.contains(word))?;
        Some(Finding::error(
            source.path,
            comment.line,
            format!("a comment says {mark}"),
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::{super::check, RULE};

    #[test]
    fn leftovers_are_found() {
        check(&RULE, &[("a.rs", "// why\nlet s = \"TODO dbg!\";")], &[]);
        check(
            &RULE,
            &[("a.rs", "// FIXME later\nfn a() { todo!() }\ndbg!(x);")],
            &[
                "a.rs:2: `todo!`",
                "a.rs:3: `dbg!`",
                "a.rs:1: a comment says FIXME",
            ],
        );
    }
}
