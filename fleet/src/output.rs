//! What commands print: data to standard output, as a table or as JSON; the rest goes to
//! standard error.
//!
//! Never decides what to show: a command hands in both forms.

use std::fmt;
use std::io::{self, Write as _};

use serde::Serialize;

use crate::error::{Exit, OperatorError};

/// The form of a command's data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub(crate) enum Output {
    /// For people.
    #[default]
    Text,
    /// For programs: one JSON document.
    Json,
}

impl Output {
    /// Prints `data` as JSON, or what `text` makes of it.
    pub(crate) fn print<T: Serialize>(self, data: &T, text: impl FnOnce(&T) -> String) {
        let shown = match self {
            Self::Text => text(data),
            Self::Json => serde_json::to_string_pretty(data)
                .expect("invariant: what commands print is plain JSON"),
        };
        print_line(&shown);
    }
}

/// Prints to standard output. A reader that went away (`| head`) is no error; data that found no
/// room must not look like all there is.
pub(crate) fn print_line(text: &str) {
    let mut out = io::stdout().lock();
    let written = out
        .write_all(text.trim_end().as_bytes())
        .and_then(|()| out.write_all(b"\n"))
        .and_then(|()| out.flush());
    let Err(error) = written else { return };
    if error.kind() != io::ErrorKind::BrokenPipe {
        let hint = "has the disk of the output room?";
        let error = OperatorError::new(Exit::Resource, "print", error, hint);
        note(&error);
        std::process::exit(error.exit as i32);
    }
}

/// Says something to the person at the terminal, beside the data.
pub(crate) fn note(text: impl fmt::Display) {
    let _reader_gone = writeln!(io::stderr().lock(), "{text}");
}

/// Columns of text under headings.
#[derive(Debug)]
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these headings.
    pub(crate) fn new(headings: &[&str]) -> Self {
        let headings = headings.iter().map(|heading| heading.to_uppercase());
        Self {
            rows: vec![headings.collect()],
        }
    }

    /// Adds a row.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = impl Into<String>>) {
        self.rows.push(cells.into_iter().map(Into::into).collect());
    }

    fn width(&self, column: usize) -> usize {
        let cells = self.rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns = self.rows.first().map_or(0, Vec::len);
        let widths: Vec<usize> = (0..columns).map(|column| self.width(column)).collect();
        for row in &self.rows {
            let cells = row
                .iter()
                .zip(&widths)
                .map(|(cell, width)| format!("{cell:width$}"));
            let line = cells.collect::<Vec<_>>().join("  ");
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

/// A number of bytes for people.
pub(crate) fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let (mut value, mut unit) = (bytes as f64 / 1024.0, 0);
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        (value, unit) = (value / 1024.0, unit + 1);
    }
    format!("{value:.1} {}", UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut table = Table::new(&["id", "step"]);
        table.row(["press-07", "active"]);
        table.row(["é", "-"]);
        assert_eq!(
            table.to_string(),
            "ID        STEP\npress-07  active\né         -\n"
        );
    }

    #[test]
    fn bytes_are_shown_in_their_unit() {
        for (input, expect) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1_572_864, "1.5 MiB"),
            (u64::MAX, "16777216.0 TiB"),
        ] {
            assert_eq!(bytes(input), expect);
        }
    }
}
