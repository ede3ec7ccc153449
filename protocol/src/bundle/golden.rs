//! Golden vectors: inputs, expected outputs and a tolerance, as they travel in a bundle.
//!
//! `{0: format 1, 1: rtol bits (u64), 2: atol bits (u64), 3: [[[input…], [output…]]…]}`. What a
//! tensor is, the side that computes with it says. Tolerances travel as the bits of a double, so
//! that no encoder can round them. Never judges; never accepts none at all.

use alloc::vec::Vec;
use core::fmt;
use minicbor::data::Type;
use minicbor::decode::{Decode, Decoder, Error as DecodeError};
use minicbor::encode::{Encode, Encoder, Error as EncodeError, Write};

use crate::limits::{GOLDEN_BYTES_MAX, GOLDEN_TENSORS_MAX, GOLDEN_VECTORS_MAX};

const FORMAT: u8 = 1;
/// Most fields of a later document.
const FIELDS_MAX: usize = 16;

/// Golden vectors of one model.
#[derive(Debug, Clone, PartialEq)]
pub struct Golden<T> {
    /// Relative tolerance.
    pub rtol: f64,
    /// Absolute tolerance.
    pub atol: f64,
    /// At least one.
    pub vectors: Vec<GoldenVector<T>>,
}

/// One question and its answer.
#[derive(Debug, Clone, PartialEq)]
pub struct GoldenVector<T> {
    /// Inputs of the model.
    pub inputs: Vec<T>,
    /// What another runtime answers.
    pub outputs: Vec<T>,
}

/// Why bytes are no golden vectors.
#[derive(Debug)]
pub enum GoldenError {
    /// Not the format above.
    Unreadable(DecodeError),
    /// A document without vectors proves nothing.
    Empty,
    /// A tolerance that is negative, NaN or infinite.
    Tolerance(f64),
    /// More than [`GOLDEN_BYTES_MAX`] bytes.
    TooLarge(usize),
}

impl fmt::Display for GoldenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(error) => write!(f, "it is not a golden document: {error}"),
            Self::Empty => f.write_str("there are no golden vectors"),
            Self::Tolerance(tolerance) => {
                write!(f, "tolerance {tolerance} is not a finite number from 0")
            }
            Self::TooLarge(bytes) => {
                write!(
                    f,
                    "{bytes} bytes is more than the limit of {GOLDEN_BYTES_MAX}"
                )
            }
        }
    }
}

impl core::error::Error for GoldenError {}

impl<T: Encode<()>> Golden<T> {
    /// The document as it travels.
    pub fn to_cbor(&self) -> Vec<u8> {
        crate::cbor::to_vec(self)
    }
}

impl<T> Golden<T> {
    /// Reads a document of at most [`GOLDEN_BYTES_MAX`] bytes.
    pub fn from_cbor<'b>(bytes: &'b [u8]) -> Result<Self, GoldenError>
    where
        T: Decode<'b, ()>,
    {
        if bytes.len() > GOLDEN_BYTES_MAX {
            return Err(GoldenError::TooLarge(bytes.len()));
        }
        let mut decoder = Decoder::new(bytes);
        let golden: Self = decoder.decode().map_err(GoldenError::Unreadable)?;
        if decoder.position() != bytes.len() {
            let error = DecodeError::message("bytes after its end");
            return Err(GoldenError::Unreadable(error));
        }
        if golden.vectors.is_empty() {
            return Err(GoldenError::Empty);
        }
        let tolerances = [golden.rtol, golden.atol];
        match tolerances.into_iter().find(|t| !t.is_finite() || *t < 0.0) {
            Some(tolerance) => Err(GoldenError::Tolerance(tolerance)),
            None => Ok(golden),
        }
    }
}

impl<C, T: Encode<C>> Encode<C> for Golden<T> {
    fn encode<W: Write>(
        &self,
        e: &mut Encoder<W>,
        ctx: &mut C,
    ) -> Result<(), EncodeError<W::Error>> {
        e.map(4)?.u8(0)?.u8(FORMAT)?;
        e.u8(1)?.u64(self.rtol.to_bits())?;
        e.u8(2)?.u64(self.atol.to_bits())?;
        e.u8(3)?;
        self.vectors.encode(e, ctx)
    }
}

