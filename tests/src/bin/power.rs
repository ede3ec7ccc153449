//! Runs the rollouts of the published power tables: `cargo xtask power`.
//!
//! Prints the tables as Markdown or JSON; judges nothing but whether they keep what is promised.

use clap::{Parser, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use muster_tests::power::{self, Change, Line, Tally};
use muster_tests::random::Random;
use serde_json::{Value, json};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

#[derive(Parser)]
#[command(
    name = "power",
    about = "How often the gates stop good rollouts, and bad ones"
)]
struct Args {
    /// Rollouts of each kind.
    #[arg(long, default_value_t = 2000, value_parser = clap::value_parser!(u64).range(1..))]
    rollouts: u64,
    /// From where all chance comes.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How the tables are printed.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    /// Markdown.
    Text,
    /// One object.
    Json,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let lines = power::lines();
    let progress = Progress::new(args.rollouts * lines.len() as u64);
    let mut seeds = Random(args.seed);
    let tallies: Vec<(Line, Tally)> = lines
        .into_iter()
        .map(|line| {
            let tally = run(&line, seeds.draw(), args.rollouts, &progress);
            (line, tally)
        })
        .collect();
    progress.end();
    match args.output {
        Output::Text => print_text(&tallies),
        Output::Json => println!("{}", as_json(&args, &tallies)),
    }
    judge(&tallies)
}

/// All rollouts of one line, on all processors; the sum does not depend on how many those are.
fn run(line: &Line, seed: u64, rollouts: u64, progress: &Progress) -> Tally {
    let (next, sum) = (AtomicU64::new(0), Mutex::new(Tally::default()));
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                loop {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    if n >= rollouts {
                        break;
                    }
                    let story = power::rollout(&line.setting, seed.wrapping_add(n));
                    sum.lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .add(story);
                    progress.step();
                }
            });
        }
    });
    sum.into_inner().unwrap_or_else(PoisonError::into_inner)
}

fn print_text(tallies: &[(Line, Tally)]) {
    println!(
        "| what is worse | devices | halted | surely | windows, median | windows, 95 % | all rings passed |"
    );
    println!("|---|---:|---:|---:|---:|---:|---:|");
    for (Line { name, setting }, tally) in tallies {
        let (low, high) = tally.bounds();
        let surely = match setting.change {
            Change::None => format!("below {}", percent(high)),
            _ => format!("above {}", percent(low)),
        };
        let window = |of| {
            tally
                .window_of(of)
                .map_or("–".to_owned(), |w| w.to_string())
        };
        println!(
            "| {name} | {} | {} | {surely} | {} | {} | {} |",
            setting.devices,
            percent(tally.halted_share()),
            window(50),
            window(95),
            percent(tally.passed as f64 / tally.rollouts as f64),
        );
    }
}

fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}

fn as_json(args: &Args, tallies: &[(Line, Tally)]) -> Value {
    let line = |(Line { name, setting }, tally): &(Line, Tally)| {
        let (low, high) = tally.bounds();
        json!({
            "name": name,
            "devices": setting.devices,
            "rollouts": tally.rollouts,
            "halted": tally.halted(),
            "halted_by": tally.halted_by,
            "halted_share_low": low,
            "halted_share_high": high,
            "windows_median": tally.window_of(50),
            "windows_p95": tally.window_of(95),
            "passed": tally.passed,
        })
    };
    let lines: Vec<Value> = tallies.iter().map(line).collect();
    json!({"rollouts": args.rollouts, "seed": args.seed, "lines": lines})
}

/// Good rollouts are stopped in at most 5 % of cases, in every line.
fn judge(tallies: &[(Line, Tally)]) -> ExitCode {
    let good = tallies
        .iter()
        .filter(|(line, _)| line.setting.change == Change::None);
    let broken: Vec<&str> = good
        .filter(|(_, tally)| tally.bounds().0 > 0.05)
        .map(|(line, _)| line.name.as_str())
        .collect();
    if broken.is_empty() {
        ExitCode::SUCCESS
    } else {
        eprintln!(
            "more than 5 % of good rollouts are stopped: {}",
            broken.join("; ")
        );
        ExitCode::FAILURE
    }
}

/// A bar on a terminal, a line for each tenth elsewhere.
struct Progress {
    bar: ProgressBar,
    rollouts: u64,
}

impl Progress {
    fn new(rollouts: u64) -> Self {
        let style = ProgressStyle::with_template("{bar:40} {pos}/{len} rollouts  {eta} left");
        let bar = ProgressBar::new(rollouts);
        let bar = match style {
            Ok(style) => bar.with_style(style),
            Err(_) => bar,
        };
        Self { bar, rollouts }
    }

    fn step(&self) {
        self.bar.inc(1);
        let done = self.bar.position();
        if self.bar.is_hidden() && done * 10 / self.rollouts > (done - 1) * 10 / self.rollouts {
            eprintln!("{done} of {} rollouts", self.rollouts);
        }
    }

    fn end(&self) {
        self.bar.finish_and_clear();
    }
}
