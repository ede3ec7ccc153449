//! One model in one role on one device: from an offered release to a committed one, and back.
//!
//! offered → fetching → staged → trial → active (on probation) → committed, or refused, or
//! reverted. Design sections 4 and 7. Outputs come in an order that is safe to be cut anywhere:
//! after [`Output::Persist`] nothing follows until [`Input::Persisted`]. Only verdicts on
//! verified bytes count as tries; the network only delays.
//!
//! A shadow is the same machine in another role: what passed its trial runs beside what serves,
//! on probation for ever. It never falls back, and nothing of it outlives its entry.

mod boot;
mod judge;
mod serving;
mod shadow;
mod state;
mod steps;

pub use state::{ModelState, Progress, Release, Slot};

use crate::backoff::Backoff;
use crate::facts::View;
use heapless::{Deque, String};
use muster_protocol::digest::Digest;
use muster_protocol::id::{ModelId, TargetClass};
use muster_protocol::limits::DETAIL_BYTES_MAX;
use muster_protocol::message::{Entry, Measured, Reason, Role, Step, Swap};
use muster_protocol::time::Millis;

/// Verdicts on one release before it is given up.
pub const TRIES_MAX: u8 = 3;
/// Outputs that one input can cause.
const OUTPUTS_MAX: usize = 12;
/// First and longest pause after something was not to be had.
const RETRY_MS: (u64, u64) = (2_000, 300_000);

/// A sentence for people about a verdict.
pub type Detail = String<DETAIL_BYTES_MAX>;

/// What a host decides for itself, never a director.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// How long a new release serves on probation; a director may shorten nothing and lengthen
    /// it.
    pub probation_ms: u64,
    /// How to swap when the director does not say.
    pub swap: Swap,
    /// Whether shadows run.
    pub shadows: Shadows,
}

/// Whether a machine runs shadows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shadows {
    /// It does.
    Run,
    /// It does not: an entry for one is refused.
    Refused {
        /// Why, in a sentence with a hint.
        because: &'static str,
    },
}

/// What a machine has left for one more release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capabilities {
    /// Kinds of machine that this one is; `any` always fits.
    pub class: TargetClass,
    /// Memory for the candidate beside everything else that is planned, bytes.
    pub memory_bytes: u64,
    /// Disk for the candidate, bytes.
    pub disk_bytes: u64,
}

/// Whether signed metadata lists a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listing {
    /// It does, with this digest.
    Listed,
    /// It does not.
    Absent,
    /// This device verifies no metadata (a small node): signatures alone decide.
    Unchecked,
}

/// What the host found out about a candidate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Why it is no good.
    pub reason: Reason,
    /// The same in a sentence.
    pub detail: Detail,
}

impl Verdict {
    /// A verdict; a longer sentence is cut.
    #[must_use]
    pub fn new(reason: Reason, sentence: &str) -> Self {
        let mut detail = Detail::new();
        for c in sentence.chars() {
            if detail.push(c).is_err() {
                break;
            }
        }
        Self { reason, detail }
    }
}

/// What an updater hears.
#[derive(Debug, Clone)]
pub enum Input<'a> {
    /// What an accepted assignment says of this model in this role.
    Assigned {
        /// The entry, or that there is none. One of another role is another machine's.
        entry: Option<&'a Entry>,
        /// The release that it names, if the machine of the model's other role keeps its proof
        /// and its blobs: then it costs no bytes.
        beside: Option<&'a Release>,
    },
    /// New facts: floors and revocations may have changed.
    FactsChanged,
    /// The signed statement that was asked for.
    Statement {
        /// Its bytes.
        bytes: &'a [u8],
        /// What metadata says of it.
        listing: Listing,
        /// What the machine has left.
        capabilities: &'a Capabilities,
    },
    /// The manifest and hash list of this bundle hold together.
    Planned(Digest),
    /// Every piece of this bundle is on disk.
    Fetched(Digest),
    /// Every blob was verified whole and unpacked.
    Staged {
        /// Of which bundle.
        bundle: Digest,
        /// Bytes fetched for it.
        fetched_bytes: u64,
        /// Bytes written for it.
        written_bytes: u64,
    },
    /// The trial passed.
    TrialPassed {
        /// Of which bundle.
        bundle: Digest,
        /// What was measured.
        measured: Measured,
    },
    /// The worker that [`Output::Route`] asked for serves.
    Routed(Digest),
    /// A verdict against the candidate: an answer to what was asked about it.
    Failed {
        /// Against which bundle; about any other it is late and falls through.
        bundle: Digest,
        /// The verdict.
        verdict: Verdict,
    },
    /// A verdict against what serves, or was to serve. It says nothing of a candidate with the same
    /// bundle, which may be on its way to mend just that.
    ServingFailed {
        /// Against which bundle; about any other it is late and falls through.
        bundle: Digest,
        /// The verdict.
        verdict: Verdict,
    },
    /// What serves was in trouble and does well again.
    Recovered,
    /// What was asked for is not to be had now: the network, never the bundle.
    Unavailable,
    /// The link is up again: what was not to be had over the last one may be now.
    LinkUp,
    /// `accept_by` passed.
    Expired,
    /// The state of [`Output::Persist`] is durable.
    Persisted,
    /// Time has passed.
    Tick,
}

