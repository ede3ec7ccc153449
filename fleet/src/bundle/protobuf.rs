//! The tensors of ONNX test data: a TensorProto in protobuf's wire format.
//!
//! Only the fields that hold numbers. Never data in another file, text or complex numbers.

use prost::Message as _;

use super::tensor::{Datatype, RANK_MAX, Tensor, bytes_of};

/// The value of `data_location` for data in another file.
const EXTERNAL: i32 = 1;

/// The parts that count (onnx.proto, message TensorProto).
#[derive(Clone, PartialEq, prost::Message)]
struct TensorProto {
    #[prost(int64, repeated, tag = "1")]
    dims: Vec<i64>,
    #[prost(int32, optional, tag = "2")]
    data_type: Option<i32>,
    #[prost(float, repeated, tag = "4")]
    float_data: Vec<f32>,
    #[prost(int32, repeated, tag = "5")]
    int32_data: Vec<i32>,
    #[prost(int64, repeated, tag = "7")]
    int64_data: Vec<i64>,
    #[prost(string, optional, tag = "8")]
    name: Option<String>,
    #[prost(bytes = "vec", optional, tag = "9")]
    raw_data: Option<Vec<u8>>,
    #[prost(double, repeated, tag = "10")]
    double_data: Vec<f64>,
    #[prost(uint64, repeated, tag = "11")]
    uint64_data: Vec<u64>,
    #[prost(int32, optional, tag = "14")]
    data_location: Option<i32>,
}

/// Reads a TensorProto; what is wrong otherwise.
pub(super) fn tensor(bytes: &[u8]) -> Result<Tensor, String> {
    let mut proto = TensorProto::decode(bytes)
        .map_err(|error| format!("it is no TensorProto or is cut off ({error})"))?;
    if proto.data_location == Some(EXTERNAL) {
        return Err("its data is in another file".into());
    }
    let code = proto.data_type();
    let datatype = u64::try_from(code).ok().and_then(Datatype::of_onnx);
    let datatype = datatype
        .ok_or_else(|| format!("its element type {code} is no number that devices take"))?;
    let shape = shape(&proto.dims)?;
    bytes_of(datatype, &shape).ok_or("it is larger than 128 MiB")?;
    let data = match proto.raw_data.take() {
        Some(raw) => raw,
        None => listed(&proto, datatype),
    };
    Tensor::new(proto.name(), datatype, shape, data)
}

fn shape(dims: &[i64]) -> Result<Vec<u64>, String> {
    if dims.len() > RANK_MAX {
        return Err(format!("it has more than {RANK_MAX} dimensions"));
    }
    let dims = dims.iter().map(|dim| u64::try_from(*dim));
    dims.collect::<Result<_, _>>()
        .map_err(|_| "it has a negative dimension".into())
}

/// Elements from the field of their type; smaller types are the low bytes of a larger one.
fn listed(proto: &TensorProto, datatype: Datatype) -> Vec<u8> {
    let size = datatype.size();
    match datatype {
        Datatype::F32 => low_bytes(&proto.float_data, size, |one| one.to_le_bytes()),
        Datatype::F64 => low_bytes(&proto.double_data, size, |one| one.to_le_bytes()),
        Datatype::I64 => low_bytes(&proto.int64_data, size, |one| one.to_le_bytes()),
        Datatype::U32 | Datatype::U64 => {
            low_bytes(&proto.uint64_data, size, |one| one.to_le_bytes())
        }
        Datatype::Bool
        | Datatype::U8
        | Datatype::I8
        | Datatype::U16
        | Datatype::I16
        | Datatype::I32
        | Datatype::F16 => low_bytes(&proto.int32_data, size, |one| one.to_le_bytes()),
    }
}

