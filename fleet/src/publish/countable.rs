//! What gates can count of a release, read from the card and the reference of its bundle.
//!
//! Never refuses a release: what cannot be read is not counted, and the log says why.

use muster_fleet::quality::ScoreSums;
use muster_protocol::bundle::card::CardTensor;
use muster_protocol::bundle::manifest::{LayerKind, Manifest};
use muster_protocol::bundle::reference::Source;
use muster_protocol::bundle::{Card, FeatureReference, Probabilities, Reference};
use muster_protocol::cbor;
use muster_protocol::digest::Digest;
use muster_protocol::limits::{SHADOW_CLASSES_MAX, WHOLE_BYTES_MAX};

use super::card::{card, read};
use crate::blobs::Blobs;
use crate::bundle::unpacked;
use crate::store::{Classes, Compares, Countable, ScoreLayout, ScoresOf};

/// What the windows of a bundle count.
pub(super) fn countable(blobs: &Blobs, manifest: &Manifest) -> Countable {
    let said = |what: &str, because: String| {
        tracing::warn!("failed to read {what} for gates: because {because}");
    };
    let card = card(blobs, manifest);
    let card = card.map_err(|because| said("the card", because)).ok();
    let reference = reference(blobs, manifest).and_then(|reference| match reference {
        Some((digest, bytes)) => of_reference(digest, &bytes),
        None => Ok(OfReference::default()),
    });
    let reference = reference.map_err(|because| said("the reference", because));
    let OfReference {
        features,
        classes,
        first,
        scores,
        layout,
    } = reference.unwrap_or_default();
    Countable {
        latency_objective_us: card.as_ref().and_then(Card::latency_objective_us),
        classes,
        compares: card.map(|card| compares(&card.outputs, first)),
        scores,
        features: Some(features),
        layout,
    }
}

/// What the reference says.
#[derive(Debug, Clone, Copy, Default)]
struct OfReference {
    features: u16,
    classes: Option<Classes>,
    first: FirstOutput,
    scores: Option<ScoresOf>,
    layout: Option<ScoreLayout>,
}

/// Whether the reference counts the first element of the first output.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum FirstOutput {
    Counted,
    #[default]
    NotCounted,
}

/// As a device pairs outputs: `docs/rollouts.md`, "Shadows". Dimensions that the card leaves open
/// may fit.
fn compares(outputs: &[CardTensor], reference: FirstOutput) -> Compares {
    let is_float = |tensor: &CardTensor| tensor.datatype.starts_with("FP");
    let first = outputs.first();
    let by_class = first.is_some_and(|first| {
        let row = first.shape.get(1..).unwrap_or_default();
        let is_open = row.iter().any(|dim| *dim < 0);
        let elements = row.iter().fold(1_i64, |n, dim| n.saturating_mul(*dim));
        let is_one = elements == 1 || is_open;
        let are_few = (2..SHADOW_CLASSES_MAX as i64).contains(&elements) || is_open;
        match first.datatype.as_str() {
            _ if is_float(first) => are_few || is_one && reference == FirstOutput::Counted,
            "BYTES" => false,
            _ => is_one,
        }
    });
    Compares {
        classes: by_class,
        scores: outputs.iter().any(is_float),
    }
}

fn reference(blobs: &Blobs, manifest: &Manifest) -> Result<Option<(Digest, Vec<u8>)>, String> {
    let Some(layer) = manifest.layer(LayerKind::Reference) else {
        return Ok(None);
    };
    if layer.blob_size > u64::from(WHOLE_BYTES_MAX) {
        return Err("it is too large".to_owned());
    }
    let bytes = unpacked(layer, read(blobs, layer.digest)?).map_err(|broken| broken.to_string())?;
    Ok(Some((layer.blob_digest, bytes)))
}

fn of_reference(digest: Digest, bytes: &[u8]) -> Result<OfReference, String> {
    let reference: Reference<'_> = cbor::decode(bytes).map_err(|error| error.to_string())?;
    let is_first = |feature: &FeatureReference<'_>| {
        feature.source == Source::Output && feature.tensor == 0 && feature.element == 0
    };
    let first = match reference.features.iter().any(|feature| is_first(&feature)) {
        true => FirstOutput::Counted,
        false => FirstOutput::NotCounted,
    };
    let probabilities = reference.probabilities;
    let scale = probabilities.as_ref().map(Probabilities::scale);
    let scale = scale.transpose();
    let scale = scale.map_err(|bad| format!("its probabilities cannot be counted: {bad:?}"))?;
    let scores = scale.map(|scale| match scale.positive() {
        Some(_) => ScoresOf::TwoClasses,
        None => ScoresOf::ManyClasses,
    });
    let counts = probabilities.map(|known| ScoreSums::of(Some(&known.counts), None));
    let layout = scale.zip(counts);
    let mut found = OfReference {
        features: reference.features.len() as u16,
        classes: None,
        first,
        scores,
        layout: layout.and_then(|(scale, counts)| ScoreLayout::of(scale, &counts)),
    };
    let mut features = (0_u8..).zip(reference.features.iter());
    let output = features.find(|(_, feature)| feature.source == Source::Output);
    let Some((place, output)) = output else {
        return Ok(found);
    };
    let scale = output.scale();
    let scale = scale.map_err(|bad| format!("{:?} cannot be counted: {bad:?}", output.name))?;
    found.classes = Some(Classes {
        reference: digest,
        feature: place,
        bins: u8::try_from(scale.bins()).map_err(|_| "it has too many bins".to_owned())?,
        meaning: meaning(&output),
    });
    Ok(found)
}

