//! Bringing metadata up to date, in the order of the TUF client workflow.
//!
//! One document is asked for at a time, in parts when it is large. What is refused is logged
//! with its reason and ends this refresh; what was trusted stays.

mod untaken;

use super::Supervisor;
use super::destination::Named;
use crate::clock;
use muster_device::backoff::Backoff;
use muster_protocol::limits::METADATA_BYTES_MAX;
use muster_protocol::message::{Answer, What, statement_name};
use muster_protocol::time::{Millis, UnixSeconds};
use muster_protocol::tuf::{
    Expiry, FleetDocument, Role, Search, TargetFile, Unjudged, Update, Wanted, fleet_document,
};
use untaken::Untaken;

/// First and longest silence after which a document is asked for again.
const SILENCE_MS: (u64, u64) = (3_000, 60_000);
/// First and longest pause after a refresh that failed.
const RETRY_MS: (u64, u64) = (30_000, 600_000);

/// How far a refresh came.
#[derive(Debug)]
pub(super) struct Refresh {
    step: Step,
    /// Parts of the document under way.
    parts: Vec<u8>,
    silence: Backoff,
    retry: Backoff,
    /// When to ask again; at rest: when to begin again after a failure.
    deadline: Option<Millis>,
    /// A hint came meanwhile: there may be still newer metadata.
    again: bool,
    /// Ended well, having begun after the newest statement came: what is absent now is absent.
    pub(super) complete: bool,
}

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Resting,
    Metadata(Wanted),
    Fleet,
}

impl Step {
    /// The document, for people.
    fn name(&self) -> String {
        match self {
            Self::Metadata(wanted) => wanted.file_name.clone(),
            Self::Fleet => fleet_document::PATH.to_owned(),
            Self::Resting => "metadata".to_owned(),
        }
    }
}

impl Refresh {
    pub(super) const fn new(seed: u64) -> Self {
        Self {
            step: Step::Resting,
            parts: Vec::new(),
            silence: Backoff::new(SILENCE_MS.0, SILENCE_MS.1, seed),
            retry: Backoff::new(RETRY_MS.0, RETRY_MS.1, seed),
            deadline: None,
            again: false,
            complete: false,
        }
    }

    pub(super) const fn next_due(&self) -> Option<Millis> {
        self.deadline
    }

    /// Whether none is under way.
    pub(super) fn is_resting(&self) -> bool {
        self.step == Step::Resting
    }

    /// Whether one is under way, or will be tried again by itself.
    pub(super) fn is_wanted(&self) -> bool {
        self.step != Step::Resting || self.deadline.is_some()
    }
}

impl Supervisor {
    pub(super) fn begin_refresh(&mut self) {
        if !self.can_ask() {
            return;
        }
        if self.refresh.step == Step::Resting {
            self.follow_roots();
        } else {
            self.refresh.again = true;
        }
    }

    fn follow_roots(&mut self) {
        if let Some(wanted) = self.trusted.wanted_root() {
            return self.want(Step::Metadata(wanted));
        }
        // Refreshes that failed have followed as many roots as one may: this one goes on.
        self.refresh.step = Step::Metadata(self.trusted.wanted_timestamp());
        self.root_chain_ended();
    }

    pub(super) fn refresh_disconnected(&mut self) {
        self.refresh.step = Step::Resting;
        self.refresh.deadline = None;
        self.refresh.again = false;
        self.refresh.complete = false;
        self.refresh.parts.clear();
    }

    pub(super) fn refresh_tick(&mut self, now: Millis) {
        if self
            .refresh
            .deadline
            .is_some_and(|deadline| deadline <= now)
        {
            match self.refresh.step {
                Step::Resting => self.begin_refresh(),
                Step::Metadata(_) | Step::Fleet => {
                    self.refresh.parts.clear();
                    self.ask();
                }
            }
        }
    }

