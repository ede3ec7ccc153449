//! What devices counted for the rings of rollouts by policy: sums that each window adds to, in the
//! transaction that takes it, so that each counts once.
//!
//! Never a judgement, and never a window of another entry than the one that the rollout has made.

use std::collections::BTreeMap;

use muster_fleet::gate::Compared;
use muster_fleet::planner::State;
use muster_fleet::quality::ScoreSums;
use muster_fleet::ring_evidence::Arm;
use muster_protocol::digest::Digest;
use muster_protocol::id::{DeviceId, EpochGeneration};
use muster_protocol::message::{Role, Window};
use rusqlite::types::ValueRef;
use rusqlite::{OptionalExtension, Row, params};

use super::column::{self, bits};
use super::score_hours;
use super::{Countable, StoreError, Tx};

/// As the column has it.
const fn number(arm: Arm) -> u8 {
    match arm {
        Arm::Ring => 0,
        Arm::Control => 1,
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
    /// Requests whose latency was measured, of windows that count against the objective of the
    /// release that the rollout brings.
    pub(crate) latencies: u64,
    /// Of those, requests over it.
    pub(crate) latency_misses: u64,
    /// Rows that have a score, of bundles with as many classes.
    pub(crate) scored: u64,
    /// The sum of the probabilities that they are predicted wrongly, in steps of 2^-16.
    pub(crate) estimated_wrong_steps: u64,
    /// Scores, of releases of two classes.
    pub(crate) scores: ScoreSums,
    /// Predictions by bin of the release's first output, of bundles whose bins mean the same.
    pub(crate) classes: BTreeMap<u32, u64>,
    /// How it compared with what serves, where it is a shadow.
    pub(crate) shadow: Compared,
}

/// What a rollout brings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Released {
    /// The bundle.
    pub(crate) bundle: Digest,
    /// What it is there for.
    pub(crate) role: Role,
    /// What gates can count of it.
    pub(crate) countable: Countable,
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
            let Some(released) = self.released_by(rollout)? else {
                continue;
            };
            let told = self.told(rollout, device)?;
            let runs_as = match window.shadow {
                Some(_) => Role::Shadow,
                None => Role::Serve,
            };
            let place = match told {
                _ if released.role != runs_as => None,
                Some(told) if window.bundle == released.bundle && window.since >= told.since => {
                    Some((told.ring, Arm::Ring))
                }
                // What serves beside it is the control of a shadow, on each device its own.
                None if runs_as == Role::Shadow => None,
                None if window.bundle != released.bundle => match standing.state {
                    State::Running { ring, .. } => Some((ring, Arm::Control)),
                    _ => None,
                },
                _ => None,
            };
            if let Some((ring, arm)) = place {
                let countable = self.countable_in(window, &released)?;
                let counts = RingCounts::of(window, &countable);
                self.count_for_ring(rollout, ring, arm, device, window, &counts)?;
            }
        }
        Ok(())
    }

    /// What of a window can be compared with those of a release.
    fn countable_in(
        &self,
        window: &Window<'_>,
        released: &Released,
    ) -> Result<Countable, StoreError> {
        if window.bundle == released.bundle {
            return Ok(released.countable);
        }
        let other = self.countable_of_bundle(&window.model, &window.bundle)?;
        Ok(released.countable.shared_with(&other.unwrap_or_default()))
    }

    /// The release that a rollout brings, once it is published.
    pub(crate) fn released_by(&self, rollout: i64) -> Result<Option<Released>, StoreError> {
        let sql = "SELECT r.bundle, r.countable IS NULL, r.countable, o.role FROM rollouts o
                   JOIN releases r ON r.model = o.model AND r.version = o.version
                   WHERE o.rollout = ?";
        let mut statement = self.0.prepare_cached(sql)?;
        let found = statement.query_row([rollout], |row| {
            Ok(Released {
                bundle: column::digest(row, 0)?,
                role: column::role(row, 3)?,
                countable: match row.get(1)? {
                    true => Countable::default(),
                    false => column::from_cbor(row, 2)?,
                },
            })
        });
        Ok(found.optional()?)
    }

    fn count_for_ring(
        &self,
        rollout: i64,
        ring: u32,
        arm: Arm,
        device: &DeviceId,
        window: &Window<'_>,
        counts: &RingCounts,
    ) -> Result<(), StoreError> {
        let key = params![rollout, ring, number(arm), device.as_str(), window.bundle.0];
        let mut select = self.0.prepare_cached(
            "SELECT since_epoch, since_generation, closed_windows, soaked_ms, calls, errors, latencies,
             latency_misses, classes, shadow, scored, estimated_wrong_steps, scores FROM ring_counts
             WHERE rollout = ? AND ring = ? AND arm = ? AND device = ? AND bundle = ?",
        )?;
        let before = select.query_row(key, |row| Ok((column::pair(row, 0)?, read(row, 2)?)));
        let (since, mut sums) = match before.optional()? {
            // A deliberate retry begins anew.
            Some((since, sums)) if since == window.since => (since, sums),
            Some((since, _)) if since > window.since => return Ok(()),
            Some(_) | None => (window.since, RingCounts::default()),
        };
        sums.add(counts);
        let mut upsert = self.0.prepare_cached(
            "INSERT OR REPLACE INTO ring_counts (rollout, ring, arm, device, bundle, since_epoch,
             since_generation, closed_windows, soaked_ms, calls, errors, latencies, latency_misses,
             classes, shadow, scored, estimated_wrong_steps, scores)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )?;
        upsert.execute(params![
            rollout,
            ring,
            number(arm),
            device.as_str(),
            window.bundle.0,
            bits(since.epoch.0),
            bits(since.generation.0),
            bits(sums.closed_windows),
            bits(sums.soaked_ms),
            bits(sums.calls),
            column::to_json(&sums.errors)?,
            bits(sums.latencies),
            bits(sums.latency_misses),
            column::to_json(&sums.classes)?,
            match &window.shadow {
                Some(_) => Some(column::to_json(&sums.shadow)?),
                None => None,
            },
            bits(sums.scored),
            bits(sums.estimated_wrong_steps),
            (sums.scores != ScoreSums::default()).then(|| score_hours::write(&sums.scores)),
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
             calls, errors, latencies, latency_misses, classes, shadow, scored,
             estimated_wrong_steps, scores FROM ring_counts WHERE rollout = ? AND ring = ?
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
                counts: read(row, 5)?,
            })
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }
}

