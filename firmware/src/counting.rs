//! The window of a node: rows in, counts out, by the folds that Linux uses.
//!
//! A row as a sensor's driver hands it over: the latency of its prediction in microseconds
//! (u32, little endian), then for each feature one byte, 1 when it is there, and its value
//! (binary32, little endian). Keeps no value.

use crate::verdict::Verdict;
use muster_device::fold::{Subject, WindowFold};
use muster_protocol::bundle::Reference;
use muster_protocol::cbor;
use muster_protocol::limits::FEATURES_MAX;
use muster_protocol::stats::FeatureFold;
use muster_protocol::time::{Millis, UnixSeconds};

/// Bytes of the latency in a row.
const LATENCY_BYTES: usize = 4;
/// Bytes of one feature in a row.
const FEATURE_BYTES: usize = 5;
/// Largest row: all features that a reference may name.
pub const ROW_BYTES_MAX: usize = LATENCY_BYTES + FEATURES_MAX * FEATURE_BYTES;
/// Time between two rows.
const ROW_MS: u64 = 100;

/// An open window and the folds of its features.
#[derive(Debug)]
pub struct Counting {
    fold: WindowFold<heapless::Vec<FeatureFold, FEATURES_MAX>>,
    row_bytes: usize,
    ended: Millis,
}

impl Counting {
    /// Opens a window of `subject` against a reference, as it travels in a bundle.
    ///
    /// # Errors
    /// [`Verdict::BadReference`].
    pub fn open(subject: Subject, reference: &[u8]) -> Result<Self, Verdict> {
        let bad = Verdict::BadReference;
        let reference: Reference<'_> = cbor::decode(reference).map_err(|_| bad)?;
        let mut folds = heapless::Vec::new();
        for feature in reference.features.iter() {
            let scale = feature.scale().map_err(|_| bad)?;
            folds.push(FeatureFold::new(scale)).map_err(|_| bad)?;
        }
        Ok(Self {
            row_bytes: LATENCY_BYTES + folds.len() * FEATURE_BYTES,
            fold: WindowFold::new(subject, folds, Millis(0)),
            ended: Millis(0),
        })
    }

    /// Bytes of one row.
    #[must_use]
    pub const fn row_bytes(&self) -> usize {
        self.row_bytes
    }

    /// Counts one row.
    ///
    /// # Errors
    /// [`Verdict::BadSamples`] when it is no row of this reference; nothing was counted then.
    pub fn row(&mut self, row: &[u8]) -> Result<(), Verdict> {
        let (latency, features) = row.split_first_chunk().ok_or(Verdict::BadSamples)?;
        let (features, []) = features.as_chunks::<FEATURE_BYTES>() else {
            return Err(Verdict::BadSamples);
        };
        let there = |byte: &[u8; FEATURE_BYTES]| byte[0] <= 1;
        if row.len() != self.row_bytes || !features.iter().all(there) {
            return Err(Verdict::BadSamples);
        }
        self.fold.answered(1, u32::from_le_bytes(*latency));
        for (index, [there, value @ ..]) in features.iter().enumerate() {
            let value = (*there == 1).then(|| f32::from_le_bytes(*value));
            self.fold.value(index, value);
        }
        self.ended = self.ended.plus(ROW_MS);
        Ok(())
    }

    /// Rows counted so far.
    #[must_use]
    pub const fn rows(&self) -> u64 {
        self.fold.calls()
    }

    /// Closes the window and writes it; gives its length.
    ///
    /// # Errors
    /// [`Verdict::BadSamples`] when nothing was counted, or the buffer is too small.
    pub fn close(
        &mut self,
        unix: Option<UnixSeconds>,
        buffer: &mut [u8],
    ) -> Result<usize, Verdict> {
        if self.fold.is_empty() {
            return Err(Verdict::BadSamples);
        }
        let len = self
            .fold
            .with_window(self.ended, unix, |window| cbor::encode(window, buffer))
            .map_err(|_| Verdict::BadSamples)?;
        self.fold.reset(self.ended);
        Ok(len)
    }
}
