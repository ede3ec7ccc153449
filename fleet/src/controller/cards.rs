//! Whether the card of a release says what this fleet requires before it is rolled out.
//!
//! Reads cards only where something is required; never judges what they say.

use muster_protocol::bundle::card::Part;
use muster_protocol::digest::Digest;
use muster_protocol::id::{ModelId, Version};

use super::{Controller, Error};
use crate::publish::card_of;

impl Controller {
    /// Refuses a release whose card lacks a required part, or cannot be read. One that is not there is for others to
    /// name.
    ///
    /// # Errors
    /// [`Error::Refused`] with what it lacks.
    pub(super) async fn check_card(&self, model: &ModelId, version: &Version) -> Result<(), Error> {
        if self.cards.is_default() {
            return Ok(());
        }
        let releases = self.releases(Some(model.clone())).await?;
        let release = releases
            .into_iter()
            .find(|release| release.version == version.as_str());
        let Some(bundle) = release.and_then(|release| Digest::parse(&release.bundle).ok()) else {
            return Ok(());
        };
        let blobs = self.blobs.clone();
        let read = tokio::task::spawn_blocking(move || card_of(&blobs, bundle));
        let card = read.await.map_err(|_| Error::Stopping)?;
        let card = card.map_err(|because| Error::Refused {
            why: unreadable(model, version, &because),
        })?;
        let lacking = self
            .cards
            .lacking(&card.about.unwrap_or_default().missing());
        if lacking.is_empty() {
            return Ok(());
        }
        Err(Error::Refused {
            why: sentence(model, version, &lacking),
        })
    }
}

fn unreadable(model: &ModelId, version: &Version, because: &str) -> String {
    format!(
        "the card of {model} {version} cannot be read, and this fleet requires what it says: \
         {because}: hint: publish the release again from its bundle, or restore the blobs of the \
         controller from a backup"
    )
}

fn sentence(model: &ModelId, version: &Version, lacking: &[Part]) -> String {
    let names: Vec<&str> = lacking.iter().map(|part| part.name()).collect();
    format!(
        "the card of {model} {version} lacks {}, which this fleet requires: hint: build the bundle \
         with --about FILE and release it as another version, or change [cards] in muster.toml",
        names.join(", ")
    )
}
