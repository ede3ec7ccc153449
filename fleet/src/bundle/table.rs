//! The reference data: chosen columns of a CSV file with a header, as numbers.
//!
//! Never guesses: a ragged line or a cell that is no number is an error with its line. No quoting
//! inside rows. An empty cell and `nan` are missing values.

use std::fmt::Write as _;

/// Largest file, bytes: the agent's own bound.
pub(super) const BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Most rows: the agent's own bound.
const ROWS_MAX: usize = 100_000;
/// Fewest rows, and fewest numbers in a column, that make sixteen bins worth their name.
pub(super) const ROWS_MIN: usize = 100;
/// Most columns of the file.
const COLUMNS_MAX: usize = 4096;

/// Columns of numbers, of equal length.
#[derive(Debug, PartialEq)]
pub(super) struct Table {
    /// Name of each column.
    pub(super) names: Vec<String>,
    /// Values by column; NaN is a missing one.
    pub(super) columns: Vec<Vec<f32>>,
}

/// Why a file is no reference data.
#[derive(Debug, PartialEq, thiserror::Error)]
pub(super) enum TableError {
    #[error("it is not UTF-8 text")]
    NotText,
    #[error("it has no header")]
    NoHeader,
    #[error("its header has more than {COLUMNS_MAX} columns")]
    TooManyColumns,
    #[error("it has no column {name:?}; it has {found}")]
    NoColumn { name: String, found: String },
    #[error("line {line} has {got} cells, the header has {expected}")]
    Ragged {
        line: usize,
        expected: usize,
        got: usize,
    },
    #[error("line {line}, column {column:?}: {cell:?} is not a number")]
    Cell {
        line: usize,
        column: String,
        cell: String,
    },
    #[error("it has {0} rows, at least {ROWS_MIN} are needed")]
    TooFewRows(usize),
    #[error("it has more than {ROWS_MAX} rows")]
    TooManyRows,
    #[error("column {column:?} has {got} numbers, at least {ROWS_MIN} are needed")]
    Empty { column: String, got: usize },
}

impl Table {
    /// Reads the columns named in `select`, in its order; all columns without it.
    pub(super) fn parse(bytes: &[u8], select: Option<&[String]>) -> Result<Self, TableError> {
        let text = std::str::from_utf8(bytes).map_err(|_| TableError::NotText)?;
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut lines = text
            .lines()
            .enumerate()
            .filter(|(_, line)| !line.trim().is_empty());
        let (_, header) = lines.next().ok_or(TableError::NoHeader)?;
        let header: Vec<&str> = header
            .split(',')
            .map(|cell| cell.trim().trim_matches('"'))
            .collect();
        let places = places(&header, select)?;
        let names = places
            .iter()
            .map(|place| header[*place].to_owned())
            .collect();
        let mut table = Self {
            names,
            columns: vec![Vec::new(); places.len()],
        };
        for (index, line) in lines {
            table.push(index + 1, line, &header, &places)?;
        }
        table.check()?;
        Ok(table)
    }

    /// The same, and the column of labels apart, which is none of the others unless it is chosen.
    pub(super) fn parse_with_label(
        bytes: &[u8],
        select: Option<&[String]>,
        label: Option<&str>,
    ) -> Result<(Self, Option<Vec<f32>>), TableError> {
        let mut table = Self::parse(bytes, select)?;
        let Some(label) = label else {
            return Ok((table, None));
        };
        let labels = Self::parse(bytes, Some(&[label.to_owned()]))?.columns.pop();
        let place = table.names.iter().position(|name| name == label);
        if let Some(place) = place.filter(|_| select.is_none()) {
            table.names.remove(place);
            table.columns.remove(place);
        }
        Ok((table, labels))
    }

    /// Number of rows.
    pub(super) fn rows(&self) -> usize {
        self.columns.first().map_or(0, Vec::len)
    }

    /// The columns as a CSV file that the agent reads.
    pub(super) fn to_csv(&self) -> String {
        let header = (0..self.names.len()).map(|place| format!("f{place}"));
        let mut text = header.collect::<Vec<_>>().join(",");
        for row in 0..self.rows() {
            for (place, column) in self.columns.iter().enumerate() {
                text.push(if place == 0 { '\n' } else { ',' });
                if column[row].is_finite() {
                    write!(text, "{}", column[row]).expect("invariant: text grows");
                } else if self.names.len() == 1 {
                    // A line without any character would be passed over.
                    text.push_str("nan");
                }
            }
        }
        text.push('\n');
        text
    }

