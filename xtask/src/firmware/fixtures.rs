//! Makes the documents that the image judges: good ones, and one for each attack, named for it.
//!
//! The same bytes every time, from fixed keys that sign nothing else. The expected window is not
//! made here: `device/tests/firmware_window.rs` folds it with the machines of Linux.

mod counting;
mod documents;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};

/// What the test of `device` writes.
pub(super) const WINDOW: &str = "window.cbor";

/// The folder of all fixtures.
pub(super) fn folder(root: &Path) -> PathBuf {
    root.join("firmware/fixtures")
}

/// Writes every fixture.
///
/// # Errors
/// The folder is not writable.
pub(super) fn write(root: &Path) -> anyhow::Result<()> {
    let folder = folder(root);
    for (name, bytes) in all() {
        let path = folder.join(name);
        fs::write(&path, bytes).with_context(|| format!("failed to write {}", path.display()))?;
    }
    println!("wrote {} fixtures to {}", all().len(), folder.display());
    println!("the expected window: MUSTER_BLESS=1 cargo test --workspace --test firmware_window");
    Ok(())
}

/// Compares the committed files with what is made today.
///
/// # Errors
/// One is missing, differs, or is not ours.
pub(super) fn check(root: &Path) -> anyhow::Result<()> {
    let (folder, mut made) = (folder(root), all());
    let listed = fs::read_dir(&folder);
    let listed = listed.with_context(|| format!("failed to read {}", folder.display()))?;
    for entry in listed {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name == WINDOW {
            continue;
        }
        let Some(bytes) = made.remove(name.as_str()) else {
            bail!("firmware/fixtures/{name} is made by nobody");
        };
        if fs::read(folder.join(&name))? != bytes {
            bail!("firmware/fixtures/{name} is not what `cargo xtask firmware fixtures` makes");
        }
    }
    if let Some(name) = made.keys().next() {
        bail!("firmware/fixtures/{name} is missing: run `cargo xtask firmware fixtures`");
    }
    Ok(())
}

/// Every fixture by its file name.
fn all() -> BTreeMap<&'static str, Vec<u8>> {
    let mut all: BTreeMap<_, _> = documents::all().into_iter().collect();
    all.extend([
        ("reference.cbor", counting::reference()),
        ("samples.bin", counting::samples()),
        ("samples-cut-row.bin", counting::cut_row()),
        ("kilobyte.bin", (0..=255).cycle().take(1024).collect()),
    ]);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_fixtures_are_what_is_made() {
        check(&crate::run::root()).expect("the same bytes");
    }

    #[test]
    fn a_changed_fixture_is_found() {
        let root = tempfile::tempdir().expect("a temporary folder");
        fs::create_dir_all(folder(root.path())).expect("a folder");
        write(root.path()).expect("writable");
        check(root.path()).expect("as made");
        let file = folder(root.path()).join("statement.cose");
        let mut bytes = fs::read(&file).expect("made");
        bytes[100] ^= 1;
        fs::write(&file, &bytes).expect("writable");
        assert!(check(root.path()).is_err(), "changed");
        fs::remove_file(&file).expect("there");
        assert!(check(root.path()).is_err(), "missing");
    }
}
