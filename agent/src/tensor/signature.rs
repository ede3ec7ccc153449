//! What a model takes and gives, and whether given inputs fit it.
//!
//! Never changes a tensor: inputs are put in the model's order, or refused with what was
//! expected and what came.

use super::{Datatype, RANK_MAX, TENSORS_MAX, Tensor, decode_list};
use minicbor::decode::{Decode, Decoder, Error as DecodeError};
use minicbor::encode::{Encode, Encoder, Error as EncodeError, Write};
use std::fmt;

/// One dimension of a model's input or output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dim {
    /// Exactly this many.
    Fixed(usize),
    /// Any number from 1 (a symbolic batch, a time axis).
    Any,
}

/// Name, datatype and shape of one input or output.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
#[cbor(map)]
pub struct TensorSpec {
    /// Name in the model.
    #[n(0)]
    pub name: String,
    /// Type of the elements.
    #[n(1)]
    pub datatype: Datatype,
    /// Dimensions, outermost first.
    #[cbor(n(2), decode_with = "decode_dims")]
    pub shape: Vec<Dim>,
}

/// Inputs and outputs of a model, in its order.
#[derive(Clone, Debug, Default, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
#[cbor(map)]
pub struct Signature {
    /// What a request must bring.
    #[cbor(n(0), decode_with = "decode_specs")]
    pub inputs: Vec<TensorSpec>,
    /// What a reply brings.
    #[cbor(n(1), decode_with = "decode_specs")]
    pub outputs: Vec<TensorSpec>,
}

/// Why inputs do not fit a model.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InputError {
    /// Too few or too many.
    #[error("expected {expected} inputs ({names}), got {got}")]
    Count {
        /// Inputs of the model.
        expected: usize,
        /// Their names.
        names: String,
        /// Inputs of the request.
        got: usize,
    },
    /// An input of the model that the request lacks.
    #[error("expected an input named {name:?}, got {got}")]
    Missing {
        /// Name in the model.
        name: String,
        /// Names in the request.
        got: String,
    },
    /// Another datatype.
    #[error("input {name:?}: expected datatype {expected}, got {got}")]
    Datatype {
        /// Name of the input.
        name: String,
        /// What the model takes.
        expected: Datatype,
        /// What came.
        got: Datatype,
    },
    /// Another shape; 0 never stands for [`Dim::Any`].
    #[error("input {name:?}: expected shape {expected}, got {got:?}")]
    Shape {
        /// Name of the input.
        name: String,
        /// What the model takes, `-1` for any.
        expected: String,
        /// What came.
        got: Vec<usize>,
    },
}

impl Dim {
    /// Whether `size` fits. Zero fits only a model that says 0: an empty batch is a caller's
    /// mistake, and must not reach a runtime that may die of it.
    pub fn admits(self, size: usize) -> bool {
        match self {
            Dim::Fixed(expected) => size == expected,
            Dim::Any => size > 0,
        }
    }

    /// The size, with 1 for any.
    pub fn or_one(self) -> usize {
        match self {
            Dim::Fixed(size) => size,
            Dim::Any => 1,
        }
    }
}

impl TensorSpec {
    /// The shape as the Open Inference Protocol writes it: `-1` for any.
    pub fn shape_text(&self) -> String {
        let dims: Vec<String> = self.shape.iter().map(Dim::to_string).collect();
        format!("[{}]", dims.join(", "))
    }

    /// The shape with 1 for every [`Dim::Any`].
    pub fn smallest_shape(&self) -> Vec<usize> {
        self.shape.iter().map(|dim| dim.or_one()).collect()
    }

    fn check(&self, tensor: &Tensor) -> Result<(), InputError> {
        let name = self.name.clone();
        if tensor.datatype() != self.datatype {
            let (expected, got) = (self.datatype, tensor.datatype());
            return Err(InputError::Datatype {
                name,
                expected,
                got,
            });
        }
        let got = tensor.shape();
        let fits = self
            .shape
            .iter()
            .zip(got)
            .all(|(dim, &size)| dim.admits(size));
        if got.len() != self.shape.len() || !fits {
            let (expected, got) = (self.shape_text(), got.to_vec());
            return Err(InputError::Shape {
                name,
                expected,
                got,
            });
        }
        Ok(())
    }
}

