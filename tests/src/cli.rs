//! Commands that end by themselves: run, with what they said and their exit code.

use crate::wait;
use std::fmt;
use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

/// What a command left.
#[derive(Debug)]
pub struct Said {
    line: String,
    /// Exit code; absent when a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

/// Runs a command to its end.
///
/// # Panics
/// When it cannot be started or does not end in time.
pub fn run(command: &mut Command) -> Said {
    run_within(command, wait::LATER)
}

/// As [`run`], with a deadline of the caller's.
///
/// # Panics
/// As [`run`].
pub fn run_within(command: &mut Command, deadline: Duration) -> Said {
    let line = format!("{command:?}");
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().expect("the command starts");
    let stdout = collect(child.stdout.take().expect("piped"));
    let stderr = collect(child.stderr.take().expect("piped"));
    let mut child = Ours(child);
    let status = wait::until(format!("the end of {line}"), deadline, || {
        child
            .0
            .try_wait()
            .expect("a child can be waited for")
            .ok_or("it runs")
    });
    let text = |reader: thread::JoinHandle<String>| reader.join().expect("the reader ends");
    Said {
        line,
        code: status.code(),
        stdout: text(stdout),
        stderr: text(stderr),
    }
}

/// A child that does not outlive the test, whatever happens.
struct Ours(Child);

impl Drop for Ours {
    fn drop(&mut self) {
        // One that has ended needs no killing.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn collect(mut from: impl Read + Send + 'static) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        from.read_to_end(&mut bytes).expect("a pipe can be read");
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

impl Said {
    /// Standard output of a command that succeeded.
    ///
    /// # Panics
    /// When it failed.
    pub fn ok(self) -> String {
        assert_eq!(self.code, Some(0), "{self}");
        self.stdout
    }

    /// The command failed with this exit code, and its sentence has these parts, a reason and a
    /// hint.
    ///
    /// # Panics
    /// When not.
    pub fn refused(&self, code: i32, parts: &[&str]) {
        assert_eq!(self.code, Some(code), "{self}");
        for part in ["failed to ", ": because ", ": hint: "].iter().chain(parts) {
            assert!(
                self.stderr.contains(part),
                "{part:?} is not in what this said: {self}"
            );
        }
        assert!(!self.stderr.contains("panicked at "), "{self}");
    }
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            line,
            code,
            stdout,
            stderr,
        } = self;
        write!(f, "{line}\nended with {code:?}\n{stdout}\n{stderr}")
    }
}
