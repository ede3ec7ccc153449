//! `muster device`: the devices of the fleet and their labels.

use std::collections::BTreeMap;

use clap::Subcommand;
use muster_protocol::id::{DeviceId, ModelId};
use serde_json::{Value, json};

use super::rollout::explain;
use super::show;

mod hold;
mod revoke;

use crate::cli::Context;
use crate::error::OperatorError;
use crate::output::note;

/// What to do with devices.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List them.
    List,
    /// Show one.
    Show {
        /// The device.
        device: DeviceId,
    },
    /// Replace the labels of one.
    Label {
        /// The device.
        device: DeviceId,
        /// Its labels from now on, all of them.
        #[arg(value_name = "KEY=VALUE", value_parser = label, required_unless_present = "clear")]
        labels: Vec<(String, String)>,
        /// Remove all labels.
        #[arg(long, conflicts_with = "labels")]
        clear: bool,
    },
    /// Where one stands in each rollout by policy, why, and what comes next.
    Explain {
        /// The device.
        device: DeviceId,
    },
    /// Take a model off one.
    Unassign {
        /// The device.
        device: DeviceId,
        /// The model.
        model: ModelId,
        /// Only the version that runs beside what serves.
        #[arg(long)]
        shadow: bool,
    },
    /// Let a device that was stolen or given away speak and connect no longer; a new token brings
    /// it back.
    Revoke {
        /// The device.
        device: DeviceId,
        /// Revoke it without asking.
        #[arg(long)]
        yes: bool,
    },
    /// Tell a held device what the store wants, without its word: it may go back to that.
    ReleaseHold {
        /// The device.
        device: DeviceId,
        /// Release it without asking.
        #[arg(long)]
        yes: bool,
    },
}

fn label(text: &str) -> Result<(String, String), String> {
    let pair = text
        .split_once('=')
        .map(|(key, value)| (key.to_owned(), value.to_owned()));
    pair.ok_or_else(|| "a label is KEY=VALUE, for example site=berlin".to_owned())
}

/// Runs it.
pub(crate) async fn run(command: Command, context: &Context) -> Result<(), OperatorError> {
    let client = context.client()?;
    match command {
        Command::List => {
            const COLUMNS: [&str; 7] = [
                "device",
                "connected",
                "agent",
                "assigned",
                "accepted",
                "held",
                "labels",
            ];
            let devices = client.all("list devices", "/api/v1/devices").await?;
            context.output.print(&devices, |devices| {
                let devices: Vec<_> = devices.iter().map(hold::for_people).collect();
                show::table(&devices, &COLUMNS)
            });
        }
        Command::Show { device } => {
            let what = format!("show the device {device}");
            let device = client
                .get(&what, &format!("/api/v1/devices/{device}"))
                .await?;
            context.output.print(&device, text);
        }
        Command::Explain { device } => {
            let what = format!("explain the device {device}");
            let path = format!("/api/v1/devices/{device}/explanation");
            let explained = client.get(&what, &path).await?;
            context.output.print(&explained, explain::device);
        }
        // Without labels the flag was given: the list is empty, and that is what is meant.
        Command::Label {
            device,
            labels,
            clear: _,
        } => {
            let labels: BTreeMap<_, _> = labels.into_iter().collect();
            let what = format!("label the device {device}");
            let path = format!("/api/v1/devices/{device}/labels");
            client.put(&what, &path, &json!(labels)).await?;
            let labels = show::cell(Some(&json!(labels)));
            note(format_args!("the labels of {device} are now: {labels}"));
        }
        Command::Unassign {
            device,
            model,
            shadow,
        } => {
            let (what, kind) = match shadow {
                false => (model.to_string(), "models"),
                true => (format!("the shadow of {model}"), "shadows"),
            };
            let path = format!("/api/v1/devices/{device}/{kind}/{model}");
            client
                .delete(&format!("take {what} off {device}"), &path)
                .await?;
            note(format_args!("{device} is told to remove {what}"));
        }
        Command::Revoke { device, yes } => revoke::revoke(&client, &device, yes).await?,
        Command::ReleaseHold { device, yes } => hold::release(&client, &device, yes).await?,
    }
    Ok(())
}

/// One device for people: what is known of it, then its models.
fn text(device: &Value) -> String {
    const COLUMNS: [&str; 7] = [
        "model",
        "desired_version",
        "active_version",
        "step",
        "reason",
        "detail",
        "predictions",
    ];
    let mut device = device.clone();
    let models = device.as_object_mut().and_then(|all| all.remove("models"));
    let known = show::record(&device);
    match models.as_ref().and_then(Value::as_array) {
        Some(models) if !models.is_empty() => {
            format!("{known}\n\n{}", show::table(models, &COLUMNS))
        }
        Some(_) | None => known,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_shown_with_its_models_below() {
        let device = json!({ "device": "a", "models": [] });
        assert_eq!(text(&device), "device  a");
        let device = json!({ "device": "a", "models": [{ "model": "m", "step": "active" }] });
        let expect = "device  a\n\nMODEL  DESIRED VERSION  ACTIVE VERSION  STEP    REASON  DETAIL  \
                      PREDICTIONS\nm      -                -               active  -       -       \
                      -\n";
        assert_eq!(text(&device), expect);
    }
}
