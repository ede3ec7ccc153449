//! Loading and running in this very process: only models that the runtime survives.

pub(crate) mod onnx;

use super::*;
use crate::trial::{Tolerance, compare};
use onnx::{Onnx, linear};
use std::fs;
use std::path::PathBuf;

fn load_bytes(bytes: &[u8], graph: Graph) -> Result<Model, LoadError> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("model.onnx");
    fs::write(&path, bytes).expect("written");
    load(&path, graph, &Example::default(), &mut |_, _| {})
}

fn answer(model: &mut Model, inputs: Vec<Tensor>) -> Result<Vec<Tensor>, RunError> {
    let inputs = model.prepare(inputs)?;
    model.run(&inputs, &mut |_, _| {})
}

#[test]
fn a_model_says_what_it_is_and_runs_any_batch() {
    for graph in [Graph::Optimised, Graph::Unoptimised] {
        let mut model = load_bytes(&linear().build(), graph).expect("loads");
        let signature = model.signature();
        assert_eq!(signature.inputs[0].shape_text(), "[-1, 2]");
        assert_eq!(signature.outputs[0].shape_text(), "[-1, 2]");
        assert_eq!(model.operators(), ["Add", "Mul"]);
        assert_eq!(model.metadata(), [("features".into(), "a,b".into())]);
        // More shapes than plans are kept, twice.
        for rows in [1, 2, 3, 4, 5, 6, 1, 2, 3, 4, 5, 6] {
            let values: Vec<f32> = (0..rows * 2).map(|v| v as f32).collect();
            let input = Tensor::from_f32("x", vec![rows, 2], &values).expect("valid");
            let outputs = answer(&mut model, vec![input]).expect("runs");
            let expected: Vec<f32> = values
                .chunks(2)
                .flat_map(|x| [x[0] * 2.0 + 1.0, x[1] * 3.0 + 1.0])
                .collect();
            assert_eq!(outputs[0].shape(), [rows, 2]);
            assert_eq!(outputs[0].to_f32().collect::<Vec<_>>(), expected);
        }
    }
}

#[test]
fn nan_goes_in_and_comes_out() {
    let mut model = load_bytes(&linear().build(), Graph::Optimised).expect("loads");
    let input = Tensor::from_f32("x", vec![1, 2], &[f32::NAN, 1.0]).expect("valid");
    let outputs = answer(&mut model, vec![input]).expect("runs");
    assert_eq!(outputs[0].non_finite(), 1);
}

/// The runtime wants the scale of a quantisation when it plans; ONNX lets it be an input.
#[test]
fn settings_are_part_of_the_plan_where_the_runtime_wants_them() {
    let model = Onnx::default()
        .input("x", &[Some(2)])
        .input("scale", &[])
        .node("", "QuantizeLinear", &["x", "scale"], "y")
        .output("y", &[Some(2)])
        .build();
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("model.onnx");
    fs::write(&path, model).expect("written");
    let inputs = |scale: f32| {
        let x = Tensor::from_f32("x", vec![2], &[1.0, 2.0]).expect("valid");
        let scale = Tensor::from_f32("scale", vec![], &[scale]).expect("valid");
        vec![x, scale]
    };
    let nothing = Example::default();
    let refused = load(&path, Graph::Optimised, &nothing, &mut |_, _| {});
    assert_eq!(refused.err().map(|error| error.stage), Some(Stage::Analyse));
    let example = Example::of(&inputs(0.5));
    let mut model = load(&path, Graph::Optimised, &example, &mut |_, _| {}).expect("loads");
    for (scale, expect) in [(0.5, [2.0, 4.0]), (0.25, [4.0, 8.0]), (0.5, [2.0, 4.0])] {
        let outputs = answer(&mut model, inputs(scale)).expect("runs");
        assert_eq!(outputs[0].to_f64().collect::<Vec<_>>(), expect, "{scale}");
    }
}

#[test]
fn each_operator_is_told_in_the_first_run_of_a_plan() {
    let mut model = load_bytes(&linear().build(), Graph::Unoptimised).expect("loads");
    let input = Tensor::from_f32("x", vec![1, 2], &[1.0, 1.0]).expect("valid");
    for expect in [vec!["Mul", "Add"], vec![]] {
        let inputs = model.prepare(vec![input.clone()]).expect("fits");
        let mut told = Vec::new();
        let mut tell = |_, operator: Option<&str>| told.extend(operator.map(str::to_owned));
        model.run(&inputs, &mut tell).expect("runs");
        assert_eq!(told, expect);
    }
    assert_eq!(model.at_work(), Some("Add"));
}

