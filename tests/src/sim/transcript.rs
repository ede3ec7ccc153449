//! What happened, one line each: as a hash always, as text when somebody will read it.
//!
//! Never changes what happens: a run with text and one without have the same hash.

use muster_protocol::time::Millis;
use std::fmt::Write as _;

/// Lines that are kept: what came right before a failure is what a reader needs.
const LINES_MAX: usize = 400;

/// Whether the text is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recording {
    /// Only the hash.
    Hash,
    /// The last lines too.
    Text,
}

/// Who did something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Who {
    Device(usize),
    Fleet,
    World,
}

/// The story of a run.
#[derive(Debug)]
pub(super) struct Transcript {
    recording: Recording,
    hash: u64,
    lines: std::collections::VecDeque<String>,
}

impl Transcript {
    pub(super) const fn new(recording: Recording) -> Self {
        Self {
            recording,
            hash: 0xcbf2_9ce4_8422_2325,
            lines: std::collections::VecDeque::new(),
        }
    }

    /// One line: what happened and with which number; `detail` is for readers only.
    pub(super) fn note(
        &mut self,
        now: Millis,
        who: Who,
        what: &'static str,
        number: u64,
        detail: impl FnOnce() -> String,
    ) {
        let actor = match who {
            Who::Device(n) => n as u64 + 2,
            Who::Fleet => 1,
            Who::World => 0,
        };
        for word in [now.0, actor, what.len() as u64, number] {
            self.mix(word);
        }
        what.bytes().for_each(|byte| self.mix(byte.into()));
        if self.recording == Recording::Text {
            self.keep(now, who, what, &detail());
        }
    }

    /// Equal for equal stories.
    pub(super) const fn hash(&self) -> u64 {
        self.hash
    }

    /// The last lines, in fixed columns: time, who, what, detail.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        for line in &self.lines {
            // A string takes everything.
            let _ = writeln!(text, "{line}");
        }
        text
    }

    fn keep(&mut self, now: Millis, who: Who, what: &str, detail: &str) {
        let who = match who {
            Who::Device(n) => format!("d{n}"),
            Who::Fleet => "fleet".to_owned(),
            Who::World => "world".to_owned(),
        };
        if self.lines.len() == LINES_MAX {
            self.lines.pop_front();
        }
        let (hours, ms) = (now.0 / 3_600_000, now.0 % 3_600_000);
        let (minutes, seconds) = (ms / 60_000, ms % 60_000);
        let (seconds, ms) = (seconds / 1000, seconds % 1000);
        let at = format!("{hours:02}:{minutes:02}:{seconds:02}.{ms:03}");
        let line = format!("{at}  {who:<6} {what:<18} {detail}");
        self.lines.push_back(line.trim_end().to_owned());
    }

    /// FNV-1a over words.
    const fn mix(&mut self, word: u64) {
        self.hash = (self.hash ^ word).wrapping_mul(0x0000_0100_0000_01b3);
    }
}
