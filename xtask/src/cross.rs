//! The agent for other processors: builds it, and runs it here under an emulator.
//! It starts compilers and emulators of the system, says what is missing, and installs nothing.

use std::{
    env,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::{
    demo::emulated::{self, Emulator},
    run::{Outcome, Report, cargo, command},
};

/// What can be done for another processor.
#[derive(Clone, Copy, clap::Subcommand)]
pub(crate) enum Task {
    /// Build the agent.
    Build(Args),
    /// Build it, and let it enrol, verify and predict under an emulator.
    Run(Args),
}

/// What `cargo xtask cross` may be told.
#[derive(Clone, Copy, clap::Args)]
pub(crate) struct Args {
    /// The processor and its C library.
    #[arg(long, value_enum)]
    target: Target,
    /// What builds.
    #[arg(long, value_enum, default_value = "cargo")]
    with: Builder,
    /// Count what is not installed here as an error.
    #[arg(long)]
    no_skip: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Target {
    #[value(name = "aarch64-unknown-linux-gnu")]
    Aarch64,
    #[value(name = "armv7-unknown-linux-gnueabihf")]
    Armv7,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Builder {
    /// Cargo, with a cross compiler of the system.
    Cargo,
    /// The program `cross`, with a container; it reads cross.toml.
    Cross,
}

/// Builds or runs, each part a step of the report.
pub(crate) fn run(task: Task, root: &Path, report: &mut Report) {
    let (args, runs) = match task {
        Task::Build(args) => (args, false),
        Task::Run(args) => (args, true),
    };
    let needed = |outcome| match outcome {
        Outcome::Skipped { because, hint } if args.no_skip => {
            Outcome::Failed(format!("{because}: {hint}"))
        }
        outcome => outcome,
    };
    let name = args.target.name();
    let mut built = false;
    report.step(&format!("agent for {name}"), || {
        let outcome = build(args, root);
        built = matches!(outcome, Outcome::Passed);
        needed(outcome)
    });
    if runs && built {
        report.step(&format!("agent for {name}, emulated"), || {
            let missing = args.target.missing_emulator();
            needed(missing.unwrap_or_else(|| emulate(args.target, root)))
        });
    }
}

fn build(args: Args, root: &Path) -> Outcome {
    let missing = match args.with {
        Builder::Cargo => args.target.missing_compiler(),
        Builder::Cross => missing(
            "cross",
            "cargo install --locked cross, and docker or podman",
        ),
    };
    missing.unwrap_or_else(|| command(&mut build_command(args, root)))
}

fn build_command(args: Args, root: &Path) -> Command {
    let mut build = match args.with {
        Builder::Cargo => cargo(root),
        Builder::Cross => {
            let mut cross = Command::new("cross");
            cross
                .current_dir(root)
                .env("CROSS_CONFIG", root.join("cross.toml"));
            cross
        }
    };
    build.args(["build", "--locked", "--package", "muster-agent"]);
    build.args(["--target", args.target.name()]);
    build
}

fn emulate(target: Target, root: &Path) -> Outcome {
    let emulator = Emulator {
        words: vec![
            target.emulator().into(),
            "-L".into(),
            target.libraries().into(),
        ],
        agent: target_folder(root)
            .join(target.name())
            .join("debug/muster-agent"),
    };
    match emulated::run(root, &emulator) {
        Ok(()) => Outcome::Passed,
        Err(error) => Outcome::Failed(format!("{error:#}")),
    }
}

fn target_folder(root: &Path) -> PathBuf {
    let told = env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    root.join(told.unwrap_or_else(|| "target".into()))
}

impl Target {
    const fn name(self) -> &'static str {
        match self {
            Self::Aarch64 => "aarch64-unknown-linux-gnu",
            Self::Armv7 => "armv7-unknown-linux-gnueabihf",
        }
    }

    /// As `.cargo/config.toml` names it.
    const fn compiler(self) -> &'static str {
        match self {
            Self::Aarch64 => "aarch64-linux-gnu-gcc",
            Self::Armv7 => "arm-linux-gnueabihf-gcc",
        }
    }

    const fn emulator(self) -> &'static str {
        match self {
            Self::Aarch64 => "qemu-aarch64",
            Self::Armv7 => "qemu-arm",
        }
    }

    /// Where Debian puts the C library of that processor.
    const fn libraries(self) -> &'static str {
        match self {
            Self::Aarch64 => "/usr/aarch64-linux-gnu",
            Self::Armv7 => "/usr/arm-linux-gnueabihf",
        }
    }

    const fn packages(self) -> &'static str {
        match self {
            Self::Aarch64 => "apt-get install gcc-aarch64-linux-gnu libc6-dev-arm64-cross",
            Self::Armv7 => "apt-get install gcc-arm-linux-gnueabihf libc6-dev-armhf-cross",
        }
    }

    fn missing_compiler(self) -> Option<Outcome> {
        if !has_standard_library(self.name()) {
            return Some(Outcome::Skipped {
                because: format!("the target {} is not installed", self.name()),
                hint: format!("rustup target add {}", self.name()),
            });
        }
        missing(self.compiler(), self.packages())
    }

    fn missing_emulator(self) -> Option<Outcome> {
        missing(self.emulator(), "apt-get install qemu-user")
    }
}