impl<'b, C, T: Decode<'b, C>> Decode<'b, C> for Golden<T> {
    fn decode(d: &mut Decoder<'b>, ctx: &mut C) -> Result<Self, DecodeError> {
        let (mut format, mut rtol, mut atol, mut vectors) = (None, None, None, None);
        for _ in 0..definite(d.map()?, FIELDS_MAX)? {
            match d.u8()? {
                0 => format = Some(d.u8()?),
                1 => rtol = Some(f64::from_bits(d.u64()?)),
                2 => atol = Some(f64::from_bits(d.u64()?)),
                3 => vectors = Some(list(d, ctx, GOLDEN_VECTORS_MAX)?),
                _ => d.skip()?,
            }
        }
        if format != Some(FORMAT) {
            return Err(DecodeError::message("its format is not 1"));
        }
        let missing = || DecodeError::message("it lacks one of its fields 1 to 3");
        Ok(Self {
            rtol: rtol.ok_or_else(missing)?,
            atol: atol.ok_or_else(missing)?,
            vectors: vectors.ok_or_else(missing)?,
        })
    }
}

impl<C, T: Encode<C>> Encode<C> for GoldenVector<T> {
    fn encode<W: Write>(
        &self,
        e: &mut Encoder<W>,
        ctx: &mut C,
    ) -> Result<(), EncodeError<W::Error>> {
        e.array(2)?;
        self.inputs.encode(e, ctx)?;
        self.outputs.encode(e, ctx)
    }
}

impl<'b, C, T: Decode<'b, C>> Decode<'b, C> for GoldenVector<T> {
    fn decode(d: &mut Decoder<'b>, ctx: &mut C) -> Result<Self, DecodeError> {
        if d.array()? != Some(2) {
            return Err(DecodeError::message(
                "a vector is a pair of inputs and outputs",
            ));
        }
        Ok(Self {
            inputs: list(d, ctx, GOLDEN_TENSORS_MAX)?,
            outputs: list(d, ctx, GOLDEN_TENSORS_MAX)?,
        })
    }
}

/// A list of at most `max` items; grows with what comes, not with what its length promises.
fn list<'b, C, T: Decode<'b, C>>(
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

fn definite(length: Option<u64>, max: usize) -> Result<usize, DecodeError> {
    let length = length.ok_or(DecodeError::message("indefinite lengths are not used"))?;
    let length = usize::try_from(length).ok().filter(|length| *length <= max);
    length.ok_or(DecodeError::message(
        "a list or map is longer than its bound",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString as _;
    use alloc::vec;

    /// Numbers stand for tensors.
    fn golden() -> Golden<u64> {
        let vector = GoldenVector {
            inputs: vec![7, 8],
            outputs: vec![9],
        };
        Golden {
            rtol: 1e-3,
            atol: 1e-4,
            vectors: vec![vector],
        }
    }

    #[test]
    fn golden_vectors_survive_and_damage_does_not_pass() {
        let bytes = golden().to_cbor();
        assert_eq!(Golden::from_cbor(&bytes).expect("decodes"), golden());
        for end in 0..bytes.len() {
            assert!(Golden::<u64>::from_cbor(&bytes[..end]).is_err(), "{end}");
        }
        let longer = [bytes.as_slice(), &[0]].concat();
        assert!(Golden::<u64>::from_cbor(&longer).is_err());
    }

    #[test]
    fn useless_golden_documents_are_refused() {
        fn check(golden: Golden<u64>, expect: &str) {
            let error = Golden::<u64>::from_cbor(&golden.to_cbor()).expect_err("refused");
            assert_eq!(error.to_string(), expect);
        }
        let (vectors, rtol, atol) = (vec![], f64::INFINITY, -1.0);
        let none = Golden {
            vectors,
            ..golden()
        };
        check(none, "there are no golden vectors");
        let infinite = "tolerance inf is not a finite number from 0";
        check(Golden { rtol, ..golden() }, infinite);
        let negative = "tolerance -1 is not a finite number from 0";
        check(Golden { atol, ..golden() }, negative);
    }

    #[test]
    fn a_list_that_lies_about_its_length_costs_nothing() {
        // {0: 1, 1: 0, 2: 0, 3: array of 2^62}
        let bytes = [
            &[0xa4, 0, 1, 1, 0, 2, 0, 3, 0x9b][..],
            &(1u64 << 62).to_be_bytes(),
        ]
        .concat();
        assert!(Golden::<u64>::from_cbor(&bytes).is_err());
    }
}
