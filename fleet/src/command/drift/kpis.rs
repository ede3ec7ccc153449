//! `muster drift kpis`: how well alerts and rollouts did.

use serde_json::Value;

use super::super::show;
use super::super::span::{Span, span};
use crate::cli::Context;
use crate::error::OperatorError;
use crate::output::Table;

/// Over which span.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// What began in the last while: 24h, 7d.
    #[arg(long, default_value = "28d", value_parser = span)]
    since: Span,
}

/// Runs it.
pub(super) async fn run(args: &Args, context: &Context) -> Result<(), OperatorError> {
    let filters = [("since_s", Some(args.since.seconds.to_string()))];
    let path = show::filtered("/api/v1/drift/kpis", &filters);
    let kpis = context
        .client()?
        .get("count what alerts were worth", &path)
        .await?;
    context
        .output
        .print(&kpis, |kpis| text(kpis, &args.since.said));
    Ok(())
}

fn text(kpis: &Value, span: &str) -> String {
    let mut table = Table::new(&["last", span, "95 % interval"]);
    let number = |name: &str| kpis[name].as_f64().unwrap_or(0.0);
    let per_week = number("alerts_per_week");
    table.row([
        "alerts a week".to_owned(),
        format!("{per_week:.1}"),
        "-".to_owned(),
    ]);
    for (name, said) in [
        ("alert_precision", "alert precision (confirmed of judged)"),
        ("canary_success", "canary success (completed of ended)"),
    ] {
        let (share, interval) = share(&kpis[name]);
        table.row([said.to_owned(), share, interval]);
    }
    let mean = kpis["mean_time_to_acknowledge_s"].as_f64();
    let mean = mean.map_or("-".to_owned(), |s| format!("{:.1} min", s / 60.0));
    table.row(["mean time to acknowledge".to_owned(), mean, "-".to_owned()]);
    table.to_string()
}

fn share(share: &Value) -> (String, String) {
    let percent = |name: &str| share[name].as_f64().map(|x| format!("{:.0} %", 100.0 * x));
    let (hits, of) = (&share["hits"], &share["of"]);
    match (percent("share"), percent("low"), percent("high")) {
        (Some(at), Some(low), Some(high)) => {
            (format!("{at} ({hits} of {of})"), format!("{low} to {high}"))
        }
        _ => ("-".to_owned(), "-".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_share_of_nothing_is_not_shown_as_one() {
        let kpis = json!({
            "alerts_per_week": 2.5,
            "alert_precision": { "hits": 9, "of": 10, "share": 0.9, "low": 0.596, "high": 0.982 },
            "canary_success": { "hits": 0, "of": 0, "share": null, "low": 0.0, "high": 1.0 },
            "mean_time_to_acknowledge_s": 90.0,
        });
        let text = text(&kpis, "28d");
        for part in ["2.5", "90 % (9 of 10)", "60 % to 98 %", "1.5 min"] {
            assert!(text.contains(part), "{text}");
        }
        let canary = text.lines().find(|line| line.starts_with("canary"));
        assert!(!canary.expect("a line").contains('0'), "{text}");
    }
}
