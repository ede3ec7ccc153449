//! What the demo is about: two versions of a model, and what its sensors feel.
//! The story made here, or the user's own files; never a mix of both.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, ensure};
use muster_protocol::id::ModelId;
use serde::Deserialize;

use super::{
    Args,
    folder::Folder,
    table::{self, Rows},
};
use crate::story::{COLUMNS, Fault, Machine};

/// Versions that are released, in their order.
pub(super) const VERSIONS: [&str; 2] = ["1.0.0", "2.0.0"];
/// The device whose machine fails.
const FAULTY: usize = 1;
const FAULTY_BEARING: usize = 2;
const ONSET_ROW: usize = 150;
const STORY_ROWS: usize = 600;
const STORY_SEED: u64 = 4_000;
/// Rows of the data that stand for good health when no reference is given.
const REFERENCE_ROWS: usize = 400;

/// A model with two versions, and data for it.
pub(super) struct Subject {
    /// Its id.
    pub(super) model: ModelId,
    /// Its versions.
    pub(super) releases: [Release; 2],
    /// Data that it was made with.
    pub(super) reference: PathBuf,
    /// Columns of reference and data.
    pub(super) columns: Vec<String>,
    /// The same of the reference.
    pub(super) reference_columns: Vec<String>,
    /// Rows above the threshold that make an alarm.
    pub(super) sustained_rows: usize,
    source: Source,
}

/// A version before it is a release.
pub(super) struct Release {
    /// Its version.
    pub(super) version: &'static str,
    /// ONNX file.
    pub(super) model: PathBuf,
    /// Answers of another runtime.
    pub(super) golden: Option<PathBuf>,
    /// A score above it is not usual.
    pub(super) score_above: Option<f64>,
}

enum Source {
    Story,
    File(PathBuf),
}

#[derive(Deserialize)]
struct Thresholds {
    sustained_rows: usize,
    score_above: BTreeMap<String, f64>,
}

impl Subject {
    /// Chooses by the arguments.
    ///
    /// # Errors
    /// A file that is missing or damaged, or a name that is no id.
    pub(super) fn new(args: &Args, root: &Path, folder: &Folder) -> anyhow::Result<Self> {
        match &args.model {
            None => Self::story(&root.join("xtask/story")),
            Some(model) => Self::files(args, model, folder),
        }
    }

    /// The version's threshold.
    pub(super) fn thresholds(&self) -> BTreeMap<String, f64> {
        let above = |release: &Release| Some((release.version.to_owned(), release.score_above?));
        self.releases.iter().filter_map(above).collect()
    }

    /// What the sensors of a device's machine feel, in columns of the model's input.
    ///
    /// # Errors
    /// The file cannot be read, or does not fit the model.
    pub(super) fn rows(&self, device: usize, width: usize) -> anyhow::Result<Rows> {
        let Source::File(path) = &self.source else {
            let rows = machine(device).rows(STORY_ROWS);
            return Ok(rows.iter().map(|row| row.to_vec()).collect());
        };
        let rows = table::read(path, &self.columns, width)?;
        let found = rows.first().map_or(0, Vec::len);
        ensure!(
            found == width,
            "failed to replay {}: because the model takes {width} numbers a row, not {found}: \
             hint: choose columns with --columns",
            path.display()
        );
        Ok(rows)
    }

