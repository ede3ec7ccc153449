//! Whether the card of a release says what this fleet requires before it is rolled out.
//!
//! Reads cards only where something is required; never judges what they say.

use muster_protocol::bundle::{Card, Manifest};
use muster_protocol::digest::Digest;
use muster_protocol::id::{ModelId, Version};

use super::{Controller, Error};
use crate::config::CardPart;

impl Controller {
    /// Refuses a release whose card lacks a required part. One that is not there is for others to
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
        let missing = match self.card(bundle).await? {
            Some(card) => card.about.unwrap_or_default().missing(),
            None => CardPart::ALL.map(CardPart::name).to_vec(),
        };
        let lacking = self.cards.lacking(&missing);
        if lacking.is_empty() {
            return Ok(());
        }
        Err(Error::Refused {
            why: sentence(model, version, &lacking),
        })
    }

    /// The card of a bundle; none where it cannot be read.
    async fn card(&self, bundle: Digest) -> Result<Option<Card>, Error> {
        let manifest = self.blob(bundle).await?;
        let manifest = manifest.and_then(|bytes| Manifest::parse(&bytes).ok());
        let Some(manifest) = manifest else {
            return Ok(None);
        };
        let card = self.blob(manifest.card.digest).await?;
        Ok(card.and_then(|bytes| Card::parse(&bytes).ok()))
    }
}

fn sentence(model: &ModelId, version: &Version, lacking: &[CardPart]) -> String {
    let names: Vec<&str> = lacking.iter().map(|part| part.name()).collect();
    format!(
        "the card of {model} {version} lacks {}, which this fleet requires: hint: build the bundle \
         with --about FILE and release it as another version, or change [cards] in muster.toml",
        names.join(", ")
    )
}
