//! Our tensors to the runtime's and back.
//!
//! Copies bytes; never converts values, but for symbolic dimensions, which leave as INT64.

use crate::tensor::{Datatype, Tensor};
use tract_onnx::prelude::{DatumType, TValue, Tensor as RuntimeTensor, TractResult};
use tract_onnx::tract_core::prelude::Datum;
use tract_onnx::tract_hir::internal::{IntoTValue, TDim};

// Bytes are copied as they lie in memory.
const _: () = assert!(cfg!(target_endian = "little"), "tensors are little endian");

pub(super) fn to_runtime(tensor: &Tensor) -> TractResult<TValue> {
    let mut copy = RuntimeTensor::zero_dt(datum_type(tensor.datatype()), tensor.shape())?;
    copy.as_bytes_mut().copy_from_slice(tensor.data());
    Ok(copy.into_tvalue())
}

/// The reason for a refusal is one line.
pub(super) fn from_runtime(name: &str, value: &TValue) -> Result<Tensor, String> {
    let datatype = datatype(value.datum_type()).ok_or_else(|| unsupported(value.datum_type()))?;
    let plain = match value.datum_type() == TDim::datum_type() {
        true => value
            .cast_to_dt(DatumType::I64)
            .map_err(|error| error.to_string())?,
        false => std::borrow::Cow::Borrowed(&**value),
    };
    if !plain.is_plain_ram() {
        return Err("it is not an array in memory".into());
    }
    let (shape, bytes) = (plain.shape().to_vec(), plain.as_bytes().to_vec());
    Tensor::new(name, datatype, shape, bytes).map_err(|error| error.to_string())
}

pub(super) fn unsupported(datum_type: DatumType) -> String {
    format!("datatype {datum_type:?} is not supported")
}

pub(super) fn datum_type(datatype: Datatype) -> DatumType {
    match datatype {
        Datatype::Bool => DatumType::Bool,
        Datatype::U8 => DatumType::U8,
        Datatype::I8 => DatumType::I8,
        Datatype::U16 => DatumType::U16,
        Datatype::I16 => DatumType::I16,
        Datatype::U32 => DatumType::U32,
        Datatype::I32 => DatumType::I32,
        Datatype::U64 => DatumType::U64,
        Datatype::I64 => DatumType::I64,
        Datatype::F16 => DatumType::F16,
        Datatype::F32 => DatumType::F32,
        Datatype::F64 => DatumType::F64,
    }
}

/// Strings and blobs have none.
pub(super) fn datatype(datum_type: DatumType) -> Option<Datatype> {
    Some(match datum_type {
        DatumType::Bool => Datatype::Bool,
        DatumType::U8 | DatumType::QU8(_) => Datatype::U8,
        DatumType::I8 | DatumType::QI8(_) => Datatype::I8,
        DatumType::U16 => Datatype::U16,
        DatumType::I16 => Datatype::I16,
        DatumType::U32 => Datatype::U32,
        DatumType::I32 | DatumType::QI32(_) => Datatype::I32,
        DatumType::U64 => Datatype::U64,
        DatumType::I64 | DatumType::TDim => Datatype::I64,
        DatumType::F16 => Datatype::F16,
        DatumType::F32 => Datatype::F32,
        DatumType::F64 => Datatype::F64,
        DatumType::Blob | DatumType::String => return None,
    })
}
