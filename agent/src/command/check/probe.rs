//! Inputs to ask any model with: the same for the same signature, everywhere, for ever.
//!
//! Never meaningful data; golden vectors of another runtime say more.

use crate::infer::Example;
use crate::tensor::{Datatype, Dim, Signature, Tensor, TensorSpec};

/// Vectors for a model of usual size.
const VECTORS: u64 = 3;
/// Inputs with more elements than this get a single vector: the report carries every number.
const ELEMENTS_MAX: usize = 65_536;

/// Vectors of inputs with the example's shapes and settings, or with 1 for every open dimension.
pub(super) fn inputs(signature: &Signature, example: &Example) -> Vec<Vec<Tensor>> {
    let specs = signature.inputs.iter().enumerate();
    let elements = specs.map(|(place, spec)| elements(&example.shape_for(spec, place)));
    let elements = elements.fold(0, usize::saturating_add);
    let count = if elements > ELEMENTS_MAX { 1 } else { VECTORS };
    (0..count)
        .filter_map(|seed| vector(signature, example, seed))
        .collect()
}

/// Integers may be indices or sizes, open dimensions may have to be larger than 1: then a failure
/// says nothing about the model.
pub(super) fn may_not_fit(signature: &Signature) -> bool {
    let open = |spec: &TensorSpec| spec.shape.contains(&Dim::Any);
    signature
        .inputs
        .iter()
        .any(|spec| !spec.datatype.is_float() || open(spec))
}

/// `None` when an input is beyond the bounds of a tensor.
fn vector(signature: &Signature, example: &Example, seed: u64) -> Option<Vec<Tensor>> {
    let mut state = seed;
    let specs = signature.inputs.iter().enumerate();
    let input = |(place, spec): (usize, &TensorSpec)| {
        let setting = example.setting_for(spec, place);
        setting.or_else(|| tensor(spec, example.shape_for(spec, place), &mut state))
    };
    specs.map(input).collect()
}

fn tensor(spec: &TensorSpec, shape: Vec<usize>, state: &mut u64) -> Option<Tensor> {
    let bytes = crate::tensor::bytes_of(spec.datatype, &shape).ok()?;
    let mut data = Vec::with_capacity(bytes);
    for _ in 0..bytes / spec.datatype.size() {
        push(&mut data, spec.datatype, split_mix(state));
    }
    Tensor::new(&spec.name, spec.datatype, shape, data).ok()
}

/// Floats from -1 to 1; booleans both; integers 1, because they often are indices, sizes or
/// divisors.
fn push(data: &mut Vec<u8>, datatype: Datatype, random: u64) {
    let unit = (random >> 40) as f32 / (1 << 23) as f32 - 1.0;
    match datatype {
        Datatype::F64 => data.extend(f64::from(unit).to_le_bytes()),
        Datatype::F32 => data.extend(unit.to_le_bytes()),
        // Halves 0, 0.5, 1 and their negatives, by their bits.
        Datatype::F16 => {
            let half = [0x0000u16, 0x3800, 0x3c00, 0xb800, 0xbc00][random as usize % 5];
            data.extend(half.to_le_bytes());
        }
        Datatype::Bool => data.push((random >> 63) as u8),
        Datatype::U8
        | Datatype::I8
        | Datatype::U16
        | Datatype::I16
        | Datatype::U32
        | Datatype::I32
        | Datatype::U64
        | Datatype::I64 => {
            data.push(1);
            data.resize(data.len() + datatype.size() - 1, 0);
        }
    }
}

fn elements(shape: &[usize]) -> usize {
    shape
        .iter()
        .fold(1, |product, &dim| product.saturating_mul(dim))
}

/// SplitMix64 (Steele, Lea and Flood, 2014).
fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probes_are_reproducible_and_in_range() {
        let spec = |name: &str, datatype| TensorSpec {
            name: name.into(),
            datatype,
            shape: vec![Dim::Any, Dim::Fixed(40)],
        };
        let all = [
            Datatype::F16,
            Datatype::F32,
            Datatype::F64,
            Datatype::Bool,
            Datatype::I64,
        ];
        let specs = all
            .iter()
            .map(|&datatype| spec(datatype.as_str(), datatype))
            .collect();
        let signature = Signature {
            inputs: specs,
            outputs: vec![],
        };
        let probes = inputs(&signature, &Example::default());
        assert_eq!(probes, inputs(&signature, &Example::default()));
        assert_eq!((probes.len(), probes[0].len()), (3, 5));
        assert_ne!(probes[0], probes[1]);
        for tensor in probes.iter().flatten() {
            assert!(
                tensor.to_f64().all(|v| (-1.0..=1.0).contains(&v)),
                "{}",
                tensor.name()
            );
            assert!(tensor.to_f64().any(|v| v != 0.0), "{}", tensor.name());
        }
        // Known answers: the generator must never change, bundles carry its answers.
        let mut state = 0;
        assert_eq!(split_mix(&mut state), 0xe220_a839_7b1d_cdaf);
    }
}
