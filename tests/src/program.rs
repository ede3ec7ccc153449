//! A program under test: started with its output in files, ended with its owner.
//!
//! When a test fails, the last lines that it logged are shown.

use crate::wait;
use rustix::process::{Pid, Signal};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

/// Lines of a log that a failing test shows.
const LINES_SHOWN: usize = 60;

/// The built program beside our own executable, or a folder above it (`target/debug/deps/all-…`).
///
/// # Panics
/// When it was not built.
pub fn path(name: &str) -> PathBuf {
    let own = std::env::current_exe().expect("an executable has a path");
    let folders = own.ancestors().skip(1).take(2);
    let mut programs = folders.map(|folder| folder.join(name));
    let program = programs.find(|program| program.is_file());
    program.unwrap_or_else(|| {
        panic!(
            "no {name} beside {}: run `cargo build --workspace`",
            own.display()
        )
    })
}

/// Kills a process that a program under test has started.
///
/// # Panics
/// When there is none.
pub fn kill9(pid: i32) {
    signal(pid, Signal::KILL);
}

fn signal(pid: i32, signal: Signal) {
    let pid = Pid::from_raw(pid).expect("a process has a number");
    rustix::process::kill_process(pid, signal).expect("it runs");
}

/// Log lines without colours.
pub fn plain(log: &str) -> String {
    let mut parts = log.split('\u{1b}');
    let first = parts.next().unwrap_or_default().to_owned();
    let uncoloured = |part: &str| {
        part.split_once('m')
            .map_or(part.to_owned(), |p| p.1.to_owned())
    };
    parts.fold(first, |text, part| text + &uncoloured(part))
}

/// A running program.
#[derive(Debug)]
pub struct Program {
    name: String,
    child: Child,
    out: PathBuf,
    log: PathBuf,
}

impl Program {
    /// Starts it; `folder` takes its output.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn start(name: &str, mut command: Command, folder: &Path) -> Self {
        let (out, log) = (
            folder.join(format!("{name}.out")),
            folder.join(format!("{name}.log")),
        );
        let open = |path: &Path| File::options().create(true).append(true).open(path);
        fs::write(&out, "").expect("output is writable");
        command.stdin(Stdio::null());
        command
            .stdout(open(&out).expect("output"))
            .stderr(open(&log).expect("log"));
        let child = command.spawn().expect("the program starts");
        Self {
            name: name.to_owned(),
            child,
            out,
            log,
        }
    }

    /// Waits for the line `ready …` and gives the rest of it.
    ///
    /// # Panics
    /// When the program ends or says nothing in time.
    pub fn ready(&mut self) -> String {
        wait::until(format!("{} to be ready", self.name), wait::SOON, || {
            let said = fs::read_to_string(&self.out).unwrap_or_default();
            let line = said.lines().find_map(|line| line.strip_prefix("ready "));
            match (line, self.child.try_wait().ok().flatten()) {
                // A line without its end is half a line.
                (Some(line), _) if said.ends_with('\n') => Ok(line.to_owned()),
                (_, Some(status)) => panic!("{} ended with {status}: {}", self.name, self.tail()),
                (_, None) => Err(format!("{said:?}")),
            }
        })
    }

    /// What it logged, from every start.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// What it printed since it was started.
    pub fn out(&self) -> String {
        fs::read_to_string(&self.out).unwrap_or_default()
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Tells it to read its configuration again.
    pub fn hang_up(&self) {
        signal(
            i32::try_from(self.child.id()).expect("a process number"),
            Signal::HUP,
        );
    }

    /// Tells it to write down what it keeps.
    pub fn save(&self) {
        signal(
            i32::try_from(self.child.id()).expect("a process number"),
            Signal::USR1,
        );
    }

    /// Takes it away as a power cut would.
    pub fn kill9(&mut self) {
        self.child.kill().expect("the program is ours");
        self.child.wait().expect("a child can be waited for");
    }

    /// Asks it to end, and waits.
    ///
    /// # Panics
    /// When it does not end in time.
    pub fn stop(&mut self) -> ExitStatus {
        signal(
            i32::try_from(self.child.id()).expect("a process number"),
            Signal::TERM,
        );
        self.ended()
    }

    /// Whether it has ended.
    ///
    /// # Panics
    /// When the system does not say.
    pub fn has_ended(&mut self) -> bool {
        let status = self.child.try_wait().expect("a child can be waited for");
        status.is_some()
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// When it does not end in time.
    pub fn ended(&mut self) -> ExitStatus {
        let child = &mut self.child;
        wait::until(format!("{} to end", self.name), wait::SOON, || {
            child
                .try_wait()
                .expect("a child can be waited for")
                .ok_or("it runs")
        })
    }

    fn tail(&self) -> String {
        let log = self.log();
        let lines: Vec<_> = log.lines().collect();
        lines[lines.len().saturating_sub(LINES_SHOWN)..].join("\n")
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let gone: io::Result<_> = self.child.kill().and_then(|()| self.child.wait());
        if std::thread::panicking() {
            eprintln!("--- {} ({gone:?}) logged last:\n{}", self.name, self.tail());
        }
    }
}
