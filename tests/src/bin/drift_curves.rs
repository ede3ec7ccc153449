//! Runs the devices of the published drift curves: `cargo xtask drift-curves`.
//!
//! Prints the tables as Markdown; judges nothing but whether they keep what is promised.

use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};
use muster_tests::drift_curves::{
    self, Allowed, BUDGET, DelayLine, DelayTally, QuietLine, QuietTally, bound,
};
use muster_tests::random::Random;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// Seconds of a year.
const YEAR_S: f64 = 365.25 * 86_400.0;

#[derive(Parser)]
#[command(
    name = "drift-curves",
    about = "How often charts alarm for nothing, and how long drift stays unseen"
)]
struct Args {
    /// Per cent of the published device-years; at least one year a line.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(0..))]
    years_percent: u64,
    /// Drifts of each kind.
    #[arg(long, default_value_t = 200)]
    drifts: u64,
    /// From where all chance comes.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Only lines whose name has this in it.
    #[arg(long, default_value = "")]
    only: String,
    /// Sensors that follow the hour of the week, in place of all others.
    #[arg(long)]
    season: bool,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let mut seeds = Random(args.seed);
    // Drawn for all, so that a line alone is the line among others.
    let (quiet, delays) = if args.season {
        let quiet = drift_curves::season_quiet_lines();
        (quiet, drift_curves::season_delay_lines())
    } else {
        (drift_curves::quiet_lines(), drift_curves::delay_lines())
    };
    let quiet = quiet.into_iter().map(|line| (line, seeds.draw()));
    let quiet: Vec<(QuietLine, u64)> = quiet
        .filter(|(line, _)| line.name.contains(&args.only))
        .collect();
    let delays = delays.into_iter().map(|line| (line, seeds.draw()));
    let delays: Vec<(DelayLine, u64)> = delays
        .filter(|(line, _)| line.name.contains(&args.only))
        .collect();
    let progress = Progress::new((quiet.len() + delays.len()) as u64);
    let quiet = quiet.into_iter().map(|(line, seed)| {
        let tally = watch_quiet(&line, seed, args.years_percent);
        progress.step();
        (line, tally)
    });
    let quiet: Vec<(QuietLine, QuietTally)> = quiet.collect();
    let delays = delays.into_iter().map(|(line, seed)| {
        let tally = watch_drift(&line, seed, args.drifts);
        progress.step();
        (line, tally)
    });
    let delays: Vec<(DelayLine, DelayTally)> = delays.collect();
    progress.end();
    print_delays(&delays);
    print_quiet(&quiet);
    print_exceptions(&quiet);
    judge(&quiet)
}

fn watch_quiet(line: &QuietLine, seed: u64, percent: u64) -> QuietTally {
    let tally = Mutex::new(QuietTally::default());
    let parts = line.runs_per_year();
    let years = (line.years * percent / 100).max(1);
    each(years * parts, |n| {
        let quiet = line.run(seed.wrapping_add(n));
        tally
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .add(&quiet, parts);
    });
    tally.into_inner().unwrap_or_else(PoisonError::into_inner)
}

fn watch_drift(line: &DelayLine, seed: u64, drifts: u64) -> DelayTally {
    let tally = Mutex::new(DelayTally::default());
    each(drifts, |n| {
        let found = line.run(seed.wrapping_add(n));
        tally
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .add(found);
    });
    tally.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// Runs all numbers below `end`, on all processors; sums do not depend on how many those are.
fn each(end: u64, run: impl Fn(u64) + Sync) {
    let next = AtomicU64::new(0);
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                loop {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    if n >= end {
                        break;
                    }
                    run(n);
                }
            });
        }
    });
}

