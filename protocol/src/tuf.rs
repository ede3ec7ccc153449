//! The Update Framework 1.0: signed metadata in JSON, its client workflow and its authoring.
//! Pure: bytes and a judgement of time go in, a proof or a named refusal comes out. It never reads
//! a clock, fetches a byte or writes a file, and it never trusts what it could not verify.
//! Keys are Ed25519; keys of other types grant nothing and are no error.
//! Section numbers are those of the TUF specification 1.0 (its chapter 5 is the client workflow).

pub mod author;
pub mod fleet_document;
pub mod limits;

mod canonical;
mod client;
mod date;
mod envelope;
mod hex;
mod key;
mod metadata;
mod path_pattern;
mod refused;
mod role;

#[cfg(test)]
mod attacks;
#[cfg(test)]
mod sample;

pub use canonical::{NotCanonical, canonical_bytes};
pub use client::{Dropped, Expiry, Restored, Search, Stored, Trusted, Unjudged, Update, Wanted};
pub use date::format as date_time;
pub use envelope::{Envelope, Signature};
pub use fleet_document::FleetDocument;
pub use hex::{Hex, Hex32, Hex64};
pub use key::{Authority, Key};
pub use metadata::{
    Delegation, Delegations, Document, FileMeta, Hashes, Header, RoleKeys, Root, Signed, Snapshot,
    TargetFile, Targets, Timestamp,
};
pub use refused::Refused;
pub use role::Role;
