//! The window: counts of one model over one span of time. No float, no raw value.
//!
//! A window whose features hold fewer than [`crate::limits::WINDOW_SAMPLES_MIN`] samples waits to be
//! merged; one that never can be is sent without its features.

use crate::cbor::List;
use crate::digest::Digest;
use crate::id::{EpochGeneration, ModelId};
use crate::limits::{ERROR_CODES_MAX, FEATURES_MAX, LATENCY_BUCKETS};
use crate::time::{Millis, UnixSeconds};
use minicbor::{Decode, Encode};

mod bins;
mod feature;
mod labels;
mod merge;
mod scores;
mod shadow;

pub use bins::Bins;
pub use feature::FeatureWindow;
pub use labels::{LabelCount, LabelLists, Labels};
pub use merge::{CannotMerge, Merged};
pub use scores::{ClassCount, ScoreCount, ScoreLists, Scores};
pub use shadow::{AgreementCount, DifferenceCount, Shadow};

/// What one model did over one span of time, or over several that were merged.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Window<'b> {
    /// The model.
    #[n(0)]
    pub model: ModelId,
    /// The bundle that served.
    #[n(1)]
    pub bundle: Digest,
    /// `since` of the entry that made it serve.
    #[n(2)]
    pub since: EpochGeneration,
    /// Digest of the reference that the features were counted against.
    #[n(3)]
    pub reference: Option<Digest>,
    /// Monotonic start, of the boot that the document names.
    #[n(4)]
    pub started: Millis,
    /// Monotonic end.
    #[n(5)]
    pub ended: Millis,
    /// Trusted time of the end, when there was one.
    #[n(6)]
    pub unix: Option<UnixSeconds>,
    /// Windows in here: one, or as many as were merged.
    #[n(7)]
    pub closed_windows: u32,
    /// Rows predicted.
    #[n(8)]
    pub calls: u64,
    /// Requests that failed, by code.
    #[b(9)]
    #[cbor(default)]
    pub errors: List<'b, ErrorCount, ERROR_CODES_MAX>,
    /// Latencies of requests, by bucket of [`crate::stats::latency`].
    #[b(10)]
    #[cbor(default)]
    pub latency: List<'b, LatencyCount, LATENCY_BUCKETS>,
    /// Features in the order of the reference.
    #[b(11)]
    #[cbor(default)]
    pub features: List<'b, FeatureWindow<'b>, FEATURES_MAX>,
    /// Requests over the objective of the bundle; absent without one.
    #[n(12)]
    pub latency_misses: Option<LatencyMisses>,
    /// How it compares with what serves, where it does not serve itself: then all other counts
    /// are those of a shadow.
    #[b(13)]
    pub shadow: Option<Shadow<'b>>,
    /// Scores of the output that holds probabilities; absent where the reference names none.
    #[b(14)]
    pub scores: Option<Scores<'b>>,
    /// Labels that came for predictions of this bundle, in this window or before.
    #[b(15)]
    pub labels: Option<Labels<'b>>,
}

/// Failed requests of one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct ErrorCount {
    /// The kind, as the local server numbers it.
    #[n(0)]
    pub code: u8,
    /// How many.
    #[n(1)]
    pub count: u32,
}

/// Latencies of one bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct LatencyCount {
    /// The bucket.
    #[n(0)]
    pub bucket: u8,
    /// How many.
    #[n(1)]
    pub count: u32,
}

/// Requests over the latency objective of their bundle, counted exactly, unlike by the buckets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct LatencyMisses {
    /// The objective, microseconds for each row of a batch: a request over it was too slow.
    #[n(0)]
    pub objective_us: u32,
    /// How many, of all whose latency was measured; ends at its maximum.
    #[n(1)]
    pub count: u32,
}
