//! Rows of a JSONL file: objects that name the model's inputs or features, or bare lists.
//!
//! Never keeps more than one line, never looks into what is carried through.

use super::columns::{names_of, quoted};
use super::metered::{Metered, RECORD_BYTES_MAX};
use super::nested::{self, Nested};
use super::{Source, Wanted};
use crate::command::predict::form::{Form, Input};
use crate::command::predict::row::{BadRow, Carried, Cell, Fault, Place, Row};
use crate::error::Failure;
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// A JSONL file that is being read.
pub(in super::super) struct JsonlRows<R> {
    reader: BufReader<Metered<R>>,
    what: String,
    form: Form,
    wanted: Wanted,
    line: Vec<u8>,
    lines: u64,
}

/// Fields of one line as they stand there.
type Fields<'a> = BTreeMap<String, &'a RawValue>;

impl<R: Read> JsonlRows<R> {
    /// Begins to read.
    pub(in super::super) fn open(inner: R, form: &Form, wanted: &Wanted, what: &str) -> Self {
        Self {
            reader: BufReader::new(Metered::new(inner)),
            what: what.to_owned(),
            form: form.clone(),
            wanted: wanted.clone(),
            line: Vec::new(),
            lines: 0,
        }
    }

    fn read_line(&mut self) -> std::io::Result<bool> {
        self.line.clear();
        self.reader.get_mut().allow_record();
        let mut bounded = Read::take(&mut self.reader, RECORD_BYTES_MAX);
        let read = bounded.read_until(b'\n', &mut self.line)?;
        self.lines += 1;
        Ok(read > 0)
    }

    fn row(&self) -> Result<Option<Row>, BadRow> {
        let place = Place::Line(self.lines);
        let bad = |because: String| BadRow { place, because };
        let line = match self.lines {
            1 => self
                .line
                .strip_prefix(BYTE_ORDER_MARK)
                .unwrap_or(&self.line),
            _ => &self.line,
        };
        let text = std::str::from_utf8(line).map_err(|_| bad("it is no UTF-8 text".into()))?;
        let text = text.trim();
        let (carried, cells) = match text.bytes().next() {
            None => return Ok(None),
            Some(b'{') => self.object(text).map_err(bad)?,
            Some(_) => (Vec::new(), self.bare(text).map_err(bad)?),
        };
        Ok(Some(Row {
            place,
            carried,
            cells,
        }))
    }

    fn object(&self, text: &str) -> Result<(Vec<Carried>, Vec<Cell>), String> {
        let fields: Fields<'_> = serde_json::from_str(text).map_err(|error| json_error(&error))?;
        let carried = self.wanted.carried.iter().map(|name| {
            let value = field(&fields, name)?;
            Ok(Carried::Json(value.get().to_owned()))
        });
        let carried = carried.collect::<Result<_, String>>()?;
        let cells = match self.wanted.columns.is_empty() {
            true => self
                .form
                .inputs
                .iter()
                .map(|i| of_input(&fields, i))
                .collect::<Result<_, _>>(),
            false => self.of_columns(&fields),
        };
        Ok((carried, cells?))
    }

    /// A list without names is the row of an only input.
    fn bare(&self, text: &str) -> Result<Vec<Cell>, String> {
        let hint = "give objects: {\"input\": [...], ...}";
        let input = match self.form.single() {
            Some(input) if self.wanted.carried.is_empty() => input,
            Some(_) => {
                return Err(format!(
                    "it is no object, so nothing can be carried; {hint}"
                ));
            }
            None => {
                return Err(format!(
                    "it is no object, and the model has several inputs; {hint}"
                ));
            }
        };
        Ok(vec![cell(nested::read(text, input.datatype)?, input)?])
    }

    /// Fields that the user has named, shared out in the model's order.
    fn of_columns(&self, fields: &Fields<'_>) -> Result<Vec<Cell>, String> {
        let mut names = self.wanted.columns.iter();
        let mut cells = Vec::new();
        for input in &self.form.inputs {
            let elements = match self.form.single() {
                Some(_) => self.wanted.columns.len(),
                None => input.elements().unwrap_or(0),
            };
            let mine = names.by_ref().take(elements);
            let mine = mine.map(|name| field(fields, name.trim()));
            cells.push(of_scalars(&mine.collect::<Result<Vec<_>, _>>()?, input)?);
        }
        match names.next() {
            None => Ok(cells),
            Some(name) => Err(format!("the model has no place for column {name:?}")),
        }
    }
}

impl<R: Read> Source for JsonlRows<R> {
    fn next(&mut self) -> Result<Option<Row>, Fault> {
        loop {
            let read = self.read_line();
            let fault = |because: String| {
                Fault::File(Failure::Data {
                    what: self.what.clone(),
                    because,
                    hint: "check the file and the disk that holds it",
                })
            };
            if !read.map_err(|error| fault(error.to_string()))? {
                return Ok(None);
            }
            if self.line.len() as u64 == RECORD_BYTES_MAX {
                let because = format!("line {} has more than {RECORD_BYTES_MAX} bytes", self.lines);
                return Err(fault(because));
            }
            if let Some(row) = self.row().map_err(Fault::Row)? {
                return Ok(Some(row));
            }
        }
    }

    fn bytes_read(&self) -> u64 {
        self.reader.get_ref().bytes_read()
    }
}

