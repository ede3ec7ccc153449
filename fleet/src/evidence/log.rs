//! The enrolment log as it is exported: who came with which keys, one JSON object for each line.
//!
//! It only grows: an entry never changes, and a later one says which document key it retires. So
//! what was exported before is the beginning of what is exported now, or somebody rewrote it.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use muster_protocol::digest::{Digest, decode_hex};
use muster_protocol::id::DeviceId;
use muster_protocol::key::PublicKey;
use muster_protocol::time::UnixSeconds;
use serde::{Deserialize, Serialize};

use super::lines::each_line;
use crate::error::OperatorError;

const LINE_BYTES_MAX: usize = 4096;
const HINT: &str = "`muster enrolment export` writes such files; take a copy that nobody changed";

/// What a device brought when it enrolled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Enrolled {
    /// Who.
    pub(crate) device: DeviceId,
    /// The key that signs its documents.
    pub(crate) document_key: PublicKey,
    /// Digest of the public key of its certificate.
    pub(crate) tls_key: Digest,
    /// Serial of that certificate, hexadecimal.
    pub(crate) serial: String,
    /// When.
    pub(crate) at: UnixSeconds,
}

/// One entry of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Enrolment {
    /// Its number; the first is 1.
    pub(crate) entry: u64,
    /// What the device brought.
    pub(crate) enrolled: Enrolled,
    /// The document key of the device that is retired by it.
    pub(crate) retires: Option<PublicKey>,
}

/// A document key of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct KnownKey {
    /// The key.
    pub(crate) key: PublicKey,
    /// When another one took its place.
    pub(crate) retired_at: Option<UnixSeconds>,
}

/// The log.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct EnrolmentLog {
    entries: Vec<Enrolment>,
    keys: BTreeMap<DeviceId, Vec<KnownKey>>,
}

/// An entry of an earlier log that a later one does not have as it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Conflict {
    /// No entry has its serial.
    Vanished {
        /// The earlier entry.
        entry: u64,
        /// Whose.
        device: DeviceId,
    },
    /// Something of it is another.
    Changed {
        /// The earlier entry.
        entry: u64,
        /// Whose.
        device: DeviceId,
        /// What, for people.
        what: &'static str,
    },
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Vanished { entry, device } => {
                write!(
                    f,
                    "entry {entry} of the earlier log, {device}, has vanished"
                )
            }
            Self::Changed {
                entry,
                device,
                what,
            } => write!(
                f,
                "entry {entry} of the earlier log, {device}, has another {what} now"
            ),
        }
    }
}

impl EnrolmentLog {
    /// Reads an exported log.
    ///
    /// # Errors
    /// The file cannot be read, or is not a whole log: the line is named.
    pub(crate) fn read(path: &Path) -> Result<Self, OperatorError> {
        let mut log = Self::default();
        each_line(path, LINE_BYTES_MAX, HINT, |_, line| log.take(line))?;
        Ok(log)
    }

    /// Adds the next entry.
    pub(crate) fn append(&mut self, enrolled: Enrolled) -> &Enrolment {
        let keys = self.keys.entry(enrolled.device.clone()).or_default();
        let retires = set_current(keys, enrolled.document_key, enrolled.at);
        let at = self.entries.len();
        self.entries.push(Enrolment {
            entry: at as u64 + 1,
            enrolled,
            retires,
        });
        &self.entries[at]
    }

    /// All entries in their order.
    pub(crate) fn entries(&self) -> &[Enrolment] {
        &self.entries
    }

    /// The document keys of a device; none when it never enrolled.
    pub(crate) fn keys(&self, device: &DeviceId) -> Option<&[KnownKey]> {
        self.keys.get(device).map(Vec::as_slice)
    }

    /// Every document key, with its device.
    pub(crate) fn all_keys(&self) -> impl Iterator<Item = (&DeviceId, &KnownKey)> {
        let keys = self.keys.iter();
        keys.flat_map(|(device, keys)| keys.iter().map(move |key| (device, key)))
    }

    /// How many devices enrolled.
    pub(crate) fn devices(&self) -> usize {
        self.keys.len()
    }

