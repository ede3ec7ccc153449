//! Columns of numbers from a CSV file with a header: what is replayed.
//! Never guesses: a cell that is no number is named with its line.

use std::{fs, path::Path};

use anyhow::{Context as _, bail, ensure};

/// Rows of chosen columns.
pub(super) type Rows = Vec<Vec<f32>>;

/// Reads the named columns, or the last `width` ones, of a file.
///
/// # Errors
/// No such file or column, or a cell that is no number.
pub(super) fn read(path: &Path, columns: &[String], width: usize) -> anyhow::Result<Rows> {
    let text = fs::read_to_string(path);
    let text = text.with_context(|| format!("failed to read {}", path.display()))?;
    let rows = parse(&text, columns, width);
    rows.with_context(|| format!("failed to read {}", path.display()))
}

/// Names of the columns that have a name and, in the first row, a number: an index without a
/// name and a column of dates are not what a model was made with.
///
/// # Errors
/// No such file, or no row.
pub(super) fn numeric_columns(path: &Path) -> anyhow::Result<Vec<String>> {
    let text = fs::read_to_string(path);
    let text = text.with_context(|| format!("failed to read {}", path.display()))?;
    let mut lines = text.lines().filter(|line| !line.trim().is_empty());
    let (header, first) = (
        lines.next().unwrap_or_default(),
        lines.next().unwrap_or_default(),
    );
    let named = cells(header).into_iter().zip(cells(first));
    let numeric = named.filter(|(name, cell)| !name.is_empty() && cell.parse::<f32>().is_ok());
    Ok(numeric.map(|(name, _)| name.to_owned()).collect())
}

fn parse(text: &str, columns: &[String], width: usize) -> anyhow::Result<Rows> {
    let mut lines = text.lines();
    let header = cells(lines.next().context("it is empty")?);
    let places = places(&header, columns, width)?;
    let filled = lines.zip(2..).filter(|(line, _)| !line.trim().is_empty());
    let rows: Rows = filled
        .map(|(line, number)| row(line, &places).with_context(|| format!("line {number}")))
        .collect::<Result<_, _>>()?;
    ensure!(!rows.is_empty(), "it has no rows");
    Ok(rows)
}

fn places(header: &[&str], columns: &[String], width: usize) -> anyhow::Result<Vec<usize>> {
    if columns.is_empty() {
        let first = header.len().checked_sub(width);
        let first = first.with_context(|| format!("it has fewer than {width} columns"))?;
        return Ok((first..header.len()).collect());
    }
    let place = |column: &String| {
        let found = header.iter().position(|name| name == column);
        found.with_context(|| format!("it has no column {column:?}; it has {header:?}"))
    };
    columns.iter().map(place).collect()
}

fn row(line: &str, places: &[usize]) -> anyhow::Result<Vec<f32>> {
    let cells = cells(line);
    let number = |place: &usize| {
        let Some(cell) = cells.get(*place) else {
            bail!("it has only {} cells", cells.len());
        };
        let value: f32 = cell
            .parse()
            .with_context(|| format!("{cell:?} is no number"))?;
        ensure!(value.is_finite(), "{cell:?} cannot be sent as JSON");
        Ok(value)
    };
    places.iter().map(number).collect()
}

/// Cells with commas in them are not read as such: their numbers would move, and are refused.
fn cells(line: &str) -> Vec<&str> {
    line.split(',')
        .map(|cell| cell.trim().trim_matches('"'))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_without_a_name_or_a_number_are_not_chosen() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let path = folder.path().join("data.csv");
        fs::write(&path, ",Datetime,Bearing 1,b\n0,2004.02.12,0.5,1\n").expect("writes");
        assert_eq!(numeric_columns(&path).expect("reads"), ["Bearing 1", "b"]);
    }

    fn check(text: &str, columns: &[&str], expect: Result<&[&[f32]], &str>) {
        let columns: Vec<_> = columns.iter().map(|&column| column.to_owned()).collect();
        match (parse(text, &columns, 2), expect) {
            (Ok(got), Ok(expect)) => assert_eq!(got, expect, "{text}"),
            (Err(error), Err(part)) => {
                assert!(format!("{error:#}").contains(part), "{error:#}");
            }
            (got, expect) => panic!("{text:?}: {got:?} instead of {expect:?}"),
        }
    }

    #[test]
    fn columns_are_chosen_by_name_or_from_the_end() {
        let text = "t,\"a\",b\nx,1,2\r\n\ny, 3 ,4\n";
        check(text, &[], Ok(&[&[1.0, 2.0], &[3.0, 4.0]]));
        check(text, &["b"], Ok(&[&[2.0], &[4.0]]));
        check(text, &["b", "a"], Ok(&[&[2.0, 1.0], &[4.0, 3.0]]));
        check(text, &["c"], Err("no column \"c\""));
        check(text, &["t"], Err("line 2: \"x\" is no number"));
    }

    #[test]
    fn what_is_no_table_says_why() {
        check("", &[], Err("empty"));
        check("a\n1", &[], Err("fewer than 2 columns"));
        check("a,b\n", &[], Err("no rows"));
        check("a,b\n1,2\n1", &[], Err("line 3: it has only 1 cells"));
        check("a,b\n1,NaN", &[], Err("cannot be sent"));
    }
}
