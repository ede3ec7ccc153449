//! What windows alone show of the machine that fails, and what is asked for because of it. Claims;
//! never judges by scores.

use std::time::Duration;

use super::{
    super::{controller::Incident, subject::Onset},
    Chapters,
};
use crate::clock;

/// How long the controller may take to judge what it has stored.
const JUDGED_WITHIN: Duration = Duration::from_secs(6);
const JUDGING_MAX: Duration = Duration::from_secs(30);

impl Chapters<'_> {
    /// What windows alone show of the machine that fails.
    pub(super) fn drift(&mut self) -> anyhow::Result<()> {
        let failing: Vec<String> = (0..self.stage.agents.len())
            .filter(|place| matches!(self.subject.onset(*place), Some(Onset::Row(_))))
            .map(|place| self.stage.agents[place].device.clone())
            .collect();
        if failing.is_empty() {
            return Ok(());
        }
        let title = "drift is found and placed: muster incident list";
        self.stage.screen.chapter(title);
        let model = self.subject.model.to_string();
        let (mut found, mut asked_at) = (Vec::new(), None);
        self.stage
            .watch("the last windows judged", JUDGING_MAX, |_| {
                // Judged within seconds after they are stored.
                let begun = *asked_at.get_or_insert_with(clock::now);
                clock::now() - begun >= JUDGED_WITHIN
            })?;
        found.extend(self.stage.controller.incidents(&model)?);
        let of = |found: &[Incident], device: &str| -> Vec<String> {
            let theirs = found
                .iter()
                .filter(|one| one.device.as_deref() == Some(device));
            let named = theirs.map(|one| {
                let feature = one.feature.as_deref().unwrap_or("no feature");
                format!("{feature} {}", one.kind)
            });
            named.collect()
        };
        for device in &failing {
            let shown = of(&found, device);
            let claim = format!("{device}: windows alone show that something moved");
            self.claims
                .claim(&claim, !shown.is_empty(), shown.join(", "));
        }
        let others: Vec<&Incident> = found
            .iter()
            .filter(|one| {
                one.device
                    .as_ref()
                    .is_none_or(|device| !failing.contains(device))
            })
            .collect();
        let claim = "no other machine is blamed";
        self.claims
            .claim(claim, others.is_empty(), format!("{} others", others.len()));
        self.retrain(&found)
    }

    fn retrain(&mut self, found: &[Incident]) -> anyhow::Result<()> {
        let Some(first) = found.first() else {
            return Ok(());
        };
        self.stage
            .screen
            .chapter("a retrain is asked for: muster retrain request");
        let file = self.folder.join("retrain.json");
        let said = self
            .stage
            .controller
            .ask_for_retrain(first.incident, &file)?;
        let holds = said.starts_with("it holds");
        self.claims
            .claim("the request for a retrain is signed", holds, said);
        let windows = self.stage.controller.recompute()?;
        let claim = "every alarm comes out again, bit for bit";
        self.claims
            .claim(claim, windows > 0, format!("from {windows} windows"));
        Ok(())
    }
}
