//! Trusted metadata on disk: the accepted bytes of each role, and `fleet.json`.
//!
//! Stores only what was accepted; reading it back verifies it again.

use super::Store;
use super::atomic::{self, DiskError};
use muster_protocol::limits::METADATA_BYTES_MAX;
use muster_protocol::tuf::{Refused, Role, Stored, Trusted, Update, fleet_document};
use std::path::PathBuf;

/// Why stored metadata cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum MetadataError {
    /// The disk.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// There is no root: the device is not enrolled.
    #[error(
        "failed to read the trusted root: because there is none: hint: run `muster-agent enroll` first"
    )]
    NoRoot,
    /// The stored root no longer verifies.
    #[error("failed to read the trusted root: because {0}: hint: the disk damaged it; enrol again")]
    Root(Refused),
}

impl Store {
    /// Rebuilds what was trusted; what no longer verifies is fetched again.
    ///
    /// # Errors
    /// [`MetadataError`].
    pub fn read_trusted(&self) -> Result<Trusted, MetadataError> {
        let read = |name: &str| atomic::read(&self.metadata_path(name), METADATA_BYTES_MAX);
        let root = read("root")?.ok_or(MetadataError::NoRoot)?;
        let [timestamp, snapshot, targets] =
            [read("timestamp")?, read("snapshot")?, read("targets")?];
        let mut delegated = Vec::new();
        for name in atomic::names(&self.folder.join("metadata"))? {
            let model = name
                .strip_prefix("models%2f")
                .and_then(|n| n.strip_suffix(".json"));
            if let (Some(model), Some(bytes)) = (model, read(name.trim_end_matches(".json"))?) {
                delegated.push((format!("models/{model}"), bytes));
            }
        }
        let delegated: Vec<_> = delegated
            .iter()
            .map(|(role, bytes)| (role.as_str(), bytes.as_slice()))
            .collect();
        let stored = Stored {
            root: &root,
            timestamp: timestamp.as_deref(),
            snapshot: snapshot.as_deref(),
            targets: targets.as_deref(),
            delegated: &delegated,
        };
        let restored = Trusted::restore(stored).map_err(MetadataError::Root)?;
        for dropped in &restored.dropped {
            tracing::warn!(role = %dropped.role, because = %dropped.because, "stored metadata dropped");
        }
        Ok(restored.trusted)
    }

    /// Stores an accepted document as [`Update`] says.
    ///
    /// # Errors
    /// [`DiskError`].
    pub fn write_metadata(
        &self,
        role: &Role,
        update: Update,
        bytes: &[u8],
    ) -> Result<(), DiskError> {
        if update == Update::Unchanged {
            return Ok(());
        }
        atomic::write(&self.metadata_path(role.name()), bytes)?;
        if update == Update::AcceptedAndOnlineForgotten {
            atomic::remove(&self.metadata_path("timestamp"))?;
            atomic::remove(&self.metadata_path("snapshot"))?;
        }
        Ok(())
    }

    /// The newest accepted `fleet.json`.
    ///
    /// # Errors
    /// [`DiskError`].
    pub fn read_fleet(&self) -> Result<Option<Vec<u8>>, DiskError> {
        atomic::read(
            &self.folder.join("metadata").join(fleet_document::PATH),
            METADATA_BYTES_MAX,
        )
    }

    /// Stores an accepted `fleet.json`.
    ///
    /// # Errors
    /// [`DiskError`].
    pub fn write_fleet(&self, bytes: &[u8]) -> Result<(), DiskError> {
        atomic::write(
            &self.folder.join("metadata").join(fleet_document::PATH),
            bytes,
        )
    }

    fn metadata_path(&self, role: &str) -> PathBuf {
        self.folder
            .join("metadata")
            .join(format!("{}.json", role.replace('/', "%2f")))
    }
}