/// What an updater asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "there is no heap to box in")]
pub enum Output {
    /// Store [`Updater::state`], then say [`Input::Persisted`].
    Persist,
    /// Get the signed statement.
    FetchStatement {
        /// Its digest.
        digest: Digest,
        /// Its size in bytes.
        size: u32,
    },
    /// Get manifest and hash list and check that they hold together.
    FetchPlan(Release),
    /// Get the pieces.
    FetchPieces(Release),
    /// Verify every blob whole and unpack it.
    Stage(Release),
    /// Run the golden vectors in a worker with limits.
    Try(Release),
    /// Let this release answer; that of a shadow is to run beside what answers.
    Route {
        /// Which.
        release: Release,
        /// How to swap.
        swap: Swap,
    },
    /// Let nothing answer, or run beside what answers.
    Unroute,
    /// Put a receipt into the stream.
    Report {
        /// The step.
        step: Step,
        /// What it is about, once known.
        release: Option<Release>,
        /// Why, when it is not the way forward.
        verdict: Option<Verdict>,
        /// What was measured.
        measured: Measured,
    },
    /// Nothing refers to the blobs of this bundle any more, unless another machine does.
    Discard(Digest),
}

/// Where the work on the current entry stands, between two boots.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Nothing to do.
    Resting,
    /// Waits for the statement.
    Statement,
    /// Waits for manifest and hash list.
    Plan,
    /// Waits for pieces.
    Pieces,
    /// Waits for whole blobs.
    Staging,
    /// Waits for a verdict of the trial.
    Trial,
    /// Waits for the worker that will serve on probation.
    Routing,
    /// Serves on probation.
    Probation,
}

/// The machine of one model in one role.
#[derive(Debug)]
pub struct Updater {
    state: ModelState,
    role: Role,
    policy: Policy,
    phase: Phase,
    outputs: Deque<Output, OUTPUTS_MAX>,
    /// A `Persist` went out and was not answered.
    persisting: bool,
    /// There was no room for an output: all that are waiting are of no use any more.
    overflowed: bool,
    measured: Measured,
    /// What was said about what serves, so that it is said once.
    told: Told,
    retry: Backoff,
    deadline: Option<(Millis, Wait)>,
}

/// Troubles of what serves that were reported, since it began to serve or this boot.
#[derive(Debug, Clone, Copy, Default)]
struct Told {
    degraded: bool,
    revoked: bool,
}

/// Why a deadline was set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wait {
    Retry,
    Probation,
}

impl Updater {
    /// A model that this device never had in this role.
    #[must_use]
    pub fn new(model: ModelId, role: Role, policy: Policy, seed: u64) -> Self {
        Self::with(ModelState::new(model), role, policy, seed)
    }

    fn with(state: ModelState, role: Role, policy: Policy, seed: u64) -> Self {
        Self {
            state,
            role,
            policy,
            phase: Phase::Resting,
            outputs: Deque::new(),
            persisting: false,
            overflowed: false,
            measured: Measured::default(),
            told: Told::default(),
            retry: Backoff::new(RETRY_MS.0, RETRY_MS.1, seed),
            deadline: None,
        }
    }

    /// What must be durable, as [`Output::Persist`] asks.
    #[must_use]
    pub const fn state(&self) -> &ModelState {
        &self.state
    }

