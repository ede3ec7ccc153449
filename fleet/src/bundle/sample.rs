//! A small bundle for tests, made without the agent: its report is written down here.
//!
//! Never part of the program.

use muster_protocol::bundle::Card;
use muster_protocol::bundle::card::{CardGolden, FORMAT, GoldenSource, Runtime};
use muster_protocol::id::{ModelId, TargetClass, Version};

use super::agent::{Checked, RowOutputs, Signature};
use super::golden::{Golden, Vector};
use super::layout::Layout;
use super::pack::{Packed, Parts, pack};
use super::reference::{self, Made};
use super::table::Table;
use super::tensor::{Datatype, Tensor};

const ROWS: usize = 200;

/// What `muster-agent check --output json` would say.
pub(super) fn checked() -> Checked {
    let json = serde_json::json!({
        "signature": {
            "inputs": [{ "name": "features", "datatype": "FP32", "shape": [-1, 2] }],
            "outputs": [{ "name": "score", "datatype": "FP32", "shape": [-1] }],
        },
        "operators": ["Gemm", "Relu"],
        "metadata": {},
        "load_ms": 3,
        "peak_bytes": 1_000_000,
        "planned_peak_bytes": 9_638_608,
        "self_golden": [{
            "inputs": [
                { "name": "features", "datatype": "FP32", "shape": [1, 2], "data": [1.0, 2.0] },
            ],
            "outputs": [{ "name": "score", "datatype": "FP32", "shape": [1], "data": [3.0] }],
        }],
        "golden": null,
        "row_outputs": rows(),
        "warnings": [],
    });
    serde_json::from_value(json).expect("a report")
}

fn rows() -> Vec<RowOutputs> {
    let row = |row| RowOutputs::from([("score".to_owned(), vec![Some(row as f64 * 0.5)])]);
    (0..ROWS).map(row).collect()
}

pub(super) fn signature() -> Signature {
    checked().signature
}

/// Two columns; the second lacks a value.
pub(super) fn table() -> Table {
    let mut second: Vec<f32> = (0..ROWS).map(|row| (row * row) as f32).collect();
    second[7] = f32::NAN;
    let first = (0..ROWS).map(|row| row as f32 * 0.25).collect();
    Table {
        names: vec!["a".into(), "b".into()],
        columns: vec![first, second],
    }
}

pub(super) fn reference() -> Made {
    let choices = reference::Choices::default();
    reference::make(&table(), &rows(), &signature(), choices, None).expect("countable")
}

pub(super) fn golden() -> Golden {
    let tensor = |name: &str, shape: &[u64], values: &[f32]| {
        let data = values
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect();
        Tensor::new(name, Datatype::F32, shape.to_vec(), data).expect("fits")
    };
    let vector = Vector {
        inputs: vec![tensor("features", &[1, 2], &[1.0, 2.0])],
        outputs: vec![tensor("score", &[1], &[3.0])],
    };
    Golden {
        rtol: 1e-3,
        atol: 1e-4,
        vectors: vec![vector],
    }
}

pub(crate) fn card() -> Card {
    Card {
        format: FORMAT,
        model: ModelId::parse("bearing").expect("valid"),
        version: Version::parse("1.2.0").expect("valid"),
        class: TargetClass::parse("any").expect("valid"),
        runtime: Runtime::Onnx,
        operators: checked().operators,
        inputs: signature().inputs,
        outputs: signature().outputs,
        features: reference().names,
        golden: CardGolden {
            source: GoldenSource::Own,
            vectors: 1,
            rtol: 1e-3,
            atol: 1e-4,
        },
        planned_peak_bytes: 12 << 20,
        latency_us_max: Some(20_000),
        about: None,
        created_by: "muster".into(),
    }
}

pub(crate) fn parts() -> Parts {
    let model: Vec<u8> = (0..30_000u32).map(|at| (at / 7) as u8).collect();
    let (reference, golden) = (reference().bytes, golden().to_cbor());
    Parts {
        card: card(),
        model,
        reference,
        golden,
        piece_bytes: 4096,
    }
}

pub(super) fn packed() -> Packed {
    pack(&parts()).expect("packs")
}

/// A bundle on disk.
pub(crate) fn bundle() -> tempfile::TempDir {
    written(&parts())
}

pub(crate) fn written(parts: &Parts) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let packed = pack(parts).expect("packs");
    Layout::at(folder.path())
        .write(&packed, &parts.card)
        .expect("written");
    folder
}
