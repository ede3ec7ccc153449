//! `muster-agent predict`: rows of a file through the model that serves, offline.
//!
//! Asks the running agent over its socket, so what answers is what devices get. Files may be
//! larger than memory; what is printed or written is in the order of the rows.

mod answer;
mod ask;
mod form;
mod format;
mod input;
mod output;
mod progress;
mod pump;
mod row;

pub use format::Format;

use super::{Output as PrintAs, StateArgs};
use crate::error::Failure;
use ask::Asker;
use clap::ValueEnum;
use form::Form;
use hyper::Method;
use input::{CsvRows, Header, JsonlRows, NpyRows, Source, Wanted};
use muster_protocol::id::ModelId;
use output::Output;
use progress::Progress;
use pump::Pump;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Arguments of `muster-agent predict`.
#[derive(Debug, clap::Args)]
pub struct PredictArgs {
    /// The model.
    pub model: String,
    /// A CSV, JSONL or NPY file; `-` reads standard input.
    pub file: PathBuf,
    /// What the file is, when its name does not say it.
    #[arg(long, value_enum)]
    pub format: Option<Format>,
    /// A file for the predictions, made when all are there, in the place of one that has this name
    /// already; never FILE that is read. Without it they are printed.
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// What is written; as FILE's name says, or as what is read.
    #[arg(long, value_enum)]
    pub out_format: Option<Format>,
    /// Columns or fields that feed the model, in the order of its inputs; without it those with
    /// the names of its features or inputs, or all of them.
    #[arg(long, value_delimiter = ',', value_name = "NAMES")]
    pub columns: Vec<String>,
    /// A column or field that goes through to the output, first of all.
    #[arg(long, value_name = "NAME")]
    pub id: Option<String>,
    /// A column or field that goes through to the output and never to the model.
    #[arg(long, value_name = "NAME")]
    pub label: Option<String>,
    /// Further columns or fields that go through to the output.
    #[arg(long, value_delimiter = ',', value_name = "NAMES")]
    pub carry: Vec<String>,
    /// What separates the fields of CSV, read and written.
    #[arg(long, default_value = ",", value_parser = delimiter)]
    pub delimiter: u8,
    /// The first line of the CSV file is a row; its columns are named 1, 2, …
    #[arg(long)]
    pub no_header: bool,
    /// Outputs that are wanted; without it all of them.
    #[arg(long, value_delimiter = ',', value_name = "NAMES")]
    pub output_name: Vec<String>,
    /// What a row does that is no good.
    #[arg(long, value_enum, default_value = "stop")]
    pub on_error: OnError,
    /// Rows that are asked about at once, at most; fewer while a model is slow.
    #[arg(long, default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    pub rows_per_request: u32,
    /// Which agent.
    #[command(flatten)]
    pub agent: StateArgs,
}

/// What a row does that is no good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OnError {
    /// Ends the batch; a file is not made.
    Stop,
    /// Is left out and said; in the end the exit code is 3.
    Skip,
}

/// Predicts every row of a file.
///
/// # Errors
/// The file, the agent, or the model's own refusal.
pub async fn run(args: &PredictArgs) -> Result<(), Failure> {
    let model = args.model()?;
    let format = Format::of_input(&args.file, args.format)?;
    let out_format = args.out_format()?;
    let out_format = Format::of_output(args.out.as_deref(), out_format, format)?;
    let wanted = args.wanted(format, out_format)?;
    let (file, file_bytes) = open(&args.file)?;
    if let Some(out) = &args.out {
        file.is_other_than(out)?;
    }
    let mut local = args.agent.connect().await?;
    let path = format!("/v2/models/{model}");
    let form = Form::read(&local.ask(Method::GET, &path, None).await?)?;
    let source = args.source(file, format, &form, &wanted)?;
    let out = args.out.as_deref();
    let output = Output::open(out, out_format, args.delimiter, &wanted.carried)?;
    let rows_max = args.rows_per_request as usize;
    let asker = Asker::new(local, model.as_str(), form, &args.output_name, rows_max)?;
    let progress = Progress::start(file_bytes, output.to());
    Pump::new(source, asker, output, progress, args.on_error)
        .run()
        .await
}

