//! From verified metadata to the facts that machines judge by.
//!
//! Bounded: what does not fit the bounds of `muster-device` is left out, and said so.

use super::{LinuxFacts, Supervisor};
use muster_device::facts::{Keys, ModelFacts, Revoked, RevokedAction};
use muster_device::updater::Input;
use muster_protocol::digest::Digest;
use muster_protocol::id::{Epoch, ModelId, Rank};
use muster_protocol::key::PublicKey;
use muster_protocol::time::UnixSeconds;
use muster_protocol::tuf::{Authority, FleetDocument, Hex32, Role, Trusted, fleet_document};
use std::collections::BTreeSet;

/// Facts of a device that believes nobody yet.
pub(super) fn none() -> LinuxFacts {
    LinuxFacts::default()
}

/// Facts about `models`, as metadata and `fleet.json` state them.
pub(super) fn build(
    fleet: &FleetDocument,
    trusted: &Trusted,
    models: &[ModelId],
    bundles: &BTreeSet<Digest>,
) -> LinuxFacts {
    let mut facts = none();
    facts.epoch = Epoch(fleet.director_epoch);
    facts.director = keys(&fleet.director.keys, fleet.director.threshold);
    facts.ack = keys(&fleet.ack_keys, 1);
    facts.time = keys(&fleet.time_keys, 1);
    for model in models {
        let authority = trusted.delegated_to(&Role::of_model(model.as_str()));
        let floor = Rank(fleet.floor.get(model.as_str()).copied().unwrap_or(0));
        let release = authority.map_or(Keys::default(), |authority| release_keys(&authority));
        let full = facts
            .models
            .push(ModelFacts {
                model: model.clone(),
                release,
                floor,
            })
            .is_err();
        if full {
            tracing::error!(%model, "more models than an agent has room for: left out");
        }
    }
    for (digest, revocation) in &fleet.revoked {
        let revoked = Revoked {
            bundle: Digest(digest.0),
            action: action(*revocation),
        };
        // Only those of bundles that are here matter; the others are asked again when they come.
        if bundles.contains(&revoked.bundle) && facts.revoked.push(revoked).is_err() {
            tracing::error!(bundle = %revoked.bundle, "more revocations than there is room for");
        }
    }
    facts
}

const fn action(revocation: fleet_document::Revocation) -> RevokedAction {
    match revocation {
        fleet_document::Revocation::Stop => RevokedAction::Stop,
        fleet_document::Revocation::Fallback => RevokedAction::Fallback,
    }
}

fn keys(listed: &[Hex32], threshold: u32) -> Keys {
    let keys = listed.iter().map(|key| PublicKey(key.0));
    Keys {
        keys: bounded(keys),
        threshold: u8::try_from(threshold).unwrap_or(u8::MAX),
    }
}

fn release_keys(authority: &Authority) -> Keys {
    let keys = authority.public_keys().into_iter().map(PublicKey);
    let threshold = u8::try_from(authority.threshold()).unwrap_or(u8::MAX);
    Keys {
        keys: bounded(keys),
        threshold,
    }
}

fn bounded<const N: usize>(keys: impl Iterator<Item = PublicKey>) -> heapless::Vec<PublicKey, N> {
    keys.take(N).collect()
}

impl Supervisor {
    /// Builds the facts anew and tells every machine, after anything that they come from changed.
    pub(super) fn rebuild_facts(&mut self) {
        let Some(fleet) = &self.fleet else { return };
        let (epoch, issued_at) = (Epoch(fleet.director_epoch), UnixSeconds(fleet.issued_at_s));
        self.time().on_fleet_document(epoch, issued_at);
        let bundles = self.known_bundles();
        let facts = build(fleet, &self.trusted, &self.known_models(), &bundles);
        if facts == self.facts {
            return;
        }
        self.facts = facts;
        self.feed_all(&Input::FactsChanged);
    }

    /// Models that this device has, then those that it was assigned. What was not accepted says
    /// nothing here: it could push own models out of the bounds.
    fn known_models(&self) -> Vec<ModelId> {
        let own = self
            .updaters
            .iter()
            .filter(|(_, updater)| !updater.is_gone());
        let mut models: Vec<_> = own.map(|(seat, _)| seat.model.clone()).collect();
        // What serves a model and its shadow follow each other.
        models.dedup();
        for entry in self.assigned(&self.state.assignment) {
            if !models.contains(&entry.model) {
                models.push(entry.model);
            }
        }
        models
    }

    fn known_bundles(&self) -> BTreeSet<Digest> {
        let kept = self
            .updaters
            .values()
            .flat_map(|u| u.state().bundles().collect::<Vec<_>>());
        kept.chain(self.downloads.bundles()).collect()
    }
}
