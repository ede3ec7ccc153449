//! `cargo xtask demo`: from an ONNX file to signed, running, watched predictions on four devices.
//! Everything is real: processes, broker, signatures, disks. It asserts what it shows.

mod agent;
mod alarm;
mod chapters;
mod claims;
mod compare;
mod controller;
pub(crate) mod drift_real;
pub(crate) mod emulated;
mod folder;
mod http;
mod inference;
mod interrupt;
mod npz;
pub(crate) mod overhead;
mod process;
mod replay;
mod stage;
mod subject;
mod swapping;
mod table;
mod view;

use std::{
    env, fmt,
    ops::Range,
    path::{Path, PathBuf},
    process::ExitCode,
    str::FromStr,
};

use anyhow::{Context as _, bail};

use crate::run::{Outcome, cargo, command};
use agent::Probation;
use chapters::Chapters;
use claims::Claims;
use folder::Folder;
use interrupt::Interrupt;
use stage::{Interrupted, Stage};
use subject::Subject;

/// As a shell says it of a program that Ctrl-C has ended.
const INTERRUPTED: u8 = 130;

/// What `cargo xtask demo` may be told.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// End when the story is told; otherwise it goes on until Ctrl-C.
    #[arg(long)]
    exit: bool,
    /// Devices, each a process of its own.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u8).range(2..=32))]
    devices: u8,
    /// ONNX file to serve instead of the story's: one FP32 input [batch, features].
    #[arg(long, value_name = "ONNX", requires = "data")]
    model: Option<PathBuf>,
    /// CSV file to replay on every device, in order.
    #[arg(long, value_name = "CSV", requires = "model")]
    data: Option<PathBuf>,
    /// CSV file with what the model was made with [default: the first 400 rows of the data].
    #[arg(long, value_name = "CSV", requires = "model")]
    reference: Option<PathBuf>,
    /// Answers of another runtime, arrays named as the model's tensors.
    #[arg(long, value_name = "NPZ", requires = "model")]
    golden: Option<PathBuf>,
    /// Columns of data and reference [default: the last ones of the data, all of the reference].
    #[arg(long, value_delimiter = ',', value_name = "NAMES", requires = "model")]
    columns: Vec<String>,
    /// Scores above it are not usual.
    #[arg(long, value_name = "SCORE", requires = "model")]
    threshold: Option<f64>,
    /// Rows in a row above the threshold that make an alarm.
    #[arg(long, default_value_t = 6, value_name = "ROWS", requires = "model")]
    sustained_rows: usize,
    /// ONNX file of version 2.0.0 [default: the same model, released again].
    #[arg(long, value_name = "ONNX", requires = "model")]
    model2: Option<PathBuf>,
    /// As --golden, of version 2.0.0.
    #[arg(long, value_name = "NPZ", requires = "model2")]
    golden2: Option<PathBuf>,
    /// As --threshold, of version 2.0.0.
    #[arg(long, value_name = "SCORE", requires = "model2")]
    threshold2: Option<f64>,
    /// What the replayed rows shall be answered with, row by row.
    #[arg(long, value_name = "NPZ", requires = "model")]
    expect: Option<PathBuf>,
    /// Rows whose scores shall stay below the threshold.
    #[arg(long, value_name = "FROM-TO", requires = "threshold")]
    expect_quiet: Option<RowRange>,
    /// Rows in which the first sustained alarm shall begin.
    #[arg(long, value_name = "FROM-TO", requires = "threshold")]
    expect_alarm: Option<RowRange>,
    /// Rows that each device is asked about in a second.
    #[arg(long, default_value_t = 25.0, value_parser = rate)]
    rows_per_second: f64,
    /// Keep home, states, bundles and logs in this new folder.
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
    /// Use the programs of this folder instead of building them.
    #[arg(long, value_name = "DIR")]
    programs: Option<PathBuf>,
}

impl Default for Args {
    /// The story, as without any argument.
    fn default() -> Self {
        use clap::{Args as _, FromArgMatches as _};
        let matches = Self::augment_args(clap::Command::new("demo")).get_matches_from(["demo"]);
        Self::from_arg_matches(&matches).expect("invariant: every argument has a default")
    }
}

/// The first and the last row of a range, counted from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct RowRange {
    first: usize,
    last: usize,
}

