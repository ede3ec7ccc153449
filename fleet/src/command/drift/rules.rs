//! `muster drift rules`: by what incidents are opened, told and closed. Versions are kept for ever.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use muster_fleet::incident::Rules;
use serde_json::Value;

use super::super::by::By;
use super::super::show;
use crate::cli::Context;
use crate::error::{Exit, OperatorError};
use crate::home;

/// What to do with rules.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Let the rules of a file hold from now on, as the next version.
    Apply {
        /// The rules, TOML; docs/incidents.md shows them.
        file: PathBuf,
        #[command(flatten)]
        by: By,
    },
    /// Print the rules that hold, or an older version, as a file to start from.
    Show {
        /// Its number.
        number: Option<u32>,
    },
    /// List the versions that were applied.
    List,
}

/// Runs it.
pub(super) async fn run(command: Command, context: &Context) -> Result<(), OperatorError> {
    match command {
        Command::Apply { file, by } => apply(&file, &by, context).await,
        Command::Show { number } => show_one(number, context).await,
        Command::List => list(context).await,
    }
}

async fn apply(file: &Path, by: &By, context: &Context) -> Result<(), OperatorError> {
    let what = format!("apply {}", file.display());
    let text = home::read_text(file)?;
    Rules::read(&text).map_err(|error| {
        let place = format!("{what}: {}", error.place);
        OperatorError::new(Exit::BadInput, place, &error.because, &error.hint)
    })?;
    let mut body = by.body();
    body["rules"] = text.into();
    let path = "/api/v1/drift/rules";
    let applied = context.client()?.post(&what, path, &body).await?;
    context.output.print(&applied, |applied| {
        let (number, digest) = (show::cell(applied.get("number")), &applied["digest"]);
        let digest = digest.as_str().unwrap_or_default();
        format!("version {number} of the rules holds ({digest})")
    });
    Ok(())
}

async fn show_one(number: Option<u32>, context: &Context) -> Result<(), OperatorError> {
    let number = number.map_or("newest".to_owned(), |number| number.to_string());
    let path = format!("/api/v1/drift/rules/{number}");
    let rules = context.client()?.get("show the rules", &path).await?;
    context.output.print(&rules, |rules| {
        rules["text"].as_str().unwrap_or_default().to_owned()
    });
    Ok(())
}

async fn list(context: &Context) -> Result<(), OperatorError> {
    const COLUMNS: [&str; 5] = ["number", "applied_at", "operator", "reason", "digest"];
    let path = "/api/v1/drift/rules";
    let rows = context.client()?.all("list the rules", path).await?;
    context.output.print(&rows, |rows| {
        let rows: Vec<_> = rows.iter().map(with_who).collect();
        show::table(&rows, &COLUMNS)
    });
    Ok(())
}

fn with_who(row: &Value) -> Value {
    let mut row = row.clone();
    let first = row["orders"][0].take();
    for name in ["operator", "reason"] {
        row[name] = first[name].clone();
    }
    row
}
