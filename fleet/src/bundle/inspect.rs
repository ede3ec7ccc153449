//! `muster bundle inspect`: what a bundle says about itself.
//!
//! Every byte is checked before anything is shown; the model is not run.

mod reference;

use std::path::PathBuf;

use muster_protocol::bundle::Card;
use muster_protocol::bundle::card::Part;
use muster_protocol::bundle::manifest::{Compression, LayerKind};
use serde::Serialize;

use super::layout::Layout;
use super::verify::{self, Verified, verify};
use crate::error::{Exit, OperatorError};
use crate::output::{self, Output, Table};
use reference::ShownReference;

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
    reference: Option<ShownReference>,
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
    let layout = Layout::at(&args.folder);
    let verified = verify(&layout).map_err(|broken| {
        OperatorError::new(
            Exit::BadInput,
            format!("inspect the bundle {}", args.folder.display()),
            broken,
            "name a folder that `muster bundle build` has written",
        )
    })?;
    output.print(&shown(verified, &layout), text);
    Ok(())
}

fn shown(verified: Verified, layout: &Layout) -> Shown {
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
        reference: verify::layer(layout, &manifest, LayerKind::Reference)
            .ok()
            .and_then(|document| ShownReference::of(&document)),
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
    if let Some(reference) = &shown.reference {
        facts.row(["reference".to_owned(), reference.summary()]);
    }
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
    let features = shown.reference.as_ref().map(ShownReference::table);
    let features = features.map_or(String::new(), |features| format!("{features}\n"));
    format!("{facts}\n{features}{layers}")
}

/// How much of what people should say is there.
fn said(card: &Card) -> String {
    let missing = card.about.clone().unwrap_or_default().missing();
    let all = Part::ALL.len();
    let filled = all.saturating_sub(missing.len());
    let names: Vec<_> = missing.into_iter().map(Part::name).collect();
    match names.as_slice() {
        [] => format!("all of {all} parts"),
        names => format!("{filled} of {all} parts, without {}", names.join(", ")),
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
        let layout = Layout::at(folder.path());
        let shown = shown(verify(&layout).expect("whole"), &layout);
        let text = text(&shown);
        for part in [
            "bearing 1.2.0",
            "Gemm, Relu",
            "features FP32 [-1, 2]",
            "hash list",
            "a, b",
            "200 rows, 10 blocks of 20; one more breaches one limit by chance with p ",
            "IN A ROW",
            "0 of 6 parts, without intended_use, limits",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        let json = serde_json::to_value(&shown).expect("JSON");
        assert_eq!(json["card"]["golden"]["source"], "self");
        assert_eq!(json["reference"]["block_rows"], 20);
        assert_eq!(json["reference"]["features"][2]["name"], "score");
        assert!(json["reference"]["features"][0]["limits"]["location"][0].is_number());
    }
}
