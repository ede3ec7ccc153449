//! Tensors as they travel: named, typed, shaped, little-endian bytes.
//!
//! Every constructor checks that the bytes match shape and datatype and stay below a bound.
//! Never computes: the runtime lives in `infer`.

mod datatype;
mod element;
mod signature;

pub use datatype::{Datatype, UnknownDatatype};
pub use element::Element;
pub use signature::{Dim, InputError, Signature, TensorSpec};

use minicbor::data::Type;
use minicbor::decode::{Decode, Decoder, Error as DecodeError};
use minicbor::encode::{Encode, Encoder, Error as EncodeError, Write};

/// Largest tensor in bytes: a 4K image in FP32 fits; more is batch work, not a device's request.
pub const TENSOR_BYTES_MAX: usize = 128 * 1024 * 1024;
/// Most tensors of one request or reply, and most inputs or outputs of a model.
pub const TENSORS_MAX: usize = 64;
/// Most dimensions of a tensor.
pub const RANK_MAX: usize = 16;
/// Longest tensor name in bytes.
pub const TENSOR_NAME_BYTES_MAX: usize = 512;

/// One named array. The invariant `data.len() == product(shape) * size` holds from construction.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    name: String,
    datatype: Datatype,
    shape: Vec<usize>,
    data: Vec<u8>,
}

/// Why bytes are no tensor.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TensorError {
    /// More dimensions than [`RANK_MAX`].
    #[error("it has {got} dimensions, at most {RANK_MAX} are allowed")]
    Rank {
        /// Dimensions that it has.
        got: usize,
    },
    /// A name longer than [`TENSOR_NAME_BYTES_MAX`].
    #[error("its name has {got} bytes, at most {TENSOR_NAME_BYTES_MAX} are allowed")]
    Name {
        /// Bytes of the name.
        got: usize,
    },
    /// The shape asks for more than [`TENSOR_BYTES_MAX`].
    #[error("shape {shape:?} asks for more than {TENSOR_BYTES_MAX} bytes")]
    TooLarge {
        /// The shape as given.
        shape: Vec<usize>,
    },
    /// Bytes and shape disagree.
    #[error("shape {shape:?} of {datatype} needs {expected} bytes, got {got}")]
    Length {
        /// The shape as given.
        shape: Vec<usize>,
        /// The datatype as given.
        datatype: Datatype,
        /// Bytes that shape and datatype need.
        expected: usize,
        /// Bytes that were there.
        got: usize,
    },
    /// A boolean byte that is neither 0 nor 1.
    #[error("byte {at} of a BOOL tensor is {got}, only 0 and 1 are allowed")]
    Bool {
        /// Offset of the byte.
        at: usize,
        /// Its value.
        got: u8,
    },
}

impl Tensor {
    /// A tensor from little-endian bytes.
    pub fn new(
        name: impl Into<String>,
        datatype: Datatype,
        shape: Vec<usize>,
        data: Vec<u8>,
    ) -> Result<Tensor, TensorError> {
        let name = name.into();
        check_name(&name)?;
        let expected = bytes_of(datatype, &shape)?;
        if data.len() != expected {
            return Err(TensorError::Length {
                shape,
                datatype,
                expected,
                got: data.len(),
            });
        }
        check_bools(datatype, &data)?;
        Ok(Tensor {
            name,
            datatype,
            shape,
            data,
        })
    }

    /// An FP32 tensor.
    pub fn from_f32(
        name: impl Into<String>,
        shape: Vec<usize>,
        values: &[f32],
    ) -> Result<Tensor, TensorError> {
        let data = values
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect();
        Tensor::new(name, Datatype::F32, shape, data)
    }

    /// An INT64 tensor.
    pub fn from_i64(
        name: impl Into<String>,
        shape: Vec<usize>,
        values: &[i64],
    ) -> Result<Tensor, TensorError> {
        let data = values
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect();
        Tensor::new(name, Datatype::I64, shape, data)
    }

