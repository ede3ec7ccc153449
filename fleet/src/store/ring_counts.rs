//! What devices counted for the rings of rollouts by policy: sums that each window adds to, in the
//! transaction that takes it, so that each counts once.
//!
//! Never a judgement, and never a window of another entry than the one that the rollout has made.

use std::collections::BTreeMap;

use muster_fleet::planner::State;
use muster_protocol::digest::Digest;
use muster_protocol::id::{DeviceId, EpochGeneration};
use muster_protocol::message::Window;
use muster_protocol::stats::LatencyFold;
use rusqlite::{OptionalExtension, Row, params};

use super::column::{self, bits};
use super::windows::{read_latency, write_latency};
use super::{StoreError, Tx};

/// On which side of a comparison a device is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Arm {
    /// The ring's own devices, on the new version.
    Ring,
    /// Devices that run another version in the same time.
    Control,
}

impl Arm {
    const fn number(self) -> u8 {
        match self {
            Self::Ring => 0,
            Self::Control => 1,
        }
    }
}

/// Sums of one device.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct RingCounts {
    /// Closed windows.
    pub(crate) closed_windows: u64,
    /// Monotonic milliseconds that they span.
    pub(crate) soaked_ms: u64,
    /// Rows predicted.
    pub(crate) calls: u64,
    /// Failed requests by code.
    pub(crate) errors: BTreeMap<u8, u64>,
    /// Latencies of requests.
    pub(crate) latency: LatencyFold,
}

/// Sums of one device with what they are of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RingCountsRow {
    /// On which side.
    pub(crate) arm: Arm,
    /// The device.
    pub(crate) device: DeviceId,
    /// The bundle that served.
    pub(crate) bundle: Digest,
    /// The entry that made it serve.
    pub(crate) since: EpochGeneration,
    /// The sums.
    pub(crate) counts: RingCounts,
}

impl Tx<'_> {
    /// Adds a window to every ring that it says something about.
    pub(crate) fn count_for_rings(
        &self,
        device: &DeviceId,
        window: &Window<'_>,
    ) -> Result<(), StoreError> {
        for standing in self.planned_that_go_on(Some(&window.model))? {
            let rollout = standing.id.0.cast_signed();
            let Some(released) = self.bundle_of_rollout(rollout)? else {
                continue;
            };
            let told = self.told(rollout, device)?;
            let place = match told {
                Some(told) if window.bundle == released && window.since >= told.since => {
                    Some((told.ring, Arm::Ring))
                }
                None if window.bundle != released => match standing.state {
                    State::Running { ring, .. } => Some((ring, Arm::Control)),
                    _ => None,
                },
                _ => None,
            };
            if let Some((ring, arm)) = place {
                self.count_for_ring(rollout, ring, arm, device, window)?;
            }
        }
        Ok(())
    }

    /// The bundle of the release that a rollout brings, once it is published.
    pub(crate) fn bundle_of_rollout(&self, rollout: i64) -> Result<Option<Digest>, StoreError> {
        let sql = "SELECT r.bundle FROM rollouts o
                   JOIN releases r ON r.model = o.model AND r.version = o.version
                   WHERE o.rollout = ?";
        let mut statement = self.0.prepare_cached(sql)?;
        let found = statement.query_row([rollout], |row| column::digest(row, 0));
        Ok(found.optional()?)
    }

    fn count_for_ring(
        &self,
        rollout: i64,
        ring: u32,
        arm: Arm,
        device: &DeviceId,
        window: &Window<'_>,
    ) -> Result<(), StoreError> {
        let key = params![
            rollout,
            ring,
            arm.number(),
            device.as_str(),
            window.bundle.0
        ];
        let mut select = self.0.prepare_cached(
            "SELECT since_epoch, since_generation, closed_windows, soaked_ms, calls, errors, latency
             FROM ring_counts
             WHERE rollout = ? AND ring = ? AND arm = ? AND device = ? AND bundle = ?",
        )?;
        let before = select.query_row(key, |row| Ok((column::pair(row, 0)?, counts(row, 2)?)));
        let (since, mut sums) = match before.optional()? {
            // A deliberate retry begins anew.
            Some((since, sums)) if since == window.since => (since, sums),
            Some((since, _)) if since > window.since => return Ok(()),
            Some(_) | None => (window.since, RingCounts::default()),
        };
        sums.add(window);
        let mut upsert = self.0.prepare_cached(
            "INSERT OR REPLACE INTO ring_counts (rollout, ring, arm, device, bundle, since_epoch,
             since_generation, closed_windows, soaked_ms, calls, errors, latency)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )?;
        upsert.execute(params![
            rollout,
            ring,
            arm.number(),
            device.as_str(),
            window.bundle.0,
            bits(since.epoch.0),
            bits(since.generation.0),
            bits(sums.closed_windows),
            bits(sums.soaked_ms),
            bits(sums.calls),
            column::to_json(&sums.errors)?,
            write_latency(&sums.latency),
        ])?;
        Ok(())
    }

    /// Sums of a ring and of its control, by arm and device.
    pub(crate) fn ring_counts(
        &self,
        rollout: i64,
        ring: u32,
    ) -> Result<Vec<RingCountsRow>, StoreError> {
        let mut statement = self.0.prepare_cached(
            "SELECT arm, device, bundle, since_epoch, since_generation, closed_windows, soaked_ms,
             calls, errors, latency FROM ring_counts WHERE rollout = ? AND ring = ?
             ORDER BY arm, device, bundle",
        )?;
        let rows = statement.query_map(params![rollout, ring], |row| {
            Ok(RingCountsRow {
                arm: match row.get::<_, u8>(0)? {
                    0 => Arm::Ring,
                    _ => Arm::Control,
                },
                device: column::id(row, 1)?,
                bundle: column::digest(row, 2)?,
                since: column::pair(row, 3)?,
                counts: counts(row, 5)?,
            })
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }
}

impl RingCounts {
    fn add(&mut self, window: &Window<'_>) {
        let add = |mine: &mut u64, more: u64| *mine = mine.saturating_add(more);
        add(&mut self.closed_windows, window.closed_windows.into());
        add(
            &mut self.soaked_ms,
            window.ended.0.saturating_sub(window.started.0),
        );
        add(&mut self.calls, window.calls);
        for error in window.errors.iter() {
            add(
                self.errors.entry(error.code).or_default(),
                error.count.into(),
            );
        }
        for count in window.latency.iter() {
            self.latency.add(count.bucket, count.count);
        }
    }
}

fn counts(row: &Row<'_>, first: usize) -> rusqlite::Result<RingCounts> {
    Ok(RingCounts {
        closed_windows: column::number(row, first)?,
        soaked_ms: column::number(row, first + 1)?,
        calls: column::number(row, first + 2)?,
        errors: column::from_json(row, first + 3)?,
        latency: read_latency(&row.get::<_, Vec<u8>>(first + 4)?),
    })
}