fn low_bytes<T: Copy, const N: usize>(
    elements: &[T],
    size: usize,
    bytes: impl Fn(T) -> [u8; N],
) -> Vec<u8> {
    let low = |element: &T| bytes(*element).into_iter().take(size);
    elements.iter().flat_map(low).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hostile::mutated;
    use proptest::prelude::*;

    fn check(bytes: &[u8], expect: Result<(&str, &[u64], &[u8]), &str>) {
        let read = tensor(bytes);
        match (&read, expect) {
            (Ok(tensor), Ok((name, shape, data))) => {
                let Tensor {
                    name: n,
                    shape: s,
                    data: d,
                    ..
                } = tensor;
                assert_eq!(
                    (n.as_str(), s.as_slice(), d.as_slice()),
                    (name, shape, data)
                );
            }
            (Err(said), Err(part)) => assert!(said.contains(part), "{bytes:02x?}: {said}"),
            _ => panic!("{bytes:02x?}: {read:?}"),
        }
    }

    #[test]
    fn numbers_are_read_from_each_field_that_holds_them() {
        let raw = [
            0x08, 2, 0x10, 1, 0x42, 1, b'x', 0x4a, 8, 0, 0, 128, 63, 0, 0, 0, 64,
        ];
        check(&raw, Ok(("x", &[2], &raw[9..])));
        let packed_dims = [0x0a, 2, 1, 2, 0x10, 2, 0x4a, 2, 7, 8];
        check(&packed_dims, Ok(("", &[1, 2], &[7, 8])));
        check(
            &[0x08, 1, 0x10, 1, 0x22, 4, 0, 0, 128, 63],
            Ok(("", &[1], &[0, 0, 128, 63])),
        );
        check(
            &[0x08, 1, 0x10, 1, 0x25, 0, 0, 128, 63],
            Ok(("", &[1], &[0, 0, 128, 63])),
        );
        check(&[0x08, 2, 0x10, 9, 0x2a, 2, 1, 0], Ok(("", &[2], &[1, 0])));
        let minus = [
            0x08, 1, 0x10, 7, 0x3a, 10, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1,
        ];
        check(&minus, Ok(("", &[1], &[255; 8])));
        check(&[0x10, 2, 0x4a, 1, 9], Ok(("", &[], &[9])));
    }

    #[test]
    fn what_is_no_tensor_says_why() {
        check(&[0xff], Err("no TensorProto"));
        check(&[0x4a, 0xff, 0xff, 0xff, 0xff, 0x0f], Err("no TensorProto"));
        check(&[0x08, 1, 0x10, 8], Err("element type 8"));
        check(&[0x08, 1, 0x10, 1, 0x70, 1], Err("another file"));
        check(
            &[0x08, 2, 0x10, 1, 0x4a, 4, 0, 0, 0, 0],
            Err("needs 8 bytes, it has 4"),
        );
        let negative = [
            0x08, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1, 0x10, 1,
        ];
        check(&negative, Err("negative dimension"));
        check(
            &[[0x08, 1].repeat(17), vec![0x10, 1]].concat(),
            Err("more than 16"),
        );
        check(
            &[0x08, 1, 0x10, 2, 0x25, 0, 0, 128, 63],
            Err("needs 1 bytes"),
        );
        let huge = [0x08, 255, 255, 255, 255, 255, 255, 255, 255, 127, 0x10, 1];
        check(&huge, Err("128 MiB"));
    }

    proptest! {
        #[test]
        fn a_hostile_tensor_is_refused_or_holds_what_its_shape_says(
            bytes in prop_oneof![
                mutated(vec![
                    0x08, 2, 0x10, 1, 0x42, 1, b'x', 0x4a, 8, 0, 0, 128, 63, 0, 0, 0, 64,
                ]),
                mutated(vec![0x0a, 2, 1, 2, 0x10, 9, 0x2a, 2, 1, 0]),
            ],
        ) {
            if let Ok(tensor) = tensor(&bytes) {
                let expected = bytes_of(tensor.datatype, &tensor.shape);
                prop_assert_eq!(expected, Some(tensor.data.len() as u64));
            }
        }
    }
}
