//! Drift: sums of the store beside the references of their bundles. Changes nothing, judges
//! nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use muster_protocol::digest::Digest;
use muster_protocol::time::UnixSeconds;

use super::{Controller, Error};
use crate::clock;
use crate::drift::{BundleReference, DriftQuery, DriftRow, Merged, MergedScores, Of};
use crate::store::{Page, Paged, Tx};

/// What the store has: sums of features and of scores, the versions of bundles, the cursor of the
/// next page.
type Summed = (Sums, BTreeMap<String, String>, Option<String>);
type Sums = (Merged, MergedScores);

impl Controller {
    /// What a model's features lie from their reference. Without a device, the first page begins
    /// with all devices together; each device follows, and the page's limit counts devices.
    ///
    /// # Errors
    /// [`Error::NotFound`] for a model, version or device that is not known.
    pub(crate) async fn drift(
        &self,
        query: DriftQuery,
        page: Page,
    ) -> Result<Paged<DriftRow>, Error> {
        let (asked, now) = (query.clone(), clock::now());
        let work = move |tx: &Tx<'_>| summed(tx, &asked, &page, now);
        let ((merged, scores), versions, next) = self.store.survey(work).await?;
        let references = self.references_of(&merged).await?;
        let known = |bundle: &Digest| {
            let version = versions.get(&bundle.to_string()).cloned();
            (version, references.get(bundle).map(Arc::as_ref))
        };
        let mut items = merged.rows(query.model.as_str(), known, &scores, query.histograms);
        if let Some(version) = &query.version {
            items.retain(|row| row.version.as_deref() == Some(version.as_str()));
        }
        Ok(Paged { items, next })
    }

    async fn references_of(
        &self,
        merged: &Merged,
    ) -> Result<BTreeMap<Digest, Arc<BundleReference>>, Error> {
        let (bundles, blobs) = (merged.bundles(), self.blobs.clone());
        let references = Arc::clone(&self.references);
        let read = tokio::task::spawn_blocking(move || {
            let each = bundles.into_iter();
            each.filter_map(|bundle| Some((bundle, references.get(&blobs, bundle)?)))
                .collect()
        });
        read.await.map_err(|_| Error::Stopping)
    }
}

fn summed(tx: &Tx<'_>, query: &DriftQuery, page: &Page, now: UnixSeconds) -> Result<Summed, Error> {
    let versions = versions(tx, query)?;
    let mut sums = Sums::default();
    let (mut each, mut next) = (Vec::new(), None);
    match &query.device {
        Some(device) => {
            let missing = || Error::NotFound {
                what: format!("the device {device}"),
            };
            tx.device(device)?.ok_or_else(missing)?;
            each.push(device.to_string());
        }
        None => {
            let devices = tx.devices_with_windows(&query.model, page)?;
            (each, next) = (devices.items, devices.next);
            if page.cursor.is_none() {
                add_hours(tx, query, None, now, &mut sums)?;
            }
        }
    }
    for device in each {
        add_hours(tx, query, Some(&device), now, &mut sums)?;
    }
    Ok((sums, versions, next))
}

/// Adds the hours of one device, or those of all to the sums of all together.
fn add_hours(
    tx: &Tx<'_>,
    query: &DriftQuery,
    device: Option<&str>,
    now: UnixSeconds,
    (features, scores): &mut Sums,
) -> Result<(), Error> {
    let of = device.map_or(Of::All, |device| Of::Device(device.to_owned()));
    let (model, since_s) = (&query.model, query.since_s);
    tx.each_feature_hour(model, device, since_s, now, |hour| {
        features.add(of.clone(), hour);
    })?;
    tx.each_score_hour(model, device, since_s, now, |hour| {
        scores.add(of.clone(), &hour);
    })?;
    Ok(())
}

/// The versions of a model by the bundles that were released.
fn versions(tx: &Tx<'_>, query: &DriftQuery) -> Result<BTreeMap<String, String>, Error> {
    let releases = tx.releases(Some(&query.model))?;
    if releases.is_empty() {
        let what = format!("a release of the model {}", query.model);
        return Err(Error::NotFound { what });
    }
    let wanted = query.version.as_ref();
    let unknown = wanted.filter(|version| {
        let mut all = releases.iter();
        !all.any(|release| release.version == version.as_str())
    });
    if let Some(version) = unknown {
        let what = format!("the release {} {version}", query.model);
        return Err(Error::NotFound { what });
    }
    let pairs = releases
        .into_iter()
        .map(|release| (release.bundle, release.version));
    Ok(pairs.collect())
}
