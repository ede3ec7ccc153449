//! What a hello says about one stream: that it exists, whose place it takes, what it no longer
//! keeps. Never takes a document.

use muster_protocol::id::{DeviceId, Sequence};
use muster_protocol::message::StreamState;
use muster_protocol::time::UnixSeconds;

use super::acknowledge::{self, Stored};
use crate::store::{IncidentKind, StoreError, StreamRow, Tx};

/// Takes the state of one stream; what is stored of it, unless it must not speak.
///
/// # Errors
/// The store failed.
pub(super) fn heard(
    tx: &Tx<'_>,
    device: &DeviceId,
    state: &StreamState,
    now: UnixSeconds,
) -> Result<Option<Stored>, StoreError> {
    let row = match tx.stream(device, state.id)? {
        Some(row) if row.superseded => {
            let detail = format!(
                "stream {} speaks again after another took its place",
                state.id
            );
            tx.raise_incident(device, IncidentKind::Clone, &detail, now)?;
            return Ok(None);
        }
        Some(row) => {
            take_place(tx, device, state, now)?;
            row
        }
        None => match open(tx, device, state, now)? {
            Some(row) => row,
            None => return Ok(None),
        },
    };
    let lost = lost(tx, device, &row, state, now)?;
    acknowledge::advance(tx, device, &row, lost, now).map(Some)
}

/// Opens a stream that is new here. Naming a predecessor that was replaced before means that
/// two continue one stream.
fn open(
    tx: &Tx<'_>,
    device: &DeviceId,
    state: &StreamState,
    now: UnixSeconds,
) -> Result<Option<StreamRow>, StoreError> {
    let named = state
        .predecessor
        .map(|stream| tx.stream(device, stream))
        .transpose()?
        .flatten();
    if named.is_some_and(|row| row.superseded) {
        let detail = format!(
            "stream {} continues one that was continued before",
            state.id
        );
        tx.raise_incident(device, IncidentKind::Clone, &detail, now)?;
        return Ok(None);
    }
    take_place(tx, device, state, now)?;
    tx.open_stream(device, state.id, state.kind, state.predecessor, now)
        .map(Some)
}

/// Every other live stream of the kind must not speak again. Also for a stream that is known: a
/// document may have opened it before a hello named it.
fn take_place(
    tx: &Tx<'_>,
    device: &DeviceId,
    state: &StreamState,
    now: UnixSeconds,
) -> Result<(), StoreError> {
    for row in tx.live_streams(device, state.kind)? {
        if row.stream == state.id {
            continue;
        }
        if state.predecessor != Some(row.stream) {
            let detail = format!("stream {} took the place of {}", state.id, row.stream);
            tx.raise_incident(device, IncidentKind::StreamLost, &detail, now)?;
        }
        tx.supersede(device, row.stream)?;
    }
    Ok(())
}

/// The highest number that the device no longer keeps and the fleet never got: recorded as
/// lost. What was stored, when there is none.
fn lost(
    tx: &Tx<'_>,
    device: &DeviceId,
    row: &StreamRow,
    state: &StreamState,
    now: UnixSeconds,
) -> Result<Sequence, StoreError> {
    let (first, kept) = (Sequence(row.through.0.saturating_add(1)), state.first_kept);
    let plausible = kept <= state.next && kept.0 <= i64::MAX.cast_unsigned();
    if kept <= first || !plausible {
        return Ok(row.through);
    }
    let lost = Sequence(kept.0 - 1);
    tx.add_reported_gap(device, row.stream, first, lost, now)?;
    Ok(lost)
}
