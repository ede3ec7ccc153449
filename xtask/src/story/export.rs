//! Rows as files: what `xtask/story/train.py` learns from. Never read by the demo.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::Path;

use super::{BEARINGS, Fault, Machine, Row};

/// Names of the columns, which are the features' names in the models.
pub(crate) const COLUMNS: [&str; BEARINGS] = ["bearing_1", "bearing_2", "bearing_3", "bearing_4"];

/// Writes a header and one line per row, in g with six decimals.
///
/// # Errors
/// What the file system says.
pub(crate) fn write_csv(path: &Path, rows: &[Row]) -> io::Result<()> {
    let mut text = COLUMNS.join(",");
    text.push('\n');
    for row in rows {
        let line = row.map(|value| format!("{value:.6}")).join(",");
        writeln!(text, "{line}").map_err(io::Error::other)?;
    }
    fs::write(path, text)
}

/// Writes into `folder`: `healthy-N.csv`, a week of each of eight machines to learn from;
/// `check-N.csv`, four weeks of each of sixteen others, enough to see rare healthy rows; and
/// `faulty-N.csv`, one per bearing, with the onset in row [`FAULTY_ONSET_ROW`].
///
/// # Errors
/// What the file system says.
pub(crate) fn export_training_data(folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    for number in 0..8 {
        let healthy = Machine::new(1_000 + number, Fault::None).rows(1_008);
        write_csv(&folder.join(format!("healthy-{number}.csv")), &healthy)?;
    }
    for number in 0..16 {
        let check = Machine::new(2_000 + number, Fault::None).rows(4_032);
        write_csv(&folder.join(format!("check-{number}.csv")), &check)?;
    }
    for bearing in 0..BEARINGS {
        let fault = Fault::OuterRace {
            bearing,
            onset_row: FAULTY_ONSET_ROW,
        };
        let faulty = Machine::new(3_000 + bearing as u64, fault).rows(600);
        write_csv(&folder.join(format!("faulty-{bearing}.csv")), &faulty)?;
    }
    Ok(())
}

/// First row with a fault in the exported `faulty-N.csv`.
pub(crate) const FAULTY_ONSET_ROW: u64 = 300;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_a_line() -> io::Result<()> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("rows.csv");
        write_csv(
            &path,
            &[[0.061_5, 0.1, 1.0, 0.000_001], [2.0, 0.25, 0.0, 0.5]],
        )?;
        let expect = "bearing_1,bearing_2,bearing_3,bearing_4\n\
                      0.061500,0.100000,1.000000,0.000001\n\
                      2.000000,0.250000,0.000000,0.500000\n";
        assert_eq!(fs::read_to_string(path)?, expect);
        Ok(())
    }

    #[test]
    fn the_reference_is_what_the_generator_makes() -> io::Result<()> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("rows.csv");
        write_csv(&path, &Machine::new(1_000, Fault::None).rows(504))?;
        // Else the models were trained on another machine: run xtask/story/train.py again.
        assert!(include_str!("../../story/reference.csv").starts_with(&fs::read_to_string(path)?));
        Ok(())
    }
}