    /// Name of the model's input or output.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The same tensor under another name.
    pub fn renamed(self, name: impl Into<String>) -> Result<Tensor, TensorError> {
        let name = name.into();
        check_name(&name)?;
        Ok(Tensor { name, ..self })
    }

    /// Type of the elements.
    pub fn datatype(&self) -> Datatype {
        self.datatype
    }

    /// Elements along each axis; empty for a scalar.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The elements, little endian, row-major.
    pub fn data(&self) -> &[u8] {
        &self.data
    }

    /// Number of elements.
    pub fn elements(&self) -> usize {
        self.data.len() / self.datatype.size()
    }

    /// The elements as f64 (64-bit integers lose precision beyond 2^53).
    pub fn to_f64(&self) -> impl Iterator<Item = f64> + '_ {
        self.data
            .chunks_exact(self.datatype.size())
            .map(|bytes| self.datatype.read_f64(bytes))
    }

    /// The elements as f32, as windows fold them.
    pub fn to_f32(&self) -> impl Iterator<Item = f32> + '_ {
        self.to_f64().map(|value| value as f32)
    }

    /// How many elements are NaN or infinite; 0 for integers.
    pub fn non_finite(&self) -> usize {
        if !self.datatype.is_float() {
            return 0;
        }
        self.to_f64().filter(|value| !value.is_finite()).count()
    }
}

/// Bytes that `shape` of `datatype` needs, if it may exist at all.
pub fn bytes_of(datatype: Datatype, shape: &[usize]) -> Result<usize, TensorError> {
    if shape.len() > RANK_MAX {
        return Err(TensorError::Rank { got: shape.len() });
    }
    // A zero must not excuse a huge neighbour: every dimension is bounded by itself as well.
    let each_fits = shape.iter().all(|&dim| dim <= TENSOR_BYTES_MAX);
    shape
        .iter()
        .try_fold(datatype.size(), |bytes, &dim| bytes.checked_mul(dim))
        .filter(|&bytes| each_fits && bytes <= TENSOR_BYTES_MAX)
        .ok_or_else(|| TensorError::TooLarge {
            shape: shape.to_vec(),
        })
}

fn check_name(name: &str) -> Result<(), TensorError> {
    match name.len() {
        0..=TENSOR_NAME_BYTES_MAX => Ok(()),
        got => Err(TensorError::Name { got }),
    }
}

fn check_bools(datatype: Datatype, data: &[u8]) -> Result<(), TensorError> {
    if datatype != Datatype::Bool {
        return Ok(());
    }
    match data.iter().position(|&byte| byte > 1) {
        Some(at) => Err(TensorError::Bool { at, got: data[at] }),
        None => Ok(()),
    }
}

/// `{0: name, 1: datatype code, 2: shape, 3: bytes}`.
impl<C> Encode<C> for Tensor {
    fn encode<W: Write>(&self, e: &mut Encoder<W>, _: &mut C) -> Result<(), EncodeError<W::Error>> {
        e.map(4)?
            .u8(0)?
            .str(&self.name)?
            .u8(1)?
            .u8(self.datatype.code())?;
        e.u8(2)?.array(self.shape.len() as u64)?;
        for &dim in &self.shape {
            e.u64(dim as u64)?;
        }
        e.u8(3)?.bytes(&self.data)?.ok()
    }
}

impl<'b, C> Decode<'b, C> for Tensor {
    fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Tensor, DecodeError> {
        let (mut name, mut datatype, mut shape, mut data) = (None, None, None, None);
        for _ in 0..definite(d.map()?, 16)? {
            match d.u8()? {
                0 => name = Some(d.str()?),
                1 => datatype = Some(Datatype::from_code(d.u8()?).map_err(DecodeError::custom)?),
                2 => shape = Some(decode_shape(d)?),
                3 => data = Some(d.bytes()?),
                _ => d.skip()?,
            }
        }
        let missing = || DecodeError::message("a tensor lacks one of its fields 0 to 3");
        let (name, datatype) = (name.ok_or_else(missing)?, datatype.ok_or_else(missing)?);
        let (shape, data) = (shape.ok_or_else(missing)?, data.ok_or_else(missing)?);
        Tensor::new(name, datatype, shape, data.to_vec()).map_err(DecodeError::custom)
    }
}

