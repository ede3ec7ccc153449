//! `muster bundle build`: from an ONNX file and reference data to a bundle that has passed its
//! own trial.
//!
//! The folder appears whole or not at all. Nothing is signed here.

mod about;
mod args;
mod card;
mod staging;

pub(crate) use args::{BuildArgs, ProbabilitiesArg};

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use muster_protocol::bundle::card::{About, GoldenSource, Part};
use muster_protocol::limits::BLOB_BYTES_MAX;

use super::agent::{Agent, Checked};
use super::golden::Golden;
use super::layout::Layout;
use super::pack::{self, Parts};
use super::probabilities::Scored;
use super::progress::Progress;
use super::reference::{self, Choices, Made};
use super::table::{self, Table};
use super::{vectors, verify};
use crate::error::{Exit, OperatorError};
use crate::output;
use staging::Staging;

pub(super) fn run(args: &BuildArgs) -> Result<(), OperatorError> {
    args.check()?;
    let agent = Agent::find(args.agent.as_deref())?;
    let model = read_model(&args.model)?;
    let staging = Staging::make(&args.out)?;
    let data = read_table(args)?;
    let (table, labels) = data.map_or((None, None), |(table, labels)| (Some(table), labels));
    let rows = table
        .as_ref()
        .map(|table| staging.scratch("rows.csv", table.to_csv().as_bytes()));
    output::note("checking the model with the agent's runtime");
    let rows = rows.transpose()?;
    let checked = agent.check(&args.model, rows.as_deref(), vectors::example(&args.golden))?;
    checked
        .warnings
        .iter()
        .for_each(|warning| output::note(format_args!("warning: {warning}")));
    let parts = assemble(args, model, (table.as_ref(), labels.as_deref()), &checked)?;
    if !args.no_trial {
        output::note("letting the model answer its golden vectors");
        agent.trial(&args.model, &staging.scratch("golden.cbor", &parts.golden)?)?;
    }
    let packed = pack::pack(&parts).map_err(|because| bad(args, because, HINT_SIZE))?;
    let layout = Layout::at(staging.folder());
    let write = |error| OperatorError::file("write the bundle", &args.out, &error);
    layout.write(&packed, &parts.card).map_err(write)?;
    let verified = verify(&layout).map_err(|broken| bad(args, broken, "this is a bug"))?;
    staging.finish()?;
    let Verified { bundle, card, .. } = verified;
    output::print_line(&format!(
        "{} {} {}",
        card.model, card.version, bundle.digest
    ));
    Ok(())
}

use super::Verified;

const HINT_SIZE: &str = "large models do not travel yet: quantise it or make it smaller";
const HINT_PROBABILITIES: &str =
    "name an output that ends in a softmax or a sigmoid; `muster-agent check` shows all";
const HINT_TABLE: &str = "give a CSV file with a header, of numbers; --columns chooses columns";

/// Everything that is packed, from what was read and found.
fn assemble(
    args: &BuildArgs,
    model: Vec<u8>,
    (table, labels): (Option<&Table>, Option<&[f32]>),
    checked: &Checked,
) -> Result<Parts, OperatorError> {
    let reference = reference_of(args, (table, labels), checked)?;
    reference
        .notes
        .iter()
        .for_each(|note| output::note(format_args!("note: {note}")));
    let (golden, source) = golden_of(args, checked)?;
    let about = args.about.as_deref().map(about::read).transpose()?;
    say_missing(about.as_ref());
    let card = card::of(args, checked, &golden, source, reference.names, about);
    let (reference, golden) = (reference.bytes, golden.to_cbor());
    Ok(Parts {
        card,
        model,
        reference,
        golden,
        piece_bytes: args.piece_kib * 1024,
    })
}

fn say_missing(about: Option<&About>) {
    let missing = about.cloned().unwrap_or_default().missing();
    if !missing.is_empty() {
        let names: Vec<_> = missing.into_iter().map(Part::name).collect();
        let missing = names.join(", ");
        output::note(format_args!(
            "note: the card does not say {missing}; --about FILE does"
        ));
    }
}

