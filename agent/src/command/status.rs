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
    let yes = |value: &Value, yes: &str, no: &str| {
        if value.as_bool() == Some(true) {
            yes.to_owned()
        } else {
            no.to_owned()
        }
    };
    let queue = |name: &str| {
        let lane = &status["queue"][name];
        format!(
            "{} waiting, {} unacknowledged",
            lane["pending"], lane["frozen"]
        )
    };
    let mut text = format!(
        "device      {}\nlink        {}\ntime        {}\nassignment  {}\nreceipts    {}\nwindows     {}\n",
        word(&status["device"]),
        yes(&status["connected"], "connected", "not connected"),
        yes(&status["time_trusted"], "trusted", "not known yet"),
        status["accepted"].as_str().unwrap_or("none"),
        queue("receipts"),
        queue("windows"),
    );
    for model in status["models"].as_array().into_iter().flatten() {
        text += &super::models::line(model);
    }
    text
}
