//! What a signer sees: exactly what will be signed, how it differs from what is there, who has
//! signed and who may still.
//!
//! Never decides. Everything shown is made from what is verified or signed, never from words that a
//! proposal brings.

use std::collections::BTreeMap;

use muster_protocol::digest::Digest;
use muster_protocol::tuf::{FleetDocument, Root, date_time};
use serde::Serialize;
use serde_json::Value;

use super::folder::{Named, called};
use super::part::{Content, missing};
use super::proposal::Proposal;
use super::release::{NewRelease, opened_bundle};
use super::state::State;
use super::wanted::{Unfit, Wanted};
use crate::ceremony;
use crate::output::{self, Table};
use crate::release::plan;

/// How far a proposal is.
#[derive(Debug, Serialize)]
pub(super) struct Progress {
    kind: &'static str,
    complete: bool,
    parts: Vec<PartProgress>,
    #[serde(skip_serializing_if = "Option::is_none")]
    later: Option<String>,
}

#[derive(Debug, Serialize)]
struct PartProgress {
    part: String,
    missing: usize,
    signed_by: Vec<String>,
    may_sign: Vec<String>,
}

/// What will be signed.
///
/// # Errors
/// [`Unfit`].
pub(super) fn wanted(proposal: &Proposal, state: &State, known: &[Named]) -> Result<String, Unfit> {
    if let Wanted::Release(new) = &proposal.wanted {
        return release(new, state, known);
    }
    let mut shown = String::new();
    if let Some(new) = proposal.wanted.root() {
        shown += &root(&state.ground.root, &new.document()?, known);
    }
    if let Some(new) = proposal.wanted.fleet() {
        let next = FleetDocument::parse(new.as_bytes())?;
        shown += &ceremony::difference(&state.ground.fleet, &next);
    }
    Ok(shown)
}

/// How far it is.
pub(super) fn progress(proposal: &Proposal, state: &State, known: &[Named]) -> Progress {
    let parts = state.parts.iter().map(|signed| {
        let has = |key: &[u8; 32]| signed.made.iter().any(|made| made.key == *key);
        let mut may: Vec<[u8; 32]> = Vec::new();
        let wanting = signed.part.by.iter();
        for by in wanting.filter(|by| missing(by, &signed.made) > 0) {
            may.extend(by.public_keys().iter().filter(|key| !has(key)));
        }
        may.sort_unstable();
        may.dedup();
        let missing = signed.part.by.iter().map(|by| missing(by, &signed.made));
        PartProgress {
            part: signed.part.content.name(),
            missing: missing.max().unwrap_or(0),
            signed_by: signed
                .made
                .iter()
                .map(|made| called(known, &made.key))
                .collect(),
            may_sign: may.iter().map(|key| called(known, key)).collect(),
        }
    });
    Progress {
        kind: proposal.wanted.command(),
        complete: state.is_complete(),
        parts: parts.collect(),
        later: state.later.clone(),
    }
}

/// The same, for people.
pub(super) fn text(progress: &Progress) -> String {
    let mut table = Table::new(&["part", "missing", "signed by", "may still sign"]);
    for part in &progress.parts {
        let or_none = |names: &[String]| match names.is_empty() {
            true => "-".to_owned(),
            false => names.join(", "),
        };
        let may = or_none(&part.may_sign);
        let signed = or_none(&part.signed_by);
        table.row([part.part.clone(), part.missing.to_string(), signed, may]);
    }
    if let Some(later) = &progress.later {
        let after = "after the statement".to_owned();
        table.row([later.clone(), after, "-".to_owned(), "the same".to_owned()]);
    }
    let kind = progress.kind;
    let next = match progress.complete {
        true => format!("Nothing is missing: bring it to the controller, `muster {kind} publish`."),
        false => format!("Carry the file to the next signer, who runs `muster {kind} sign`."),
    };
    format!("{table}{next}")
}

/// Version, expiry and digest of each document that will be signed; the digest to be compared
/// aloud.
pub(super) fn documents(state: &State) -> String {
    let mut table = Table::new(&["to sign", "version", "expires", "sha256"]);
    for signed in &state.parts {
        let content = &signed.part.content;
        let none = || "-".to_owned();
        let (bytes, version, expires) = match content {
            Content::Statement(payload) => (payload, none(), none()),
            Content::Metadata {
                message, envelope, ..
            } => {
                let field = |name: &str| envelope.signed.get(name).map_or_else(none, plain);
                (message, field("version"), field("expires"))
            }
        };
        let digest = Digest::of(bytes).hex().to_string();
        table.row([content.name(), version, expires, digest]);
    }
    table.to_string()
}

fn plain(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), ToOwned::to_owned)
}