fn reference_of(
    args: &BuildArgs,
    (table, labels): (Option<&Table>, Option<&[f32]>),
    checked: &Checked,
) -> Result<Made, OperatorError> {
    let Some(table) = table else {
        output::note("warning: without --reference no drift of features can be seen");
        return Ok(reference::empty());
    };
    let rows = checked.row_outputs.as_deref().unwrap_or_default();
    let scores = args.probabilities.as_ref().map(|asked| {
        let scores = Scored::of(asked, rows, labels, &checked.signature);
        scores.map_err(|because| bad(args, because, HINT_PROBABILITIES))
    });
    let scores = scores.transpose()?;
    let choices = Choices {
        block_rows: args.block_rows,
        categorical: &args.categorical,
    };
    let made = reference::make(table, rows, &checked.signature, choices, scores.as_ref());
    made.map_err(|because| bad(args, because, HINT_TABLE))
}

fn golden_of(args: &BuildArgs, checked: &Checked) -> Result<(Golden, GoldenSource), OperatorError> {
    let (rtol, atol) = (args.rtol, args.atol);
    if !args.golden.is_empty() {
        for path in &args.golden {
            let failed = |error| OperatorError::file("read the golden vectors", path, &error);
            std::fs::metadata(path).map_err(failed)?;
        }
        let vectors = vectors::read(&args.golden, &checked.signature);
        let hint = "name arrays as the model names its tensors; `muster-agent check` shows them";
        let vectors = vectors.map_err(|because| bad(args, because, hint))?;
        return Ok((
            Golden {
                rtol,
                atol,
                vectors,
            },
            args.golden_source.into(),
        ));
    }
    output::note("warning: without --golden the runtime is compared with itself only");
    let none = || {
        bad(
            args,
            "the runtime answers no question of its own",
            "give --golden vectors",
        )
    };
    let vectors = checked.self_golden().ok_or_else(none)?;
    Ok((
        Golden {
            rtol,
            atol,
            vectors,
        },
        GoldenSource::Own,
    ))
}

fn read_model(path: &Path) -> Result<Vec<u8>, OperatorError> {
    let failed = |error| OperatorError::file("read the model", path, &error);
    let file = File::open(path).map_err(failed)?;
    let size = file.metadata().map_err(failed)?.len();
    if size == 0 || size > BLOB_BYTES_MAX {
        return Err(OperatorError::new(
            Exit::BadInput,
            format!("read the model {}", path.display()),
            format_args!("it has {size} bytes, expected are 1 to {BLOB_BYTES_MAX}"),
            HINT_SIZE,
        ));
    }
    let mut bytes = Vec::new();
    let progress = Progress::start("reading the model", size);
    progress
        .reading(file.take(BLOB_BYTES_MAX))
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    Ok(bytes)
}

/// The reference data, and the labels in it.
type Data = (Table, Option<Vec<f32>>);

fn read_table(args: &BuildArgs) -> Result<Option<Data>, OperatorError> {
    let Some(path) = &args.reference else {
        return Ok(None);
    };
    let failed = |error| OperatorError::file("read the reference data", path, &error);
    let wrong = |because: &dyn std::fmt::Display| {
        let what = format!("read the reference data {}", path.display());
        OperatorError::new(Exit::BadInput, what, because, HINT_TABLE)
    };
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(failed)?;
    file.take(table::BYTES_MAX + 1)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    if bytes.len() as u64 > table::BYTES_MAX {
        return Err(wrong(&"it has more than 64 MiB"));
    }
    let read = Table::parse_with_label(&bytes, args.columns.as_deref(), args.label.as_deref());
    read.map(Some).map_err(|because| wrong(&because))
}

/// Input that makes no bundle.
fn bad(args: &BuildArgs, because: impl std::fmt::Display, hint: &str) -> OperatorError {
    let what = format!("build a bundle from {}", args.model.display());
    OperatorError::new(Exit::BadInput, what, because, hint)
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    #[test]
    fn the_same_report_gives_the_same_bundle() {
        let packed = || {
            let (args, table) = (BuildArgs::sample(), sample::table());
            let data = (Some(&table), None);
            let parts = assemble(&args, vec![8; 9_000], data, &sample::checked());
            pack::pack(&parts.expect("parts")).expect("packs").blobs
        };
        assert_eq!(packed(), packed());
    }

    #[test]
    fn an_empty_model_is_named() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let error = read_model(file.path()).expect_err("empty");
        assert_eq!(error.exit, Exit::BadInput);
        assert!(error.to_string().contains("it has 0 bytes"), "{error}");
    }
}
