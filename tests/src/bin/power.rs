//! Runs the rollouts of the published power tables: `cargo xtask power`.
//!
//! Prints the tables as Markdown or JSON; judges nothing but whether they keep what is promised.

use clap::{Parser, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use muster_tests::power::{self, Change, Line, Method, SIZES, Tally};
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
    /// Only lines whose name has this in it.
    #[arg(long, default_value = "")]
    only: String,
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
    let mut seeds = Random(args.seed);
    // Drawn for all, so that a line alone is the line among others.
    let lines = power::lines().into_iter().map(|line| (line, seeds.draw()));
    let lines: Vec<(Line, u64)> = lines
        .filter(|(line, _)| line.name.contains(&args.only))
        .collect();
    let progress = Progress::new(args.rollouts * lines.len() as u64);
    let tallies: Vec<(Line, Tally)> = lines
        .into_iter()
        .map(|(line, seed)| {
            let tally = run(&line, seed, args.rollouts, &progress);
            (line, tally)
        })
        .collect();
    progress.end();
    match args.output {
        Output::Text => print_text(&tallies, args.only.is_empty()),
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

fn print_text(tallies: &[(Line, Tally)], is_whole: bool) {
    if is_whole {
        print_needed(tallies);
    }
    println!(
        "| what is worse, or odd | devices | halted | surely | windows, median | windows, 95 % | passed |"
    );
    println!("|---|---:|---:|---:|---:|---:|---:|");
    for (line, tally) in tallies {
        println!("{}", row(line, tally));
    }
}

fn print_needed(tallies: &[(Line, Tally)]) {
    println!("| what is worse | devices needed | windows, median | windows, 95 % |");
    println!("|---|---:|---:|---:|");
    for change in [Change::Errors, Change::Misses, Change::Mix] {
        println!("{}", needed(tallies, change));
    }
    println!();
}

/// The smallest ring that halts 95 % of rollouts.
fn needed(tallies: &[(Line, Tally)], change: Change) -> String {
    let of_this = tallies.iter().filter(|(l, _)| l.setting.change == change);
    let (mut sized, mut name) = (of_this.peekable(), "");
    if let Some((line, _)) = sized.peek() {
        name = &line.name;
    }
    let enough = sized.find(|(_, tally)| tally.halted_share() >= 0.95);
    let largest = SIZES.last().copied().unwrap_or_default();
    match enough {
        None => format!("| {name} | more than {largest} | – | – |"),
        Some((line, tally)) => format!(
            "| {name} | {} | {} | {} |",
            line.setting.devices,
            window(tally, 50),
            window(tally, 95)
        ),
    }
}

fn row(Line { name, setting }: &Line, tally: &Tally) -> String {
    let (low, high) = tally.bounds();
    let surely = match setting.change {
        Change::None => format!("at most {}", percent(high)),
        _ => format!("at least {}", percent(low)),
    };
    format!(
        "| {name} | {} | {} | {surely} | {} | {} | {} |",
        setting.devices,
        percent(tally.halted_share()),
        window(tally, 50),
        window(tally, 95),
        percent(tally.passed as f64 / tally.rollouts as f64),
    )
}

fn window(tally: &Tally, percent: u64) -> String {
    let window = tally.window_of(percent);
    window.map_or("–".to_owned(), |window| window.to_string())
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

/// Good rollouts are stopped in at most 5 % of cases, in every line that is ours; more is an error
/// when it is surely more.
fn judge(tallies: &[(Line, Tally)]) -> ExitCode {
    let good = tallies.iter().filter(|(line, _)| {
        line.setting.change == Change::None && line.setting.method == Method::Gates
    });
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