    /// Whether nothing is left of the model and its machine can go.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.state.is_empty() && self.outputs.is_empty() && !self.persisting
    }

    /// Takes one input. Late and repeated answers fall through.
    pub fn handle(&mut self, input: Input<'_>, facts: &View<'_>, now: Millis) {
        self.take(input, facts, now);
        if core::mem::take(&mut self.overflowed) {
            self.start_over();
        }
    }

    fn take(&mut self, input: Input<'_>, facts: &View<'_>, now: Millis) {
        match (input, self.phase) {
            (Input::Assigned { entry, beside }, _) => self.assigned(entry, beside, facts),
            (Input::FactsChanged, _) => self.facts_changed(facts),
            (
                Input::Statement {
                    bytes,
                    listing,
                    capabilities,
                },
                Phase::Statement,
            ) => {
                self.statement(bytes, listing, capabilities, facts, now);
            }
            (Input::Planned(bundle), Phase::Plan) if self.awaits(bundle) => self.planned(),
            (Input::Fetched(bundle), Phase::Pieces) if self.awaits(bundle) => self.fetched(),
            (
                Input::Staged {
                    bundle,
                    fetched_bytes,
                    written_bytes,
                },
                Phase::Staging,
            ) if self.awaits_verdict(bundle) => {
                self.staged(fetched_bytes, written_bytes);
            }
            (Input::TrialPassed { bundle, measured }, Phase::Trial)
                if self.awaits_verdict(bundle) =>
            {
                self.trial_passed(measured, facts);
            }
            (Input::Routed(bundle), Phase::Routing) => self.routed(bundle, now),
            (Input::Failed { bundle, verdict }, _) => self.failed(bundle, verdict, now),
            (Input::ServingFailed { bundle, verdict }, _) if self.state.serves(bundle) => {
                self.serving_failed(verdict, facts);
            }
            (Input::Recovered, _) => self.recovered(),
            (Input::Unavailable, Phase::Statement | Phase::Plan | Phase::Pieces) => self.pause(now),
            (Input::LinkUp, Phase::Statement | Phase::Plan | Phase::Pieces) => {
                self.hurry(now);
            }
            (Input::Expired, Phase::Statement | Phase::Plan | Phase::Pieces) => {
                let verdict =
                    Verdict::new(Reason::Expired, "accept_by passed before it was staged");
                self.refuse(verdict);
            }
            (Input::Persisted, _) => self.persisting = false,
            (Input::Tick, _) => self.tick(facts, now),
            // An answer to a question that a newer assignment or verdict made moot.
            (
                Input::Statement { .. }
                | Input::Planned(_)
                | Input::Fetched(_)
                | Input::Staged { .. }
                | Input::TrialPassed { .. }
                | Input::Routed(_)
                | Input::ServingFailed { .. }
                | Input::Unavailable
                | Input::LinkUp
                | Input::Expired,
                _,
            ) => {}
        }
    }

    /// Whether an answer about this bundle is about the candidate.
    fn awaits(&self, bundle: Digest) -> bool {
        self.state
            .candidate
            .as_ref()
            .is_some_and(|release| release.bundle == bundle)
    }

    /// The same for an answer of which each question has one: none is due during a pause.
    fn awaits_verdict(&self, bundle: Digest) -> bool {
        let paused = matches!(self.deadline, Some((_, Wait::Retry)));
        !paused && self.awaits(bundle)
    }

    /// What to do next, if anything; nothing while a state is on its way to the disk.
    ///
    /// A host drains it after every input. A disk that refuses for long may keep it from that:
    /// when outputs pile up, they are replaced by what a boot would ask for.
    pub fn poll_output(&mut self) -> Option<Output> {
        if self.persisting {
            return None;
        }
        loop {
            let output = self.outputs.pop_front()?;
            if !self.is_moot(&output) {
                self.persisting = output == Output::Persist;
                return Some(output);
            }
        }
    }

    /// Whether the state moved on while the output waited for the disk.
    fn is_moot(&self, output: &Output) -> bool {
        let state = &self.state;
        let waits = |phase, release: &Release| self.phase == phase && self.awaits(release.bundle);
        match output {
            Output::Persist | Output::Report { .. } => false,
            Output::FetchStatement { digest, .. } => {
                let named = state.entry.as_ref().map(|entry| entry.statement);
                self.phase != Phase::Statement || named != Some(*digest)
            }
            Output::FetchPlan(release) => !waits(Phase::Plan, release),
            Output::FetchPieces(release) => !waits(Phase::Pieces, release),
            Output::Stage(release) => !waits(Phase::Staging, release),
            Output::Try(release) => !waits(Phase::Trial, release),
            Output::Route { release, .. } => !state.serves(release.bundle),
            Output::Unroute => state.active.is_some(),
            Output::Discard(bundle) => state.relies_on(*bundle),
        }
    }

    /// When to call with [`Input::Tick`], and why.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<(Millis, &'static str)> {
        self.deadline.map(|(at, wait)| match wait {
            Wait::Retry => (at, "something was not to be had: ask again"),
            Wait::Probation => (at, "probation ends"),
        })
    }

    fn output(&mut self, output: Output) {
        // Writing the same state twice in a row says nothing new.
        if output == Output::Persist && self.outputs.back() == Some(&Output::Persist) {
            return;
        }
        if self.outputs.push_back(output).is_err() {
            self.overflowed = true;
        }
    }

    fn report(&mut self, step: Step, release: Option<Release>, verdict: Option<Verdict>) {
        let measured = self.measured;
        self.output(Output::Report {
            step,
            release,
            verdict,
            measured,
        });
    }
}

#[cfg(test)]
mod tests;
