//! A device as simple as a story needs it: told something, it is heard of, ends as the story says,
//! and answers requests in windows.
//!
//! It keeps what it could not say. Never knows of rollouts or rings.

use std::collections::BTreeMap;

use muster_fleet::gate::DeviceCounts;
use muster_protocol::id::{EpochGeneration, ModelId, Version};
use muster_protocol::time::UnixSeconds;

use super::script::{NewDevice, Outcome, Traffic};

/// Until a device that is told something is heard of, seconds.
const HEARD_AFTER_S: u64 = 2;
/// Until a version commits that must be fetched, seconds.
const FETCHED_AFTER_S: u64 = 60;
/// Until a version commits that is still on the disk, seconds.
const BACK_AFTER_S: u64 = 10;

/// What a device shall run of a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    /// Which version; none takes the model off.
    pub(super) version: Option<Version>,
    /// How often it was tried anew.
    pub(super) attempt: u32,
    /// Since which assignment.
    pub(super) since: EpochGeneration,
}

/// What a device says, signed.
#[expect(clippy::large_enum_variant, reason = "few, and moved once")]
#[derive(Debug, Clone)]
pub(super) enum Word {
    /// A hello, with all that it has accepted.
    Hello(BTreeMap<ModelId, Entry>),
    /// It has accepted an assignment.
    Accepted(EpochGeneration),
    /// A receipt.
    Receipt {
        /// Of which model.
        model: ModelId,
        /// Of which version.
        version: Version,
        /// The step.
        step: &'static str,
        /// Why.
        reason: Option<String>,
        /// About which entry.
        since: EpochGeneration,
    },
    /// A window.
    Window {
        /// Of which model.
        model: ModelId,
        /// Which version has answered.
        version: Version,
        /// By which entry.
        since: EpochGeneration,
        /// What was counted.
        counts: DeviceCounts,
    },
}

/// How a version ends on a device, and after how many seconds if the story says so.
pub(super) type End = (Outcome, Option<u64>);

/// One device.
#[derive(Debug)]
pub(super) struct Unit {
    has_power: bool,
    is_heard: bool,
    accepted: BTreeMap<ModelId, Entry>,
    told: BTreeMap<ModelId, Entry>,
    serves: BTreeMap<ModelId, (Version, EpochGeneration)>,
    before: BTreeMap<ModelId, Version>,
    newest: Option<ModelId>,
    tasks: Vec<(UnixSeconds, Task)>,
    unsaid: Vec<Word>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Task {
    Greet,
    Accept(ModelId),
    End(ModelId, Outcome),
}

impl Unit {
    /// A device that runs what it runs since an assignment of long ago.
    pub(super) fn new(new: &NewDevice) -> Self {
        let first = EpochGeneration::new(1, 1);
        let entry = |version: &Version| Entry {
            version: Some(version.clone()),
            attempt: 0,
            since: first,
        };
        let runs = || new.runs.iter();
        Self {
            has_power: true,
            is_heard: true,
            accepted: runs().map(|(model, v)| (model.clone(), entry(v))).collect(),
            told: BTreeMap::new(),
            serves: runs()
                .map(|(model, version)| (model.clone(), (version.clone(), first)))
                .collect(),
            before: BTreeMap::new(),
            newest: new.runs.keys().next().cloned(),
            tasks: Vec::new(),
            unsaid: Vec::new(),
        }
    }

    /// It is sent an entry.
    pub(super) fn tell(&mut self, model: &ModelId, entry: Entry, now: UnixSeconds) {
        self.told.insert(model.clone(), entry);
        self.newest = Some(model.clone());
        self.tasks.retain(|(_, task)| !task.is_of(model));
        if self.has_power {
            self.later(now, HEARD_AFTER_S, Task::Accept(model.clone()));
        }
    }

    /// It loses power: what it was at is begun anew later.
    pub(super) fn die(&mut self) {
        self.has_power = false;
        self.tasks.clear();
    }

    /// It has power again.
    pub(super) fn return_at(&mut self, now: UnixSeconds) {
        self.has_power = true;
        self.greet(now);
        let told: Vec<ModelId> = self.told.keys().cloned().collect();
        for model in told {
            self.later(now, HEARD_AFTER_S, Task::Accept(model));
        }
    }

    /// It says hello in a moment.
    pub(super) fn greet(&mut self, now: UnixSeconds) {
        if self.has_power {
            self.later(now, HEARD_AFTER_S, Task::Greet);
        }
    }

    /// Whether what it says arrives; what it could not say does once it can.
    pub(super) fn set_heard(&mut self, is_heard: bool, now: UnixSeconds) {
        self.is_heard = is_heard;
        if is_heard {
            self.greet(now);
        }
    }

    /// When it does something by itself.
    pub(super) fn wakes_at(&self) -> Option<UnixSeconds> {
        self.tasks.iter().map(|(at, _)| *at).min()
    }

