//! Runs every case of a folder through the agent's own loading and trial, one program start each,
//! and holds the verdicts against what the runtime is known to do.
//! It never runs a model itself: `muster-agent check` does.

mod archive;
mod case;
mod expect;
mod table;
mod verdict;

use std::{
    num::NonZero,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use anyhow::{Context as _, ensure};

use crate::progress::Progress;
use crate::run::cargo;
use case::Case;
use expect::Expectations;
use verdict::{Agent, Verdict};

/// What `cargo xtask conformance` may be told.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Folder of cases: folders with model.onnx and test_data_set_N, archives (.tgz) of such
    /// folders, bare .onnx files; or one archive or file.
    folder: PathBuf,
    /// How the verdicts are printed.
    #[arg(long, value_enum, default_value = "text")]
    output: Output,
    /// The agent's program; without it, the workspace is built and its own is taken.
    #[arg(long, value_name = "PATH")]
    agent: Option<PathBuf>,
    /// Seconds that loading a model, and then each run, may take.
    #[arg(long, default_value_t = 20)]
    timeout_s: u64,
    /// Memory that a model may take, MiB.
    #[arg(long, default_value_t = 1024)]
    memory_mib: u64,
    /// Relative tolerance of outputs.
    #[arg(long, default_value_t = 1e-3)]
    rtol: f64,
    /// Absolute tolerance of outputs.
    #[arg(long, default_value_t = 1e-4)]
    atol: f64,
    /// Cases at a time; as many as there are processors without it.
    #[arg(long)]
    jobs: Option<NonZero<usize>>,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Output {
    /// For people.
    Text,
    /// For scripts.
    Json,
}

/// A case that was run.
struct Tried {
    case: Case,
    verdict: Verdict,
}

/// Runs them all. The exit code is that of the worst: a crash, or a verdict that is not expected.
///
/// # Errors
/// Cases cannot be read, or the agent is not there.
pub(crate) fn run(args: &Args, root: &Path) -> anyhow::Result<ExitCode> {
    let agent = Agent {
        program: program(args, root)?,
        timeout_s: args.timeout_s,
        memory_mib: args.memory_mib,
        rtol: args.rtol,
        atol: args.atol,
    };
    let (cases, _unpacked) = case::find(&args.folder)?;
    ensure!(
        !cases.is_empty(),
        "failed to find a case in {}: because it holds no model.onnx, no .tgz and no .onnx file",
        args.folder.display()
    );
    let tried = try_all(cases, &agent, jobs(args));
    let failures = Expectations::known()?.judge(&tried);
    match args.output {
        Output::Text => print!("{}", table::text(&tried, &failures)),
        Output::Json => println!("{:#}", table::json(&tried, &failures)),
    }
    Ok(match failures.is_empty() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

fn program(args: &Args, root: &Path) -> anyhow::Result<PathBuf> {
    if let Some(program) = &args.agent {
        ensure!(program.is_file(), "failed to find {}", program.display());
        return Ok(program.clone());
    }
    let mut build = cargo(root);
    // What cargo says of the build must not mix with the verdicts.
    build.args(["build", "--workspace", "--quiet"]);
    eprintln!("building the agent");
    let built = build.status().context("failed to start cargo")?;
    ensure!(
        built.success(),
        "failed to build the agent: because of what cargo says above"
    );
    let own = std::env::current_exe().context("failed to find the built programs")?;
    Ok(own.with_file_name("muster-agent"))
}

fn jobs(args: &Args) -> usize {
    let all = || thread::available_parallelism().map_or(1, NonZero::get);
    args.jobs.map_or_else(all, NonZero::get)
}

/// In the order of the cases, whichever ends first.
fn try_all(cases: Vec<Case>, agent: &Agent, jobs: usize) -> Vec<Tried> {
    let progress = Progress::start(cases.len(), "cases", 100);
    let (next, verdicts) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let work = || {
        loop {
            let place = next.fetch_add(1, Ordering::Relaxed);
            let Some(case) = cases.get(place) else { return };
            let verdict = agent.check(case);
            progress.advance(&case.name);
            let mut verdicts = verdicts.lock().unwrap_or_else(PoisonError::into_inner);
            verdicts.push((place, verdict));
        }
    };
    thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(work);
        }
    });
    let mut verdicts = verdicts
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner);
    verdicts.sort_by_key(|(place, _)| *place);
    let verdicts = verdicts.into_iter().map(|(_, verdict)| verdict);
    let pairs = cases.into_iter().zip(verdicts);
    pairs
        .map(|(case, verdict)| Tried { case, verdict })
        .collect()
}
