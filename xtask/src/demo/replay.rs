//! Sensor data through a device's inference server, row after row at a steady pace.
//! Counts what fails; never skips a row and never asks twice.

use std::{
    collections::{BTreeMap, VecDeque},
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
    time::Duration,
};

use super::{
    alarm::Alarm,
    inference::{Answer, Form, Inference},
    interrupt::Interrupt,
    table::Rows,
};
use crate::clock;

/// Answers whose latency is shown.
const LATENCIES_MAX: usize = 400;

/// What has been replayed through one device.
#[derive(Debug, Clone, Default)]
pub(super) struct Record {
    /// Rows that were asked about.
    pub(super) asked: u64,
    /// Those without an answer.
    pub(super) failed: u64,
    /// Why the first of them had none.
    pub(super) first_failure: Option<String>,
    /// The newest score.
    pub(super) score: Option<f64>,
    /// What the scores amount to.
    pub(super) alarm: Alarm,
    /// Answers of the first time through the data, by row.
    pub(super) answers: Vec<Answer>,
    /// Rows answered by each version.
    pub(super) by_version: BTreeMap<String, u64>,
    latencies_us: VecDeque<u32>,
    row: usize,
}

/// Shared by who replays and who looks on.
#[derive(Clone, Default)]
pub(super) struct Shared(Arc<Mutex<Record>>);

/// What to replay.
pub(super) struct Tape {
    pub(super) socket: PathBuf,
    pub(super) form: Form,
    pub(super) rows: Arc<Rows>,
    pub(super) interval: Duration,
    pub(super) thresholds: BTreeMap<String, f64>,
}

/// A thread that replays until it is dropped.
pub(super) struct Replay {
    stop: Interrupt,
    thread: Option<JoinHandle<()>>,
}

impl Record {
    /// The latency that such a share of the newest answers stayed below.
    pub(super) fn latency_us(&self, percent: usize) -> Option<u32> {
        let mut sorted: Vec<_> = self.latencies_us.iter().copied().collect();
        sorted.sort_unstable();
        let place = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
        sorted.get(place).copied()
    }

    /// Highest score of the rows of a range, where they have been replayed.
    pub(super) fn highest_score(&self, score: &str, rows: std::ops::Range<usize>) -> Option<f64> {
        let answers = self.answers.get(rows)?;
        let scores = answers.iter().map(|answer| answer.score(score));
        scores.reduce(|a, b| if a >= b { a } else { b })
    }

    fn take(&mut self, answer: anyhow::Result<Answer>, latency: Duration, tape: &Tape) {
        self.asked += 1;
        let first_time = self.answers.len() < tape.rows.len();
        match answer {
            Ok(answer) => {
                let micros = u32::try_from(latency.as_micros()).unwrap_or(u32::MAX);
                self.latencies_us.push_back(micros);
                if self.latencies_us.len() > LATENCIES_MAX {
                    self.latencies_us.pop_front();
                }
                let score = answer.score(&tape.form.score);
                self.score = Some(score);
                let threshold = tape.thresholds.get(&answer.version).copied();
                self.alarm.hear(self.row, score, threshold);
                *self.by_version.entry(answer.version.clone()).or_default() += 1;
                self.answers.extend(first_time.then_some(answer));
            }
            Err(error) => {
                self.failed += 1;
                let row = self.row;
                self.first_failure
                    .get_or_insert_with(|| format!("row {row}: {error:#}"));
                self.answers.extend(first_time.then(Answer::default));
            }
        }
        self.row += 1;
    }
}

impl Answer {
    /// The output that alarms listen to; not a number where there is none.
    fn score(&self, name: &str) -> f64 {
        let score = self.outputs.get(name).and_then(|numbers| numbers.first());
        score.copied().unwrap_or(f64::NAN)
    }
}

impl Shared {
    /// A record of nothing, with an alarm of so many rows.
    pub(super) fn new(sustained_rows: usize) -> Self {
        Self(Arc::new(Mutex::new(Record {
            alarm: Alarm::new(sustained_rows),
            ..Record::default()
        })))
    }

    /// The record.
    pub(super) fn lock(&self) -> MutexGuard<'_, Record> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Replay {
    /// Goes on where the record ends; after the last row comes the first again.
    pub(super) fn start(tape: Tape, record: Shared) -> Self {
        let stop = Interrupt::default();
        let heard = stop.clone();
        let thread = thread::spawn(move || replay(&tape, &record, &heard));
        Self {
            stop,
            thread: Some(thread),
        }
    }
}

impl Drop for Replay {
    fn drop(&mut self) {
        self.stop.raise();
        if let Some(thread) = self.thread.take() {
            let _its_panic_was_printed = thread.join();
        }
    }
}

fn replay(tape: &Tape, record: &Shared, stop: &Interrupt) {
    let (mut connection, mut due) = (None, clock::now());
    while !stop.is_raised() {
        let row = record.lock().row % tape.rows.len();
        let start = clock::now();
        let answer = ask(&mut connection, tape, &tape.rows[row]);
        record.lock().take(answer, clock::now() - start, tape);
        due = clock::now().max(due + tape.interval);
        stop.rest_until(due);
    }
}

/// Over the connection that there is; one that failed is not used again.
fn ask(connection: &mut Option<Inference>, tape: &Tape, row: &[f32]) -> anyhow::Result<Answer> {
    let mut inference = match connection.take() {
        Some(inference) => inference,
        None => Inference::connect(&tape.socket, &tape.form)?,
    };
    let answer = inference.predict(row)?;
    *connection = Some(inference);
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tape() -> Tape {
        Tape {
            socket: "/nowhere/agent.sock".into(),
            form: Form {
                model: "m".into(),
                input: "x".into(),
                width: 1,
                score: "score".into(),
            },
            rows: Arc::new(vec![vec![0.0]; 3]),
            interval: Duration::ZERO,
            thresholds: BTreeMap::from([("1.0.0".into(), 1.0)]),
        }
    }

    fn answer(score: f64) -> anyhow::Result<Answer> {
        Ok(Answer {
            version: "1.0.0".into(),
            outputs: BTreeMap::from([("score".into(), vec![score])]),
        })
    }

    #[test]
    fn failures_are_counted_with_the_first_reason() {
        let (shared, tape) = (Shared::new(2), tape());
        let mut record = shared.lock();
        let results = [
            answer(0.5),
            Err(anyhow::anyhow!("a")),
            answer(2.0),
            answer(2.0),
        ];
        for (result, micros) in results.into_iter().zip([10, 0, 20, 30]) {
            record.take(result, Duration::from_micros(micros), &tape);
        }
        record.take(Err(anyhow::anyhow!("b")), Duration::ZERO, &tape);
        assert_eq!((record.asked, record.failed), (5, 2));
        assert_eq!(record.first_failure.as_deref(), Some("row 1: a"));
        assert_eq!(record.alarm.first_row, Some(2));
        assert_eq!(record.answers.len(), 3, "the first time through");
        assert_eq!(
            (record.latency_us(50), record.latency_us(95)),
            (Some(20), Some(30))
        );
        assert_eq!(record.highest_score("score", 2..3), Some(2.0));
        assert!(record.highest_score("score", 0..9).is_none());
    }

    #[test]
    fn without_a_server_every_row_fails() {
        let (record, tape) = (Shared::new(2), tape());
        let replay = Replay::start(tape, record.clone());
        let deadline = clock::now() + Duration::from_secs(30);
        while record.lock().failed < 3 && clock::now() < deadline {
            thread::yield_now();
        }
        drop(replay);
        let record = record.lock();
        assert!(record.failed >= 3 && record.failed == record.asked);
    }
}
