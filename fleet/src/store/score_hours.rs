//! Scores of classifiers and labels that came for them, summed by the hour with each window that
//! comes. Never a judgement, and never a sum over two bundles.

use minicbor::{Decode, Encode};
use muster_fleet::quality::ScoreSums;
use muster_protocol::digest::Digest;
use muster_protocol::id::{DeviceId, ModelId};
use muster_protocol::message::Window;
use muster_protocol::time::UnixSeconds;
use rusqlite::{OptionalExtension, Row, params};

use super::column::{self, bits};
use super::hours::{self, Asked, Hour};
use super::{StoreError, Tx};

/// One hour of one device. Windows that name no reference carry labels only: they were too small to
/// say scores.
pub(crate) type ScoreHour = Hour<ScoreSums>;

impl Tx<'_> {
    /// Adds the scores and labels of a window to the sums of its hour, if it has any.
    pub(super) fn sum_scores(
        &self,
        device: &DeviceId,
        window: &Window<'_>,
        received_at: UnixSeconds,
    ) -> Result<(), StoreError> {
        let Some(mut sums) = ScoreSums::of_window(window) else {
            return Ok(());
        };
        let key = hours::key(device, window, window.reference.as_ref(), received_at);
        let mut select = self.0.prepare_cached(
            "SELECT sums FROM score_hours
             WHERE model = ? AND device = ? AND hour = ? AND bundle = ? AND reference = ?",
        )?;
        let before = select.query_row(key, |row| read(row, 0)).optional()?;
        if let Some(before) = before {
            sums.merge(&before);
        }
        let mut upsert = self.0.prepare_cached(
            "INSERT INTO score_hours (model, device, hour, bundle, reference, sums)
             VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET sums = excluded.sums",
        )?;
        upsert.execute(params![key.0, key.1, key.2, key.3, key.4, write(&sums)])?;
        Ok(())
    }

    /// Hands out the hours of a model, of one device or of all, that end in the last `since_s`
    /// seconds.
    pub(crate) fn each_score_hour(
        &self,
        model: &ModelId,
        device: Option<&str>,
        since_s: u64,
        now: UnixSeconds,
        take: impl FnMut(ScoreHour),
    ) -> Result<(), StoreError> {
        let select = "SELECT device, bundle, reference, sums FROM score_hours";
        let asked = Asked {
            model,
            device,
            since_s,
            now,
        };
        self.each_hour(select, asked, read, take)
    }
}

impl Tx<'_> {
    /// Hands out the hours of one bundle from the hour `from` on, with their number.
    pub(crate) fn each_score_hour_of_bundle(
        &self,
        model: &ModelId,
        bundle: &Digest,
        from: u64,
        mut take: impl FnMut(u64, ScoreHour),
    ) -> Result<(), StoreError> {
        let mut statement = self.0.prepare_cached(
            "SELECT hour, device, bundle, reference, sums FROM score_hours
             WHERE model = ? AND hour >= ? AND bundle = ?",
        )?;
        let mut rows = statement.query(params![model.as_str(), bits(from), bundle.0])?;
        while let Some(row) = rows.next()? {
            take(column::number(row, 0)?, Hour::read(row, 1, read(row, 4)?)?);
        }
        Ok(())
    }
}

/// Sums as they are stored.
#[derive(Encode, Decode)]
#[cbor(map)]
struct Stored {
    #[n(0)]
    bins: Vec<u64>,
    #[n(1)]
    steps: Vec<u64>,
    #[n(2)]
    classes: Vec<u64>,
    #[n(3)]
    improper: u64,
    #[n(4)]
    positive: Vec<u64>,
    #[n(5)]
    negative: Vec<u64>,
    #[n(6)]
    unknown: u64,
    #[n(7)]
    stale: u64,
    #[n(8)]
    squares: Vec<u64>,
}

pub(super) fn write(sums: &ScoreSums) -> Vec<u8> {
    column::to_cbor(&Stored {
        bins: sums.bins.to_vec(),
        steps: sums.steps.to_vec(),
        classes: sums.classes.0.to_vec(),
        improper: sums.improper,
        positive: sums.positive.to_vec(),
        negative: sums.negative.to_vec(),
        unknown: sums.unknown,
        stale: sums.stale,
        squares: sums.squares.to_vec(),
    })
}

pub(super) fn read(row: &Row<'_>, index: usize) -> rusqlite::Result<ScoreSums> {
    let stored: Stored = column::from_cbor(row, index)?;
    let mut sums = ScoreSums {
        improper: stored.improper,
        unknown: stored.unknown,
        stale: stored.stale,
        ..ScoreSums::default()
    };
    for (into, from) in [
        (&mut sums.bins[..], stored.bins),
        (&mut sums.steps, stored.steps),
        (&mut sums.squares, stored.squares),
        (&mut sums.classes.0, stored.classes),
        (&mut sums.positive, stored.positive),
        (&mut sums.negative, stored.negative),
    ] {
        into.iter_mut()
            .zip(from)
            .for_each(|(into, from)| *into = from);
    }
    Ok(sums)
}

#[cfg(test)]
impl Tx<'_> {
    /// For tests: what a classifier did on one device in one hour.
    pub(crate) fn put_score_hour(&self, model: &ModelId, hour: u64, counted: &ScoreHour) {
        let reference = counted.reference.map_or(Vec::new(), |of| of.0.to_vec());
        let values = params![
            model.as_str(),
            counted.device,
            bits(hour),
            counted.bundle.0,
            reference,
            write(&counted.sums)
        ];
        let sql = "INSERT INTO score_hours (model, device, hour, bundle, reference, sums)
                   VALUES (?, ?, ?, ?, ?, ?)";
        self.0.execute(sql, values).expect("added");
    }
}

#[cfg(test)]
mod tests;