    /// What is replayed, in words.
    pub(super) fn replay_title(&self) -> &'static str {
        match self.source {
            Source::File(_) => "every device is asked about each row of the data",
            Source::Story => "sensors feed every device; one machine will fail",
        }
    }

    /// First row in which a device's machine may be called ill, of the story's machines.
    pub(super) fn onset(&self, device: usize) -> Option<Onset> {
        match self.source {
            Source::File(_) => None,
            Source::Story if device == FAULTY => Some(Onset::Row(ONSET_ROW)),
            Source::Story => Some(Onset::Never),
        }
    }

    /// The device whose machine fails, of so many; none of the user's own data.
    pub(super) fn failing(&self, devices: usize) -> Option<usize> {
        (0..devices).find(|place| matches!(self.onset(*place), Some(Onset::Row(_))))
    }

    fn story(folder: &Path) -> anyhow::Result<Self> {
        let path = folder.join("threshold.json");
        let text = fs::read_to_string(&path)
            .with_context(|| format!("failed to read {}", path.display()))?;
        let thresholds: Thresholds = serde_json::from_str(&text)?;
        let release = |version: &'static str| Release {
            version,
            model: folder.join(format!("bearing-{version}.onnx")),
            golden: Some(folder.join(format!("bearing-{version}.golden.npz"))),
            score_above: thresholds.score_above.get(version).copied(),
        };
        Ok(Self {
            model: ModelId::parse("bearing")?,
            releases: VERSIONS.map(release),
            reference: folder.join("reference.csv"),
            columns: COLUMNS.map(str::to_owned).to_vec(),
            reference_columns: COLUMNS.map(str::to_owned).to_vec(),
            sustained_rows: thresholds.sustained_rows,
            source: Source::Story,
        })
    }

    fn files(args: &Args, model: &Path, folder: &Folder) -> anyhow::Result<Self> {
        let data = args.data.clone();
        let data = data.context("--model needs --data FILE, a CSV file to replay")?;
        let reference = match &args.reference {
            Some(reference) => reference.clone(),
            None => first_rows(&data, folder.join("reference.csv"))?,
        };
        let second = args.model2.as_ref();
        let golden = args.golden2.as_ref();
        let golden = golden.or(args.golden.as_ref().filter(|_| second.is_none()));
        let releases = [
            Release {
                version: VERSIONS[0],
                model: model.to_owned(),
                golden: args.golden.clone(),
                score_above: args.threshold,
            },
            Release {
                version: VERSIONS[1],
                model: second.map_or(model, PathBuf::as_path).to_owned(),
                golden: golden.cloned(),
                score_above: args.threshold2.or(args.threshold),
            },
        ];
        let chosen = |path: &Path| match args.columns.as_slice() {
            [] => table::numeric_columns(path),
            named => Ok(named.to_vec()),
        };
        Ok(Self {
            model: id_of(model)?,
            releases,
            columns: chosen(&data)?,
            reference_columns: chosen(&reference)?,
            reference,
            sustained_rows: args.sustained_rows,
            source: Source::File(data),
        })
    }
}

/// When a machine of the story falls ill.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Onset {
    Never,
    Row(usize),
}

fn machine(device: usize) -> Machine {
    let fault = if device == FAULTY {
        Fault::OuterRace {
            bearing: FAULTY_BEARING,
            onset_row: ONSET_ROW as u64,
        }
    } else {
        Fault::None
    };
    Machine::new(STORY_SEED + device as u64, fault)
}

/// The file's name as an id.
fn id_of(model: &Path) -> anyhow::Result<ModelId> {
    let stem = model.file_stem().unwrap_or_default().to_string_lossy();
    let id: String = stem
        .to_lowercase()
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .collect();
    let id = id.trim_matches('-');
    ModelId::parse(id).with_context(|| format!("failed to make an id of {}", model.display()))
}

/// The header and the first rows of a file, in another one.
fn first_rows(data: &Path, to: PathBuf) -> anyhow::Result<PathBuf> {
    let text = fs::read_to_string(data);
    let text = text.with_context(|| format!("failed to read {}", data.display()))?;
    let lines: Vec<_> = text.lines().take(1 + REFERENCE_ROWS).collect();
    fs::write(&to, lines.join("\n") + "\n")?;
    Ok(to)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_name_becomes_an_id() {
        let check = |path: &str, expect: Option<&str>| {
            let id = id_of(Path::new(path)).ok().map(|id| id.to_string());
            assert_eq!(id.as_deref(), expect, "{path}");
        };
        check("/a/bearing_ae.onnx", Some("bearing-ae"));
        check("_Press 7_.v2.onnx", Some("press-7--v2"));
        check("___.onnx", None);
    }

    #[test]
    fn without_a_reference_the_first_rows_are_it() -> anyhow::Result<()> {
        let folder = tempfile::tempdir()?;
        let (data, to) = (folder.path().join("data"), folder.path().join("reference"));
        fs::write(&data, "a\n".to_owned() + &"1\n".repeat(500))?;
        let text = fs::read_to_string(first_rows(&data, to)?)?;
        assert_eq!(text.lines().count(), 401);
        Ok(())
    }
}
