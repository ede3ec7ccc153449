//! Signed metadata and `fleet.json`, every version as it was accepted. Never verifies: what is
//! in here was.

use rusqlite::{OptionalExtension, params};

use super::column::{self, bits};
use super::{StoreError, Tx};

impl Tx<'_> {
    /// Keeps a version of a role's document; the same version again changes nothing.
    pub(crate) fn add_metadata(
        &self,
        role: &str,
        version: u64,
        document: &[u8],
    ) -> Result<(), StoreError> {
        self.0.execute(
            "INSERT INTO metadata (role, version, document) VALUES (?, ?, ?)
             ON CONFLICT DO NOTHING",
            params![role, bits(version), document],
        )?;
        Ok(())
    }

    /// A version of a role's document, or the newest, with its version.
    pub(crate) fn metadata(
        &self,
        role: &str,
        version: Option<u64>,
    ) -> Result<Option<(u64, Vec<u8>)>, StoreError> {
        let mut statement = self.0.prepare_cached(
            "SELECT version, document FROM metadata WHERE role = ?1 AND (?2 IS NULL OR version = ?2)
             ORDER BY version DESC LIMIT 1",
        )?;
        let found = statement.query_row(params![role, version.map(bits)], |row| {
            Ok((column::number(row, 0)?, row.get(1)?))
        });
        Ok(found.optional()?)
    }

    /// The newest version of a role; zero when there is none.
    pub(crate) fn newest_version(&self, role: &str) -> Result<u64, StoreError> {
        let sql = "SELECT COALESCE(MAX(version), 0) FROM metadata WHERE role = ?";
        let mut statement = self.0.prepare_cached(sql)?;
        Ok(statement.query_row([role], |row| column::number(row, 0))?)
    }

    /// The newest document of every delegated role.
    pub(crate) fn delegated_metadata(&self) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
        let mut statement = self.0.prepare_cached(
            "SELECT role, document, MAX(version) FROM metadata WHERE role LIKE 'models/%'
             GROUP BY role ORDER BY role",
        )?;
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Forgets all but the newest `keep` versions of an online role: they are re-signed often.
    pub(crate) fn prune_metadata(&self, role: &str, keep: u64) -> Result<(), StoreError> {
        self.0.execute(
            "DELETE FROM metadata WHERE role = ?1 AND version <=
             (SELECT MAX(version) FROM metadata WHERE role = ?1) - ?2",
            params![role, bits(keep)],
        )?;
        Ok(())
    }
}
