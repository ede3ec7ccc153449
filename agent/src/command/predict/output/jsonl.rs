//! Predictions as JSONL: one object a row, what was carried and `outputs` with nested lists.
//!
//! Never a number that JSON does not have: NaN and the infinities are null.

use super::number;
use crate::command::predict::answer::Given;
use crate::command::predict::row::Carried;
use crate::tensor::Datatype;

/// Lines of one file.
pub(super) struct Lines {
    /// Names of what is carried, as JSON.
    carried: Vec<String>,
}

impl Lines {
    pub(super) fn new(carried: &[String]) -> Lines {
        Lines {
            carried: carried.iter().map(|name| quoted(name)).collect(),
        }
    }

    /// One line.
    pub(super) fn add(&self, carried: &[Carried], given: &[Given<'_>], to: &mut Vec<u8>) {
        to.push(b'{');
        for (name, value) in self.carried.iter().zip(carried) {
            let value = match value {
                Carried::Json(json) => json.clone(),
                Carried::Text(bytes) => quoted(&String::from_utf8_lossy(bytes)),
            };
            to.extend_from_slice(format!("{name}:{value},").as_bytes());
        }
        to.extend_from_slice(b"\"outputs\":{");
        for (place, given) in given.iter().enumerate() {
            let comma = if place > 0 { "," } else { "" };
            to.extend_from_slice(format!("{comma}{}:", quoted(given.name)).as_bytes());
            nest(given.datatype, given.shape, given.bytes, to);
        }
        to.extend_from_slice(b"}}\n");
    }
}

/// Lists within lists, as deep as the shape.
fn nest(datatype: Datatype, shape: &[usize], bytes: &[u8], to: &mut Vec<u8>) {
    let Some((&first, rest)) = shape.split_first() else {
        return to.extend_from_slice(number::json(datatype, bytes).as_bytes());
    };
    to.push(b'[');
    let each = bytes.len() / first.max(1);
    for place in 0..first {
        if place > 0 {
            to.push(b',');
        }
        nest(datatype, rest, &bytes[place * each..(place + 1) * each], to);
    }
    to.push(b']');
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_an_object() {
        fn check(carried: &[Carried], shape: &[usize], bytes: &[u8], expect: &str) {
            let names: Vec<String> = carried.iter().map(|_| "the \"id\"".into()).collect();
            let given = Given {
                name: "y",
                datatype: Datatype::U8,
                shape,
                bytes,
            };
            let mut to = Vec::new();
            Lines::new(&names).add(carried, &[given], &mut to);
            assert_eq!(String::from_utf8_lossy(&to), expect);
        }
        check(&[], &[], &[1], "{\"outputs\":{\"y\":1}}\n");
        let nested = "{\"outputs\":{\"y\":[[1,2],[3,4]]}}\n";
        check(&[], &[2, 2], &[1, 2, 3, 4], nested);
        check(&[], &[2, 0], &[], "{\"outputs\":{\"y\":[[],[]]}}\n");
        let verbatim = Carried::Json("1e400".into());
        check(
            &[verbatim],
            &[],
            &[1],
            "{\"the \\\"id\\\"\":1e400,\"outputs\":{\"y\":1}}\n",
        );
        let text = Carried::Text(b"a\n\xff".to_vec());
        check(
            &[text],
            &[],
            &[1],
            "{\"the \\\"id\\\"\":\"a\\n\u{fffd}\",\"outputs\":{\"y\":1}}\n",
        );
    }
}
