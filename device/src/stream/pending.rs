//! A body that has no number yet, and what may be merged with it.
//!
//! Never the body itself.

use super::{Handle, WINDOW_SAMPLES_MIN};
use muster_protocol::digest::Digest;
use muster_protocol::id::EpochGeneration;

/// What a stream knows of a stored body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pending {
    /// The body.
    pub body: Handle,
    /// Bodies of one class merge; without a class, never.
    pub class: Option<MergeClass>,
    /// Whether it may be sent as it is.
    pub readiness: Readiness,
    /// Closed windows in it.
    pub closed_windows: u32,
}

/// Windows that count the same thing, in whichever boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MergeClass {
    /// The bundle that is counted.
    pub bundle: Digest,
    /// `since` of its entry.
    pub since: EpochGeneration,
    /// The reference.
    pub reference: Option<Digest>,
    /// The latency objective, microseconds.
    pub latency_objective_us: Option<u32>,
    /// The bundle that served, where it counts a shadow.
    pub beside: Option<Digest>,
}

/// Whether a body may be sent as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readiness {
    /// It may.
    Ready,
    /// It shows too few samples: it waits for a later one to merge with.
    Held,
}

impl Readiness {
    /// Of a window with features and this many rows: so few could show single values.
    #[must_use]
    pub const fn of_samples(rows: u64) -> Self {
        if rows == 0 || rows >= WINDOW_SAMPLES_MIN {
            Self::Ready
        } else {
            Self::Held
        }
    }
}

impl Pending {
    pub(super) const fn is_ready(&self) -> bool {
        matches!(self.readiness, Readiness::Ready)
    }
}
