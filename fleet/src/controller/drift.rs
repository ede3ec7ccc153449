//! Drift: sums of the store beside the references of their bundles. Changes nothing, judges
//! nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use muster_protocol::digest::Digest;
use muster_protocol::time::UnixSeconds;

use super::{Controller, Error};
use crate::clock;
use crate::drift::{BundleReference, DriftQuery, DriftRow, Merged, MergedScores, Of};
use crate::store::{ALL, HOUR_S, OfCohort, Page, Paged, Tx};

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
    if let Some(cohort) = &query.cohort {
        if !tx.knows_cohort(&query.model, cohort)? {
            let what = format!("a window of {} in the cohort {cohort}", query.model);
            return Err(Error::NotFound { what });
        }
        let of = Of::Cohort(cohort.clone());
        let hours = (first_hour(query, now), u64::MAX >> 1);
        add_cohort(tx, query, (of, cohort), hours, &mut sums.0)?;
        return Ok((sums, versions, None));
    }
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
                add_all(tx, query, now, &mut sums)?;
            }
        }
    }
    for device in each {
        add_hours(tx, query, Some(&device), (query.since_s, now), &mut sums)?;
    }
    Ok((sums, versions, next))
}

/// Adds the hours of all devices together: those of the cohort as far as the ones of single devices may
/// be gone, and the others from each, since the watch comes a little later.
fn add_all(
    tx: &Tx<'_>,
    query: &DriftQuery,
    now: UnixSeconds,
    sums: &mut Sums,
) -> Result<(), Error> {
    let (first, whole) = (first_hour(query, now), tx.devices_from()?);
    if first >= whole {
        return add_hours(tx, query, None, (query.since_s, now), sums);
    }
    add_cohort(tx, query, (Of::All, ALL), (first, whole), &mut sums.0)?;
    let since_s = now.0.saturating_sub(whole.saturating_mul(HOUR_S));
    add_hours(tx, query, None, (since_s, now), sums)
}

/// Adds the hours of a cohort in this range to the sums `of`.
fn add_cohort(
    tx: &Tx<'_>,
    query: &DriftQuery,
    (of, cohort): (Of, &str),
    (from, until): (u64, u64),
    features: &mut Merged,
) -> Result<(), Error> {
    let model = &query.model;
    let asked = OfCohort {
        model,
        cohort,
        from,
        until,
    };
    tx.each_cohort_hour(asked, |hour| {
        features.add_sums(of.clone(), hour.bundle, hour.reference, hour.sums);
    })?;
    for (bundle, device) in tx.cohort_devices(model, cohort, from)? {
        features.add_device(of.clone(), bundle, device);
    }
    Ok(())
}

/// The span begins with a full hour.
fn first_hour(query: &DriftQuery, now: UnixSeconds) -> u64 {
    now.0.saturating_sub(query.since_s) / HOUR_S
}

/// Adds the hours of one device, or those of all to the sums of all together.
fn add_hours(
    tx: &Tx<'_>,
    query: &DriftQuery,
    device: Option<&str>,
    (since_s, now): (u64, UnixSeconds),
    (features, scores): &mut Sums,
) -> Result<(), Error> {
    let of = device.map_or(Of::All, |device| Of::Device(device.to_owned()));
    let model = &query.model;
    tx.each_feature_hour(model, device, since_s, now, |hour| {
        features.add(of.clone(), hour);
    })?;
    tx.each_score_hour(model, device, query.since_s, now, |hour| {
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

#[cfg(test)]
mod tests {
    use muster_protocol::id::DeviceId;

    use super::*;
    use crate::config::Retention;
    use crate::drift::Histograms;
    use crate::store::{CohortSums, FeatureHour, WindowOfCohorts, WindowSums, in_memory};

    const NOW: UnixSeconds = UnixSeconds(1_800_000_000);
    const DAY_S: u64 = 86_400;
    const BUNDLE: Digest = Digest([5; 32]);

    fn query() -> DriftQuery {
        DriftQuery {
            model: "bearing".parse().expect("valid"),
            version: None,
            device: None,
            cohort: None,
            since_s: 400 * DAY_S,
            histograms: Histograms::Without,
        }
    }

    /// One window of a device, in its own hours and in those of all.
    fn count(tx: &Tx<'_>, device: &str, days_ago: u64) {
        let ended = UnixSeconds(NOW.0 - days_ago * DAY_S);
        let sums = WindowSums {
            closed_windows: 1,
            calls: 30,
            misfits: 0,
            features: Vec::new(),
        };
        let model = query().model;
        let hour = FeatureHour {
            device: device.to_owned(),
            bundle: BUNDLE,
            reference: None,
            sums,
        };
        tx.put_hour(&model, ended.0 / HOUR_S, &hour);
        let device = DeviceId::parse(device).expect("valid");
        let window = WindowOfCohorts::new((&model, BUNDLE, None), (&device, ended), (1, 30), &[]);
        let mut sums = CohortSums::default();
        sums.add(&window, &[ALL.to_owned()]);
        tx.add_to_cohorts(&sums, 0).expect("written");
    }

    /// Devices and windows of the row of all.
    fn all(tx: &Tx<'_>, add: impl Fn(&Tx<'_>, &mut Sums)) -> (usize, u64) {
        let mut sums = Sums::default();
        add(tx, &mut sums);
        let scores = MergedScores::default();
        let rows = sums
            .0
            .rows("bearing", |_| (None, None), &scores, Histograms::Without);
        assert_eq!(rows.len(), 1);
        (rows[0].devices, rows[0].closed_windows)
    }

    #[test]
    fn all_devices_together_reach_further_back_than_each() {
        let store = in_memory();
        let tx = Tx::of(&store);
        for (device, days_ago) in [("a", 0), ("a", 10), ("b", 10), ("b", 200), ("c", 300)] {
            count(&tx, device, days_ago);
        }
        let together = |tx: &Tx<'_>, sums: &mut Sums| {
            add_all(tx, &query(), NOW, sums).expect("read");
        };
        let of_each = |tx: &Tx<'_>, sums: &mut Sums| {
            let span = (query().since_s, NOW);
            add_hours(tx, &query(), None, span, sums).expect("read");
        };
        assert_eq!((all(&tx, together), all(&tx, of_each)), ((3, 5), (3, 5)));
        let gone = tx.forget(&Retention::default(), NOW).expect("forgotten");
        assert_eq!(gone, 2, "hours of devices");
        assert_eq!((all(&tx, together), all(&tx, of_each)), ((3, 5), (2, 3)));
    }
}
