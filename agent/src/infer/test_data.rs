//! Tensors of ONNX test data: one serialised TensorProto in a file.
//!
//! Only numbers, only what the file itself holds: never data in another file, never text. Reads
//! them itself, because the runtime's own reader panics on some.

use crate::tensor::{Datatype, Tensor, bytes_of};
use std::io::Read;
use tract_onnx::pb::TensorProto;
use tract_onnx::pb::tensor_proto::{DataLocation, DataType};
use tract_onnx::tensor::proto_from_reader;

/// Reads a TensorProto; what is wrong otherwise.
pub fn tensor(bytes: impl Read) -> Result<Tensor, String> {
    let proto = proto_from_reader(bytes);
    let mut proto = proto.map_err(|_| "it is no tensor, or is cut off".to_owned())?;
    if proto.data_location == Some(DataLocation::External as i32) {
        return Err("its data is in another file".into());
    }
    let datatype = datatype(proto.data_type)
        .ok_or_else(|| format!("its element type {} is not supported", element_type(&proto)))?;
    let shape = proto.dims.iter().map(|&dim| usize::try_from(dim));
    let shape: Result<Vec<usize>, _> = shape.collect();
    let shape = shape.map_err(|_| "it has a negative dimension".to_owned())?;
    bytes_of(datatype, &shape).map_err(|error| error.to_string())?;
    let data = match proto.raw_data.is_empty() {
        true => listed(&proto, datatype),
        false => std::mem::take(&mut proto.raw_data),
    };
    Tensor::new(proto.name, datatype, shape, data).map_err(|error| error.to_string())
}

fn element_type(proto: &TensorProto) -> String {
    let known = DataType::try_from(proto.data_type);
    known.map_or(proto.data_type.to_string(), |known| {
        known.as_str_name().to_owned()
    })
}

/// The datatype of an ONNX element type, if there is one.
pub(super) fn datatype(element_type: i32) -> Option<Datatype> {
    Some(match DataType::try_from(element_type).ok()? {
        DataType::Bool => Datatype::Bool,
        DataType::Uint8 => Datatype::U8,
        DataType::Int8 => Datatype::I8,
        DataType::Uint16 => Datatype::U16,
        DataType::Int16 => Datatype::I16,
        DataType::Uint32 => Datatype::U32,
        DataType::Int32 => Datatype::I32,
        DataType::Uint64 => Datatype::U64,
        DataType::Int64 => Datatype::I64,
        DataType::Float16 => Datatype::F16,
        DataType::Float => Datatype::F32,
        DataType::Double => Datatype::F64,
        _ => return None,
    })
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

    #[test]
    fn tensors_are_read_or_say_why_not() {
        fn check(bytes: &[u8], expect: &str) {
            let got = match tensor(bytes) {
                Ok(tensor) => {
                    let values: Vec<f64> = tensor.to_f64().collect();
                    let (name, datatype) = (tensor.name(), tensor.datatype());
                    format!("{name} {datatype} {:?} {values:?}", tensor.shape())
                }
                Err(error) => error,
            };
            assert_eq!(got, expect, "{bytes:02x?}");
        }
        let raw = [
            0x08, 2, 0x10, 1, 0x42, 1, b'x', 0x4a, 8, 0, 0, 128, 63, 0, 0, 0, 64,
        ];
        check(&raw, "x FP32 [2] [1.0, 2.0]");
        check(&raw[..raw.len() - 1], "it is no tensor, or is cut off");
        check(&[0x08, 2, 0x10, 9, 0x2a, 2, 1, 0], " BOOL [2] [1.0, 0.0]");
        check(&[0x10, 6, 0x2a, 1, 5], " INT32 [] [5.0]");
        check(&[0x08, 0, 0x10, 7], " INT64 [0] []");
        check(
            &[0x08, 1, 0x10, 8],
            "its element type STRING is not supported",
        );
        check(&[0x08, 1, 0x10, 99], "its element type 99 is not supported");
        check(&[0x08, 1, 0x10, 1, 0x70, 1], "its data is in another file");
        let short = "shape [2] of FP32 needs 8 bytes, got 4";
        check(&[0x08, 2, 0x10, 1, 0x4a, 4, 0, 0, 0, 0], short);
        let negative = [
            0x08, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1, 0x10, 1,
        ];
        check(&negative, "it has a negative dimension");
    }
}
