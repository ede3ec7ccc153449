//! `muster receipt verify`: which receipts of a file hold, by an exported enrolment log.
//!
//! Opens no home and asks nobody: what a stolen controller says does not count here.

use std::path::PathBuf;

use muster_protocol::id::Sequence;
use serde_json::{Value, json};

use super::super::show;
use crate::error::{Exit, OperatorError};
use crate::evidence::{self, EnrolmentLog, Judge, Judged, StreamSeen};
use crate::output::{Output, note};
use crate::store::step_name;

/// What is judged, and by what.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Receipts, as `muster receipt export` writes them.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The enrolment log, as `muster enrolment export` wrote it while the controller was yours.
    #[arg(long, value_name = "LOG")]
    log: PathBuf,
    /// Refuse also when numbers of a stream are missing: for an export without filters.
    #[arg(long)]
    complete: bool,
}

/// Runs it.
pub(super) fn run(args: &Args, output: Output) -> Result<(), OperatorError> {
    let log = EnrolmentLog::read(&args.log)?;
    let (mut judge, mut rows) = (Judge::new(&log), Vec::new());
    evidence::each_receipt(&args.file, |line, bytes| {
        rows.push(row(line, &judge.judge(bytes)));
    })?;
    let streams = judge.streams();
    let shown: Vec<_> = streams.iter().map(stream).collect();
    let data = json!({ "receipts": rows, "streams": shown });
    output.print(&data, |_| text(&rows));
    let missing: Vec<_> = streams.iter().filter_map(missing).collect();
    missing.iter().for_each(note);
    refuse(args, &rows, &missing)
}

fn row(line: usize, judged: &Judged) -> Value {
    let said = judged.said.as_ref();
    let did = said.and_then(|said| said.did.as_ref());
    let flaw = judged.verdict.as_ref().err();
    let because = flaw.map(ToString::to_string);
    let retired_at = judged.verdict.as_ref().ok().copied().flatten();
    json!({
        "line": line,
        "device": said.map(|said| said.device.as_str()),
        "stream": said.map(|said| said.stream.to_string()),
        "sequence": said.map(|said| said.sequence.0),
        "model": did.map(|did| did.model.as_str()),
        "version": did.map(|did| did.version.as_str()),
        "step": did.map(|did| step_name(did.step)),
        "said_at": did.and_then(|did| did.unix).map(|unix| unix.0),
        "holds": flaw.is_none(),
        "flaw": flaw.map(|flaw| flaw.name()),
        "because": because.or(retired_at.map(|_| "by a key that was retired later".to_owned())),
    })
}

fn stream(seen: &StreamSeen) -> Value {
    let range = |(first, last): &(Sequence, Sequence)| json!([first.0, last.0]);
    let missing: Vec<_> = seen.missing.iter().map(range).collect();
    json!({ "device": seen.device.as_str(), "stream": seen.stream.to_string(),
            "receipts": seen.receipts, "through": seen.through.0, "missing": missing })
}

fn text(rows: &[Value]) -> String {
    const COLUMNS: [&str; 9] = [
        "line", "device", "sequence", "model", "version", "step", "said_at", "holds", "because",
    ];
    show::table(rows, &COLUMNS)
}

/// What is missing of a stream, in a sentence.
fn missing(seen: &StreamSeen) -> Option<String> {
    let range = |(first, last): &(Sequence, Sequence)| match first == last {
        true => first.to_string(),
        false => format!("{first}-{last}"),
    };
    let ranges: Vec<_> = seen.missing.iter().map(range).collect();
    let (device, stream) = (&seen.device, seen.stream);
    let sentence = || format!("{device}, stream {stream}: missing {}", ranges.join(", "));
    (!ranges.is_empty()).then(sentence)
}

fn refuse(args: &Args, rows: &[Value], missing: &[String]) -> Result<(), OperatorError> {
    let what = format!("verify the receipts of {}", args.file.display());
    let mut wrong = rows.iter().filter(|row| row["holds"] == false);
    let Some(first) = wrong.next() else {
        return match missing.first() {
            Some(first) if args.complete => Err(OperatorError::new(
                Exit::Refused,
                what,
                format!("numbers are missing: {first}"),
                "export without filters, and look for what the controller keeps back",
            )),
            Some(_) | None => Ok(()),
        };
    };
    let because = format!(
        "{} of {} do not hold; line {}: {}",
        1 + wrong.count(),
        rows.len(),
        first["line"],
        first["because"].as_str().unwrap_or_default(),
    );
    let hint = "count only those that hold; whoever gave you the file, or the log, changed it";
    Err(OperatorError::new(Exit::Refused, what, because, hint))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(complete: bool) -> Args {
        Args {
            file: "f".into(),
            log: "l".into(),
            complete,
        }
    }

    fn check(complete: bool, rows: &[Value], missing: &[&str], expect: Option<&str>) {
        let missing: Vec<_> = missing.iter().map(|&text| text.to_owned()).collect();
        let said = refuse(&args(complete), rows, &missing).err();
        match (&said, expect) {
            (None, None) => {}
            (Some(error), Some(part)) => {
                assert_eq!(error.exit, Exit::Refused);
                assert!(error.to_string().contains(part), "{error}");
            }
            (said, expect) => panic!("{said:?}, not {expect:?}"),
        }
    }

    #[test]
    fn false_receipts_are_refused_and_missing_ones_when_asked() {
        let holds = json!({ "line": 1, "holds": true, "because": null });
        let forged = json!({ "line": 2, "holds": false, "because": "it is forged" });
        let (genuine, both) = ([holds.clone()], [holds, forged]);
        check(false, &[], &[], None);
        check(false, &genuine, &["a: missing 2"], None);
        check(true, &genuine, &[], None);
        check(true, &genuine, &["a: missing 2"], Some("a: missing 2"));
        check(
            false,
            &both,
            &[],
            Some("1 of 2 do not hold; line 2: it is forged"),
        );
    }
}