    /// What came after an earlier log.
    ///
    /// # Errors
    /// What of the earlier one is not here as it was.
    pub(crate) fn after(&self, earlier: &Self) -> Result<&[Enrolment], Vec<Conflict>> {
        let by_serial: BTreeMap<&str, &Enrolment> = self
            .entries
            .iter()
            .map(|entry| (entry.enrolled.serial.as_str(), entry))
            .collect();
        let conflicts: Vec<_> = earlier
            .entries
            .iter()
            .filter_map(|was| conflict(was, by_serial.get(was.enrolled.serial.as_str()).copied()))
            .collect();
        if conflicts.is_empty() {
            Ok(&self.entries[earlier.entries.len()..])
        } else {
            Err(conflicts)
        }
    }

    /// The whole log as its file.
    pub(crate) fn to_text(&self) -> String {
        let line = |entry| {
            let line = serde_json::to_string(&Line::of(entry));
            line.expect("invariant: texts and numbers are plain JSON") + "\n"
        };
        self.entries.iter().map(line).collect()
    }

    fn take(&mut self, line: &str) -> Result<(), String> {
        let line: Line = serde_json::from_str(line).map_err(|error| error.to_string())?;
        let said = line.entry()?;
        let expect = self.append(said.enrolled);
        if said.entry != expect.entry {
            let (is, should) = (said.entry, expect.entry);
            return Err(format!("it is entry {is} where entry {should} should be"));
        }
        if said.retires != expect.retires {
            return Err("it retires another key than the entries before it say".to_owned());
        }
        Ok(())
    }
}

/// Makes `key` the one that signs from now on; the key that this retires.
fn set_current(keys: &mut Vec<KnownKey>, key: PublicKey, now: UnixSeconds) -> Option<PublicKey> {
    let mut retires = None;
    for known in keys.iter_mut() {
        if known.key == key {
            known.retired_at = None;
        } else if known.retired_at.is_none() {
            known.retired_at = Some(now);
            retires = Some(known.key);
        }
    }
    if keys.iter().all(|known| known.key != key) {
        keys.push(KnownKey {
            key,
            retired_at: None,
        });
    }
    retires
}

fn conflict(was: &Enrolment, is: Option<&Enrolment>) -> Option<Conflict> {
    let (entry, device) = (was.entry, was.enrolled.device.clone());
    let Some(is) = is else {
        return Some(Conflict::Vanished { entry, device });
    };
    let what = if is.enrolled.device != was.enrolled.device {
        "device"
    } else if is.enrolled.document_key != was.enrolled.document_key {
        "document key"
    } else if is.enrolled.tls_key != was.enrolled.tls_key {
        "TLS key"
    } else if is.enrolled.at != was.enrolled.at {
        "time"
    } else if is.entry != was.entry {
        "number"
    } else {
        return None;
    };
    Some(Conflict::Changed {
        entry,
        device,
        what,
    })
}

/// An entry as it is written.
#[derive(Debug, Serialize, Deserialize)]
struct Line {
    entry: u64,
    device: String,
    document_key: String,
    tls_key: String,
    serial: String,
    enrolled_at: u64,
    retires: Option<String>,
}

impl Line {
    fn of(entry: &Enrolment) -> Self {
        let enrolled = &entry.enrolled;
        Self {
            entry: entry.entry,
            device: enrolled.device.to_string(),
            document_key: enrolled.document_key.to_string(),
            tls_key: enrolled.tls_key.to_string(),
            serial: enrolled.serial.clone(),
            enrolled_at: enrolled.at.0,
            retires: entry.retires.map(|key| key.to_string()),
        }
    }

    fn entry(&self) -> Result<Enrolment, String> {
        let enrolled = Enrolled {
            device: self.device.parse().map_err(|bad| format!("{bad}"))?,
            document_key: public_key(&self.document_key)?,
            tls_key: Digest::parse(&self.tls_key).map_err(|bad| bad.to_string())?,
            serial: self.serial.clone(),
            at: UnixSeconds(self.enrolled_at),
        };
        Ok(Enrolment {
            entry: self.entry,
            enrolled,
            retires: self.retires.as_deref().map(public_key).transpose()?,
        })
    }
}

/// Reads a public key as the log writes it.
///
/// # Errors
/// Anything but 64 lower-case hexadecimal digits.
pub(crate) fn public_key(text: &str) -> Result<PublicKey, String> {
    let mut bytes = [0; 32];
    let read = decode_hex(text, &mut bytes).map(|()| PublicKey(bytes));
    read.map_err(|_| "a document key is 64 lower-case hexadecimal digits".to_owned())
}

#[cfg(test)]
mod tests;
