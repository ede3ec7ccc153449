//! What each device counted of each feature, summed by the hour with each window that comes.
//! Never a judgement, and never a sum over two references.

use minicbor::{Decode, Encode};
use muster_protocol::cose;
use muster_protocol::id::{DeviceId, ModelId};
use muster_protocol::limits::BINS_MAX;
use muster_protocol::message::{Document, Window};
use muster_protocol::stats::FeatureSum;
use muster_protocol::time::UnixSeconds;
use rusqlite::{OptionalExtension, Row, params};

use super::column::{self, bits};
use super::hours::{self, Asked, Hour};
use super::{Page, Paged, StoreError, Tx};

/// One hour of one device.
pub(crate) type FeatureHour = Hour<WindowSums>;

/// Sums over windows of one bundle and one reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WindowSums {
    /// Windows, merged ones counted.
    pub(crate) closed_windows: u64,
    /// Rows predicted.
    pub(crate) calls: u64,
    /// Windows among them whose features are not those of the first: they are in no sum.
    pub(crate) misfits: u64,
    /// Each feature, in the order of the reference.
    pub(crate) features: Vec<FeatureSum>,
}

impl WindowSums {
    /// The sums of one window.
    fn of(window: &Window<'_>) -> Self {
        Self {
            closed_windows: u64::from(window.closed_windows),
            calls: window.calls,
            misfits: 0,
            features: window
                .features
                .iter()
                .map(|feature| FeatureSum::of(&feature.counts(), feature.bins.len()))
                .collect(),
        }
    }

    /// How many bins each feature has: only sums of one shape add up.
    pub(crate) fn shape(&self) -> Vec<usize> {
        self.features.iter().map(|sum| sum.bins.len()).collect()
    }

    /// Adds others; those of another shape are counted as misfits.
    pub(crate) fn merge(&mut self, other: &Self) {
        let mut misfits = other.misfits;
        if self.shape() == other.shape() {
            let pairs = self.features.iter_mut().zip(&other.features);
            for (mine, theirs) in pairs {
                let merged = mine.merge(theirs);
                merged.expect("invariant: their shape is the same");
            }
        } else {
            misfits = other.closed_windows;
        }
        self.closed_windows = self.closed_windows.saturating_add(other.closed_windows);
        self.calls = self.calls.saturating_add(other.calls);
        self.misfits = self.misfits.saturating_add(misfits);
    }
}

