//! Real child processes: this test program plays the worker, or a shell script plays a bad one.
//!
//! Never the installed agent: a test must not pass on a stale binary.

use super::child::{self, WorkerArgs};
use super::*;
use crate::infer::tests::onnx;
use clap::Parser;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;
use tempfile::TempDir;

/// Carries the worker's arguments past the test harness.
const ARGUMENTS: &str = "MUSTER_TEST_WORKER";

/// A folder with a program to start and a model to load.
pub(crate) struct Fixture {
    folder: TempDir,
    pub(crate) program: PathBuf,
    pub(crate) model: PathBuf,
}

impl Fixture {
    /// The real worker.
    pub(crate) fn new(model: &[u8]) -> Fixture {
        let own = std::env::current_exe().expect("own path");
        let child = "--exact worker::tests::play_the_worker --nocapture --test-threads=1";
        let own = own.display();
        Fixture::script(&format!("{ARGUMENTS}=\"$*\" exec '{own}' {child}"), model)
    }

    /// Something else in its place.
    pub(crate) fn script(script: &str, model: &[u8]) -> Fixture {
        let folder = tempfile::tempdir().expect("a folder");
        let (program, path) = (
            folder.path().join("program"),
            folder.path().join("model.onnx"),
        );
        write_program(&program, &format!("#!/bin/sh\n{script}\n"));
        fs::write(&path, model).expect("written");
        Fixture {
            folder,
            program,
            model: path,
        }
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }
}

/// Another process writes it: what we had open for writing, a child that another test forks in
/// that moment would have open as well, and nobody could run it.
fn write_program(path: &Path, text: &str) {
    let write = "printf '%s' \"$1\" > \"$2\" && chmod 700 \"$2\"";
    let shell = std::process::Command::new("sh")
        .args(["-c", write, "sh", text])
        .arg(path)
        .status();
    assert!(shell.expect("a shell").success(), "{}", path.display());
}

#[derive(clap::Parser)]
struct Arguments {
    #[command(flatten)]
    worker: WorkerArgs,
}

/// Passes at once, unless the harness was started as a worker: then it is the worker.
#[test]
fn play_the_worker() {
    if let Ok(arguments) = std::env::var(ARGUMENTS) {
        let arguments = Arguments::parse_from(arguments.split(' '));
        let code = child::main(arguments.worker);
        std::process::exit(if code == std::process::ExitCode::SUCCESS {
            0
        } else {
            70
        });
    }
}

const LIMITS: WorkerLimits = WorkerLimits {
    memory_bytes_max: 512 << 20,
    cpu_seconds_max: None,
    load_timeout_ms: 20_000,
    run_timeout_ms: 20_000,
    priority: Priority::Usual,
};

fn input(rows: usize) -> Vec<Tensor> {
    vec![Tensor::from_f32("x", vec![rows, 2], &vec![1.0; rows * 2]).expect("valid")]
}

async fn fault(fixture: &Fixture, limits: WorkerLimits) -> String {
    let started = Worker::start(&fixture.program, &fixture.model, limits).await;
    started.expect_err("a fault").to_string()
}

fn is_gone(pid: u32) -> bool {
    !Path::new(&format!("/proc/{pid}")).exists()
}

#[tokio::test]
async fn a_worker_loads_answers_and_stops() {
    let fixture = Fixture::new(&onnx::linear().build());
    let mut worker = Worker::start(&fixture.program, &fixture.model, LIMITS)
        .await
        .expect("loads");
    assert_eq!(worker.operators(), ["Add", "Mul"]);
    assert_eq!(worker.metadata(), [("features".into(), "a,b".into())]);
    for rows in [1, 3] {
        let (outputs, _) = worker.run(input(rows)).await.expect("runs");
        assert_eq!(
            outputs[0].to_f32().collect::<Vec<_>>(),
            [3.0, 4.0].repeat(rows)
        );
    }
    assert!(worker.resident_bytes() <= worker.peak_bytes());
    let wrong = worker.run(vec![]).await.expect_err("refused");
    assert_eq!(wrong.to_string(), "expected 1 inputs (\"x\"), got 0");
    assert!(
        worker.run(input(1)).await.is_ok(),
        "a refused input ended the worker"
    );
    let pid = worker.pid();
    worker.stop().await;
    assert!(is_gone(pid), "a zombie");
}

#[tokio::test]
async fn a_killed_worker_is_a_fault_and_no_zombie() {
    let fixture = Fixture::new(&onnx::linear().build());
    let mut worker = Worker::start(&fixture.program, &fixture.model, LIMITS)
        .await
        .expect("loads");
    let pid = worker.pid();
    kill(pid);
    let fault = worker.run(input(1)).await.expect_err("dead");
    assert!(
        matches!(
            fault,
            WorkerFault::Crashed {
                signal: Some(9),
                ..
            }
        ),
        "{fault}"
    );
    assert!(is_gone(pid), "a zombie");
    let again = worker.run(input(1)).await.expect_err("dead").to_string();
    assert_eq!(again, "the worker broke off: the worker has ended");
}

#[tokio::test]
async fn a_worker_that_dies_between_requests_is_noticed() {
    let fixture = Fixture::new(&onnx::linear().build());
    let mut worker = Worker::start(&fixture.program, &fixture.model, LIMITS)
        .await
        .expect("loads");
    kill(worker.pid());
    let fault = timeout(Duration::from_secs(20), worker.ended())
        .await
        .expect("noticed");
    assert!(
        matches!(
            fault,
            WorkerFault::Crashed {
                signal: Some(9),
                ..
            }
        ),
        "{fault}"
    );
}