fn print_delays(tallies: &[(DelayLine, DelayTally)]) {
    println!("| what drifts | ρ | found after, median | 95 % | optimum | Lorden |");
    println!("|---|---:|---:|---:|---:|---:|");
    for (line, tally) in tallies {
        let best = line.shift.map(|shift| {
            let run_length_s = line.charts * YEAR_S / BUDGET.get();
            bound(line.correlation, shift, run_length_s)
        });
        println!(
            "| {} | {} | {} | {} | {} | {} |",
            line.name,
            line.correlation,
            seconds(tally.after_s(50).map(|s| s as f64)),
            seconds(tally.after_s(95).map(|s| s as f64)),
            seconds(best.map(|best| best.optimum_s)),
            seconds(best.map(|best| best.lorden_s)),
        );
    }
    println!();
}

fn seconds(seconds: Option<f64>) -> String {
    match seconds {
        None => "–".to_owned(),
        Some(seconds) if seconds < 2.0 * 3600.0 => format!("{:.0} min", seconds / 60.0),
        Some(seconds) => format!("{:.1} h", seconds / 3600.0),
    }
}

/// Each line, and after the last of a name all of that name together.
fn print_quiet(tallies: &[(QuietLine, QuietTally)]) {
    println!("| what is watched | ρ | years | alarms | a year | at most | learnt in, days |");
    println!("|---|---:|---:|---:|---:|---:|---:|");
    let mut all = QuietTally::default();
    for (at, (line, tally)) in tallies.iter().enumerate() {
        println!("{}", row(&line.name, &line.correlation.to_string(), tally));
        all.merge(tally);
        if tallies
            .get(at + 1)
            .is_none_or(|(next, _)| next.name != line.name)
        {
            if several(tallies, &line.name) {
                println!("{}", row(&line.name, "all", &all));
            }
            all = QuietTally::default();
        }
    }
}

fn several(tallies: &[(QuietLine, QuietTally)], name: &str) -> bool {
    tallies.iter().filter(|(line, _)| line.name == name).count() > 1
}

fn row(name: &str, correlation: &str, tally: &QuietTally) -> String {
    if tally.years <= 0.0 {
        return format!("| {name} | {correlation} | 0 | – | – | – | not in a year |");
    }
    format!(
        "| {name} | {correlation} | {:.0} | {} | {:.3} | {:.3} | {:.1} |",
        tally.years,
        tally.alarms,
        tally.rate(),
        tally.bounds().1,
        tally.learning_days(),
    )
}

/// Names the lines that are known to alarm too often, and how often they may.
fn print_exceptions(tallies: &[(QuietLine, QuietTally)]) {
    for (line, tally) in tallies {
        if let Allowed::KnownException(allowed) = line.allowed {
            println!();
            println!(
                "Known exception: {}, ρ {}: {:.3} a year, {allowed} allowed in place of {}.",
                line.name,
                line.correlation,
                tally.rate(),
                BUDGET.get(),
            );
        }
    }
}

/// Whether some line surely alarms more often than is allowed.
fn judge(tallies: &[(QuietLine, QuietTally)]) -> ExitCode {
    let broken: Vec<String> = tallies
        .iter()
        .filter(|(line, tally)| line.allowed.is_broken_by(tally))
        .map(|(line, _)| {
            let allowed = line.allowed.per_year();
            format!("{}, ρ {}, {allowed} allowed", line.name, line.correlation)
        })
        .collect();
    if broken.is_empty() {
        return ExitCode::SUCCESS;
    }
    eprintln!(
        "more false alarms in a year than allowed: {}",
        broken.join("; ")
    );
    ExitCode::FAILURE
}

/// A bar on a terminal, lines elsewhere.
struct Progress {
    bar: ProgressBar,
}

impl Progress {
    fn new(lines: u64) -> Self {
        let style = ProgressStyle::with_template("{bar:40} {pos}/{len} lines  {eta} left");
        let bar = ProgressBar::new(lines);
        let bar = match style {
            Ok(style) => bar.with_style(style),
            Err(_) => bar,
        };
        Self { bar }
    }

    fn step(&self) {
        self.bar.inc(1);
        if self.bar.is_hidden() {
            let (done, all) = (self.bar.position(), self.bar.length().unwrap_or(0));
            eprintln!("{done} of {all} lines");
        }
    }

    fn end(&self) {
        self.bar.finish_and_clear();
    }
}
