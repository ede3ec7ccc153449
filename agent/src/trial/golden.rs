//! Golden vectors: inputs, expected outputs and a tolerance, as they travel in a bundle.
//!
//! `{0: format 1, 1: rtol bits (u64), 2: atol bits (u64), 3: [[[input…], [output…]]…]}`, tensors
//! as in `tensor`. Tolerances travel as the bits of a double, so that no encoder can round them.
//! Never judges; never accepts none at all.

use crate::tensor::{TENSORS_MAX, Tensor, decode_list, definite};
use minicbor::decode::{Decode, Decoder, Error as DecodeError};
use minicbor::encode::{Encode, Encoder, Error as EncodeError, Write};

const FORMAT: u8 = 1;
/// Most vectors of one model.
const VECTORS_MAX: usize = 256;
/// Largest encoded golden blob, bytes.
pub const GOLDEN_BYTES_MAX: usize = 128 * 1024 * 1024;

/// Golden vectors of one model.
#[derive(Clone, Debug, PartialEq)]
pub struct Golden {
    /// Relative tolerance.
    pub rtol: f64,
    /// Absolute tolerance.
    pub atol: f64,
    /// At least one.
    pub vectors: Vec<GoldenVector>,
}

/// One question and its answer.
#[derive(Clone, Debug, PartialEq)]
pub struct GoldenVector {
    /// Inputs of the model.
    pub inputs: Vec<Tensor>,
    /// What another runtime answers.
    pub outputs: Vec<Tensor>,
}

/// Why bytes are no golden vectors.
#[derive(Debug, thiserror::Error)]
pub enum GoldenError {
    /// Not the format above.
    #[error("it is not a golden document: {0}")]
    Unreadable(#[from] DecodeError),
    /// A document without vectors proves nothing.
    #[error("there are no golden vectors")]
    Empty,
    /// A tolerance that is negative, NaN or infinite.
    #[error("tolerance {0} is not a finite number from 0")]
    Tolerance(f64),
    /// More than [`GOLDEN_BYTES_MAX`] bytes.
    #[error("{0} bytes is more than the limit of {GOLDEN_BYTES_MAX}")]
    TooLarge(usize),
}

impl Golden {
    /// The document as it travels.
    pub fn to_cbor(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let encoded = minicbor::encode(self, &mut bytes);
        debug_assert!(encoded.is_ok(), "writing to memory does not fail");
        bytes
    }

    /// Reads a document of at most [`GOLDEN_BYTES_MAX`] bytes.
    pub fn from_cbor(bytes: &[u8]) -> Result<Golden, GoldenError> {
        if bytes.len() > GOLDEN_BYTES_MAX {
            return Err(GoldenError::TooLarge(bytes.len()));
        }
        let mut decoder = Decoder::new(bytes);
        let golden: Golden = decoder.decode()?;
        if decoder.position() != bytes.len() {
            return Err(DecodeError::message("bytes after its end").into());
        }
        if golden.vectors.is_empty() {
            return Err(GoldenError::Empty);
        }
        match [golden.rtol, golden.atol]
            .into_iter()
            .find(|t| !t.is_finite() || *t < 0.0)
        {
            Some(tolerance) => Err(GoldenError::Tolerance(tolerance)),
            None => Ok(golden),
        }
    }
}

impl<C> Encode<C> for Golden {
    fn encode<W: Write>(
        &self,
        e: &mut Encoder<W>,
        ctx: &mut C,
    ) -> Result<(), EncodeError<W::Error>> {
        e.map(4)?.u8(0)?.u8(FORMAT)?;
        e.u8(1)?
            .u64(self.rtol.to_bits())?
            .u8(2)?
            .u64(self.atol.to_bits())?;
        e.u8(3)?;
        self.vectors.encode(e, ctx)
    }
}

impl<'b, C> Decode<'b, C> for Golden {
    fn decode(d: &mut Decoder<'b>, ctx: &mut C) -> Result<Golden, DecodeError> {
        let (mut format, mut rtol, mut atol, mut vectors) = (None, None, None, None);
        for _ in 0..definite(d.map()?, 16)? {
            match d.u8()? {
                0 => format = Some(d.u8()?),
                1 => rtol = Some(f64::from_bits(d.u64()?)),
                2 => atol = Some(f64::from_bits(d.u64()?)),
                3 => vectors = Some(decode_list(d, ctx, VECTORS_MAX)?),
                _ => d.skip()?,
            }
        }
        if format != Some(FORMAT) {
            return Err(DecodeError::message("its format is not 1"));
        }
        let missing = || DecodeError::message("it lacks one of its fields 1 to 3");
        Ok(Golden {
            rtol: rtol.ok_or_else(missing)?,
            atol: atol.ok_or_else(missing)?,
            vectors: vectors.ok_or_else(missing)?,
        })
    }
}

impl<C> Encode<C> for GoldenVector {
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

impl<'b, C> Decode<'b, C> for GoldenVector {
    fn decode(d: &mut Decoder<'b>, ctx: &mut C) -> Result<GoldenVector, DecodeError> {
        if d.array()? != Some(2) {
            return Err(DecodeError::message(
                "a vector is a pair of inputs and outputs",
            ));
        }
        let inputs = decode_list(d, ctx, TENSORS_MAX)?;
        Ok(GoldenVector {
            inputs,
            outputs: decode_list(d, ctx, TENSORS_MAX)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn golden() -> Golden {
        let tensor = |name| Tensor::from_f32(name, vec![1, 1], &[1.5]).expect("valid");
        let vector = GoldenVector {
            inputs: vec![tensor("x")],
            outputs: vec![tensor("y")],
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
            assert!(Golden::from_cbor(&bytes[..end]).is_err(), "prefix {end}");
        }
        let longer = [bytes.as_slice(), &[0]].concat();
        assert!(Golden::from_cbor(&longer).is_err());
    }

    #[test]
    fn useless_golden_documents_are_refused() {
        fn check(golden: Golden, expect: &str) {
            let error = Golden::from_cbor(&golden.to_cbor()).expect_err("refused");
            assert_eq!(error.to_string(), expect);
        }
        check(
            Golden {
                vectors: vec![],
                ..golden()
            },
            "there are no golden vectors",
        );
        let infinite = "tolerance inf is not a finite number from 0";
        check(
            Golden {
                rtol: f64::INFINITY,
                ..golden()
            },
            infinite,
        );
        check(
            Golden {
                atol: -1.0,
                ..golden()
            },
            "tolerance -1 is not a finite number from 0",
        );
    }

    #[test]
    fn a_list_that_lies_about_its_length_costs_nothing() {
        // {0: 1, 1: 0, 2: 0, 3: array of 2^62}
        let bytes = [
            &[0xa4, 0, 1, 1, 0, 2, 0, 3, 0x9b][..],
            &(1u64 << 62).to_be_bytes(),
        ]
        .concat();
        assert!(Golden::from_cbor(&bytes).is_err());
    }
}
