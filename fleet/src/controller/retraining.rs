//! Requests for a retrain: made under open incidents when the rules say so, signed, and told in the
//! transaction that stores them. Never trains, releases or rolls out anything.

use std::collections::BTreeSet;
use std::sync::Arc;

use ed25519_dalek::SigningKey;
use muster_fleet::finding::Scope;
use muster_fleet::incident::{
    Cohort, Day, Desk, Event, EventType, Person, QualitySpan, RetrainCommand, RetrainRecord,
    RetrainRule, RetrainState, Verdict, judge, place,
};
use muster_protocol::digest::Digest;
use muster_protocol::id::ModelId;
use muster_protocol::time::UnixSeconds;
use serde_json::json;

use super::views::heard_of;
use super::{Controller, Error};
use crate::clock;
use crate::drift::BundleReference;
use crate::retraining::{self, CohortCounts, RetrainFile};
use crate::store::{DriftingCohort, NewRequest, Page, Paged, RetrainRow, StoreError, Tx};

const HOUR_S: u64 = 3600;
const DAY_S: u64 = 24 * HOUR_S;
/// Days before an incident from which it is learnt how much counts differ anyway.
const LEARNT_DAYS: u64 = 14;

/// What is asked for, before it is signed.
struct Wish {
    model: ModelId,
    bundle: Digest,
    record: RetrainRecord,
}

impl Controller {
    /// Asks for a retrain of each model for which the rules say so; the numbers of the requests.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub(crate) async fn ask_for_retrains(&self) -> Result<Vec<i64>, Error> {
        let (hearers, now) = (self.hearers.clone(), clock::now());
        let open = self.store.read::<_, Error>(move |tx| {
            let desk = hearers.desk(tx)?;
            let cohorts = tx.drifting_cohorts(&desk.applied.rules.retrain.causes, now)?;
            Ok((desk, cohorts))
        });
        let (desk, cohorts) = open.await?;
        let mut asked = Vec::new();
        for together in alike(cohorts) {
            asked.extend(self.ask_for(&desk, together, now).await?);
        }
        Ok(asked)
    }

    async fn ask_for(
        &self,
        desk: &Desk,
        incidents: Vec<DriftingCohort>,
        now: UnixSeconds,
    ) -> Result<Option<i64>, Error> {
        let Some(bundle) = incidents.first().map(|first| first.bundle) else {
            return Ok(None);
        };
        let (references, blobs) = (Arc::clone(&self.references), self.blobs.clone());
        let read = tokio::task::spawn_blocking(move || references.get(&blobs, bundle));
        let Some(reference) = read.await.map_err(|_| Error::Stopping)? else {
            return Ok(None);
        };
        let for_look = desk.clone();
        let look = move |tx: &Tx<'_>| wish(tx, &for_look, &incidents, &reference, now);
        let Some(wish) = self.store.survey(look).await? else {
            return Ok(None);
        };
        let (desk, key) = (desk.clone(), self.keys.director.clone());
        let work = move |tx: &Tx<'_>| ask(tx, &desk, wish, &key, now);
        self.store.write(work).await
    }

    /// Asks for a retrain because a person does, who has looked at an incident of windows; the number of
    /// the request.
    ///
    /// # Errors
    /// [`Error::NotFound`] for an incident that there is not, or whose reference is gone;
    /// [`Error::Conflict`] for one that no windows show, or while another request is open.
    pub(crate) async fn ask_for_retrain_by(
        &self,
        incident: i64,
        person: Person,
    ) -> Result<i64, Error> {
        let (hearers, now) = (self.hearers.clone(), clock::now());
        let (references, blobs) = (Arc::clone(&self.references), self.blobs.clone());
        let look = move |tx: &Tx<'_>| {
            let desk = hearers.desk(tx)?;
            let (found, feature) = asked_for(tx, incident)?;
            let reference = references.get(&blobs, found.bundle);
            let reference = reference.ok_or_else(|| Error::NotFound {
                what: format!("the reference of {}", found.bundle),
            })?;
            let features = feature.into_iter().collect();
            let wish = wish_of(tx, &desk, (found, features), &reference, &person, now)?;
            Ok::<_, Error>((desk, wish))
        };
        let (desk, wish) = self.store.survey(look).await?;
        let key = self.keys.director.clone();
        let work = move |tx: &Tx<'_>| {
            ask(tx, &desk, wish, &key, now)?.ok_or_else(|| another_is_open(incident))
        };
        self.store.write(work).await
    }

    /// Requests in the order in which they were made.
    ///
    /// # Errors
    /// [`Error::NotFound`] for a model that nothing was ever heard of.
    pub(crate) async fn retrain_requests(
        &self,
        model: Option<ModelId>,
        state: Option<RetrainState>,
        page: Page,
    ) -> Result<Paged<RetrainRow>, Error> {
        let work = move |tx: &Tx<'_>| {
            let found = tx.requests(model.as_ref(), state, &page)?;
            heard_of(tx, model.as_ref().map(ModelId::as_str), &found)?;
            Ok(found)
        };
        self.store.read(work).await
    }

    /// One request, and the file of it.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub(crate) async fn retrain_request(
        &self,
        request: i64,
    ) -> Result<(RetrainRow, RetrainFile), Error> {
        let row = self.store.read(move |tx| row(tx, request)).await?;
        let file = RetrainFile::of(&row.document).map_err(|damaged| StoreError::Failed {
            because: format!("request {request} is damaged: {damaged}"),
        })?;
        Ok((row, file))
    }

    /// Notes what a pipeline or a person does with a request.
    ///
    /// # Errors
    /// [`Error::NotFound`], and [`Error::Conflict`] where it makes no sense.
    pub(crate) async fn order_retrain(
        &self,
        request: i64,
        command: RetrainCommand,
        person: Person,
    ) -> Result<RetrainRow, Error> {
        let now = clock::now();
        let work = move |tx: &Tx<'_>| {
            let state = row(tx, request)?.state;
            let next = RetrainState::of(&state).and_then(|state| state.after(command));
            let to = next.ok_or_else(|| Error::Conflict {
                why: format!(
                    "request {request} is {}: hint: one that is requested is picked up or declined, \
                     one that is picked up is done or declined",
                    state.replace('_', " ")
                ),
            })?;
            tx.move_request(request, command, to, &person, now)?;
            row(tx, request)
        };
        self.store.write(work).await
    }
}

