//! Puts faults into made-up fleets and says how often they were placed where they are: `cargo xtask
//! drift-cases`.
//!
//! Prints the tables as Markdown; judges nothing but whether they keep what is promised.

use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use clap::Parser;
use muster_fleet::finding::Cause;
use muster_tests::drift_cases::{
    CORRELATIONS, Case, Kind, Learnt, Line, Place, SIZES, Tally, lines, real,
};
use muster_tests::drift_curves::{BUDGET, QuietTally};
use muster_tests::random::Random;

/// The share of visible cases that is placed right at least.
const PROMISED: f64 = 0.99;
/// Times as many cases in which nothing happens: what is said of those is noise.
const NOTHING: u64 = 10;
/// Into how many parts the years of a correlation are cut, for as many processors.
const QUIET_PARTS: u64 = 8;
/// Causes, in the order of the columns.
const CAUSES: [(Option<Cause>, &str); 11] = [
    (Some(Cause::Stuck), "stuck"),
    (Some(Cause::OutOfRange), "out of range"),
    (Some(Cause::Absent), "absent"),
    (Some(Cause::Calibration), "calibration"),
    (Some(Cause::BadDevice), "bad device"),
    (Some(Cause::RealDrift), "real drift"),
    (Some(Cause::Regression), "regression"),
    (Some(Cause::ModelMismatch), "model mismatch"),
    (Some(Cause::Benign), "benign"),
    (Some(Cause::Unplaced), "unplaced"),
    (None, "nothing, or several"),
];

#[derive(Parser)]
#[command(
    name = "drift-cases",
    about = "How often what moved is placed where it is"
)]
struct Args {
    /// Cases of each kind and correlation; of smaller sizes half as many, of nothing ten times.
    #[arg(long, default_value_t = 24)]
    cases: u64,
    /// From where all chance comes.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Only kinds whose name has this in it.
    #[arg(long, default_value = "")]
    only: String,
    /// Device-years of each correlation in which nothing happens, asked after every window.
    #[arg(long, default_value_t = 0)]
    quiet_years: u64,
    /// Tell every case that was placed wrong, and every visible one that was not placed right.
    #[arg(long)]
    tell: bool,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let mut seeds = Random(args.seed);
    let fleets: Vec<(f64, u64)> = CORRELATIONS.map(|of| (of, seeds.draw())).to_vec();
    let fleets = each(&fleets, |(correlation, seed)| {
        let learnt = Learnt::new(*correlation, *seed);
        eprintln!("ρ {correlation}: learnt in {} windows", learnt.windows());
        learnt
    });
    if args.quiet_years > 0 {
        return quiet(&fleets, &args, &mut seeds);
    }
    // Drawn for all, so that a kind alone is the kind among others.
    let all = lines().into_iter().map(|line| (line, seeds.draw()));
    let chosen: Vec<(Line, u64)> = all
        .filter(|(line, _)| line.kind.name().contains(&args.only))
        .collect();
    let tallies = each(&chosen, |(line, seed)| run(line, *seed, &fleets, &args));
    let tallies: Vec<(Line, Tally)> = chosen.iter().map(|(line, _)| *line).zip(tallies).collect();
    let whole = print_visible(&tallies);
    print_causes(&tallies);
    print_sizes(&tallies);
    print_real();
    if whole.right().0 >= PROMISED {
        return ExitCode::SUCCESS;
    }
    eprintln!("fewer than {PROMISED} of visible cases are placed right");
    ExitCode::FAILURE
}