/// The field of the input's name, or a field for each of its elements.
fn of_input(fields: &Fields<'_>, input: &Input) -> Result<Cell, String> {
    if let Some(value) = fields.get(&input.name) {
        let nested = nested::read(value.get(), input.datatype);
        let named = |because| format!("field {:?}: {because}", input.name);
        return cell(nested.map_err(named)?, input);
    }
    let elements = input.elements().unwrap_or(0);
    let find = |element: usize| {
        let names = names_of(input, element, elements);
        names.iter().find_map(|name| fields.get(name).copied())
    };
    let known = input.columns.len().max(usize::from(elements == 1));
    let values: Option<Vec<&RawValue>> = (0..elements).map(find).collect();
    match values {
        Some(values) if !values.is_empty() => of_scalars(&values, input),
        _ if known > 1 => Err(format!(
            "it has neither a field {:?} nor all of {}",
            input.name,
            quoted(&input.columns)
        )),
        _ => Err(format!("it has no field {:?}", input.name)),
    }
}

fn of_scalars(values: &[&RawValue], input: &Input) -> Result<Cell, String> {
    let mut all = Nested {
        shape: vec![values.len()],
        elements: values.len(),
        bytes: Vec::with_capacity(values.len() * input.datatype.size()),
    };
    for value in values {
        let one = nested::read(value.get(), input.datatype)?;
        if !one.shape.is_empty() {
            return Err(format!("{} is no number", value.get()));
        }
        all.bytes.extend(one.bytes);
    }
    cell(all, input)
}

fn cell(nested: Nested, input: &Input) -> Result<Cell, String> {
    Ok(Cell {
        shape: input.fit(&nested.shape, nested.elements)?,
        bytes: nested.bytes,
    })
}

fn field<'a>(fields: &Fields<'a>, name: &str) -> Result<&'a RawValue, String> {
    fields.get(name).copied().ok_or_else(|| {
        let names: Vec<String> = fields.keys().cloned().collect();
        format!("it has no field {name:?}, only {}", quoted(&names))
    })
}

fn json_error(error: &serde_json::Error) -> String {
    // The line is known better outside: this one is always 1.
    let sentence = error.to_string();
    let sentence = sentence.split(" at line ").next().unwrap_or_default();
    format!(
        "column {}: {sentence} (JSON has no NaN: write null)",
        error.column()
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::predict::form::tests::form;
    use crate::command::predict::input::tests::{read_all, wanted};

    fn check(form: &Form, carried: &[&str], text: &str, expect: &[&str]) {
        let rows = JsonlRows::open(text.as_bytes(), form, &wanted(&[], carried), "rows.jsonl");
        assert_eq!(read_all(rows), expect, "{text}");
    }

    #[test]
    fn one_input_is_a_list_a_field_or_a_field_for_each_element() {
        let one = form(&[("x", "FP32", &[-1, 2], &["a", "b"])]);
        let expect: &[&str] = &["line 1: | 1.0 2.0", "line 3: | 3.0 NaN"];
        check(&one, &[], "\u{feff}[1, 2]\r\n\n[3, null]", expect);
        check(
            &one,
            &[],
            "{\"x\": [1, 2]}\n \n{\"b\": null, \"a\": 3}\n",
            expect,
        );
        check(
            &one,
            &["id"],
            "{\"x\": [1, 2], \"id\": \"ä\\n\", \"more\": {}}\n{\"x\": [1], \"id\": 12345678901234567890123}\n[1, 2]\n{\"x\": [1,2]}",
            &[
                "line 1: \"ä\\n\" | 1.0 2.0",
                "line 2: input \"x\": a row has shape [2], this one [1]",
                "line 3: it is no object, so nothing can be carried; give objects: {\"input\": [...], ...}",
                "line 4: it has no field \"id\", only \"x\"",
            ],
        );
        check(
            &one,
            &[],
            "{\"x\": [1, NaN]}\n{\"a\": 1}\n{\"a\": 1, \"b\": [2]}\n{\"x\"\n\"y\"\n",
            &[
                "line 1: column 11: expected value (JSON has no NaN: write null)",
                "line 2: it has neither a field \"x\" nor all of \"a\", \"b\"",
                "line 3: [2] is no number",
                "line 4: column 4: EOF while parsing an object (JSON has no NaN: write null)",
                "line 5: invalid type: string \"y\", expected FP32 numbers, flat or nested",
            ],
        );
    }

    #[test]
    fn several_inputs_are_fields() {
        let two = form(&[
            ("u", "FP32", &[-1, 1], &[]),
            ("v", "INT64", &[-1, 2, 1], &[]),
        ]);
        check(
            &two,
            &["n"],
            "{\"v\": [[1], [2]], \"u\": 0.5, \"n\": null}\n{\"v\": [1, 2], \"u\": [1], \"n\": [ 1 ]}\n{\"v\": [1, 2], \"n\": 1}",
            &[
                "line 1: null | 0.5 | 1 2",
                "line 2: [ 1 ] | 1.0 | 1 2",
                "line 3: it has no field \"u\"",
            ],
        );
        check(
            &two,
            &[],
            "[1]",
            &[
                "line 1: it is no object, and the model has several inputs; give objects: {\"input\": [...], ...}",
            ],
        );
    }

    #[test]
    fn columns_choose_fields() {
        let one = form(&[("x", "FP32", &[-1, 2], &["a", "b"])]);
        let text = "{\"p\": 1, \"q\": 2}\n{\"p\": 1}\n";
        let rows = JsonlRows::open(text.as_bytes(), &one, &wanted(&["q", "p"], &[]), "rows");
        let expect = [
            "line 1: | 2.0 1.0",
            "line 2: it has no field \"q\", only \"p\"",
        ];
        assert_eq!(read_all(rows), expect);
    }
}
