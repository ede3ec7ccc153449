//! Rows of a CSV file: quotes, CRLF, a byte order mark and other delimiters as people have them.
//!
//! Never looks into what is carried through, never takes a line of another length.

use super::columns::{self, By, Chosen};
use super::metered::Metered;
use super::{Source, Wanted, field};
use crate::command::predict::form::Form;
use crate::command::predict::row::{BadRow, Carried, Cell, Fault, Place, Row};
use crate::error::Failure;
use csv::{ByteRecord, Reader};
use std::io::Read;

const HINT: &str = "the first line names the columns, every other line has a field for each; \
                    --columns chooses, --delimiter and --no-header tell what is different";

/// Whether the first line names the columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Header {
    /// It does.
    Present,
    /// The columns are named 1, 2, …
    Absent,
}

/// A CSV file that is being read.
pub(in super::super) struct CsvRows<R> {
    reader: Reader<Metered<R>>,
    what: String,
    header: Vec<String>,
    chosen: Chosen,
    form: Form,
    record: ByteRecord,
    /// The first line, when it is a row.
    first: Option<ByteRecord>,
    /// How far the reader's line numbers are behind: by one where lines end in CRLF.
    lines_behind: u64,
}

impl<R: Read> CsvRows<R> {
    /// Reads the header and chooses columns.
    ///
    /// # Errors
    /// The file is empty, or its columns are not what the model takes.
    pub(in super::super) fn open(
        inner: R,
        (delimiter, has_header): (u8, Header),
        form: &Form,
        wanted: &Wanted,
        what: &str,
    ) -> Result<Self, Failure> {
        let bad = |because: String| Failure::Data {
            what: what.to_owned(),
            because,
            hint: HINT,
        };
        let mut reader = csv::ReaderBuilder::new()
            .delimiter(delimiter)
            .has_headers(false)
            .flexible(true)
            .from_reader(Metered::new(inner));
        let mut record = ByteRecord::new();
        let read = reader.read_byte_record(&mut record);
        if !read.map_err(|error| bad(error.to_string()))? {
            return Err(bad("it is empty".into()));
        }
        let header = match has_header {
            Header::Present => names(&record).map_err(bad)?,
            Header::Absent => (1..=record.len()).map(|n| n.to_string()).collect(),
        };
        let chosen = columns::choose(&header, form, wanted).map_err(bad)?;
        let numbers = header.iter().all(|name| name.parse::<f64>().is_ok());
        if has_header == Header::Present && chosen.by == By::Position && numbers {
            return Err(bad("its first line has numbers for names".into()));
        }
        let newlines = record.as_slice().iter().filter(|&&byte| byte == b'\n');
        let read = 2 + newlines.count() as u64;
        Ok(Self {
            lines_behind: read.saturating_sub(reader.position().line()),
            reader,
            what: what.to_owned(),
            header,
            chosen,
            form: form.clone(),
            first: (has_header == Header::Absent).then(|| record.clone()),
            record,
        })
    }

    /// What the user should know of the choice of columns.
    pub(in super::super) fn note(&self) -> Option<String> {
        let taken = self.chosen.inputs.iter().flatten();
        let taken: Vec<String> = taken.map(|&place| self.header[place].clone()).collect();
        (self.chosen.by == By::Position).then(|| {
            format!(
                "no column is named as the model names its inputs: taken by position are {}",
                columns::quoted(&taken)
            )
        })
    }

    fn row(&self, lines_behind: u64) -> Result<Row, BadRow> {
        let line = self.record.position().map_or(0, csv::Position::line);
        let place = Place::Line(line + lines_behind);
        let bad = |because: String| BadRow { place, because };
        let (got, expected) = (self.record.len(), self.header.len());
        if got != expected {
            return Err(bad(format!(
                "it has {got} fields, the first line {expected}"
            )));
        }
        let field = |&place: &usize| self.record.get(place).unwrap_or_default();
        let carried = self.chosen.carried.iter();
        let carried = carried.map(|place| Carried::Text(field(place).to_vec()));
        let mut cells = Vec::with_capacity(self.chosen.inputs.len());
        for (input, places) in self.form.inputs.iter().zip(&self.chosen.inputs) {
            let mut bytes = Vec::with_capacity(places.len() * input.datatype.size());
            for place in places {
                let text = String::from_utf8_lossy(field(place));
                let added = field::append(&text, input.datatype, &mut bytes);
                let column = &self.header[*place];
                added.map_err(|because| bad(format!("column {column:?}: {because}")))?;
            }
            let shape = input.shape_of(places.len());
            let shape = shape.expect("invariant: the columns were chosen to fit");
            cells.push(Cell { shape, bytes });
        }
        Ok(Row {
            place,
            carried: carried.collect(),
            cells,
        })
    }
}

