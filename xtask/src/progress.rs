//! How far the run is: a bar on a terminal, a line now and then otherwise; on standard error.
//! Never part of what a command has to say.

use std::{
    io::{IsTerminal as _, stderr},
    sync::atomic::{AtomicUsize, Ordering},
};

use indicatif::{ProgressBar, ProgressStyle};

/// A run over a known number of things.
pub(crate) struct Progress {
    bar: Option<ProgressBar>,
    done: AtomicUsize,
    all: usize,
    /// What they are, in the plural.
    things: &'static str,
    /// How many there are between two lines.
    step: usize,
}

impl Progress {
    pub(crate) fn start(all: usize, things: &'static str, step: usize) -> Self {
        let style = ProgressStyle::with_template("{bar:30} {pos}/{len} {elapsed} {msg}");
        let bar = style.ok().filter(|_| stderr().is_terminal());
        let bar = bar.map(|style| ProgressBar::new(all as u64).with_style(style));
        Self {
            bar,
            done: AtomicUsize::new(0),
            all,
            things,
            step,
        }
    }

    /// One more is done.
    pub(crate) fn advance(&self, name: &str) {
        let done = self.done.fetch_add(1, Ordering::Relaxed) + 1;
        match &self.bar {
            Some(bar) => {
                bar.set_message(name.to_owned());
                bar.inc(1);
            }
            None if done.is_multiple_of(self.step) || done == self.all => {
                eprintln!("{done} of {} {}: {name}", self.all, self.things);
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
