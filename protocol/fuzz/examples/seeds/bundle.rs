//! Samples of the documents of a bundle that are not among the committed fixtures.

use muster_protocol::bundle::card::{CardGolden, CardTensor, FORMAT, GoldenSource, Runtime};
use muster_protocol::bundle::manifest::{Compression, Descriptor, Layer, LayerKind};
use muster_protocol::bundle::{Card, Golden, GoldenVector, HashList, LayerHashes, Manifest};
use muster_protocol::cbor::{self, List};
use muster_protocol::digest::Digest;
use muster_protocol::id::{ModelId, TargetClass, Version};

/// Name, kind in `bundle`, bytes.
pub fn samples() -> Vec<(&'static str, u8, Vec<u8>)> {
    let json = manifest().to_json(&model(), &version());
    let list = hash_list();
    vec![
        ("manifest", 0, json.clone()),
        ("card", 2, card().to_json().expect("valid")),
        ("golden", 3, golden().to_cbor()),
        ("hash-list-of-manifest", 1, list.clone()),
        (
            "manifest-and-hash-list",
            5,
            [&json[..], &[0], &list].concat(),
        ),
    ]
}

fn model() -> ModelId {
    ModelId::parse("bearing").expect("valid")
}

fn version() -> Version {
    Version::parse("1.2.0").expect("valid")
}

fn layer(kind: LayerKind, size: u64) -> Layer {
    let digest = Digest([size as u8; 32]);
    Layer {
        kind,
        digest,
        size,
        compression: Compression::Plain,
        blob_digest: digest,
        blob_size: size,
    }
}

fn manifest() -> Manifest {
    let compressed = Layer {
        compression: Compression::Zstd,
        blob_digest: Digest([9; 32]),
        blob_size: 70_000,
        ..layer(LayerKind::Model, 5000)
    };
    Manifest {
        card: Descriptor {
            digest: Digest([1; 32]),
            size: 700,
        },
        layers: vec![
            compressed,
            layer(LayerKind::Reference, 300),
            layer(LayerKind::Golden, 200),
            layer(LayerKind::HashList, 150),
        ],
    }
}

fn hash_list() -> Vec<u8> {
    let pieces = [7; 64];
    let layers: Vec<_> = manifest().layers[..3]
        .iter()
        .map(|layer| LayerHashes {
            digest: layer.digest,
            size: layer.size,
            pieces: if layer.size > 4096 {
                &pieces
            } else {
                &pieces[..32]
            },
        })
        .collect();
    cbor::to_vec(&HashList {
        piece_size: 4096,
        layers: List::of(&layers),
    })
}

fn card() -> Card {
    let tensor = |name: &str, shape: &[i64]| CardTensor {
        name: name.into(),
        datatype: "FP32".into(),
        shape: shape.into(),
    };
    Card {
        format: FORMAT,
        model: model(),
        version: version(),
        class: TargetClass::parse("any").expect("valid"),
        runtime: Runtime::Onnx,
        operators: vec!["Gemm".into(), "Relu".into()],
        inputs: vec![tensor("features", &[-1, 4])],
        outputs: vec![tensor("score", &[-1])],
        features: vec!["b1".into()],
        golden: CardGolden {
            source: GoldenSource::Own,
            vectors: 3,
            rtol: 1e-3,
            atol: 1e-4,
        },
        planned_peak_bytes: 4 << 20,
        latency_us_max: Some(5000),
        about: None,
        created_by: "muster 0.1.0".into(),
    }
}

fn golden() -> Golden<u64> {
    let vector = GoldenVector {
        inputs: vec![7, 8],
        outputs: vec![9],
    };
    Golden {
        rtol: 1e-3,
        atol: 1e-4,
        vectors: vec![vector.clone(), vector],
    }
}
