//! `/api/v1/blobs/{digest}`: content by its digest, to be asked for, fetched and stored.
//!
//! The controller checks that what is stored has the digest that it is stored under.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use muster_protocol::digest::Digest;

use super::error::{Answer, ApiError, CREATED};
use super::parse::{self, Octets};
use crate::controller::Controller;

/// Whether they are there.
pub(super) async fn head(
    State(controller): State<Arc<Controller>>,
    Path(digest): Path<String>,
) -> Answer<()> {
    let digest = parse::digest(&digest)?;
    match controller.has_blob(digest).await? {
        true => Ok(()),
        false => Err(missing(digest)),
    }
}

/// The bytes.
pub(super) async fn get(
    State(controller): State<Arc<Controller>>,
    Path(digest): Path<String>,
) -> Answer<Vec<u8>> {
    let digest = parse::digest(&digest)?;
    controller
        .blob(digest)
        .await?
        .ok_or_else(|| missing(digest))
}

/// Stores them.
pub(super) async fn put(
    State(controller): State<Arc<Controller>>,
    Path(digest): Path<String>,
    Octets(bytes): Octets,
) -> Answer<StatusCode> {
    controller
        .put_blob(parse::digest(&digest)?, bytes.into())
        .await?;
    Ok(CREATED)
}

fn missing(digest: Digest) -> ApiError {
    ApiError::NotFound {
        what: format!("the blob {digest}"),
    }
}