/// Builds the programs, tells the story, and says whether all of it was true.
///
/// # Errors
/// Signals cannot be heard.
pub(crate) fn run(args: &Args, root: &Path) -> anyhow::Result<ExitCode> {
    let interrupt = Interrupt::on_signals().context("failed to listen for Ctrl-C")?;
    let told = programs(args, root).and_then(|programs| tell(args, root, &programs, &interrupt));
    match told {
        Err(error) if error.is::<Interrupted>() => {
            println!("interrupted before the story was told; everything has ended");
            Ok(ExitCode::from(INTERRUPTED))
        }
        Err(error) => {
            eprintln!("failed to tell the story: because {error:#}");
            Ok(ExitCode::FAILURE)
        }
        Ok(claims) if claims.hold() => Ok(ExitCode::SUCCESS),
        Ok(_) => Ok(ExitCode::FAILURE),
    }
}

fn tell(
    args: &Args,
    root: &Path,
    programs: &Path,
    interrupt: &Interrupt,
) -> anyhow::Result<Claims> {
    // Dropped last: everything in it has ended by then.
    let folder = Folder::new(args.keep.as_deref())?;
    let subject = Subject::new(args, root, &folder)?;
    let devices = usize::from(args.devices);
    let mut stage = Stage::set(
        programs,
        &folder,
        &subject,
        (devices, Probation::Short),
        interrupt,
    )?;
    let mut chapters = Chapters {
        stage: &mut stage,
        subject: &subject,
        args,
        folder: &folder,
        claims: Claims::default(),
    };
    let form = chapters.tell()?;
    let claims = chapters.claims;
    stage.screen.say(&format!("\n{}\n", claims.text()));
    if !args.exit {
        stage.screen.chapter("the replay goes on until Ctrl-C");
        stage.screen.say(&stage.controller.page());
        stage.replay(&subject, &form, args.rows_per_second)?;
        stage.stay()?;
    }
    Ok(claims)
}

/// The folder of the programs: this one's, where cargo puts the others.
fn programs(args: &Args, root: &Path) -> anyhow::Result<PathBuf> {
    if let Some(programs) = &args.programs {
        return Ok(programs.clone());
    }
    if let Outcome::Failed(what) = command(cargo(root).args(["build", "--workspace"])) {
        bail!("the programs do not build: {what}");
    }
    let own = env::current_exe().context("failed to find this program")?;
    let folder = own.parent().context("this program lies in no folder")?;
    Ok(folder.to_owned())
}

fn rate(text: &str) -> Result<f64, String> {
    let rate = text.parse().ok();
    let rate = rate.filter(|rate: &f64| (0.1..=10_000.0).contains(rate));
    rate.ok_or_else(|| "a rate is a number from 0.1 to 10000".to_owned())
}

impl RowRange {
    fn exclusive(self) -> Range<usize> {
        self.first..self.last + 1
    }
}

impl FromStr for RowRange {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let row = |text: &str| text.parse::<u32>().ok().map(|row| row as usize);
        let pair = text.split_once('-');
        let pair = pair.and_then(|(first, last)| Some((row(first)?, row(last)?)));
        match pair {
            Some((first, last)) if first <= last => Ok(Self { first, last }),
            _ => Err("a range of rows is FROM-TO, for example 400-500".to_owned()),
        }
    }
}

impl fmt::Display for RowRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} to {}", self.first, self.last)
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        args: Args,
    }

    fn check(line: &str, expect: bool) {
        let words = line.split_whitespace();
        let parsed = Cli::try_parse_from(std::iter::once("demo").chain(words));
        assert_eq!(parsed.is_ok(), expect, "{line}");
    }

    #[test]
    fn arguments_are_understood_or_refused() {
        check("", true);
        check(
            "--exit --devices 2 --rows-per-second 100 --keep /tmp/d",
            true,
        );
        check("--devices 1", false);
        check("--rows-per-second 0", false);
        check("--model m.onnx", false);
        check("--data d.csv", false);
        let files = "--model m.onnx --data d.csv --columns a,b --golden g.npz";
        check(files, true);
        check(&format!("{files} --expect-quiet 1-2"), false);
        check(&format!("{files} --threshold 7.4 --expect-quiet 1-2"), true);
        check(
            &format!("{files} --threshold 7.4 --expect-alarm 2-1"),
            false,
        );
        check(&format!("{files} --golden2 g.npz"), false);
        check(&format!("{files} --model2 n.onnx --golden2 g.npz"), true);
    }

    #[test]
    fn a_range_holds_both_ends() -> Result<(), String> {
        let range: RowRange = "400-500".parse()?;
        assert_eq!(range.exclusive(), 400..501);
        assert_eq!(range.to_string(), "400 to 500");
        Ok(())
    }
}
