//! One target: its name in the manifest, how it is built, and one run of it.
//! What a run finds goes below the target folder, never into the committed corpus.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context as _, ensure};

use super::{
    folder,
    log::{Log, Reached},
    target_folder,
};
use crate::run::cargo;

/// Seconds that one input may take.
const INPUT_S_MAX: u64 = 60;
/// Memory that a target may take, MiB.
const MEMORY_MIB_MAX: u64 = 2048;

/// Every target, in the order of the manifest.
///
/// # Errors
/// The manifest cannot be read.
pub(super) fn names(root: &Path) -> anyhow::Result<Vec<String>> {
    let path = folder(root).join("Cargo.toml");
    let what = || format!("failed to read {}", path.display());
    let manifest: toml::Table = fs::read_to_string(&path)
        .with_context(what)?
        .parse()
        .with_context(what)?;
    let programs = manifest.get("bin").and_then(toml::Value::as_array);
    let names = programs.into_iter().flatten();
    Ok(names
        .filter_map(|program| Some(program.get("name")?.as_str()?.to_owned()))
        .collect())
}

/// `cargo fuzz` with what building and running have in common: every assertion on, and no
/// sanitizer, which needs a nightly compiler and finds nothing where no code is unsafe.
pub(super) fn cargo_fuzz(root: &Path, what: &str) -> Command {
    let mut cargo = cargo(root);
    cargo.args(["fuzz", what, "--sanitizer", "none", "--debug-assertions"]);
    cargo.arg("--fuzz-dir").arg(folder(root));
    cargo.arg("--target-dir").arg(target_folder(root));
    cargo
}

/// Runs a target for some seconds.
///
/// # Errors
/// It cannot be started, or it ends with an error and names no input that causes it.
pub(super) fn run(root: &Path, name: &str, seconds: u64) -> anyhow::Result<Reached> {
    let found = target_folder(root).join("corpus").join(name);
    let crashes = target_folder(root).join("crashes").join(name);
    for path in [&found, &crashes] {
        fs::create_dir_all(path).with_context(|| format!("failed to make {}", path.display()))?;
    }
    let mut run = cargo_fuzz(root, "run");
    // libFuzzer reads all folders, and writes to the first.
    run.arg(name)
        .arg(&found)
        .arg(folder(root).join("corpus").join(name))
        .arg("--")
        .arg(format!("-artifact_prefix={}/", crashes.display()))
        .arg(format!("-max_total_time={seconds}"))
        .arg(format!("-timeout={INPUT_S_MAX}"))
        .arg(format!("-rss_limit_mb={MEMORY_MIB_MAX}"))
        .arg("-print_final_stats=1");
    listen(run)
}

fn listen(mut run: Command) -> anyhow::Result<Reached> {
    let mut child = run
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .context("failed to start cargo")?;
    let mut log = Log::default();
    for line in child
        .stderr
        .take()
        .into_iter()
        .flat_map(|said| BufReader::new(said).split(b'\n'))
    {
        let line = line.context("failed to hear the target")?;
        log.line(&String::from_utf8_lossy(&line));
    }
    let status = child.wait().context("failed to wait for the target")?;
    let (reached, last) = log.close();
    if !status.success() {
        last.iter().for_each(|line| eprintln!("  {line}"));
        ensure!(
            !reached.crashes.is_empty(),
            "it ended with {status}: because of what it says above"
        );
    }
    Ok(reached)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_target_has_a_corpus() {
        let root = crate::run::root();
        let names = names(&root).expect("a readable manifest");
        assert!(names.len() >= 10, "{names:?}");
        for name in names {
            assert!(folder(&root).join("corpus").join(&name).is_dir(), "{name}");
        }
    }

    fn check(script: &str, expect: Result<&[&str], &str>) {
        let mut sh = Command::new("sh");
        sh.args(["-c", script]);
        let crashes = listen(sh).map(|reached| reached.crashes);
        let crashes = crashes.map_err(|error| error.to_string());
        match (crashes, expect) {
            (Ok(crashes), Ok(expect)) => assert_eq!(crashes, expect),
            (Err(error), Err(expect)) => assert!(error.starts_with(expect), "{error}"),
            (ended, expect) => panic!("{ended:?} instead of {expect:?}"),
        }
    }

    #[test]
    fn an_error_without_an_input_is_no_finding() {
        check("echo '#1 DONE cov: 1 ft: 1 corp: 1/1b' >&2", Ok(&[]));
        let falls = "echo 'Test unit written to a/crash-1' >&2; exit 1";
        check(falls, Ok(&["a/crash-1"]));
        check("exit 1", Err("it ended with"));
    }
}