impl PredictArgs {
    /// A word that is part of a path: nothing else may get in there.
    fn model(&self) -> Result<ModelId, Failure> {
        ModelId::parse(&self.model).map_err(|bad| Failure::Arguments {
            because: bad.to_string(),
            hint: "`muster-agent models` lists the models that serve",
        })
    }

    /// `--output json`, as every command has it, asks for JSON where text would be printed.
    fn out_format(&self) -> Result<Option<Format>, Failure> {
        match (self.agent.output, self.out_format) {
            (PrintAs::Json, None) if self.out.is_none() => Ok(Some(Format::Jsonl)),
            (PrintAs::Json, Some(Format::Csv | Format::Npy)) => Err(Failure::Arguments {
                because: "--output json and --out-format say different things".into(),
                hint: "leave one of them out",
            }),
            (PrintAs::Json | PrintAs::Text, format) => Ok(format),
        }
    }

    fn wanted(&self, format: Format, out_format: Format) -> Result<Wanted, Failure> {
        let refuse = |because: String, hint| Failure::Arguments { because, hint };
        let named = self.id.iter().chain(&self.label).chain(&self.carry);
        let mut carried: Vec<String> = Vec::new();
        for name in named {
            if !carried.contains(name) {
                carried.push(name.clone());
            }
        }
        let names = !carried.is_empty() || !self.columns.is_empty();
        if format == Format::Npy && names {
            let because = "an NPY file has no names for --id, --label, --carry or --columns";
            return Err(refuse(because.into(), "use CSV or JSONL"));
        }
        if out_format == Format::Npy && !carried.is_empty() {
            let because = "an NPY file holds no ids and labels";
            return Err(refuse(because.into(), "choose --out-format csv or jsonl"));
        }
        if out_format == Format::Jsonl && carried.iter().any(|name| name == "outputs") {
            let because = "what is carried stands beside the field \"outputs\"";
            return Err(refuse(because.into(), "choose --out-format csv"));
        }
        Ok(Wanted {
            columns: self.columns.clone(),
            carried,
        })
    }

    fn source(
        &self,
        file: Opened,
        format: Format,
        form: &Form,
        wanted: &Wanted,
    ) -> Result<Box<dyn Source>, Failure> {
        let what = self.file.display().to_string();
        let header = match self.no_header {
            true => Header::Absent,
            false => Header::Present,
        };
        Ok(match (format, file) {
            (Format::Npy, Opened::File(file)) => Box::new(NpyRows::open(file, form, &what)?),
            (Format::Npy, Opened::Stdin(_)) => unreachable!("refused with the arguments"),
            (Format::Jsonl, file) => Box::new(JsonlRows::open(file.reader(), form, wanted, &what)),
            (Format::Csv, file) => {
                let how = (self.delimiter, header);
                let rows = CsvRows::open(file.reader(), how, form, wanted, &what)?;
                if let Some(note) = rows.note() {
                    eprintln!("note: {note}");
                }
                Box::new(rows)
            }
        })
    }
}

/// What is read.
enum Opened {
    Stdin(std::io::Stdin),
    File(File),
}

impl Opened {
    /// Predictions must not take the place of the rows, whatever name leads to them.
    fn is_other_than(&self, out: &Path) -> Result<(), Failure> {
        let read = match self {
            Opened::Stdin(stdin) => rustix::fs::fstat(stdin),
            Opened::File(file) => rustix::fs::fstat(file),
        };
        match (read, rustix::fs::stat(out)) {
            (Ok(read), Ok(there)) if (read.st_dev, read.st_ino) == (there.st_dev, there.st_ino) => {
                Err(Failure::Arguments {
                    because: format!("--out {} is the file that is read", out.display()),
                    hint: "name another file with --out: the rows would be lost",
                })
            }
            _ => Ok(()),
        }
    }

    fn reader(self) -> Box<dyn Read> {
        match self {
            Opened::Stdin(stdin) => Box::new(stdin),
            Opened::File(file) => Box::new(file),
        }
    }
}

/// The file, and its size if it has one.
fn open(path: &Path) -> Result<(Opened, Option<u64>), Failure> {
    if format::is_stdin(path) {
        return Ok((Opened::Stdin(std::io::stdin()), None));
    }
    let failed = |error| Failure::file("read", path, error);
    let file = File::open(path).map_err(failed)?;
    let there = file.metadata().map_err(failed)?;
    if there.is_dir() {
        return Err(failed(std::io::ErrorKind::IsADirectory.into()));
    }
    Ok((Opened::File(file), there.is_file().then_some(there.len())))
}

