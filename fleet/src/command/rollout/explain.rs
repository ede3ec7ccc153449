//! Why a rollout or a device stands where it stands, for people: the sentences are the planner's.
//!
//! Never words a reason itself.

use serde_json::Value;

use super::super::show;
use crate::client::Client;
use crate::error::OperatorError;
use crate::output::Table;

/// Counts of a ring that are shown, with their heading.
const COUNTS: [(&str, &str); 11] = [
    ("members", "devices"),
    ("waiting", "waiting"),
    ("blocked", "blocked"),
    ("in_flight", "on the way"),
    ("committed", "committed"),
    ("failed", "failed"),
    ("silent", "silent"),
    ("unreachable", "unreachable"),
    ("going_back", "going back"),
    ("back", "back"),
    ("elsewhere", "elsewhere"),
];

/// Asks the controller about a rollout.
pub(crate) async fn of_rollout(client: &Client, rollout: u64) -> Result<Value, OperatorError> {
    let what = format!("explain the rollout {rollout}");
    let path = format!("/api/v1/rollouts/{rollout}/explanation");
    client.get(&what, &path).await
}

/// A rollout.
pub(crate) fn rollout(explained: &Value) -> String {
    let field = |name: &str| show::cell(explained.get(name));
    let sentence = |name: &str| show::cell(explained.pointer(&format!("/{name}/sentence")));
    let mut text = format!(
        "rollout {} of {} {}{}, plan {}\nstands   {}\nbecause  {}\nwaits    {}\nnext     {}\n",
        field("rollout"),
        field("model"),
        field("version"),
        role(explained),
        field("plan"),
        stands(explained),
        sentence("because"),
        sentence("waits"),
        field("next"),
    );
    text += &rings(explained);
    text += &gates(explained);
    text += &shadows(explained);
    text
}

/// Only where it is not to serve.
fn role(explained: &Value) -> &'static str {
    match explained.get("role").and_then(Value::as_str) {
        Some("shadow") => " as a shadow",
        _ => "",
    }
}

/// In a word or two, with the ring that is open.
fn stands(explained: &Value) -> String {
    let word = show::cell(explained.get("stands"));
    let state = explained.get("state").and_then(Value::as_object);
    let ring = state.and_then(|state| state.values().next()?.get("ring")?.as_u64());
    let name = ring.and_then(|ring| explained.pointer(&format!("/rings/{ring}/0")));
    match name {
        Some(name) => format!("{word}, ring {}", show::cell(Some(name))),
        None => word,
    }
}

/// Where a device stands in each rollout.
pub(crate) fn device(explained: &Value) -> String {
    let all = explained.as_array().map(Vec::as_slice).unwrap_or_default();
    if all.is_empty() {
        return "no rollout by policy goes on, and none has told it anything".to_owned();
    }
    let one = |row: &Value| {
        let field = |name: &str| show::cell(row.get(name));
        format!(
            "rollout {} of {} {}{}, ring {}\nwhy      {}\nnext     {}",
            field("rollout"),
            field("model"),
            field("version"),
            role(row),
            field("ring"),
            field("why"),
            field("next"),
        )
    };
    all.iter().map(one).collect::<Vec<_>>().join("\n\n")
}

fn rings(explained: &Value) -> String {
    let rings = explained.get("rings").and_then(Value::as_array);
    let rings: Vec<&Value> = rings.into_iter().flatten().collect();
    let is_shown = |name: &str| {
        let counted = |ring: &&Value| ring[1].get(name).and_then(Value::as_u64) != Some(0);
        name == "members" || rings.iter().any(counted)
    };
    let shown: Vec<_> = COUNTS.iter().filter(|(name, _)| is_shown(name)).collect();
    let mut headings = vec!["ring"];
    headings.extend(shown.iter().map(|(_, heading)| *heading));
    let mut table = Table::new(&headings);
    for ring in rings {
        let counts = shown.iter().map(|(name, _)| show::cell(ring[1].get(name)));
        table.row(std::iter::once(show::cell(ring.get(0))).chain(counts));
    }
    table.to_string()
}

fn gates(explained: &Value) -> String {
    let mut table = Table::new(&["ring", "gate", "verdict", "because"]);
    let mut any = false;
    let by_ring = explained.get("gates").and_then(Value::as_array);
    for (at, ring) in by_ring.into_iter().flatten().enumerate() {
        let name = explained.pointer(&format!("/rings/{at}/0"));
        let verdicts = ring.get("verdicts").and_then(Value::as_array);
        for verdict in verdicts.into_iter().flatten() {
            any = true;
            let field = |field: &str| show::cell(verdict.get(field));
            let because = field("because");
            table.row([show::cell(name), field("gate"), field("verdict"), because]);
        }
    }
    if any {
        table.to_string()
    } else {
        String::new()
    }
}

/// How the shadows of each ring compare with what serves.
fn shadows(explained: &Value) -> String {
    let rings = explained.get("shadows").and_then(Value::as_array);
    let Some(rings) = rings.filter(|rings| !rings.is_empty()) else {
        return String::new();
    };
    show::table(
        rings,
        &[
            "ring",
            "devices",
            "served",
            "compared",
            "classified",
            "disagreed",
            "difference_of_one_percent",
            "latency_us",
            "serving_latency_us",
        ],
    )
}
