//! Which operator is at fault, from what the runtime says.
//!
//! Never guesses among several: without a name in the error and with more than one operator in
//! the model, nobody is blamed.

use super::error::{LoadError, RunError, Stage, one_line};
use super::survey::Survey;
use tract_onnx::prelude::TractError;

/// A refusal that names the operator. Operators that the runtime lacks come first: whatever else
/// it says follows from them.
pub(super) fn refusal(stage: Stage, error: &TractError, survey: &Survey) -> LoadError {
    if let Some(operator) = survey.unknown.first() {
        let all = survey.unknown.join(", ");
        let reason = one_line(&format!("the runtime does not have the operator {all}"));
        return LoadError {
            stage,
            operator: Some(operator.clone()),
            reason,
        };
    }
    LoadError {
        stage,
        operator: operator(error, survey),
        reason: reason(error),
    }
}

/// A failed run that names the operator, `at_work` if the error names none.
pub(super) fn failure(error: &TractError, survey: &Survey, at_work: Option<&str>) -> RunError {
    RunError::Operator {
        operator: operator(error, survey).or(at_work.map(str::to_owned)),
        reason: reason(error),
    }
}

fn operator(error: &TractError, survey: &Survey) -> Option<String> {
    let texts: Vec<String> = error.chain().map(ToString::to_string).collect();
    let named = texts.iter().rev().find_map(|text| named_in(text, survey));
    named.or(survey.only_operator()).map(str::to_owned)
}

/// The runtime writes `#3 "name" Kind`, `Building node name (Kind)` and `… for name: Kind`.
fn named_in<'a>(text: &str, survey: &'a Survey) -> Option<&'a str> {
    let quoted = text.split('"').skip(1).step_by(2);
    let words = text
        .split_whitespace()
        .map(|word| word.trim_end_matches([':', ',']));
    quoted
        .chain(words)
        .find_map(|name| survey.operator_of(name))
}

fn reason(error: &TractError) -> String {
    one_line(&error.root_cause().to_string())
}