#[test]
fn refusals_name_stage_operator_and_reason() {
    fn check(bytes: &[u8], expect: &str) {
        let error = load_bytes(bytes, Graph::Optimised).err().expect("refused");
        assert_eq!(error.to_string(), expect);
    }
    check(b"", "stage read: the file is empty");
    check(b"GIF89a", "stage parse: it is not an ONNX file");
    let whole = linear().build();
    let damaged = "stage parse: the ONNX file is truncated or damaged (failed to decode Protobuf \
                   message: ModelProto.graph: buffer underflow)";
    check(&whole[..whole.len() / 2], damaged);
    let scaler = Onnx::default()
        .input("x", &[Some(1)])
        .output("y", &[Some(1)]);
    let scaler = scaler.node("ai.onnx.ml", "Scaler", &["x"], "y").build();
    let unknown = "stage analyse, ai.onnx.ml.Scaler: the runtime does not have the operator \
                   ai.onnx.ml.Scaler";
    check(&scaler, unknown);
    let external = linear().external_weight("v", "../../etc/passwd").build();
    let elsewhere = "stage parse: weight \"v\" is in another file (\"../../etc/passwd\"); a model \
                     is one file here";
    check(&external, elsewhere);
    let dangling = linear().output("z", &[]).build();
    check(&dangling, "stage parse: nothing produces output \"z\"");
    let narrow = Onnx::default()
        .input("x", &[Some(1), Some(2)])
        .weight("w", &[3, 3], &[1.0; 9]);
    let narrow = narrow
        .node("", "Relu", &["x"], "r")
        .node("", "MatMul", &["r", "w"], "y");
    let narrow = narrow.output("y", &[Some(1), Some(3)]).build();
    let error = load_bytes(&narrow, Graph::Optimised)
        .err()
        .expect("refused");
    assert_eq!(
        (error.stage, error.operator.as_deref()),
        (Stage::Analyse, Some("MatMul"))
    );
}

#[test]
fn no_prefix_of_a_model_loads_as_another_one() {
    let whole = linear().build();
    for end in 0..whole.len() {
        if let Ok(model) = load_bytes(&whole[..end], Graph::Optimised) {
            // Only the metadata at the very end may be missing.
            assert!(
                model.metadata().is_empty() && end > whole.len() - 24,
                "prefix {end}"
            );
        }
    }
}

#[test]
fn a_folder_or_a_missing_file_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let error = load(
        folder.path(),
        Graph::Optimised,
        &Example::default(),
        &mut |_, _| {},
    )
    .err()
    .expect("refused");
    assert_eq!(error.to_string(), "stage read: it is not a regular file");
    let missing = folder.path().join("missing");
    let error = load(
        &missing,
        Graph::Optimised,
        &Example::default(),
        &mut |_, _| {},
    )
    .err()
    .expect("refused");
    assert_eq!(error.stage, Stage::Read);
}

/// Real models against the outputs of onnxruntime; states make order matter: each set twice.
#[test]
fn real_models_answer_like_onnxruntime() {
    const REFUSED: [(&str, &str); 5] = [
        ("misc_random_forest_zipmap", "ai.onnx.ml.ZipMap"),
        ("neg_missing_external_data", "Gemm"),
        ("silero_vad_16k_op15", "Squeeze"),
        ("skl_logreg", "ai.onnx.ml.Scaler"),
        ("skl_mlpc", "ai.onnx.ml.Scaler"),
    ];
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/models");
    let Ok(entries) = fs::read_dir(&folder) else {
        let because = format!("{} is not there", folder.display());
        let hint = "put the shared data beside the project";
        return crate::skip::skip("infer: real models", &because, hint);
    };
    for entry in entries {
        let folder = entry.expect("an entry").path();
        let name = folder
            .file_name()
            .expect("a name")
            .to_string_lossy()
            .into_owned();
        let refused = REFUSED.iter().find(|(refused, _)| *refused == name);
        match (
            load(
                &folder.join("model.onnx"),
                Graph::Optimised,
                &Example::default(),
                &mut |_, _| {},
            ),
            refused,
        ) {
            (Ok(mut model), None) => answers_every_set(&folder, &mut model),
            (Err(error), Some((_, operator))) => {
                assert_eq!(
                    error.operator.as_deref().unwrap_or(""),
                    *operator,
                    "{name}: {error}"
                );
            }
            (Ok(_), Some(_)) => panic!("{name} was expected to be refused"),
            (Err(error), None) => panic!("{name} was refused: {error}"),
        }
    }
}

fn answers_every_set(folder: &Path, model: &mut Model) {
    let signature = model.signature().clone();
    for set in (0..).map(|n| folder.join(format!("test_data_set_{n}"))) {
        if !set.exists() {
            break;
        }
        let read = |kind: &str, specs: &[TensorSpec]| -> Vec<Tensor> {
            let files = specs
                .iter()
                .enumerate()
                .map(|(n, spec)| (spec, format!("{kind}_{n}.pb")));
            files
                .filter_map(|(spec, file)| read_tensor(&set.join(file), &spec.name))
                .collect()
        };
        let (inputs, expected) = (
            read("input", &signature.inputs),
            read("output", &signature.outputs),
        );
        assert!(!expected.is_empty(), "{}", set.display());
        for _ in 0..2 {
            let outputs = answer(model, inputs.clone());
            let outputs = outputs.unwrap_or_else(|error| panic!("{}: {error}", set.display()));
            let tolerance = Tolerance {
                rtol: 1e-3,
                atol: 1e-3,
            };
            let compared = compare(&expected, &outputs, tolerance);
            assert!(compared.is_ok(), "{}: {compared:?}", set.display());
        }
    }
}

fn read_tensor(path: &Path, name: &str) -> Option<Tensor> {
    let tensor = test_data::tensor(fs::File::open(path).ok()?).expect("a tensor");
    Some(tensor.renamed(name).expect("a name"))
}
