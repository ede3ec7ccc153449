//! What a model has answered, cut into rows.
//!
//! Believes no length: what does not add up is an error, not a slice.

use crate::local::Prediction;
use crate::tensor::{Datatype, bytes_of};
use serde_json::Value;

/// The outputs for some rows.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    /// Version that computed them.
    pub(super) version: String,
    rows: usize,
    data: hyper::body::Bytes,
    outputs: Vec<Output>,
}

#[derive(Debug, Clone)]
struct Output {
    name: String,
    datatype: Datatype,
    /// Of one row.
    shape: Vec<usize>,
    starts: usize,
    row_bytes: usize,
}

/// One output for one row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Given<'a> {
    pub(super) name: &'a str,
    pub(super) datatype: Datatype,
    pub(super) shape: &'a [usize],
    /// Little endian.
    pub(super) bytes: &'a [u8],
}

impl Answer {
    /// Reads a prediction for `rows` rows.
    pub(super) fn read(prediction: Prediction, rows: usize) -> Result<Answer, String> {
        let Prediction { head, data } = prediction;
        let version = head["model_version"].as_str().unwrap_or("?").to_owned();
        let (mut outputs, mut starts) = (Vec::new(), 0);
        for output in head["outputs"].as_array().into_iter().flatten() {
            let (output, bytes) = Output::read(output, starts, rows)?;
            starts += bytes;
            outputs.push(output);
        }
        match starts == data.len() && !outputs.is_empty() {
            true => Ok(Answer {
                version,
                rows,
                data,
                outputs,
            }),
            false => Err(format!("{} bytes came for outputs of {starts}", data.len())),
        }
    }

    /// The outputs of each row, in order.
    pub(super) fn rows(&self) -> impl Iterator<Item = Vec<Given<'_>>> {
        (0..self.rows).map(move |row| self.outputs.iter().map(|o| self.given(o, row)).collect())
    }

    fn given<'a>(&'a self, output: &'a Output, row: usize) -> Given<'a> {
        let starts = output.starts + row * output.row_bytes;
        Given {
            name: &output.name,
            datatype: output.datatype,
            shape: &output.shape,
            bytes: &self.data[starts..starts + output.row_bytes],
        }
    }
}

impl Output {
    /// One output, and its bytes.
    fn read(output: &Value, starts: usize, rows: usize) -> Result<(Output, usize), String> {
        let name = output["name"].as_str().ok_or("an output has no name")?;
        let datatype = output["datatype"].as_str().unwrap_or_default();
        let datatype: Datatype = datatype.parse().map_err(|error| format!("{error}"))?;
        let dims = output["shape"].as_array().into_iter().flatten();
        let dims = dims.map(|dim| dim.as_u64().and_then(|dim| usize::try_from(dim).ok()));
        let shape = dims.collect::<Option<Vec<usize>>>();
        let shape = shape.ok_or_else(|| format!("output {name:?} has no shape"))?;
        let bytes = bytes_of(datatype, &shape).map_err(|error| error.to_string())?;
        if output["parameters"]["binary_data_size"].as_u64() != Some(bytes as u64) {
            return Err(format!(
                "output {name:?} does not say how many bytes it has"
            ));
        }
        let row = match shape.split_first() {
            Some((&first, rest)) if first == rows => rest.to_vec(),
            _ if rows == 1 => shape,
            _ => {
                return Err(format!(
                    "output {name:?} has shape {shape:?}, not one entry for each of {rows} rows: \
                     ask row by row with --rows-per-request 1"
                ));
            }
        };
        let output = Output {
            name: name.to_owned(),
            datatype,
            shape: row,
            starts,
            row_bytes: bytes / rows.max(1),
        };
        Ok((output, bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn output(name: &str, shape: &[usize], size: usize) -> Value {
        json!({"name": name, "datatype": "UINT8", "shape": shape,
            "parameters": {"binary_data_size": size}})
    }

    fn check(outputs: &[Value], data: &'static [u8], rows: usize, expect: Result<&str, &str>) {
        let head = json!({"model_version": "1.0.0", "outputs": outputs});
        let data = hyper::body::Bytes::from_static(data);
        let got = Answer::read(Prediction { head, data }, rows).map(|answer| {
            let row = |row: Vec<Given<'_>>| {
                let given = row
                    .iter()
                    .map(|g| format!("{}{:?}={:?}", g.name, g.shape, g.bytes));
                given.collect::<Vec<_>>().join(" ")
            };
            answer.rows().map(row).collect::<Vec<_>>().join("; ")
        });
        match (&got, expect) {
            (Ok(got), Ok(expect)) => assert_eq!(got, expect),
            (Err(because), Err(part)) => assert!(because.contains(part), "{because}"),
            (got, expect) => panic!("{got:?} instead of {expect:?}"),
        }
    }

    #[test]
    fn outputs_are_cut_into_rows_or_refused() {
        let (a, b) = (output("a", &[2, 1], 2), output("b", &[2, 2], 4));
        let expect = Ok("a[1]=[1] b[2]=[3, 4]; a[1]=[2] b[2]=[5, 6]");
        check(&[a.clone(), b], &[1, 2, 3, 4, 5, 6], 2, expect);
        check(&[output("a", &[1, 2], 2)], &[1, 2], 1, Ok("a[2]=[1, 2]"));
        check(&[output("a", &[], 1)], &[7], 1, Ok("a[]=[7]"));
        check(&[output("a", &[], 1)], &[7], 2, Err("--rows-per-request 1"));
        check(
            std::slice::from_ref(&a),
            &[1],
            2,
            Err("1 bytes came for outputs of 2"),
        );
        check(
            &[output("a", &[2, 1], 9)],
            &[1, 2],
            2,
            Err("how many bytes"),
        );
        check(
            &[output("a", &[usize::MAX, 9], 9)],
            &[1],
            1,
            Err("asks for more"),
        );
        check(&[], &[], 2, Err("0 bytes came"));
    }
}
