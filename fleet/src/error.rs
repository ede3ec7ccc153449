//! What an operator is told when a command fails: one sentence and an exit code.
//!
//! Never an error of a device or of an API caller: those have their own tables.

use std::fmt::Display;
use std::io;
use std::path::Path;

/// How the program ends when it fails. The numbers are documented in the README.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Something that should not happen.
    Bug = 1,
    /// The command line cannot be understood (clap exits with it as well).
    Usage = 2,
    /// A model, bundle, configuration or other file is not what it should be.
    BadInput = 3,
    /// A check refused: a signature, a policy, a threshold.
    Refused = 4,
    /// The controller, its API or another machine does not answer.
    Unreachable = 5,
    /// A port, the disk or a permission is not to be had.
    Resource = 6,
    /// Something named does not exist, or exists already.
    Missing = 7,
    /// What was waited for has not ended: a person must say how it goes on, or time is over.
    Pending = 8,
}

/// A failed command, in the form that every message has.
#[derive(Debug, thiserror::Error)]
#[error("failed to {what}: because {because}: hint: {hint}")]
pub(crate) struct OperatorError {
    /// The exit code.
    pub(crate) exit: Exit,
    what: String,
    because: String,
    hint: String,
}

impl OperatorError {
    /// The three parts of the sentence: `failed to {what}: because {because}: hint: {hint}`.
    pub(crate) fn new(
        exit: Exit,
        what: impl Display,
        because: impl Display,
        hint: impl Display,
    ) -> Self {
        Self {
            exit,
            what: what.to_string(),
            because: because.to_string(),
            hint: hint.to_string(),
        }
    }

    /// A file that cannot be read, written or made.
    pub(crate) fn file(action: &str, path: &Path, error: &io::Error) -> Self {
        let (exit, hint) = judge(error);
        Self::new(exit, format!("{action} {}", path.display()), error, hint)
    }

    /// An address that cannot be listened on.
    pub(crate) fn listen(what: &str, address: impl Display, error: &io::Error) -> Self {
        let (because, hint) = match error.kind() {
            io::ErrorKind::AddrInUse => (
                "the port is in use".to_owned(),
                "stop the program that has it (`ss -ltnp` shows which) or configure another port",
            ),
            _ => (
                error.to_string(),
                "the address must be one of this machine, ports below 1024 need privileges",
            ),
        };
        Self::new(
            Exit::Resource,
            format!("listen for {what} on {address}"),
            because,
            hint,
        )
    }
}

fn judge(error: &io::Error) -> (Exit, &'static str) {
    match error.kind() {
        io::ErrorKind::NotFound => (Exit::Missing, "check the path; `--home` names the home"),
        io::ErrorKind::AlreadyExists => (Exit::Missing, "nothing is overwritten: move it away"),
        io::ErrorKind::PermissionDenied => (Exit::Resource, "run as the owner of the home"),
        io::ErrorKind::StorageFull => (Exit::Resource, "free some space on this disk"),
        io::ErrorKind::InvalidData => (Exit::BadInput, "mend the file; text must be UTF-8"),
        io::ErrorKind::FileTooLarge => (Exit::BadInput, "name the right file: this is none"),
        io::ErrorKind::IsADirectory => (Exit::BadInput, "name a file, not a folder"),
        _ => (Exit::Resource, "check the disk that holds it"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_error_says_what_because_hint_and_has_its_exit_code() {
        for (kind, exit) in [
            (io::ErrorKind::NotFound, Exit::Missing),
            (io::ErrorKind::AlreadyExists, Exit::Missing),
            (io::ErrorKind::PermissionDenied, Exit::Resource),
            (io::ErrorKind::StorageFull, Exit::Resource),
            (io::ErrorKind::InvalidData, Exit::BadInput),
            (io::ErrorKind::FileTooLarge, Exit::BadInput),
            (io::ErrorKind::IsADirectory, Exit::BadInput),
        ] {
            let error = OperatorError::file("read", Path::new("/a/b"), &kind.into());
            assert_eq!(error.exit, exit, "{kind}");
            let text = error.to_string();
            assert!(text.starts_with("failed to read /a/b: because "), "{text}");
            assert!(text.contains(": hint: "), "{text}");
        }
    }

    #[test]
    fn a_port_in_use_is_said_as_such() {
        let error = OperatorError::listen("devices", "0.0.0.0:1", &io::ErrorKind::AddrInUse.into());
        assert!(error.to_string().contains("the port is in use"), "{error}");
        assert_eq!(error.exit, Exit::Resource);
    }
}