/// One byte; `\t` or `tab` for a tab.
fn delimiter(text: &str) -> Result<u8, String> {
    match text.as_bytes() {
        b"\\t" | b"tab" => Ok(b'\t'),
        [byte] if byte.is_ascii() && !b"\"\r\n".contains(byte) => Ok(*byte),
        _ => Err("a delimiter is one ASCII character, or tab".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        args: PredictArgs,
    }

    fn parse(line: &str) -> PredictArgs {
        let words = std::iter::once("predict").chain(line.split_whitespace());
        Cli::try_parse_from(words).expect("understood").args
    }

    #[test]
    fn what_is_carried_fits_what_is_read_and_written() {
        fn check(line: &str, input: Format, out: Format, expect: Result<&[&str], &str>) {
            let got = parse(line).wanted(input, out);
            match (got, expect) {
                (Ok(wanted), Ok(expect)) => assert_eq!(wanted.carried, expect, "{line}"),
                (Err(failure), Err(part)) => {
                    assert!(failure.to_string().contains(part), "{failure}");
                    assert_eq!(failure.exit_code(), 2);
                }
                (got, expect) => panic!("{line}: {got:?} instead of {expect:?}"),
            }
        }
        let line = "m f --carry b,a --label l --id i --carry i";
        let order: &[&str] = &["i", "l", "b", "a"];
        check(line, Format::Csv, Format::Jsonl, Ok(order));
        check(line, Format::Npy, Format::Csv, Err("no names"));
        check("m f --columns a", Format::Npy, Format::Csv, Err("no names"));
        check(line, Format::Csv, Format::Npy, Err("no ids"));
        let outputs = "m f --id outputs";
        check(outputs, Format::Csv, Format::Jsonl, Err("\"outputs\""));
        check(outputs, Format::Csv, Format::Csv, Ok(&["outputs"]));
    }

    #[test]
    fn what_is_no_name_of_a_model_is_not_looked_for() {
        let code = |name: &str| {
            let mut args = parse("m f");
            args.model = name.to_owned();
            args.model().err().map(|failure| failure.exit_code())
        };
        assert_eq!(code("bearing"), None);
        for strange in ["", "a b", "a/../b", "a?b", "ä"] {
            assert_eq!(code(strange), Some(2), "{strange:?}");
        }
    }

    #[test]
    fn what_is_read_is_not_written_over() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        std::fs::write(at("rows.csv"), "a\n1\n").expect("written");
        std::fs::write(at("other.csv"), "a\n1\n").expect("written");
        std::fs::hard_link(at("rows.csv"), at("hard.csv")).expect("linked");
        std::os::unix::fs::symlink("rows.csv", at("soft.csv")).expect("linked");
        let (file, _) = open(&at("rows.csv")).expect("there");
        let check = |out: &str, expect: Option<u8>| {
            let got = file.is_other_than(&at(out)).err();
            assert_eq!(got.map(|failure| failure.exit_code()), expect, "{out}");
        };
        check("rows.csv", Some(2));
        check("./rows.csv", Some(2));
        check("hard.csv", Some(2));
        check("soft.csv", Some(2));
        check("other.csv", None);
        check("new.csv", None);
    }

    #[test]
    fn a_delimiter_is_one_character() {
        let check = |text: &str, expect: Option<u8>| assert_eq!(delimiter(text).ok(), expect);
        check(";", Some(b';'));
        check("tab", Some(b'\t'));
        check("\\t", Some(b'\t'));
        check("", None);
        check(",,", None);
        check("\"", None);
        check("ä", None);
    }

    #[test]
    fn json_can_be_asked_for_as_everywhere() {
        let check = |line: &str, expect: Option<Option<Format>>| {
            assert_eq!(parse(line).out_format().ok(), expect, "{line}");
        };
        check("m f", Some(None));
        check("m f --output json", Some(Some(Format::Jsonl)));
        check("m f --output json --out x.csv", Some(None));
        check("m f --output json --out-format csv", None);
    }
}
