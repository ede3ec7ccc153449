//! Programs that the demo starts: in a group of their own, logged to files, ended in good order.
//! Never leaves one behind while this process lives to see it.

use std::{
    fs::{self, File},
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use rustix::process::{Pid, Signal, kill_process_group};

use super::interrupt::Interrupt;
use crate::clock;

/// How long a program may take to end by itself.
const ENDING_MAX: Duration = Duration::from_secs(10);
/// Lines of a log that are shown when its program fails.
const LINES_SHOWN: usize = 12;

/// A program that runs beside us.
pub(super) struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `command`; what it says goes to `folder/name.log` and `folder/name.out`.
    ///
    /// # Errors
    /// It cannot be started.
    pub(super) fn start(name: &str, command: &mut Command, folder: &Path) -> anyhow::Result<Self> {
        let log = folder.join(format!("{name}.log"));
        let out = File::create(folder.join(format!("{name}.out")))?;
        // A group of its own: Ctrl-C at the terminal reaches us alone, and we end it in order.
        let child = command
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(File::create(&log)?)
            .process_group(0)
            .spawn();
        Ok(Self {
            name: name.to_owned(),
            child: child.with_context(|| format!("failed to start {name}"))?,
            log,
        })
    }

    /// What it has printed so far.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(super) fn printed(&self) -> anyhow::Result<String> {
        Ok(fs::read_to_string(self.log.with_extension("out"))?)
    }

    /// Says that it has ended, with the end of its log.
    ///
    /// # Errors
    /// It has ended.
    pub(super) fn expect_running(&mut self) -> anyhow::Result<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => bail!("{} ended with {status}{}", self.name, self.last_lines()),
        }
    }

    /// Asks it to end, and waits; a program that does not hear is killed. The status tells.
    pub(super) fn stop(&mut self) -> Option<ExitStatus> {
        self.signal(Signal::TERM);
        let status = self.wait_until(clock::now() + ENDING_MAX);
        if status.is_none() {
            eprintln!("{} did not end within 10 s and was killed", self.name);
            self.signal(Signal::KILL);
            return self.child.wait().ok();
        }
        status
    }

    fn wait_until(&mut self, deadline: Instant) -> Option<ExitStatus> {
        while clock::now() < deadline {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Some(status);
            }
            Interrupt::default().rest(Duration::from_millis(20));
        }
        None
    }

    /// Sends it a signal, and its children, if it still lives.
    pub(super) fn signal(&mut self, signal: Signal) {
        // Its number is its own until it has been waited for.
        let lives = matches!(self.child.try_wait(), Ok(None));
        let group = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        if let Some(group) = group.filter(|_| lives) {
            let _already_gone = kill_process_group(group, signal);
        }
    }

    fn last_lines(&self) -> String {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        last_lines(&log)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Runs a program to its end and gives what it printed.
///
/// # Errors
/// It cannot be started or fails, with the end of what it said.
pub(super) fn output(command: &mut Command) -> anyhow::Result<String> {
    let program = Path::new(command.get_program()).file_name();
    let program = program.unwrap_or_default().to_string_lossy().into_owned();
    let words = command.get_args().map(|word| word.to_string_lossy());
    let shown = words
        .filter(|word| word.len() < 60)
        .collect::<Vec<_>>()
        .join(" ");
    // Ctrl-C ends the story, not a step of it half-way.
    let output = command.stdin(Stdio::null()).process_group(0).output();
    let output = output.with_context(|| format!("failed to start {program}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = last_lines(&String::from_utf8_lossy(&output.stderr));
    bail!("`{program} {shown}` ended with {}{said}", output.status)
}

fn last_lines(log: &str) -> String {
    let lines: Vec<_> = log.lines().collect();
    let from = lines.len().saturating_sub(LINES_SHOWN);
    lines[from..]
        .iter()
        .fold(String::new(), |text, line| text + "\n    | " + line)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut shell = Command::new("sh");
        shell.args(["-c", script]);
        shell
    }

    #[test]
    fn a_program_is_ended_with_its_children() -> anyhow::Result<()> {
        let folder = tempfile::tempdir()?;
        // The shell hears the signal only once its child has died of it, too.
        let mut process = Process::start("a", &mut shell("sleep 600; true"), folder.path())?;
        process.expect_running()?;
        let start = clock::now();
        process.stop();
        assert!(clock::now() - start < ENDING_MAX);
        assert!(process.expect_running().is_err());
        Ok(())
    }

    #[test]
    fn a_program_that_fails_is_quoted() -> anyhow::Result<()> {
        let folder = tempfile::tempdir()?;
        let script = "echo out; echo why >&2; exit 3";
        let mut process = Process::start("b", &mut shell(script), folder.path())?;
        assert!(process.wait_until(clock::now() + ENDING_MAX).is_some());
        assert_eq!(process.printed()?, "out\n");
        let said = process
            .expect_running()
            .err()
            .map(|error| error.to_string());
        assert_eq!(
            said.as_deref(),
            Some("b ended with exit status: 3\n    | why")
        );
        let said = output(&mut shell(script))
            .err()
            .map(|error| error.to_string());
        assert!(said.is_some_and(|said| said.ends_with("| why")));
        assert_eq!(output(&mut shell("echo out"))?, "out\n");
        Ok(())
    }
}