impl Tx<'_> {
    /// Adds a window to the sums of its hour.
    pub(super) fn sum_window(
        &self,
        device: &DeviceId,
        window: &Window<'_>,
        received_at: UnixSeconds,
    ) -> Result<(), StoreError> {
        let reference = window.reference.filter(|_| !window.features.is_empty());
        let key = hours::key(device, window, reference.as_ref(), received_at);
        let mut select = self.0.prepare_cached(
            "SELECT closed_windows, calls, misfits, sums FROM feature_hours
             WHERE model = ? AND device = ? AND hour = ? AND bundle = ? AND reference = ?",
        )?;
        let before = select.query_row(key, |row| read_sums(row, 0)).optional()?;
        let mut more = WindowSums::of(window);
        if reference.is_none() {
            more.features.clear();
        }
        let sums = match before {
            Some(mut sums) => {
                sums.merge(&more);
                sums
            }
            None => more,
        };
        let mut upsert = self.0.prepare_cached(
            "INSERT INTO feature_hours (model, device, hour, bundle, reference, closed_windows,
             calls, misfits, sums) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET
             closed_windows = excluded.closed_windows, calls = excluded.calls,
             misfits = excluded.misfits, sums = excluded.sums",
        )?;
        upsert.execute(params![
            key.0,
            key.1,
            key.2,
            key.3,
            key.4,
            bits(sums.closed_windows),
            bits(sums.calls),
            bits(sums.misfits),
            write_features(&sums.features),
        ])?;
        Ok(())
    }

    /// Sums the windows of a store that was made before there were sums.
    pub(super) fn sum_all_windows(&self) -> Result<(), StoreError> {
        let sql = "SELECT device, received_at, document FROM windows ORDER BY window";
        let mut statement = self.0.prepare(sql)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let (device, received_at) = (column::id(row, 0)?, UnixSeconds(column::number(row, 1)?));
            let bytes: Vec<u8> = row.get(2)?;
            let document = cose::peek::<Document<'_>>(&bytes).ok();
            // It was read when it came.
            if let Some(window) = document.and_then(|document| document.window) {
                self.sum_window(&device, &window, received_at)?;
            }
        }
        Ok(())
    }

    /// Hands out the hours of a model, of one device or of all, that end in the last `since_s`
    /// seconds.
    pub(crate) fn each_feature_hour(
        &self,
        model: &ModelId,
        device: Option<&str>,
        since_s: u64,
        now: UnixSeconds,
        take: impl FnMut(FeatureHour),
    ) -> Result<(), StoreError> {
        let select = "SELECT device, bundle, reference, closed_windows, calls, misfits, sums
                      FROM feature_hours";
        let asked = Asked {
            model,
            device,
            since_s,
            now,
        };
        self.each_hour(select, asked, read_sums, take)
    }

    /// Devices that ever sent a window of a model, by name.
    pub(crate) fn devices_with_windows(
        &self,
        model: &ModelId,
        page: &Page,
    ) -> Result<Paged<String>, StoreError> {
        let mut statement = self.0.prepare_cached(
            "SELECT DISTINCT device FROM counters WHERE model = ? AND device > ?
             ORDER BY device LIMIT ?",
        )?;
        let key = params![model.as_str(), page.after_name(), page.limit()];
        let rows = statement.query_map(key, |row| row.get(0))?;
        let items = rows.collect::<rusqlite::Result<_>>()?;
        Ok(Paged::of(items, page, String::clone))
    }
}

/// A feature as it is stored.
#[derive(Encode, Decode)]
struct StoredSum {
    #[n(0)]
    bins: Vec<u64>,
    #[n(1)]
    missing: u64,
    #[n(2)]
    non_finite: u64,
    #[n(3)]
    out_of_range: u64,
    #[n(4)]
    sum: i64,
    #[n(5)]
    sum_of_squares: u64,
    /// Zero of what was stored before it was counted; so is the next.
    #[n(6)]
    #[cbor(default)]
    repeats: u64,
    #[n(7)]
    #[cbor(default)]
    longest_run: u64,
}

pub(super) fn write_features(features: &[FeatureSum]) -> Vec<u8> {
    let stored = features.iter().map(|feature| StoredSum {
        bins: feature.bins.to_vec(),
        missing: feature.missing,
        non_finite: feature.non_finite,
        out_of_range: feature.out_of_range,
        sum: feature.sum,
        sum_of_squares: feature.sum_of_squares,
        repeats: feature.repeats,
        longest_run: feature.longest_run,
    });
    column::to_cbor(&stored.collect::<Vec<_>>())
}

pub(super) fn read_sums(row: &Row<'_>, index: usize) -> rusqlite::Result<WindowSums> {
    let stored: Vec<StoredSum> = column::from_cbor(row, index + 3)?;
    let read = |stored: StoredSum| FeatureSum {
        bins: stored.bins.into_iter().take(BINS_MAX).collect(),
        missing: stored.missing,
        non_finite: stored.non_finite,
        out_of_range: stored.out_of_range,
        sum: stored.sum,
        sum_of_squares: stored.sum_of_squares,
        repeats: stored.repeats,
        longest_run: stored.longest_run,
    };
    Ok(WindowSums {
        closed_windows: column::number(row, index)?,
        calls: column::number(row, index + 1)?,
        misfits: column::number(row, index + 2)?,
        features: stored.into_iter().map(read).collect(),
    })
}

#[cfg(test)]
mod tests;
