//! What the devices of a cohort counted, merged by the hour: exact, in any order, and kept longer than
//! the hours of each device.
//!
//! Each window is added once, by the watch and not when it is taken. Never a sum over two references,
//! and never moved from one cohort to another: a window counts where its device was when it came.

use std::collections::BTreeMap;

use muster_protocol::digest::Digest;
use muster_protocol::id::{DeviceId, ModelId};
use muster_protocol::stats::FeatureSum;
use muster_protocol::time::UnixSeconds;
use rusqlite::{OptionalExtension as _, Row, params};

use super::column::{self, bits};
use super::feature_hours::{read_sums, write_features};
use super::hours::HOUR_S;
use super::{StoreError, Tx, WindowSums};

mod fill;

/// All devices.
pub(crate) const ALL: &str = "all";

/// What one window adds to the hours of its cohorts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WindowOfCohorts {
    /// The model.
    pub(crate) model: ModelId,
    /// The bundle that served.
    pub(crate) bundle: Digest,
    /// What was counted against; none for windows without features.
    pub(crate) reference: Option<Digest>,
    /// Whose.
    pub(crate) device: DeviceId,
    /// When it ended, and never later than it came.
    pub(crate) ended: UnixSeconds,
    /// What it counts.
    pub(crate) sums: WindowSums,
}

/// The key of a row, but for the model that all begin with.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    model: ModelId,
    cohort: String,
    hour: u64,
    bundle: Digest,
    reference: Option<Digest>,
    shape: Vec<u8>,
}

/// Who was in a cohort, by which bundle, and in which hour at last.
type LastHours = BTreeMap<(ModelId, String, Digest, DeviceId), u64>;

/// Windows that are merged already, but not yet in the store.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct CohortSums {
    hours: BTreeMap<Key, WindowSums>,
    devices: LastHours,
}

/// One hour of a cohort.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CohortHour {
    /// The bundle that served.
    pub(crate) bundle: Digest,
    /// What was counted against.
    pub(crate) reference: Option<Digest>,
    /// Its sums.
    pub(crate) sums: WindowSums,
}

/// Whose hours: of a cohort of a model, from one hour on and before another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OfCohort<'a> {
    /// The model.
    pub(crate) model: &'a ModelId,
    /// `all`, or `label=value`.
    pub(crate) cohort: &'a str,
    /// The first hour.
    pub(crate) from: u64,
    /// The first that is no more in it.
    pub(crate) until: u64,
}

impl WindowOfCohorts {
    /// Of a window that counts these features.
    pub(crate) fn new(
        (model, bundle, reference): (&ModelId, Digest, Option<Digest>),
        (device, ended): (&DeviceId, UnixSeconds),
        (closed_windows, calls): (u64, u64),
        features: &[FeatureSum],
    ) -> Self {
        let reference = reference.filter(|_| !features.is_empty());
        let features = reference.map_or(&[][..], |_| features);
        Self {
            model: model.clone(),
            bundle,
            reference,
            device: device.clone(),
            ended,
            sums: WindowSums {
                closed_windows,
                calls,
                misfits: 0,
                features: features.to_vec(),
            },
        }
    }
}

impl CohortSums {
    /// Adds a window to the hours of these cohorts.
    pub(crate) fn add(&mut self, window: &WindowOfCohorts, cohorts: &[String]) {
        let hour = window.ended.0 / HOUR_S;
        for cohort in cohorts {
            let key = Key {
                model: window.model.clone(),
                cohort: cohort.clone(),
                hour,
                bundle: window.bundle,
                reference: window.reference,
                shape: shape(&window.sums),
            };
            self.put(key, window.sums.clone());
            let (model, device) = (window.model.clone(), window.device.clone());
            let last = self
                .devices
                .entry((model, cohort.clone(), window.bundle, device));
            let last = last.or_insert(hour);
            *last = hour.max(*last);
        }
    }

    fn put(&mut self, key: Key, sums: WindowSums) {
        match self.hours.get_mut(&key) {
            Some(before) => before.merge(&sums),
            None => {
                self.hours.insert(key, sums);
            }
        }
    }
}

/// One byte for each feature: a feature has fewer bins than a byte counts.
fn shape(sums: &WindowSums) -> Vec<u8> {
    let bins = sums.shape().into_iter();
    bins.map(|bins| u8::try_from(bins).unwrap_or(u8::MAX))
        .collect()
}

fn reference_bytes(reference: Option<&Digest>) -> &[u8] {
    reference.map_or(&[][..], |digest| &digest.0)
}

