//! What the agent said of a case: passed, refused, wrong, or crashed.
//!
//! Whatever a model does to its worker (a panic, an abort, a timeout) comes as a refusal that
//! names the stage: that is what the agent is for. Crashed is an agent that gave no such reason.

use std::{
    io::Read as _,
    path::PathBuf,
    process::{Child, Command, Output, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use serde::Deserialize;
use serde_json::Value;

use super::case::Case;

/// Exit codes of `muster-agent check`.
const EXIT_REFUSED: i32 = 3;
/// The stage that a wrong answer is refused at.
const TRIAL: &str = "trial";
/// Our name for data that the agent cannot read: it comes before every stage of the model.
const DATA: &str = "data";
/// An agent may need as many timeouts as this before we call it hung.
const TIMEOUTS_MAX: u64 = 20;

/// How a case ended.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Verdict {
    /// Every set was answered; with the worst difference. Without sets it was only loaded.
    Pass { worst: Option<f64> },
    /// With a reason, and the operator to blame if there is one.
    Refused {
        stage: String,
        operator: Option<String>,
        reason: String,
    },
    /// Another answer; by how much, if that is a finite number.
    Wrong { worst: Option<f64>, reason: String },
    /// The agent itself failed.
    Crashed { reason: String },
}

/// The agent's program and what it gives to models.
pub(super) struct Agent {
    pub(super) program: PathBuf,
    pub(super) timeout_s: u64,
    pub(super) memory_mib: u64,
    pub(super) rtol: f64,
    pub(super) atol: f64,
}

#[derive(Deserialize)]
struct Report {
    test_data: Option<TestData>,
}

#[derive(Deserialize)]
struct TestData {
    worst_difference: Option<f64>,
}

#[derive(Deserialize)]
struct Refusal {
    error: Refused,
}

#[derive(Deserialize)]
struct Refused {
    stage: String,
    operator: Option<String>,
    reason: String,
    difference: Option<f64>,
}

impl Agent {
    /// Checks one case in an agent of its own.
    pub(super) fn check(&self, case: &Case) -> Verdict {
        let mut command = Command::new(&self.program);
        command.arg("check").arg(&case.model);
        command.args(["--output", "json"]);
        command.args(["--timeout-s", &self.timeout_s.to_string()]);
        command.args(["--memory-mib", &self.memory_mib.to_string()]);
        if let Some(folder) = &case.test_data {
            command.arg("--test-data").arg(folder);
            command.args(["--rtol", &self.rtol.to_string()]);
            command.args(["--atol", &self.atol.to_string()]);
        }
        let deadline_s = self.timeout_s.saturating_mul(TIMEOUTS_MAX);
        match output(&mut command, Duration::from_secs(deadline_s)) {
            Ok(output) => Verdict::of(&output),
            Err(reason) => Verdict::Crashed { reason },
        }
    }
}

/// What a program leaves; why not otherwise. One that does not end is killed.
fn output(command: &mut Command, deadline: Duration) -> Result<Output, String> {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let child = command.spawn().map_err(|error| error.to_string())?;
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let (ended, end) = mpsc::channel();
    thread::scope(|scope| {
        scope.spawn(move || {
            // Nobody listens any more after the deadline.
            let _ = ended.send(wait(child));
        });
        end.recv_timeout(deadline).unwrap_or_else(|_| {
            if let Some(pid) = pid {
                // One that has just ended needs no killing.
                let _ = kill_process(pid, Signal::KILL);
            }
            Err(format!("it did not end within {} s", deadline.as_secs()))
        })
    })
}

fn wait(mut child: Child) -> Result<Output, String> {
    let stderr = child.stderr.take();
    let errors = thread::spawn(move || {
        let mut bytes = Vec::new();
        stderr.map(|mut stderr| stderr.read_to_end(&mut bytes));
        bytes
    });
    let output = child
        .wait_with_output()
        .map_err(|error| error.to_string())?;
    Ok(Output {
        stderr: errors.join().unwrap_or_default(),
        ..output
    })
}

impl Verdict {
    fn of(output: &Output) -> Self {
        let crashed = |reason: String| Self::Crashed { reason };
        let stderr = String::from_utf8_lossy(&output.stderr);
        let last = stderr.lines().rev().find(|line| !line.trim().is_empty());
        let last = last.unwrap_or("it said nothing").to_owned();
        match output.status.code() {
            Some(0) => match serde_json::from_slice::<Report>(&output.stdout) {
                Ok(report) => Self::Pass {
                    worst: report.test_data.and_then(|data| data.worst_difference),
                },
                Err(error) => crashed(format!("its report is unreadable: {error}")),
            },
            Some(EXIT_REFUSED) => match serde_json::from_slice::<Refusal>(&output.stdout) {
                Ok(Refusal { error }) => error.verdict(),
                // Without a report it is not the model that is no good.
                Err(_) => Self::Refused {
                    stage: DATA.into(),
                    operator: None,
                    reason: last,
                },
            },
            Some(_) | None => crashed(format!("{}: {last}", output.status)),
        }
    }

    /// One word.
    pub(super) fn word(&self) -> &'static str {
        match self {
            Self::Pass { .. } => "pass",
            Self::Refused { .. } => "refused",
            Self::Wrong { .. } => "wrong",
            Self::Crashed { .. } => "crashed",
        }
    }

    /// What there is to say beside the word.
    pub(super) fn detail(&self) -> String {
        let by = |worst: &Option<f64>| worst.map(|worst| format!("by up to {worst:.2e}"));
        match self {
            Self::Pass { worst: Some(worst) } => format!("worst difference {worst:.2e}"),
            Self::Pass { worst: None } => "loaded; it has no test data".into(),
            Self::Refused {
                stage,
                operator,
                reason,
            } => {
                let operator = operator.as_deref().unwrap_or("-");
                format!("stage {stage}, {operator}: {reason}")
            }
            Self::Wrong { worst, reason } => {
                let by = by(worst).unwrap_or_else(|| "in form, or beyond numbers".into());
                format!("{by}: {reason}")
            }
            Self::Crashed { reason } => reason.clone(),
        }
    }

    /// The same for scripts.
    pub(super) fn json(&self) -> Value {
        match self {
            Self::Pass { worst } => serde_json::json!({ "worst_difference": worst }),
            Self::Refused {
                stage,
                operator,
                reason,
            } => serde_json::json!({ "stage": stage, "operator": operator, "reason": reason }),
            Self::Wrong { worst, reason } => {
                serde_json::json!({ "worst_difference": worst, "reason": reason })
            }
            Self::Crashed { reason } => serde_json::json!({ "reason": reason }),
        }
    }
}

