//! Data to stdout: written whole, and quietly given up when nobody reads any more.
//!
//! Never a diagnosis: those go to stderr.

use std::io::Write as _;

/// Writes `text` to stdout. A reader that has gone (`| head`) ends the program without a word,
/// as it does for every other tool in a pipe.
pub fn data(text: &str) {
    bytes(text.as_bytes());
}

/// As [`data`], for what is not all text.
pub fn bytes(bytes: &[u8]) {
    let mut stdout = std::io::stdout().lock();
    let written = stdout.write_all(bytes).and_then(|()| stdout.flush());
    if let Err(error) = written {
        if error.kind() == std::io::ErrorKind::BrokenPipe {
            std::process::exit(0);
        }
        eprintln!("failed to print: because {error}: hint: is the disk of the output full?");
        std::process::exit(i32::from(crate::error::exit::RESOURCE));
    }
}
