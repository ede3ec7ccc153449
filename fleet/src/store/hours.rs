//! What sums by the hour share: the key of a row, and whose hours are handed out.
//!
//! Never a sum over two bundles or two references, and never what is summed: that is in
//! [`super::feature_hours`] and [`super::score_hours`].

use muster_protocol::digest::Digest;
use muster_protocol::id::{DeviceId, ModelId};
use muster_protocol::message::Window;
use muster_protocol::time::UnixSeconds;
use rusqlite::{Row, params};

use super::column::{self, bits};
use super::{StoreError, Tx};

#[cfg(test)]
pub(super) mod bench;

pub(crate) const HOUR_S: u64 = 3600;

/// One hour of one device, one bundle and one reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hour<S> {
    /// The device.
    pub(crate) device: String,
    /// The bundle that served.
    pub(crate) bundle: Digest,
    /// What was counted against; none for windows that name none.
    pub(crate) reference: Option<Digest>,
    /// Its sums.
    pub(crate) sums: S,
}

/// The key of a row: model, device, hour, bundle and reference, which is empty where there is none.
pub(super) type Key<'w> = (&'w str, &'w str, i64, [u8; 32], &'w [u8]);

/// Whose hours: of a model, of one device or of all, that end in the last `since_s` seconds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) model: &'a ModelId,
    pub(super) device: Option<&'a str>,
    pub(super) since_s: u64,
    pub(super) now: UnixSeconds,
}

/// The key of the row that a window is summed in: its hour is that in which it ended, and never
/// later than it came.
pub(super) fn key<'w>(
    device: &'w DeviceId,
    window: &'w Window<'_>,
    reference: Option<&'w Digest>,
    received_at: UnixSeconds,
) -> Key<'w> {
    let ended = window.unix.unwrap_or(received_at).0.min(received_at.0);
    (
        window.model.as_str(),
        device.as_str(),
        bits(ended / HOUR_S),
        window.bundle.0,
        reference.map_or(&[][..], |digest| &digest.0),
    )
}

impl<S> Hour<S> {
    /// Reads device, bundle and reference, which stand at `index` and after it.
    pub(super) fn read(row: &Row<'_>, index: usize, sums: S) -> rusqlite::Result<Self> {
        let reference: Vec<u8> = row.get(index + 2)?;
        Ok(Self {
            device: row.get(index)?,
            bundle: column::digest(row, index + 1)?,
            reference: <[u8; 32]>::try_from(reference).ok().map(Digest),
            sums,
        })
    }
}

impl Tx<'_> {
    /// Hands out the rows of `select`, which begins with device, bundle and reference; `sums` reads
    /// what follows.
    pub(super) fn each_hour<S>(
        &self,
        select: &str,
        asked: Asked<'_>,
        sums: impl Fn(&Row<'_>, usize) -> rusqlite::Result<S>,
        mut take: impl FnMut(Hour<S>),
    ) -> Result<(), StoreError> {
        // Two texts, so that each finds its index.
        let of_device = asked.device.map_or("", |_| "AND device = ?3");
        let sql = format!("{select} WHERE model = ?1 AND hour >= ?2 {of_device}");
        let mut statement = self.0.prepare_cached(&sql)?;
        // The span begins with a full hour.
        let first = asked.now.0.saturating_sub(asked.since_s) / HOUR_S;
        let (model, first) = (asked.model.as_str(), bits(first));
        let mut rows = match asked.device {
            Some(device) => statement.query(params![model, first, device])?,
            None => statement.query(params![model, first])?,
        };
        while let Some(row) = rows.next()? {
            take(Hour::read(row, 0, sums(row, 3)?)?);
        }
        Ok(())
    }
}
