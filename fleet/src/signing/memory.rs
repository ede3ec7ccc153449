//! What a signer remembers: which fleet's root was trusted, and what was signed. It is how a signer
//! sees that somebody hands out old metadata, or wants two documents of one version.
//!
//! Never leaves the signer's folder, and holds no secret.

use std::collections::BTreeMap;
use std::fs;

use muster_protocol::tuf::{Hex32, Role};
use serde::{Deserialize, Serialize};

use super::folder::KeyFolder;
use super::part::Content;
use super::state::State;
use crate::error::{Exit, OperatorError};
use crate::home;

/// By the sha256 of a fleet's first root.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Memory {
    fleets: BTreeMap<String, Fleet>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Fleet {
    /// The sha256 of every root, from the first on.
    roots: Vec<Hex32>,
    /// The newest of what was signed, by the name of its part.
    signed: BTreeMap<String, Entry>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    version: u64,
    sha256: Hex32,
}

/// Why a signer does not sign.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Doubt {
    #[error("nobody here has trusted its first root yet, which has the sha256 {0}")]
    UnknownRoot(Hex32),
    #[error("its roots are not those that were trusted here: root {0} is missing or another")]
    OtherRoots(usize),
    #[error(
        "it builds on metadata that is older than what was signed here: {part} had version {signed}, now {offered}"
    )]
    Older {
        part: String,
        signed: u64,
        offered: u64,
    },
    #[error("another {part} of version {version} was signed here before")]
    Twice { part: String, version: u64 },
}

/// What an operator says about something that was signed here before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Earlier {
    /// Nothing.
    Counts,
    /// It was given up.
    GivenUp,
}

impl Memory {
    /// Reads that of a folder.
    ///
    /// # Errors
    /// It cannot be read.
    pub(crate) fn read(folder: &KeyFolder) -> Result<Self, OperatorError> {
        let path = folder.memory();
        if !path.exists() {
            return Ok(Self::default());
        }
        let text = home::read_text(&path)?;
        serde_json::from_str(&text).map_err(|error| {
            let hint = "restore it from a copy; without it, say again which root to trust";
            let what = format!("read what was signed here, {}", path.display());
            OperatorError::new(Exit::BadInput, what, error, hint)
        })
    }

    /// Keeps it.
    ///
    /// # Errors
    /// The disk refuses.
    pub(crate) fn write(&self, folder: &KeyFolder) -> Result<(), OperatorError> {
        let text = serde_json::to_string_pretty(self).expect("invariant: plain JSON");
        home::replace(&folder.memory(), &(text + "\n"))?;
        let failed = |error| OperatorError::file("write", &folder.memory(), &error);
        fs::File::open(folder.memory())
            .and_then(|file| file.sync_all())
            .map_err(failed)
    }

    /// Trusts the first root of a fleet, as a person compared it.
    pub(crate) fn trust(&mut self, first_root: Hex32) {
        let fleet = self.fleets.entry(first_root.to_string()).or_default();
        if fleet.roots.is_empty() {
            fleet.roots.push(first_root);
        }
    }

    /// Whether what is proposed follows what was signed here.
    ///
    /// # Errors
    /// [`Doubt`].
    pub(crate) fn check(&self, state: &State, earlier: Earlier) -> Result<(), Doubt> {
        let first = state.ground.first_root;
        let fleet = self
            .fleets
            .get(&first.to_string())
            .ok_or(Doubt::UnknownRoot(first))?;
        let offered = &state.ground.root_digests;
        let mut roots = fleet.roots.iter().enumerate();
        if let Some((at, _)) = roots.find(|(at, known)| offered.get(*at) != Some(known)) {
            return Err(Doubt::OtherRoots(at + 1));
        }
        for signed in &state.parts {
            let (part, entry) = entry(&signed.part.content);
            let Some(known) = fleet.signed.get(&part) else {
                continue;
            };
            let (version, offered) = (known.version, entry.version);
            if offered < version {
                return Err(Doubt::Older {
                    part,
                    signed: version,
                    offered,
                });
            }
            if offered == version && *known != entry && earlier == Earlier::Counts {
                return Err(Doubt::Twice { part, version });
            }
        }
        Ok(())
    }

    /// Remembers the roots, and that a part is signed.
    pub(crate) fn remember(&mut self, state: &State, content: &Content) {
        let first = state.ground.first_root.to_string();
        let fleet = self.fleets.entry(first).or_default();
        fleet.roots.clone_from(&state.ground.root_digests);
        let (part, entry) = entry(content);
        fleet.signed.insert(part, entry);
    }
}

/// A statement is remembered by its model and version, and has one version only.
fn entry(content: &Content) -> (String, Entry) {
    match content {
        Content::Statement(payload) => {
            let read = muster_protocol::cbor::decode(payload).ok();
            let name = |stated: muster_protocol::message::Statement| {
                format!("statement of {} {}", stated.model, stated.version)
            };
            let entry = Entry {
                version: 1,
                sha256: Hex32::sha256(payload),
            };
            (read.map_or_else(|| content.name(), name), entry)
        }
        Content::Metadata {
            role,
            envelope,
            message,
        } => {
            let version = envelope.signed.get("version");
            let entry = Entry {
                version: version.and_then(serde_json::Value::as_u64).unwrap_or(0),
                sha256: Hex32::sha256(message),
            };
            (role_name(role), entry)
        }
    }
}

fn role_name(role: &Role) -> String {
    format!("metadata of {}", role.name())
}
