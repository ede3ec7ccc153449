//! `GET /metrics`: counts of the fleet in the text format of Prometheus.
//!
//! No label names a device: there are as many series for a hundred thousand devices as for ten.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::header;
use axum::middleware;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use prometheus::{IntGaugeVec, Opts, Registry, TextEncoder};

use super::error::{Answer, ApiError};
use super::guard::{self, Guard};
use crate::config::MetricsAccess;
use crate::controller::Controller;
use crate::store::{Counted, FleetCounts, Presences};

const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// One metric: its name, what it says, its labels.
struct Metric(&'static str, &'static str, &'static [&'static str]);

const DEVICES: Metric = Metric(
    "muster_devices",
    "Devices by what is known of their connection",
    &["state"],
);
const DOCUMENTS: Metric = Metric(
    "muster_documents",
    "Signed documents that were taken without a gap",
    &["kind"],
);
const WINDOWS: Metric = Metric(
    "muster_windows",
    "Telemetry windows that were taken, merged ones counted",
    &["model", "version"],
);
const PREDICTIONS: Metric = Metric(
    "muster_predictions",
    "Rows predicted, as windows say",
    &["model", "version"],
);
const INCIDENTS: Metric = Metric(
    "muster_incidents_open",
    "Incidents that are open and not judged",
    &["cause"],
);
const ALERTS: Metric = Metric(
    "muster_alerts",
    "Alerts that are kept, by what became of them",
    &["state"],
);
const RETRAINS: Metric = Metric(
    "muster_retrain_requests",
    "Requests for a retrain",
    &["model", "state"],
);
const ROLLOUTS: Metric = Metric(
    "muster_rollouts",
    "Rollouts, with the ring of those that go on",
    &["model", "state", "ring"],
);

/// The route, with the guard of the API or with half of it.
pub(super) fn router(guard: Guard, access: MetricsAccess) -> Router<Arc<Controller>> {
    let router = Router::new().route("/metrics", get(metrics));
    match access {
        MetricsAccess::Token => router.layer(middleware::from_fn_with_state(guard, guard::check)),
        MetricsAccess::Open => {
            router.layer(middleware::from_fn_with_state(guard, guard::check_place))
        }
    }
}

async fn metrics(State(controller): State<Arc<Controller>>) -> Answer<Response> {
    let (presences, counts) = controller.fleet_counts().await?;
    let text = text(presences, &counts).map_err(|error| {
        tracing::error!("failed to write metrics: because {error}");
        ApiError::Internal
    })?;
    Ok(([(header::CONTENT_TYPE, CONTENT_TYPE)], text).into_response())
}

fn text(presences: Presences, counts: &FleetCounts) -> prometheus::Result<String> {
    let registry = Registry::new();
    let state = |name: &str, count| (vec![name.to_owned()], count);
    let devices = [
        state("connected", presences.connected),
        state("offline", presences.offline),
        state("stale", presences.stale),
        state("never_seen", presences.never_seen),
    ];
    let all: [(Metric, &[Counted]); 8] = [
        (DEVICES, &devices),
        (DOCUMENTS, &counts.documents),
        (WINDOWS, &counts.windows),
        (PREDICTIONS, &counts.predictions),
        (INCIDENTS, &counts.incidents_open),
        (ALERTS, &counts.alerts),
        (RETRAINS, &counts.retrain_requests),
        (ROLLOUTS, &counts.rollouts),
    ];
    for (Metric(name, help, labels), rows) in all {
        let metric = IntGaugeVec::new(Opts::new(name, help), labels)?;
        for (values, count) in rows {
            let values: Vec<&str> = values.iter().map(String::as_str).collect();
            let gauge = metric.get_metric_with_label_values(&values)?;
            gauge.set(i64::try_from(*count).unwrap_or(i64::MAX));
        }
        registry.register(Box::new(metric))?;
    }
    TextEncoder::new().encode_to_string(&registry.gather())
}

#[cfg(test)]
mod tests;
