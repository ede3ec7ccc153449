//! Lists come in pages: each says where the next begins. Never a number of a page: rows come
//! and go between two requests.

use serde::Serialize;

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
