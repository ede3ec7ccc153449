//! Whether every closed window is counted once: on the disk, or where the fleet acknowledged it.
//!
//! It reads the files alone, so that it needs nothing of the program that it judges but names
//! and encodings.

use super::fleet::{Fleet, Stored, stored};
use crate::power_cuts::files::Tree;
use crate::store::queue::Meta;
use muster_protocol::cbor;
use muster_protocol::cose;
use muster_protocol::digest::Digest;
use muster_protocol::id::StreamId;
use muster_protocol::message::{Document, GapReason};
use std::collections::BTreeMap;
use std::path::Path;

/// Closed windows and rows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Counts {
    pub(super) windows: u64,
    pub(super) calls: u64,
}

/// What was found of one stream of windows.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) counts: Counts,
    /// Gaps that say that power was cut.
    pub(super) power_cuts: u64,
    /// Bodies without a number, numbered documents, and those kept aside.
    pub(super) files: [u64; 3],
}

impl Counts {
    pub(super) const fn one(calls: u64) -> Self {
        Self { windows: 1, calls }
    }

    pub(super) const fn plus(self, other: Self) -> Self {
        Self {
            windows: self.windows + other.windows,
            calls: self.calls + other.calls,
        }
    }
}

type Documents = BTreeMap<(StreamId, u64), Stored>;

/// Adds up what lies on the disk and what of it the fleet has.
pub(super) fn find(disk: &Tree, fleet: &Fleet<'_>) -> Result<Found, String> {
    let mut found = Found::default();
    let meta = meta(disk)?;
    let mut documents = Documents::new();
    for ((stream, sequence), stored) in &fleet.documents {
        if *stream != meta.id || *sequence <= meta.through.0 {
            documents.insert((*stream, *sequence), stored.clone());
        }
    }
    let queue = Path::new("queue/windows");
    for (path, content) in disk.iter().filter(|(path, _)| path.starts_with(queue)) {
        let (Some(content), Some(name)) = (content, path.file_name()) else {
            continue;
        };
        let name = name.to_string_lossy();
        let bytes = content.bytes.as_slice();
        match name.split('-').next() {
            Some("p") => found.add_body(&name, bytes)?,
            Some(kind @ ("f" | "q")) => {
                found.files[1 + usize::from(kind == "q")] += 1;
                add_document(&mut documents, fleet, &name, bytes)?;
            }
            Some("stream") => {}
            _ => return Err(format!("{name} is left behind")),
        }
    }
    check_sent(&documents, fleet, meta)?;
    for stored in documents.values() {
        found.counts.windows += stored.closed_windows;
        found.counts.calls += stored.calls;
        found.power_cuts += u64::from(stored.gap == Some(GapReason::PowerCut));
    }
    Ok(found)
}

fn meta(disk: &Tree) -> Result<Meta, String> {
    let content = disk.get(Path::new("queue/windows/stream"));
    let content = content
        .and_then(Option::as_ref)
        .ok_or("there is no stream")?;
    cbor::decode(&content.bytes).map_err(|_| "the stream is damaged".to_owned())
}

impl Found {
    fn add_body(&mut self, name: &str, bytes: &[u8]) -> Result<(), String> {
        let document = cbor::decode::<Document<'_>>(bytes);
        let document = document.map_err(|_| format!("{name} is damaged"))?;
        let stored = stored(&document, Digest::of(bytes));
        self.files[0] += 1;
        self.counts.windows += stored.closed_windows;
        self.counts.calls += stored.calls;
        self.power_cuts += u64::from(stored.gap == Some(GapReason::PowerCut));
        Ok(())
    }
}

/// What was said under a number is never said otherwise.
fn add_document(
    documents: &mut Documents,
    fleet: &Fleet<'_>,
    name: &str,
    bytes: &[u8],
) -> Result<(), String> {
    let document = cose::peek::<Document<'_>>(bytes);
    let document = document.map_err(|_| format!("{name} is damaged"))?;
    let place = (document.stream, document.sequence.0);
    let stored = stored(&document, Digest::of(bytes));
    let said = fleet.documents.get(&place);
    if said.is_some_and(|said| *said != stored) {
        return Err(format!("{name} was sent with other bytes"));
    }
    documents.insert(place, stored);
    Ok(())
}

/// What was sent is there until it is known to be acknowledged.
fn check_sent(documents: &Documents, fleet: &Fleet<'_>, meta: Meta) -> Result<(), String> {
    let mut sent = fleet.documents.keys();
    match sent.find(|place| place.0 == meta.id && !documents.contains_key(place)) {
        Some((_, sequence)) => Err(format!("document {sequence} was sent, and is gone")),
        None => Ok(()),
    }
}
