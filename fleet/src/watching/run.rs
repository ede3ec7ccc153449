//! A run over windows: states are loaded when the first window needs them, events are heeded where
//! they hold, and each window is taken once.
//!
//! Reads the store and never writes it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use muster_fleet::quality::ScoreSums;
use muster_fleet::watch::{
    Alarmed, Cohort, Counted, Expected, ExpectedFeature, Fell, Labels, Scored, Seen, Subject,
    WatchEvent, Watches,
};
use muster_protocol::cose;
use muster_protocol::digest::Digest;
use muster_protocol::id::{DeviceId, ModelId};
use muster_protocol::message::Document;

use crate::blobs::Blobs;
use crate::drift::{BundleReference, References};
use crate::store::{Kept, NewEvent, Position, StoreError, TakenWindow, Tx, WindowOfCohorts};

/// Where references come from. Asking blocks.
#[derive(Clone)]
pub(crate) struct Sources {
    /// Those that were read before.
    pub(crate) references: Arc<References>,
    /// Where the others are.
    pub(crate) blobs: Blobs,
}

/// Charts that are learnt anew: of a model, and of this device alone.
type Forgotten = (ModelId, Option<DeviceId>);

/// What came of one window.
pub(crate) struct Taken {
    /// Of what it was.
    pub(super) subject: Subject,
    /// What alarms in it.
    pub(super) alarms: Vec<Alarmed>,
    /// Where quality has fallen by it.
    pub(super) fallen: Vec<(Cohort, Fell)>,
    /// Whether it is the first of its slot of time.
    pub(super) slot: Slot,
    /// What it adds to the hours of the cohorts that its device is in.
    pub(super) adds: WindowOfCohorts,
}

/// A slot of time, in which each device has a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Slot {
    /// No window came for it before.
    Begins,
    /// It had begun, or none is charted yet.
    GoesOn,
}

/// A run, and where it stands.
pub(crate) struct Run<'t, 'c> {
    pub(super) tx: &'t Tx<'c>,
    /// Which states it begins from; none when there are none, or none that can be read.
    kept: Option<Kept>,
    sources: &'t Sources,
    /// How far it has come.
    pub(super) position: Position,
    /// All states that it has needed so far.
    pub(super) watches: Watches,
    /// What of it windows have changed.
    pub(super) changed: Changed,
    labelled: BTreeSet<DeviceId>,
    /// Events that hold later.
    events: VecDeque<NewEvent>,
}

/// What a run has changed, beside its position.
#[derive(Debug, Default)]
pub(super) struct Changed {
    /// Devices, and the newest window of each.
    pub(super) devices: BTreeMap<(Subject, DeviceId), i64>,
    /// Cohorts, in the same way.
    pub(super) cohorts: BTreeMap<(Subject, Cohort), i64>,
    /// Quality in cohorts, in the same way.
    pub(super) quality: BTreeMap<(Subject, Cohort), i64>,
    /// Devices with other labels.
    pub(super) labels: BTreeSet<DeviceId>,
    /// What was in the store and holds no more.
    pub(super) forgotten: Vec<Forgotten>,
}

/// A window that was read.
struct Read {
    seen: Seen,
    expected: Expected,
    /// Of a classifier: its scores and labels.
    scores: Option<ScoreSums>,
    /// What it adds to the hours of its cohorts.
    adds: WindowOfCohorts,
}

impl<'t, 'c> Run<'t, 'c> {
    /// A run from where the `kept` states stand.
    pub(crate) fn begin(
        tx: &'t Tx<'c>,
        kept: Kept,
        sources: &'t Sources,
    ) -> Result<Self, StoreError> {
        let position = tx.watching(kept)?;
        Ok(Self {
            tx,
            kept: tx.watches_hold(kept)?.then_some(kept),
            sources,
            watches: Watches::new(position.rule.clone()),
            events: tx.watch_events(position.event)?.into(),
            position,
            changed: Changed::default(),
            labelled: BTreeSet::new(),
        })
    }

