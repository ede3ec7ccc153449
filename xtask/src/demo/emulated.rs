//! An agent for another processor, under an emulator: it enrols at a controller of this machine,
//! fetches, tries and serves a model, and its predictions are those of another runtime.
//!
//! An emulator takes each program by its own command line, so agent and worker are started
//! through a script. It ignores limits of address space: those are tested on the machine itself.

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context as _, ensure};

use super::{
    Args,
    agent::Probation,
    folder::Folder,
    inference::{Form, Inference},
    interrupt::Interrupt,
    npz, overhead,
    process::output,
    stage::Stage,
    subject::Subject,
};

/// A real run to failure, where the data is beside the project.
const DATA: &str = "../shared/data";
const AGENT: &str = "muster-agent";
const WITHIN: Duration = Duration::from_secs(120);

/// How a program for the other processor is started.
pub(crate) struct Emulator {
    /// The emulator and its arguments, before the program.
    pub(crate) words: Vec<String>,
    /// The agent for that processor.
    pub(crate) agent: PathBuf,
}

/// Serves the story's model, and the real one when its data is there.
///
/// # Errors
/// A program fails, or an answer differs.
pub(crate) fn run(root: &Path, emulator: &Emulator) -> anyhow::Result<()> {
    let interrupt = Interrupt::on_signals().context("failed to listen for Ctrl-C")?;
    let native = super::programs(&Args::default(), root)?;
    predict(&Args::default(), root, &native, emulator, &interrupt)?;
    match real(&root.join(DATA)) {
        Some(args) => predict(&args, root, &native, emulator, &interrupt),
        None => {
            println!("left out the real run to failure: there is no {DATA}");
            Ok(())
        }
    }
}

fn real(data: &Path) -> Option<Args> {
    let trained = data.join("trained/ims-bearing");
    let args = Args {
        model: Some(trained.join("bearing_ae.onnx")),
        golden: Some(trained.join("ref_test2.npz")),
        data: Some(data.join("datasets/ims-bearing/2nd_test_resample_10minutes.csv")),
        ..Args::default()
    };
    trained.is_dir().then_some(args)
}

fn predict(
    args: &Args,
    root: &Path,
    native: &Path,
    emulator: &Emulator,
    interrupt: &Interrupt,
) -> anyhow::Result<()> {
    let folder = Folder::new(None)?;
    let programs = programs(native, emulator, &folder)?;
    let subject = Subject::new(args, root, &folder)?;
    let cast = (1, Probation::Short);
    let mut stage = Stage::set(&programs, &folder, &subject, cast, interrupt)?;
    overhead::serve(&mut stage, &subject, &folder)?;
    let golden = subject.releases[0].golden.as_deref();
    let golden = npz::read(golden.context("there is nothing to compare with")?)?;
    // A release is active when its route is asked for; under an emulator that is not at once.
    let socket = stage.agents[0].socket.clone();
    stage.watch("the model answers", WITHIN, |_| {
        Form::ask(&socket, subject.model.as_str()).is_ok()
    })?;
    let agent = &stage.agents[0];
    let form = Form::ask(&agent.socket, subject.model.as_str())?;
    let (rows, comparison) = Inference::connect(&agent.socket, &form)?.compare(&golden)?;
    let (words, largest) = (comparison.words(), comparison.largest);
    println!(
        "{}: {rows} rows, {words}, largest difference {largest:.1e}",
        subject.model
    );
    ensure!(comparison.is_equal(), "{}", comparison.words());
    verify(
        native,
        &programs,
        &folder.join("agents").join(&agent.device),
    )
}

/// Both processors find the same on the disk that the emulated one wrote.
fn verify(native: &Path, emulated: &Path, state: &Path) -> anyhow::Result<()> {
    let verify = |programs: &Path| {
        let mut verify = Command::new(programs.join(AGENT));
        verify.args(["verify", "--output", "json", "--state"]);
        output(verify.arg(state))
    };
    let (here, there) = (verify(native)?, verify(emulated)?);
    ensure!(here == there, "verify says {there}, and natively {here}");
    let slots = serde_json::from_str::<serde_json::Value>(&there)?;
    let slots = slots["slots"].as_array().map_or(0, Vec::len);
    ensure!(slots > 0, "verify found no slot");
    println!("verify: {slots} slot, the same as natively");
    Ok(())
}

/// A folder with the controller of this machine and, by a script, the agent of the other.
fn programs(native: &Path, emulator: &Emulator, folder: &Folder) -> anyhow::Result<PathBuf> {
    let programs = folder.join("programs");
    fs::create_dir(&programs)?;
    symlink(native.join("muster"), programs.join("muster"))?;
    let script = programs.join(AGENT);
    fs::write(&script, emulator.script())?;
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755))?;
    Ok(programs)
}

impl Emulator {
    fn script(&self) -> String {
        let (words, agent) = (self.words.join(" "), self.agent.display());
        format!("#!/bin/sh\nexec {words} '{agent}' \"$@\"\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_script_hands_every_argument_on() -> anyhow::Result<()> {
        let parent = tempfile::tempdir()?;
        let folder = Folder::new(Some(&parent.path().join("new")))?;
        let agent = folder.join("an agent");
        fs::write(&agent, "printf '%s|' \"$@\"")?;
        let emulator = Emulator {
            words: vec!["sh".into()],
            agent,
        };
        let programs = programs(Path::new("/native"), &emulator, &folder)?;
        let mut said = Command::new(programs.join(AGENT));
        assert_eq!(output(said.args(["a b", "--c=*"]))?, "a b|--c=*|");
        assert_eq!(
            fs::read_link(programs.join("muster"))?,
            Path::new("/native/muster")
        );
        Ok(())
    }

    #[test]
    fn data_that_is_not_there_is_not_asked_for() {
        assert!(real(Path::new("no-such-folder")).is_none());
    }
}
