//! Runs seeds of the simulated world: `cargo xtask sim`.
//!
//! Ends with a summary, or at the first failing seed with its story and the command that shows it
//! again.

use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};
use muster_tests::sim::{self, Counted, Outcome, Planted, Recording, Setup};
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher as _, Hasher as _};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// Fresh seeds lie below, so that they can be typed.
const FRESH_MAX: u64 = 1_000_000_000_000;

#[derive(Parser)]
#[command(name = "sim", about = "The simulated world, seed by seed")]
struct Args {
    /// How many seeds.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u64).range(1..))]
    seeds: u64,
    /// Devices in each world.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..))]
    devices: u16,
    /// Only this seed, with its story.
    #[arg(long)]
    seed: Option<u64>,
    /// The first seed of many.
    #[arg(long, default_value_t = 1)]
    from: u64,
    /// Begin with a seed that nobody chose.
    #[arg(long, conflicts_with_all = ["from", "seed"])]
    fresh: bool,
    /// Plant a mistake and say after how many seeds it is caught; `--seeds` bounds the search.
    #[arg(long, value_enum)]
    planted: Option<Planted>,
    /// Plant every mistake in turn, and print which seed caught it and what broke.
    #[arg(long, conflicts_with_all = ["seed", "planted", "fresh", "from"])]
    mistakes: bool,
}

fn main() -> ExitCode {
    let args = Args::parse();
    match args.seed {
        _ if args.mistakes => plant_all(&args),
        Some(seed) => tell(&args, seed),
        None => run_many(&args),
    }
}

/// The table of planted mistakes; fails if one is not caught.
fn plant_all(args: &Args) -> ExitCode {
    println!("| mistake | broken promise | seeds until caught |\n|---|---|---|");
    let mut missed = 0;
    for planted in Planted::ALL {
        let caught = sim::first_catch(planted, args.devices.into(), args.seeds);
        missed += u32::from(caught.is_none());
        let (promise, seed) = match &caught {
            Some(failure) => (failure.violation.promise, failure.seed.to_string()),
            None => ("not caught", format!("more than {}", args.seeds)),
        };
        println!("| {} | {promise} | {seed} |", planted.words());
    }
    if missed == 0 {
        ExitCode::SUCCESS
    } else {
        eprintln!("{missed} mistakes were not caught: raise --seeds, or mend the checks");
        ExitCode::FAILURE
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
    let from = args.first();
    eprintln!(
        "seeds {from} to {} with {} devices each",
        from + args.seeds.saturating_sub(1),
        args.devices
    );
    let (next, sum) = (AtomicU64::new(0), Mutex::new(Sum::default()));
    let progress = Progress::new(args.seeds);
    let start = Instant::now();
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                loop {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    if n >= args.seeds || locked(&sum).failed.is_some() {
                        break;
                    }
                    let outcome = run_one(args, from + n);
                    let mut sum = locked(&sum);
                    sum.add(from + n, outcome.as_ref());
                    progress.at(sum.done);
                }
            });
        }
    });
    progress.end();
    let sum = locked(&sum);
    sum.print(args.devices, start.elapsed().as_secs_f64());
    sum.failed
        .map_or(ExitCode::SUCCESS, |seed| show(args, seed))
}

/// What all runs add up to.
#[derive(Default)]
struct Sum {
    done: u64,
    counted: Counted,
    /// The first seed that failed.
    failed: Option<u64>,
}

impl Sum {
    fn add(&mut self, seed: u64, outcome: Option<&Outcome>) {
        self.done += 1;
        if let Some(outcome) = outcome {
            self.counted.add(&outcome.counted);
        }
        if outcome.is_none_or(|outcome| outcome.failure.is_some()) {
            self.failed = Some(self.failed.map_or(seed, |known| known.min(seed)));
        }
    }

    fn print(&self, devices: u16, seconds: f64) {
        let (done, counted) = (self.done, &self.counted);
        println!(
            "{:<20} {done:>14}\n{:<20} {devices:>14}",
            "seeds", "devices"
        );
        print!("{counted}");
        println!("{:<20} {seconds:>14.1}", "seconds");
        println!("{:<20} {:>14.1}", "seeds a second", done as f64 / seconds);
    }
}

fn locked(sum: &Mutex<Sum>) -> MutexGuard<'_, Sum> {
    sum.lock().unwrap_or_else(PoisonError::into_inner)
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

/// A bar on a terminal, a line for each tenth elsewhere.
struct Progress {
    bar: ProgressBar,
    seeds: u64,
}

impl Progress {
    fn new(seeds: u64) -> Self {
        let style =
            ProgressStyle::with_template("{bar:40} {pos}/{len} seeds  {per_sec}  {eta} left");
        let bar = ProgressBar::new(seeds);
        let bar = match style {
            Ok(style) => bar.with_style(style),
            Err(_) => bar,
        };
        Self { bar, seeds }
    }

    fn at(&self, done: u64) {
        self.bar.set_position(done);
        if self.bar.is_hidden() && done * 10 / self.seeds > (done - 1) * 10 / self.seeds {
            eprintln!("{done} of {} seeds", self.seeds);
        }
    }

    fn end(&self) {
        self.bar.finish_and_clear();
    }
}

impl Args {
    /// The first seed; a fresh one comes from the system's random numbers.
    fn first(&self) -> u64 {
        if self.fresh {
            RandomState::new().build_hasher().finish() % FRESH_MAX
        } else {
            self.from
        }
    }

    const fn setup(&self, seed: u64, recording: Recording) -> Setup {
        Setup {
            seed,
            devices: self.devices as usize,
            planted: self.planted,
            recording,
        }
    }
}
