//! Every document of design section 6, its fields and their numbers.
//!
//! Numbers are append-only: an old reader skips a field that it does not know, a new reader
//! takes a field that is absent as its default. `protocol/tests/data` holds the bytes of every
//! version. Nothing here decides anything.

pub mod ack;
pub mod assignment;
pub mod document;
pub mod enrolment;
pub mod fetch;
pub mod hello;
pub mod key_set;
pub mod provision;
pub mod receipt;
pub mod renewal;
pub mod statement;
pub mod time;
pub mod window;

pub use ack::{Ack, RejectReason, Rejected};
pub use assignment::{Assignment, Entry, Role, Settings, ShadowSettings, Swap};
pub use document::{Body, Document, Gap, GapReason};
pub use fetch::{Answer, Fetch, Piece, What};
pub use hello::{Health, Hello, Kind, MetadataVersions, StreamState};
pub use key_set::{FleetKeySet, ModelKeySet, Place, Revocation, RevokedBundle, RoleKeys};
pub use provision::Provision;
pub use receipt::{Measured, Reason, Receipt, Step};
pub use statement::{Requirements, Statement, statement_name};
pub use time::{Show, SignedTime};
pub use window::{
    AgreementCount, Bins, ClassCount, DifferenceCount, ErrorCount, FeatureWindow, LabelCount,
    Labels, LatencyCount, LatencyMisses, ScoreCount, Scores, Shadow, Window,
};
