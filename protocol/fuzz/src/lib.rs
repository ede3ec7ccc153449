//! What must hold of every decoder whatever bytes come, as one function for each target.
//!
//! A function returns for every input: a panic is a finding. The fuzz targets call them with
//! what libFuzzer makes up, `device/tests/hostile_bytes.rs` with the committed corpus.

mod bundle;
mod cbor;
mod cose;
mod device_documents;
mod device_machines;
mod messages;
mod reader;
pub mod repository;
mod stats;
mod text;
mod tuf_client;
mod tuf_metadata;

pub use bundle::bundle;
pub use cbor::cbor;
pub use cose::cose;
pub use device_documents::device_documents;
pub use device_machines::device_machines;
pub use messages::messages;
pub use stats::stats;
pub use text::text;
pub use tuf_client::tuf_client;
pub use tuf_metadata::tuf_metadata;

/// A target: its name, which is also that of its corpus, and what it does with an input.
pub type Target = (&'static str, fn(&[u8]));

/// All of them.
pub const TARGETS: [Target; 10] = [
    ("messages", messages),
    ("cose", cose),
    ("cbor", cbor),
    ("bundle", bundle),
    ("text", text),
    ("tuf_metadata", tuf_metadata),
    ("tuf_client", tuf_client),
    ("stats", stats),
    ("device_documents", device_documents),
    ("device_machines", device_machines),
];