    fn push(
        &mut self,
        line: usize,
        text: &str,
        header: &[&str],
        places: &[usize],
    ) -> Result<(), TableError> {
        if self.rows() >= ROWS_MAX {
            return Err(TableError::TooManyRows);
        }
        let cells: Vec<&str> = text.split(',').map(str::trim).collect();
        let (expected, got) = (header.len(), cells.len());
        if expected != got {
            return Err(TableError::Ragged {
                line,
                expected,
                got,
            });
        }
        for (column, place) in self.columns.iter_mut().zip(places) {
            column.push(number(cells[*place]).ok_or_else(|| TableError::Cell {
                line,
                column: header[*place].into(),
                cell: cells[*place].chars().take(32).collect(),
            })?);
        }
        Ok(())
    }

    fn check(&self) -> Result<(), TableError> {
        if self.rows() < ROWS_MIN {
            return Err(TableError::TooFewRows(self.rows()));
        }
        for (name, column) in self.names.iter().zip(&self.columns) {
            let got = column.iter().filter(|value| value.is_finite()).count();
            if got < ROWS_MIN {
                return Err(TableError::Empty {
                    column: name.clone(),
                    got,
                });
            }
        }
        Ok(())
    }
}

fn places(header: &[&str], select: Option<&[String]>) -> Result<Vec<usize>, TableError> {
    if header.len() > COLUMNS_MAX {
        return Err(TableError::TooManyColumns);
    }
    let Some(select) = select else {
        return Ok((0..header.len()).collect());
    };
    let place = |name: &String| {
        header
            .iter()
            .position(|cell| cell == name)
            .ok_or_else(|| TableError::NoColumn {
                name: name.clone(),
                found: header.join(", ").chars().take(200).collect(),
            })
    };
    select.iter().map(place).collect()
}

fn number(cell: &str) -> Option<f32> {
    if cell.is_empty() {
        return Some(f32::NAN);
    }
    let value: f64 = cell.parse().ok()?;
    Some(value as f32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hostile::mutated;
    use proptest::prelude::*;

    fn check(head: &str, line: &str, select: Option<&[&str]>, expect: Result<usize, &str>) {
        let text = format!("{head}\n{}", format!("{line}\n").repeat(ROWS_MIN));
        let select: Option<Vec<String>> =
            select.map(|names| names.iter().map(|name| (*name).into()).collect());
        let read = Table::parse(text.as_bytes(), select.as_deref());
        match (&read, expect) {
            (Ok(table), Ok(columns)) => assert_eq!(table.names.len(), columns),
            (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{error}"),
            _ => panic!("{head} {line}: {read:?}"),
        }
    }

    #[test]
    fn a_table_is_read_or_says_where_not() {
        check("a,b", "1,-2e3", None, Ok(2));
        check("t,\"a\",b", "2004.02.12,1,2", Some(&["b", "a"]), Ok(2));
        check(
            "a,b",
            "1,2,3",
            None,
            Err("line 2 has 3 cells, the header has 2"),
        );
        check(
            "a,b",
            "1,x",
            None,
            Err("line 2, column \"b\": \"x\" is not a number"),
        );
        check(
            "a,b",
            "1,2",
            Some(&["c"]),
            Err("no column \"c\"; it has a, b"),
        );
        check("a,b", "1,", None, Err("column \"b\" has 0 numbers"));
        check("a,b", "1,nan", None, Err("column \"b\" has 0 numbers"));
        check("a,b", "1,inf", None, Err("column \"b\" has 0 numbers"));
    }

    #[test]
    fn too_little_is_no_reference() {
        assert_eq!(Table::parse(b"", None), Err(TableError::NoHeader));
        assert_eq!(
            Table::parse(b"a\n1\n", None),
            Err(TableError::TooFewRows(1))
        );
        assert_eq!(Table::parse(b"a\n\xff\n", None), Err(TableError::NotText));
    }

    #[test]
    fn missing_values_stay_missing_on_the_way_to_the_agent() {
        let names = vec!["a b".to_owned(), "c".to_owned()];
        let columns = vec![vec![1.0, f32::NAN], vec![0.1, 2.5]];
        assert_eq!(Table { names, columns }.to_csv(), "f0,f1\n1,0.1\n,2.5\n");
    }

    /// Enough rows that a table with one of them spoilt is still one.
    fn rows() -> Vec<u8> {
        let rows = (0..ROWS_MIN + 20).map(|row| format!("{row},{}.5,\n", row * 3));
        format!("a,b,c\n{}", rows.collect::<String>()).into_bytes()
    }

    proptest! {
        #[test]
        fn a_hostile_table_is_refused_or_has_columns_of_one_length(
            bytes in mutated(rows()),
            chosen in any::<bool>(),
        ) {
            let columns = ["b".to_owned(), "a".to_owned()];
            if let Ok(table) = Table::parse(&bytes, chosen.then_some(&columns[..])) {
                let rows = table.rows();
                prop_assert!((ROWS_MIN..=bytes.len()).contains(&rows));
                prop_assert!(table.columns.iter().all(|column| column.len() == rows));
                prop_assert_eq!(table.columns.len(), table.names.len());
            }
        }
    }
}
