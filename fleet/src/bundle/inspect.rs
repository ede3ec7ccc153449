//! `muster bundle inspect`: what a bundle says about itself.
//!
//! Every byte is checked before anything is shown; the model is not run.

use std::path::PathBuf;

use muster_protocol::bundle::Card;
use muster_protocol::bundle::manifest::Compression;
use serde::Serialize;

use super::layout::Layout;
use super::verify::{Verified, verify};
use crate::config::CardPart;
use crate::error::{Exit, OperatorError};
use crate::output::{self, Output, Table};

/// Arguments of `muster bundle inspect`.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct InspectArgs {
    /// Folder of the bundle.
    folder: PathBuf,
}

/// What is shown.
#[derive(Serialize)]
struct Shown {
    bundle: String,
    manifest_size: u64,
    disk_bytes: u64,
    card: Card,
    layers: Vec<ShownLayer>,
}

#[derive(Serialize)]
struct ShownLayer {
    kind: &'static str,
    digest: String,
    size: u64,
    compressed: bool,
    blob_size: u64,
}

pub(super) fn run(args: &InspectArgs, output: Output) -> Result<(), OperatorError> {
    let found = std::fs::metadata(&args.folder);
    found.map_err(|error| OperatorError::file("read the bundle", &args.folder, &error))?;
    let verified = verify(&Layout::at(&args.folder)).map_err(|broken| {
        OperatorError::new(
            Exit::BadInput,
            format!("inspect the bundle {}", args.folder.display()),
            broken,
            "name a folder that `muster bundle build` has written",
        )
    })?;
    output.print(&shown(verified), text);
    Ok(())
}

fn shown(verified: Verified) -> Shown {
    let Verified {
        bundle,
        manifest,
        card,
    } = verified;
    let layer = |layer: &muster_protocol::bundle::manifest::Layer| ShownLayer {
        kind: layer.kind.as_str(),
        digest: layer.digest.to_string(),
        size: layer.size,
        compressed: layer.compression == Compression::Zstd,
        blob_size: layer.blob_size,
    };
    Shown {
        bundle: bundle.digest.to_string(),
        manifest_size: bundle.size,
        disk_bytes: manifest.plan().disk_bytes,
        layers: manifest.layers.iter().map(layer).collect(),
        card,
    }
}

fn text(shown: &Shown) -> String {
    let card = &shown.card;
    let mut facts = Table::new(&["fact", "value"]);
    facts.row([
        "model".to_owned(),
        format!("{} {}", card.model, card.version),
    ]);
    facts.row(["bundle", &shown.bundle]);
    facts.row(["class", card.class.as_str()]);
    facts.row(["operators", &card.operators.join(", ")]);
    for (side, tensors) in [("input", &card.inputs), ("output", &card.outputs)] {
        for tensor in tensors {
            let value = format!("{} {} {:?}", tensor.name, tensor.datatype, tensor.shape);
            facts.row([side.to_owned(), value]);
        }
    }
    facts.row(["features", &card.features.join(", ")]);
    facts.row(["golden".to_owned(), golden(card)]);
    facts.row(["peak memory", &output::bytes(card.planned_peak_bytes)]);
    facts.row(["disk", &output::bytes(shown.disk_bytes)]);
    facts.row(["card".to_owned(), said(card)]);
    facts.row(["created by", &card.created_by]);
    let mut layers = Table::new(&["layer", "sent", "unpacked", "digest"]);
    for layer in &shown.layers {
        let sizes = [output::bytes(layer.size), output::bytes(layer.blob_size)];
        layers.row([
            layer.kind.to_owned(),
            sizes[0].clone(),
            sizes[1].clone(),
            layer.digest.clone(),
        ]);
    }
    format!("{facts}\n{layers}")
}

/// How much of what people should say is there.
fn said(card: &Card) -> String {
    let missing = card.about.clone().unwrap_or_default().missing();
    let all = CardPart::ALL.len();
    let filled = all.saturating_sub(missing.len());
    match missing.as_slice() {
        [] => format!("all of {all} parts"),
        missing => format!("{filled} of {all} parts, without {}", missing.join(", ")),
    }
}

fn golden(card: &Card) -> String {
    let golden = &card.golden;
    let source = format!("{:?}", golden.source).to_lowercase();
    let (vectors, rtol, atol) = (golden.vectors, golden.rtol, golden.atol);
    format!("{vectors} vectors, source {source}, rtol {rtol}, atol {atol}")
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    #[test]
    fn a_bundle_is_shown_in_both_forms() {
        let folder = sample::bundle();
        let shown = shown(verify(&Layout::at(folder.path())).expect("whole"));
        let text = text(&shown);
        for part in [
            "bearing 1.2.0",
            "Gemm, Relu",
            "features FP32 [-1, 2]",
            "hash list",
            "a, b",
            "0 of 6 parts, without intended_use, limits",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        let json = serde_json::to_value(&shown).expect("JSON");
        assert_eq!(json["card"]["golden"]["source"], "self");
    }
}
