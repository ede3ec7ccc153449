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
    let text = format!(
        "model       {}  serves {}  desired {}  previous {}  {}{}\n",
        model["model"].as_str().unwrap_or("?"),
        serves,
        model["desired"].as_str().unwrap_or("-"),
        version("previous"),
        model["progress"].as_str().unwrap_or("?"),
        model["outcome"]
            .as_str()
            .map_or(String::new(), |why| format!(" ({why})")),
    );
    let alarms = model["alarms"].as_array();
    let alarms: String = alarms.into_iter().flatten().map(alarm).collect();
    text + &alarms + &shadow(&model["shadow"])
}

/// What the device has found by itself, a line for each.
fn alarm(alarm: &Value) -> String {
    let word = |name: &str| alarm[name].as_str().unwrap_or("?");
    let number = |name: &str| alarm[name].as_f64().unwrap_or(f64::NAN);
    let kind = word("kind");
    let (value, limit) = (number("value"), number("limit"));
    let reading = match kind {
        "absent" | "out_of_range" => {
            format!("{:.1} %, limit {:.1} %", 100.0 * value, 100.0 * limit)
        }
        "stuck" => format!("{value:.2}, limit {limit:.2}"),
        _ => format!("{value:.2} sd, limit {limit:.2} sd"),
    };
    let (feature, since_s) = (word("feature"), &alarm["since_s"]);
    format!("  ALARM     {feature}  {kind}  for {since_s} s: {reading}\n")
}

/// The shadow of a model in one line more, if it has one.
fn shadow(shadow: &Value) -> String {
    let Some(progress) = shadow["progress"].as_str() else {
        return String::new();
    };
    let outcome = shadow["outcome"].as_str();
    format!(
        "  shadow    {}  {progress}{}  compared {} of {} rows{}\n",
        shadow["desired"].as_str().unwrap_or("-"),
        outcome.map_or(String::new(), |why| format!(" ({why})")),
        shadow["compared"],
        shadow["served"],
        cpu(shadow),
    )
}

/// What it may take of a core, while it runs.
fn cpu(shadow: &Value) -> String {
    let Some(per_mille) = shadow["cpu_per_mille"].as_u64() else {
        return String::new();
    };
    let percent = per_mille as f64 / 10.0;
    match shadow["cpu_saved_us"].as_i64() {
        Some(saved_us) if saved_us < 0 => {
            format!(
                "  cpu {percent} %, {} ms owed",
                saved_us.unsigned_abs().div_ceil(1000)
            )
        }
        Some(_) | None => format!("  cpu {percent} %"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_alarm_has_a_line_of_its_own() {
        let check = |kind: &str, value: f64, limit: f64, expect: &str| {
            let told = json!({
                "feature": "load", "kind": kind, "since_s": 8, "value": value, "limit": limit,
            });
            assert_eq!(alarm(&told), format!("  ALARM     load  {expect}\n"));
            let model = json!({ "model": "pump", "alarms": [told] });
            assert!(line(&model).ends_with(&format!("{expect}\n")));
        };
        check(
            "location_high",
            3.5625,
            1.0,
            "location_high  for 8 s: 3.56 sd, limit 1.00 sd",
        );
        check("absent", 0.5, 0.021, "absent  for 8 s: 50.0 %, limit 2.1 %");
        check("stuck", 299.0, 8.0, "stuck  for 8 s: 299.00, limit 8.00");
    }

    #[test]
    fn a_shadow_has_a_line_of_its_own() {
        let check = |model: Value, expect: &str| assert_eq!(line(&model), expect);
        let mut model = json!({
            "model": "bearing", "active": { "version": "1.0.0" }, "desired": "1.0.0",
            "progress": "committed", "answers": true, "shadow": null,
        });
        let serves = "model       bearing  serves 1.0.0  desired 1.0.0  previous -  committed\n";
        check(model.clone(), serves);
        model["shadow"] = json!({
            "desired": "2.0.0", "progress": "shadowing", "compared": 40, "served": 100,
            "cpu_per_mille": 50, "cpu_saved_us": -1500,
        });
        let runs = "  shadow    2.0.0  shadowing  compared 40 of 100 rows  cpu 5 %, 2 ms owed\n";
        check(model.clone(), &format!("{serves}{runs}"));
        model["shadow"] = json!({
            "desired": "2.0.0", "progress": "reverted", "outcome": "Crashed", "compared": 0,
            "served": 0, "cpu_per_mille": null,
        });
        let ended = "  shadow    2.0.0  reverted (Crashed)  compared 0 of 0 rows\n";
        check(model, &format!("{serves}{ended}"));
    }
}
