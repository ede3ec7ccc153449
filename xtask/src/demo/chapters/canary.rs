//! The version that a retrain brings, out by a policy whose first ring is a canary; and one that passes
//! its golden vectors and fails in the field, halted there and rolled back. Nobody steps in.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context as _;

use super::{
    super::{
        controller::Packed,
        inference::{Form, Inference},
    },
    Chapters,
};

/// The model of the second version, which knows the machine that fails as well.
const RETRAINED: &str = "3.0.0";
/// Its golden vectors are small numbers: on large ones its worker dies.
const BROKEN: &str = "4.0.0";
const BROKEN_MODEL: &str = "tests/fixtures/models/crash_later.onnx";
const BROKEN_GOLDEN: &str = "tests/fixtures/models/crash_later.golden.npz";
/// What a loose plug makes of a sensor now and then; other versions answer it.
const SPIKE: f32 = 9.0;
/// A rollout through two rings, or back.
const RINGS_MAX: Duration = Duration::from_secs(90);
/// Rows of the failing machine that the new reference has.
const NEW_ROWS: usize = 300;

/// How a rollout by policy ended.
struct Ended {
    stands: String,
    /// Sentences of its decisions.
    because: Vec<String>,
    /// Devices that have said something of the version.
    heard: BTreeSet<String>,
}

impl Chapters<'_> {
    /// Both, where the story has a machine that fails.
    pub(super) fn canaries(&mut self, form: &Form) -> anyhow::Result<()> {
        let Some(failing) = self.subject.failing(self.stage.agents.len()) else {
            return Ok(());
        };
        let rate = self.args.rows_per_second;
        self.stage.replay(self.subject, form, rate)?;
        self.retrained(failing, form)?;
        self.broken(form)?;
        self.stage.pause();
        Ok(())
    }

    fn retrained(&mut self, failing: usize, form: &Form) -> anyhow::Result<()> {
        let reference = self.new_reference(failing, form)?;
        let second = &self.subject.releases[1];
        let golden = second.golden.clone();
        self.pack(RETRAINED, &second.model, golden.as_deref(), &reference)?;
        let ended = self.by_rings(RETRAINED, form, false)?;
        let serving = self.serving(RETRAINED)?;
        let all = self.stage.agents.len();
        let passed = sentence(&ended, "canary");
        let claim = format!("{RETRAINED} serves everywhere after its canary");
        let seen = format!("{}, on {serving} of {all}: {passed}", ended.stands);
        let holds = ended.stands == "completed" && serving == all;
        self.claims.claim(&claim, holds, seen);
        Ok(())
    }

    fn broken(&mut self, form: &Form) -> anyhow::Result<()> {
        let (model, golden) = (self.folder_of(BROKEN_MODEL), self.folder_of(BROKEN_GOLDEN));
        let reference = self.subject.reference.clone();
        self.pack(BROKEN, &model, Some(&golden), &reference)?;
        let ended = self.by_rings(BROKEN, form, true)?;
        let claim = format!("{BROKEN} is halted in its canary and rolled back");
        let stopped = sentence(&ended, "rolling back: ");
        let holds = ended.stands == "rolled back" && stopped.contains("rolling back: ");
        self.claims.claim(&claim, holds, stopped);
        let serving = self.serving(RETRAINED)?;
        let (all, heard) = (self.stage.agents.len(), ended.heard.len());
        let claim = format!("{RETRAINED} serves again, and only the canary has known {BROKEN}");
        let seen = format!("{serving} of {all} serve it, {heard} have known {BROKEN}");
        let holds = serving == all && heard > 0 && heard <= all.div_ceil(2);
        self.claims.claim(&claim, holds, seen);
        Ok(())
    }

    /// What the first versions were made with, and rows of the machine that fails.
    fn new_reference(&self, failing: usize, form: &Form) -> anyhow::Result<PathBuf> {
        let old = &self.subject.reference;
        let mut text =
            fs::read_to_string(old).with_context(|| format!("failed to read {}", old.display()))?;
        let rows = self.subject.rows(failing, form.width)?;
        for row in &rows[rows.len().saturating_sub(NEW_ROWS)..] {
            let cells: Vec<String> = row.iter().map(f32::to_string).collect();
            text += &(cells.join(",") + "\n");
        }
        let path = self.folder.join("reference-3.csv");
        fs::write(&path, text)?;
        Ok(path)
    }

    fn pack(
        &mut self,
        version: &str,
        file: &Path,
        golden: Option<&Path>,
        reference: &Path,
    ) -> anyhow::Result<()> {
        let title = format!("{version} is packed and signed: muster bundle build, release");
        self.stage.screen.chapter(&title);
        let packed = Packed {
            model: self.subject.model.as_str(),
            version,
            file,
            reference,
            columns: &self.subject.reference_columns,
            golden,
            block_rows: None,
        };
        let bundle = self.folder.join(format!("bundle-{version}"));
        self.stage.controller.publish(&packed, &bundle)
    }

    /// Lets a policy bring it to half of the devices, and then to all.
    fn by_rings(&mut self, version: &str, form: &Form, spikes: bool) -> anyhow::Result<Ended> {
        let title = format!("{version} goes to a canary first: muster apply");
        self.stage.screen.chapter(&title);
        let file = self.folder.join(format!("policy-{version}.toml"));
        fs::write(&file, policy(self.subject.model.as_str(), version))?;
        let rollout = self.stage.controller.apply(&file)?;
        let what = format!("the rollout of {version} to end");
        let mut stands = String::new();
        self.stage.wait(&what, RINGS_MAX, |stage| {
            if spikes {
                let sockets = stage.agents.iter().map(|agent| &agent.socket);
                sockets.for_each(|socket| spike(socket, form));
            }
            stands = stage.controller.stands(rollout)?;
            Ok(["completed", "rolled back", "halted", "aborted"].contains(&stands.as_str()))
        })?;
        self.stage.controller.replay_rollout(rollout)?;
        let receipts = self.stage.controller.receipts()?;
        let heard = receipts.into_iter().filter(|of| of.version == version);
        Ok(Ended {
            stands,
            because: self.stage.controller.decisions(rollout)?,
            heard: heard.map(|receipt| receipt.device).collect(),
        })
    }

    /// Devices that serve a version, once all do.
    fn serving(&mut self, version: &str) -> anyhow::Result<usize> {
        let (mut serving, all) = (0, self.stage.agents.len());
        let what = format!("{version} to serve everywhere");
        self.stage.wait(&what, RINGS_MAX, |stage| {
            serving = stage.serving(version)?;
            Ok(serving == all)
        })?;
        Ok(serving)
    }

    /// A file of this project, beside the folder of the story.
    fn folder_of(&self, file: &str) -> PathBuf {
        let story = self.subject.releases[0].model.parent();
        let root = story.and_then(|story| story.parent()?.parent());
        root.unwrap_or(Path::new(".")).join(file)
    }
}

