//! Rows of a recording with their dates. Columns are counted from the right: a header may have a name
//! too few. Never guesses: a cell that is no number is named with its line.

use std::{fmt::Write as _, fs, ops::Range, path::Path};

use anyhow::{Context as _, ensure};

use super::case::Source;

/// A column by its place from the right, 1 for the last.
#[derive(Debug, Clone, Copy)]
pub(super) struct Column {
    /// What the model's input is called.
    pub(super) name: &'static str,
    pub(super) from_right: usize,
}

/// Where a row says when it was.
#[derive(Debug, Clone, Copy)]
pub(super) enum Dates {
    /// In this column from the right, as `2015-02-04 17:51:00` or `2004.02.12.10.32.39`.
    FromRight(usize),
    /// Nowhere: they are half-hours of days that have lost their names.
    HalfHours,
}

/// A recording as it was read.
pub(super) struct Recording {
    pub(super) rows: Vec<Vec<f32>>,
    dates: Vec<String>,
}

impl Recording {
    /// Reads it from the folder of shared data.
    ///
    /// # Errors
    /// No such file, or a cell that is no number.
    pub(super) fn read(folder: &Path, source: &Source) -> anyhow::Result<Self> {
        let path = folder.join(source.file);
        let text = fs::read_to_string(&path);
        let text = text.with_context(|| format!("failed to read {}", path.display()))?;
        Self::parse(&text, source).with_context(|| format!("failed to read {}", path.display()))
    }

    fn parse(text: &str, source: &Source) -> anyhow::Result<Self> {
        let (mut rows, mut dates) = (Vec::new(), Vec::new());
        for (number, line) in text.lines().enumerate().skip(1) {
            let cells: Vec<&str> = line.trim().split(',').collect();
            let read = |column: &Column| cell(&cells, column.from_right)?.parse().ok();
            let row: Option<Vec<f32>> = source.columns.iter().map(read).collect();
            rows.push(row.with_context(|| format!("line {} has no numbers", number + 1))?);
            let date = match source.dates {
                Dates::FromRight(place) => cell(&cells, place).map(minutes),
                Dates::HalfHours => Some(half_hour(number - 1)),
            };
            dates.push(date.with_context(|| format!("line {} has no date", number + 1))?);
        }
        ensure!(!rows.is_empty(), "it has no rows");
        Ok(Self { rows, dates })
    }

    /// When a row was; nothing of one that is not there.
    pub(super) fn date(&self, row: usize) -> &str {
        self.dates.get(row).map_or("", String::as_str)
    }

    /// Rows of each day.
    pub(super) fn days(&self) -> Vec<(String, Range<usize>)> {
        let mut days: Vec<(String, Range<usize>)> = Vec::new();
        for (row, date) in self.dates.iter().enumerate() {
            let day = date.split(' ').next().unwrap_or_default();
            match days.last_mut() {
                Some((last, rows)) if last == day => rows.end = row + 1,
                _ => days.push((day.to_owned(), row..row + 1)),
            }
        }
        days
    }

    /// Some rows as a table with a header, for `muster bundle build --reference`.
    pub(super) fn table(&self, source: &Source, chosen: &[usize]) -> String {
        let names: Vec<&str> = source.columns.iter().map(|column| column.name).collect();
        let mut text = names.join(",") + "\n";
        for row in chosen.iter().filter_map(|row| self.rows.get(*row)) {
            for (at, value) in row.iter().enumerate() {
                let comma = if at > 0 { "," } else { "" };
                let _a_string_takes_all = write!(text, "{comma}{value}");
            }
            text.push('\n');
        }
        text
    }
}

fn cell<'l>(cells: &[&'l str], from_right: usize) -> Option<&'l str> {
    let place = cells.len().checked_sub(from_right)?;
    cells.get(place).map(|cell| cell.trim_matches('"'))
}

/// A date without its seconds, in one form.
fn minutes(date: &str) -> String {
    let digits: Vec<&str> = date.split(['.', '-', ':', ' ']).collect();
    match digits.as_slice() {
        [year, month, day, hour, minute, ..] => format!("{year}-{month}-{day} {hour}:{minute}"),
        _ => date.to_owned(),
    }
}

fn half_hour(row: usize) -> String {
    let (day, half) = (row / 48 + 1, row % 48);
    format!("day {day} {:02}:{:02}", half / 2, 30 * (half % 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: Source = Source {
        name: "two",
        file: "",
        columns: &[
            Column {
                name: "a",
                from_right: 3,
            },
            Column {
                name: "b",
                from_right: 1,
            },
        ],
        dates: Dates::FromRight(4),
    };

    #[test]
    fn rows_are_read_from_the_right_with_their_dates() -> anyhow::Result<()> {
        let text = "Date,a,x,b\n1,\"2015-02-04 23:59:00\",1,9,2\n2,\"2015-02-05 00:00:00\",3,9,4\n";
        let read = Recording::parse(text, &TWO)?;
        assert_eq!(read.rows, [[1.0, 2.0], [3.0, 4.0]]);
        assert_eq!(read.date(1), "2015-02-05 00:00");
        let days = [
            ("2015-02-04".to_owned(), 0..1),
            ("2015-02-05".to_owned(), 1..2),
        ];
        assert_eq!(read.days(), days);
        assert_eq!(read.table(&TWO, &[1]), "a,b\n3,4\n");
        Ok(())
    }

    #[test]
    fn what_is_no_row_is_named() {
        let check = |text: &str, part: &str| {
            let error = Recording::parse(text, &TWO).err();
            let error = error.map(|error| error.to_string()).unwrap_or_default();
            assert!(error.contains(part), "{text:?}: {error}");
        };
        check("Date,a,x,b\n", "no rows");
        check("Date,a,x,b\n2015-02-04 1:00,x,9,2\n", "line 2");
        check("Date,a,x,b\n1,2\n", "line 2");
    }

    #[test]
    fn dates_have_one_form() {
        let check = |date: &str, expect: &str| assert_eq!(minutes(date), expect);
        check("2015-02-04 17:51:00", "2015-02-04 17:51");
        check("2004.02.12.10.32.39", "2004-02-12 10:32");
        check("noon", "noon");
        assert_eq!(half_hour(49), "day 2 00:30");
    }
}