    /// Takes an answer about metadata; one that was not asked for is ignored.
    pub(super) fn take_metadata(
        &mut self,
        role: &str,
        version: Option<u64>,
        offset: u64,
        answer: &Answer<'_>,
    ) {
        let step = self.refresh.step.clone();
        let asked = match &step {
            Step::Resting => return,
            Step::Metadata(wanted) => (wanted.role.name(), wanted.version, wanted.bytes_max),
            Step::Fleet => (fleet_document::PATH, None, METADATA_BYTES_MAX as u64),
        };
        if (role, version) != (asked.0, asked.1) || offset != self.refresh.parts.len() as u64 {
            return;
        }
        match answer {
            Answer::NotFound => self.metadata_absent(&step),
            Answer::Bytes { total, bytes } => {
                if *total > asked.2 || bytes.is_empty() {
                    let because = "the document is larger than it may be, or empty";
                    return self.refuse_metadata(&because.to_owned().into());
                }
                self.refresh.parts.extend_from_slice(bytes);
                if (self.refresh.parts.len() as u64) < *total {
                    return self.ask();
                }
                let bytes = std::mem::take(&mut self.refresh.parts);
                self.metadata_complete(&step, &bytes);
            }
        }
    }

    fn metadata_absent(&mut self, step: &Step) {
        match step {
            // No newer root: the chain has ended.
            Step::Metadata(wanted) if wanted.role == Role::Root => self.root_chain_ended(),
            Step::Metadata(_) | Step::Fleet => {
                self.ask_hello();
                self.end_refresh("the fleet does not have it");
            }
            Step::Resting => {}
        }
    }

    fn root_chain_ended(&mut self) {
        match self.after_roots() {
            Ok(next) => self.want(next),
            Err(because) => self.refuse_metadata(&because),
        }
    }

    fn after_roots(&mut self) -> Result<Step, Untaken> {
        self.trusted.finish_root(self.expiry())?;
        Ok(Step::Metadata(self.trusted.wanted_timestamp()))
    }

    fn metadata_complete(&mut self, step: &Step, bytes: &[u8]) {
        let taken = match step {
            Step::Resting => return,
            Step::Metadata(wanted) => self.take_document(wanted, bytes),
            Step::Fleet => self.take_fleet(bytes),
        };
        match taken {
            Ok(Some(next)) => self.want(next),
            Ok(None) => self.refreshed(),
            Err(because) => self.refuse_metadata(&because),
        }
    }

    fn refuse_metadata(&mut self, untaken: &Untaken) {
        let Untaken { because, weight } = untaken;
        self.refuse(&self.refresh.step.name(), because, *weight);
        self.end_refresh(because);
    }

    fn take_document(&mut self, wanted: &Wanted, bytes: &[u8]) -> Result<Option<Step>, Untaken> {
        let expiry = self.expiry();
        // Trusted once it is durable, so that disk and memory say the same.
        let mut trusted = self.trusted.clone();
        let update = trusted.update(wanted, bytes, expiry)?;
        self.store
            .write_metadata(&wanted.role, update, bytes)
            .map_err(|error| error.to_string())?;
        self.trusted = trusted;
        if wanted.role == Role::Root {
            return self.after_root(update);
        }
        if wanted.role == Role::Timestamp {
            self.note_timestamp();
        }
        self.next_step()
    }

    /// A root that changes nothing ends the chain, or whoever answers could keep us asking.
    fn after_root(&mut self, update: Update) -> Result<Option<Step>, Untaken> {
        let next = match update {
            Update::Unchanged => None,
            Update::Accepted | Update::AcceptedAndOnlineForgotten => self.trusted.wanted_root(),
        };
        match next {
            Some(wanted) => Ok(Some(Step::Metadata(wanted))),
            None => self.after_roots().map(Some),
        }
    }

    fn note_timestamp(&mut self) {
        let issued_at = self
            .trusted
            .timestamp()
            .and_then(|t| t.document().issued_at_s);
        if let (Some(issued_at), Some(fleet)) = (issued_at, &self.fleet) {
            let epoch = muster_protocol::id::Epoch(fleet.director_epoch);
            // An unbelievable one is not evidence against the metadata, which is signed.
            let _ = self.time().on_issued_at(epoch, UnixSeconds(issued_at));
        }
    }

