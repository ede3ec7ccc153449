//! Builds the programs, runs every test, and says at the end what was left out and why.
//! It is one cargo invocation over the whole workspace: another selection of packages would mean
//! other features, and the model runtime and the broker once more.

mod tally;

use std::{
    env, fs,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{self, Command, ExitCode, Stdio},
};

use anyhow::{Context as _, ensure};

use crate::run::{Outcome, cargo, command};
use tally::Tally;

/// Tests append `SKIPPED name: because: install line` to the file that this variable names.
const SKIPS_VARIABLE: &str = "MUSTER_SKIPS";

/// Tests do more rounds when this is 1.
const FULL_VARIABLE: &str = "MUSTER_FULL";

/// What `cargo xtask test` may be told.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Also run the long tests.
    #[arg(long)]
    full: bool,
    /// Count a skipped test as an error.
    #[arg(long)]
    no_skip: bool,
    /// Passed on to `cargo test`, and after `--` to the tests.
    #[arg(
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "ARGUMENT"
    )]
    passed_on: Vec<String>,
}

/// Runs the tests; the closing line stands alone on its line.
///
/// # Errors
/// Cargo cannot be started, or its output or the list of skips cannot be read.
pub(crate) fn run(args: &Args, root: &Path) -> anyhow::Result<ExitCode> {
    if let Outcome::Failed(what) = command(cargo(root).args(["build", "--workspace"])) {
        eprintln!("failed to build what the tests start: because {what}");
        return Ok(ExitCode::FAILURE);
    }
    let skips = SkipsFile::new()?;
    let mut tally = Tally::default();
    let finished = stream(&mut test_command(args, root, &skips.0), &mut tally)?;
    tally.hear_all(&skips.read()?);
    for line in tally.closing_lines(args.full) {
        println!("{line}");
    }
    Ok(verdict(args, finished, &tally))
}

fn test_command(args: &Args, root: &Path, skips: &Path) -> Command {
    let mut test = cargo(root);
    test.args(["test", "--workspace", "--no-fail-fast"])
        .env(SKIPS_VARIABLE, skips);
    let split = args.passed_on.iter().position(|argument| argument == "--");
    let (to_cargo, to_tests) = args
        .passed_on
        .split_at(split.unwrap_or(args.passed_on.len()));
    test.args(to_cargo).arg("--").args(to_tests.iter().skip(1));
    if args.full {
        test.env(FULL_VARIABLE, "1").arg("--include-ignored");
    }
    test
}

/// Shows the tests' output as it comes; true when cargo was content.
fn stream(test: &mut Command, tally: &mut Tally) -> anyhow::Result<bool> {
    let mut child = test
        .stdout(Stdio::piped())
        .spawn()
        .context("failed to start cargo test")?;
    if let Some(output) = child.stdout.take() {
        for line in BufReader::new(output).split(b'\n') {
            let line = line.context("failed to read the tests' output")?;
            let line = String::from_utf8_lossy(&line);
            println!("{line}");
            tally.hear(&line);
        }
    }
    Ok(child
        .wait()
        .context("failed to wait for cargo test")?
        .success())
}

fn verdict(args: &Args, finished: bool, tally: &Tally) -> ExitCode {
    if !finished && tally.failed() == 0 {
        eprintln!("cargo test failed although no test did: see its last lines above");
    }
    if args.no_skip && tally.skipped() > 0 {
        eprintln!("failed to run every test: because some were skipped: see above how to install");
        return ExitCode::FAILURE;
    }
    if finished && tally.failed() == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// An empty file of our own, removed at the end.
struct SkipsFile(PathBuf);

impl SkipsFile {
    fn new() -> anyhow::Result<Self> {
        let path = env::temp_dir().join(format!("muster-skips-{}", process::id()));
        let _stale = fs::remove_file(&path);
        let made = fs::File::create_new(&path);
        made.with_context(|| format!("failed to create {}", path.display()))?;
        ensure!(
            path.is_absolute(),
            "failed to place {}: because TMPDIR is relative",
            path.display()
        );
        Ok(Self(path))
    }

    fn read(&self) -> anyhow::Result<String> {
        fs::read_to_string(&self.0).context("failed to read the list of skipped tests")
    }
}

impl Drop for SkipsFile {
    fn drop(&mut self) {
        let _already_gone = fs::remove_file(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_arguments(full: bool, passed_on: &[&str], expect: &str) {
        let passed_on = passed_on
            .iter()
            .map(|&argument| argument.to_owned())
            .collect();
        let args = Args {
            full,
            no_skip: false,
            passed_on,
        };
        let test = test_command(&args, Path::new("."), Path::new("skips"));
        let words: Vec<_> = test.get_args().map(|word| word.to_string_lossy()).collect();
        assert_eq!(
            words.join(" "),
            format!("test --workspace --no-fail-fast {expect}")
        );
    }

    #[test]
    fn arguments_reach_cargo_and_the_tests() {
        check_arguments(false, &[], "--");
        check_arguments(
            false,
            &["stream", "--", "--nocapture"],
            "stream -- --nocapture",
        );
        check_arguments(true, &["stream"], "stream -- --include-ignored");
    }

    fn check_verdict(no_skip: bool, finished: bool, heard: &str, expect: ExitCode) {
        let args = Args {
            full: false,
            no_skip,
            passed_on: Vec::new(),
        };
        let mut tally = Tally::default();
        tally.hear_all(heard);
        let seen = format!("{:?}", verdict(&args, finished, &tally));
        assert_eq!(seen, format!("{expect:?}"), "{heard}");
    }

    #[test]
    fn a_skip_fails_only_when_told_so() {
        let skip = "SKIPPED a: because b: c\n";
        check_verdict(false, true, skip, ExitCode::SUCCESS);
        check_verdict(true, true, skip, ExitCode::FAILURE);
        check_verdict(true, true, "", ExitCode::SUCCESS);
    }

    #[test]
    fn what_cargo_or_a_test_says_counts() {
        check_verdict(false, false, "", ExitCode::FAILURE);
        let failed = "test result: FAILED. 1 passed; 1 failed; 0 ignored; 0 measured;\n";
        check_verdict(false, true, failed, ExitCode::FAILURE);
    }

    #[test]
    fn output_is_heard_and_the_status_kept() {
        let mut tally = Tally::default();
        let script = "echo 'test result: ok. 2 passed; 0 failed; 1 ignored; 0 measured'; exit 3";
        let finished =
            stream(Command::new("sh").args(["-c", script]), &mut tally).expect("a shell");
        assert!(!finished);
        assert_eq!(
            tally.closing_lines(false).last().map(String::as_str),
            Some("2 passed, 0 failed, 0 skipped")
        );
    }

    #[test]
    fn the_list_of_skips_is_removed() {
        let file = SkipsFile::new().expect("a temporary file");
        let path = file.0.clone();
        fs::write(&path, "SKIPPED a: because b: c\n").expect("a writable file");
        assert!(file.read().expect("a readable file").contains("because b"));
        drop(file);
        assert!(!path.exists());
    }
}
