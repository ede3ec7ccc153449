//! How far a long step is: a bar on a terminal, a line otherwise; always on standard error.
//!
//! Never part of a command's data.

use std::io::{self, IsTerminal as _, Read};

use indicatif::{ProgressBar, ProgressStyle};

/// Bytes below which a step is over before anyone could read its line.
const SHOWN_BYTES_MIN: u64 = 1 << 20;

/// One step over a known number of bytes.
pub(crate) struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// Announces a step over `bytes` bytes.
    pub(crate) fn start(what: &str, bytes: u64) -> Self {
        if !io::stderr().is_terminal() || bytes < SHOWN_BYTES_MIN {
            if bytes >= SHOWN_BYTES_MIN {
                crate::output::note(format_args!("{what} ({})", crate::output::bytes(bytes)));
            }
            return Self {
                bar: ProgressBar::hidden(),
            };
        }
        let style = ProgressStyle::with_template("{msg:24} {bar:30} {bytes}/{total_bytes} {eta}")
            .expect("invariant: a fixed template");
        let bar = ProgressBar::new(bytes)
            .with_style(style)
            .with_message(what.to_owned());
        Self { bar }
    }

    /// Says that `bytes` more are done.
    pub(crate) fn advance(&self, bytes: u64) {
        self.bar.inc(bytes);
    }

    /// A reader that advances this step.
    pub(crate) fn reading<R: Read>(&self, reader: R) -> impl Read + use<R> {
        self.bar.wrap_read(reader)
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
