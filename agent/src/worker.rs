//! The compute child, seen from the supervisor: start it, ask it, bury it.
//!
//! Whatever the runtime does in there (panic, abort, hang, eat memory) arrives here as a
//! [`WorkerFault`] with evidence. Never links the runtime into this process's fate: tensors in,
//! tensors out. Never retries: that is the supervisor's decision.

pub mod child;
mod evidence;
mod fault;
mod frame;
mod message;
mod procfs;
mod stopwatch;

pub use fault::{Place, WorkerFault};

use crate::infer::{Example, Graph, Stage};
use crate::tensor::{Signature, Tensor};
use evidence::Evidence;
use message::{Loaded, Reply, Request};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tokio::net::UnixStream;
use tokio::process::{Child, Command};
use tokio::time::timeout;

/// How long a child may take to die once its channel is closed, before it is killed.
const DEATH_MS_MAX: u64 = 2_000;

/// What one worker may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WorkerLimits {
    /// Address space beyond that of the idle program, bytes.
    pub memory_bytes_max: u64,
    /// CPU seconds in all, loading included; for trials. `None` for serving.
    pub cpu_seconds_max: Option<u64>,
    /// Wall-clock time for starting and loading, milliseconds.
    pub load_timeout_ms: u64,
    /// Wall-clock time for one request, milliseconds.
    pub run_timeout_ms: u64,
    /// Beside what it runs.
    pub priority: Priority,
}

/// Which worker goes first when there is not enough of a core for all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Priority {
    /// As any other program.
    Usual,
    /// After everything else.
    Lowest,
}

/// How a model is loaded.
#[derive(Clone, Debug)]
pub struct Loading {
    /// Which form of the graph runs.
    pub graph: Graph,
    /// What its requests look like.
    pub example: Example,
}

impl Default for Loading {
    fn default() -> Loading {
        Loading::like(Example::default())
    }
}

impl Loading {
    /// What serves, for requests like `example`.
    pub fn like(example: Example) -> Loading {
        Loading {
            graph: Graph::Optimised,
            example,
        }
    }
}

/// A running compute child with one loaded model. Dropping it kills the child.
#[derive(Debug)]
pub struct Worker {
    child: Child,
    pid: u32,
    channel: UnixStream,
    evidence: Evidence,
    limits: WorkerLimits,
    loaded: Loaded,
    /// The operator, if the model uses only one: at fault when a run kills the worker.
    only_operator: Option<String>,
    requests: u64,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Idle,
    /// A request is under way, or its future was dropped: then nobody knows where in a frame
    /// the channel stands.
    Busy,
    Ended,
}

/// Resident memory of a process, bytes; `None` once it has died.
pub fn resident_bytes_of(pid: u32) -> Option<u64> {
    procfs::status_bytes(pid, "VmRSS")
}

impl Worker {
    /// Starts `program worker` and loads `model` (an uncompressed ONNX file) in it.
    ///
    /// The child dies with the *thread* that started it (a rule of the kernel for parent-death
    /// signals): call this on a runtime thread, never in `spawn_blocking`.
    pub async fn start(
        program: &Path,
        model: &Path,
        limits: WorkerLimits,
    ) -> Result<Worker, WorkerFault> {
        Worker::start_with(program, model, Loading::default(), limits).await
    }

    /// [`Worker::start`] with a choice of graph, for requests like an example.
    pub async fn start_with(
        program: &Path,
        model: &Path,
        loading: Loading,
        limits: WorkerLimits,
    ) -> Result<Worker, WorkerFault> {
        let mut worker = Worker::spawn(program, limits).map_err(WorkerFault::Spawn)?;
        let mut place = Place::at(Stage::Read);
        let load = worker.load(model, loading, &mut place);
        let loaded = timeout(Duration::from_millis(limits.load_timeout_ms), load).await;
        match loaded {
            Ok(Ok(loaded)) => {
                worker.loaded = loaded;
                worker.only_operator = place.operator;
                worker.state = State::Idle;
                Ok(worker)
            }
            Ok(Err(broken)) => Err(worker.bury(broken, place).await),
            Err(_) => {
                worker.kill().await;
                Err(WorkerFault::HungLoading {
                    place,
                    timeout_ms: limits.load_timeout_ms,
                })
            }
        }
    }

    /// What the model takes and gives.
    pub fn signature(&self) -> &Signature {
        &self.loaded.signature
    }

