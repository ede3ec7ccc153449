//! Clones: machines that speak under the name, and with the key, of another.
//!
//! Knows what was said under each shared name since its disk was copied. Never prevents anything.

use super::controller::Store;
use super::safety::Violation;
use super::seal;
use muster_protocol::digest::Digest;
use muster_protocol::id::{Sequence, StreamId};
use muster_protocol::message::document::Document;
use muster_protocol::topic::Up;
use std::collections::BTreeMap;

/// Whether a name is one machine's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Company {
    /// One machine speaks under it.
    Alone,
    /// Two do: they take each other's numbers away.
    Shared,
}

/// Every clone that was made.
#[derive(Debug, Default)]
pub(super) struct Clones {
    /// By the name that is shared.
    made: BTreeMap<usize, Fork>,
    /// A restored controller has forgotten what it noticed.
    forgetful: bool,
}

/// Where the stories of two machines part.
#[derive(Debug, Default)]
struct Fork {
    /// The document that had a number first.
    first: BTreeMap<(StreamId, Sequence), Digest>,
    /// A number that both have given, to different documents.
    twice: Option<(StreamId, Sequence)>,
}

impl Clones {
    /// The disk of the device with this name was copied.
    pub(super) fn add(&mut self, name: usize) {
        self.made.insert(name, Fork::default());
    }

    pub(super) fn company_of(&self, name: usize) -> Company {
        if self.made.contains_key(&name) {
            Company::Shared
        } else {
            Company::Alone
        }
    }

    pub(super) const fn controller_forgets(&mut self) {
        self.forgetful = true;
    }

    /// The controller has heard this of a machine that speaks under a name.
    pub(super) fn hears(&mut self, name: usize, topic: Up, bytes: &[u8]) {
        let Some(fork) = self.made.get_mut(&name).filter(|_| topic == Up::Doc) else {
            return;
        };
        let Some(document) = seal::read::<Document<'_>>(bytes) else {
            return;
        };
        let number = (document.stream, document.sequence);
        let digest = Digest::of(bytes);
        if *fork.first.entry(number).or_insert(digest) != digest {
            fork.twice = Some(number);
        }
    }

    /// A clone that nobody noticed, though both machines gave one number to different documents.
    pub(super) fn unnoticed(&self, store: &Store) -> Option<(usize, Violation)> {
        self.made.iter().find_map(|(name, fork)| {
            let (stream, sequence) = fork.twice.filter(|_| !self.forgetful)?;
            let noticed = store.devices[*name].incidents > 0;
            let violation = Violation {
                promise: "a clone is noticed",
                how: format!("both say {stream} {sequence}"),
            };
            (!noticed).then_some((*name, violation))
        })
    }
}