impl Tx<'_> {
    /// The newest window that the hours of cohorts hold.
    pub(crate) fn cohorts_through(&self) -> Result<i64, StoreError> {
        let sql = "SELECT window FROM cohort_through";
        Ok(self.0.query_row(sql, [], |row| row.get(0))?)
    }

    /// From which hour on those of single devices are whole: what is older may be gone.
    pub(crate) fn devices_from(&self) -> Result<u64, StoreError> {
        let sql = "SELECT devices_from FROM cohort_through";
        Ok(self.0.query_row(sql, [], |row| column::number(row, 0))?)
    }

    /// Hours of single devices before `hour` go from now on.
    pub(super) fn let_device_hours_go(&self, hour: u64) -> Result<(), StoreError> {
        let sql = "UPDATE cohort_through SET devices_from = max(devices_from, ?)";
        self.0.execute(sql, [bits(hour)])?;
        Ok(())
    }

    /// Adds what windows up to `through` count; whoever asks has looked that none is in there already.
    pub(crate) fn add_to_cohorts(&self, sums: &CohortSums, through: i64) -> Result<(), StoreError> {
        for (key, more) in &sums.hours {
            self.add_cohort_hour(key, more)?;
        }
        self.add_cohort_devices(&sums.devices)?;
        let sql = "UPDATE cohort_through SET window = max(window, ?)";
        self.0.execute(sql, [through])?;
        Ok(())
    }

    fn add_cohort_devices(&self, devices: &LastHours) -> Result<(), StoreError> {
        let mut upsert = self.0.prepare_cached(
            "INSERT INTO cohort_devices (model, cohort, bundle, device, hour) VALUES (?, ?, ?, ?, ?)
             ON CONFLICT DO UPDATE SET hour = max(hour, excluded.hour)",
        )?;
        for ((model, cohort, bundle, device), hour) in devices {
            let (model, device) = (model.as_str(), device.as_str());
            upsert.execute(params![model, cohort, bundle.0, device, bits(*hour)])?;
        }
        Ok(())
    }

    fn add_cohort_hour(&self, key: &Key, more: &WindowSums) -> Result<(), StoreError> {
        let mut select = self.0.prepare_cached(
            "SELECT closed_windows, calls, misfits, sums FROM cohort_hours
             WHERE model = ? AND cohort = ? AND hour = ? AND bundle = ? AND reference = ?
             AND shape = ?",
        )?;
        let reference = reference_bytes(key.reference.as_ref());
        let model = key.model.as_str();
        let named = params![
            model,
            key.cohort,
            bits(key.hour),
            key.bundle.0,
            reference,
            key.shape
        ];
        let before = select
            .query_row(named, |row| read_sums(row, 0))
            .optional()?;
        let sums = match before {
            Some(mut sums) => {
                sums.merge(more);
                sums
            }
            None => more.clone(),
        };
        self.put_cohort_hour(key, &sums)
    }

    /// Writes a row in place of the one that is there.
    fn put_cohort_hour(&self, key: &Key, sums: &WindowSums) -> Result<(), StoreError> {
        let mut upsert = self.0.prepare_cached(
            "INSERT INTO cohort_hours (model, cohort, hour, bundle, reference, shape,
             closed_windows, calls, misfits, sums) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
             ON CONFLICT DO UPDATE SET closed_windows = excluded.closed_windows,
             calls = excluded.calls, misfits = excluded.misfits, sums = excluded.sums",
        )?;
        upsert.execute(params![
            key.model.as_str(),
            key.cohort,
            bits(key.hour),
            key.bundle.0,
            reference_bytes(key.reference.as_ref()),
            key.shape,
            bits(sums.closed_windows),
            bits(sums.calls),
            bits(sums.misfits),
            write_features(&sums.features),
        ])?;
        Ok(())
    }

    /// Hands out the hours of a cohort.
    pub(crate) fn each_cohort_hour(
        &self,
        of: OfCohort<'_>,
        mut take: impl FnMut(CohortHour),
    ) -> Result<(), StoreError> {
        let mut statement = self.0.prepare_cached(
            "SELECT bundle, reference, closed_windows, calls, misfits, sums FROM cohort_hours
             WHERE model = ? AND cohort = ? AND hour >= ? AND hour < ?",
        )?;
        let named = params![of.model.as_str(), of.cohort, bits(of.from), bits(of.until)];
        let mut rows = statement.query(named)?;
        while let Some(row) = rows.next()? {
            let reference: Vec<u8> = row.get(1)?;
            take(CohortHour {
                bundle: column::digest(row, 0)?,
                reference: <[u8; 32]>::try_from(reference).ok().map(Digest),
                sums: read_sums(row, 2)?,
            });
        }
        Ok(())
    }

    /// Devices that were in a cohort in the hour `from` or later, with the bundle that served.
    pub(crate) fn cohort_devices(
        &self,
        model: &ModelId,
        cohort: &str,
        from: u64,
    ) -> Result<Vec<(Digest, String)>, StoreError> {
        let mut statement = self.0.prepare_cached(
            "SELECT bundle, device FROM cohort_devices
             WHERE model = ? AND cohort = ? AND hour >= ? ORDER BY bundle, device",
        )?;
        let read = |row: &Row<'_>| Ok((column::digest(row, 0)?, row.get(1)?));
        let rows = statement.query_map(params![model.as_str(), cohort, bits(from)], read)?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Whether any device of a model was ever in a cohort.
    pub(crate) fn knows_cohort(&self, model: &ModelId, cohort: &str) -> Result<bool, StoreError> {
        let sql = "SELECT EXISTS (SELECT 1 FROM cohort_devices WHERE model = ? AND cohort = ?)";
        let named = params![model.as_str(), cohort];
        Ok(self.0.query_row(sql, named, |row| row.get(0))?)
    }
}

#[cfg(test)]
mod tests;
