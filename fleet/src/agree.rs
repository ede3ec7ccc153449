//! Asking the person at the terminal before something is signed.
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
    note("Sign and publish? [y/N]");
    let mut answer = String::new();
    let read = io::stdin().read_line(&mut answer);
    if read.is_ok() && matches!(answer.trim(), "y" | "Y" | "yes") {
        return Ok(());
    }
    let (because, hint) = (
        "it was not agreed to",
        "nothing was signed; answer y to agree",
    );
    Err(OperatorError::new(Exit::Refused, what, because, hint))
}
