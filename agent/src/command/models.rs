//! `muster-agent models`: what serves, what is desired, what to fall back to.
//!
//! Asks the running agent; never reads its files.

use super::{Output, StateArgs};
use crate::error::Failure;
use hyper::Method;
use serde_json::Value;

/// Prints one line for each model.
///
/// # Errors
/// No running agent.
pub async fn run(args: &StateArgs) -> Result<(), Failure> {
    let mut local = args.connect().await?;
    let status = local.ask(Method::GET, "/muster/status", None).await?;
    let models = &status["models"];
    match args.output {
        Output::Json => crate::print::data(&format!("{models:#}\n")),
        Output::Text if models.as_array().is_none_or(Vec::is_empty) => {
            eprintln!("no models: the fleet has assigned none to this device yet");
        }
        Output::Text => models
            .as_array()
            .into_iter()
            .flatten()
            .for_each(|m| crate::print::data(&line(m))),
    }
    Ok(())
}

/// One model in one line.
pub(super) fn line(model: &Value) -> String {
    let version = |slot: &str| model[slot]["version"].as_str().unwrap_or("-").to_owned();
    let serves = match model["answers"].as_bool() {
        Some(false) => "nothing".to_owned(),
        Some(true) | None => version("active"),
    };
    format!(
        "model       {}  serves {}  desired {}  previous {}  {}{}\n",
        model["model"].as_str().unwrap_or("?"),
        serves,
        model["desired"].as_str().unwrap_or("-"),
        version("previous"),
        model["progress"].as_str().unwrap_or("?"),
        model["outcome"]
            .as_str()
            .map_or(String::new(), |why| format!(" ({why})")),
    )
}