/// Asks the compiler where its libraries are; a toolchain need not come from rustup.
fn has_standard_library(target: &str) -> bool {
    let output = Command::new("rustc").args(["--print", "sysroot"]).output();
    let Ok(output) = output else { return false };
    let sysroot = String::from_utf8_lossy(&output.stdout);
    Path::new(sysroot.trim())
        .join("lib/rustlib")
        .join(target)
        .join("lib")
        .is_dir()
}

fn missing(program: &str, hint: &str) -> Option<Outcome> {
    let mut asked = Command::new(program);
    let asked = asked
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let found = asked.status().is_ok_and(|status| status.success());
    (!found).then(|| Outcome::Skipped {
        because: format!("{program} is not installed"),
        hint: hint.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named_with_the_line_that_installs_it() {
        let Some(Outcome::Skipped { because, hint }) = missing("no-such-gcc", "apt-get install x")
        else {
            panic!("a missing program cannot be found");
        };
        assert_eq!(because, "no-such-gcc is not installed");
        assert_eq!(hint, "apt-get install x");
        assert!(missing("sh", "").is_none() || missing("cargo", "").is_none());
        assert!(!has_standard_library("no-such-target"));
    }

    fn check(with: Builder, expect: &str) {
        let args = Args {
            target: Target::Aarch64,
            with,
            no_skip: false,
        };
        let build = build_command(args, Path::new("/a"));
        let mut words = vec![build.get_program()];
        words.extend(build.get_args());
        let words: Vec<_> = words.iter().map(|word| word.to_string_lossy()).collect();
        assert!(words.join(" ").ends_with(expect), "{words:?}");
        let config = build.get_envs().find(|(name, _)| *name == "CROSS_CONFIG");
        assert_eq!(config.is_some(), with == Builder::Cross);
    }

    #[test]
    fn cross_reads_our_file_and_cargo_needs_none() {
        let words = "build --locked --package muster-agent --target aarch64-unknown-linux-gnu";
        check(Builder::Cargo, &format!("cargo {words}"));
        check(Builder::Cross, &format!("cross {words}"));
    }

    #[test]
    fn every_target_has_its_linker_and_runner() {
        let path = crate::run::root().join(".cargo/config.toml");
        let text = std::fs::read_to_string(path).expect("a readable file");
        let config: toml::Table = text.parse().expect("TOML");
        for target in [Target::Aarch64, Target::Armv7] {
            let stated = &config["target"][target.name()];
            assert_eq!(stated["linker"].as_str(), Some(target.compiler()));
            let runner = format!("{} -L {}", target.emulator(), target.libraries());
            assert_eq!(stated["runner"].as_str(), Some(runner.as_str()));
        }
    }
}
