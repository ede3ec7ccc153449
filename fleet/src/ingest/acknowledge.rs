//! How far a stream is stored: what an acknowledgement says. Never signs it.

use muster_protocol::id::{DeviceId, Sequence, StreamId};
use muster_protocol::limits::FROZEN_MAX;
use muster_protocol::message::{Kind, Rejected};
use muster_protocol::time::UnixSeconds;

use super::model_state;
use crate::store::{StoreError, StreamRow, Tx};

/// What is stored of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stored {
    /// The stream.
    pub(super) stream: StreamId,
    /// Highest number up to which nothing is missing.
    pub(super) through: Sequence,
    /// Documents that could not be read, among those that the device may still keep.
    pub(super) rejected: Vec<Rejected>,
}

/// Moves `through` over every number that has arrived or was passed over as lost, and takes the
/// receipts among them into account, in their order.
pub(super) fn advance(
    tx: &Tx<'_>,
    device: &DeviceId,
    row: &StreamRow,
    lost: Sequence,
    now: UnixSeconds,
) -> Result<Stored, StoreError> {
    let stream = row.stream;
    let through = tx.contiguous(device, stream, row.through.max(lost))?;
    if through > row.through {
        tx.set_through(device, stream, through)?;
        if row.kind == Kind::Receipts {
            for document in tx.receipt_documents(device, stream, row.through, through)? {
                model_state::apply(tx, device, &document, now)?;
            }
        }
    }
    let after = Sequence(through.0.saturating_sub(FROZEN_MAX as u64));
    let rejected = tx.rejected(device, stream, after, FROZEN_MAX)?;
    Ok(Stored {
        stream,
        through,
        rejected,
    })
}
