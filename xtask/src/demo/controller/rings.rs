//! Rollouts by policy, asked of the controller through `muster`.
//! Knows the command line and the JSON that it prints; waits for nothing.

use std::path::Path;

use anyhow::Context as _;
use serde::Deserialize;

use super::{Controller, output};

/// A decision that is kept.
#[derive(Deserialize)]
struct Decision {
    #[serde(default)]
    because: Option<String>,
}

impl Controller {
    /// Begins a rollout by the policy of a file; its number.
    ///
    /// # Errors
    /// The controller refuses.
    pub(in crate::demo) fn apply(&self, policy: &Path) -> anyhow::Result<u64> {
        let mut apply = self.command();
        apply.args(["--output", "json", "apply", "--yes", "-f"]);
        let said: serde_json::Value = serde_json::from_str(&output(apply.arg(policy))?)?;
        said["rollout"]
            .as_u64()
            .context("the rollout has no number")
    }

    /// Where a rollout stands, in words.
    ///
    /// # Errors
    /// It does not answer.
    pub(in crate::demo) fn stands(&self, rollout: u64) -> anyhow::Result<String> {
        let rollout = rollout.to_string();
        let said: serde_json::Value = self.json(&["rollout", "explain", &rollout])?;
        let stands = said["stands"].as_str();
        Ok(stands
            .context("it does not say where it stands")?
            .to_owned())
    }

    /// The sentences of all decisions, in their order.
    ///
    /// # Errors
    /// It does not answer.
    pub(in crate::demo) fn decisions(&self, rollout: u64) -> anyhow::Result<Vec<String>> {
        let all: Vec<Decision> = self.json(&["rollout", "log", &rollout.to_string()])?;
        Ok(all.into_iter().filter_map(|of| of.because).collect())
    }

    /// Decides everything once more from what was kept.
    ///
    /// # Errors
    /// Something comes out differently, or there is no answer.
    pub(in crate::demo) fn replay_rollout(&self, rollout: u64) -> anyhow::Result<()> {
        let mut replay = self.command();
        output(replay.args(["rollout", "replay", &rollout.to_string()]))?;
        Ok(())
    }
}
