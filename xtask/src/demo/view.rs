//! The live table: redrawn in place on a terminal, lines elsewhere.
//! Shows what it is given; never asks anyone.

use std::{
    io::{self, IsTerminal as _, Write as _},
    time::{Duration, Instant},
};

use indicatif::HumanCount;

use crate::clock;

const HEADINGS: [&str; 11] = [
    "device", "wanted", "serves", "step", "answered", "failed", "p50 ms", "p95 ms", "score",
    "alarm", "windows",
];
/// Left-aligned; the rest are numbers.
const WORDS: usize = 4;
/// How often the table appears where it cannot be redrawn.
const PLAIN_EVERY: Duration = Duration::from_secs(15);

/// One device, from all who know it.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct DeviceView {
    pub(super) device: String,
    /// What the controller wants there.
    pub(super) wanted: Option<String>,
    /// What the device says it serves.
    pub(super) serves: Option<String>,
    /// The last step that the controller has a signed receipt of.
    pub(super) step: Option<String>,
    /// Why, where it is none that was hoped for.
    pub(super) reason: Option<String>,
    pub(super) answered: u64,
    pub(super) failed: u64,
    pub(super) latency_p50_us: Option<u32>,
    pub(super) latency_p95_us: Option<u32>,
    pub(super) score: Option<f64>,
    pub(super) alarm_row: Option<usize>,
    /// Windows that the device has closed.
    pub(super) windows_closed: u64,
    /// Windows that the controller has stored.
    pub(super) windows_stored: u64,
    /// Predictions in those.
    pub(super) predictions_stored: u64,
    /// Predictions that the device has counted.
    pub(super) predictions_counted: u64,
    /// Documents on their way.
    pub(super) unacknowledged: u64,
    pub(super) agent_bytes: Option<u64>,
    pub(super) worker_bytes: Option<u64>,
    pub(super) worker_starts: u64,
}

/// Where the table is.
pub(super) struct Screen {
    kind: Kind,
    start: Instant,
    chapter: String,
    drawn_lines: usize,
    drawn_at: Option<Instant>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Terminal,
    Plain,
}

impl Screen {
    /// Of standard output.
    pub(super) fn new() -> Self {
        let is_terminal = io::stdout().is_terminal();
        Self {
            kind: if is_terminal {
                Kind::Terminal
            } else {
                Kind::Plain
            },
            start: clock::now(),
            chapter: String::new(),
            drawn_lines: 0,
            drawn_at: None,
        }
    }

    /// Says something that stays.
    pub(super) fn say(&mut self, text: &str) {
        self.erase();
        println!("{text}");
    }

    /// Begins a chapter, which the table is headed by.
    pub(super) fn chapter(&mut self, title: &str) {
        let seconds = (clock::now() - self.start).as_secs_f64();
        self.say(&format!("{seconds:6.1} s  {title}"));
        title.clone_into(&mut self.chapter);
        self.drawn_at = Some(clock::now());
    }

    /// Shows the devices, when it is time.
    pub(super) fn draw(&mut self, devices: &[DeviceView]) {
        let now = clock::now();
        let recent = self.drawn_at.is_some_and(|at| now - at < PLAIN_EVERY);
        if self.kind == Kind::Terminal || !recent {
            self.draw_now(devices);
        }
    }

    /// Shows the devices.
    pub(super) fn draw_now(&mut self, devices: &[DeviceView]) {
        let now = clock::now();
        self.drawn_at = Some(now);
        self.erase();
        let mut lines = vec![String::new()];
        if self.kind == Kind::Terminal {
            let seconds = (now - self.start).as_secs();
            lines.push(format!(
                "{} · {}:{:02} · Ctrl-C ends",
                self.chapter,
                seconds / 60,
                seconds % 60
            ));
        }
        lines.extend(table(devices));
        lines.push(String::new());
        println!("{}", lines.join("\n"));
        if self.kind == Kind::Terminal {
            self.drawn_lines = lines.len();
        }
    }

    fn erase(&mut self) {
        if self.drawn_lines > 0 {
            // Cursor up so many lines, then clear to the end (ECMA-48: CUU, ED).
            print!("\x1b[{}A\x1b[J", self.drawn_lines);
            let _reader_gone = io::stdout().flush();
            self.drawn_lines = 0;
        }
    }
}

/// Lines under headings, as wide as they need.
pub(super) fn table(devices: &[DeviceView]) -> Vec<String> {
    let mut rows = vec![HEADINGS.map(str::to_uppercase)];
    rows.extend(devices.iter().map(cells));
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let widths: Vec<_> = (0..HEADINGS.len()).filter_map(width).collect();
    let line = |row: &[String; HEADINGS.len()]| {
        let cells = row.iter().zip(&widths).enumerate();
        let cells = cells.map(|(column, (cell, &width))| match column < WORDS {
            true => format!("{cell:<width$}"),
            false => format!("{cell:>width$}"),
        });
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

fn cells(view: &DeviceView) -> [String; HEADINGS.len()] {
    let word = |word: &Option<String>| word.clone().unwrap_or_else(|| "-".into());
    let millis = |micros: Option<u32>| {
        micros.map_or("-".into(), |micros| {
            format!("{:.2}", f64::from(micros) / 1e3)
        })
    };
    [
        view.device.clone(),
        word(&view.wanted),
        word(&view.serves),
        word(&view.step),
        HumanCount(view.answered).to_string(),
        view.failed.to_string(),
        millis(view.latency_p50_us),
        millis(view.latency_p95_us),
        view.score.map_or("-".into(), |score| format!("{score:.2}")),
        view.alarm_row
            .map_or("-".into(), |row| format!("row {row}")),
        format!("{}/{}", view.windows_stored, view.windows_closed),
    ]
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn columns_stand_below_each_other() {
        let devices = [
            DeviceView {
                device: "press-01".into(),
                wanted: Some("2.0.0".into()),
                serves: Some("1.0.0".into()),
                step: Some("fetching".into()),
                answered: 12_345,
                latency_p50_us: Some(412),
                latency_p95_us: Some(1_900),
                score: Some(12.345),
                alarm_row: Some(541),
                windows_closed: 12,
                windows_stored: 11,
                ..DeviceView::default()
            },
            DeviceView {
                device: "press-02".into(),
                ..DeviceView::default()
            },
        ];
        expect![[r#"
            DEVICE    WANTED  SERVES  STEP      ANSWERED  FAILED  P50 MS  P95 MS  SCORE    ALARM  WINDOWS
            press-01  2.0.0   1.0.0   fetching    12,345       0    0.41    1.90  12.35  row 541    11/12
            press-02  -       -       -                0       0       -       -      -        -      0/0"#]]
        .assert_eq(&table(&devices).join("\n"));
    }
}
