//! `feedback`: labels that come for predictions, by their id. They are counted, never kept.
//!
//! Never says what was predicted.

use super::backend::Route;
use super::predict::receive;
use super::refusal::Refusal;
use super::response;
use super::router::{App, Target};
use crate::serving::{Labelled, Predictions};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What the refusals of this endpoint fail to do.
const WHAT: &str = "take the feedback";
/// Refused labels that a reply names; all are counted.
const NAMED_MAX: usize = 100;

/// A label, or many. No enum: serde would hold the whole body as a tree first.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Feedback {
    id: Option<String>,
    row: Option<u32>,
    label: Option<u32>,
    feedback: Option<Vec<Label>>,
}

/// The label of one row of a prediction.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Label {
    /// That of the request, or `parameters.prediction_id` of the reply.
    id: String,
    #[serde(default)]
    row: u32,
    /// The class.
    label: u32,
}

/// Why a label does not count.
struct Uncounted {
    status: StatusCode,
    because: String,
    hint: &'static str,
}

/// What became of many.
#[derive(Debug, Default, Serialize)]
struct Reply {
    counted: u64,
    duplicates: u64,
    refused: u64,
    /// The first of the refused.
    reasons: Vec<Reason>,
}

#[derive(Debug, Serialize)]
struct Reason {
    id: String,
    row: u32,
    because: String,
}

pub(super) async fn feedback(
    State(app): State<Arc<App>>,
    target: Target,
    request: Request,
) -> Result<Response, Refusal> {
    // The route is not kept over the body: it would hold the old queue of a swap open.
    let (_, Route { predictions, .. }) = app.find(&target)?;
    let (body, _memory) = receive(&app, request).await?;
    let feedback: Feedback = serde_json::from_slice(&body).map_err(bad_body)?;
    let reply = match feedback {
        Feedback {
            id: None,
            row: None,
            label: None,
            feedback: Some(labels),
        } => many(&predictions, labels),
        Feedback {
            id: Some(id),
            row,
            label: Some(label),
            feedback: None,
        } => {
            let row = row.unwrap_or(0);
            one(&predictions, &Label { id, row, label })?
        }
        Feedback {
            feedback: Some(_), ..
        } => return Err(bad_body("it is one label and many at once")),
        Feedback { feedback: None, .. } => {
            return Err(bad_body(
                "it has no \"feedback\", and \"id\" or \"label\" is missing",
            ));
        }
    };
    Ok(response::json(StatusCode::OK, &reply))
}

/// Many labels: those that do not count are named, and the others do.
fn many(predictions: &Predictions, labels: Vec<Label>) -> Reply {
    let mut reply = Reply::default();
    for label in labels {
        let labelled = predictions.label(&label.id, label.row, label.label);
        match uncounted(labelled, &label) {
            None if labelled == Labelled::Counted => reply.counted += 1,
            None => reply.duplicates += 1,
            Some(Uncounted { because, .. }) => {
                reply.refused += 1;
                if reply.reasons.len() < NAMED_MAX {
                    let id = short(&label.id);
                    let row = label.row;
                    reply.reasons.push(Reason { id, row, because });
                }
            }
        }
    }
    reply
}

fn one(predictions: &Predictions, label: &Label) -> Result<Reply, Refusal> {
    let labelled = predictions.label(&label.id, label.row, label.label);
    if let Some(uncounted) = uncounted(labelled, label) {
        let Uncounted {
            status,
            because,
            hint,
        } = uncounted;
        return Err(Refusal::new(status, WHAT, because, hint));
    }
    let counted = u64::from(labelled == Labelled::Counted);
    Ok(Reply {
        counted,
        duplicates: 1 - counted,
        ..Reply::default()
    })
}

/// Why a label does not count; none where it does or did.
fn uncounted(labelled: Labelled, label: &Label) -> Option<Uncounted> {
    let (id, row) = (short(&label.id), label.row);
    match labelled {
        Labelled::Counted | Labelled::Duplicate => None,
        Labelled::Unknown => Some(Uncounted {
            status: StatusCode::NOT_FOUND,
            because: format!(
                "row {row} of prediction {id:?} is not remembered: it was none of this model, had \
                 no score, was made before the agent started, or more than {} came after it",
                Predictions::REMEMBERED_MAX
            ),
            hint: "name the request by its id, or by parameters.prediction_id of its answer, and \
                   send labels before so many rows have come after it",
        }),
        Labelled::Stale => Some(Uncounted {
            status: StatusCode::CONFLICT,
            because: format!(
                "row {row} of prediction {id:?} was made by a bundle that serves no more"
            ),
            hint: "labels count while the version that predicted serves; this one cannot any more",
        }),
        Labelled::NoClass { classes } => Some(Uncounted {
            status: StatusCode::BAD_REQUEST,
            because: format!(
                "the label {} is no class: expected 0 to {}",
                label.label,
                classes - 1
            ),
            hint: "labels are the numbers of classes, from 0, in the order of the model's scores",
        }),
    }
}

fn short(id: &str) -> String {
    id.chars().take(80).collect()
}

fn bad_body(because: impl std::fmt::Display) -> Refusal {
    let hint = "the body is {\"id\", \"row\", \"label\"}, or {\"feedback\": [such, …]}; labels are \
                the numbers of classes, from 0";
    Refusal::new(StatusCode::BAD_REQUEST, WHAT, because.to_string(), hint)
}
