//! The plan of a rollout as a person judges it: each device with what it goes from and to, and
//! how many bytes it may fetch.
//!
//! Completed from lists of the API; the plan's devices are the controller's.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::super::show;
use crate::client::{Client, percent_encoded};
use crate::error::OperatorError;
use crate::output::{self, Table};

/// Devices that a plan for people shows; JSON has them all.
const SHOWN_MAX: usize = 20;

/// Adds `from` for each device, and `bytes_max` to fetch for a device that has nothing of it.
pub(super) async fn complete(
    client: &Client,
    what: &str,
    mut plan: Value,
) -> Result<Value, OperatorError> {
    let serving = serving(client, what, &plan).await?;
    let devices = plan.get_mut("devices").map(Value::take);
    let devices = devices
        .as_ref()
        .and_then(Value::as_array)
        .into_iter()
        .flatten();
    let line = |device: &Value| {
        let from = device.as_str().and_then(|device| serving.get(device));
        json!({ "device": device, "from": from })
    };
    plan["devices"] = devices.map(line).collect();
    plan["bytes_max"] = bytes_max(client, what, &plan).await?.into();
    Ok(plan)
}

/// The version of the model that serves on each device.
async fn serving(
    client: &Client,
    what: &str,
    plan: &Value,
) -> Result<BTreeMap<String, Value>, OperatorError> {
    let summary = client.all(what, "/api/v1/summary").await?;
    let one = |device: &Value| {
        let name = device.get("device")?.as_str()?.to_owned();
        let models = device.get("models")?.as_array()?;
        let model = models
            .iter()
            .find(|model| model.get("model") == plan.get("model"))?;
        Some((name, model.get("active_version")?.clone()))
    };
    Ok(summary.iter().filter_map(one).collect())
}

/// What the bundle's blobs weigh together, when its manifest can be had.
async fn bytes_max(
    client: &Client,
    what: &str,
    plan: &Value,
) -> Result<Option<u64>, OperatorError> {
    let model = show::cell(plan.get("model"));
    let path = format!("/api/v1/releases?model={}", percent_encoded(&model));
    let releases = client.get(what, &path).await?;
    let releases = releases
        .get("items")
        .unwrap_or(&releases)
        .as_array()
        .into_iter()
        .flatten();
    let mut releases = releases;
    let release = releases.find(|release| release.get("version") == plan.get("version"));
    let Some(bundle) = release.and_then(|release| release.get("bundle")?.as_str()) else {
        return Ok(None);
    };
    let manifest = client.get(what, &format!("/api/v1/blobs/{bundle}")).await?;
    Ok(Some(weight(&manifest)))
}

/// The sizes that an OCI image manifest states for its config and its layers.
fn weight(manifest: &Value) -> u64 {
    let layers = manifest
        .get("layers")
        .and_then(Value::as_array)
        .into_iter()
        .flatten();
    let descriptors = layers.chain(manifest.get("config"));
    descriptors
        .filter_map(|descriptor| descriptor.get("size")?.as_u64())
        .sum()
}

/// The plan for people.
pub(super) fn text(plan: &Value) -> String {
    let devices = plan
        .get("devices")
        .and_then(Value::as_array)
        .map_or(&[][..], Vec::as_slice);
    let (model, to) = (
        show::cell(plan.get("model")),
        show::cell(plan.get("version")),
    );
    let mut table = Table::new(&["device", "from", "to"]);
    for device in devices.iter().take(SHOWN_MAX) {
        let cells = [
            show::cell(device.get("device")),
            show::cell(device.get("from")),
        ];
        table.row(cells.into_iter().chain([to.clone()]));
    }
    let more = match devices.len().saturating_sub(SHOWN_MAX) {
        0 => String::new(),
        more => format!("and {more} more\n"),
    };
    let (reached, matched) = (devices.len(), show::cell(plan.get("matched")));
    if reached == 0 {
        return format!("{model} {to} to 0 of {matched} devices: nothing would move\n");
    }
    let bytes = plan.get("bytes_max").and_then(Value::as_u64);
    let bytes = bytes.map_or_else(String::new, |bytes| {
        let all = bytes.saturating_mul(reached as u64);
        format!(
            ", at most {} each, {} together",
            output::bytes(bytes),
            output::bytes(all)
        )
    });
    format!("{model} {to} to {reached} of {matched} devices{bytes}\n{table}{more}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_says_which_devices_from_what_to_what_and_how_much() {
        let plan = json!({
            "model": "bearing", "version": "2.0.0", "matched": 4, "bytes_max": 2048,
            "devices": [{ "device": "a", "from": "1.0.0" }, { "device": "b", "from": null }],
        });
        let expect = "bearing 2.0.0 to 2 of 4 devices, at most 2.0 KiB each, 4.0 KiB together\n\
                      DEVICE  FROM   TO\na       1.0.0  2.0.0\nb       -      2.0.0\n";
        assert_eq!(text(&plan), expect);
    }

    #[test]
    fn a_plan_that_reaches_nobody_says_so() {
        let plan = json!({ "model": "bearing", "version": "2.0.0", "matched": 4, "devices": [] });
        let expect = "bearing 2.0.0 to 0 of 4 devices: nothing would move\n";
        assert_eq!(text(&plan), expect);
    }

    #[test]
    fn a_manifest_weighs_its_config_and_its_layers() {
        let manifest = json!({ "config": { "size": 3 }, "layers": [{ "size": 4 }, { "size": 5 }] });
        assert_eq!(weight(&manifest), 12);
        assert_eq!(weight(&json!({})), 0);
    }
}
