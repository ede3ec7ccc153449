//! What a caller of the API is told when a request fails: problem details (RFC 9457).
//!
//! The only place that knows status codes. Never tells a caller what the store or the disk said:
//! that goes to the log.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};

use crate::blobs::BlobError;
use crate::controller;
use crate::store::StoreError;

/// Between what happened and what to do, in a sentence of ours.
const HINT: &str = ": hint: ";

/// Why a request is not answered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ApiError {
    /// No bearer token, or another one.
    #[error("the bearer token is missing or wrong")]
    Unauthorized,
    /// The Host header does not name this listener: a name that was rebound, or a proxy.
    #[error("the Host header does not name this API")]
    WrongHost,
    /// A page of another origin asks.
    #[error("requests from other origins are not answered")]
    CrossOrigin,
    /// What the request names does not exist.
    #[error("{what} does not exist")]
    NotFound {
        /// What.
        what: String,
    },
    /// What the request asks for collides with what is there.
    #[error("{why}")]
    Conflict {
        /// How.
        why: String,
    },
    /// A check refused it: a signature, a policy.
    #[error("{why}")]
    Refused {
        /// Which.
        why: String,
    },
    /// The request cannot be understood.
    #[error("{why}")]
    BadRequest {
        /// What is wrong with it.
        why: String,
    },
    /// The path exists, but not for this method.
    #[error("the path does not take this method")]
    Method,
    /// The body is larger than this path takes.
    #[error("the body is too large")]
    TooLarge,
    /// The request did not come or could not be answered in time.
    #[error("the request took too long")]
    TooSlow,
    /// The disk has no room.
    #[error("the controller's disk is full")]
    NoRoom,
    /// Ours; the reason is in the log.
    #[error("the controller failed")]
    Internal,
}

/// Problem details, as sent and as the CLI reads them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Problem {
    /// Names the kind of problem for programs.
    #[serde(rename = "type")]
    pub(crate) kind: String,
    /// The kind for people.
    pub(crate) title: String,
    /// The status code.
    pub(crate) status: u16,
    /// What happened.
    pub(crate) detail: String,
    /// What to do.
    pub(crate) hint: String,
}

impl ApiError {
    /// Status, kind and hint.
    fn row(&self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::Unauthorized => (
                StatusCode::UNAUTHORIZED,
                "unauthorized",
                "send Authorization: Bearer with the text of controller/api-token",
            ),
            Self::WrongHost => (
                StatusCode::MISDIRECTED_REQUEST,
                "wrong-host",
                "ask for http://127.0.0.1 with the port of the API",
            ),
            Self::CrossOrigin => (
                StatusCode::FORBIDDEN,
                "cross-origin",
                "ask from a program, or from a page of this API",
            ),
            Self::NotFound { .. } => (StatusCode::NOT_FOUND, "not-found", "check the name"),
            Self::Conflict { .. } => (
                StatusCode::CONFLICT,
                "conflict",
                "look at what is there, then ask again",
            ),
            Self::Refused { .. } => (
                StatusCode::UNPROCESSABLE_ENTITY,
                "refused",
                "nothing was changed; what is refused must be made anew",
            ),
            Self::BadRequest { .. } => (
                StatusCode::BAD_REQUEST,
                "bad-request",
                "correct the request",
            ),
            Self::Method => (
                StatusCode::METHOD_NOT_ALLOWED,
                "method",
                "use another method",
            ),
            Self::TooLarge => (
                StatusCode::PAYLOAD_TOO_LARGE,
                "too-large",
                "send less at once",
            ),
            Self::TooSlow => (StatusCode::REQUEST_TIMEOUT, "too-slow", "ask again"),
            Self::NoRoom => (
                StatusCode::INSUFFICIENT_STORAGE,
                "no-room",
                "nothing was changed; free some space on the disk with controller/, then ask again",
            ),
            Self::Internal => (
                StatusCode::INTERNAL_SERVER_ERROR,
                "internal",
                "look into the log of `muster serve`",
            ),
        }
    }

    /// The body of the answer.
    fn problem(&self) -> Problem {
        let (status, kind, hint) = self.row();
        let detail = self.to_string();
        // Whoever refuses may know better what to do.
        let (detail, hint) = detail.split_once(HINT).unwrap_or((&detail, hint));
        Problem {
            kind: format!("muster:{kind}"),
            title: kind.replace('-', " "),
            status: status.as_u16(),
            detail: detail.to_owned(),
            hint: hint.to_owned(),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let (status, ..) = self.row();
        let mut response = (status, Json(self.problem())).into_response();
        let kind = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
        if self == Self::Unauthorized {
            let scheme = HeaderValue::from_static("Bearer");
            response
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, scheme);
        }
        response
    }
}

impl From<controller::Error> for ApiError {
    fn from(error: controller::Error) -> Self {
        match error {
            controller::Error::NotFound { what } => Self::NotFound { what },
            controller::Error::Conflict { why } => Self::Conflict { why },
            controller::Error::Refused { why } => Self::Refused { why },
            controller::Error::Store(StoreError::Full)
            | controller::Error::Blob(BlobError::Full) => {
                tracing::error!("failed to answer a request: because the disk is full");
                Self::NoRoom
            }
            other => {
                tracing::error!("failed to answer a request: because {other}");
                Self::Internal
            }
        }
    }
}

/// A handler's answer.
pub(super) type Answer<T> = Result<T, ApiError>;

/// Done, and there is nothing to say.
pub(super) const DONE: StatusCode = StatusCode::NO_CONTENT;
/// Something new exists.
pub(super) const CREATED: StatusCode = StatusCode::CREATED;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_told_apart_from_a_bug() {
        let check = |error: controller::Error, expect| assert_eq!(ApiError::from(error), expect);
        check(StoreError::Full.into(), ApiError::NoRoom);
        check(controller::Error::Blob(BlobError::Full), ApiError::NoRoom);
        check(StoreError::Stopped.into(), ApiError::Internal);
    }
}
