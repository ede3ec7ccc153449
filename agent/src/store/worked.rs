//! Which broker took this device last, so that a start does not begin with a dead one.
//!
//! A hint: what cannot be read is nothing, and costs some attempts.

use super::Store;
use super::atomic::{self, DiskError};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Two addresses and some punctuation.
const BYTES_MAX: usize = 4096;

/// A broker that worked while a certain one was meant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Worked {
    /// The address that was meant then.
    pub meant: String,
    /// The address that worked: the same, or one that stood in for it.
    pub broker: String,
}

impl Store {
    /// What worked last, if that is known.
    pub fn read_worked(&self) -> Option<Worked> {
        let path = path(self.folder());
        let read = atomic::read(&path, BYTES_MAX).map_err(|error| error.to_string());
        let parse = |bytes: Vec<u8>| serde_json::from_slice(&bytes).map_err(|e| e.to_string());
        match read.and_then(|bytes| bytes.map(parse).transpose()) {
            Ok(worked) => worked,
            Err(because) => {
                tracing::warn!(%because, "it is not known which broker worked last");
                None
            }
        }
    }

    /// Stores what works now.
    ///
    /// # Errors
    /// [`DiskError`].
    pub fn write_worked(&self, worked: &Worked) -> Result<(), DiskError> {
        let bytes = serde_json::json!({ "meant": worked.meant, "broker": worked.broker });
        atomic::write(&path(self.folder()), bytes.to_string().as_bytes())
    }
}

/// Forgets it: whoever enrols anew is told an address that works.
///
/// # Errors
/// [`DiskError`].
pub fn forget(folder: &Path) -> Result<(), DiskError> {
    atomic::remove(&path(folder))
}

fn path(folder: &Path) -> PathBuf {
    folder.join("broker.json")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_read_as_it_was_written_and_garbage_is_nothing() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let store = Store::open(folder.path()).expect("opens");
        assert_eq!(store.read_worked(), None);
        let worked = Worked {
            meant: "mqtts://new.example:8883".to_owned(),
            broker: "mqtts://old.example:8883".to_owned(),
        };
        store.write_worked(&worked).expect("writes");
        assert_eq!(store.read_worked(), Some(worked));
        let long = vec![b' '; BYTES_MAX + 1];
        for garbage in [&b""[..], b"{", b"[]", b"{\"meant\":1}", b"\xff", &long] {
            std::fs::write(path(folder.path()), garbage).expect("writes");
            assert_eq!(store.read_worked(), None, "{garbage:?}");
        }
        forget(folder.path()).expect("removes");
        forget(folder.path()).expect("is gone");
        assert!(!path(folder.path()).exists());
    }
}