fn decode_shape(d: &mut Decoder<'_>) -> Result<Vec<usize>, DecodeError> {
    let count = definite(d.array()?, RANK_MAX)?;
    (0..count)
        .map(|_| usize::try_from(d.u64()?).map_err(DecodeError::custom))
        .collect()
}

/// The length of a definite array or map, bounded.
pub(crate) fn definite(length: Option<u64>, max: usize) -> Result<usize, DecodeError> {
    let length = length.ok_or(DecodeError::message("indefinite lengths are not used"))?;
    match usize::try_from(length) {
        Ok(length) if length <= max => Ok(length),
        Ok(_) | Err(_) => Err(DecodeError::message(
            "a list or map is longer than its bound",
        )),
    }
}

/// A bounded list of values, for `#[cbor(decode_with)]` and by hand.
pub(crate) fn decode_list<'b, C, T: Decode<'b, C>>(
    d: &mut Decoder<'b>,
    ctx: &mut C,
    max: usize,
) -> Result<Vec<T>, DecodeError> {
    if d.datatype()? != Type::Array {
        return Err(DecodeError::message("expected an array of definite length"));
    }
    let count = definite(d.array()?, max)?;
    (0..count).map(|_| T::decode(d, ctx)).collect()
}

/// At most [`TENSORS_MAX`] tensors, for `#[cbor(decode_with)]`.
pub(crate) fn decode_tensors<'b, C>(
    d: &mut Decoder<'b>,
    ctx: &mut C,
) -> Result<Vec<Tensor>, DecodeError> {
    decode_list(d, ctx, TENSORS_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tensor_is_checked() {
        fn check(datatype: Datatype, shape: &[usize], bytes: Vec<u8>, expect: &str) {
            let got = match Tensor::new("x", datatype, shape.to_vec(), bytes) {
                Ok(tensor) => format!("{} elements", tensor.elements()),
                Err(error) => error.to_string(),
            };
            assert_eq!(got, expect);
        }
        check(Datatype::F32, &[2, 1], vec![0; 8], "2 elements");
        check(Datatype::F32, &[], vec![0; 4], "1 elements");
        check(Datatype::I64, &[0], vec![], "0 elements");
        let short = "shape [2] of FP32 needs 8 bytes, got 7";
        check(Datatype::F32, &[2], vec![0; 7], short);
        let huge = format!(
            "shape [{}, 2] asks for more than 134217728 bytes",
            usize::MAX
        );
        check(Datatype::U8, &[usize::MAX, 2], vec![], &huge);
        let hidden = format!(
            "shape [0, {}] asks for more than 134217728 bytes",
            usize::MAX
        );
        check(Datatype::U8, &[0, usize::MAX], vec![], &hidden);
        let bad_bool = "byte 1 of a BOOL tensor is 2, only 0 and 1 are allowed";
        check(Datatype::Bool, &[2], vec![0, 2], bad_bool);
        check(
            Datatype::U8,
            &[1; 17],
            vec![0],
            "it has 17 dimensions, at most 16 are allowed",
        );
    }

    #[test]
    fn a_tensor_survives_the_wire_and_its_prefixes_do_not() {
        let tensor = Tensor::from_f32("in", vec![1, 2], &[1.5, f32::NAN]).expect("valid");
        let bytes = minicbor::to_vec(&tensor).expect("encodes");
        let back: Tensor = minicbor::decode(&bytes).expect("decodes");
        assert_eq!((back.name(), back.data()), (tensor.name(), tensor.data()));
        assert_eq!(back.non_finite(), 1);
        for end in 0..bytes.len() {
            assert!(
                minicbor::decode::<Tensor>(&bytes[..end]).is_err(),
                "prefix {end}"
            );
        }
    }
}
