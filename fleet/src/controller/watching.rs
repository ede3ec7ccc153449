//! The watch over windows, as the controller runs it: a round every few seconds, and what is normal
//! learnt anew on an order.

use std::sync::Arc;

use muster_fleet::finding::Finding;
use muster_fleet::incident::Rules;
use muster_fleet::watch::{
    IncidentsPerYear, QualityStands, Stage, Subject, UsualFigure, WatchEvent, WatchRule, What,
};
use muster_protocol::digest::Digest;
use muster_protocol::id::{DeviceId, ModelId};
use muster_protocol::time::UnixSeconds;
use serde::Serialize;

use super::views::heard_of;
use super::{Controller, Error};
use crate::clock;
use crate::store::{AlarmRow, Kept, Page, Paged, PlacingRow, Recorded, StoreError, Tx};
use crate::watching::{Round, Sources};

/// Rounds after one another, while there are windows: others wait for the store as well.
const ROUNDS_MAX: usize = 64;

/// An incident that a finding opened.
struct Opened {
    incident: i64,
    finding: Finding,
}

/// What the rules of incidents say to the charts.
fn watch_rule(rules: &Rules) -> WatchRule {
    let budget = |incidents: f64| IncidentsPerYear::try_from(incidents);
    let usual = WatchRule::default();
    WatchRule {
        incidents_per_device_year: budget(rules.budget.per_device_year)
            .unwrap_or(usual.incidents_per_device_year),
        incidents_per_cohort_year: budget(rules.budget.per_cohort_year)
            .unwrap_or(usual.incidents_per_cohort_year),
        cohort_labels: rules.cohort_labels.clone(),
        quality: rules.quality,
        seasons: rules
            .season
            .iter()
            .map(|season| season.rule(rules.quiet_s))
            .collect(),
    }
}

/// An alarm with names.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct AlarmView {
    /// Its number.
    pub(crate) alarm: i64,
    /// When the window that completed it came, unix seconds.
    pub(crate) happened_at: u64,
    /// The number of that window.
    pub(crate) window: i64,
    /// The model.
    pub(crate) model: String,
    /// The bundle that served.
    pub(crate) bundle: String,
    /// The device; none of a cohort.
    pub(crate) device: Option<String>,
    /// The feature, where it is one.
    pub(crate) feature: Option<String>,
    /// What of it alarmed.
    pub(crate) signal: &'static str,
    /// A sentence.
    pub(crate) because: String,
    /// All of it.
    pub(crate) what: What,
}

/// How far the charts of one feature have come.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct ChartView {
    /// The device.
    pub(crate) device: String,
    /// The bundle.
    pub(crate) bundle: String,
    /// Its version, when it was released here.
    pub(crate) version: Option<String>,
    /// The feature.
    pub(crate) feature: String,
    /// How far.
    #[serde(flatten)]
    pub(crate) stage: Stage,
    /// Hours of the week that are known, of 168; none where its normal does not follow them.
    pub(crate) week_hours: Option<u32>,
    /// How far the chart of what is left without the week has come.
    pub(crate) week_state: Option<&'static str>,
}

/// How well the classifier of a bundle does in a cohort, beside what is usual there.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct QualityView {
    /// `all`, or a label and its value.
    pub(crate) cohort: String,
    /// The bundle.
    pub(crate) bundle: String,
    /// Its version, when it was released here.
    pub(crate) version: Option<String>,
    /// `unknown`, `usual` or `fallen`, as the newest slot of six hours ended; unknown a day after it.
    pub(crate) stands: QualityStands,
    /// Days that are learnt from.
    pub(crate) days: u32,
    /// Days that it takes; none where the rules judge no quality.
    pub(crate) days_min: Option<u32>,
    /// What the estimated accuracy usually is.
    pub(crate) accuracy: Option<UsualFigure>,
    /// What the estimated AUC usually is, of two classes.
    pub(crate) auc: Option<UsualFigure>,
}

impl AlarmView {
    fn of(row: AlarmRow, sources: &Sources) -> Self {
        let reference = sources.references.get(&sources.blobs, row.bundle);
        let named = |at: usize| Some(reference.as_ref()?.features.get(at)?.name.clone());
        let feature = row.what.feature().map(|at| {
            // Whose reference is gone still has its place.
            named(at).unwrap_or_else(|| format!("feature {at}"))
        });
        Self {
            alarm: row.alarm,
            happened_at: row.at,
            window: row.window,
            model: row.model,
            bundle: row.bundle.to_string(),
            device: row.device,
            signal: row.what.signal(),
            because: row.what.because(feature.as_deref().unwrap_or_default()),
            feature,
            what: row.what,
        }
    }
}

