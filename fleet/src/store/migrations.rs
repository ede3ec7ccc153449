//! The numbered migrations, each run once, in order, in its own transaction.
//!
//! Never edits a migration that was released: a change is the next number.

use rusqlite::Connection;

use super::{StoreError, Tx};

const MIGRATIONS: [&str; 12] = [
    include_str!("migrations/0001.sql"),
    include_str!("migrations/0002.sql"),
    include_str!("migrations/0003.sql"),
    include_str!("migrations/0004.sql"),
    include_str!("migrations/0005.sql"),
    include_str!("migrations/0006.sql"),
    include_str!("migrations/0007.sql"),
    include_str!("migrations/0008.sql"),
    include_str!("migrations/0009.sql"),
    include_str!("migrations/0010.sql"),
    include_str!("migrations/0011.sql"),
    include_str!("migrations/0012.sql"),
];

/// The newest schema.
pub(crate) const NEWEST: i64 = MIGRATIONS.len() as i64;

/// The migration after which the windows that are there must be summed.
const FEATURE_SUMS: i64 = 2;
/// The migration after which the hours of all devices together must be filled in.
const COHORT_HOURS: i64 = 12;

/// Brings the store to the newest schema.
pub(super) fn run(connection: &mut Connection) -> Result<(), StoreError> {
    let found = found(connection)?;
    for (number, migration) in (1..).zip(MIGRATIONS).skip(found as usize) {
        let transaction = connection.transaction()?;
        transaction.execute_batch(migration)?;
        if number == FEATURE_SUMS {
            Tx(&transaction).sum_all_windows()?;
        }
        if number == COHORT_HOURS {
            Tx(&transaction).fill_cohort_hours()?;
        }
        transaction.pragma_update(None, "user_version", number)?;
        transaction.commit()?;
    }
    Ok(())
}

/// The schema of a store; one that this program does not know is refused.
pub(super) fn found(connection: &Connection) -> Result<i64, StoreError> {
    let found: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if (0..=NEWEST).contains(&found) {
        return Ok(found);
    }
    Err(StoreError::Newer {
        found,
        known: NEWEST,
    })
}

#[cfg(test)]
pub(super) fn all() -> impl Iterator<Item = (i64, &'static str)> {
    (1..).zip(MIGRATIONS)
}
