//! `muster-agent feedback`: labels of a file, sent to the running agent.
//!
//! Needs no network; nothing but counts leaves the device.

use super::{Output, StateArgs};
use crate::error::Failure;
use hyper::Method;
use muster_protocol::id::ModelId;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// Labels of one request.
const LABELS_OF_REQUEST: usize = 1000;
/// Reasons that are printed.
const REASONS_MAX: usize = 10;

/// Arguments of `muster-agent feedback`.
#[derive(Debug, clap::Args)]
pub struct FeedbackArgs {
    /// The model that predicted.
    pub model: ModelId,
    /// CSV file with the columns id, label and, if it is not 0, row; or JSON lines with such fields.
    #[arg(value_name = "FILE.csv|FILE.jsonl")]
    pub file: PathBuf,
    /// Which agent.
    #[command(flatten)]
    pub state: StateArgs,
}

/// The label of one row of a prediction.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Label {
    id: String,
    #[serde(default)]
    row: u32,
    label: u32,
}

/// What became of all of them.
#[derive(Debug, Default, Serialize)]
struct Total {
    counted: u64,
    duplicates: u64,
    refused: u64,
    reasons: Vec<Value>,
}

/// Sends them and says how many count.
///
/// # Errors
/// A file that cannot be read, or no running agent; labels that were refused, once the others are
/// counted.
pub async fn run(args: &FeedbackArgs) -> Result<(), Failure> {
    let labels = read(&args.file)?;
    let mut local = args.state.connect().await?;
    let path = format!("/v2/models/{}/feedback", args.model);
    let mut total = Total::default();
    for labels in labels.chunks(LABELS_OF_REQUEST) {
        let body = json!({ "feedback": labels });
        total.add(&local.ask(Method::POST, &path, Some(&body)).await?);
    }
    total.print(args.state.output);
    total.verdict()
}

impl Total {
    fn print(&self, output: Output) {
        let Self {
            counted,
            duplicates,
            refused,
            reasons,
        } = self;
        match output {
            Output::Json => {
                let data = serde_json::to_value(self).unwrap_or_default();
                crate::print::data(&format!("{data:#}\n"));
            }
            Output::Text => {
                crate::print::data(&format!(
                    "counted     {counted}\nduplicates  {duplicates}\nrefused     {refused}\n"
                ));
                for reason in reasons {
                    let because = reason["because"].as_str().unwrap_or_default();
                    eprintln!("refused: {because}");
                }
            }
        }
    }

    /// As of a batch with bad rows: what is good is done, and what is not has a code.
    const fn verdict(&self) -> Result<(), Failure> {
        let labels = self.counted + self.duplicates + self.refused;
        match self.refused {
            0 => Ok(()),
            refused => Err(Failure::Uncounted { refused, labels }),
        }
    }

    fn add(&mut self, reply: &Value) {
        let number = |name: &str| reply[name].as_u64().unwrap_or(0);
        self.counted += number("counted");
        self.duplicates += number("duplicates");
        self.refused += number("refused");
        let room = REASONS_MAX.saturating_sub(self.reasons.len());
        let reasons = reply["reasons"].as_array().into_iter().flatten();
        self.reasons.extend(reasons.take(room).cloned());
    }
}

fn read(path: &Path) -> Result<Vec<Label>, Failure> {
    let failed = |because: String| Failure::Data {
        what: format!("the labels {}", path.display()),
        because,
        hint: "give a CSV file with the columns id, label and, for other rows than the first, row; \
               or JSON lines",
    };
    let text = std::fs::read_to_string(path);
    let text = text.map_err(|because| Failure::file("read", path, because))?;
    let is_csv = path.extension().is_some_and(|end| end == "csv");
    let labels = if is_csv {
        of_csv(&text)
    } else {
        of_json_lines(&text)
    };
    labels.map_err(failed)
}

fn of_csv(text: &str) -> Result<Vec<Label>, String> {
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let labels = reader.deserialize().collect::<Result<_, _>>();
    labels.map_err(|error| error.to_string())
}

fn of_json_lines(text: &str) -> Result<Vec<Label>, String> {
    let lines = (1..).zip(text.lines());
    let lines = lines.filter(|(_, line)| !line.trim().is_empty());
    let label = |(number, line): (u32, &str)| {
        serde_json::from_str(line).map_err(|error| format!("line {number}: {error}"))
    };
    lines.map(label).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::exit;

    fn check(read: Result<Vec<Label>, String>, expect: Result<&[(&str, u32, u32)], &str>) {
        match (read, expect) {
            (Ok(labels), Ok(expect)) => {
                let labels: Vec<_> = (labels.iter())
                    .map(|label| (label.id.as_str(), label.row, label.label))
                    .collect();
                assert_eq!(labels, expect);
            }
            (Err(error), Err(expect)) => assert!(error.contains(expect), "{error}"),
            (read, expect) => panic!("{read:?} is not {expect:?}"),
        }
    }

    #[test]
    fn labels_that_do_not_count_have_an_exit_code() {
        let check = |refused: u64, counted: u64, expect: Option<(u8, &str)>| {
            let mut total = Total::default();
            let reply = json!({ "counted": counted, "duplicates": 1, "refused": refused });
            total.add(&reply);
            let failed = total.verdict().err();
            let failed = failed.map(|failed| (failed.exit_code(), failed.to_string()));
            match (failed, expect) {
                (None, None) => {}
                (Some((code, sentence)), Some((expect, part))) => {
                    assert_eq!(code, expect, "{sentence}");
                    assert!(sentence.contains(part), "{sentence}");
                }
                (failed, expect) => panic!("{failed:?} is not {expect:?}"),
            }
        };
        check(0, 0, None);
        check(0, 7, None);
        check(3, 0, Some((exit::BAD_INPUT, "3 of 4 labels")));
        check(3, 7, Some((exit::BAD_INPUT, "3 of 11 labels")));
    }

    #[test]
    fn labels_are_read_from_both_formats() {
        let both = [("a", 0, 1), ("b", 3, 0)];
        check(of_csv("label,id,row\n1,a,0\n0,b,3\n"), Ok(&both));
        check(of_csv("id,label\na,1\n"), Ok(&both[..1]));
        check(of_csv("id,label\na,\n"), Err("record 1"));
        check(of_csv("id\na\n"), Err("missing field `label`"));
        let lines = "{\"id\":\"a\",\"label\":1}\n\n{\"id\":\"b\",\"row\":3,\"label\":0}\n";
        check(of_json_lines(lines), Ok(&both));
        check(
            of_json_lines("{\"id\":\"a\"}"),
            Err("line 1: missing field"),
        );
    }
}
