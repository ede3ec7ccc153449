//! Replays the committed corpus of every fuzz target, and every input that once found a defect.
//!
//! What a target demands is in `protocol/fuzz/src`, for libFuzzer and for here alike. Never makes
//! up an input: `cargo xtask fuzz` does.

#[path = "../../protocol/fuzz/src/lib.rs"]
mod targets;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use targets::TARGETS;

/// Bytes of all committed inputs together.
const BYTES_MAX: u64 = 3 * 1024 * 1024;
/// Committed inputs together.
const FILES_MAX: usize = 4000;

fn fuzz() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../protocol/fuzz")
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = folder.read_dir() else {
        return Vec::new();
    };
    let entries = entries.map(|entry| entry.expect("a readable folder").path());
    entries.collect()
}

/// The inputs of a folder on which a target falls over.
fn failing(run: fn(&[u8]), inputs: &[PathBuf]) -> Vec<&PathBuf> {
    let falls = |path: &&PathBuf| {
        let bytes = std::fs::read(path).expect("a readable file");
        std::panic::catch_unwind(|| run(&bytes)).is_err()
    };
    inputs.iter().filter(falls).collect()
}

#[test]
fn every_committed_input_is_taken() {
    for (name, run) in TARGETS {
        let corpus = files(&fuzz().join("corpus").join(name));
        assert!(!corpus.is_empty(), "{name} has no corpus");
        assert_eq!(failing(run, &corpus), Vec::<&PathBuf>::new(), "{name}");
        let crashes = files(&fuzz().join("crashes").join(name));
        assert_eq!(failing(run, &crashes), Vec::<&PathBuf>::new(), "{name}");
    }
}

#[test]
fn every_folder_and_every_program_belongs_to_a_target() {
    let known: BTreeSet<_> = TARGETS.map(|(name, _)| name.to_owned()).into();
    let names = |folder: &str| -> BTreeSet<String> {
        let stems = files(&fuzz().join(folder)).into_iter();
        stems
            .filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned()))
            .collect()
    };
    assert_eq!(names("corpus"), known);
    assert_eq!(names("fuzz_targets"), known);
    assert!(names("crashes").is_subset(&known));
    let manifest = std::fs::read_to_string(fuzz().join("Cargo.toml")).expect("a readable file");
    for name in known {
        let path = format!("path = \"fuzz_targets/{name}.rs\"");
        assert!(manifest.contains(&path), "{name} is not built");
    }
}

#[test]
fn the_corpus_stays_small() {
    let folders = TARGETS.map(|(name, _)| files(&fuzz().join("corpus").join(name)));
    let inputs = folders.concat();
    let sizes = inputs
        .iter()
        .map(|path| path.metadata().expect("a readable file").len());
    let bytes: u64 = sizes.sum();
    assert!(bytes <= BYTES_MAX, "{bytes} bytes");
    assert!(inputs.len() <= FILES_MAX, "{} files", inputs.len());
}