    /// Operators of the model, sorted, unique.
    pub fn operators(&self) -> &[String] {
        &self.loaded.operators
    }

    /// The model file's own metadata.
    pub fn metadata(&self) -> &[(String, String)] {
        &self.loaded.metadata
    }

    /// Milliseconds from the child's first stage to a ready plan.
    pub fn load_ms(&self) -> u64 {
        self.loaded.load_us / 1_000
    }

    /// Largest resident memory so far, bytes; `None` once the child has died.
    pub fn peak_bytes(&self) -> Option<u64> {
        procfs::status_bytes(self.pid, "VmHWM")
    }

    /// Resident memory now, bytes; `None` once the child has died.
    pub fn resident_bytes(&self) -> Option<u64> {
        procfs::status_bytes(self.pid, "VmRSS")
    }

    /// Process id of the child.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Runs the model once: outputs in the order of the signature, and microseconds in the
    /// runtime. After `Input` and `RunFailed` the worker serves on; any other fault ends it.
    ///
    /// Not cancel-safe: if the future is dropped, the next call ends the worker.
    pub async fn run(&mut self, inputs: Vec<Tensor>) -> Result<(Vec<Tensor>, u64), WorkerFault> {
        let inputs = self.loaded.signature.arrange(inputs)?;
        self.must_be_idle().await?;
        self.requests += 1;
        let id = self.requests;
        let frame = frame::encode(&Request::Run { id, inputs }).map_err(|error| {
            WorkerFault::RunFailed {
                operator: None,
                reason: error.to_string(),
            }
        })?;
        self.state = State::Busy;
        let limit = Duration::from_millis(self.limits.run_timeout_ms);
        let mut place = self.at_run();
        let Ok(reply) = timeout(limit, self.exchange(&frame, &mut place)).await else {
            self.kill().await;
            return Err(WorkerFault::HungRunning {
                place,
                timeout_ms: self.limits.run_timeout_ms,
            });
        };
        match self.answer(id, reply) {
            Ok(answer) => {
                self.state = State::Idle;
                answer
            }
            Err(broken) => Err(self.bury(broken, place).await),
        }
    }

    /// Waits until the child has died by itself, and says of what. Cancel-safe.
    pub async fn ended(&mut self) -> WorkerFault {
        let broken = Broken::Closed;
        let _ = self.child.wait().await;
        self.bury(broken, self.at_run()).await
    }

    /// Ends the child in peace, or kills it when it does not go.
    pub async fn stop(self) {
        let Worker {
            mut child, channel, ..
        } = self;
        drop(channel);
        let limit = Duration::from_millis(DEATH_MS_MAX);
        if timeout(limit, child.wait()).await.is_err() {
            let _ = child.kill().await;
        }
    }

    fn spawn(program: &Path, limits: WorkerLimits) -> std::io::Result<Worker> {
        let (ours, theirs) = StdUnixStream::pair()?;
        ours.set_nonblocking(true)?;
        let channel = UnixStream::from_std(ours)?;
        let mut command = Command::new(program);
        command
            .arg("worker")
            .arg("--memory-bytes-max")
            .arg(limits.memory_bytes_max.to_string());
        if let Some(seconds) = limits.cpu_seconds_max {
            command.arg("--cpu-seconds-max").arg(seconds.to_string());
        }
        if limits.priority == Priority::Lowest {
            command.arg("--lowest-priority");
        }
        // No environment: the runtime reads variables, and backtraces slow some operators down.
        command
            .env_clear()
            .stdin(Stdio::from(OwnedFd::from(theirs)));
        command
            // Ctrl-C on a terminal is for the supervisor, which ends its workers in good order.
            .process_group(0)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let mut child = command.spawn()?;
        let evidence = Evidence::collect(child.stderr.take());
        let pid = child.id().unwrap_or(0);
        let (loaded, state) = (Loaded::default(), State::Busy);
        Ok(Worker {
            child,
            pid,
            channel,
            evidence,
            limits,
            loaded,
            only_operator: None,
            requests: 0,
            state,
        })
    }