    /// Takes one more window; none of what is no window.
    pub(crate) fn take(&mut self, taken: &TakenWindow) -> Result<Option<Taken>, StoreError> {
        self.heed_before(taken.window);
        self.position.window = taken.window;
        let Some(Read {
            seen,
            expected,
            scores,
            adds,
        }) = self.read(taken)
        else {
            return Ok(None);
        };
        self.load(&seen)?;
        let before = self.newest_slot(&seen.subject);
        let alarms = self.watches.take(&seen, &expected);
        let slot = match self.newest_slot(&seen.subject) > before {
            true => Slot::Begins,
            false => Slot::GoesOn,
        };
        let key = (seen.subject.clone(), seen.device.clone());
        self.changed.devices.insert(key, seen.window);
        for cohort in self.watches.cohorts_of(&seen.device) {
            let key = (seen.subject.clone(), cohort);
            if self.watches.cohorts.contains_key(&key) {
                self.changed.cohorts.insert(key, seen.window);
            }
        }
        let fallen = match scores {
            Some(scores) => self.take_scores(&seen, &scores)?,
            None => Vec::new(),
        };
        Ok(Some(Taken {
            subject: seen.subject,
            alarms,
            fallen,
            slot,
            adds,
        }))
    }

    /// Takes the scores and labels of a window in; where quality has fallen.
    fn take_scores(
        &mut self,
        seen: &Seen,
        counted: &ScoreSums,
    ) -> Result<Vec<(Cohort, Fell)>, StoreError> {
        let reference = self.reference(seen.subject.bundle);
        let Some(reference) = reference.as_ref().and_then(|known| known.scores.as_ref()) else {
            return Ok(Vec::new());
        };
        let cohorts = self.watches.cohorts_of(&seen.device);
        for cohort in &cohorts {
            self.load_quality(&seen.subject, cohort)?;
        }
        let fallen = self.watches.take_scores(Scored {
            device: &seen.device,
            subject: &seen.subject,
            ended: seen.counted.ended,
            counted,
            reference,
        });
        for cohort in cohorts {
            let key = (seen.subject.clone(), cohort);
            if self.watches.quality.contains_key(&key) {
                self.changed.quality.insert(key, seen.window);
            }
        }
        Ok(fallen)
    }

    fn newest_slot(&self, subject: &Subject) -> Option<u64> {
        self.watches.side_by_side(subject)?.newest()
    }

    /// Heeds what holds for `window`.
    pub(super) fn heed_before(&mut self, window: i64) {
        let holds = |events: &VecDeque<NewEvent>| {
            let first = events.front();
            first.is_some_and(|event| event.after_window < window)
        };
        while holds(&self.events) {
            let event = self.events.pop_front();
            event.into_iter().for_each(|event| self.heed(event));
        }
    }

    /// Heeds a change.
    pub(super) fn heed(&mut self, event: NewEvent) {
        self.position.event = event.event;
        match &event.what {
            WatchEvent::Rule(rule) => self.position.rule = rule.clone(),
            WatchEvent::Labels { device, .. } => {
                self.labelled.insert(device.clone());
                self.changed.labels.insert(device.clone());
            }
            WatchEvent::Rebaseline { model, device, .. } => {
                self.changed.forget(model, device.as_ref());
            }
        }
        self.watches.heed(event.what);
    }

    /// The labels that a device is known by.
    pub(super) fn labels(&mut self, device: &DeviceId) -> Result<&Labels, StoreError> {
        if self.labelled.insert(device.clone()) {
            let labels = match self.kept {
                Some(kept) => self.tx.watch_labels(kept, device)?,
                None => Labels::new(),
            };
            self.watches.labels.insert(device.clone(), labels);
        }
        Ok(self.watches.labels.entry(device.clone()).or_default())
    }

    /// The reference of a bundle.
    pub(super) fn reference(&self, bundle: Digest) -> Option<Arc<BundleReference>> {
        self.sources.references.get(&self.sources.blobs, bundle)
    }

    /// Loads the states of all devices of a bundle.
    pub(super) fn load_all(&mut self, subject: &Subject) -> Result<(), StoreError> {
        let Some(kept) = self.kept else {
            return Ok(());
        };
        for (device, watch) in self.tx.device_watches(kept, subject)? {
            self.labels(&device)?;
            if !self.changed.has_forgotten(subject, Some(&device)) {
                let key = (subject.clone(), device);
                self.watches.devices.entry(key).or_insert(watch);
            }
        }
        if self.changed.has_forgotten(subject, None) {
            return Ok(());
        }
        for (cohort, watch) in self.tx.quality_watches(kept, subject)? {
            let key = (subject.clone(), cohort);
            self.watches.quality.entry(key).or_insert(watch);
        }
        Ok(())
    }

    fn load_quality(&mut self, subject: &Subject, cohort: &Cohort) -> Result<(), StoreError> {
        let key = (subject.clone(), cohort.clone());
        if let Some(kept) = self.kept
            && !self.watches.quality.contains_key(&key)
            && !self.changed.has_forgotten(subject, None)
            && let Some(watch) = self.tx.quality_watch(kept, subject, cohort)?
        {
            self.watches.quality.insert(key, watch);
        }
        Ok(())
    }

