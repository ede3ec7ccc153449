//! `muster-agent status`: what the running agent says of itself.
//!
//! Asks it; never reads its files.

use super::{Output, StateArgs};
use crate::error::Failure;
use hyper::Method;
use serde_json::Value;

/// Prints the picture that the agent gives.
///
/// # Errors
/// No running agent.
pub async fn run(args: &StateArgs) -> Result<(), Failure> {
    let mut local = args.connect().await?;
    let status = local.ask(Method::GET, "/muster/status", None).await?;
    match args.output {
        Output::Json => crate::print::data(&format!("{status:#}\n")),
        Output::Text => crate::print::data(&text(&status)),
    }
    Ok(())
}

fn text(status: &Value) -> String {
    let word = |value: &Value| {
        value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned)
    };
    let queue = |name: &str| {
        let lane = &status["queue"][name];
        format!(
            "{} waiting, {} unacknowledged",
            lane["pending"], lane["frozen"]
        )
    };
    let mut text = format!(
        "device      {}\nlink        {}\ntime        {}\nmetadata    {}\nassignment  {}\nreceipts    {}\nwindows     {}\n",
        word(&status["device"]),
        link(&status["link"]),
        if status["time_trusted"] == true {
            "trusted"
        } else {
            "not known yet"
        },
        metadata(&status["metadata"]),
        status["accepted"].as_str().unwrap_or("none"),
        queue("receipts"),
        queue("windows"),
    );
    for model in status["models"].as_array().into_iter().flatten() {
        text += &super::models::line(model);
    }
    text
}

/// Which fleet.json, and how long ago anything newer was signed.
fn metadata(metadata: &Value) -> String {
    let Some(version) = metadata["fleet_version"].as_u64() else {
        return "none".to_owned();
    };
    let mut text = format!("fleet.json version {version}");
    if let Some(age_s) = metadata["age_s"].as_u64() {
        text += &format!(", newest signature {} h old", age_s / 3600);
    }
    if metadata["stale"] == true {
        text += ": TOO OLD, no new models";
    }
    text
}

/// Which broker, who says so, and since when; the reason when there is none.
fn link(link: &Value) -> String {
    let word = |name: &str| link[name].as_str().unwrap_or_default();
    let (meant, from, since) = (word("meant"), word("from"), &link["since_s"]);
    let mut text = match link["broker"].as_str() {
        Some(broker) if broker == meant => {
            format!("connected to {broker} (by {from}) for {since} s")
        }
        Some(broker) => {
            format!("connected to {broker} for {since} s, which stands in for {meant} (by {from})")
        }
        None => format!(
            "not connected to {meant} (by {from}) for {since} s: because {}",
            word("because")
        ),
    };
    if let Some(fault) = link["not_followed"].as_str() {
        text += &format!("\n            fleet.json is not followed: because {fault}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(picture: &Value, expect: &str) {
        assert_eq!(link(picture), expect);
    }

    #[test]
    fn old_metadata_is_told_loudly() {
        let check = |picture: Value, expect: &str| assert_eq!(metadata(&picture), expect);
        check(Value::Null, "none");
        check(
            json!({ "fleet_version": 3, "age_s": null, "stale": false }),
            "fleet.json version 3",
        );
        check(
            json!({ "fleet_version": 3, "age_s": 7200, "stale": true }),
            "fleet.json version 3, newest signature 2 h old: TOO OLD, no new models",
        );
    }

    #[test]
    fn the_link_is_told_in_a_line() {
        let (old, new) = ("mqtts://old:8883", "mqtts://new:8883");
        check(
            &json!({ "broker": new, "meant": new, "from": "fleet.json version 3", "since_s": 4 }),
            "connected to mqtts://new:8883 (by fleet.json version 3) for 4 s",
        );
        check(
            &json!({ "broker": old, "meant": new, "from": "fleet.json version 3", "since_s": 4 }),
            "connected to mqtts://old:8883 for 4 s, which stands in for mqtts://new:8883 (by \
             fleet.json version 3)",
        );
        check(
            &json!({
                "broker": null, "meant": old, "from": "enrolment", "since_s": 4,
                "because": "it begins", "not_followed": "\"x\" names no port",
            }),
            "not connected to mqtts://old:8883 (by enrolment) for 4 s: because it begins\n            \
             fleet.json is not followed: because \"x\" names no port",
        );
    }
}
