//! The receipt: the signed report of one step that a device took with one entry.
//!
//! Evidence, not a log line: it binds the entry, the bundle and the assignment that was accepted.

use crate::digest::Digest;
use crate::id::{EpochGeneration, ModelId, Version};
use crate::message::Role;
use crate::time::{Millis, UnixSeconds};
use minicbor::{Decode, Encode};

/// What a device did.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Receipt<'b> {
    /// The model.
    #[n(0)]
    pub model: ModelId,
    /// The version that the entry names.
    #[n(1)]
    pub version: Version,
    /// The bundle, once the statement told it.
    #[n(2)]
    pub bundle: Option<Digest>,
    /// `since` of the entry.
    #[n(3)]
    pub since: EpochGeneration,
    /// The assignment that was in force.
    #[n(4)]
    pub accepted: EpochGeneration,
    /// The step.
    #[n(5)]
    pub step: Step,
    /// Why, when the step is not the way forward.
    #[n(6)]
    pub reason: Option<Reason>,
    /// The reason in a sentence, at most [`crate::limits::DETAIL_BYTES_MAX`] bytes.
    #[b(7)]
    pub detail: Option<&'b str>,
    /// Monotonic time of the device.
    #[n(8)]
    pub at: Millis,
    /// Trusted time of the device, when it had one.
    #[n(9)]
    pub unix: Option<UnixSeconds>,
    /// What was measured on the way.
    #[n(10)]
    #[cbor(default)]
    pub measured: Measured,
    /// What the release is there for; absent where it is to serve.
    #[n(11)]
    pub role: Option<Role>,
}

/// Steps of an entry; numbers are append-only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(index_only)]
pub enum Step {
    /// The assignment was accepted.
    #[n(0)]
    Offered,
    /// Statement and requirements hold; pieces are being fetched.
    #[n(1)]
    Fetching,
    /// Every blob is there and verified.
    #[n(2)]
    Staged,
    /// Trial passed; it serves on probation.
    #[n(3)]
    Active,
    /// Probation passed.
    #[n(4)]
    Committed,
    /// Terminal: it never served.
    #[n(5)]
    Refused,
    /// Terminal: it served and the previous slot serves again.
    #[n(6)]
    Reverted,
    /// The model was removed.
    #[n(7)]
    Removed,
    /// It fails while serving and there is no eligible previous slot.
    #[n(8)]
    Degraded,
    /// Revoked with `fallback`, but nothing to fall back to: it keeps serving.
    #[n(9)]
    RevokedNoFallback,
    /// Revoked with `stop`: it no longer serves.
    #[n(10)]
    Stopped,
    /// Serves again after [`Step::Degraded`].
    #[n(11)]
    Recovered,
    /// Trial passed; it runs beside what serves.
    #[n(12)]
    Shadowing,
}

/// Why a step is not the way forward; numbers are append-only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(index_only)]
pub enum Reason {
    /// The statement is malformed or its signatures do not meet the threshold.
    #[n(0)]
    StatementSignature,
    /// The statement is not the one that the entry names.
    #[n(1)]
    StatementMismatch,
    /// Signed metadata does not list the statement.
    #[n(2)]
    NotListed,
    /// Its rank lies below the floor.
    #[n(3)]
    BelowFloor,
    /// The bundle is revoked.
    #[n(4)]
    Revoked,
    /// It is for another kind of machine.
    #[n(5)]
    TargetClass,
    /// It needs a newer agent.
    #[n(6)]
    AgentTooOld,
    /// Memory of active and candidate together would not suffice.
    #[n(7)]
    Memory,
    /// Disk would not suffice.
    #[n(8)]
    Disk,
    /// The manifest is malformed or names what an agent does not know.
    #[n(9)]
    Manifest,
    /// The hash list is malformed or does not fit the manifest.
    #[n(10)]
    HashList,
    /// A blob on disk is not what the manifest names.
    #[n(11)]
    Blob,
    /// The runtime cannot load the model.
    #[n(12)]
    Load,
    /// A golden vector gave another output.
    #[n(13)]
    WrongOutput,
    /// Slower than its budget.
    #[n(14)]
    TooSlow,
    /// Larger than its budget.
    #[n(15)]
    TooBig,
    /// The worker died.
    #[n(16)]
    Crashed,
    /// The worker did not answer in time.
    #[n(17)]
    Hung,
    /// Errors while serving beyond the budget.
    #[n(18)]
    ErrorRate,
    /// Outputs that are not numbers, beyond the budget.
    #[n(19)]
    NotANumber,
    /// Latency while serving beyond the budget.
    #[n(20)]
    Latency,
    /// All tries were used up, among them by power cuts during a trial.
    #[n(21)]
    TriesExhausted,
    /// Taken back by a newer assignment.
    #[n(22)]
    Superseded,
    /// A role in which this device runs nothing.
    #[n(23)]
    Role,
    /// No room for another model.
    #[n(24)]
    ModelLimit,
    /// `accept_by` passed before it was staged.
    #[n(25)]
    Expired,
}

/// What was measured; zero fields are absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Encode, Decode)]
#[cbor(map)]
pub struct Measured {
    /// Milliseconds from spawning a worker to its first readiness.
    #[n(0)]
    pub load_ms: Option<u32>,
    /// Median latency of the golden vectors, microseconds.
    #[n(1)]
    pub latency_us: Option<u32>,
    /// Peak resident memory of the trial worker, bytes.
    #[n(2)]
    pub peak_memory_bytes: Option<u64>,
    /// Bytes fetched for this entry.
    #[n(3)]
    pub fetched_bytes: Option<u64>,
    /// Bytes written to disk for this entry.
    #[n(4)]
    pub written_bytes: Option<u64>,
}
