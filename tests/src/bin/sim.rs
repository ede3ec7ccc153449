//! Runs seeds of the simulated world: `cargo xtask sim`.
//!
//! Ends with a summary, or at the first failing seed with its story and the command that shows it
//! again.

use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};
use muster_tests::sim::{self, Counted, Outcome, Planted, Recording, Setup};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

#[derive(Parser)]
#[command(name = "sim", about = "The simulated world, seed by seed")]
struct Args {
    /// How many seeds.
    #[arg(long, default_value_t = 1000)]
    seeds: u64,
    /// Devices in each world.
    #[arg(long, default_value_t = 20)]
    devices: usize,
    /// Only this seed, with its story.
    #[arg(long)]
    seed: Option<u64>,
    /// The first seed of many.
    #[arg(long, default_value_t = 1)]
    from: u64,
    /// Plant a mistake and say after how many seeds it is caught; `--seeds` bounds the search.
    #[arg(long, value_enum)]
    planted: Option<Planted>,
}

fn main() -> ExitCode {
    let args = Args::parse();
    match args.seed {
        Some(seed) => tell(&args, seed),
        None => run_many(&args),
    }
}

/// One seed with its story.
fn tell(args: &Args, seed: u64) -> ExitCode {
    let outcome = sim::run(args.setup(seed, Recording::Text));
    println!("{}trace {:016x}", outcome.counted, outcome.hash);
    match outcome.failure {
        Some(failure) => {
            eprintln!("{failure}");
            ExitCode::FAILURE
        }
        None => ExitCode::SUCCESS,
    }
}

fn run_many(args: &Args) -> ExitCode {
    let (next, failed) = (AtomicU64::new(0), AtomicBool::new(false));
    let (sum, first) = (
        Mutex::new((0_u64, Counted::default())),
        Mutex::new(None::<u64>),
    );
    let bar = progress(args.seeds);
    let start = Instant::now();
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while !failed.load(Ordering::Relaxed) {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    if n >= args.seeds {
                        break;
                    }
                    let seed = args.from + n;
                    let outcome = run_one(args, seed);
                    bar.inc(1);
                    if outcome
                        .as_ref()
                        .is_none_or(|outcome| outcome.failure.is_some())
                    {
                        failed.store(true, Ordering::Relaxed);
                        let mut first = first
                            .lock()
                            .unwrap_or_else(std::sync::PoisonError::into_inner);
                        *first = Some(first.map_or(seed, |known| known.min(seed)));
                    }
                    let mut sum = sum
                        .lock()
                        .unwrap_or_else(std::sync::PoisonError::into_inner);
                    sum.0 += 1;
                    outcome
                        .iter()
                        .for_each(|outcome| sum.1.add(&outcome.counted));
                }
            });
        }
    });
    bar.finish_and_clear();
    let (done, counted) = sum
        .into_inner()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    let seconds = start.elapsed().as_secs_f64();
    println!(
        "{:<20} {done:>14}\n{:<20} {:>14}\n{counted}",
        "seeds", "devices", args.devices
    );
    println!(
        "{:<20} {seconds:>14.1}\n{:<20} {:>14.1}",
        "seconds",
        "seeds a second",
        done as f64 / seconds
    );
    match first
        .into_inner()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
    {
        Some(seed) => show(args, seed),
        None => ExitCode::SUCCESS,
    }
}

/// A machine that panics is a failure too.
fn run_one(args: &Args, seed: u64) -> Option<Outcome> {
    let setup = args.setup(seed, Recording::Hash);
    std::panic::catch_unwind(|| sim::run(setup)).ok()
}

/// Runs the failing seed again, now with its story, and says how to do that by hand.
fn show(args: &Args, seed: u64) -> ExitCode {
    let planted = args
        .planted
        .and_then(|planted| clap::ValueEnum::to_possible_value(&planted));
    let planted = planted.map_or(String::new(), |planted| {
        format!(" --planted {}", planted.get_name())
    });
    let devices = args.devices;
    let again = format!("cargo xtask sim --devices {devices} --seed {seed}{planted}");
    let setup = args.setup(seed, Recording::Text);
    match std::panic::catch_unwind(|| sim::run(setup)) {
        Ok(Outcome {
            failure: Some(failure),
            ..
        }) => eprintln!("{failure}"),
        Ok(_) => {
            eprintln!("seed {seed} does not fail alone: is something not drawn from the seed?")
        }
        Err(_) => eprintln!("seed {seed}: a machine panicked, as said above"),
    }
    eprintln!("show it again: {again}");
    ExitCode::FAILURE
}

fn progress(seeds: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} seeds  {per_sec}  {eta} left");
    let bar = ProgressBar::new(seeds);
    match style {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

impl Args {
    const fn setup(&self, seed: u64, recording: Recording) -> Setup {
        Setup {
            seed,
            devices: self.devices,
            planted: self.planted,
            recording,
        }
    }
}
