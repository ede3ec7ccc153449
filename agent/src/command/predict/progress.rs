//! How far a batch is: a bar on a terminal, a line every few seconds otherwise, always on stderr.
//!
//! Never part of the data.

use crate::clock;
use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal as _;

/// Between two lines.
const LINE_US: u64 = 5_000_000;

/// How far one batch is.
pub(super) struct Progress {
    bar: Option<ProgressBar>,
    file_bytes: Option<u64>,
    begun_us: u64,
    told_us: u64,
    rows: u64,
}

/// Where rows are written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum To {
    /// Standard output.
    Stdout,
    /// A file.
    File,
}

impl Progress {
    /// Begins; the size of the file is not known of a pipe.
    pub(super) fn start(file_bytes: Option<u64>, to: To) -> Self {
        // A bar among rows on the same terminal could not be read.
        let alone = to == To::File || !std::io::stdout().is_terminal();
        let now = clock::monotonic_us();
        Self {
            bar: (alone && std::io::stderr().is_terminal()).then(|| bar(file_bytes)),
            file_bytes,
            begun_us: now,
            told_us: now,
            rows: 0,
        }
    }

    /// Rows that were predicted so far.
    pub(super) const fn rows(&self) -> u64 {
        self.rows
    }

    /// So many more rows are done, and so many bytes of the file.
    pub(super) fn advance(&mut self, rows: usize, bytes: u64) {
        self.rows += rows as u64;
        let now = clock::monotonic_us();
        if let Some(bar) = &self.bar {
            bar.set_position(bytes);
            bar.set_message(format!("{} rows", self.rows));
        } else if now.saturating_sub(self.told_us) >= LINE_US {
            self.told_us = now;
            let share = self.file_bytes.filter(|all| *all > 0);
            let share = share.map_or(String::new(), |all| format!(", {} %", bytes * 100 / all));
            eprintln!("{} rows{share}", self.rows);
        }
    }

    /// Says something beside the bar.
    pub(super) fn say(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| eprintln!("{line}")),
            None => eprintln!("{line}"),
        }
    }

    /// The closing line.
    pub(super) fn close(self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        let took_us = clock::monotonic_us().saturating_sub(self.begun_us);
        eprintln!("{}", closing_line(self.rows, took_us));
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn bar(file_bytes: Option<u64>) -> ProgressBar {
    let template = match file_bytes {
        Some(_) => "{bar:30} {bytes}/{total_bytes} {eta}  {msg}",
        None => "{spinner} {bytes}  {msg}",
    };
    let style = ProgressStyle::with_template(template).expect("invariant: a fixed template");
    let bar = file_bytes.map_or_else(ProgressBar::new_spinner, ProgressBar::new);
    bar.with_style(style)
}

fn closing_line(rows: u64, took_us: u64) -> String {
    let seconds = took_us as f64 / 1e6;
    let rate = rows as f64 / seconds.max(1e-6);
    format!("predicted {rows} rows in {seconds:.1} s: {rate:.0} rows/s")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_closing_line_says_rows_seconds_and_rate() {
        let check = |rows, took_us, expect: &str| assert_eq!(closing_line(rows, took_us), expect);
        check(
            50_000,
            2_500_000,
            "predicted 50000 rows in 2.5 s: 20000 rows/s",
        );
        check(0, 0, "predicted 0 rows in 0.0 s: 0 rows/s");
    }
}