    /// What is still missing: documents that the search for a target needs, or `fleet.json`.
    fn next_step(&self) -> Result<Option<Step>, Untaken> {
        match self.trusted.search(fleet_document::PATH, self.expiry())? {
            Search::Needs(wanted) => return Ok(Some(Step::Metadata(wanted))),
            Search::Absent => return Err("targets lists no fleet.json".to_owned().into()),
            Search::Found { file, .. } if !self.has_fleet(file) => return Ok(Some(Step::Fleet)),
            Search::Found { .. } => {}
        }
        for name in self.statement_names() {
            // A role that the snapshot does not list yet hides its statements, nothing else.
            if let Ok(Search::Needs(wanted)) = self.trusted.search(&name, self.expiry()) {
                return Ok(Some(Step::Metadata(wanted)));
            }
        }
        Ok(None)
    }

    fn statement_names(&self) -> Vec<String> {
        self.assigned(&self.state.assignment)
            .iter()
            .map(|e| statement_name(&e.model, &e.version).as_str().to_owned())
            .collect()
    }

    fn has_fleet(&self, file: &TargetFile) -> bool {
        let stored = self.store.read_fleet().ok().flatten();
        self.fleet.is_some() && stored.is_some_and(|bytes| is_target(file, &bytes))
    }

    fn take_fleet(&mut self, bytes: &[u8]) -> Result<Option<Step>, Untaken> {
        let listed = self
            .trusted
            .target(fleet_document::PATH)
            .is_some_and(|f| is_target(f, bytes));
        if !listed {
            return Err("fleet.json is not the one that targets lists"
                .to_owned()
                .into());
        }
        let fleet = FleetDocument::parse(bytes).map_err(|error| error.to_string())?;
        let named = Named::of(&fleet).map_err(|error| error.to_string())?;
        self.store
            .write_fleet(bytes)
            .map_err(|error| error.to_string())?;
        tracing::info!(
            version = fleet.version,
            epoch = fleet.director_epoch,
            "fleet.json accepted"
        );
        self.fleet = Some(fleet);
        self.follow(&named);
        self.note_timestamp();
        self.next_step()
    }

    fn refreshed(&mut self) {
        // A refresh that was under way when it was asked for again may have begun too early.
        self.refresh.complete = !self.refresh.again;
        self.refresh.retry.reset();
        self.rest();
        self.rebuild_facts();
        if self.time().unix(clock::monotonic()).is_none() {
            // Now there are keys to judge signed time with.
            self.ask_hello();
        }
        self.judge_held();
        self.judge_statements();
    }

    fn end_refresh(&mut self, because: &str) {
        if self.refresh.is_resting() {
            return;
        }
        let asked = self.refresh.step.name();
        tracing::warn!(asked, because, "metadata not taken; what was trusted stays");
        self.rest();
        if self.refresh.step == Step::Resting {
            let pause_ms = self.refresh.retry.next_ms();
            self.refresh.deadline = Some(clock::monotonic().plus(pause_ms));
        }
    }

    fn rest(&mut self) {
        self.refresh.step = Step::Resting;
        self.refresh.deadline = None;
        self.refresh.parts.clear();
        self.refresh.silence.reset();
        if std::mem::take(&mut self.refresh.again) {
            self.begin_refresh();
        }
    }

    fn want(&mut self, step: Step) {
        self.refresh.step = step;
        self.refresh.parts.clear();
        self.refresh.silence.reset();
        self.ask();
    }

    fn ask(&mut self) {
        let (role, version) = match &self.refresh.step {
            Step::Resting => return,
            Step::Metadata(wanted) => (wanted.role.name().to_owned(), wanted.version),
            Step::Fleet => (fleet_document::PATH.to_owned(), None),
        };
        let offset = self.refresh.parts.len() as u64;
        let what = What::Metadata {
            role: &role,
            version,
            offset,
        };
        self.refresh.deadline = Some(clock::monotonic().plus(self.refresh.silence.next_ms()));
        self.request(what, 1);
    }

    pub(super) fn expiry(&self) -> Expiry {
        match self.time().unix(clock::monotonic()) {
            Some(unix) => Expiry::Enforced { now_s: unix.0 },
            None => Expiry::Ignored(Unjudged::UntrustedTime),
        }
    }
}

fn is_target(file: &TargetFile, bytes: &[u8]) -> bool {
    file.check_bytes(&Role::Targets, bytes).is_ok()
}
