//! How a worker ends: one sentence each, with evidence.
//!
//! Never decides what to do about it.

use super::WorkerLimits;
use crate::infer::{LoadError, Stage};
use crate::tensor::InputError;
use std::fmt;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

const SIGKILL: i32 = 9;
const SIGXCPU: i32 = 24;

/// What the allocator, the standard library and the runtime say when they get no memory.
const OUT_OF_MEMORY_WORDS: [&str; 4] = [
    "memory allocation of",
    "capacity overflow",
    "Cannot allocate memory",
    "failed to allocate",
];

/// How far a worker had come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The stage that it entered last.
    pub stage: Stage,
    /// The operator at fault, if it is known.
    pub operator: Option<String>,
}

/// Why a worker gave no result.
#[derive(Debug, thiserror::Error)]
pub enum WorkerFault {
    /// It died.
    #[error(
        "the worker died at {place} ({how}): {evidence}",
        how = death(*signal, *code)
    )]
    Crashed {
        /// Where.
        place: Place,
        /// Signal that killed it.
        signal: Option<i32>,
        /// Exit code, without a signal.
        code: Option<i32>,
        /// The last lines that it wrote.
        evidence: String,
    },
    /// It asked for more memory than it may have, by its last words.
    #[error("the worker needed more than {memory_bytes_max} bytes at {place}: {evidence}")]
    OutOfMemory {
        /// Where.
        place: Place,
        /// Its limit.
        memory_bytes_max: u64,
        /// The last lines that it wrote.
        evidence: String,
    },
    /// Loading took longer than its limit; it was killed.
    #[error("loading took more than {timeout_ms} ms, it hung at {place}")]
    HungLoading {
        /// Where.
        place: Place,
        /// The limit.
        timeout_ms: u64,
    },
    /// A request took longer than its limit; it was killed.
    #[error("a run took more than {timeout_ms} ms{by}", by = by(place))]
    HungRunning {
        /// Where.
        place: Place,
        /// The limit.
        timeout_ms: u64,
    },
    /// It used up its CPU seconds.
    #[error("the worker used up {cpu_seconds_max} s of CPU at {place}")]
    CpuExhausted {
        /// Where.
        place: Place,
        /// The limit.
        cpu_seconds_max: u64,
    },
    /// The runtime refused the model.
    #[error("the runtime refused the model at {0}")]
    Refused(LoadError),
    /// The inputs do not fit the model. The worker serves on.
    #[error(transparent)]
    Input(#[from] InputError),
    /// This run failed. The worker serves on.
    #[error("the run failed: {reason}")]
    RunFailed {
        /// The operator at fault, if it is known.
        operator: Option<String>,
        /// Why, one line.
        reason: String,
    },
    /// Supervisor and worker do not understand each other, or the worker is gone.
    #[error("the worker broke off: {0}")]
    Protocol(String),
    /// It could not be started.
    #[error("the worker could not be started: {0}")]
    Spawn(std::io::Error),
}

impl Place {
    pub(super) fn at(stage: Stage) -> Place {
        Place {
            stage,
            operator: None,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.operator {
            Some(operator) => write!(f, "stage {}, {operator}", self.stage),
            None => write!(f, "stage {}", self.stage),
        }
    }
}

/// What an exit status and the last words mean.
pub(super) fn of_death(
    status: ExitStatus,
    evidence: String,
    place: Place,
    limits: WorkerLimits,
) -> WorkerFault {
    let signal = status.signal();
    if let (Some(SIGXCPU), Some(cpu_seconds_max)) = (signal, limits.cpu_seconds_max) {
        return WorkerFault::CpuExhausted {
            place,
            cpu_seconds_max,
        };
    }
    let evidence = plain(&evidence);
    let starved = OUT_OF_MEMORY_WORDS
        .iter()
        .any(|words| evidence.contains(words));
    if starved {
        let memory_bytes_max = limits.memory_bytes_max;
        return WorkerFault::OutOfMemory {
            place,
            memory_bytes_max,
            evidence,
        };
    }
    WorkerFault::Crashed {
        place,
        signal,
        code: status.code(),
        evidence,
    }
}

fn by(place: &Place) -> String {
    let by = |operator: &String| format!(", it hung in {operator}");
    place.operator.as_ref().map(by).unwrap_or_default()
}

/// The last words without what the standard library says to developers.
fn plain(evidence: &str) -> String {
    if evidence.contains("has overflowed its stack") {
        return "its graph is nested or chained too deeply for the runtime's stack".into();
    }
    let words = evidence.split(" note: run with").next();
    words.unwrap_or_default().to_owned()
}

fn death(signal: Option<i32>, code: Option<i32>) -> String {
    match (signal, code) {
        (Some(SIGKILL), _) => {
            "signal 9: the kernel was out of memory, or somebody killed it".into()
        }
        (Some(signal), _) => format!("signal {signal}"),
        (None, Some(code)) => format!("exit code {code}"),
        (None, None) => "no exit status".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_death_is_understood() {
        fn check(raw: i32, words: &str, expect: &str) {
            let limits = WorkerLimits {
                memory_bytes_max: 1000,
                cpu_seconds_max: Some(7),
                load_timeout_ms: 1,
                run_timeout_ms: 1,
                priority: crate::worker::Priority::Usual,
            };
            let place = Place::at(Stage::Analyse);
            let fault = of_death(ExitStatus::from_raw(raw), words.into(), place, limits);
            assert_eq!(fault.to_string(), expect);
        }
        let starved = "the worker needed more than 1000 bytes at stage analyse: \
                       memory allocation of 9 bytes failed";
        check(6, "memory allocation of 9 bytes failed", starved);
        check(
            9,
            "",
            "the worker died at stage analyse (signal 9: the kernel was out of memory, or \
             somebody killed it): ",
        );
        check(24, "", "the worker used up 7 s of CPU at stage analyse");
        check(11, "", "the worker died at stage analyse (signal 11): ");
        check(
            101 << 8,
            "boom",
            "the worker died at stage analyse (exit code 101): boom",
        );
    }
}
