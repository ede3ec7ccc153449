//! Asking the person at the terminal before something is signed, or moves.
//!
//! Never asks where nobody can answer: that is an error with the option that answers in advance.

use std::io::{self, IsTerminal as _};

use crate::error::{Exit, OperatorError};
use crate::output::note;

/// Asks whether to sign and publish; `what` is what the command wants, for its error.
///
/// # Errors
/// There is no terminal, or the answer is not yes.
pub(crate) fn to_sign(what: &str) -> Result<(), OperatorError> {
    if !io::stdin().is_terminal() {
        let because = "it asks before it signs, and there is no terminal";
        let hint = "add --yes to sign at once";
        return Err(OperatorError::new(Exit::Usage, what, because, hint));
    }
    let (because, hint) = (
        "it was not agreed to",
        "nothing was signed; answer y to agree",
    );
    ask("Sign and publish?", || {
        OperatorError::new(Exit::Refused, what, because, hint)
    })
}

/// Asks whether to begin what was planned.
///
/// # Errors
/// There is no terminal, or the answer is not yes.
pub(crate) fn to_begin(what: &str) -> Result<(), OperatorError> {
    if !io::stdin().is_terminal() {
        let because = "nobody is there to agree to the plan";
        let hint = "add --yes to begin without asking, or --dry-run to see the plan only";
        return Err(OperatorError::new(Exit::Usage, what, because, hint));
    }
    let hint = "nothing has moved; answer y to begin";
    ask("Begin?", || {
        OperatorError::new(Exit::Refused, what, "the plan was not agreed to", hint)
    })
}

fn ask(question: &str, otherwise: impl FnOnce() -> OperatorError) -> Result<(), OperatorError> {
    note(format_args!("{question} [y/N]"));
    let mut answer = String::new();
    let read = io::stdin().read_line(&mut answer);
    match read.is_ok() && matches!(answer.trim(), "y" | "Y" | "yes") {
        true => Ok(()),
        false => Err(otherwise()),
    }
}
