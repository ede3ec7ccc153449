//! How values of ours become columns and come back. Never a value that did not parse: a damaged
//! column is an error of the row.

use std::error::Error;
use std::str::FromStr;

use minicbor::{Decode, Encode};
use muster_protocol::cbor;
use muster_protocol::digest::Digest;
use muster_protocol::id::{EpochGeneration, StreamId};
use muster_protocol::message::Role;
use rusqlite::Row;
use rusqlite::types::Type;

/// The signed number with the same bits: SQLite has no unsigned one.
pub(super) const fn bits(number: u64) -> i64 {
    number.cast_signed()
}

/// Reads what [`bits`] wrote.
pub(super) fn number(row: &Row<'_>, index: usize) -> rusqlite::Result<u64> {
    row.get::<_, i64>(index).map(i64::cast_unsigned)
}

/// Reads what [`bits`] wrote, or nothing.
pub(super) fn maybe_number(row: &Row<'_>, index: usize) -> rusqlite::Result<Option<u64>> {
    Ok(row.get::<_, Option<i64>>(index)?.map(i64::cast_unsigned))
}

/// Reads an id.
pub(super) fn id<T>(row: &Row<'_>, index: usize) -> rusqlite::Result<T>
where
    T: FromStr,
    T::Err: Error + Send + Sync + 'static,
{
    let text: String = row.get(index)?;
    text.parse()
        .map_err(|error: T::Err| damaged(index, Type::Text, error))
}

/// Reads 32 bytes.
pub(super) fn digest(row: &Row<'_>, index: usize) -> rusqlite::Result<Digest> {
    row.get(index).map(Digest)
}

/// Reads 32 bytes, or nothing.
pub(super) fn maybe_digest(row: &Row<'_>, index: usize) -> rusqlite::Result<Option<Digest>> {
    Ok(row.get::<_, Option<[u8; 32]>>(index)?.map(Digest))
}

/// A role as columns have it.
pub(super) const fn role_number(role: Role) -> u8 {
    match role {
        Role::Serve => 0,
        Role::Shadow => 1,
    }
}

/// Reads what [`role_number`] wrote.
pub(super) fn role(row: &Row<'_>, index: usize) -> rusqlite::Result<Role> {
    Ok(match row.get::<_, u8>(index)? {
        0 => Role::Serve,
        _ => Role::Shadow,
    })
}

/// The name of a role, as lists show it.
pub(super) fn role_name(row: &Row<'_>, index: usize) -> rusqlite::Result<&'static str> {
    Ok(match role(row, index)? {
        Role::Serve => "serve",
        Role::Shadow => "shadow",
    })
}

/// Reads the id of a stream.
pub(super) fn stream(row: &Row<'_>, index: usize) -> rusqlite::Result<StreamId> {
    row.get(index).map(StreamId)
}

/// Reads a pair from two columns.
pub(super) fn pair(row: &Row<'_>, index: usize) -> rusqlite::Result<EpochGeneration> {
    Ok(EpochGeneration::new(
        number(row, index)?,
        number(row, index + 1)?,
    ))
}

/// Writes a small document.
pub(super) fn to_cbor<T: Encode<()>>(value: &T) -> Vec<u8> {
    cbor::to_vec(value)
}

/// Reads what [`to_cbor`] wrote.
pub(super) fn from_cbor<T>(row: &Row<'_>, index: usize) -> rusqlite::Result<T>
where
    T: for<'b> Decode<'b, ()>,
{
    let bytes: Vec<u8> = row.get(index)?;
    cbor::decode(&bytes).map_err(|error| damaged(index, Type::Blob, error))
}

/// Reads JSON.
pub(super) fn from_json<T: serde::de::DeserializeOwned>(
    row: &Row<'_>,
    index: usize,
) -> rusqlite::Result<T> {
    let text: String = row.get(index)?;
    serde_json::from_str(&text).map_err(|error| damaged(index, Type::Text, error))
}

/// Writes JSON.
pub(super) fn to_json<T: serde::Serialize>(value: &T) -> rusqlite::Result<String> {
    serde_json::to_string(value)
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))
}

fn damaged(index: usize, kind: Type, error: impl Error + Send + Sync + 'static) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(index, kind, Box::new(error))
}
