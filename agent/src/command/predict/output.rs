//! Where predictions go: a kind of file, printed or written whole.
//!
//! Never half a file under the name that the user gave.

mod csv;
mod jsonl;
mod new_file;
mod npy;
mod number;

use super::answer::Given;
use super::format::Format;
use super::progress::To;
use super::row::Carried;
use crate::error::Failure;
use new_file::NewFile;
use std::path::Path;

/// Takes rows until it is finished or dropped.
pub(super) struct Output {
    kind: Kind,
    target: Target,
    /// Rows that are not handed on yet.
    buffer: Vec<u8>,
}

enum Kind {
    Csv(csv::Lines),
    Jsonl(jsonl::Lines),
    Npy(npy::Array),
}

enum Target {
    Stdout,
    File(NewFile),
}

impl Output {
    /// Begins.
    ///
    /// # Errors
    /// The file cannot be made there.
    pub(super) fn open(
        out: Option<&Path>,
        format: Format,
        delimiter: u8,
        carried: &[String],
    ) -> Result<Output, Failure> {
        let target = match out {
            Some(path) => Target::File(NewFile::make(path)?),
            None => Target::Stdout,
        };
        let kind = match format {
            Format::Csv => Kind::Csv(csv::Lines::new(delimiter, carried)),
            Format::Jsonl => Kind::Jsonl(jsonl::Lines::new(carried)),
            Format::Npy => Kind::Npy(npy::Array::default()),
        };
        Ok(Output {
            kind,
            target,
            buffer: Vec::new(),
        })
    }

    /// Where it goes.
    pub(super) fn to(&self) -> To {
        match self.target {
            Target::Stdout => To::Stdout,
            Target::File(_) => To::File,
        }
    }

    /// Takes one row.
    ///
    /// # Errors
    /// This kind of file cannot hold it.
    pub(super) fn row(&mut self, carried: &[Carried], given: &[Given<'_>]) -> Result<(), Failure> {
        let added = match &mut self.kind {
            Kind::Csv(lines) => lines.add(carried, given, &mut self.buffer),
            Kind::Jsonl(lines) => {
                lines.add(carried, given, &mut self.buffer);
                Ok(())
            }
            Kind::Npy(array) => array.add(given, &mut self.buffer),
        };
        added.map_err(|because| Failure::Data {
            what: "an answer into this format".into(),
            because,
            hint: "--out-format jsonl holds everything; --output-name chooses outputs",
        })
    }

    /// Hands on what was taken so far.
    ///
    /// # Errors
    /// The disk.
    pub(super) fn flush(&mut self) -> Result<(), Failure> {
        match &mut self.target {
            Target::Stdout => crate::print::bytes(&self.buffer),
            Target::File(file) => file.append(&self.buffer)?,
        }
        self.buffer.clear();
        Ok(())
    }

    /// All rows are there: a file gets its name.
    ///
    /// # Errors
    /// The disk.
    pub(super) fn finish(mut self) -> Result<(), Failure> {
        self.flush()?;
        if let Target::File(mut file) = self.target {
            if let Kind::Npy(array) = &self.kind {
                file.put_first(&array.header())?;
            }
            file.commit()?;
        }
        Ok(())
    }
}
