//! The loop: rows in, requests out, answers written; and what a bad row does.
//!
//! Never loses a row that was answered, never holds more rows than one request.

use super::OnError;
use super::answer::Answer;
use super::ask::Asker;
use super::input::Source;
use super::output::Output;
use super::progress::Progress;
use super::row::{BadRow, Fault, Place, Row};
use crate::error::Failure;

/// Rows left out that are said one by one.
const SAID_MAX: u64 = 20;

/// Everything that one batch needs.
pub(super) struct Pump {
    source: Box<dyn Source>,
    asker: Asker,
    output: Output,
    progress: Progress,
    on_error: OnError,
    /// A row that did not fit beside those before it.
    waiting: Option<Row>,
    skipped: u64,
    version: Option<String>,
}

/// What stops a batch.
enum Stop {
    Row(BadRow),
    Failure(Failure),
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Stop {
        Stop::Failure(failure)
    }
}

impl Pump {
    pub(super) fn new(
        source: Box<dyn Source>,
        asker: Asker,
        output: Output,
        progress: Progress,
        on_error: OnError,
    ) -> Pump {
        Pump {
            source,
            asker,
            output,
            progress,
            on_error,
            waiting: None,
            skipped: 0,
            version: None,
        }
    }

    /// Runs to the end of the file.
    ///
    /// # Errors
    /// What stopped it; rows before it are written if they are printed.
    pub(super) async fn run(mut self) -> Result<(), Failure> {
        let done = self.rows().await;
        let what_of = |bad: BadRow| Failure::Data {
            what: bad.place.to_string(),
            because: bad.because,
            hint: "mend the row, or leave such rows out with --on-error skip",
        };
        match done {
            Ok(()) if self.progress.rows() + self.skipped == 0 => Err(Failure::Data {
                what: "the file".into(),
                because: "it has no rows".into(),
                hint: "a CSV file has a header line, and a line for each row",
            }),
            Ok(()) => self.finish(),
            Err(Stop::Row(bad)) => Err(what_of(bad)),
            Err(Stop::Failure(failure)) => Err(failure),
        }
    }

    fn finish(self) -> Result<(), Failure> {
        let (rows, skipped) = (self.progress.rows(), self.skipped);
        self.output.finish()?;
        self.progress.close();
        match skipped {
            0 => Ok(()),
            _ => Err(Failure::Skipped {
                skipped,
                rows: rows + skipped,
            }),
        }
    }

    async fn rows(&mut self) -> Result<(), Stop> {
        loop {
            let (rows, stop) = self.gather();
            if rows.is_empty() {
                return stop.map_or(Ok(()), Err);
            }
            let asked = self.predict(&rows).await;
            self.output.flush()?;
            asked?;
            self.progress.advance(0, self.source.bytes_read());
            if let Some(stop) = stop {
                return Err(stop);
            }
        }
    }

    /// Rows of one request, and what comes after them if that stops the batch.
    fn gather(&mut self) -> (Vec<Row>, Option<Stop>) {
        let mut rows: Vec<Row> = self.waiting.take().into_iter().collect();
        while rows.is_empty() || self.asker.has_room(&rows) {
            match self.source.next() {
                Ok(None) => break,
                Ok(Some(row)) if rows.first().is_none_or(|first| row.fits_beside(first)) => {
                    rows.push(row);
                }
                Ok(Some(row)) => {
                    self.waiting = Some(row);
                    break;
                }
                Err(Fault::File(failure)) => return (rows, Some(failure.into())),
                Err(Fault::Row(bad)) => {
                    if let Err(stop) = self.bad(bad) {
                        return (rows, Some(stop));
                    }
                }
            }
        }
        (rows, None)
    }

    /// Asks about all at once, or one by one to find the row that the model refuses.
    async fn predict(&mut self, rows: &[Row]) -> Result<(), Stop> {
        match self.asker.ask(rows).await {
            Ok(answer) => return self.write(rows, &answer),
            Err(Failure::Prediction(_)) if rows.len() > 1 => {}
            Err(failure) => return self.refused(rows, failure),
        }
        for row in rows {
            let row = std::slice::from_ref(row);
            match self.asker.ask(row).await {
                Ok(answer) => self.write(row, &answer)?,
                Err(failure) => self.refused(row, failure)?,
            }
        }
        Ok(())
    }

    fn refused(&mut self, rows: &[Row], failure: Failure) -> Result<(), Stop> {
        match (failure, rows) {
            (Failure::Prediction(because), [row]) => self.bad(BadRow {
                place: row.place,
                because,
            }),
            (failure, _) => Err(failure.into()),
        }
    }

    fn bad(&mut self, bad: BadRow) -> Result<(), Stop> {
        if self.on_error == OnError::Stop {
            return Err(Stop::Row(bad));
        }
        self.skipped += 1;
        match self.skipped {
            ..=SAID_MAX => self.progress.say(&format!("left out {bad}")),
            skipped if skipped == SAID_MAX + 1 => {
                self.progress.say("further ones are only counted")
            }
            _ => {}
        }
        Ok(())
    }

    fn write(&mut self, rows: &[Row], answer: &Answer) -> Result<(), Stop> {
        if let Some(row) = rows.first() {
            self.note_version(&answer.version, row.place);
        }
        for (row, given) in rows.iter().zip(answer.rows()) {
            self.output.row(&row.carried, &given)?;
        }
        self.progress.advance(rows.len(), self.source.bytes_read());
        Ok(())
    }

    /// A swap between two requests must not go unseen.
    fn note_version(&mut self, version: &str, place: Place) {
        if self.version.as_deref() == Some(version) {
            return;
        }
        if self.version.is_some() {
            let line = format!("note: from {place} on, version {version} answers");
            self.progress.say(&line);
        }
        self.version = Some(version.to_owned());
    }
}
