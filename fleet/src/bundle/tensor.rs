//! Tensors of golden vectors: named, typed, shaped, little-endian bytes.
//!
//! `docs/bundle-format.md` section 7. Never computes with them.

use minicbor::data::Type;
use minicbor::decode::{Decode, Decoder, Error as DecodeError};
use minicbor::encode::{Encode, Encoder, Error as EncodeError, Write};

/// Largest tensor, bytes: the agent's own bound.
pub(crate) const TENSOR_BYTES_MAX: u64 = 128 * 1024 * 1024;
/// Most dimensions: the agent's own bound.
pub(crate) const RANK_MAX: usize = 16;
/// Longest name, bytes: the agent's own bound.
const NAME_BYTES_MAX: usize = 512;

/// One named array.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Tensor {
    /// Name of the model's input or output.
    pub(crate) name: String,
    /// Type of the elements.
    pub(crate) datatype: Datatype,
    /// Elements along each axis.
    pub(crate) shape: Vec<u64>,
    /// The elements, little endian, row-major.
    pub(crate) data: Vec<u8>,
}

/// Type of a tensor's elements; the order is the code in golden documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Datatype {
    Bool,
    U8,
    I8,
    U16,
    I16,
    U32,
    I32,
    U64,
    I64,
    F16,
    F32,
    F64,
}

/// Datatype, its name in the Open Inference Protocol, in numpy, bytes of an element, and its code
/// in an ONNX TensorProto.
const TABLE: [(Datatype, &str, &str, usize, u64); 12] = [
    (Datatype::Bool, "BOOL", "b1", 1, 9),
    (Datatype::U8, "UINT8", "u1", 1, 2),
    (Datatype::I8, "INT8", "i1", 1, 3),
    (Datatype::U16, "UINT16", "u2", 2, 4),
    (Datatype::I16, "INT16", "i2", 2, 5),
    (Datatype::U32, "UINT32", "u4", 4, 12),
    (Datatype::I32, "INT32", "i4", 4, 6),
    (Datatype::U64, "UINT64", "u8", 8, 13),
    (Datatype::I64, "INT64", "i8", 8, 7),
    (Datatype::F16, "FP16", "f2", 2, 10),
    (Datatype::F32, "FP32", "f4", 4, 1),
    (Datatype::F64, "FP64", "f8", 8, 11),
];

impl Datatype {
    /// By its name in the Open Inference Protocol.
    pub(crate) fn named(name: &str) -> Option<Self> {
        TABLE.iter().find(|row| row.1 == name).map(|row| row.0)
    }

    /// By numpy's kind and size, such as `f4`.
    pub(crate) fn of_numpy(kind: &str) -> Option<Self> {
        TABLE.iter().find(|row| row.2 == kind).map(|row| row.0)
    }

    /// By its code in an ONNX TensorProto.
    pub(crate) fn of_onnx(code: u64) -> Option<Self> {
        TABLE.iter().find(|row| row.4 == code).map(|row| row.0)
    }

    /// Its name in the Open Inference Protocol.
    pub(crate) fn as_str(self) -> &'static str {
        TABLE[self as usize].1
    }

    /// Whether elements are floats.
    pub(crate) const fn is_float(self) -> bool {
        matches!(self, Self::F16 | Self::F32 | Self::F64)
    }

    /// Bytes of one element.
    pub(crate) fn size(self) -> usize {
        TABLE[self as usize].3
    }

    fn of_code(code: u8) -> Option<Self> {
        TABLE.get(usize::from(code)).map(|row| row.0)
    }
}

impl Tensor {
    /// A tensor whose bytes fit datatype and shape, or why not.
    pub(crate) fn new(
        name: impl Into<String>,
        datatype: Datatype,
        shape: Vec<u64>,
        data: Vec<u8>,
    ) -> Result<Self, String> {
        let name = name.into();
        if name.len() > NAME_BYTES_MAX || shape.len() > RANK_MAX {
            return Err("its name or its rank is beyond the limit".into());
        }
        let expected = bytes_of(datatype, &shape).ok_or("it is larger than 128 MiB")?;
        if data.len() as u64 != expected {
            let (kind, got) = (datatype.as_str(), data.len());
            return Err(format!(
                "{kind} {shape:?} needs {expected} bytes, it has {got}"
            ));
        }
        Ok(Self {
            name,
            datatype,
            shape,
            data,
        })
    }

    /// Doubles as singles where a model wants those; anything else as it is.
    pub(crate) fn wanted_as(mut self, wanted: &str) -> Self {
        if (self.datatype, wanted) != (Datatype::F64, "FP32") {
            return self;
        }
        let (doubles, _) = self.data.as_chunks::<8>();
        let singles = doubles
            .iter()
            .map(|bytes| f64::from_le_bytes(*bytes) as f32);
        self.data = singles.flat_map(f32::to_le_bytes).collect();
        self.datatype = Datatype::F32;
        self
    }

