//! The one small state file: what was accepted, how far each model came, how far time is known.
//!
//! Never partly new: it is replaced whole.

use super::Store;
use super::atomic::{self, DiskError};
use minicbor::{Decode, Encode};
use muster_device::acceptance::Accepted;
use muster_device::trusted_time::TimeFloors;
use muster_device::updater::ModelState;
use muster_protocol::cbor;
use muster_protocol::digest::Digest;
use muster_protocol::id::EpochGeneration;

/// Largest state file: all models of a Linux device with every slot filled stay below a tenth.
const BYTES_MAX: usize = 1024 * 1024;

/// The durable state of an agent.
#[derive(Debug, Clone, PartialEq, Eq, Default, Encode, Decode)]
#[cbor(map)]
pub struct AgentState {
    /// Place and digest of the accepted assignment.
    #[n(0)]
    pub accepted: Option<AcceptedRecord>,
    /// Its signed bytes, to be shown to a controller that lost them.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub assignment: Vec<u8>,
    /// One for each model.
    #[n(2)]
    pub models: Vec<ModelState>,
    /// How far time is known.
    #[n(3)]
    pub time: TimeFloors,
}

/// [`Accepted`] as it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct AcceptedRecord {
    /// Its place.
    #[n(0)]
    pub at: EpochGeneration,
    /// Digest of its signed bytes.
    #[n(1)]
    pub digest: Digest,
}

impl AgentState {
    /// What acceptance compares a new assignment with.
    pub fn accepted(&self) -> Option<Accepted> {
        self.accepted.map(|record| Accepted {
            at: record.at,
            digest: record.digest,
        })
    }
}

/// Why the state cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The disk.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// The file is not what an agent wrote.
    #[error(
        "failed to read state.cbor: because {0}: hint: the disk damaged it; move the state folder aside and enrol again"
    )]
    Damaged(cbor::Malformed),
}

impl Store {
    /// Reads the state; a fresh folder has an empty one.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn read_state(&self) -> Result<AgentState, StateError> {
        match atomic::read(&self.folder.join("state.cbor"), BYTES_MAX)? {
            None => Ok(AgentState::default()),
            Some(bytes) => cbor::decode(&bytes).map_err(StateError::Damaged),
        }
    }

    /// Replaces the state, durably; gives the bytes written.
    ///
    /// # Errors
    /// [`DiskError`]; the old state is still there.
    pub fn write_state(&self, state: &AgentState) -> Result<u64, DiskError> {
        let bytes = cbor::to_vec(state);
        atomic::write(&self.folder.join("state.cbor"), &bytes)?;
        Ok(bytes.len() as u64)
    }
}
