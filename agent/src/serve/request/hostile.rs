//! Hostile requests: each is refused with a sentence or gives inputs that fit the model, and
//! never more bytes than the body has room for.

use super::*;
use crate::hostile::mutated;
use crate::tensor::{Dim, TensorSpec};
use proptest::prelude::*;

/// An element takes two characters at least (`1,`), and eight bytes at most.
const BYTES_PER_CHARACTER: usize = 4;

const JSON: &str = r#"{"id":"7","parameters":{"binary_data_output":true},"inputs":[
{"name":"x","shape":[2,2],"datatype":"FP32","data":[[1.5,-2],[3e2,4]]},
{"name":"n","shape":[2],"datatype":"INT64","data":[7,-8]}],
"outputs":[{"name":"y","parameters":{"binary_data":false}}]}"#;
const BINARY_HEAD: &str = r#"{"inputs":[{"name":"x","shape":[2,2],"datatype":"FP32",
"parameters":{"binary_data_size":16}},{"name":"n","shape":[2],"datatype":"INT64",
"parameters":{"binary_data_size":16}}]}"#;

fn signature() -> Signature {
    let spec = |name: &str, datatype, shape: &[Dim]| TensorSpec {
        name: name.into(),
        datatype,
        shape: shape.into(),
    };
    Signature {
        inputs: vec![
            spec("x", Datatype::F32, &[Dim::Any, Dim::Fixed(2)]),
            spec("n", Datatype::I64, &[Dim::Any]),
        ],
        outputs: vec![spec("y", Datatype::F32, &[Dim::Any])],
    }
}

fn check(body: &[u8], framing: Framing) {
    let signature = signature();
    let Ok(asked) = read(body, framing, &signature) else {
        return;
    };
    assert_eq!(asked.inputs.len(), signature.inputs.len());
    let bytes: usize = asked.inputs.iter().map(|input| input.data().len()).sum();
    assert!(bytes <= body.len() * BYTES_PER_CHARACTER, "{bytes} bytes");
}

#[test]
fn both_samples_are_good() {
    assert!(read(JSON.as_bytes(), Framing::Json, &signature()).is_ok());
    let body = [BINARY_HEAD.as_bytes(), &[1; 32]].concat();
    assert!(read(&body, Framing::Split(BINARY_HEAD.len()), &signature()).is_ok());
}

proptest! {
    #[test]
    fn json(body in mutated(JSON.into())) {
        check(&body, Framing::Json);
    }

    #[test]
    fn binary(
        head in mutated(BINARY_HEAD.into()),
        binary in mutated(vec![1; 32]),
        length in prop_oneof![Just(None), any::<usize>().prop_map(Some)],
    ) {
        let length = length.unwrap_or(head.len());
        check(&[head, binary].concat(), Framing::Split(length));
    }
}