fn row(tx: &Tx<'_>, request: i64) -> Result<RetrainRow, Error> {
    tx.request(request)?.ok_or_else(|| Error::NotFound {
        what: format!("retrain request {request}"),
    })
}

/// Incidents of the same bundle in the same place are one reason.
fn alike(cohorts: Vec<DriftingCohort>) -> Vec<Vec<DriftingCohort>> {
    let mut groups: Vec<Vec<DriftingCohort>> = Vec::new();
    for one in cohorts {
        let same = |group: &&mut Vec<DriftingCohort>| {
            let first = group.first();
            first.is_some_and(|first| first.bundle == one.bundle && first.scope == one.scope)
        };
        match groups.iter_mut().find(same) {
            Some(group) => group.push(one),
            None => groups.push(vec![one]),
        }
    }
    groups
}

/// What is asked for now; none when the rule is not fulfilled.
fn wish(
    tx: &Tx<'_>,
    desk: &Desk,
    incidents: &[DriftingCohort],
    reference: &BundleReference,
    now: UnixSeconds,
) -> Result<Option<Wish>, Error> {
    let Some(first) = incidents.iter().min_by_key(|incident| incident.first_at) else {
        return Ok(None);
    };
    let rule = &desk.applied.rules.retrain;
    // Before anything is counted: that takes seconds in a large fleet.
    let newest = tx.newest_request(&first.model)?;
    if newest.is_some_and(|(at, is_open)| is_open || rule.rests(at, now)) {
        return Ok(None);
    }
    let (days, cohort) = counted(tx, rule, first, reference, now)?;
    let span = quality(reference, &judged(days.clone(), rule, &[], now));
    let verdict = judge(rule, &days, span.as_ref(), now);
    let (features, because) = match verdict {
        Verdict::Request { features, because } => (features, because),
        Verdict::Wait { because } => {
            let (model, place) = (&first.model, place(&first.scope));
            tracing::debug!("no retrain of {model} is asked for at {place}: because {because}");
            return Ok(None);
        }
    };
    let days = judged(days, rule, &features, now);
    let record = RetrainRecord {
        features,
        days,
        quality: span,
        because,
        ..record(tx, desk, incidents, reference, cohort, now)?
    };
    Ok(Some(Wish {
        model: first.model.clone(),
        bundle: first.bundle,
        record,
    }))
}

