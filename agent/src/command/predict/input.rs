//! Where rows come from: a source for each kind of file.
//!
//! Never holds more than a few rows, however large the file is.

mod columns;
mod csv;
mod field;
#[cfg(test)]
mod hostile;
mod jsonl;
mod metered;
mod nested;
mod npy;

pub(super) use csv::{CsvRows, Header};
pub(super) use jsonl::JsonlRows;
pub(super) use npy::NpyRows;

use super::row::{Fault, Row};

/// A file that is being read, row by row.
pub(super) trait Source {
    /// The next row; none at the end.
    ///
    /// # Errors
    /// See [`Fault`]: after a bad row the next one can be read.
    fn next(&mut self) -> Result<Option<Row>, Fault>;

    /// Bytes of the file that were read.
    fn bytes_read(&self) -> u64;
}

/// What the user wants of the columns or fields.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Wanted {
    /// Those that feed the model; empty to find them by name or position.
    pub(super) columns: Vec<String>,
    /// Those that go through to the output.
    pub(super) carried: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::predict::row::Carried;
    use crate::tensor::{Datatype, Element};

    pub(super) fn wanted(columns: &[&str], carried: &[&str]) -> Wanted {
        let own = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        Wanted {
            columns: own(columns),
            carried: own(carried),
        }
    }

    /// Every row in one line: `place: carried | elements of each input`, or what is wrong.
    pub(super) fn read_all(mut rows: impl Source) -> Vec<String> {
        let mut all = Vec::new();
        loop {
            match rows.next() {
                Ok(Some(row)) => all.push(shown(&row)),
                Ok(None) => return all,
                Err(Fault::Row(bad)) => all.push(bad.to_string()),
                Err(Fault::File(failure)) => {
                    all.push(failure.to_string());
                    return all;
                }
            }
        }
    }

    /// FP32 first, INT64 after: the inputs of the tests' models.
    fn shown(row: &Row) -> String {
        let carried = row.carried.iter().map(|carried| match carried {
            Carried::Text(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            Carried::Json(text) => text.clone(),
        });
        let mut line = format!("{}: {}", row.place, carried.collect::<Vec<_>>().join(" "));
        for (cell, datatype) in row.cells.iter().zip([Datatype::F32, Datatype::I64]) {
            let elements = cell.bytes.chunks(datatype.size());
            let elements = elements.map(|bytes| Element::read(datatype, bytes).to_string());
            let elements = elements.collect::<Vec<_>>().join(" ");
            line = format!("{} | {elements}", line.trim_end_matches('\n'));
        }
        line.replace(":  |", ": |")
    }
}
