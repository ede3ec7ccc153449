//! The golden document: vectors of another runtime, with the tolerance to which they bind.
//!
//! `docs/bundle-format.md` section 7. It never says who is right: the trial does.

use minicbor::Encoder;
use minicbor::decode::{Decode, Decoder, Error as DecodeError};
use minicbor::encode::{Encode, Error as EncodeError, Write};

use super::tensor::{Tensor, bounded};

const FORMAT: u8 = 1;
/// Most vectors: the agent's own bound.
pub(crate) const VECTORS_MAX: usize = 256;
/// Most tensors on one side of a vector: the agent's own bound.
const TENSORS_MAX: usize = 64;
/// Largest document, bytes: the agent's own bound.
pub(crate) const GOLDEN_BYTES_MAX: usize = 128 * 1024 * 1024;

/// Golden vectors of one model.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Golden {
    /// Relative tolerance.
    pub(crate) rtol: f64,
    /// Absolute tolerance.
    pub(crate) atol: f64,
    /// At least one.
    pub(crate) vectors: Vec<Vector>,
}

/// One question and its answer.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Vector {
    /// Every input of the model.
    pub(crate) inputs: Vec<Tensor>,
    /// The outputs that count.
    pub(crate) outputs: Vec<Tensor>,
}

impl Golden {
    /// The document as it travels.
    pub(crate) fn to_cbor(&self) -> Vec<u8> {
        minicbor::to_vec(self).expect("invariant: a vector takes all bytes")
    }

    /// Reads a document, or says why it is none.
    pub(crate) fn from_cbor(bytes: &[u8]) -> Result<Self, String> {
        let mut decoder = Decoder::new(bytes);
        let golden: Self = decoder.decode().map_err(|error| error.to_string())?;
        let whole = decoder.position() == bytes.len();
        let tolerable = |tolerance: f64| tolerance.is_finite() && tolerance >= 0.0;
        match whole && tolerable(golden.rtol) && tolerable(golden.atol) {
            true if !golden.vectors.is_empty() => Ok(golden),
            _ => Err("no vectors, a wrong tolerance, or bytes behind its end".into()),
        }
    }
}

impl<C> Encode<C> for Golden {
    fn encode<W: Write>(
        &self,
        e: &mut Encoder<W>,
        ctx: &mut C,
    ) -> Result<(), EncodeError<W::Error>> {
        e.map(4)?
            .u8(0)?
            .u8(FORMAT)?
            .u8(1)?
            .u64(self.rtol.to_bits())?;
        e.u8(2)?.u64(self.atol.to_bits())?.u8(3)?;
        self.vectors.encode(e, ctx)
    }
}

impl<'b, C> Decode<'b, C> for Golden {
    fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, DecodeError> {
        let head = (d.map()?, d.u8()?, d.u8()?);
        if head != (Some(4), 0, FORMAT) {
            return Err(DecodeError::message("not a golden document of format 1"));
        }
        let (first, rtol) = (d.u8()?, f64::from_bits(d.u64()?));
        let (second, atol) = (d.u8()?, f64::from_bits(d.u64()?));
        if (first, second, d.u8()?) != (1, 2, 3) {
            return Err(DecodeError::message("fields out of order"));
        }
        Ok(Self {
            rtol,
            atol,
            vectors: bounded(d, VECTORS_MAX)?,
        })
    }
}

impl<C> Encode<C> for Vector {
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

impl<'b, C> Decode<'b, C> for Vector {
    fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, DecodeError> {
        if d.array()? != Some(2) {
            return Err(DecodeError::message(
                "a vector is a pair of inputs and outputs",
            ));
        }
        Ok(Self {
            inputs: bounded(d, TENSORS_MAX)?,
            outputs: bounded(d, TENSORS_MAX)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    #[test]
    fn a_document_is_read_as_it_was_written_and_no_cut_one_is() {
        let bytes = sample::golden().to_cbor();
        assert_eq!(Golden::from_cbor(&bytes), Ok(sample::golden()));
        for end in 0..bytes.len() {
            assert!(Golden::from_cbor(&bytes[..end]).is_err(), "{end}");
        }
    }

    /// The reader is the agent's: these bytes must never change.
    #[test]
    fn the_bytes_are_fixed() {
        let hex: String = sample::golden()
            .to_cbor()
            .iter()
            .map(|b| format!("{b:02x}"))
            .collect();
        let expect = [
            "a4 0001 01 1b3f50624dd2f1a9fc 02 1b3f1a36e2eb1c432d 03 81 82",
            "81 a4 00 686665617475726573 01 0a 02 820102 03 48 0000803f00000040",
            "81 a4 00 6573636f7265 01 0a 02 8101 03 44 00004040",
        ];
        assert_eq!(hex, expect.concat().replace(' ', ""));
    }
}
