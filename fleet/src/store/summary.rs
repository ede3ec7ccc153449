//! What a table of the fleet shows, from rows that are kept with each document: nothing is summed
//! over windows here.

use std::collections::BTreeMap;

use muster_protocol::stats::LatencyFold;
use rusqlite::Row;
use serde::Serialize;

use super::column;
use super::windows::read_latency;
use super::{DeviceRow, Page, Paged, StoreError, Tx};

/// A device and its models.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct DeviceSummary {
    /// The device.
    #[serde(flatten)]
    pub(crate) device: DeviceRow,
    /// Documents in which it said that counts were lost: by a power cut, by damage, for want of
    /// room.
    pub(crate) gaps: u64,
    /// Its models, by name.
    pub(crate) models: Vec<ModelSummary>,
}

/// A model on a device.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct ModelSummary {
    /// The model.
    pub(crate) model: String,
    /// What the newest rollout wants.
    pub(crate) desired_version: Option<String>,
    /// What serves, by the receipts.
    pub(crate) active_version: Option<String>,
    /// The last step.
    pub(crate) step: Option<String>,
    /// Why.
    pub(crate) reason: Option<String>,
    /// Why, in a sentence.
    pub(crate) detail: Option<String>,
    /// The version that the last step is about.
    pub(crate) step_version: Option<String>,
    /// When the last step was reported, unix seconds.
    pub(crate) step_at: Option<u64>,
    /// Rows predicted, in all windows stored.
    pub(crate) predictions: u64,
    /// Windows stored, merged ones counted.
    pub(crate) closed_windows: u64,
    /// Requests that failed.
    pub(crate) errors: u64,
    /// Median latency, microseconds, as the upper bound of its bucket.
    pub(crate) latency_p50_us: Option<u32>,
    /// Latency that 95 % stay below, likewise.
    pub(crate) latency_p95_us: Option<u32>,
    /// Latency that 99 % stay below, likewise.
    pub(crate) latency_p99_us: Option<u32>,
}

type Models = BTreeMap<String, ModelSummary>;

impl Tx<'_> {
    /// Devices with their models, by name.
    pub(crate) fn summary(&self, page: &Page) -> Result<Paged<DeviceSummary>, StoreError> {
        let devices = self.devices(page)?;
        let summaries = devices.items.into_iter().map(|row| self.summary_of(row));
        let items = summaries.collect::<Result<_, StoreError>>()?;
        Ok(Paged {
            items,
            next: devices.next,
        })
    }

    /// A device with its models.
    pub(crate) fn summary_of(&self, device: DeviceRow) -> Result<DeviceSummary, StoreError> {
        let gaps = self.gaps_of(&device.device)?;
        let models = self.models_of(&device.device)?;
        Ok(DeviceSummary {
            device,
            gaps,
            models,
        })
    }

    fn gaps_of(&self, device: &str) -> Result<u64, StoreError> {
        let sql = "SELECT count(*) FROM gaps WHERE device = ?";
        let mut statement = self.0.prepare_cached(sql)?;
        Ok(statement.query_row([device], |row| column::number(row, 0))?)
    }

    /// The models of a device, by name.
    pub(crate) fn models_of(&self, device: &str) -> Result<Vec<ModelSummary>, StoreError> {
        let mut models = Models::new();
        self.each(
            device,
            "SELECT model, version FROM desired WHERE device = ? AND role = 0",
            |row| {
                named(&mut models, row)?.desired_version = row.get(1)?;
                Ok(())
            },
        )?;
        let states = "SELECT model, active_version, step, reason, detail, version, updated_at
                      FROM device_models WHERE device = ? AND role = 0";
        self.each(device, states, |row| {
            let model = named(&mut models, row)?;
            model.active_version = row.get(1)?;
            (model.step, model.reason, model.detail) = (row.get(2)?, row.get(3)?, row.get(4)?);
            model.step_version = row.get(5)?;
            model.step_at = column::maybe_number(row, 6)?;
            Ok(())
        })?;
        self.count(device, &mut models)?;
        Ok(models.into_values().collect())
    }

    fn count(&self, device: &str, models: &mut Models) -> Result<(), StoreError> {
        let mut latencies = BTreeMap::<String, LatencyFold>::new();
        let counters = "SELECT model, calls, closed_windows, errors, latency FROM counters
                        WHERE device = ?";
        self.each(device, counters, |row| {
            let model = named(models, row)?;
            model.predictions = model.predictions.saturating_add(column::number(row, 1)?);
            model.closed_windows = model.closed_windows.saturating_add(column::number(row, 2)?);
            model.errors = model.errors.saturating_add(column::number(row, 3)?);
            let latency = latencies.entry(model.model.clone()).or_default();
            let more = read_latency(&row.get::<_, Vec<u8>>(4)?);
            more.iter()
                .for_each(|(bucket, count)| latency.add(bucket, count));
            Ok(())
        })?;
        for (model, latency) in latencies {
            let model = models.entry(model).or_default();
            model.latency_p50_us = latency.quantile_us(500);
            model.latency_p95_us = latency.quantile_us(950);
            model.latency_p99_us = latency.quantile_us(990);
        }
        Ok(())
    }

    fn each(
        &self,
        device: &str,
        sql: &str,
        mut take: impl FnMut(&Row<'_>) -> rusqlite::Result<()>,
    ) -> Result<(), StoreError> {
        let mut statement = self.0.prepare_cached(sql)?;
        let mut rows = statement.query([device])?;
        while let Some(row) = rows.next()? {
            take(row)?;
        }
        Ok(())
    }
}

fn named<'m>(models: &'m mut Models, row: &Row<'_>) -> rusqlite::Result<&'m mut ModelSummary> {
    let name: String = row.get(0)?;
    let model = models.entry(name.clone()).or_default();
    model.model = name;
    Ok(model)
}
