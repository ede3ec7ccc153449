//! Candidates on trial in real workers.

use super::*;
use crate::hostile::mutated;
use crate::infer::tests::onnx;
use crate::tensor::Tensor;
use crate::worker::tests::Fixture;
use proptest::prelude::*;

const BUDGET: TrialBudget = TrialBudget {
    load_ms_max: 20_000,
    latency_us_max: None,
    memory_bytes_max: 512 << 20,
};

fn tensor(name: &str, values: [f32; 2]) -> Vec<Tensor> {
    vec![Tensor::from_f32(name, vec![1, 2], &values).expect("valid")]
}

fn golden(y: [f32; 2]) -> Golden {
    let right = GoldenVector {
        inputs: tensor("x", [0.0, 0.0]),
        outputs: tensor("y", [1.0, 1.0]),
    };
    let asked = GoldenVector {
        inputs: tensor("x", [1.0, 1.0]),
        outputs: tensor("y", y),
    };
    Golden {
        rtol: 1e-3,
        atol: 1e-4,
        vectors: vec![right, asked],
    }
}

async fn outcome(model: onnx::Onnx, golden: &Golden, budget: TrialBudget) -> TrialOutcome {
    let fixture = Fixture::new(&model.build());
    run_trial(&fixture.program, &fixture.model, golden, budget).await
}

#[tokio::test]
async fn a_right_answer_passes() {
    let outcome = outcome(onnx::linear(), &golden([3.0, 4.001]), BUDGET).await;
    let TrialOutcome::Pass { peak_bytes, .. } = outcome else {
        panic!("{outcome}");
    };
    assert!(peak_bytes > 0);
}

#[tokio::test]
async fn each_way_to_fail_says_which() {
    async fn check(model: onnx::Onnx, golden: Golden, budget: TrialBudget, expect: &str) {
        let outcome = outcome(model, &golden, budget).await;
        assert!(!outcome.passed());
        let text = outcome.to_string();
        assert!(text.starts_with(expect), "{text}");
    }
    let wrong = "failed because golden vector 1 expects 4.5 in element 1 of output \"y\" and got 4";
    check(onnx::linear(), golden([3.0, 4.5]), BUDGET, wrong).await;
    let nan = "failed because golden vector 1 expects NaN in element 0 of output \"y\" and got 3";
    check(onnx::linear(), golden([f32::NAN, 4.0]), BUDGET, nan).await;
    let none = Golden {
        vectors: vec![],
        ..golden([0.0, 0.0])
    };
    let unfit = "failed because golden vector 0 does not fit the model: there are no golden";
    check(onnx::linear(), none, BUDGET, unfit).await;
    let misnamed = GoldenVector {
        inputs: tensor("z", [0.0; 2]),
        outputs: vec![],
    };
    let misnamed = Golden {
        vectors: vec![misnamed],
        ..golden([0.0, 0.0])
    };
    let unfit = "failed because golden vector 0 does not fit the model: expected an input named";
    check(onnx::linear(), misnamed, BUDGET, unfit).await;
    let slow = TrialBudget {
        latency_us_max: Some(0),
        ..BUDGET
    };
    check(
        onnx::linear(),
        golden([3.0, 4.0]),
        slow,
        "failed because the median latency was",
    )
    .await;
    let small = TrialBudget {
        memory_bytes_max: 4 << 20,
        ..BUDGET
    };
    check(
        onnx::linear(),
        golden([3.0, 4.0]),
        small,
        "failed because it needs",
    )
    .await;
    let crash = "failed because the worker died at stage analyse, Conv (exit code 101): the";
    check(onnx::divides_by_zero(), golden([3.0, 4.0]), BUDGET, crash).await;
    let refused = "failed because the runtime refused it at stage analyse, Nonsense: the runtime";
    let nonsense = onnx::linear()
        .node("", "Nonsense", &["y"], "z")
        .output("z", &[]);
    check(nonsense, golden([3.0, 4.0]), BUDGET, refused).await;
}

#[tokio::test]
async fn a_candidate_that_hangs_is_stopped() {
    let fixture = Fixture::script("exec sleep 1000", b"");
    let budget = TrialBudget {
        load_ms_max: 300,
        ..BUDGET
    };
    let golden = golden([3.0, 4.0]);
    let outcome = run_trial(&fixture.program, &fixture.model, &golden, budget).await;
    let expect = "failed because loading took more than 300 ms, it hung at stage read";
    assert_eq!(outcome.to_string(), expect);
}

proptest! {
    #[test]
    fn hostile_golden_vectors_hold_no_more_than_their_bytes(
        bytes in mutated(golden([2.0, 2.0]).to_cbor()),
    ) {
        if let Ok(golden) = Golden::from_cbor(&bytes) {
            let tensors = golden.vectors.iter().flat_map(|v| v.inputs.iter().chain(&v.outputs));
            let held: usize = tensors.map(|tensor| tensor.data().len()).sum();
            prop_assert!(held <= bytes.len());
        }
    }
}