/// The incident that a person asks for, when no other request of its model is open.
fn asked_for(tx: &Tx<'_>, incident: i64) -> Result<(DriftingCohort, Option<String>), Error> {
    let found = tx.incident_of_windows(incident)?;
    let found = found.ok_or_else(|| Error::NotFound {
        what: format!("incident {incident} of windows"),
    })?;
    match tx.newest_request(&found.0.model)? {
        Some((_, true)) => Err(another_is_open(incident)),
        Some((_, false)) | None => Ok(found),
    }
}

fn another_is_open(incident: i64) -> Error {
    Error::Conflict {
        why: format!(
            "another request for a retrain of this model is open: hint: see `muster retrain list`, \
             and end it before you ask again for incident {incident}"
        ),
    }
}

/// What a person asks for, with what was counted until now.
fn wish_of(
    tx: &Tx<'_>,
    desk: &Desk,
    (found, features): (DriftingCohort, Vec<String>),
    reference: &BundleReference,
    person: &Person,
    now: UnixSeconds,
) -> Result<Wish, Error> {
    let rule = &desk.applied.rules.retrain;
    let (days, cohort) = counted(tx, rule, &found, reference, now)?;
    let (model, bundle) = (found.model.clone(), found.bundle);
    let days = days_from(days, rule, now);
    let record = RetrainRecord {
        quality: quality(reference, &days),
        windows_until: now.0 / HOUR_S * HOUR_S + HOUR_S,
        features,
        days,
        because: format!("{} asks for it: {}", person.name(), person.reason()),
        ..record(tx, desk, &[found], reference, cohort, now)?
    };
    Ok(Wish {
        model,
        bundle,
        record,
    })
}

/// A request for the whole days that the rule looks at, which says nothing yet of what was counted.
fn record(
    tx: &Tx<'_>,
    desk: &Desk,
    incidents: &[DriftingCohort],
    reference: &BundleReference,
    cohort: Cohort,
    now: UnixSeconds,
) -> Result<RetrainRecord, Error> {
    let rule = &desk.applied.rules.retrain;
    let first = incidents.first().ok_or_else(|| Error::NotFound {
        what: "an incident to ask for".to_owned(),
    })?;
    let bundle = first.bundle.to_string();
    let releases = tx.releases(Some(&first.model))?.into_iter();
    let release = releases.rev().find(|release| release.bundle == bundle);
    Ok(RetrainRecord {
        format: RetrainRecord::FORMAT.to_owned(),
        model: first.model.to_string(),
        version: release.map(|release| release.version),
        bundle,
        reference: reference.digest.to_string(),
        requested_at: now.0,
        windows_from: (now.0 / DAY_S).saturating_sub(u64::from(rule.days)) * DAY_S,
        windows_until: now.0 / DAY_S * DAY_S,
        cohort,
        incidents: incidents.iter().map(|incident| incident.incident).collect(),
        features: Vec::new(),
        days: Vec::new(),
        quality: None,
        rules: desk.applied.name(),
        rule: rule.clone(),
        because: String::new(),
    })
}

/// How well a classifier did on these days together.
fn quality(reference: &BundleReference, days: &[Day]) -> Option<QualitySpan> {
    QualitySpan::of(reference.scores.as_ref()?, days)
}