impl RingCounts {
    /// What one window counts.
    fn of(window: &Window<'_>, countable: &Countable) -> Self {
        let latencies = countable.latencies(window);
        let (scored, estimated_wrong_steps) = countable.estimated_wrong(window);
        let mut counts = Self {
            closed_windows: window.closed_windows.into(),
            soaked_ms: window.ended.0.saturating_sub(window.started.0),
            calls: window.calls,
            latencies: latencies.measured,
            latency_misses: latencies.misses,
            scored,
            estimated_wrong_steps,
            scores: countable.ranked(window).unwrap_or_default(),
            ..Self::default()
        };
        for error in window.errors.iter() {
            add(&mut counts.errors, error.code, error.count.into());
        }
        let bins = countable.output(window).map(|output| output.bins);
        for (bin, count) in (0..).zip(bins.iter().flat_map(|bins| bins.iter())) {
            add(&mut counts.classes, bin, count.into());
        }
        if let Some(shadow) = &window.shadow {
            counts.shadow = Compared::of(window, shadow);
        }
        counts
    }

    fn add(&mut self, more: &Self) {
        for (mine, more) in [
            (&mut self.closed_windows, more.closed_windows),
            (&mut self.soaked_ms, more.soaked_ms),
            (&mut self.calls, more.calls),
            (&mut self.latencies, more.latencies),
            (&mut self.latency_misses, more.latency_misses),
            (&mut self.scored, more.scored),
            (&mut self.estimated_wrong_steps, more.estimated_wrong_steps),
        ] {
            *mine = mine.saturating_add(more);
        }
        for (code, count) in &more.errors {
            add(&mut self.errors, *code, *count);
        }
        for (bin, count) in &more.classes {
            add(&mut self.classes, *bin, *count);
        }
        self.scores.merge(&more.scores);
        self.shadow.add(&more.shadow);
    }
}

/// What was not counted takes no room.
fn add<K: Ord>(counts: &mut BTreeMap<K, u64>, key: K, more: u64) {
    if more > 0 {
        let count = counts.entry(key).or_default();
        *count = count.saturating_add(more);
    }
}

fn read(row: &Row<'_>, first: usize) -> rusqlite::Result<RingCounts> {
    Ok(RingCounts {
        closed_windows: column::number(row, first)?,
        soaked_ms: column::number(row, first + 1)?,
        calls: column::number(row, first + 2)?,
        errors: column::from_json(row, first + 3)?,
        latencies: column::number(row, first + 4)?,
        latency_misses: column::number(row, first + 5)?,
        classes: column::from_json(row, first + 6)?,
        shadow: match row.get::<_, Option<String>>(first + 7)? {
            Some(_) => column::from_json(row, first + 7)?,
            None => Compared::default(),
        },
        scored: column::number(row, first + 8)?,
        estimated_wrong_steps: column::number(row, first + 9)?,
        scores: match row.get_ref(first + 10)? {
            ValueRef::Null => ScoreSums::default(),
            _ => score_hours::read(row, first + 10)?,
        },
    })
}

#[cfg(test)]
mod tests;
