//! Rows of a CSV file as requests, and what a model answers to each.
//!
//! Never guesses: a cell that is no number is an error with its line. No quoting, numbers only.

use super::report::numbers;
use crate::tensor::{Datatype, Dim, Signature, Tensor, TensorSpec};
use crate::worker::{Worker, WorkerFault};
use serde_json::{Map, Value};
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// Largest CSV file, bytes.
pub(super) const ROWS_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Most rows.
const ROWS_MAX: usize = 100_000;

/// A table of numbers.
#[derive(Debug, PartialEq)]
pub(super) struct Rows {
    columns: usize,
    values: Vec<Vec<f64>>,
}

/// Why rows cannot be answered.
#[derive(Debug, thiserror::Error)]
pub(super) enum RowsError {
    #[error("it is not UTF-8 text")]
    NotText,
    #[error("it has no header")]
    NoHeader,
    #[error("it has more than {ROWS_MAX} rows")]
    TooMany,
    #[error("line {line}: expected {expected} columns as in the header, got {got}")]
    Columns {
        line: usize,
        expected: usize,
        got: usize,
    },
    #[error("line {line}, column {column}: {cell:?} is not a number")]
    Cell {
        line: usize,
        column: usize,
        cell: String,
    },
    #[error("rows need a model with one FP32 or FP64 input of shape [N, features], it has {0}")]
    Signature(String),
    #[error("the model takes {expected} features, the rows have {got}")]
    Features { expected: usize, got: usize },
    #[error("row {row}: {fault}")]
    Run { row: usize, fault: WorkerFault },
}

impl Rows {
    /// The first line is a header; empty lines are skipped; an empty cell is NaN.
    pub(super) fn parse(bytes: &[u8]) -> Result<Rows, RowsError> {
        let text = std::str::from_utf8(bytes).map_err(|_| RowsError::NotText)?;
        let mut lines = text
            .lines()
            .enumerate()
            .filter(|(_, line)| !line.trim().is_empty());
        let (_, header) = lines.next().ok_or(RowsError::NoHeader)?;
        let columns = header.split(',').count();
        let mut values = Vec::new();
        for (index, line) in lines {
            if values.len() >= ROWS_MAX {
                return Err(RowsError::TooMany);
            }
            values.push(parse_line(index + 1, line, columns)?);
        }
        Ok(Rows { columns, values })
    }
}

fn parse_line(line: usize, text: &str, columns: usize) -> Result<Vec<f64>, RowsError> {
    let cells: Vec<&str> = text.split(',').map(str::trim).collect();
    if cells.len() != columns {
        return Err(RowsError::Columns {
            line,
            expected: columns,
            got: cells.len(),
        });
    }
    let parse = |(index, cell): (usize, &&str)| match *cell {
        "" => Ok(f64::NAN),
        cell => cell.parse().map_err(|_| {
            let cell = cell.chars().take(32).collect();
            RowsError::Cell {
                line,
                column: index + 1,
                cell,
            }
        }),
    };
    cells.iter().enumerate().map(parse).collect()
}

/// `{output: [numbers]}` for each row.
pub(super) async fn answer(worker: &mut Worker, rows: &Rows) -> Result<Vec<Value>, RowsError> {
    let spec = single_input(worker.signature(), rows.columns)?.clone();
    let mut answers = Vec::with_capacity(rows.values.len());
    for (row, values) in rows.values.iter().enumerate() {
        let input = input(&spec, values)?;
        let outputs = worker.run(vec![input]).await;
        let (outputs, _) = outputs.map_err(|fault| RowsError::Run { row, fault })?;
        let named = outputs
            .iter()
            .map(|tensor| (tensor.name().to_owned(), numbers(tensor)));
        answers.push(Value::Object(named.collect::<Map<_, _>>()));
    }
    Ok(answers)
}

fn single_input(signature: &Signature, columns: usize) -> Result<&TensorSpec, RowsError> {
    let unfit = || {
        let inputs = signature.inputs.iter();
        let texts: Vec<_> = inputs
            .map(|spec| format!("{} {}", spec.datatype, spec.shape_text()))
            .collect();
        RowsError::Signature(texts.join(", "))
    };
    let [spec] = signature.inputs.as_slice() else {
        return Err(unfit());
    };
    let float = matches!(spec.datatype, Datatype::F32 | Datatype::F64);
    match spec.shape.as_slice() {
        [batch, features] if float && batch.admits(1) => match features {
            Dim::Fixed(expected) if *expected != columns => Err(RowsError::Features {
                expected: *expected,
                got: columns,
            }),
            Dim::Fixed(_) | Dim::Any => Ok(spec),
        },
        _ => Err(unfit()),
    }
}

fn input(spec: &TensorSpec, values: &[f64]) -> Result<Tensor, RowsError> {
    let data = if spec.datatype == Datatype::F64 {
        values
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect()
    } else {
        values
            .iter()
            .flat_map(|value| (*value as f32).to_le_bytes())
            .collect()
    };
    let tensor = Tensor::new(&spec.name, spec.datatype, vec![1, values.len()], data);
    tensor.map_err(|error| RowsError::Signature(error.to_string()))
}

/// A whole file, refused when it is larger than its bound.
pub(super) fn read_bounded(path: &Path, bytes_max: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?
        .take(bytes_max + 1)
        .read_to_end(&mut bytes)?;
    if bytes.len() as u64 > bytes_max {
        return Err(io::Error::other(format!(
            "it is larger than {bytes_max} bytes"
        )));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_numbers_or_say_where_not() {
        fn check(text: &[u8], expect: &str) {
            let got = match Rows::parse(text) {
                Ok(rows) => format!("{:?}", rows.values),
                Err(error) => error.to_string(),
            };
            assert_eq!(got, expect);
        }
        check(
            b"a,b\r\n1, 2.5\r\n\r\n,-3e2\n",
            "[[1.0, 2.5], [NaN, -300.0]]",
        );
        check(b"a,b\n", "[]");
        check(b"", "it has no header");
        check(b"a\n\xff", "it is not UTF-8 text");
        check(
            b"a,b\n1,2\n1\n",
            "line 3: expected 2 columns as in the header, got 1",
        );
        check(b"a,b\n1,x\n", "line 2, column 2: \"x\" is not a number");
    }
}
