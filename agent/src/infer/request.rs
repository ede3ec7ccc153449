//! The form of a request, for which a plan is made: shapes, and values that the plan must know.
//!
//! Some operators want axes, shapes or scales when the plan is made, not when it runs. Never
//! fixes the values of what is larger than a setting: such a plan would answer one request.

use super::example::{Example, is_setting};
use crate::tensor::{Datatype, Tensor, TensorSpec};

/// Which inputs are part of a plan, because it cannot be made without their values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fixed {
    Nothing,
    /// Axes, shapes, sizes.
    IntegerSettings,
    /// Scales, conditions and fill values too, but for the first input: that is the data.
    Settings,
}

/// One input of a request.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct FormInput {
    pub(super) shape: Vec<usize>,
    /// Its values, if they are part of the plan.
    pub(super) value: Option<Tensor>,
}

/// Inputs in the order of the model.
pub(super) type Form = Vec<FormInput>;

impl Fixed {
    fn fixes(self, place: usize, tensor: &Tensor) -> bool {
        let integer = matches!(tensor.datatype(), Datatype::I32 | Datatype::I64);
        match self {
            Fixed::Nothing => false,
            Fixed::IntegerSettings => is_setting(tensor) && integer,
            Fixed::Settings => is_setting(tensor) && place > 0,
        }
    }

    /// The form of a request.
    pub(super) fn form(self, inputs: &[Tensor]) -> Form {
        let input = |(place, tensor): (usize, &Tensor)| FormInput {
            shape: tensor.shape().to_vec(),
            value: self.fixes(place, tensor).then(|| tensor.clone()),
        };
        inputs.iter().enumerate().map(input).collect()
    }

    /// The form of a request like `example`, or of the smallest one.
    pub(super) fn form_like(self, example: &Example, inputs: &[TensorSpec]) -> Form {
        let input = |(place, spec): (usize, &TensorSpec)| FormInput {
            shape: example.shape_for(spec, place),
            value: example
                .setting_for(spec, place)
                .filter(|setting| self.fixes(place, setting)),
        };
        inputs.iter().enumerate().map(input).collect()
    }
}

/// Whether values are part of the plan for such requests.
pub(super) fn has_values(form: &[FormInput]) -> bool {
    form.iter().any(|input| input.value.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_fixed_and_data_is_not() {
        let data = Tensor::from_f32("x", vec![2, 2], &[0.0; 4]).expect("valid");
        let axes = Tensor::from_i64("axes", vec![1], &[1]).expect("valid");
        let scale = Tensor::from_f32("scale", vec![], &[0.5]).expect("valid");
        let long = Tensor::from_i64("long", vec![65], &[0; 65]).expect("valid");
        let check = |fixed: Fixed, inputs: &[&Tensor], expect: &[bool]| {
            let inputs: Vec<Tensor> = inputs.iter().map(|&tensor| tensor.clone()).collect();
            let form = fixed.form(&inputs);
            let got: Vec<bool> = form.iter().map(|input| input.value.is_some()).collect();
            assert_eq!(got, expect, "{fixed:?}");
            assert_eq!(has_values(&form), expect.contains(&true));
        };
        let all = [&data, &axes, &scale, &long];
        check(Fixed::Nothing, &all, &[false; 4]);
        check(Fixed::IntegerSettings, &all, &[false, true, false, false]);
        check(Fixed::Settings, &all, &[false, true, true, false]);
        check(Fixed::IntegerSettings, &[&axes], &[true]);
        check(Fixed::Settings, &[&scale, &axes], &[false, true]);
    }
}
