//! How far the run is: a bar on a terminal, a line now and then otherwise; on standard error.
//! Never part of the verdicts.

use std::{
    io::{IsTerminal as _, stderr},
    sync::atomic::{AtomicUsize, Ordering},
};

use indicatif::{ProgressBar, ProgressStyle};

/// Cases between two lines.
const STEP: usize = 100;

/// A run over a known number of cases.
pub(super) struct Progress {
    bar: Option<ProgressBar>,
    done: AtomicUsize,
    all: usize,
}

impl Progress {
    pub(super) fn start(all: usize) -> Self {
        let style = ProgressStyle::with_template("{bar:30} {pos}/{len} {msg}");
        let bar = style.ok().filter(|_| stderr().is_terminal());
        let bar = bar.map(|style| ProgressBar::new(all as u64).with_style(style));
        Self {
            bar,
            done: AtomicUsize::new(0),
            all,
        }
    }

    /// One more is done.
    pub(super) fn advance(&self, case: &str) {
        let done = self.done.fetch_add(1, Ordering::Relaxed) + 1;
        match &self.bar {
            Some(bar) => {
                bar.set_message(case.to_owned());
                bar.inc(1);
            }
            None if done.is_multiple_of(STEP) || done == self.all => {
                eprintln!("{done} of {} cases", self.all);
            }
            None => {}
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
