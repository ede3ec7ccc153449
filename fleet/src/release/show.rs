//! What a person sees before and after a release.
//!
//! Never decides; the question is asked only on a terminal.

use std::io::{self, IsTerminal as _};

use serde::Serialize;

use super::plan::Plan;
use super::sign::disk_bytes;
use crate::bundle::Verified;
use crate::error::{Exit, OperatorError};
use crate::output::{self, Table, note};

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

/// Asks the person at the terminal.
pub(super) fn agree(what: &str) -> Result<(), OperatorError> {
    if !io::stdin().is_terminal() {
        let because = "it asks before it signs, and there is no terminal";
        return Err(OperatorError::new(
            Exit::Usage,
            what,
            because,
            "add --yes to sign at once",
        ));
    }
    note("Sign and publish? [y/N]");
    let mut answer = String::new();
    let read = io::stdin().read_line(&mut answer);
    if read.is_ok() && matches!(answer.trim(), "y" | "Y" | "yes") {
        return Ok(());
    }
    let hint = "nothing was signed; answer y to release";
    Err(OperatorError::new(
        Exit::Refused,
        what,
        "it was not agreed to",
        hint,
    ))
}
