//! Requests one after the other against one model, for as long as a test wants.
//!
//! Never hides a failure: every answer that is no prediction is kept.

use crate::device::{self, Device};
use crate::http::{self, Question};
use std::collections::BTreeMap;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Pause of a gentle load between two requests.
const GENTLE: Duration = Duration::from_millis(10);

/// Requests that are under way.
#[derive(Debug)]
pub struct Load {
    /// It ends when this is dropped.
    stop: Option<Sender<()>>,
    tally: Arc<Mutex<Tally>>,
    thread: Option<JoinHandle<()>>,
}

/// What became of them.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    /// Predictions by the version that made them.
    pub by_version: BTreeMap<String, u64>,
    /// Refusals by status.
    pub refused: BTreeMap<u16, u64>,
    /// The first few refusals and broken connections, in words.
    pub words: Vec<String>,
    /// Connections that broke or were refused.
    pub broken: u64,
    /// How long each prediction took, microseconds.
    pub latencies_us: Vec<u128>,
    /// Predictions whose scores were not those expected.
    pub wrong: Vec<(String, Vec<f64>)>,
}

impl Tally {
    /// Predictions.
    pub fn answered(&self) -> u64 {
        self.by_version.values().sum()
    }

    /// The latency that `per_cent` of the predictions had at most.
    pub fn latency_us(&self, per_cent: usize) -> u128 {
        let mut sorted = self.latencies_us.clone();
        sorted.sort_unstable();
        let last = sorted.len().saturating_sub(1);
        sorted
            .get(last * per_cent / 100)
            .copied()
            .unwrap_or_default()
    }

    /// Everything else.
    pub fn failed(&self) -> u64 {
        self.refused.values().sum::<u64>() + self.broken
    }
}

impl Load {
    /// Begins; `expect` says whether the scores of a version are right.
    pub fn start(
        device: &Device,
        model: &str,
        rows: &[[f32; 4]],
        expect: impl Fn(&str, &[f64]) -> bool + Send + 'static,
    ) -> Self {
        Self::paced(device, model, rows, Duration::ZERO, expect)
    }

    /// As [`Self::start`], at most a hundred requests a second: for several devices at a time.
    pub fn gentle(
        device: &Device,
        model: &str,
        rows: &[[f32; 4]],
        expect: impl Fn(&str, &[f64]) -> bool + Send + 'static,
    ) -> Self {
        Self::paced(device, model, rows, GENTLE, expect)
    }

    fn paced(
        device: &Device,
        model: &str,
        rows: &[[f32; 4]],
        pause: Duration,
        expect: impl Fn(&str, &[f64]) -> bool + Send + 'static,
    ) -> Self {
        let (stop, stopped) = mpsc::channel();
        let tally = Arc::<Mutex<Tally>>::default();
        let (address, body) = (device.http(), device::question(rows));
        let path = format!("/v2/models/{model}/infer");
        let told = Arc::clone(&tally);
        let thread = std::thread::spawn(move || {
            let question = Question {
                method: "POST",
                path: &path,
                token: None,
                body: Some(&body),
            };
            while stopped.recv_timeout(pause) == Err(RecvTimeoutError::Timeout) {
                let asked = Instant::now();
                let answer = http::ask(address, question);
                let mut tally = told.lock().expect("not poisoned");
                tally.take(answer, asked.elapsed(), &expect);
            }
        });
        Self {
            stop: Some(stop),
            tally,
            thread: Some(thread),
        }
    }

    /// What became of them so far.
    ///
    /// # Panics
    /// When the load itself panicked.
    pub fn so_far(&self) -> Tally {
        self.tally.lock().expect("not poisoned").clone()
    }

    /// Ends them.
    ///
    /// # Panics
    /// When the load itself panicked.
    pub fn end(mut self) -> Tally {
        self.stop = None;
        self.thread
            .take()
            .expect("it is ended once")
            .join()
            .expect("the load does not panic");
        self.so_far()
    }
}

impl Tally {
    fn take(
        &mut self,
        answer: std::io::Result<http::Answer>,
        took: Duration,
        expect: &impl Fn(&str, &[f64]) -> bool,
    ) {
        match answer.map(|answer| (device::read_scores(&answer), answer)) {
            Ok((Some((version, scores)), _)) => {
                if !expect(&version, &scores) {
                    self.wrong.push((version.clone(), scores));
                }
                *self.by_version.entry(version).or_default() += 1;
                self.latencies_us.push(took.as_micros());
            }
            Ok((None, answer)) => {
                *self.refused.entry(answer.status).or_default() += 1;
                self.word(&format!("{} {}", answer.status, answer.body["error"]));
            }
            Err(error) => {
                self.broken += 1;
                self.word(&error.to_string());
            }
        }
    }

    fn word(&mut self, word: &str) {
        if self.words.len() < 5 {
            self.words.push(word.to_owned());
        }
    }
}
