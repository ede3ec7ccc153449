//! `muster device release-hold`, and how a held device is shown.
//!
//! Never ends a hold before a person, or `--yes`, has agreed.

use std::io::{self, IsTerminal as _};

use muster_protocol::id::DeviceId;
use serde_json::Value;

use crate::client::Client;
use crate::error::{Exit, OperatorError};
use crate::output::note;

/// A device whose hold is a few words instead of an object.
pub(super) fn for_people(device: &Value) -> Value {
    let mut device = device.clone();
    if let Some(waits_for) = device["held"]["waits_for"].as_str() {
        let waits_for = match waits_for {
            "hello" => "until its hello",
            "assignment" => "until it shows its assignment",
            other => other,
        };
        let reason = device["held"]["reason"].as_str().unwrap_or_default();
        device["held"] = format!("{reason}: {waits_for}").into();
    }
    device
}

/// Ends the hold of a device without its word.
pub(super) async fn release(
    client: &Client,
    device: &DeviceId,
    yes: bool,
) -> Result<(), OperatorError> {
    let what = format!("release the hold of {device}");
    let path = format!("/api/v1/devices/{device}");
    let shown = client.get(&what, &path).await?;
    note(format_args!(
        "{device} will be told to run {} and nothing else. What it runs now is not known: newer \
         versions go back, and models that are not named are removed.",
        wanted(&shown)
    ));
    if !yes {
        agree(&what)?;
    }
    client.delete(&what, &format!("{path}/hold")).await?;
    note(format_args!("{device} is held no longer"));
    Ok(())
}

fn wanted(device: &Value) -> String {
    let models = device["models"].as_array().into_iter().flatten();
    let wanted: Vec<_> = models
        .filter_map(|row| {
            let (model, version) = (row["model"].as_str()?, row["desired_version"].as_str()?);
            Some(format!("{model} {version}"))
        })
        .collect();
    if wanted.is_empty() {
        return "no model".to_owned();
    }
    wanted.join(", ")
}

pub(super) fn agree(what: &str) -> Result<(), OperatorError> {
    if !io::stdin().is_terminal() {
        let because = "nobody is there to agree to it";
        let hint = "add --yes to do it without asking";
        return Err(OperatorError::new(Exit::Usage, what, because, hint));
    }
    note("Do it? [y/N]");
    let mut answer = String::new();
    let read = io::stdin().read_line(&mut answer);
    if read.is_ok() && matches!(answer.trim(), "y" | "Y" | "yes") {
        return Ok(());
    }
    let hint = "nothing was changed; answer y to agree";
    Err(OperatorError::new(
        Exit::Refused,
        what,
        "it was not agreed to",
        hint,
    ))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_hold_is_said_in_words() {
        let check = |held: Value, expect: Value| {
            let shown = for_people(&json!({ "device": "a", "held": held }));
            assert_eq!(shown["held"], expect);
        };
        check(Value::Null, Value::Null);
        let held = |waits_for: &str| json!({ "reason": "restored", "waits_for": waits_for });
        check(held("hello"), "restored: until its hello".into());
        check(held("operator"), "restored: operator".into());
    }

    #[test]
    fn what_a_device_would_run_is_named() {
        let check = |models: Value, expect: &str| {
            assert_eq!(wanted(&json!({ "models": models })), expect);
        };
        check(json!([]), "no model");
        check(
            json!([
                { "model": "a", "desired_version": "1.0.0" },
                { "model": "b", "desired_version": null },
            ]),
            "a 1.0.0",
        );
    }
}
