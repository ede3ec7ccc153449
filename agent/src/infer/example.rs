//! One request as far as a plan depends on it: shapes, and the values of small inputs.
//!
//! A model is loaded for what it will be asked, not for what its file declares. Never the data
//! itself: an example is small, whatever the request was.

use crate::tensor::{RANK_MAX, TENSORS_MAX, Tensor, TensorSpec, decode_list};
use minicbor::decode::{Decoder, Error as DecodeError};

/// Most elements of an input whose values may decide what the graph looks like: axes, shapes,
/// sizes, scales.
const SETTING_ELEMENTS_MAX: usize = 64;

/// What is known of the inputs of a request, in its order; empty when nothing is.
#[derive(Clone, Debug, Default, PartialEq, minicbor::Encode, minicbor::Decode)]
#[cbor(map)]
pub struct Example {
    #[cbor(n(0), decode_with = "decode_inputs")]
    inputs: Vec<ExampleInput>,
}

/// One input of a request.
#[derive(Clone, Debug, PartialEq, minicbor::Encode, minicbor::Decode)]
#[cbor(map)]
struct ExampleInput {
    /// Empty when it is known by its place only.
    #[n(0)]
    name: String,
    #[cbor(n(1), decode_with = "decode_shape")]
    shape: Vec<usize>,
    /// Its values, if it is small.
    #[n(2)]
    setting: Option<Tensor>,
}

impl Example {
    /// What `inputs` tell.
    pub fn of(inputs: &[Tensor]) -> Example {
        let input = |tensor: &Tensor| ExampleInput {
            name: tensor.name().to_owned(),
            shape: tensor.shape().to_vec(),
            setting: is_setting(tensor).then(|| tensor.clone()),
        };
        Example {
            inputs: inputs.iter().map(input).collect(),
        }
    }

    /// Dimensions of an input, if it is in the example.
    pub(super) fn rank_of(&self, name: &str, place: usize) -> Option<usize> {
        self.find(name, place).map(|input| input.shape.len())
    }

    /// The example's shape of an input where that fits, otherwise the smallest one.
    pub fn shape_for(&self, spec: &TensorSpec, place: usize) -> Vec<usize> {
        let found = self.find(&spec.name, place).map(|input| &input.shape);
        let fits = |shape: &&Vec<usize>| {
            let mut dims = spec.shape.iter().zip(shape.iter());
            shape.len() == spec.shape.len() && dims.all(|(dim, &size)| dim.admits(size))
        };
        let found = found.filter(fits).cloned();
        found.unwrap_or_else(|| spec.smallest_shape())
    }

    /// The example's values of a small input, under the model's name.
    pub fn setting_for(&self, spec: &TensorSpec, place: usize) -> Option<Tensor> {
        let setting = self.find(&spec.name, place)?.setting.clone()?;
        let fits = setting.datatype() == spec.datatype
            && setting.shape() == self.shape_for(spec, place).as_slice();
        setting.renamed(&spec.name).ok().filter(|_| fits)
    }

    /// By name, or by place where the example does not know names.
    fn find(&self, name: &str, place: usize) -> Option<&ExampleInput> {
        let named = self.inputs.iter().find(|input| input.name == name);
        let placed = || self.inputs.get(place).filter(|input| input.name.is_empty());
        named.or_else(placed)
    }
}

/// Whether an input is a number or a short list.
pub(super) fn is_setting(tensor: &Tensor) -> bool {
    tensor.shape().len() <= 1 && tensor.elements() <= SETTING_ELEMENTS_MAX
}

fn decode_inputs<'b, C>(
    d: &mut Decoder<'b>,
    ctx: &mut C,
) -> Result<Vec<ExampleInput>, DecodeError> {
    decode_list(d, ctx, TENSORS_MAX)
}

fn decode_shape<'b, C>(d: &mut Decoder<'b>, ctx: &mut C) -> Result<Vec<usize>, DecodeError> {
    decode_list(d, ctx, RANK_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::{Datatype, Dim};

    fn spec(name: &str, datatype: Datatype, shape: &[Dim]) -> TensorSpec {
        TensorSpec {
            name: name.into(),
            datatype,
            shape: shape.to_vec(),
        }
    }

    #[test]
    fn an_example_keeps_shapes_and_small_values() {
        let data = Tensor::from_f32("x", vec![3, 2], &[0.0; 6]).expect("valid");
        let axes = Tensor::from_i64("axes", vec![1], &[1]).expect("valid");
        let example = Example::of(&[data, axes.clone()]);
        let bytes = minicbor::to_vec(&example).expect("encodes");
        let example: Example = minicbor::decode(&bytes).expect("decodes");
        let x = spec("x", Datatype::F32, &[Dim::Any, Dim::Fixed(2)]);
        assert_eq!(example.shape_for(&x, 0), [3, 2]);
        assert_eq!(example.setting_for(&x, 0), None);
        let wider = spec("x", Datatype::F32, &[Dim::Any, Dim::Fixed(5)]);
        assert_eq!(example.shape_for(&wider, 0), [1, 5], "it does not fit");
        let known = spec("axes", Datatype::I64, &[Dim::Any]);
        assert_eq!(example.setting_for(&known, 1), Some(axes));
        let other = spec("axes", Datatype::I32, &[Dim::Any]);
        assert_eq!(example.setting_for(&other, 1), None, "another datatype");
        assert_eq!(example.rank_of("absent", 0), None, "names are known");
    }

    #[test]
    fn inputs_without_names_are_known_by_their_place() {
        let data = Tensor::from_f32("", vec![3], &[0.0; 3]).expect("valid");
        let example = Example::of(&[data]);
        let x = spec("x", Datatype::F32, &[Dim::Any]);
        assert_eq!(example.shape_for(&x, 0), [3]);
        let setting = example.setting_for(&x, 0).expect("small");
        assert_eq!(setting.name(), "x");
        assert_eq!(example.rank_of("x", 1), None);
    }
}
