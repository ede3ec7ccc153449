//! The hours of all devices together, from those of each: once, in a store that was made before there were cohorts.
//!
//! In which other cohorts devices were then, nobody knows. Never holds more than one hour of a model, and who was
//! in it.

use super::*;

/// Rows between two lines of the log.
const ROWS_PER_LINE: u64 = 500_000;

/// A row of `feature_hours`.
struct DeviceHour {
    device: DeviceId,
    key: Key,
    sums: WindowSums,
}

impl Tx<'_> {
    /// Fills them in. Rows are read by model and hour, and each row of a cohort is written once.
    pub(in super::super) fn fill_cohort_hours(&self) -> Result<(), StoreError> {
        let count = "SELECT count(*) FROM feature_hours";
        let all = self.0.query_row(count, [], |row| column::number(row, 0))?;
        if all > 0 {
            tracing::info!("sums {all} hours of devices into hours of all devices together");
        }
        // Without its index all rows would be sorted first.
        let sql = "SELECT model, device, hour, bundle, reference, closed_windows, calls, misfits,
                   sums FROM feature_hours INDEXED BY feature_hours_of_model ORDER BY model, hour";
        let mut statement = self.0.prepare(sql)?;
        let mut rows = statement.query([])?;
        let (mut done, mut open) = (0_u64, CohortSums::default());
        while let Some(row) = rows.next()? {
            let next = DeviceHour::read(row)?;
            self.end_before(&next.key, &mut open)?;
            open.add_hour(next);
            done += 1;
            if done.is_multiple_of(ROWS_PER_LINE) {
                tracing::info!("summed {done} of {all} hours of devices");
            }
        }
        self.end(&mut open.hours)?;
        self.add_cohort_devices(&open.devices)
    }

    /// Writes the hour that is open, and the devices of its model, if `next` is of another.
    fn end_before(&self, next: &Key, open: &mut CohortSums) -> Result<(), StoreError> {
        let Some((newest, _)) = open.hours.last_key_value() else {
            return Ok(());
        };
        let (same_model, same_hour) = (newest.model == next.model, newest.hour == next.hour);
        if !(same_model && same_hour) {
            self.end(&mut open.hours)?;
        }
        if !same_model {
            self.add_cohort_devices(&std::mem::take(&mut open.devices))?;
        }
        Ok(())
    }

    fn end(&self, hours: &mut BTreeMap<Key, WindowSums>) -> Result<(), StoreError> {
        for (key, sums) in std::mem::take(hours) {
            self.put_cohort_hour(&key, &sums)?;
        }
        Ok(())
    }
}

impl CohortSums {
    fn add_hour(&mut self, of: DeviceHour) {
        let (model, bundle, hour) = (of.key.model.clone(), of.key.bundle, of.key.hour);
        let last = self
            .devices
            .entry((model, ALL.to_owned(), bundle, of.device));
        let last = last.or_insert(hour);
        *last = hour.max(*last);
        self.put(of.key, of.sums);
    }
}

impl DeviceHour {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        let reference: Vec<u8> = row.get(4)?;
        let sums = read_sums(row, 5)?;
        let key = Key {
            model: column::id(row, 0)?,
            cohort: ALL.to_owned(),
            hour: column::number(row, 2)?,
            bundle: column::digest(row, 3)?,
            reference: <[u8; 32]>::try_from(reference).ok().map(Digest),
            shape: shape(&sums),
        };
        let device = column::id(row, 1)?;
        Ok(Self { device, key, sums })
    }
}
