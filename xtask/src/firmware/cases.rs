//! The cases of `firmware/cases.txt`: what the images are asked to do, and how they must end.
//! It reads the table; it knows no verdict.

use anyhow::{Context as _, bail, ensure};

/// The table.
pub(super) const TABLE: &str = include_str!("../../../firmware/cases.txt");

/// One run of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Case {
    pub(super) name: String,
    pub(super) image: Image,
    /// `task=file`, in order.
    pub(super) words: Vec<String>,
    /// Name of the verdict.
    pub(super) expect: String,
}

/// Which program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Image {
    /// The one that a device runs.
    Node,
    /// The one that breaks on purpose.
    Broken,
}

/// What a node takes up until it is ready for an assignment.
const STEPS: [(&str, &str); 4] = [
    ("provision", "provision=provision.cbor"),
    ("fleet-keys", "fleet-keys=fleet-keys-1.cose"),
    ("model-keys", "model-keys=model-keys-1.cose"),
    ("ready", "time=time.cose"),
];

/// Reads the table.
///
/// # Errors
/// A line that is no case.
pub(super) fn read(table: &str) -> anyhow::Result<Vec<Case>> {
    let lines = table.lines().zip(1..);
    let lines = lines.filter(|(line, _)| !line.is_empty() && !line.starts_with('#'));
    let cases = lines.map(|(line, number)| case(line).with_context(|| format!("line {number}")));
    let cases: Vec<_> = cases.collect::<Result<_, _>>()?;
    ensure!(!cases.is_empty(), "there is no case");
    Ok(cases)
}

fn case(line: &str) -> anyhow::Result<Case> {
    let cells: Vec<_> = line.split('|').map(str::trim).collect();
    let [name, before, tasks, expect] = cells[..] else {
        bail!("expected name | before | tasks | verdict");
    };
    ensure!(
        !name.is_empty() && !expect.is_empty(),
        "name and verdict are needed"
    );
    let words = before_words(before)?.iter().map(|(_, word)| *word);
    let words = words.chain(tasks.split_whitespace()).map(str::to_owned);
    Ok(Case {
        name: name.to_owned(),
        image: if before == "broken" {
            Image::Broken
        } else {
            Image::Node
        },
        words: words.collect(),
        expect: expect.to_owned(),
    })
}

fn before_words(before: &str) -> anyhow::Result<&'static [(&'static str, &'static str)]> {
    if ["nothing", "broken"].contains(&before) {
        return Ok(&[]);
    }
    let last = STEPS.iter().position(|(name, _)| *name == before);
    let last = last.with_context(|| format!("{before:?} is no step"))?;
    Ok(&STEPS[..=last])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_can_be_read() {
        let cases = read(TABLE).expect("a table");
        let good = cases.iter().filter(|case| case.expect == "Done").count();
        assert!(good >= 1 && cases.len() > 30, "{good} of {}", cases.len());
        let mut names: Vec<_> = cases.iter().map(|case| &case.name).collect();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), cases.len(), "each case has its own name");
    }

    #[test]
    fn every_file_of_the_table_is_committed() {
        let folder = super::super::fixtures::folder(&crate::run::root());
        for case in read(TABLE).expect("a table") {
            let files = case.words.iter().filter_map(|word| word.split_once('='));
            for (_, file) in files.filter(|_| case.expect != "Usage") {
                assert!(folder.join(file).is_file(), "{}: {file}", case.name);
            }
        }
    }

    fn check(line: &str, expect: Option<(Image, &str)>) {
        let seen = read(line).ok().map(|mut cases| cases.remove(0));
        let seen = seen.map(|case| (case.image, case.words.join(" ")));
        assert_eq!(
            seen,
            expect.map(|(image, words)| (image, words.to_owned())),
            "{line}"
        );
    }

    #[test]
    fn a_line_that_is_no_case_is_refused() {
        let words = "provision=provision.cbor fleet-keys=fleet-keys-1.cose a=b";
        check("x | fleet-keys | a=b | Done", Some((Image::Node, words)));
        check(
            "x | broken | panic | Panicked",
            Some((Image::Broken, "panic")),
        );
        check("x | later | a=b | Done", None);
        check("x | nothing | a=b", None);
        check("x | nothing | a=b |", None);
        check("# nothing but words", None);
    }
}
