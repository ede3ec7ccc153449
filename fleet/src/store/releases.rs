//! Releases, and the blobs that each of them reaches. Never the blobs themselves.

use muster_protocol::digest::Digest;
use muster_protocol::id::{ModelId, Version};
use muster_protocol::message::Statement;
use muster_protocol::time::UnixSeconds;
use rusqlite::{OptionalExtension, Row, params};
use serde::Serialize;

use super::column::{self, bits};
use super::{Countable, StoreError, Tx};

/// A release as lists show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct ReleaseRow {
    /// The model.
    pub(crate) model: String,
    /// The version.
    pub(crate) version: String,
    /// Its place in the order of releases.
    pub(crate) rank: u32,
    /// Digest of the signed statement.
    pub(crate) statement: String,
    /// Digest of the bundle's manifest.
    pub(crate) bundle: String,
    /// What kind of machine it is for.
    pub(crate) class: String,
    /// When it was released, unix seconds.
    pub(crate) issued_at: u64,
    /// When it was published here, unix seconds.
    pub(crate) published_at: u64,
}

impl Tx<'_> {
    /// Whether anything was ever heard of a model: a release, or a window.
    pub(crate) fn knows_model(&self, model: &str) -> Result<bool, StoreError> {
        let sql = "SELECT EXISTS (SELECT 1 FROM releases WHERE model = ?1)
                   OR EXISTS (SELECT 1 FROM counters WHERE model = ?1)";
        Ok(self.0.query_row(sql, [model], |row| row.get(0))?)
    }

    /// Adds a release with all that it reaches, itself and its manifest included.
    pub(crate) fn add_release(
        &self,
        statement: &Statement,
        signed: &[u8],
        reaches: &[Digest],
        now: UnixSeconds,
    ) -> Result<(), StoreError> {
        let digest = Digest::of(signed);
        self.0.execute(
            "INSERT INTO releases (model, version, rank, statement, statement_size, bundle, class,
             issued_at, published_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            params![
                statement.model.as_str(),
                statement.version.as_str(),
                statement.rank.0,
                digest.0,
                bits(signed.len() as u64),
                statement.bundle.0,
                statement.class.as_str(),
                bits(statement.issued_at.0),
                bits(now.0),
            ],
        )?;
        let mut insert = self.0.prepare_cached(
            "INSERT INTO release_blobs (statement, digest) VALUES (?, ?) ON CONFLICT DO NOTHING",
        )?;
        for reached in reaches.iter().chain([&digest, &statement.bundle]) {
            insert.execute(params![digest.0, reached.0])?;
        }
        Ok(())
    }

    /// Keeps what gates can count of a release.
    pub(crate) fn set_countable(
        &self,
        model: &ModelId,
        version: &Version,
        countable: &Countable,
    ) -> Result<(), StoreError> {
        self.0.execute(
            "UPDATE releases SET countable = ? WHERE model = ? AND version = ?",
            params![column::to_cbor(countable), model.as_str(), version.as_str()],
        )?;
        Ok(())
    }

    /// What gates can count of a release; none when it was published before there was such.
    pub(crate) fn countable(
        &self,
        model: &ModelId,
        version: &Version,
    ) -> Result<Option<Countable>, StoreError> {
        let sql = "SELECT countable FROM releases
                   WHERE model = ? AND version = ? AND countable IS NOT NULL";
        let mut statement = self.0.prepare_cached(sql)?;
        let row = |row: &Row<'_>| column::from_cbor(row, 0);
        let found = statement.query_row([model.as_str(), version.as_str()], row);
        Ok(found.optional()?)
    }

    /// The same of the release that brought a bundle.
    pub(crate) fn countable_of_bundle(
        &self,
        model: &ModelId,
        bundle: &Digest,
    ) -> Result<Option<Countable>, StoreError> {
        let sql = "SELECT countable FROM releases
                   WHERE model = ? AND bundle = ? AND countable IS NOT NULL";
        let mut statement = self.0.prepare_cached(sql)?;
        let row = |row: &Row<'_>| column::from_cbor(row, 0);
        let found = statement.query_row(params![model.as_str(), bundle.0], row);
        Ok(found.optional()?)
    }

    /// Digest and size of the signed statement of a release.
    pub(crate) fn statement(
        &self,
        model: &ModelId,
        version: &Version,
    ) -> Result<Option<(Digest, u32)>, StoreError> {
        let sql = "SELECT statement, statement_size FROM releases WHERE model = ? AND version = ?";
        let row = |row: &Row<'_>| Ok((column::digest(row, 0)?, row.get(1)?));
        Ok(self
            .0
            .query_row(sql, [model.as_str(), version.as_str()], row)
            .optional()?)
    }

    /// The highest rank among the releases of a model.
    pub(crate) fn highest_rank(&self, model: &ModelId) -> Result<Option<u32>, StoreError> {
        let sql = "SELECT MAX(rank) FROM releases WHERE model = ?";
        Ok(self.0.query_row(sql, [model.as_str()], |row| row.get(0))?)
    }

    /// Releases, of one model or of all, by model and rank.
    pub(crate) fn releases(&self, model: Option<&ModelId>) -> Result<Vec<ReleaseRow>, StoreError> {
        let mut statement = self.0.prepare_cached(
            "SELECT model, version, rank, statement, bundle, class, issued_at, published_at
             FROM releases WHERE ?1 IS NULL OR model = ?1 ORDER BY model, rank",
        )?;
        let rows = statement.query_map([model.map(ModelId::as_str)], |row| {
            Ok(ReleaseRow {
                model: row.get(0)?,
                version: row.get(1)?,
                rank: row.get(2)?,
                statement: column::digest(row, 3)?.to_string(),
                bundle: column::digest(row, 4)?.to_string(),
                class: row.get(5)?,
                issued_at: column::number(row, 6)?,
                published_at: column::number(row, 7)?,
            })
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }
}
