//! A request that is not answered: status, and the sentence in the protocol's `{"error": …}`.
//!
//! Never shows more than the request itself and the names of models.

use super::backend::Failure;
use super::response;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

/// Seconds after which a client may try again.
const RETRY_AFTER_S: HeaderValue = HeaderValue::from_static("1");

/// Printed as "failed to {what}: because {because}: hint: {hint}".
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    status: StatusCode,
    what: &'static str,
    because: String,
    hint: &'static str,
}

impl Refusal {
    pub(super) fn new(
        status: StatusCode,
        what: &'static str,
        because: String,
        hint: &'static str,
    ) -> Refusal {
        Refusal {
            status,
            what,
            because,
            hint,
        }
    }

    /// The client's mistake in a prediction request.
    pub(super) fn input(because: impl Into<String>, hint: &'static str) -> Refusal {
        Refusal::new(StatusCode::BAD_REQUEST, "predict", because.into(), hint)
    }

    #[cfg(test)]
    pub(super) fn status(&self) -> StatusCode {
        self.status
    }

    pub(super) fn sentence(&self) -> String {
        let Refusal {
            what,
            because,
            hint,
            ..
        } = self;
        format!("failed to {what}: because {because}: hint: {hint}")
    }
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Refusal {
        match failure {
            Failure::Input(because) => Refusal::input(because, "see the model's metadata"),
            Failure::Run { because } => Refusal::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "predict",
                because,
                "the model cannot compute these inputs; it serves others",
            ),
            Failure::Worker { because } => Refusal::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "predict",
                because,
                "try again; GET /muster/status shows what the device does about it",
            ),
            Failure::Busy => Refusal::new(
                StatusCode::TOO_MANY_REQUESTS,
                "predict",
                "too many requests wait already".into(),
                "try again, or send more rows in one request",
            ),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let body = serde_json::json!({ "error": self.sentence() });
        let mut response = response::json(self.status, &body);
        let retry = [
            StatusCode::SERVICE_UNAVAILABLE,
            StatusCode::TOO_MANY_REQUESTS,
        ];
        if retry.contains(&self.status) {
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, RETRY_AFTER_S);
        }
        response
    }
}