impl Signature {
    /// The inputs in the model's order, if names, datatypes and shapes fit.
    pub fn arrange(&self, mut inputs: Vec<Tensor>) -> Result<Vec<Tensor>, InputError> {
        if inputs.len() != self.inputs.len() {
            let names = quoted(self.inputs.iter().map(|spec| spec.name.as_str()));
            let (expected, got) = (self.inputs.len(), inputs.len());
            return Err(InputError::Count {
                expected,
                names,
                got,
            });
        }
        let mut arranged = Vec::with_capacity(inputs.len());
        for spec in &self.inputs {
            let at = inputs.iter().position(|tensor| tensor.name() == spec.name);
            let at = at.ok_or_else(|| InputError::Missing {
                name: spec.name.clone(),
                got: quoted(inputs.iter().map(Tensor::name)),
            })?;
            spec.check(&inputs[at])?;
            arranged.push(inputs.swap_remove(at));
        }
        Ok(arranged)
    }
}

impl fmt::Display for Dim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Dim::Fixed(size) => write!(f, "{size}"),
            Dim::Any => f.write_str("-1"),
        }
    }
}

fn quoted<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names
        .map(|name| format!("{name:?}"))
        .collect::<Vec<_>>()
        .join(", ")
}

/// A size, or null for any.
impl<C> Encode<C> for Dim {
    fn encode<W: Write>(&self, e: &mut Encoder<W>, _: &mut C) -> Result<(), EncodeError<W::Error>> {
        match self {
            Dim::Fixed(size) => e.u64(*size as u64)?.ok(),
            Dim::Any => e.null()?.ok(),
        }
    }
}

impl<'b, C> Decode<'b, C> for Dim {
    fn decode(d: &mut Decoder<'b>, ctx: &mut C) -> Result<Dim, DecodeError> {
        let size = Option::<u64>::decode(d, ctx)?;
        let size = size
            .map(usize::try_from)
            .transpose()
            .map_err(DecodeError::custom)?;
        Ok(size.map_or(Dim::Any, Dim::Fixed))
    }
}

impl<C> Encode<C> for Datatype {
    fn encode<W: Write>(&self, e: &mut Encoder<W>, _: &mut C) -> Result<(), EncodeError<W::Error>> {
        e.u8(self.code())?.ok()
    }
}

impl<'b, C> Decode<'b, C> for Datatype {
    fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Datatype, DecodeError> {
        Datatype::from_code(d.u8()?).map_err(DecodeError::custom)
    }
}

fn decode_dims<'b, C>(d: &mut Decoder<'b>, ctx: &mut C) -> Result<Vec<Dim>, DecodeError> {
    decode_list(d, ctx, RANK_MAX)
}

fn decode_specs<'b, C>(d: &mut Decoder<'b>, ctx: &mut C) -> Result<Vec<TensorSpec>, DecodeError> {
    decode_list(d, ctx, TENSORS_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signature() -> Signature {
        let spec = |name: &str, datatype, shape: &[Dim]| TensorSpec {
            name: name.into(),
            datatype,
            shape: shape.to_vec(),
        };
        Signature {
            inputs: vec![
                spec("x", Datatype::F32, &[Dim::Any, Dim::Fixed(2)]),
                spec("rate", Datatype::I64, &[]),
            ],
            outputs: vec![],
        }
    }

    #[test]
    fn inputs_are_arranged_or_refused() {
        fn check(inputs: Vec<Tensor>, expect: &str) {
            let got = match signature().arrange(inputs) {
                Ok(inputs) => quoted(inputs.iter().map(Tensor::name)),
                Err(error) => error.to_string(),
            };
            assert_eq!(got, expect);
        }
        let rate = || Tensor::from_i64("rate", vec![], &[16000]).expect("valid");
        let x = |rows: usize, columns: usize| {
            Tensor::from_f32("x", vec![rows, columns], &vec![0.0; rows * columns]).expect("valid")
        };
        check(vec![rate(), x(3, 2)], r#""x", "rate""#);
        check(vec![x(1, 2)], r#"expected 2 inputs ("x", "rate"), got 1"#);
        check(
            vec![rate(), x(1, 3)],
            r#"input "x": expected shape [-1, 2], got [1, 3]"#,
        );
        check(
            vec![rate(), x(0, 2)],
            r#"input "x": expected shape [-1, 2], got [0, 2]"#,
        );
        let twice = r#"expected an input named "rate", got "x""#;
        check(vec![x(1, 2), x(1, 2)], twice);
        let float_rate = Tensor::from_f32("rate", vec![], &[1.0]).expect("valid");
        let datatype = r#"input "rate": expected datatype INT64, got FP32"#;
        check(vec![x(1, 2), float_rate], datatype);
    }

    #[test]
    fn a_signature_survives_the_wire() {
        let bytes = minicbor::to_vec(signature()).expect("encodes");
        assert_eq!(
            minicbor::decode::<Signature>(&bytes).expect("decodes"),
            signature()
        );
    }
}
