//! One row on its way from a file into a request.
//!
//! Never more than one row: files may be larger than memory.

use crate::error::Failure;
use std::fmt;

/// A row that was read.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Row {
    pub(super) place: Place,
    /// What goes through to the output, in the order asked for.
    pub(super) carried: Vec<Carried>,
    /// One for each input of the model, in its order.
    pub(super) cells: Vec<Cell>,
}

/// What one row gives one input.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Cell {
    pub(super) shape: Vec<usize>,
    /// Little endian, in the input's datatype.
    pub(super) bytes: Vec<u8>,
}

/// An id, a label: never looked into.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Carried {
    /// A field of a CSV file.
    Text(Vec<u8>),
    /// A value as it stands in a JSONL file.
    Json(String),
}

/// Where a row stands, for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// Line of a text file, from 1.
    Line(u64),
    /// First index of an array, from 0.
    Index(u64),
}

/// A row that cannot be asked about; those after it can.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct BadRow {
    pub(super) place: Place,
    pub(super) because: String,
}

/// Why a source gives no row.
#[derive(Debug)]
pub(super) enum Fault {
    /// This one is no good.
    Row(BadRow),
    /// The file is not to be read any further.
    File(Failure),
}

impl Row {
    /// Bytes of its data.
    pub(super) fn size_bytes(&self) -> usize {
        self.cells.iter().map(|cell| cell.bytes.len()).sum()
    }

    /// Whether one tensor for each input can hold both.
    pub(super) fn fits_beside(&self, other: &Row) -> bool {
        let shapes = self.cells.iter().zip(&other.cells);
        shapes.fold(true, |fits, (a, b)| fits && a.shape == b.shape)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Line(line) => write!(f, "line {line}"),
            Place::Index(index) => write!(f, "row [{index}]"),
        }
    }
}

impl fmt::Display for BadRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.because)
    }
}