    fn load(&mut self, seen: &Seen) -> Result<(), StoreError> {
        self.labels(&seen.device)?;
        let Some(kept) = self.kept else {
            return Ok(());
        };
        let key = (seen.subject.clone(), seen.device.clone());
        if !self.watches.devices.contains_key(&key)
            && !self.changed.has_forgotten(&key.0, Some(&key.1))
            && let Some(watch) = self.tx.device_watch(kept, &key.0, &key.1)?
        {
            self.watches.devices.insert(key, watch);
        }
        for cohort in self.watches.cohorts_of(&seen.device) {
            let key = (seen.subject.clone(), cohort);
            if !self.watches.cohorts.contains_key(&key)
                && !self.changed.has_forgotten(&key.0, None)
                && let Some(watch) = self.tx.cohort_watch(kept, &key.0, &key.1)?
            {
                self.watches.cohorts.insert(key, watch);
            }
        }
        Ok(())
    }

    /// Reads a window, and what its bundle expects; none of what is no window.
    fn read(&self, taken: &TakenWindow) -> Option<Read> {
        // It was read when it came.
        let document = cose::peek::<Document<'_>>(&taken.document).ok()?;
        let window = document.window?;
        let mut counted = Counted::of(&window, taken.received_at);
        let adds = WindowOfCohorts::new(
            (&window.model, window.bundle, window.reference),
            (&taken.device, counted.ended),
            (u64::from(window.closed_windows), window.calls),
            &counted.features,
        );
        let reference = self.reference(window.bundle);
        let known = reference.as_ref().map(|reference| reference.digest);
        if known != window.reference {
            counted.features.clear();
        }
        // A window that names no reference carries labels only: they are of this bundle.
        let is_ours = window.reference.is_none() || window.reference == known;
        let scores = ScoreSums::of_window(&window).filter(|_| is_ours);
        let features = reference.iter().flat_map(|reference| &reference.features);
        let rule = &self.position.rule;
        let features = features.map(|feature| ExpectedFeature {
            bins: feature.counts.clone(),
            limits: feature.limits,
            follows: rule.follows(&window.model, &feature.name),
        });
        let expected = Expected {
            features: features.collect(),
        };
        let seen = Seen {
            window: taken.window,
            device: taken.device.clone(),
            subject: Subject {
                model: window.model.clone(),
                bundle: window.bundle,
            },
            counted,
        };
        Some(Read {
            seen,
            expected,
            scores,
            adds,
        })
    }
}

impl Changed {
    fn forget(&mut self, model: &ModelId, device: Option<&DeviceId>) {
        self.devices.retain(|(subject, of), _| {
            subject.model != *model || device.is_some_and(|device| device != of)
        });
        if device.is_none() {
            self.cohorts
                .retain(|(subject, _), _| subject.model != *model);
            self.quality
                .retain(|(subject, _), _| subject.model != *model);
        }
        self.forgotten.push((model.clone(), device.cloned()));
    }

    /// Whether what the store holds of a device, or of cohorts, is to be learnt anew.
    fn has_forgotten(&self, subject: &Subject, device: Option<&DeviceId>) -> bool {
        self.forgotten
            .iter()
            .any(|(model, of)| *model == subject.model && (of.is_none() || of.as_ref() == device))
    }

    /// Writes it down.
    pub(super) fn keep(
        &self,
        tx: &Tx<'_>,
        kept: Kept,
        watches: &Watches,
    ) -> Result<(), StoreError> {
        for (model, device) in &self.forgotten {
            tx.forget_watches(kept, model, device.as_ref())?;
        }
        for (key, window) in &self.devices {
            if let Some(watch) = watches.devices.get(key) {
                tx.keep_device_watch(kept, (&key.0, &key.1), *window, watch)?;
            }
        }
        for (key, window) in &self.cohorts {
            if let Some(watch) = watches.cohorts.get(key) {
                tx.keep_cohort_watch(kept, (&key.0, &key.1), *window, watch)?;
            }
        }
        for (key, window) in &self.quality {
            if let Some(watch) = watches.quality.get(key) {
                tx.keep_quality_watch(kept, (&key.0, &key.1), *window, watch)?;
            }
        }
        for device in &self.labels {
            if let Some(labels) = watches.labels.get(device) {
                tx.keep_watch_labels(kept, device, labels)?;
            }
        }
        Ok(())
    }
}
