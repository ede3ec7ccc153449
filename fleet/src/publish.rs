//! Publishing: signed metadata and target files come in, are verified as a device would, and are
//! listed in a new snapshot and timestamp that the controller signs.
//!
//! Holds no offline key. What is refused changes nothing.

use std::collections::BTreeMap;

use muster_protocol::time::UnixSeconds;
use muster_protocol::topic;
use serde::Serialize;

use crate::broker::Retain;
use crate::clock;
use crate::controller::{Controller, Error};
use crate::store::{StoreError, Tx};

mod apart;
mod card;
mod countable;
mod files;
mod online;
mod stage;
mod statement;
#[cfg(test)]
mod tests;

pub(crate) use card::card_of;

use stage::Staged;
use statement::NewRelease;

/// What an operator brings.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Publication {
    /// The next root, or the first.
    pub(crate) root: Option<Vec<u8>>,
    /// The next top-level targets.
    pub(crate) targets: Option<Vec<u8>>,
    /// Delegated roles with their next documents.
    pub(crate) delegated: Vec<(String, Vec<u8>)>,
    /// `fleet.json` and statements, by their names as targets.
    pub(crate) target_files: Vec<(String, Vec<u8>)>,
}

/// What was published.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Published {
    /// Version of the new snapshot.
    pub(crate) snapshot: u64,
    /// Version of the new timestamp.
    pub(crate) timestamp: u64,
    /// Names of the statements that are new.
    pub(crate) releases: Vec<String>,
}

/// The newest document of each role, as stored.
#[derive(Debug, Clone, Default)]
struct Current {
    root: Option<Vec<u8>>,
    timestamp: Option<Vec<u8>>,
    snapshot: Option<Vec<u8>>,
    targets: Option<Vec<u8>>,
    delegated: BTreeMap<String, Vec<u8>>,
    fleet: Option<Vec<u8>>,
    /// No document but root gets a lower version: a restore has raised it.
    version_floor: u64,
}

impl Current {
    fn load(tx: &Tx<'_>) -> Result<Self, StoreError> {
        let newest = |role| -> Result<Option<Vec<u8>>, StoreError> {
            Ok(tx.metadata(role, None)?.map(|(_, document)| document))
        };
        Ok(Self {
            root: newest("root")?,
            timestamp: newest("timestamp")?,
            snapshot: newest("snapshot")?,
            targets: newest("targets")?,
            delegated: tx.delegated_metadata()?.into_iter().collect(),
            fleet: newest("fleet.json")?,
            version_floor: tx.version_floor()?,
        })
    }
}

/// Versions of the online roles that are kept: for devices that fetch while they are re-signed.
const ONLINE_VERSIONS_KEPT: u64 = 32;

impl Controller {
    /// Verifies everything, signs a new snapshot and timestamp, stores all in one transaction
    /// and tells the devices.
    ///
    /// # Errors
    /// [`Error::Refused`] names the first thing that does not hold; [`Error::Conflict`] a version
    /// or rank that is taken.
    pub(crate) async fn publish(&self, publication: Publication) -> Result<Published, Error> {
        let _alone = self.publishing().lock().await;
        let now = clock::now();
        let current = self
            .store()
            .read(Current::load)
            .await
            .map_err(Error::Store)?;
        let staged = stage::stage(&current, &publication, self.keys(), now)?;
        let ours = files::Ours {
            keys: self.keys(),
            ca_root: self.authority().root_digest(),
        };
        let fleet = files::fleet_document(&staged, &current, &publication, &ours)?;
        let releases = self.new_releases(&staged, &publication).await?;
        let published = Published {
            snapshot: staged.snapshot.0,
            timestamp: staged.timestamp.0,
            releases: releases.iter().map(NewRelease::name).collect(),
        };
        let timestamp = staged.timestamp.1.clone();
        let document = fleet
            .as_ref()
            .map(|(document, bytes)| (document.version, bytes.clone()));
        let keep = move |tx: &Tx<'_>| store(tx, &staged, document.as_ref(), &releases, now);
        self.store().write(keep).await.map_err(Error::Store)?;
        if let Some((document, _)) = fleet {
            self.follow(document).await?;
        }
        self.hint(timestamp).await;
        Ok(published)
    }

    /// Signs snapshot and timestamp anew when they are past half of their life, or were restored
    /// from a backup: devices may have seen later ones.
    ///
    /// # Errors
    /// As [`Controller::publish`]; root or targets may have expired.
    pub(crate) async fn refresh(&self) -> Result<(), Error> {
        let newest = self.metadata("timestamp", None).await?;
        let floor = self.store().read(|tx| tx.version_floor()).await?;
        match newest {
            Some(bytes) if online::is_fresh(&bytes, floor, clock::now()) => self.hint(bytes).await,
            Some(_) => drop(self.publish(Publication::default()).await?),
            // Nothing was ever published: `muster init` has that before it.
            None => {}
        }
        Ok(())
    }

    async fn hint(&self, timestamp: Vec<u8>) {
        let topic = topic::timestamp(self.topic_prefix());
        self.send_to(topic.as_str(), timestamp, Retain::Yes).await;
    }
}

fn store(
    tx: &Tx<'_>,
    staged: &Staged,
    fleet: Option<&(u64, Vec<u8>)>,
    releases: &[NewRelease],
    now: UnixSeconds,
) -> Result<(), StoreError> {
    let (root, targets) = (&staged.root, &staged.targets);
    tx.add_metadata("root", root.0, &root.1)?;
    tx.add_metadata("targets", targets.0, &targets.1)?;
    for (role, (version, document)) in &staged.delegated {
        tx.add_metadata(role, *version, document)?;
    }
    for (role, (version, document)) in [
        ("snapshot", &staged.snapshot),
        ("timestamp", &staged.timestamp),
    ] {
        tx.add_metadata(role, *version, document)?;
        tx.prune_metadata(role, ONLINE_VERSIONS_KEPT)?;
    }
    if let Some((version, document)) = fleet {
        tx.add_metadata("fleet.json", *version, document)?;
    }
    for release in releases {
        tx.add_release(&release.statement, &release.signed, &release.reaches, now)?;
        tx.set_countable(
            &release.statement.model,
            &release.statement.version,
            &release.countable,
        )?;
    }
    Ok(())
}