/// The bundles of a model that are watched; what is asked of a device must be one.
fn watched(tx: &Tx<'_>, model: &ModelId, device: Option<&DeviceId>) -> Result<Vec<Digest>, Error> {
    if let Some(device) = device
        && tx.device(device)?.is_none()
    {
        let what = format!("the device {device}");
        return Err(Error::NotFound { what });
    }
    let bundles = tx.watched_bundles(model)?;
    if bundles.is_empty() {
        let what = format!("a window of the model {model}");
        return Err(Error::NotFound { what });
    }
    Ok(bundles)
}

fn charts_of(
    tx: &Tx<'_>,
    sources: &Sources,
    subject: &Subject,
    device: &str,
) -> Result<Vec<ChartView>, Error> {
    let Ok(id) = DeviceId::parse(device) else {
        return Ok(Vec::new());
    };
    let Some(watch) = tx.device_watch(Kept::Now, subject, &id)? else {
        return Ok(Vec::new());
    };
    let releases = tx.releases(Some(&subject.model))?;
    let release = releases
        .iter()
        .find(|release| release.bundle == subject.bundle.to_string());
    let reference = sources.references.get(&sources.blobs, subject.bundle);
    let features = reference.iter().flat_map(|reference| &reference.features);
    let views = watch.features.iter().zip(&watch.seasonal).zip(features);
    let views = views.map(|((plain, seasonal), feature)| {
        let judges = seasonal.as_ref().filter(|seasonal| seasonal.judges());
        let week = seasonal.as_ref();
        ChartView {
            device: device.to_owned(),
            bundle: subject.bundle.to_string(),
            version: release.map(|release| release.version.clone()),
            feature: feature.name.clone(),
            stage: judges.map_or(plain.stage(), |seasonal| seasonal.watch.stage()),
            week_hours: week.map(|seasonal| seasonal.season.known()),
            week_state: week.map(|seasonal| seasonal.watch.stage().as_str()),
        }
    });
    Ok(views.collect())
}

fn quality_of(
    tx: &Tx<'_>,
    subject: &Subject,
    now: UnixSeconds,
) -> Result<Vec<QualityView>, StoreError> {
    let rule = tx.applied_rules()?.rules.quality;
    let releases = tx.releases(Some(&subject.model))?;
    let bundle = subject.bundle.to_string();
    let release = releases.iter().find(|release| release.bundle == bundle);
    let watches = tx.quality_watches(Kept::Now, subject)?.into_iter();
    let views = watches.map(|(cohort, watch)| {
        let [accuracy, auc] = watch.usual();
        QualityView {
            cohort: cohort.to_string(),
            bundle: bundle.clone(),
            version: release.map(|release| release.version.clone()),
            stands: watch.stands(rule.as_ref(), now),
            days: accuracy.map_or(0, |accuracy| accuracy.days),
            days_min: rule.map(|rule| rule.baseline_days),
            accuracy,
            auc,
        }
    });
    Ok(views.collect())
}

impl Controller {
    /// Looks at all windows that came since the last time.
    pub(crate) async fn watch_windows(&self) {
        for _ in 0..ROUNDS_MAX {
            match self.watch_round().await {
                Ok(0) => return,
                Ok(_) => {}
                Err(error) => {
                    tracing::error!("failed to watch windows: because {error}");
                    return;
                }
            }
        }
    }