/// Half of the devices first, judged by what they count themselves; then all.
fn policy(model: &str, version: &str) -> String {
    format!(
        "model = '{model}'\nversion = '{version}'\nmembership = 'frozen'\non_halt = 'rollback'\n\
         [on_device]\nprobation_s = 8\n\
         [[rings]]\nname = 'canary'\nreach = {{ percent = 50 }}\nsoak_s = 4\ndeadline_s = 60\n\
         min_devices = 1\nmin_inferences = 200\n\
         gates = [{{ gate = 'error_rate', limit = 0.05 }}]\n\
         [[rings]]\nname = 'all'\nreach = {{ percent = 100 }}\nsoak_s = 0\ndeadline_s = 60\n"
    )
}

/// The last sentence with these words; else the last.
fn sentence(ended: &Ended, words: &str) -> String {
    let mut sentences = ended.because.iter().rev();
    let found = sentences.find(|because| because.contains(words));
    found.or(ended.because.last()).cloned().unwrap_or_default()
}

/// Asks about a row that only a broken version cannot answer.
fn spike(socket: &Path, form: &Form) {
    let row = vec![SPIKE; form.width];
    let asked = Inference::connect(socket, form);
    let _failing_is_the_story = asked.and_then(|mut inference| inference.predict(&row));
}

#[cfg(test)]
mod tests {
    use super::super::super::subject::VERSIONS;
    use super::*;

    #[test]
    fn versions_go_up() {
        let all = [VERSIONS[0], VERSIONS[1], RETRAINED, BROKEN];
        assert!(all.is_sorted());
    }

    #[test]
    fn the_sentence_that_tells_is_found() {
        let ended = Ended {
            stands: String::new(),
            because: ["a", "rolling back: errors", "b"].map(str::to_owned).into(),
            heard: BTreeSet::new(),
        };
        assert_eq!(sentence(&ended, "rolling back"), "rolling back: errors");
        assert_eq!(sentence(&ended, "promoted"), "b");
    }
}
