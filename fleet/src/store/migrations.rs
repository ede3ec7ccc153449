//! The numbered migrations, each run once, in order, in its own transaction.
//!
//! Never edits a migration that was released: a change is the next number.

use rusqlite::Connection;

use super::{StoreError, Tx};

const MIGRATIONS: [&str; 2] = [
    include_str!("migrations/0001.sql"),
    include_str!("migrations/0002.sql"),
];

/// The migration after which the windows that are there must be summed.
const FEATURE_SUMS: i64 = 2;

/// Brings the store to the newest schema.
pub(super) fn run(connection: &mut Connection) -> Result<(), StoreError> {
    let known = MIGRATIONS.len() as i64;
    let found: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if !(0..=known).contains(&found) {
        return Err(StoreError::Newer { found, known });
    }
    for (number, migration) in (1..).zip(MIGRATIONS).skip(found as usize) {
        let transaction = connection.transaction()?;
        transaction.execute_batch(migration)?;
        if number == FEATURE_SUMS {
            Tx(&transaction).sum_all_windows()?;
        }
        transaction.pragma_update(None, "user_version", number)?;
        transaction.commit()?;
    }
    Ok(())
}