impl<R: Read> Source for CsvRows<R> {
    fn next(&mut self) -> Result<Option<Row>, Fault> {
        loop {
            if let Some(first) = self.first.take() {
                self.record = first;
                return self.row(0).map(Some).map_err(Fault::Row);
            }
            self.reader.get_mut().allow_record();
            match self.reader.read_byte_record(&mut self.record) {
                Ok(false) => return Ok(None),
                Ok(true) if self.header.len() > 1 && is_blank(&self.record) => {}
                Ok(true) => return self.row(self.lines_behind).map(Some).map_err(Fault::Row),
                Err(error) => {
                    return Err(Fault::File(Failure::Data {
                        what: self.what.clone(),
                        because: error.to_string(),
                        hint: "check the file and the disk that holds it",
                    }));
                }
            }
        }
    }

    fn bytes_read(&self) -> u64 {
        self.reader.get_ref().bytes_read()
    }
}

fn names(record: &ByteRecord) -> Result<Vec<String>, String> {
    let name = |field: &[u8]| std::str::from_utf8(field).map(|name| name.trim().to_owned());
    let names = record.iter().map(name).collect::<Result<_, _>>();
    names.map_err(|_| "its first line is no UTF-8 text".into())
}

/// A line of spaces is no row.
fn is_blank(record: &ByteRecord) -> bool {
    record.len() == 1 && record[0].iter().all(u8::is_ascii_whitespace)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::predict::form::tests::form;
    use crate::command::predict::input::tests::{read_all, wanted};

    fn check(text: &str, delimiter: u8, header: Header, expect: Result<&[&str], &str>) {
        let form = form(&[("x", "FP32", &[-1, 2], &["a", "b"])]);
        let carried: &[&str] = match header {
            Header::Present => &["id"],
            Header::Absent => &["3"],
        };
        let rows = CsvRows::open(
            text.as_bytes(),
            (delimiter, header),
            &form,
            &wanted(&[], carried),
            "rows.csv",
        );
        let got = rows.map(read_all).map_err(|failure| failure.to_string());
        match (got, expect) {
            (Ok(rows), Ok(expect)) => assert_eq!(rows, expect, "{text:?}"),
            (Err(because), Err(part)) => assert!(because.contains(part), "{because}"),
            (got, expect) => panic!("{text:?}: {got:?} instead of {expect:?}"),
        }
    }

    #[test]
    fn rows_are_read_however_the_file_was_written() {
        let plain = |text: &str, expect| check(text, b',', Header::Present, expect);
        plain(
            "b,id,a\n2,x,1\n\n   \n4,y,3\n",
            Ok(&["line 2: x | 1.0 2.0", "line 5: y | 3.0 4.0"]),
        );
        plain(
            "\u{feff}a,b,id\r\n1,2,\"p, \"\"q\"\"\r\n r\"\r\n3,,s\r\n",
            Ok(&["line 2: p, \"q\"\r\n r | 1.0 2.0", "line 4: s | 3.0 NaN"]),
        );
        plain(
            "a,b,id\n1,2\nx,2,i\n3,4, j \n",
            Ok(&[
                "line 2: it has 2 fields, the first line 3",
                "line 3: column \"a\": \"x\" is no FP32 number",
                "line 4:  j  | 3.0 4.0",
            ]),
        );
        plain("", Err("it is empty"));
        plain("a,b\n", Err("no column \"id\", only \"a\", \"b\""));
        check(
            "a;b;id\n1.5;2;x;\n1;2;x",
            b';',
            Header::Present,
            Ok(&[
                "line 2: it has 4 fields, the first line 3",
                "line 3: x | 1.0 2.0",
            ]),
        );
        check("1,2,3\n", b',', Header::Present, Err("no column \"id\""));
        check(
            "1,2,i\n3,4,j",
            b',',
            Header::Absent,
            Ok(&["line 1: i | 1.0 2.0", "line 2: j | 3.0 4.0"]),
        );
    }

    #[test]
    fn a_table_without_names_is_not_taken_for_one_with_names() {
        let form = form(&[("x", "FP32", &[-1, 2], &["a", "b"])]);
        let opened = |text: &'static str| {
            CsvRows::open(
                text.as_bytes(),
                (b',', Header::Present),
                &form,
                &wanted(&[], &[]),
                "rows.csv",
            )
        };
        let refused = opened("1,2\n3,4\n")
            .err()
            .map(|failure| failure.to_string());
        assert!(refused.is_some_and(|because| because.contains("numbers for names")));
        let note = opened("p,q\n3,4\n").ok().and_then(|rows| rows.note());
        assert!(note.is_some_and(|note| note.ends_with("by position are \"p\", \"q\"")));
        assert!(opened("b,a\n").is_ok_and(|rows| rows.note().is_none()));
    }
}