    async fn load(
        &mut self,
        model: &Path,
        loading: Loading,
        place: &mut Place,
    ) -> Result<Loaded, Broken> {
        let path = model
            .to_str()
            .ok_or(Broken::Protocol("the model's path is not UTF-8".into()))?;
        let request = Request::Load {
            path: path.to_owned(),
            graph: loading.graph,
            example: loading.example,
        };
        let frame = frame::encode(&request).map_err(|error| Broken::Protocol(error.to_string()))?;
        frame::send(&mut self.channel, &frame)
            .await
            .map_err(Broken::from)?;
        loop {
            match frame::receive(&mut self.channel).await? {
                Reply::Entered { stage, operator } => *place = Place { stage, operator },
                Reply::Loaded(loaded) => return Ok(loaded),
                Reply::Refused(error) => return Err(Broken::Refused(error)),
                Reply::Ran { .. } | Reply::Failed { .. } => {
                    return Err(Broken::Protocol("an answer to no request".into()));
                }
            }
        }
    }

    /// Leaves in `place` what the worker was at when it was heard last.
    async fn exchange(&mut self, frame: &[u8], place: &mut Place) -> Result<Reply, Broken> {
        frame::send(&mut self.channel, frame)
            .await
            .map_err(Broken::from)?;
        loop {
            match frame::receive(&mut self.channel).await? {
                Reply::Entered { stage, operator } => *place = Place { stage, operator },
                reply => return Ok(reply),
            }
        }
    }

    /// The outer error ends the worker, the inner one does not.
    fn answer(
        &self,
        asked: u64,
        reply: Result<Reply, Broken>,
    ) -> Result<Result<(Vec<Tensor>, u64), WorkerFault>, Broken> {
        match reply? {
            Reply::Ran {
                id,
                outputs,
                run_us,
            } if id == asked => {
                let names = self
                    .loaded
                    .signature
                    .outputs
                    .iter()
                    .map(|spec| spec.name.as_str());
                match names.eq(outputs.iter().map(Tensor::name)) {
                    true => Ok(Ok((outputs, run_us))),
                    false => Err(Broken::Protocol(
                        "outputs that the model does not have".into(),
                    )),
                }
            }
            Reply::Failed {
                id,
                operator,
                reason,
            } if id == asked => Ok(Err(WorkerFault::RunFailed { operator, reason })),
            Reply::Ran { .. }
            | Reply::Failed { .. }
            | Reply::Entered { .. }
            | Reply::Loaded(_)
            | Reply::Refused(_) => Err(Broken::Protocol("an answer to another request".into())),
        }
    }

    async fn must_be_idle(&mut self) -> Result<(), WorkerFault> {
        match self.state {
            State::Idle => Ok(()),
            State::Busy => {
                self.kill().await;
                Err(WorkerFault::Protocol(
                    "the request before was abandoned".into(),
                ))
            }
            State::Ended => Err(WorkerFault::Protocol("the worker has ended".into())),
        }
    }

    fn at_run(&self) -> Place {
        let operator = self.only_operator.clone();
        Place {
            stage: Stage::Run,
            operator,
        }
    }

    async fn kill(&mut self) {
        self.state = State::Ended;
        let _ = self.child.kill().await;
    }

    /// Makes sure that the child is dead and reaped, then says why.
    async fn bury(&mut self, broken: Broken, place: Place) -> WorkerFault {
        let closed = match broken {
            Broken::Closed => true,
            Broken::Refused(_) | Broken::Protocol(_) => false,
        };
        self.state = State::Ended;
        let limit = Duration::from_millis(if closed { DEATH_MS_MAX } else { 0 });
        let status = timeout(limit, self.child.wait()).await;
        if !matches!(status, Ok(Ok(_))) {
            let _ = self.child.kill().await;
        }
        match (broken, status) {
            (Broken::Refused(error), _) => WorkerFault::Refused(error),
            (Broken::Protocol(what), _) => WorkerFault::Protocol(what),
            (Broken::Closed, Ok(Ok(status))) => {
                let evidence = self.evidence.take().await;
                fault::of_death(status, evidence, place, self.limits)
            }
            (Broken::Closed, Ok(Err(_)) | Err(_)) => {
                WorkerFault::Protocol("the worker closed its channel and lived on".into())
            }
        }
    }
}

/// Why a conversation cannot go on.
#[derive(Debug)]
enum Broken {
    Closed,
    Refused(crate::infer::LoadError),
    Protocol(String),
}

impl From<std::io::Error> for Broken {
    /// Any broken pipe means that the other end is gone; its exit status says more.
    fn from(_: std::io::Error) -> Broken {
        Broken::Closed
    }
}

#[cfg(test)]
pub(crate) mod tests;
