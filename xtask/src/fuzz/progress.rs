//! How far the run is: a bar on a terminal, a line for each target otherwise; on standard error.
//! Never part of the figures.

use std::{
    io::{IsTerminal as _, stderr},
    sync::atomic::{AtomicUsize, Ordering},
};

use indicatif::{ProgressBar, ProgressStyle};

/// A run over a known number of targets.
pub(super) struct Progress {
    bar: Option<ProgressBar>,
    done: AtomicUsize,
    all: usize,
}

impl Progress {
    pub(super) fn start(all: usize) -> Self {
        let style = ProgressStyle::with_template("{bar:30} {pos}/{len} {elapsed} {msg}");
        let bar = style.ok().filter(|_| stderr().is_terminal());
        let bar = bar.map(|style| ProgressBar::new(all as u64).with_style(style));
        Self {
            bar,
            done: AtomicUsize::new(0),
            all,
        }
    }

    /// One more has had its share.
    pub(super) fn advance(&self, target: &str) {
        let done = self.done.fetch_add(1, Ordering::Relaxed) + 1;
        match &self.bar {
            Some(bar) => {
                bar.set_message(target.to_owned());
                bar.inc(1);
            }
            None => eprintln!("{done} of {} targets: {target}", self.all),
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
