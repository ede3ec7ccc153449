//! From what is kept to the facts that the planner looks at, as `executor/facts.rs` does from its
//! store.
//!
//! Never says what follows from them.

use muster_fleet::planner::{DeviceFacts, Hold, Inventory, Link, RolloutId, Said, Told, progress};
use muster_fleet::selector::Serving;
use muster_protocol::id::{DeviceId, ModelId, Version};

use super::Controller;

impl Controller {
    /// Facts of every device, for one rollout.
    pub(super) fn inventory(
        &self,
        rollout: RolloutId,
        model: &ModelId,
        version: &Version,
    ) -> Inventory {
        let devices = self.enrolled.keys();
        let facts = devices.map(|device| self.facts(device, rollout, model, version));
        Inventory::new(facts.collect())
    }

    fn facts(
        &self,
        device: &DeviceId,
        rollout: RolloutId,
        model: &ModelId,
        version: &Version,
    ) -> DeviceFacts {
        let key = (device.clone(), model.clone());
        let told = self.told.get(&(rollout, device.clone()));
        let desired = self.desired.get(&key);
        let labels = self.enrolled.get(device).cloned().unwrap_or_default();
        let is_metered = labels.get("link").is_some_and(|link| link == "metered");
        let accepted = self.accepted.get(device).copied();
        let facts = DeviceFacts {
            labels,
            agent: Version::parse("1.0.0").ok(),
            health: Some(self.health(device).to_owned()),
            serving: self.serves(device),
            hold: match self.held.contains(device) {
                true => Hold::AfterRestore,
                false => Hold::Free,
            },
            link: match is_metered {
                true => Link::Metered,
                false => Link::Unmetered,
            },
            progress: progress(told, self.said.get(&key), accepted, version),
            retries: told.map_or(0, |told| told.retries),
            previous: match told {
                Some(told) => told.previous.clone(),
                None => desired.map(|row| row.version.clone()),
            },
            say: desired
                .map(|row| row.rollout)
                .filter(|by| *by > rollout)
                .max(told.map_or_else(|| self.claim(device, rollout, model), |_| None)),
            other_change: self.changing_elsewhere(device, rollout),
            ..DeviceFacts::new(device.clone())
        };
        self.planted.facts(facts)
    }

    fn of_device<'a, T>(
        all: &'a std::collections::BTreeMap<(DeviceId, ModelId), T>,
        device: &DeviceId,
    ) -> impl Iterator<Item = (&'a ModelId, &'a T)> {
        let own = all.iter().filter(move |((own, _), _)| own == device);
        own.map(|((_, model), one)| (model, one))
    }

    fn health(&self, device: &DeviceId) -> &'static str {
        let mut said = Self::of_device(&self.said, device);
        match said.any(|(_, said)| said.step == "degraded") {
            true => "degraded",
            false => "ok",
        }
    }

    fn serves(&self, device: &DeviceId) -> Vec<Serving> {
        let serving = Self::of_device(&self.serving, device);
        serving
            .map(|(model, version)| Serving {
                model: model.clone(),
                version: version.clone(),
                rank: None,
            })
            .collect()
    }

    /// The newest rollout of the model that the device is meant for, if it is newer.
    fn claim(&self, device: &DeviceId, rollout: RolloutId, model: &ModelId) -> Option<RolloutId> {
        let newer = self.going_on().filter(|one| one.plan.rollout > rollout);
        let ours = newer.filter(|one| one.plan.policy.model == *model);
        let claims = ours.filter(|one| one.plan.claimed(&one.standing).any(|own| own == device));
        claims.map(|one| one.plan.rollout).max()
    }

    /// The newest other rollout that has told the device something which has not ended.
    fn changing_elsewhere(&self, device: &DeviceId, rollout: RolloutId) -> Option<RolloutId> {
        let others = self.going_on().filter(|one| one.plan.rollout != rollout);
        let changing = others.filter(|one| {
            let told = self.told.get(&(one.plan.rollout, device.clone()));
            let key = (device.clone(), one.plan.policy.model.clone());
            told.is_some_and(|told| !has_ended(told, self.said.get(&key)))
        });
        changing.map(|one| one.plan.rollout).max()
    }
}

fn has_ended(told: &Told, said: Option<&Said>) -> bool {
    let since = told.back.map_or(told.since, |back| back.since);
    said.is_some_and(|said| {
        matches!(said.step.as_str(), "committed" | "refused" | "reverted") && said.since >= since
    })
}
