//! `muster enrolment`: the log of who enrolled with which keys, taken away from the controller.
//!
//! Never overwrites a log, and writes none that contradicts the one it is compared with.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use muster_protocol::digest::Digest;
use muster_protocol::time::UnixSeconds;
use serde_json::{Value, json};

use super::show;
use crate::cli::Context;
use crate::error::{Exit, OperatorError};
use crate::evidence::{Conflict, Enrolled, Enrolment, EnrolmentLog, public_key};
use crate::home;
use crate::output::note;

/// What to do with the enrolment log.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Write it to a file, to be kept where the controller cannot reach it.
    Export {
        /// The file to write, for example enrolments.jsonl; it must not exist.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
        /// A log that was exported earlier: show what is new, and refuse if any entry of it has
        /// vanished or changed.
        #[arg(long, value_name = "EARLIER")]
        after: Option<PathBuf>,
    },
}

/// Runs it.
pub(crate) async fn run(command: Command, context: &Context) -> Result<(), OperatorError> {
    let Command::Export { out, after } = command;
    let earlier = after.as_deref().map(EnrolmentLog::read).transpose()?;
    let log = fetch(context).await?;
    let earlier = earlier.unwrap_or_default();
    let new = log
        .after(&earlier)
        .map_err(|conflicts| rewritten(&conflicts, after.as_deref().unwrap_or(&out)))?;
    home::write_private(&out, log.to_text().as_bytes())?;
    let rows: Vec<_> = new.iter().map(row).collect();
    let data = json!({ "file": out.display().to_string(), "entries": log.entries().len(),
                       "devices": log.devices(), "new": rows });
    context.output.print(&data, |_| text(&rows));
    let (entries, devices, file) = (log.entries().len(), log.devices(), out.display());
    note(format_args!(
        "wrote {file}: {entries} enrolments of {devices} devices, {} of them new. Keep it where \
         the controller cannot reach it, and give it to the next export with --after.",
        new.len()
    ));
    new.iter().for_each(warn);
    Ok(())
}

async fn fetch(context: &Context) -> Result<EnrolmentLog, OperatorError> {
    let what = "fetch the enrolment log";
    let rows = context.client()?.all(what, "/api/v1/enrolments").await?;
    let mut log = EnrolmentLog::default();
    for row in &rows {
        let enrolled = read(row).ok_or_else(|| {
            let hint = "do this program and the controller have the same version?";
            OperatorError::new(
                Exit::Bug,
                what,
                format!("an entry is unreadable: {row}"),
                hint,
            )
        })?;
        log.append(enrolled);
    }
    Ok(log)
}

fn read(row: &Value) -> Option<Enrolled> {
    let text = |name: &str| row[name].as_str();
    Some(Enrolled {
        device: text("device")?.parse().ok()?,
        document_key: public_key(text("document_key")?).ok()?,
        tls_key: Digest::parse(text("tls_key")?).ok()?,
        serial: text("serial")?.to_owned(),
        at: UnixSeconds(row["enrolled_at"].as_u64()?),
    })
}

fn row(entry: &Enrolment) -> Value {
    let enrolled = &entry.enrolled;
    json!({
        "entry": entry.entry, "device": enrolled.device.as_str(), "enrolled_at": enrolled.at.0,
        "document_key": enrolled.document_key.to_string(),
        "retires": entry.retires.map(|key| key.to_string()),
    })
}

fn text(new: &[Value]) -> String {
    const COLUMNS: [&str; 5] = ["entry", "device", "enrolled_at", "document_key", "retires"];
    show::table(new, &COLUMNS)
}

/// A device that has another key is the one thing that a thief of the controller can add.
fn warn(new: &Enrolment) {
    if new.retires.is_some() {
        note(format_args!(
            "{} signs with another key since entry {}: did you enrol it anew?",
            new.enrolled.device, new.entry
        ));
    }
}

fn rewritten(conflicts: &[Conflict], earlier: &Path) -> OperatorError {
    let all: Vec<_> = conflicts.iter().map(ToString::to_string).collect();
    OperatorError::new(
        Exit::Refused,
        format!("export the enrolment log after {}", earlier.display()),
        all.join("; "),
        "trust the earlier log, and find out who changed the controller's; one that was restored \
         from an older backup has lost entries, too",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_of_the_api_is_read_or_not() {
        let row = json!({
            "issue": 1, "device": "press-01", "document_key": "01".repeat(32),
            "tls_key": Digest([2; 32]).to_string(), "serial": "0a", "enrolled_at": 5,
        });
        let enrolled = read(&row).expect("whole");
        assert_eq!((enrolled.serial.as_str(), enrolled.at.0), ("0a", 5));
        for field in ["device", "document_key", "tls_key", "serial", "enrolled_at"] {
            let mut damaged = row.clone();
            damaged[field] = json!("_");
            let expect = field == "serial";
            assert_eq!(read(&damaged).is_some(), expect, "{field}");
        }
    }

    #[test]
    fn every_conflict_is_in_the_error() {
        let device: muster_protocol::id::DeviceId = "press-01".parse().expect("valid");
        let conflicts = [
            Conflict::Vanished {
                entry: 1,
                device: device.clone(),
            },
            Conflict::Changed {
                entry: 2,
                device,
                what: "document key",
            },
        ];
        let error = rewritten(&conflicts, Path::new("log"));
        assert_eq!(error.exit, Exit::Refused);
        for part in ["entry 1", "has vanished", "entry 2", "another document key"] {
            assert!(error.to_string().contains(part), "{error}");
        }
    }
}