/// The days that the rule looks at, and today.
fn days_from(days: Vec<Day>, rule: &RetrainRule, now: UnixSeconds) -> Vec<Day> {
    let from = (now.0 / DAY_S).saturating_sub(u64::from(rule.days));
    days.into_iter().filter(|day| day.day >= from).collect()
}

/// The counts of a cohort without its faulty devices.
fn counted(
    tx: &Tx<'_>,
    rule: &RetrainRule,
    incident: &DriftingCohort,
    reference: &BundleReference,
    now: UnixSeconds,
) -> Result<(Vec<Day>, Cohort), Error> {
    let faulty: BTreeSet<String> = match &incident.scope {
        // Whoever asks because of one device asks for what it counts.
        Scope::Device(_) => BTreeSet::new(),
        Scope::Cohort { .. } | Scope::Fleet => {
            tx.faulty_devices(&incident.model)?.into_iter().collect()
        }
    };
    let members: BTreeSet<String> = tx
        .inventory()?
        .into_iter()
        .filter(|(device, labels)| match &incident.scope {
            Scope::Cohort { label, value } => labels.get(label) == Some(value),
            Scope::Device(one) => device == one,
            Scope::Fleet => true,
        })
        .map(|(device, _)| device.to_string())
        .collect();
    let from = (now.0 / DAY_S).saturating_sub(u64::from(rule.days)) * 24;
    let began = incident.first_at.0 / HOUR_S;
    let mut counts = CohortCounts::new(reference, rule, from, began);
    let learnt = began.saturating_sub(LEARNT_DAYS * 24).min(from);
    tx.each_hour_of_bundle(
        &incident.model,
        &incident.bundle,
        learnt,
        |hour, counted| {
            if members.contains(&counted.device) && !faulty.contains(&counted.device) {
                counts.add(hour, counted);
            }
        },
    )?;
    tx.each_score_hour_of_bundle(&incident.model, &incident.bundle, from, |hour, counted| {
        if members.contains(&counted.device) && !faulty.contains(&counted.device) {
            counts.add_scores(hour, &counted);
        }
    })?;
    let cohort = Cohort {
        place: place(&incident.scope),
        devices: counts.devices(),
        excluded: faulty.intersection(&members).cloned().collect(),
    };
    Ok((counts.days(), cohort))
}

/// What the verdict rests on, and no more.
fn judged(days: Vec<Day>, rule: &RetrainRule, features: &[String], now: UnixSeconds) -> Vec<Day> {
    let today = now.0 / DAY_S;
    let from = today.saturating_sub(u64::from(rule.days));
    let mut days: Vec<_> = days
        .into_iter()
        .filter(|day| (from..today).contains(&day.day))
        .collect();
    for day in &mut days {
        day.features.retain(|day| features.contains(&day.feature));
    }
    days
}

/// Stores a request with its alerts, unless another one came before.
fn ask(
    tx: &Tx<'_>,
    desk: &Desk,
    wish: Wish,
    key: &SigningKey,
    now: UnixSeconds,
) -> Result<Option<i64>, Error> {
    let Wish {
        model,
        bundle,
        record,
    } = wish;
    if tx
        .newest_request(&model)?
        .is_some_and(|(at, is_open)| is_open || at == now)
    {
        return Ok(None);
    }
    let document = retraining::seal(&record, key);
    let file = RetrainFile::of(&document).map_err(|damaged| StoreError::Failed {
        because: format!("a request could not be signed: {damaged}"),
    })?;
    let new = NewRequest {
        model,
        bundle,
        place: record.cohort.place,
        because: record.because,
        document,
    };
    let source = desk.source.clone();
    let event = move |request: i64| {
        let subject = format!("retrain-requests/{request}");
        let data = json!({ "request": request, "record": file.record, "signed": file.signed });
        Event::new(EventType::RetrainRequested, &source, &subject, now, &data)
    };
    Ok(Some(tx.add_request(&new, desk, now, event)?))
}

#[cfg(test)]
mod tests;
