//! Whole checks in real workers.

use super::*;
use crate::infer::tests::onnx;
use crate::worker::tests::Fixture;
use std::fs;

fn arguments(fixture: &Fixture) -> CheckArgs {
    CheckArgs {
        model: fixture.model.clone(),
        golden: None,
        test_data: None,
        example: None,
        rtol: 1e-3,
        atol: 1e-4,
        rows: None,
        output: Output::Json,
        memory_mib: 512,
        timeout_s: 20,
    }
}

#[tokio::test]
async fn a_report_holds_what_a_bundle_needs() {
    let fixture = Fixture::new(&onnx::linear().build());
    let rows = fixture.folder().join("rows.csv");
    fs::write(&rows, "a,b\n1,2\n0.5,-1\n").expect("written");
    let arguments = CheckArgs {
        rows: Some(rows),
        ..arguments(&fixture)
    };
    let report = check(&fixture.program, &arguments)
        .await
        .expect("passes")
        .to_json();
    let input = serde_json::json!({ "name": "x", "datatype": "FP32", "shape": [-1, 2] });
    assert_eq!(report["signature"]["inputs"][0], input);
    assert_eq!(report["operators"], serde_json::json!(["Add", "Mul"]));
    assert_eq!(report["metadata"]["features"], "a,b");
    let answers = serde_json::json!([{ "y": [3.0, 7.0] }, { "y": [2.0, -2.0] }]);
    assert_eq!(report["row_outputs"], answers);
    assert_eq!(report["self_golden"].as_array().map(Vec::len), Some(3));
    assert_eq!(report["warnings"], serde_json::json!([]));
    assert!(report["planned_peak_bytes"].as_u64() > report["peak_bytes"].as_u64());
}

#[tokio::test]
async fn a_failed_check_has_a_reason_and_a_code() {
    async fn failure(fixture: &Fixture, arguments: &CheckArgs) -> (String, u8) {
        let error = check(&fixture.program, arguments)
            .await
            .err()
            .expect("fails");
        (error.to_string(), error.exit_code())
    }
    let garbage = Fixture::new(b"GIF89a");
    let (text, code) = failure(&garbage, &arguments(&garbage)).await;
    assert_eq!(
        (text.as_str(), code),
        ("stage parse: it is not an ONNX file", exit::BAD_INPUT)
    );

    let linear = Fixture::new(&onnx::linear().build());
    let rows = linear.folder().join("rows.csv");
    fs::write(&rows, "a\n1\n").expect("written");
    let narrow = CheckArgs {
        rows: Some(rows),
        ..arguments(&linear)
    };
    let (text, code) = failure(&linear, &narrow).await;
    assert!(
        text.ends_with("the model takes 2 features, the rows have 1"),
        "{text}"
    );
    assert_eq!(code, exit::BAD_INPUT);

    let golden = linear.folder().join("golden.cbor");
    fs::write(&golden, b"\xa0").expect("written");
    let broken = CheckArgs {
        golden: Some(golden),
        ..arguments(&linear)
    };
    assert_eq!(failure(&linear, &broken).await.1, exit::BAD_INPUT);

    let nowhere = CheckArgs {
        model: linear.folder().join("nowhere.onnx"),
        ..arguments(&linear)
    };
    assert_eq!(failure(&linear, &nowhere).await.1, exit::CONFLICT);
    let no_data = CheckArgs {
        test_data: Some(linear.folder().join("nowhere")),
        ..arguments(&linear)
    };
    assert_eq!(failure(&linear, &no_data).await.1, exit::CONFLICT);
}

/// A TensorProto of floats of shape [1, 2].
fn tensor_proto(values: [f32; 2]) -> Vec<u8> {
    let raw = values.map(f32::to_le_bytes).concat();
    [&[0x08, 1, 0x08, 2, 0x10, 1, 0x4a, 8][..], &raw].concat()
}

#[tokio::test]
async fn test_data_are_answered_or_the_difference_is_told() {
    let fixture = Fixture::new(&onnx::linear().build());
    let set = fixture.folder().join("test_data_set_0");
    fs::create_dir(&set).expect("a folder");
    fs::write(set.join("input_0.pb"), tensor_proto([1.0, 2.0])).expect("written");
    let arguments = CheckArgs {
        test_data: Some(fixture.folder().to_owned()),
        ..arguments(&fixture)
    };
    let check = async |expected: [f32; 2]| {
        fs::write(set.join("output_0.pb"), tensor_proto(expected)).expect("written");
        check(&fixture.program, &arguments).await
    };
    let report = check([3.0, 7.0]).await.expect("passes").to_json();
    let answered = serde_json::json!({ "sets": 1, "worst_difference": 0.0 });
    assert_eq!(report["test_data"], answered);
    let error = check([3.0, 7.5]).await.err().expect("wrong");
    let expect = "stage trial: test data set 0: element 1 of output \"y\" is 7, expected is 7.5";
    assert_eq!(
        (error.to_string().as_str(), error.exit_code()),
        (expect, exit::BAD_INPUT)
    );
    fs::write(set.join("input_0.pb"), b"x").expect("written");
    let error = check([3.0, 7.0]).await.err().expect("unreadable");
    assert_eq!(error.exit_code(), exit::BAD_INPUT);
}
