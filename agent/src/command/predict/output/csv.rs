//! Predictions as CSV: what was carried, then a column for each element of each output.
//!
//! Never changes what was carried, but for the quotes around it.

use super::number;
use crate::command::predict::answer::Given;
use crate::command::predict::row::Carried;

/// Lines of one file.
pub(super) struct Lines {
    delimiter: u8,
    carried: Vec<String>,
    /// Columns of the outputs, once the first row has shown them.
    columns: Option<Vec<String>>,
}

impl Lines {
    pub(super) fn new(delimiter: u8, carried: &[String]) -> Lines {
        Lines {
            delimiter,
            carried: carried.to_vec(),
            columns: None,
        }
    }

    /// One line, after the header if it is the first.
    pub(super) fn add(
        &mut self,
        carried: &[Carried],
        given: &[Given<'_>],
        to: &mut Vec<u8>,
    ) -> Result<(), String> {
        let columns = columns(given);
        match &self.columns {
            None => {
                let names = self.carried.iter().chain(&columns);
                self.line(names.map(|name| name.as_bytes().to_vec()), to);
                self.columns = Some(columns);
            }
            Some(first) if *first == columns => {}
            Some(first) => {
                let (first, now) = (first.len(), columns.len());
                return Err(format!(
                    "a row has {now} elements, the first one had {first}"
                ));
            }
        }
        let carried = carried.iter().map(text);
        self.line(carried.chain(given.iter().flat_map(elements)), to);
        Ok(())
    }

    fn line(&self, fields: impl Iterator<Item = Vec<u8>>, to: &mut Vec<u8>) {
        for (place, field) in fields.enumerate() {
            if place > 0 {
                to.push(self.delimiter);
            }
            self.field(&field, to);
        }
        to.push(b'\n');
    }

    fn field(&self, field: &[u8], to: &mut Vec<u8>) {
        let special = |byte: &u8| *byte == self.delimiter || b"\"\r\n".contains(byte);
        if !field.iter().any(special) {
            return to.extend_from_slice(field);
        }
        to.push(b'"');
        for &byte in field {
            if byte == b'"' {
                to.push(b'"');
            }
            to.push(byte);
        }
        to.push(b'"');
    }
}

/// `output`, or `output[n]` for each of several elements.
fn columns(given: &[Given<'_>]) -> Vec<String> {
    let names = given.iter().flat_map(|given| {
        let elements = given.bytes.len() / given.datatype.size();
        (0..elements).map(move |n| match elements {
            1 => given.name.to_owned(),
            _ => format!("{}[{n}]", given.name),
        })
    });
    names.collect()
}

fn elements<'a>(given: &'a Given<'_>) -> impl Iterator<Item = Vec<u8>> + 'a {
    let elements = given.bytes.chunks_exact(given.datatype.size());
    elements.map(|bytes| number::csv(given.datatype, bytes).into_bytes())
}

/// Text of JSON without its quotes; null is nothing.
fn text(carried: &Carried) -> Vec<u8> {
    match carried {
        Carried::Text(bytes) => bytes.clone(),
        Carried::Json(json) if json == "null" => Vec::new(),
        Carried::Json(json) => {
            let text: Result<String, _> = serde_json::from_str(json);
            text.unwrap_or_else(|_| json.clone()).into_bytes()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::Datatype;

    fn given<'a>(name: &'a str, bytes: &'a [u8]) -> Given<'a> {
        Given {
            name,
            datatype: Datatype::U8,
            shape: &[],
            bytes,
        }
    }

    #[test]
    fn what_was_carried_comes_back_as_it_was() {
        let mut lines = Lines::new(b',', &["id".into(), "the label".into()]);
        let mut to = Vec::new();
        let row = [
            Carried::Text(b"a, \"b\"\r\nc".to_vec()),
            Carried::Text(b"\xff".to_vec()),
        ];
        let answer = [given("y", &[7]), given("z", &[1, 2])];
        lines.add(&row, &answer, &mut to).expect("it fits");
        let json = [
            Carried::Json("\"a\\nb\"".into()),
            Carried::Json("null".into()),
        ];
        lines.add(&json, &answer, &mut to).expect("it fits");
        let expect =
            b"id,the label,y,z[0],z[1]\n\"a, \"\"b\"\"\r\nc\",\xff,7,1,2\n\"a\nb\",,7,1,2\n";
        assert_eq!(to, expect);
        let refused = lines.add(&json, &[given("y", &[7])], &mut to);
        assert_eq!(
            refused,
            Err("a row has 1 elements, the first one had 3".into())
        );
    }

    #[test]
    fn the_delimiter_is_quoted_and_others_are_not() {
        let mut to = Vec::new();
        let mut lines = Lines::new(b';', &["id".into()]);
        let carried = [Carried::Text(b"a,b;c".to_vec())];
        lines
            .add(&carried, &[given("y", &[1])], &mut to)
            .expect("it fits");
        assert_eq!(to, b"id;y\n\"a,b;c\";1\n");
    }
}