fn release(new: &NewRelease, state: &State, known: &[Named]) -> Result<String, Unfit> {
    let opened = new.opened()?;
    let (stated, card) = (&opened.statement, &opened.card);
    let mut table = Table::new(&["release", "value"]);
    let mut row = |name: &str, value: String| table.row([name.to_owned(), value]);
    row("model", format!("{} {}", stated.model, stated.version));
    row("rank", stated.rank.to_string());
    row("class", stated.class.to_string());
    row("bundle", stated.bundle.to_string());
    for layer in &opened.manifest.layers {
        let size = output::bytes(layer.size);
        row(layer.kind.as_str(), format!("{size}, {}", layer.digest));
    }
    let needs = &stated.requirements;
    row("peak memory", output::bytes(needs.peak_memory_bytes));
    row("disk", output::bytes(needs.disk_bytes));
    for (name, value) in flat(&serde_json::to_value(card).unwrap_or_default()) {
        row(&format!("card: {name}"), value);
    }
    let last = state.ground.model.as_ref().and_then(plan::last);
    row(
        "last release",
        last.as_ref().map_or("none".to_owned(), |last| {
            format!("{} of rank {}", last.name, last.rank)
        }),
    );
    row("signed by", signers(state, known));
    if let Some(signers) = &new.signers {
        let change = format!(
            "from now on {} of {} keys",
            signers.threshold,
            signers.keys.len()
        );
        row("targets delegate anew", change);
    }
    Ok(format!(
        "{table}{}",
        against_last(new, last.as_ref(), &opened)?
    ))
}

/// Who must sign for the model.
fn signers(state: &State, known: &[Named]) -> String {
    let statement = state
        .parts
        .first()
        .and_then(|signed| signed.part.by.first());
    let Some(by) = statement else {
        return "nobody".to_owned();
    };
    let names: Vec<String> = by
        .public_keys()
        .iter()
        .map(|key| called(known, key))
        .collect();
    format!("{} of {}", by.threshold(), names.join(", "))
}

/// What differs from the release before, as far as its bundle is carried along.
fn against_last(
    new: &NewRelease,
    last: Option<&plan::Last>,
    opened: &super::release::Opened,
) -> Result<String, Unfit> {
    let Some((carried, last)) = new.last.as_ref().zip(last) else {
        return Ok(String::new());
    };
    let bundle = Digest::parse(&last.bundle).map_err(|_| Unfit::OtherBundle("last release"))?;
    let (manifest, card) = opened_bundle(&carried.manifest, &carried.card, bundle)?;
    let value = |manifest: &muster_protocol::bundle::Manifest, card: &_| {
        let layers = manifest.layers.iter();
        let layers = layers.map(|layer| {
            let value = format!("{}, {}", output::bytes(layer.size), layer.digest);
            (layer.kind.as_str().to_owned(), value)
        });
        let mut lines: BTreeMap<String, String> = layers.collect();
        lines.extend(flat(&serde_json::to_value(card).unwrap_or_default()));
        lines
    };
    let (before, after) = (
        value(&manifest, &card),
        value(&opened.manifest, &opened.card),
    );
    Ok(difference("change to the last release", &before, &after))
}

fn root(before: &Root, after: &Root, known: &[Named]) -> String {
    let lines = |root: &Root| -> BTreeMap<String, String> {
        let header = [
            ("version".to_owned(), root.header.version.to_string()),
            ("expires".to_owned(), date_time(root.header.expires_s)),
        ];
        let roles = root.roles.iter().flat_map(|(role, keys)| {
            let of = |id: &String| {
                let public = root.keys.get(id).and_then(|key| key.ed25519_public());
                public.map_or_else(|| id.clone(), |public| called(known, &public))
            };
            let names: Vec<String> = keys.keyids.iter().map(of).collect();
            [
                (format!("{role}: keys"), names.join(", ")),
                (format!("{role}: threshold"), keys.threshold.to_string()),
            ]
        });
        header.into_iter().chain(roles).collect()
    };
    difference("root", &lines(before), &lines(after))
}

/// What differs.
fn difference(
    title: &str,
    before: &BTreeMap<String, String>,
    after: &BTreeMap<String, String>,
) -> String {
    let mut table = Table::new(&[title, "now", "next"]);
    let names: std::collections::BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let value = |lines: &BTreeMap<String, String>, name: &String| {
        lines.get(name).cloned().unwrap_or_else(|| "-".to_owned())
    };
    for name in names {
        let (now, next) = (value(before, name), value(after, name));
        if now != next {
            table.row([name.clone(), now, next]);
        }
    }
    table.to_string()
}

/// One line for each single value; lists of single values stay on one.
fn flat(value: &Value) -> BTreeMap<String, String> {
    let mut lines = BTreeMap::new();
    open("", value, &mut lines);
    lines
}

fn open(name: &str, value: &Value, lines: &mut BTreeMap<String, String>) {
    match value {
        Value::Object(fields) => {
            for (field, value) in fields {
                let dot = if name.is_empty() { "" } else { "." };
                open(&format!("{name}{dot}{field}"), value, lines);
            }
        }
        Value::Array(values) if values.iter().any(|value| value.is_object()) => {
            for (at, value) in values.iter().enumerate() {
                match value.get("name").zip(value.get("value")) {
                    Some((Value::String(named), value)) => {
                        open(&format!("{name}.{named}"), value, lines);
                    }
                    _ => open(&format!("{name}[{at}]"), value, lines),
                }
            }
        }
        Value::String(text) => drop(lines.insert(name.to_owned(), text.clone())),
        other => drop(lines.insert(name.to_owned(), other.to_string())),
    }
}