#[tokio::test]
async fn dropping_the_handle_kills_the_child() {
    let fixture = Fixture::new(&onnx::linear().build());
    let worker = Worker::start(&fixture.program, &fixture.model, LIMITS)
        .await
        .expect("loads");
    let pid = worker.pid();
    drop(worker);
    let gone = async {
        while !is_gone(pid) {
            tokio::task::yield_now().await;
        }
    };
    timeout(Duration::from_secs(20), gone)
        .await
        .expect("the child is dead and reaped");
}

#[tokio::test]
async fn an_abandoned_request_ends_the_worker_instead_of_mixing_answers() {
    let fixture = Fixture::new(&onnx::linear().build());
    let mut worker = Worker::start(&fixture.program, &fixture.model, LIMITS)
        .await
        .expect("loads");
    // On a busy machine the child could otherwise answer within the first poll.
    signal(worker.pid(), rustix::process::Signal::STOP);
    {
        let mut abandoned = Box::pin(worker.run(input(1)));
        let polled = std::future::poll_fn(|cx| std::task::Poll::Ready(abandoned.as_mut().poll(cx)));
        assert!(polled.await.is_pending());
    }
    let fault = worker.run(input(3)).await.expect_err("ended").to_string();
    assert_eq!(
        fault,
        "the worker broke off: the request before was abandoned"
    );
}

#[tokio::test]
async fn a_panic_of_the_runtime_is_evidence() {
    // One operator of several is to blame, whatever stands around it.
    let model = onnx::divides_by_zero()
        .node("", "Relu", &["y"], "z")
        .node("", "Abs", &["x"], "v")
        .output("z", &[None; 4])
        .output("v", &[None; 4]);
    let fixture = Fixture::new(&model.build());
    let fault = fault(&fixture, LIMITS).await;
    assert!(
        fault.starts_with("the worker died at stage analyse, Conv"),
        "{fault}"
    );
    assert!(
        fault.contains("the runtime gave up: attempt to divide by zero (tract-"),
        "{fault}"
    );
}

#[tokio::test]
async fn a_refusal_is_no_crash() {
    let fault = fault(&Fixture::new(b"GIF89a"), LIMITS).await;
    assert_eq!(
        fault,
        "the runtime refused the model at stage parse: it is not an ONNX file"
    );
}

#[tokio::test]
async fn bad_workers_are_seen_through() {
    async fn check(script: &str, load_timeout_ms: u64, expect: &str) {
        let fixture = Fixture::script(script, b"");
        let limits = WorkerLimits {
            load_timeout_ms,
            cpu_seconds_max: Some(1),
            ..LIMITS
        };
        assert_eq!(fault(&fixture, limits).await, expect, "{script}");
    }
    let hung = "loading took more than 300 ms, it hung at stage read";
    check("exec sleep 1000", 300, hung).await;
    check("while :; do echo noise >&2; done", 300, hung).await;
    let died = "the worker died at stage read (exit code 7): last words";
    check("echo last words >&2; exit 7", 20_000, died).await;
    let aborted = "the worker died at stage read (signal 6): ";
    check("kill -ABRT $$", 20_000, aborted).await;
    let starved = "the worker needed more than 536870912 bytes at stage read: memory allocation \
                   of 9 bytes failed";
    check(
        "echo memory allocation of 9 bytes failed >&2; kill -ABRT $$",
        20_000,
        starved,
    )
    .await;
    let exhausted = "the worker used up 1 s of CPU at stage read";
    check("kill -XCPU $$", 20_000, exhausted).await;
    let babble = "the worker broke off: a frame of 1094795585 bytes";
    check("echo AAAAAAAA >&0; exec sleep 1000", 20_000, babble).await;
}

#[tokio::test]
async fn a_missing_program_is_said_so() {
    let missing = Path::new("/nonexistent/muster-agent");
    let fault = Worker::start(missing, missing, LIMITS)
        .await
        .expect_err("a fault");
    assert!(matches!(fault, WorkerFault::Spawn(_)), "{fault}");
}

/// Nothing hangs beyond its limits, nothing reaches this process, everything says where.
#[tokio::test]
async fn hostile_models_end_within_their_limits() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/hostile");
    let Ok(entries) = fs::read_dir(&folder) else {
        let because = format!("{} is not there", folder.display());
        let hint = "put the shared data beside the project";
        return crate::skip::skip("worker: hostile models", &because, hint);
    };
    let fixture = Fixture::new(b"");
    let limits = WorkerLimits {
        load_timeout_ms: 3_000,
        run_timeout_ms: 3_000,
        ..LIMITS
    };
    for entry in entries {
        let model = entry.expect("an entry").path();
        let started = Worker::start(&fixture.program, &model, limits);
        let started = timeout(Duration::from_secs(20), started)
            .await
            .expect("ends in time");
        match started {
            Ok(worker) => worker.stop().await,
            Err(WorkerFault::Protocol(what)) => panic!("{}: {what}", model.display()),
            Err(WorkerFault::Spawn(what)) => panic!("{}: {what}", model.display()),
            Err(fault) => assert!(fault.to_string().contains("stage "), "{fault}"),
        }
    }
}

fn kill(pid: u32) {
    signal(pid, rustix::process::Signal::KILL);
}

fn signal(pid: u32, signal: rustix::process::Signal) {
    let pid = i32::try_from(pid)
        .ok()
        .and_then(rustix::process::Pid::from_raw)
        .expect("a pid");
    rustix::process::kill_process(pid, signal).expect("sent");
}
