//! `/api/v1/receipts/signed` and `/api/v1/enrolments`: what an operator takes away to judge
//! receipts without the controller.
//!
//! Whoever judges must not trust these answers: they are compared with what was taken before.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use muster_protocol::time::UnixSeconds;
use serde_json::Value;

use super::error::Answer;
use super::parse::{self, Filter};
use crate::clock;
use crate::controller::Controller;
use crate::store::ListFilter;

/// Receipts exactly as they were signed, of the last `since_s` seconds or of all time.
pub(super) async fn signed_receipts(
    State(controller): State<Arc<Controller>>,
    filter: Filter,
) -> Answer<Json<Value>> {
    let page = filter.page(&["device", "model", "since_s"])?;
    let since_s: Option<u64> = filter.get("since_s")?;
    let since = since_s.map_or(0, |since_s| clock::now().0.saturating_sub(since_s));
    let wanted = ListFilter {
        device: filter.get("device")?,
        model: filter.get("model")?,
    };
    let since = UnixSeconds(since);
    parse::json(&controller.signed_receipts(wanted, since, page).await?)
}

/// The enrolment log, the newest last.
pub(super) async fn enrolments(
    State(controller): State<Arc<Controller>>,
    filter: Filter,
) -> Answer<Json<Value>> {
    parse::json(&controller.enrolments(filter.page(&[])?).await?)
}
