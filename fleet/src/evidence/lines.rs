//! Files of lines, each of a bounded length, read one by one.
//!
//! Never holds more than one line, and never knows what it means.

use std::fmt::Display;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;

use crate::error::{Exit, OperatorError};

/// Reads `path` line by line, without empty ones; `take` says why a line is none of this file.
///
/// # Errors
/// The file cannot be read, a line is longer than `bytes_max`, or is not UTF-8, or is not taken.
pub(super) fn each_line(
    path: &Path,
    bytes_max: usize,
    hint: &str,
    mut take: impl FnMut(usize, &str) -> Result<(), String>,
) -> Result<(), OperatorError> {
    let failed = |error| OperatorError::file("read", path, &error);
    let mut file = BufReader::new(File::open(path).map_err(failed)?);
    let (mut line, mut number) = (Vec::new(), 0);
    loop {
        line.clear();
        number += 1;
        let mut bounded = (&mut file).take(bytes_max as u64 + 1);
        if bounded.read_until(b'\n', &mut line).map_err(failed)? == 0 {
            return Ok(());
        }
        let taken = text(&line, bytes_max).and_then(|text| match text {
            "" => Ok(()),
            text => take(number, text),
        });
        taken.map_err(|because| wrong(path, number, because, hint))?;
    }
}

fn text(line: &[u8], bytes_max: usize) -> Result<&str, String> {
    if line.len() > bytes_max {
        return Err(format!("it is longer than {bytes_max} bytes"));
    }
    let text = std::str::from_utf8(line).map_err(|_| "it is not UTF-8")?;
    Ok(text.trim())
}

fn wrong(path: &Path, line: usize, because: impl Display, hint: &str) -> OperatorError {
    let what = format!("read line {line} of {}", path.display());
    OperatorError::new(Exit::BadInput, what, because, hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(bytes: &[u8], expect: Result<&[(usize, &str)], &str>) {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), bytes).expect("written");
        let mut seen = Vec::new();
        let read = each_line(file.path(), 8, "h", |number, line| {
            seen.push((number, line.to_owned()));
            Ok(())
        });
        match (read, expect) {
            (Ok(()), Ok(expect)) => {
                let seen: Vec<_> = seen.iter().map(|(n, line)| (*n, line.as_str())).collect();
                assert_eq!(seen, expect);
            }
            (Err(error), Err(part)) => {
                assert_eq!(error.exit, Exit::BadInput, "{error}");
                assert!(error.to_string().contains(part), "{error}");
            }
            (read, expect) => panic!("{read:?}, not {expect:?}"),
        }
    }

    #[test]
    fn lines_are_bounded_and_numbered() {
        check(b"", Ok(&[]));
        check(b"a\n\nb", Ok(&[(1, "a"), (3, "b")]));
        check(b"1234567\n", Ok(&[(1, "1234567")]));
        check(b"a\n123456789\n", Err("line 2 of"));
        check(b"123456789", Err("longer than 8 bytes"));
        check(b"\xff\n", Err("not UTF-8"));
    }
}