    /// Does what is due; `end` is how a version ends here.
    pub(super) fn act(&mut self, now: UnixSeconds, end: impl Fn(&Version) -> End) {
        self.tasks.sort_by_key(|(at, _)| *at);
        while self.tasks.first().is_some_and(|(at, _)| *at <= now) {
            match self.tasks.remove(0).1 {
                Task::Greet => self.unsaid.push(Word::Hello(self.accepted.clone())),
                Task::Accept(model) => self.accept(&model, now, &end),
                Task::End(model, outcome) => self.end(&model, outcome),
            }
        }
    }

    /// What the model that it was told of last comes to now.
    pub(super) fn end_newest(&mut self, outcome: Outcome) {
        if let Some(model) = self.newest.clone() {
            self.end(&model, outcome);
        }
    }

    /// Counts a window of each version that answers requests.
    pub(super) fn count(&mut self, window_s: u64, traffic: impl Fn(&Version) -> Option<Traffic>) {
        if !self.has_power {
            return;
        }
        for (model, (version, since)) in &self.serves {
            self.unsaid
                .extend(traffic(version).map(|traffic| Word::Window {
                    model: model.clone(),
                    version: version.clone(),
                    since: *since,
                    counts: counted(&traffic, window_s),
                }));
        }
    }

    /// What arrives of what it has to say.
    pub(super) fn say(&mut self) -> Vec<Word> {
        match self.is_heard {
            true => std::mem::take(&mut self.unsaid),
            false => Vec::new(),
        }
    }

    fn later(&mut self, now: UnixSeconds, after_s: u64, task: Task) {
        self.tasks.push((UnixSeconds(now.0 + after_s), task));
    }

    fn accept(&mut self, model: &ModelId, now: UnixSeconds, end: impl Fn(&Version) -> End) {
        // Kept until it has ended: who loses power before begins anew.
        let Some(entry) = self.told.get(model).cloned() else {
            return;
        };
        self.unsaid.push(Word::Accepted(entry.since));
        let Some(version) = entry.version.clone() else {
            self.told.remove(model);
            self.serves.remove(model);
            self.accepted.remove(model);
            return;
        };
        self.accepted.insert(model.clone(), entry);
        let serves = self.serves.get(model).map(|(version, _)| version);
        let (outcome, after_s) = if serves == Some(&version) {
            (Outcome::Commits, HEARD_AFTER_S)
        } else if self.before.get(model) == Some(&version) {
            (Outcome::Commits, BACK_AFTER_S)
        } else {
            let (outcome, after_s) = end(&version);
            (outcome, after_s.unwrap_or(FETCHED_AFTER_S))
        };
        self.later(now, after_s, Task::End(model.clone(), outcome));
    }

    fn end(&mut self, model: &ModelId, outcome: Outcome) {
        let entry = self.accepted.get(model);
        let Some((version, since)) = entry.and_then(|e| Some((e.version.clone()?, e.since))) else {
            return;
        };
        let (step, reason) = match outcome {
            Outcome::Hangs => return,
            Outcome::Commits => ("committed", None),
            Outcome::Refuses(code) => ("refused", Some(code)),
            Outcome::Reverts(code) => ("reverted", Some(code)),
            Outcome::Degrades(code) => ("degraded", Some(code)),
        };
        self.told.remove(model);
        match step {
            "committed" | "degraded" => self.serve(model, &version, since),
            "reverted" => self.serve_before(model, &version),
            _ => {}
        }
        self.unsaid.push(Word::Receipt {
            model: model.clone(),
            version,
            step,
            reason,
            since,
        });
    }

    fn serve(&mut self, model: &ModelId, version: &Version, since: EpochGeneration) {
        let now = (version.clone(), since);
        let before = self.serves.insert(model.clone(), now);
        if let Some((before, _)) = before.filter(|(before, _)| before != version) {
            self.before.insert(model.clone(), before);
        }
    }

    fn serve_before(&mut self, model: &ModelId, version: &Version) {
        if let Some((serves, _)) = self.serves.get_mut(model)
            && serves == version
            && let Some(before) = self.before.remove(model)
        {
            *serves = before;
        }
    }
}

impl Task {
    fn is_of(&self, model: &ModelId) -> bool {
        match self {
            Self::Greet => false,
            Self::Accept(own) | Self::End(own, _) => own == model,
        }
    }
}

fn counted(traffic: &Traffic, window_s: u64) -> DeviceCounts {
    let of = |share: f64, n: u64| (share * n as f64).round() as u64;
    let failed = of(traffic.errors.get(), traffic.requests);
    let ok = traffic.requests.saturating_sub(failed);
    let parts: u64 = traffic.classes.iter().sum::<u64>().max(1);
    let classes = (0..).zip(&traffic.classes);
    DeviceCounts {
        closed_windows: 1,
        soaked_ms: window_s.saturating_mul(1_000),
        ok,
        errors: [(1, failed)].into(),
        latencies: ok,
        latency_misses: of(traffic.late.get(), ok),
        classes: classes
            .map(|(class, part)| (class, ok * part / parts))
            .collect(),
        ..DeviceCounts::default()
    }
}
