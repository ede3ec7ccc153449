//! Passphrases: from a file that the operator names, or from the terminal, unseen.
//!
//! Never in an argument or a variable's value, where other users of the machine could read them,
//! and never kept longer than the command.

use std::io::{self, IsTerminal as _};
use std::path::PathBuf;

use crate::error::{Exit, OperatorError};
use crate::home;

/// Names a file whose first line is the passphrase, for scripts and for machines without a
/// terminal.
pub(crate) const FILE_VARIABLE: &str = "MUSTER_PASSPHRASE_FILE";

/// Fewest characters of a new passphrase: the file may fall into wrong hands.
const CHARACTERS_MIN: usize = 8;

/// What a key is locked with.
#[derive(Clone)]
pub(crate) struct Passphrase(String);

impl Passphrase {
    /// For tests: a passphrase as it was typed.
    #[cfg(test)]
    pub(crate) fn new(text: String) -> Self {
        Self(text)
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// The one that opens what `what` names.
    ///
    /// # Errors
    /// There is neither a file nor a terminal, or it cannot be read.
    pub(crate) fn ask(what: &str) -> Result<Self, OperatorError> {
        match file() {
            Some(path) => from_file(&path),
            None => prompt(what, &format!("Passphrase of {what}: ")),
        }
    }

    /// A new one, typed twice at a terminal.
    ///
    /// # Errors
    /// As [`Passphrase::ask`]; it is too short, or typed differently the second time.
    pub(crate) fn choose(what: &str) -> Result<Self, OperatorError> {
        let (chosen, again) = match file() {
            Some(path) => {
                let chosen = from_file(&path)?;
                (chosen.clone(), chosen)
            }
            None => (
                prompt(what, &format!("New passphrase of {what}: "))?,
                prompt(what, "Once more: ")?,
            ),
        };
        check_new(&chosen.0, &again.0).map_err(|because| {
            let hint = "take several words, and keep them where the key is not";
            OperatorError::new(Exit::BadInput, format!("lock {what}"), because, hint)
        })?;
        Ok(chosen)
    }
}

fn file() -> Option<PathBuf> {
    let told = std::env::var_os(FILE_VARIABLE).filter(|told| !told.is_empty());
    told.map(PathBuf::from)
}

fn from_file(path: &std::path::Path) -> Result<Passphrase, OperatorError> {
    let text = home::read_secret(path)?;
    Ok(Passphrase(
        text.lines().next().unwrap_or_default().to_owned(),
    ))
}

fn prompt(what: &str, text: &str) -> Result<Passphrase, OperatorError> {
    let failed = |because: &dyn std::fmt::Display| {
        let hint = format!("name a file that holds the passphrase in {FILE_VARIABLE}");
        OperatorError::new(
            Exit::Usage,
            format!("ask for the passphrase of {what}"),
            because,
            hint,
        )
    };
    if !io::stdin().is_terminal() {
        return Err(failed(&"there is no terminal"));
    }
    let typed = rpassword::prompt_password(text);
    typed.map(Passphrase).map_err(|error| failed(&error))
}

fn check_new(chosen: &str, again: &str) -> Result<(), String> {
    if chosen != again {
        return Err("the two are not the same".to_owned());
    }
    if chosen.chars().count() < CHARACTERS_MIN {
        return Err(format!("it has fewer than {CHARACTERS_MIN} characters"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_passphrase_is_long_enough_and_twice_the_same() {
        let check = |chosen: &str, again: &str, expect: Result<(), &str>| {
            let got = check_new(chosen, again);
            assert_eq!(got.is_ok(), expect.is_ok(), "{chosen:?}");
            if let (Err(got), Err(part)) = (got, expect) {
                assert!(got.contains(part), "{got}");
            }
        };
        check("correct horse", "correct horse", Ok(()));
        check("éééééééé", "éééééééé", Ok(()));
        check("correct horse", "correct horses", Err("not the same"));
        check("short", "short", Err("fewer than 8"));
        check("", "", Err("fewer than 8"));
    }

    #[test]
    fn a_file_gives_its_first_line() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("words");
        home::write_private(&path, b"correct horse\nsecond line\n").expect("written");
        let read = from_file(&path).expect("read");
        assert_eq!(read.as_bytes(), b"correct horse");
    }
}