impl Refused {
    fn verdict(self) -> Verdict {
        if self.stage == TRIAL {
            return Verdict::Wrong {
                worst: self.difference,
                reason: self.reason,
            };
        }
        Verdict::Refused {
            stage: self.stage,
            operator: self.operator,
            reason: self.reason,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt as _;
    use std::process::ExitStatus;

    #[test]
    fn what_the_agent_leaves_is_a_verdict() {
        let check = |raw: i32, stdout: &str, stderr: &str, word: &str, detail: &str| {
            let output = Output {
                status: ExitStatus::from_raw(raw),
                stdout: stdout.into(),
                stderr: stderr.into(),
            };
            let verdict = Verdict::of(&output);
            assert_eq!((verdict.word(), verdict.detail().as_str()), (word, detail));
        };
        let passed = r#"{"test_data":{"sets":1,"worst_difference":0.00025}}"#;
        check(0, passed, "", "pass", "worst difference 2.50e-4");
        check(
            0,
            r#"{"test_data":null}"#,
            "",
            "pass",
            "loaded; it has no test data",
        );
        let refused = r#"{"error":{"stage":"analyse","operator":"Conv","reason":"no"}}"#;
        check(3 << 8, refused, "", "refused", "stage analyse, Conv: no");
        let refused = r#"{"error":{"stage":"read","operator":null,"reason":"no"}}"#;
        check(3 << 8, refused, "", "refused", "stage read, -: no");
        let wrong = r#"{"error":{"stage":"trial","operator":null,"reason":"y","difference":2}}"#;
        check(3 << 8, wrong, "", "wrong", "by up to 2.00e0: y");
        let said = "failed to check: because input_0.pb is text\n";
        let told = "stage data, -: failed to check: because input_0.pb is text";
        check(3 << 8, "", said, "refused", told);
        check(2 << 8, "", "oh", "crashed", "exit status: 2: oh");
        check(9, "", "", "crashed", "signal: 9 (SIGKILL): it said nothing");
        check(
            101 << 8,
            "",
            "thread panicked",
            "crashed",
            "exit status: 101: thread panicked",
        );
    }

    #[test]
    fn a_program_that_hangs_is_ended_and_called_crashed() {
        let ended = output(Command::new("sleep").arg("1000"), Duration::from_millis(20));
        assert_eq!(ended.expect_err("killed"), "it did not end within 0 s");
        let missing = output(&mut Command::new("/nonexistent"), Duration::from_secs(1));
        assert!(missing.is_err());
    }
}
