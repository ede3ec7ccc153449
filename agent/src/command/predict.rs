//! `muster-agent predict`: rows of a CSV file through the model that serves, offline.
//!
//! Asks the running agent over its socket, so what answers is what devices get. Batch files of
//! other kinds come later.

use super::{Output, StateArgs};
use crate::error::Failure;
use crate::local::Local;
use hyper::Method;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::io::Read as _;
use std::path::PathBuf;

/// Largest CSV file.
const FILE_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// Rows of one request.
const ROWS_PER_REQUEST: usize = 256;

/// Arguments of `muster-agent predict`.
#[derive(Debug, clap::Args)]
pub struct PredictArgs {
    /// The model.
    pub model: String,
    /// A CSV file with a header line; `-` reads standard input.
    pub rows: PathBuf,
    /// Columns to take, in the order of the model's input; without it all of them.
    #[arg(long, value_delimiter = ',')]
    pub columns: Vec<String>,
    /// Which agent.
    #[command(flatten)]
    pub agent: StateArgs,
}

/// Prints one line of outputs for each row.
///
/// # Errors
/// The file, the agent, or the model's own refusal.
pub async fn run(args: &PredictArgs) -> Result<(), Failure> {
    let rows = read_rows(args)?;
    let mut local = args.agent.connect().await?;
    let path = format!("/v2/models/{}", args.model);
    let metadata = local.ask(Method::GET, &path, None).await?;
    let input = &metadata["inputs"][0];
    let mut header = true;
    for part in rows.chunks(ROWS_PER_REQUEST) {
        let answer = infer(&mut local, &path, input, part).await?;
        match args.agent.output {
            Output::Json => crate::print::data(&format!("{answer}\n")),
            Output::Text => {
                crate::print::data(&text(&answer, part.len(), std::mem::take(&mut header)))
            }
        }
    }
    Ok(())
}

async fn infer(
    local: &mut Local,
    path: &str,
    input: &Value,
    rows: &[Vec<f64>],
) -> Result<Value, Failure> {
    let request = json!({ "inputs": [{
        "name": input["name"],
        "datatype": input["datatype"],
        "shape": [rows.len(), rows[0].len()],
        "data": rows.iter().flatten().collect::<Vec<_>>(),
    }]});
    local
        .ask(Method::POST, &format!("{path}/infer"), Some(&request))
        .await
}

/// Columns `output[element]`, one line for each row.
fn text(answer: &Value, rows: usize, header: bool) -> String {
    let outputs: Vec<_> = answer["outputs"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|output| {
            let data = output["data"].as_array().map_or(&[][..], Vec::as_slice);
            (
                output["name"].as_str().unwrap_or("?"),
                data,
                data.len() / rows.max(1),
            )
        })
        .collect();
    let mut text = String::new();
    if header {
        let names = outputs.iter().flat_map(|(name, _, len)| {
            (0..*len).map(move |n| {
                if *len == 1 {
                    (*name).to_owned()
                } else {
                    format!("{name}[{n}]")
                }
            })
        });
        text += &(names.collect::<Vec<_>>().join(",") + "\n");
    }
    for row in 0..rows {
        let values = outputs
            .iter()
            .flat_map(|(_, data, len)| &data[row * len..(row + 1) * len]);
        let line: Vec<_> = values.map(Value::to_string).collect();
        let _ = writeln!(text, "{}", line.join(","));
    }
    text
}

fn read_rows(args: &PredictArgs) -> Result<Vec<Vec<f64>>, Failure> {
    let text = read_text(&args.rows)?;
    parse_rows(&text, &args.columns).map_err(|because| Failure::Data {
        what: args.rows.display().to_string(),
        because,
        hint: "the first line names the columns, every other line has one number for each",
    })
}

fn read_text(path: &std::path::Path) -> Result<String, Failure> {
    let mut text = String::new();
    let read = if path.as_os_str() == "-" {
        std::io::stdin()
            .take(FILE_BYTES_MAX)
            .read_to_string(&mut text)
    } else {
        std::fs::File::open(path).and_then(|f| f.take(FILE_BYTES_MAX).read_to_string(&mut text))
    };
    read.map_err(|error| Failure::Data {
        what: path.display().to_string(),
        because: error.to_string(),
        hint: "name a CSV file, or - for standard input",
    })?;
    Ok(text)
}

fn parse_rows(text: &str, columns: &[String]) -> Result<Vec<Vec<f64>>, String> {
    let mut lines = text
        .lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty());
    let (_, header) = lines.next().ok_or("it is empty")?;
    let names: Vec<_> = header.split(',').map(str::trim).collect();
    let places = places(&names, columns)?;
    let rows: Result<Vec<_>, String> = lines
        .map(|(n, line)| {
            let fields: Vec<_> = line.split(',').map(str::trim).collect();
            let field = |place: &usize| {
                let text = fields
                    .get(*place)
                    .ok_or(format!("line {} is too short", n + 1))?;
                text.parse::<f64>()
                    .map_err(|_| format!("line {}: {text:?} is no number", n + 1))
            };
            places.iter().map(field).collect()
        })
        .collect();
    let rows = rows?;
    if rows.is_empty() {
        Err("it has no rows".to_owned())
    } else {
        Ok(rows)
    }
}

fn places(names: &[&str], columns: &[String]) -> Result<Vec<usize>, String> {
    if columns.is_empty() {
        return Ok((0..names.len()).collect());
    }
    let find = |column: &String| {
        let place = names.iter().position(|name| *name == column.trim());
        place.ok_or(format!(
            "it has no column {column:?}, only {}",
            names.join(", ")
        ))
    };
    columns.iter().map(find).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, columns: &[&str], expect: Result<&[&[f64]], &str>) {
        let columns: Vec<_> = columns.iter().map(|&c| c.to_owned()).collect();
        let got = parse_rows(text, &columns);
        match (&got, expect) {
            (Ok(rows), Ok(expect)) => assert_eq!(rows, expect),
            (Err(because), Err(part)) => assert!(because.contains(part), "{because}"),
            (got, _) => panic!("{text:?} gives {got:?}"),
        }
    }

    #[test]
    fn rows_are_read_by_column() {
        check("a,b\n1,2\n\n3,4\n", &[], Ok(&[&[1.0, 2.0], &[3.0, 4.0]]));
        check("a,b\n1,2\n", &["b"], Ok(&[&[2.0]]));
        check("a,b\n1,2\n", &["c"], Err("no column \"c\", only a, b"));
        check("a,b\n1\n", &[], Err("line 2 is too short"));
        check("a\nx\n", &[], Err("line 2: \"x\" is no number"));
        check("a\n", &[], Err("no rows"));
        check("", &[], Err("empty"));
    }
}
