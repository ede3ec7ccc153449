//! What a person sees before and after a release.
//!
//! Never decides.

use serde::Serialize;

use super::plan::Plan;
use super::sign::disk_bytes;
use crate::bundle::Verified;
use crate::output::{self, Table};

/// A release that was published.
#[derive(Serialize)]
pub(super) struct Released {
    model: String,
    version: String,
    bundle: String,
}

/// What will be signed.
pub(super) fn plan(bundle: &Verified, plan: &Plan) -> String {
    let card = &bundle.card;
    let mut table = Table::new(&["release", "value"]);
    table.row([
        "model".to_owned(),
        format!("{} {}", card.model, card.version),
    ]);
    table.row(["rank".to_owned(), plan.rank.to_string()]);
    table.row(["class", card.class.as_str()]);
    table.row(["bundle".to_owned(), bundle.bundle.digest.to_string()]);
    for layer in &bundle.manifest.layers {
        let size = output::bytes(layer.size);
        table.row([
            layer.kind.as_str().to_owned(),
            format!("{size}, {}", layer.digest),
        ]);
    }
    table.row([
        "peak memory".to_owned(),
        output::bytes(card.planned_peak_bytes),
    ]);
    table.row(["disk".to_owned(), output::bytes(disk_bytes(bundle))]);
    table.row(["last release".to_owned(), last(bundle, plan)]);
    if plan.delegate_in.is_some() {
        table.row(["new model", "targets will delegate to its release key"]);
    }
    format!(
        "{table}warning: one release key of one is enough: whoever has it can release {}",
        card.model
    )
}

fn last(bundle: &Verified, plan: &Plan) -> String {
    let Some(last) = &plan.last else {
        return "none".into();
    };
    let (before, now) = (
        output::bytes(last.disk_bytes),
        output::bytes(disk_bytes(bundle)),
    );
    let same = last.bundle == bundle.bundle.digest.to_string();
    let change = if same {
        "the same bundle".to_owned()
    } else {
        format!("disk {before} → {now}")
    };
    format!("{} of rank {}, {change}", last.name, last.rank)
}

/// What was published.
pub(super) fn released(bundle: &Verified) -> Released {
    Released {
        model: bundle.card.model.to_string(),
        version: bundle.card.version.to_string(),
        bundle: bundle.bundle.digest.to_string(),
    }
}

/// The same, for people.
pub(super) fn text(released: &Released) -> String {
    format!(
        "released {} {} {}",
        released.model, released.version, released.bundle
    )
}