/// How it was distributed when it was made does not matter: bins mean the same all the same.
fn meaning(output: &FeatureReference<'_>) -> Digest {
    let edges: Vec<u32> = output.edges.iter().collect();
    let meaning = (output.name, output.tensor, output.element, edges);
    match output.categories {
        None => Digest::of(&cbor::to_vec(&meaning)),
        Some(categories) => {
            let categories: Vec<u32> = categories.iter().collect();
            Digest::of(&cbor::to_vec(&(meaning, categories)))
        }
    }
}

#[cfg(test)]
mod tests {
    use muster_protocol::cbor::List;
    use muster_protocol::stats::Transform;

    use super::*;

    const EDGES: [f32; 3] = [0.0, 1.0, 2.0];

    fn check(features: &[(Source, &str, u32, &[f32])], expect: Option<(u8, u8)>) -> Option<Digest> {
        let numbers: Vec<(Vec<u32>, Vec<u32>)> = features
            .iter()
            .map(|(_, _, mean, edges)| {
                let bits = edges.iter().map(|edge| edge.to_bits()).collect();
                (bits, vec![*mean; edges.len() + 1])
            })
            .collect();
        let features: Vec<FeatureReference<'_>> = features
            .iter()
            .zip(&numbers)
            .map(
                |((source, name, mean, _), (edges, counts))| FeatureReference {
                    name,
                    source: *source,
                    tensor: 0,
                    element: 0,
                    transform: Transform::Identity,
                    mean: (*mean as f32).to_bits(),
                    deviation: 1_f32.to_bits(),
                    edges: List::of(edges),
                    counts: List::of(counts),
                    missing: 0,
                    limits: None,
                    categories: None,
                },
            )
            .collect();
        let bytes = cbor::to_vec(&Reference {
            rows: 100,
            features: List::of(&features),
            probabilities: None,
            variation: None,
        });
        let found = of_reference(Digest::of(&bytes), &bytes)
            .expect("a reference")
            .classes;
        let place = found.map(|classes| (classes.feature, classes.bins));
        assert_eq!(place, expect, "{features:?}");
        found.map(|classes| classes.meaning)
    }

    #[test]
    fn the_first_output_gives_the_classes() {
        let (input, output) = (Source::Input, Source::Output);
        check(&[], None);
        check(&[(input, "a", 1, &EDGES)], None);
        let usual = check(&[(output, "y", 1, &EDGES)], Some((0, 4)));
        let others = [
            (input, "a", 1, &EDGES[..2]),
            (output, "y", 7, &EDGES[..]),
            (output, "z", 1, &EDGES[..1]),
        ];
        let behind = check(&others, Some((1, 4)));
        assert_eq!(
            usual, behind,
            "its place and its distribution do not matter"
        );
        let renamed = check(&[(output, "z", 1, &EDGES)], Some((0, 4)));
        let other_edges = check(&[(output, "y", 1, &[0.0, 1.5, 2.0])], Some((0, 4)));
        assert!(usual != renamed && usual != other_edges);
    }

    #[test]
    fn a_shadow_is_compared_by_what_its_outputs_are() {
        use FirstOutput::{Counted, NotCounted};
        let check = |outputs: &[(&str, &[i64])], reference, classes, scores| {
            let tensor = |(datatype, shape): &(&str, &[i64])| CardTensor {
                name: "y".to_owned(),
                datatype: (*datatype).to_owned(),
                shape: shape.to_vec(),
            };
            let outputs: Vec<CardTensor> = outputs.iter().map(tensor).collect();
            let found = compares(&outputs, reference);
            assert_eq!(found, Compares { classes, scores }, "{outputs:?}");
        };
        check(&[("FP32", &[-1, 3])], NotCounted, true, true);
        check(&[("FP32", &[-1, 18])], NotCounted, true, true);
        check(&[("FP32", &[-1, 19])], Counted, false, true);
        check(&[("FP32", &[-1, 1])], Counted, true, true);
        check(&[("FP32", &[-1])], NotCounted, false, true);
        check(&[("FP32", &[-1, -1])], NotCounted, true, true);
        check(&[("INT64", &[-1])], NotCounted, true, false);
        check(
            &[("INT64", &[-1]), ("FP32", &[-1, 2])],
            NotCounted,
            true,
            true,
        );
        check(&[("INT64", &[-1, 7])], NotCounted, false, false);
        check(&[("BYTES", &[-1])], Counted, false, false);
    }

    #[test]
    fn what_is_no_reference_is_named() {
        assert!(of_reference(Digest([1; 32]), b"no reference").is_err());
    }
}
