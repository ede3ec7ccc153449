//! Runs steps and other programs, with a line for each and a summary at the end.
//! It knows nothing of what the steps are for.

use std::{
    env,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
    time::Duration,
};

use crate::clock;

/// How a step ended.
#[derive(Debug)]
pub(crate) enum Outcome {
    Passed,
    /// With what went wrong.
    Failed(String),
    /// With the reason, and what to do about it.
    Skipped {
        because: String,
        hint: String,
    },
}

/// The steps so far.
#[derive(Default)]
pub(crate) struct Report {
    steps: Vec<(String, Outcome, Duration)>,
}

impl Report {
    /// Announces and runs one step; a failed step does not stop the next.
    pub(crate) fn step(&mut self, name: &str, run: impl FnOnce() -> Outcome) {
        println!("== {name}");
        let start = clock::now();
        let outcome = run();
        self.steps
            .push((name.to_owned(), outcome, clock::now() - start));
    }

    /// Prints a line for each step; the exit code is that of the worst.
    pub(crate) fn close(&self) -> ExitCode {
        println!();
        for (name, outcome, duration) in &self.steps {
            println!("{}", line(name, outcome, *duration));
        }
        println!("{}", self.closing_line());
        if self.count(|outcome| matches!(outcome, Outcome::Failed(_))) == 0 {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        }
    }

    fn closing_line(&self) -> String {
        let passed = self.count(|outcome| matches!(outcome, Outcome::Passed));
        let failed = self.count(|outcome| matches!(outcome, Outcome::Failed(_)));
        let skipped = self.count(|outcome| matches!(outcome, Outcome::Skipped { .. }));
        format!("{passed} steps passed, {failed} failed, {skipped} skipped")
    }

    fn count(&self, is_wanted: fn(&Outcome) -> bool) -> usize {
        self.steps
            .iter()
            .filter(|(_, outcome, _)| is_wanted(outcome))
            .count()
    }
}

fn line(name: &str, outcome: &Outcome, duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    match outcome {
        Outcome::Passed => format!("passed  {seconds:7.1} s  {name}"),
        Outcome::Failed(what) => format!("FAILED  {seconds:7.1} s  {name}: {what}"),
        Outcome::Skipped { because, hint } => {
            format!("SKIPPED            {name}: because {because}: {hint}")
        }
    }
}

/// Runs a program to its end; its output goes where ours goes.
pub(crate) fn command(command: &mut Command) -> Outcome {
    println!("   {}", shown(command));
    match command.status() {
        Ok(status) if status.success() => Outcome::Passed,
        Ok(status) => Outcome::Failed(format!("`{}` ended with {status}", shown(command))),
        Err(error) => Outcome::Failed(format!(
            "failed to start `{}`: because {error}: is it installed?",
            command.get_program().to_string_lossy()
        )),
    }
}

/// What simulates and what is measured is optimised; the profile leaves it for tests to compile
/// soon. Dependencies are the same for both.
pub(crate) const OPTIMISED: [&str; 2] = [
    "--config=profile.dev.package.muster-fleet.opt-level=3",
    "--config=profile.dev.package.muster-tests.opt-level=3",
];

/// Builds and runs a program of `tests`, and builds those that it starts; its exit code is ours.
pub(crate) fn program(root: &Path, name: &str, starts: &[&str], words: &[String]) -> ExitCode {
    // The whole workspace has one set of features: another selection would build it anew.
    let mut build = cargo(root);
    build.args(["build", "--workspace", "--bin", name]);
    build.args(starts.iter().flat_map(|bin| ["--bin", bin]));
    build.args(OPTIMISED);
    if let Outcome::Failed(what) = command(&mut build) {
        eprintln!("failed to build {name}: because {what}");
        return ExitCode::FAILURE;
    }
    let told = env::var_os("CARGO_TARGET_DIR");
    let target = root.join(told.unwrap_or_else(|| "target".into()));
    match command(Command::new(target.join("debug").join(name)).args(words)) {
        Outcome::Passed => ExitCode::SUCCESS,
        Outcome::Failed(what) => {
            eprintln!("{what}");
            ExitCode::FAILURE
        }
        Outcome::Skipped { .. } => ExitCode::FAILURE,
    }
}

/// Builds and runs a measurement of one package, optimised; its exit code is ours.
pub(crate) fn bench(root: &Path, package: &str, name: &str) -> ExitCode {
    let mut bench = cargo(root);
    bench.args(["bench", "--package", package, "--bench", name]);
    match command(&mut bench) {
        Outcome::Passed => ExitCode::SUCCESS,
        Outcome::Failed(_) | Outcome::Skipped { .. } => ExitCode::FAILURE,
    }
}

/// The cargo that started us, in `root`.
///
/// `cargo run` tells us about *this* package in our environment. Build scripts that look there
/// would see a change with every other way of starting cargo, and build their crates again.
pub(crate) fn cargo(root: &Path) -> Command {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(root);
    for (name, _) in env::vars_os() {
        if is_about_this_package(&name.to_string_lossy()) {
            cargo.env_remove(name);
        }
    }
    cargo
}

/// The folder of the workspace: where cargo says it is now, for two checkouts may share a target.
pub(crate) fn root() -> PathBuf {
    let told = env::var_os("CARGO_MANIFEST_DIR");
    let package = PathBuf::from(told.unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into()));
    package.parent().unwrap_or(&package).to_owned()
}

fn is_about_this_package(variable: &str) -> bool {
    let prefixes = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_"];
    let names = ["CARGO_CRATE_NAME", "CARGO_PRIMARY_PACKAGE", "OUT_DIR"];
    names.contains(&variable) || prefixes.iter().any(|prefix| variable.starts_with(prefix))
}

fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program())
        .file_name()
        .unwrap_or(command.get_program());
    let words = std::iter::once(program).chain(command.get_args());
    words
        .map(|word| word.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_failed_step_fails_the_report_and_stops_nothing() {
        let mut report = Report::default();
        report.step("a", || Outcome::Failed("b".into()));
        report.step("c", || Outcome::Passed);
        report.step("d", || Outcome::Skipped {
            because: "e".into(),
            hint: "f".into(),
        });
        assert_eq!(report.closing_line(), "1 steps passed, 1 failed, 1 skipped");
        assert_eq!(
            format!("{:?}", report.close()),
            format!("{:?}", ExitCode::FAILURE)
        );
    }

    #[test]
    fn a_skip_is_no_failure() {
        let mut report = Report::default();
        report.step("d", || Outcome::Skipped {
            because: "e".into(),
            hint: "f".into(),
        });
        assert_eq!(
            format!("{:?}", report.close()),
            format!("{:?}", ExitCode::SUCCESS)
        );
    }

    #[test]
    fn programs_fail_by_their_status_and_by_their_absence() {
        assert!(matches!(
            command(&mut Command::new("true")),
            Outcome::Passed
        ));
        assert!(matches!(
            command(&mut Command::new("false")),
            Outcome::Failed(_)
        ));
        let Outcome::Failed(what) = command(&mut Command::new("no-such-program")) else {
            panic!("a missing program cannot pass");
        };
        assert!(
            what.starts_with("failed to start `no-such-program`: because "),
            "{what}"
        );
    }

    #[test]
    fn nested_cargo_hears_nothing_of_this_package() {
        assert!(is_about_this_package("CARGO_PKG_NAME"));
        assert!(is_about_this_package("CARGO_MANIFEST_DIR"));
        assert!(!is_about_this_package("CARGO_TARGET_DIR"));
        assert!(!is_about_this_package("CARGO_HOME"));
    }
}
