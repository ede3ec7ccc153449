//! Functions and files stay short enough to be read in one go.
//! Comments, blank lines and tests are not counted.

use super::{
    Finding, Rule,
    house::House,
    source::{Function, Source},
};

const FUNCTION_LINES_MAX: usize = 70;
const FILE_LINES_MAX: usize = 500;
const FILE_LINES_WARNED: usize = 400;

pub(super) const RULE: Rule = Rule {
    name: "length",
    because: "it is the tail of long files and functions that makes a code base hard to read",
    check,
};

fn check(house: &House<'_>) -> Vec<Finding> {
    house
        .sources
        .iter()
        .flat_map(|source| long_functions(source).chain(long_file(source)))
        .collect()
}

fn long_functions(source: &Source<'_>) -> impl Iterator<Item = Finding> {
    let long = |function: &Function<'_>| !function.test && function.lines > FUNCTION_LINES_MAX;
    source.functions().into_iter().filter(long).map(
        |Function {
             name, line, lines, ..
         }| {
            let what = format!("`{name}` has {lines} lines, at most {FUNCTION_LINES_MAX}");
            Finding::error(source.path, line, what)
        },
    )
}

fn long_file(source: &Source<'_>) -> Option<Finding> {
    let lines = source.production_lines();
    let make = if lines > FILE_LINES_MAX {
        Finding::error
    } else {
        Finding::warning
    };
    let what = format!("{lines} production lines, at most {FILE_LINES_MAX}");
    (lines > FILE_LINES_WARNED).then(|| make(source.path, 1, what))
}

#[cfg(test)]
mod tests {
    use super::{super::check, RULE};

    fn function(lines: usize) -> String {
        format!("fn a() {{\n{}}}\n", "b();\n".repeat(lines - 2))
    }

    #[test]
    fn functions_end_at_seventy_lines() {
        check(&RULE, &[("a.rs", &function(70))], &[]);
        check(
            &RULE,
            &[("a.rs", &function(71))],
            &["a.rs:1: `a` has 71 lines, at most 70"],
        );
        check(
            &RULE,
            &[("a.rs", &format!("#[cfg(test)]\n{}", function(71)))],
            &[],
        );
    }

    #[test]
    fn files_are_warned_before_they_end() {
        let file = |lines| "use a;\n".repeat(lines);
        check(&RULE, &[("a.rs", &file(400))], &[]);
        let warned = "a.rs:1: warning: 401 production lines, at most 500";
        check(&RULE, &[("a.rs", &file(401))], &[warned]);
        check(
            &RULE,
            &[("a.rs", &file(501))],
            &["a.rs:1: 501 production lines, at most 500"],
        );
        check(
            &RULE,
            &[(
                "a.rs",
                &format!("{}{}", file(400), "// why\n\n".repeat(200)),
            )],
            &[],
        );
    }
}