    /// Row `index` along the first axis, as a batch of one.
    pub(crate) fn row(&self, index: u64) -> Option<Self> {
        let rows = *self.shape.first().filter(|rows| index < **rows)?;
        let bytes = self.data.len() / usize::try_from(rows).ok()?;
        let start = bytes * usize::try_from(index).ok()?;
        let mut shape = self.shape.clone();
        shape[0] = 1;
        let data = self.data.get(start..start + bytes)?.to_vec();
        Some(Self {
            name: self.name.clone(),
            datatype: self.datatype,
            shape,
            data,
        })
    }
}

/// Bytes that a shape needs, within the bound.
pub(crate) fn bytes_of(datatype: Datatype, shape: &[u64]) -> Option<u64> {
    let size = datatype.size() as u64;
    let bytes = shape
        .iter()
        .try_fold(size, |bytes, dim| bytes.checked_mul(*dim))?;
    let each = shape.iter().all(|dim| *dim <= TENSOR_BYTES_MAX);
    Some(bytes).filter(|bytes| each && *bytes <= TENSOR_BYTES_MAX)
}

impl<C> Encode<C> for Tensor {
    fn encode<W: Write>(&self, e: &mut Encoder<W>, _: &mut C) -> Result<(), EncodeError<W::Error>> {
        e.map(4)?
            .u8(0)?
            .str(&self.name)?
            .u8(1)?
            .u8(self.datatype as u8)?;
        e.u8(2)?.array(self.shape.len() as u64)?;
        for dim in &self.shape {
            e.u64(*dim)?;
        }
        e.u8(3)?.bytes(&self.data)?.ok()
    }
}

impl<'b, C> Decode<'b, C> for Tensor {
    fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, DecodeError> {
        if d.map()? != Some(4) || d.u8()? != 0 {
            return Err(DecodeError::message("a tensor has the fields 0 to 3"));
        }
        let name = d.str()?;
        let code = field(d, 1)?.u8()?;
        let datatype = Datatype::of_code(code).ok_or(DecodeError::message("datatype"))?;
        let shape = bounded(field(d, 2)?, RANK_MAX)?;
        let data = field(d, 3)?.bytes()?.to_vec();
        Self::new(name, datatype, shape, data).map_err(DecodeError::message)
    }
}

/// Steps over the key `key`, which must come next.
fn field<'a, 'b>(d: &'a mut Decoder<'b>, key: u8) -> Result<&'a mut Decoder<'b>, DecodeError> {
    match d.u8()? == key {
        true => Ok(d),
        false => Err(DecodeError::message("fields out of order")),
    }
}

/// A list of at most `max` items.
pub(crate) fn bounded<'b, T: Decode<'b, ()>>(
    d: &mut Decoder<'b>,
    max: usize,
) -> Result<Vec<T>, DecodeError> {
    if d.datatype()? != Type::Array {
        return Err(DecodeError::message("not a list of definite length"));
    }
    let len = d
        .array()?
        .and_then(|len| usize::try_from(len).ok())
        .filter(|len| *len <= max);
    let len = len.ok_or(DecodeError::message("a list beyond its limit"))?;
    (0..len).map(|_| d.decode()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_of_a_datatype_is_its_place() {
        for (place, row) in TABLE.iter().enumerate() {
            assert_eq!(row.0 as usize, place);
            assert_eq!(Datatype::of_code(place as u8), Datatype::named(row.1));
        }
    }

    fn check(shape: &[u64], bytes: usize, expect: Option<&str>) {
        let made = Tensor::new("x", Datatype::F32, shape.to_vec(), vec![0; bytes]);
        let said = made.err();
        assert_eq!(said.is_some(), expect.is_some(), "{shape:?}: {said:?}");
        let contains = |part| said.as_ref().is_some_and(|text| text.contains(part));
        assert!(expect.is_none_or(contains), "{said:?}");
    }

    #[test]
    fn bytes_fit_the_shape() {
        check(&[2, 3], 24, None);
        check(&[], 4, None);
        check(&[2, 3], 23, Some("needs 24 bytes, it has 23"));
        check(&[1 << 40, 1 << 40], 0, Some("128 MiB"));
        check(&[0, 1 << 40], 0, Some("128 MiB"));
        check(&[1; 17], 4, Some("rank"));
    }

    #[test]
    fn a_row_is_a_batch_of_one() {
        let bytes = (0..24).collect();
        let tensor = Tensor::new("x", Datatype::F32, vec![2, 3], bytes).expect("fits");
        let row = tensor.row(1).expect("there");
        assert_eq!((row.shape, row.data), (vec![1, 3], (12..24).collect()));
        assert_eq!(tensor.row(2), None);
    }
}
