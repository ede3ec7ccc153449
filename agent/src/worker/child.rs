//! The compute child: limits itself, loads one model, answers one request after another.
//!
//! Reads nothing before its limits stand. Never opens a socket or writes a file; its only ways
//! out are the socket pair on stdin and a few words on stderr before it dies.

use super::frame::{read_request, write_reply};
use super::message::{Loaded, Reply, Request};
use super::procfs;
use super::stopwatch::Stopwatch;
use crate::infer::{self, Model, Stage};
use crate::tensor::Tensor;
use rustix::process::{
    Resource, Rlimit, Signal, getrlimit, set_parent_process_death_signal, setpriority_process,
    setrlimit,
};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::panic::{self, AssertUnwindSafe};
use std::path::Path;
use std::process::ExitCode;

/// After a load of at most this long, the operator that it died of is looked for: that takes some
/// more loads.
const BLAME_US_MAX: u64 = 500_000;
/// Priority of what runs after everything else (setpriority(2)).
const NICEST: i32 = 19;
/// Exit code of a worker that could not limit itself or understand its supervisor.
const EXIT_BROKEN: u8 = 70;

/// `muster-agent worker`, started by the supervisor only.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct WorkerArgs {
    /// Address space beyond that of the idle program, bytes.
    #[arg(long)]
    pub memory_bytes_max: u64,
    /// CPU seconds in all.
    #[arg(long)]
    pub cpu_seconds_max: Option<u64>,
    /// Run after everything else on the machine.
    #[arg(long)]
    pub lowest_priority: bool,
}

/// The child's whole life. Call it before any thread is started: each reserves address space.
pub fn main(args: WorkerArgs) -> ExitCode {
    match limit(args).and_then(|()| serve()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("worker: {error}");
            ExitCode::from(EXIT_BROKEN)
        }
    }
}

fn limit(args: WorkerArgs) -> io::Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    if args.lowest_priority {
        setpriority_process(None, NICEST)?;
    }
    let idle = procfs::status_bytes(std::process::id(), "VmSize").unwrap_or(0);
    let address_space = idle.saturating_add(args.memory_bytes_max);
    set(Resource::As, address_space, address_space)?;
    set(Resource::Core, 0, 0)?;
    // At the soft limit the kernel sends a signal that says why, at the hard one it just kills.
    let cpu = args.cpu_seconds_max;
    cpu.map_or(Ok(()), |seconds| {
        set(Resource::Cpu, seconds, seconds.saturating_add(1))
    })
}

fn set(resource: Resource, soft: u64, hard: u64) -> io::Result<()> {
    let inherited = getrlimit(resource).maximum;
    let at_most = |wanted: u64| Some(inherited.map_or(wanted, |maximum| maximum.min(wanted)));
    Ok(setrlimit(
        resource,
        Rlimit {
            current: at_most(soft),
            maximum: at_most(hard),
        },
    )?)
}

/// Answers until the supervisor closes its end.
fn serve() -> io::Result<()> {
    panic::set_hook(Box::new(|panic| eprintln!("{}", last_words(panic))));
    let mut channel = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    let mut model = match load(&mut channel)? {
        Some(model) => model,
        None => return Ok(()),
    };
    while let Some(request) = read_request(&mut channel)? {
        let Request::Run { id, inputs } = request else {
            return Err(io::Error::other("a model is loaded already"));
        };
        let reply = run(&mut model, id, inputs, &mut channel);
        write_reply(&mut channel, &reply)?;
    }
    Ok(())
}

/// `None` when there is nothing to run: refused, or the supervisor has gone.
fn load(channel: &mut UnixStream) -> io::Result<Option<Model>> {
    let (path, graph, example) = match read_request(channel)? {
        Some(Request::Load {
            path,
            graph,
            example,
        }) => (path, graph, example),
        Some(Request::Run { .. }) => return Err(io::Error::other("no model is loaded")),
        None => return Ok(None),
    };
    let stopwatch = Stopwatch::start();
    let mut stage = Stage::Read;
    let mut enter = |entered: Stage, operator: Option<&str>| {
        stage = entered;
        say_entered(channel, entered, operator);
    };
    let path = Path::new(&path);
    let loaded = panic::catch_unwind(AssertUnwindSafe(|| {
        infer::load(path, graph, &example, &mut enter)
    }));
    let (reply, model) = match loaded {
        Ok(Ok(model)) => (Reply::Loaded(describe(&model, &stopwatch)), Some(model)),
        Ok(Err(error)) => (Reply::Refused(error), None),
        Err(panic) => {
            if stopwatch.elapsed_us() < BLAME_US_MAX {
                // The evidence is written already; what the search dies of is the same.
                panic::set_hook(Box::new(|_| {}));
                let operator = infer::culprit(path, graph, &example);
                say_entered(channel, stage, operator.as_deref());
            }
            panic::resume_unwind(panic)
        }
    };
    write_reply(channel, &reply)?;
    Ok(model)
}

/// If nobody listens any more, the next read ends the worker.
fn say_entered(channel: &mut UnixStream, stage: Stage, operator: Option<&str>) {
    let operator = operator.map(str::to_owned);
    let _ = write_reply(channel, &Reply::Entered { stage, operator });
}

fn describe(model: &Model, stopwatch: &Stopwatch) -> Loaded {
    Loaded {
        signature: model.signature().clone(),
        operators: model.operators().to_vec(),
        metadata: model.metadata().to_vec(),
        load_us: stopwatch.elapsed_us(),
    }
}

fn run(model: &mut Model, id: u64, inputs: Vec<Tensor>, channel: &mut UnixStream) -> Reply {
    let failed = |error: infer::RunError| {
        let operator = error.operator().map(str::to_owned);
        Reply::Failed {
            id,
            operator,
            reason: error.to_string(),
        }
    };
    let inputs = match model.prepare(inputs) {
        Ok(inputs) => inputs,
        Err(error) => return failed(error),
    };
    let stopwatch = Stopwatch::start();
    let mut enter = |stage: Stage, operator: Option<&str>| say_entered(channel, stage, operator);
    let ran = panic::catch_unwind(AssertUnwindSafe(|| model.run(&inputs, &mut enter)));
    let ran = ran.unwrap_or_else(|panic| {
        say_entered(channel, Stage::Run, model.at_work());
        panic::resume_unwind(panic)
    });
    match ran {
        Ok(outputs) => Reply::Ran {
            id,
            outputs,
            run_us: stopwatch.elapsed_us(),
        },
        Err(error) => failed(error),
    }
}

/// One line: what and where, without the folder that the source was compiled in.
fn last_words(panic: &panic::PanicHookInfo<'_>) -> String {
    let what = panic.payload_as_str().unwrap_or("without words");
    let what: String = what.chars().take(400).collect();
    match panic.location() {
        Some(location) => {
            let file = location.file();
            let crate_start = file.rfind("/src/").and_then(|src| file[..src].rfind('/'));
            let file = crate_start.map_or(file, |slash| &file[slash + 1..]);
            format!("the runtime gave up: {what} ({file}:{})", location.line())
        }
        None => format!("the runtime gave up: {what}"),
    }
}