/// Looks at sound fleets after every window for years.
fn quiet(fleets: &[Learnt], args: &Args, seeds: &mut Random) -> ExitCode {
    let windows = Learnt::windows_of(args.quiet_years).div_ceil(QUIET_PARTS);
    let parts = (0..fleets.len()).flat_map(|of| (0..QUIET_PARTS).map(move |_| of));
    let parts: Vec<(usize, u64)> = parts.map(|of| (of, seeds.draw())).collect();
    let said = each(&parts, |(of, seed)| fleets[*of].quiet(windows, *seed));
    println!("| ρ | device-years | findings | a device-year | 95 % bound |");
    println!("|---|---:|---:|---:|---:|");
    let mut exceeds = false;
    for (of, correlation) in CORRELATIONS.iter().enumerate() {
        let ours = parts.iter().zip(&said).filter(|((at, _), _)| *at == of);
        let findings: Vec<&String> = ours.flat_map(|(_, said)| said).collect();
        findings
            .iter()
            .filter(|_| args.tell)
            .for_each(|finding| eprintln!("ρ {correlation}: {finding}"));
        let years = Learnt::device_years(windows * QUIET_PARTS);
        let tally = QuietTally::of(years, findings.len() as u64);
        let (low, high) = tally.bounds();
        println!(
            "| {correlation} | {:.0} | {} | {:.3} | {high:.3} |",
            tally.years,
            tally.alarms,
            tally.rate()
        );
        exceeds |= low > BUDGET.get();
    }
    if exceeds {
        eprintln!(
            "more findings for nothing than {} a device-year",
            BUDGET.get()
        );
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

fn run(line: &Line, seed: u64, fleets: &[Learnt], args: &Args) -> Tally {
    let cases = match line.kind {
        Kind::Nothing => NOTHING * args.cases,
        _ if line.size < 1.0 => args.cases.div_ceil(2),
        _ => args.cases,
    };
    let mut tally = Tally::default();
    for n in 0..cases {
        let case = Case {
            kind: line.kind,
            size: line.size,
            seed: seed.wrapping_add(n),
        };
        let answer = fleets[line.correlation].run(case);
        let is_right = answer.place == Place::Right && answer.is_cause_right;
        let is_wrong = answer.place == Place::Wrong;
        if args.tell && (is_wrong || line.size >= 1.0 && !is_right) {
            let correlation = CORRELATIONS[line.correlation];
            eprintln!(
                "{} × {} ρ {correlation} {:?}: {}",
                line.kind.name(),
                line.size,
                answer.place,
                answer.told
            );
        }
        tally.add(&answer);
    }
    tally
}

/// Runs all, on all processors, and keeps their order.
fn each<T: Sync, R: Send>(of: &[T], run: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let (next, done) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while let Some((at, one)) = take(of, &next) {
                    let result = run(one);
                    done.lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .push((at, result));
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by_key(|(at, _)| *at);
    done.into_iter().map(|(_, result)| result).collect()
}

fn take<'t, T>(of: &'t [T], next: &AtomicUsize) -> Option<(usize, &'t T)> {
    let at = next.fetch_add(1, Ordering::Relaxed);
    of.get(at).map(|one| (at, one))
}

/// All correlations of one kind and size together.
fn merged(tallies: &[(Line, Tally)], is_in: impl Fn(&Line) -> bool) -> Option<Tally> {
    let mut merged = Tally::default();
    tallies
        .iter()
        .filter(|(line, _)| is_in(line))
        .for_each(|(_, tally)| merged.merge(tally));
    (merged.cases > 0).then_some(merged)
}

fn print_visible(tallies: &[(Line, Tally)]) -> Tally {
    println!(
        "| what is wrong | cases | right place | silent | wrong | share | 95 % | right cause | a chart alarmed |"
    );
    println!("|---|---:|---:|---:|---:|---:|---:|---:|---:|");
    let mut whole = Tally::default();
    for kind in Kind::ALL {
        if let Some(tally) = merged(tallies, |line| line.kind == kind && line.size >= 1.0) {
            println!("{}", row(kind.name(), &tally));
            if kind != Kind::Nothing {
                whole.merge(&tally);
            }
        }
    }
    for (at, correlation) in CORRELATIONS.iter().enumerate() {
        let name = format!("all but nothing at ρ {correlation}");
        if let Some(tally) = merged(tallies, |line| {
            line.correlation == at && line.size >= 1.0 && line.kind != Kind::Nothing
        }) {
            println!("{}", row(&name, &tally));
        }
    }
    println!("{}\n", row("all but nothing", &whole));
    whole
}

fn row(name: &str, tally: &Tally) -> String {
    let (share, interval) = tally.right();
    format!(
        "| {name} | {} | {} | {} | {} | {:.2} % | {:.2}–{:.2} % | {} | {} |",
        tally.cases,
        tally.placed(Place::Right),
        tally.placed(Place::Silent),
        tally.placed(Place::Wrong),
        100.0 * share,
        100.0 * interval.low,
        100.0 * interval.high,
        tally.right_causes,
        tally.alarmed,
    )
}

fn print_causes(tallies: &[(Line, Tally)]) {
    let names: Vec<&str> = CAUSES.iter().map(|(_, name)| *name).collect();
    println!("| what is wrong | {} |", names.join(" | "));
    println!("|---|{}", "---:|".repeat(CAUSES.len()));
    for kind in Kind::ALL {
        let Some(tally) = merged(tallies, |line| line.kind == kind && line.size >= 1.0) else {
            continue;
        };
        let cells = CAUSES
            .iter()
            .map(|(cause, _)| match tally.causes.get(cause) {
                None | Some(0) => String::new(),
                Some(count) => count.to_string(),
            });
        println!(
            "| {} | {} |",
            kind.name(),
            cells.collect::<Vec<String>>().join(" | ")
        );
    }
    println!();
}

/// What is found in real recordings, if they are there.
fn print_real() {
    let Some(rows) = real::rows() else {
        eprintln!("no recordings in ../shared/data: their table is left out");
        return;
    };
    println!("\n| recording | what was done to it | found |\n|---|---|---|");
    for row in rows {
        println!("{}", row.line());
    }
}

/// The share that is placed right, and wrong, by size.
fn print_sizes(tallies: &[(Line, Tally)]) {
    let sizes = SIZES.map(|size| format!("× {size}")).join(" | ");
    println!("| what is wrong | ρ | {sizes} |");
    println!("|---|---:|{}", "---:|".repeat(SIZES.len()));
    for kind in Kind::SIZED {
        for (at, correlation) in CORRELATIONS.iter().enumerate() {
            let cells = SIZES.map(|size| {
                let of = |line: &Line| {
                    line.kind == kind && line.correlation == at && (line.size - size).abs() < 1e-9
                };
                merged(tallies, of).map_or("–".to_owned(), |tally| {
                    let percent = |place| 100 * tally.placed(place) / tally.cases;
                    format!("{} % ({} %)", percent(Place::Right), percent(Place::Wrong))
                })
            });
            println!(
                "| {} | {correlation} | {} |",
                kind.name(),
                cells.join(" | ")
            );
        }
    }
}