    /// One round; how many windows were in it.
    async fn watch_round(&self) -> Result<usize, Error> {
        let sources = self.sources();
        let compute = move |tx: &Tx<'_>| -> Result<Round, StoreError> {
            let rule = watch_rule(&tx.applied_rules()?.rules);
            Round::compute(tx, &sources, &rule)
        };
        let round = self.store.survey(compute).await?;
        let (windows, now, hearers) = (round.windows, clock::now(), self.hearers().clone());
        let keep = move |tx: &Tx<'_>| -> Result<Option<Vec<Opened>>, StoreError> {
            let Some(findings) = round.keep(tx, now)? else {
                return Ok(None);
            };
            let desk = hearers.desk(tx)?;
            let mut opened = Vec::new();
            for finding in findings {
                let recorded = tx.record_finding(&finding, &desk, now)?;
                if let Recorded::Opened(incident) = recorded {
                    opened.push(Opened { incident, finding });
                }
            }
            Ok(Some(opened))
        };
        let kept = self.store.write(keep).await?;
        for Opened { incident, finding } in kept.iter().flatten() {
            let model = finding.model.as_str();
            tracing::warn!(incident, model, "incident: because {}", finding.because);
        }
        // What happened in between is no reason to stop.
        Ok(kept.map_or(windows.max(1), |_| windows))
    }

    /// Learns anew what is normal for a model, on one device or on all.
    ///
    /// # Errors
    /// [`Error::NotFound`] for a device that is not enrolled, or a model that is not watched.
    pub(crate) async fn rebaseline(
        &self,
        model: ModelId,
        device: Option<DeviceId>,
        operator: String,
        reason: String,
    ) -> Result<(), Error> {
        let now = clock::now();
        let order = move |tx: &Tx<'_>| {
            watched(tx, &model, device.as_ref())?;
            let event = WatchEvent::Rebaseline {
                model,
                device,
                operator,
                reason,
            };
            let after = tx.watching(Kept::Now)?.looked_at();
            tx.add_watch_event(after, &event, now)?;
            Ok(())
        };
        self.store.write(order).await
    }

    /// What alarmed, with names.
    ///
    /// # Errors
    /// [`Error::NotFound`] for a model that nothing was ever heard of.
    pub(crate) async fn alarms(
        &self,
        model: Option<ModelId>,
        page: Page,
    ) -> Result<Paged<AlarmView>, Error> {
        let sources = self.sources();
        let work = move |tx: &Tx<'_>| {
            let found = tx.alarms(model.as_ref(), &page)?;
            heard_of(tx, model.as_ref().map(ModelId::as_str), &found)?;
            let Paged { items, next } = found;
            let items = items.into_iter().map(|row| AlarmView::of(row, &sources));
            let items = items.collect();
            Ok(Paged { items, next })
        };
        self.store.survey(work).await
    }

    /// What that was found to be.
    ///
    /// # Errors
    /// [`Error::NotFound`] for a model that nothing was ever heard of.
    pub(crate) async fn placings(
        &self,
        model: Option<ModelId>,
        page: Page,
    ) -> Result<Paged<PlacingRow>, Error> {
        let work = move |tx: &Tx<'_>| {
            let found = tx.placings(model.as_ref(), &page)?;
            heard_of(tx, model.as_ref().map(ModelId::as_str), &found)?;
            Ok(found)
        };
        self.store.read(work).await
    }

    /// How far the charts of a model have come, of the devices of a page.
    ///
    /// # Errors
    /// [`Error::NotFound`] for a device that is not enrolled, or a model that is not watched.
    pub(crate) async fn charts(
        &self,
        model: ModelId,
        device: Option<DeviceId>,
        page: Page,
    ) -> Result<Paged<ChartView>, Error> {
        let sources = self.sources();
        let work = move |tx: &Tx<'_>| {
            let bundles = watched(tx, &model, device.as_ref())?;
            let devices = match device {
                Some(device) => Paged {
                    items: vec![device.to_string()],
                    next: None,
                },
                None => tx.devices_with_windows(&model, &page)?,
            };
            let mut items = Vec::new();
            for name in &devices.items {
                for bundle in &bundles {
                    let subject = Subject {
                        model: model.clone(),
                        bundle: *bundle,
                    };
                    items.extend(charts_of(tx, &sources, &subject, name)?);
                }
            }
            Ok(Paged {
                items,
                next: devices.next,
            })
        };
        self.store.survey(work).await
    }

    /// How well a classifier does in each cohort, beside what is usual there.
    ///
    /// # Errors
    /// [`Error::NotFound`] for a model that is not watched.
    pub(crate) async fn quality_stands(&self, model: ModelId) -> Result<Paged<QualityView>, Error> {
        let now = clock::now();
        let work = move |tx: &Tx<'_>| {
            let mut items = Vec::new();
            for bundle in watched(tx, &model, None)? {
                let subject = Subject {
                    model: model.clone(),
                    bundle,
                };
                items.extend(quality_of(tx, &subject, now)?);
            }
            Ok(Paged { items, next: None })
        };
        self.store.read(work).await
    }

    pub(super) fn sources(&self) -> Sources {
        Sources {
            references: Arc::clone(&self.references),
            blobs: self.blobs.clone(),
        }
    }
}
