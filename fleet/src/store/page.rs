//! Lists come in pages: each says where the next begins. Never a number of a page: rows come
//! and go between two requests.

use muster_protocol::id::{DeviceId, ModelId};
use rusqlite::types::Value;
use rusqlite::{Row, params_from_iter};
use serde::Serialize;

use super::{StoreError, Tx};

/// Most items of a page.
const LIMIT_MAX: u32 = 500;

/// Which page of a list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Page {
    /// The `next` of the page before; none for the first.
    pub(crate) cursor: Option<String>,
    /// Most items; none for 100.
    pub(crate) limit: Option<u32>,
}

/// Which of what devices said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ListFilter {
    /// Of this device.
    pub(crate) device: Option<DeviceId>,
    /// Of this model.
    pub(crate) model: Option<ModelId>,
}

/// One page of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Paged<T> {
    /// The items.
    pub(crate) items: Vec<T>,
    /// The cursor of the next page, when there may be one.
    pub(crate) next: Option<String>,
}

impl Page {
    pub(super) fn limit(&self) -> u32 {
        self.limit.unwrap_or(100).clamp(1, LIMIT_MAX)
    }

    /// The row behind which the page begins; a cursor that is not ours begins at the start.
    pub(super) fn after_row(&self) -> i64 {
        self.cursor
            .as_deref()
            .and_then(|cursor| cursor.parse().ok())
            .unwrap_or(0)
    }

    /// The name behind which the page begins.
    pub(super) fn after_name(&self) -> &str {
        self.cursor.as_deref().unwrap_or("")
    }
}

impl<T> Paged<T> {
    /// A page of `limit` items may have a next one, which begins behind its last.
    pub(super) fn of(items: Vec<T>, page: &Page, cursor: impl Fn(&T) -> String) -> Self {
        let full = items.len() >= page.limit() as usize;
        let next = items.last().filter(|_| full).map(cursor);
        Self { items, next }
    }
}

impl Tx<'_> {
    /// A page of rows with numbers. `sql` asks for rows above ?1 in their order, at most ?2, that
    /// fit the `filters` from ?3 on; a filter that is not given is null.
    pub(super) fn list<T>(
        &self,
        sql: &str,
        filters: &[Option<&str>],
        page: &Page,
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
        number: impl Fn(&T) -> i64,
    ) -> Result<Paged<T>, StoreError> {
        let mut statement = self.0.prepare_cached(sql)?;
        let bounds = [page.after_row(), i64::from(page.limit())].map(Value::from);
        let filters = filters
            .iter()
            .map(|filter| Value::from(filter.map(str::to_owned)));
        let rows =
            statement.query_map(params_from_iter(bounds.into_iter().chain(filters)), read)?;
        let items = rows.collect::<rusqlite::Result<_>>()?;
        Ok(Paged::of(items, page, |item| number(item).to_string()))
    }
}

impl ListFilter {
    /// Device and model, as [`Tx::list`] takes them.
    pub(super) fn values(&self) -> [Option<&str>; 2] {
        [
            self.device.as_ref().map(DeviceId::as_str),
            self.model.as_ref().map(ModelId::as_str),
        ]
    }
}
