//! The table of what was asked and what was found, and its place in `docs/drift-real.md`.
//! Holds no times and no numbers that another run would not have.

use std::{fs, path::Path};

use anyhow::{Context as _, ensure};

use super::case::{Answer, Case, Expected, What};
use super::found::Found;
use super::recording::Recording;

const DOCUMENT: &str = "docs/drift-real.md";
const BEGIN: &str = "<!-- written by cargo xtask drift-real: begin -->\n";
const END: &str = "<!-- end -->\n";
const HEAD: &str = "\
| recording | what was replayed | asked | found | as asked |
|---|---|---|---|---|
";

/// Incidents that a cell tells; the others are counted.
const TOLD_MAX: usize = 4;

/// The lines of one case.
pub(super) fn lines(
    case: &Case,
    found: &[Found],
    devices: &[String],
    replayed: &Recording,
) -> String {
    let line = |expected: &Expected| {
        let told = told(&expected.what, found, replayed);
        let holds = expected.what.holds(found, devices);
        let standing = match (&expected.answer, holds) {
            (_, true) => "yes".to_owned(),
            (Answer::NotYet(because), false) => format!("no: {because}"),
            (Answer::Found, false) => "**no**".to_owned(),
        };
        let (name, done, asked) = (case.replayed.name, &case.done, expected.asked);
        format!("| {name} | {done} | {asked} | {told} | {standing} |\n")
    };
    case.expected.iter().map(line).collect()
}

/// The incidents that are about what was asked.
fn told(what: &What, found: &[Found], replayed: &Recording) -> String {
    let is_about = |of: &&Found| match what {
        What::NothingBefore(row) => of.row <= *row,
        What::Cause(_, _, from) => of.row >= *from,
        What::Each(features, _) => features.contains(&of.feature.as_str()),
        What::Nothing | What::First(..) | What::OfBroken(..) => true,
    };
    let about: Vec<&Found> = found.iter().filter(is_about).collect();
    let shown = match what {
        What::First(..) => 1,
        _ => TOLD_MAX,
    };
    let told = about.iter().take(shown).map(|of| {
        let date = replayed.date(of.row);
        format!("row {} ({date}): {}", of.row, of.words())
    });
    let mut told: Vec<String> = told.collect();
    let more = about.len().saturating_sub(shown);
    if more > 0 && shown > 1 {
        told.push(format!("{more} more"));
    }
    match told.is_empty() {
        true => "nothing".to_owned(),
        false => told.join("; "),
    }
}

/// Writes the table into the document, or says that another one stands there.
///
/// # Errors
/// There is no such document, or another table and `write` is not set.
pub(super) fn publish(root: &Path, lines: &str, write: bool) -> anyhow::Result<()> {
    let path = root.join(DOCUMENT);
    let text = fs::read_to_string(&path);
    let text = text.with_context(|| format!("failed to read {}", path.display()))?;
    let next = placed(&text, lines)?;
    if write {
        fs::write(&path, next)?;
        println!("{DOCUMENT} is written");
        return Ok(());
    }
    ensure!(
        next == text,
        "failed to keep {DOCUMENT} true: because this table is another one: hint: write it with \
         --write, and read what has changed"
    );
    Ok(())
}

fn placed(text: &str, lines: &str) -> anyhow::Result<String> {
    let parts = text.split_once(BEGIN);
    let parts = parts.and_then(|(before, behind)| Some((before, behind.split_once(END)?.1)));
    let (before, behind) = parts.context("it has no place for the table")?;
    Ok(format!("{before}{BEGIN}\n{HEAD}{lines}\n{END}{behind}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_takes_its_place_again_and_again() -> anyhow::Result<()> {
        let text = format!("a\n{BEGIN}old\n{END}b\n");
        let once = placed(&text, "| x |\n")?;
        assert_eq!(once, format!("a\n{BEGIN}\n{HEAD}| x |\n\n{END}b\n"));
        assert_eq!(placed(&once, "| x |\n")?, once);
        assert!(placed("a\n", "").is_err());
        assert!(placed(&format!("a\n{BEGIN}b\n"), "").is_err());
        Ok(())
    }
}
