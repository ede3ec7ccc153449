//! Kinds of files, by argument or by the ending of their names.
//!
//! Never looks into a file.

use crate::error::Failure;
use clap::ValueEnum;
use std::path::Path;

/// A kind of file with rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Text with a header line and one line a row.
    Csv,
    /// One JSON value a line.
    Jsonl,
    /// One array of numpy; its first axis counts the rows.
    Npy,
}

const HINT: &str = "endings are .csv, .jsonl (or .ndjson) and .npy; --format and --out-format say \
                    it for other names";

impl Format {
    /// Of the input.
    ///
    /// # Errors
    /// An ending that says nothing.
    pub(super) fn of_input(path: &Path, asked: Option<Format>) -> Result<Format, Failure> {
        let format = match asked {
            Some(format) => format,
            // What comes through a pipe was CSV from the start.
            None if is_stdin(path) => Format::Csv,
            None => by_ending(path)?,
        };
        if format == Format::Npy && is_stdin(path) {
            return Err(Failure::Arguments {
                because: "an NPY file is not read from standard input".into(),
                hint: "name the file",
            });
        }
        Ok(format)
    }

    /// Of the output: as asked, by the ending of its file, or as the input. What is printed is
    /// text: there an array becomes CSV.
    ///
    /// # Errors
    /// An ending that says nothing, or an array that shall be printed.
    pub(super) fn of_output(
        out: Option<&Path>,
        asked: Option<Format>,
        input: Format,
    ) -> Result<Format, Failure> {
        match (out, asked) {
            (None, Some(Format::Npy)) => Err(Failure::Arguments {
                because: "an NPY file is not printed".into(),
                hint: "name it with --out FILE, or choose --out-format csv or jsonl",
            }),
            (_, Some(format)) => Ok(format),
            (Some(path), None) if path.extension().is_some() => by_ending(path),
            (None, None) if input == Format::Npy => Ok(Format::Csv),
            (_, None) => Ok(input),
        }
    }
}

/// Whether the user has named standard input.
pub(super) fn is_stdin(path: &Path) -> bool {
    path.as_os_str() == "-"
}

fn by_ending(path: &Path) -> Result<Format, Failure> {
    let ending = path.extension().map(|ending| ending.to_string_lossy());
    match ending.as_deref().map(str::to_ascii_lowercase).as_deref() {
        Some("csv") => Ok(Format::Csv),
        Some("jsonl" | "ndjson") => Ok(Format::Jsonl),
        Some("npy") => Ok(Format::Npy),
        _ => Err(Failure::Arguments {
            because: format!("the name {} does not say what it holds", path.display()),
            hint: HINT,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_format_is_asked_for_or_follows_from_the_name() {
        fn check(path: &str, asked: Option<Format>, expect: Option<Format>) {
            let got = Format::of_input(Path::new(path), asked).ok();
            assert_eq!(got, expect, "{path} {asked:?}");
        }
        check("a.csv", None, Some(Format::Csv));
        check("a.NDJSON", None, Some(Format::Jsonl));
        check("a.npy", Some(Format::Csv), Some(Format::Csv));
        check("a.txt", None, None);
        check("-", None, Some(Format::Csv));
        check("-", Some(Format::Npy), None);
    }

    #[test]
    fn an_output_is_as_its_name_or_as_the_input() {
        fn check(out: Option<&str>, asked: Option<Format>, input: Format, expect: Option<Format>) {
            let got = Format::of_output(out.map(Path::new), asked, input).ok();
            assert_eq!(got, expect, "{out:?} {asked:?} {input:?}");
        }
        check(None, None, Format::Jsonl, Some(Format::Jsonl));
        check(None, None, Format::Npy, Some(Format::Csv));
        check(None, Some(Format::Npy), Format::Npy, None);
        check(Some("a.npy"), None, Format::Csv, Some(Format::Npy));
        check(Some("a"), None, Format::Jsonl, Some(Format::Jsonl));
        check(Some("a.txt"), None, Format::Csv, None);
        check(
            Some("a.txt"),
            Some(Format::Csv),
            Format::Csv,
            Some(Format::Csv),
        );
    }
}
