//! Writing to a stick: each file is there whole or not at all, and can be read by whoever carries
//! it on.
//!
//! Never through a link: a stick that comes from elsewhere must not lead out of itself. Never the state of this device, which [`crate::store::disk`] alone changes: what is here are
//! copies.

use crate::error::Failure;
use muster_protocol::stick;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Makes a folder a stick, if it is none yet.
///
/// # Errors
/// The disk refuses.
pub fn begin(folder: &Path) -> Result<(), Failure> {
    put(folder, stick::MARKER, stick::MARKER_TEXT.as_bytes())
}

/// Puts a file on a stick, with the folders above it.
///
/// # Errors
/// The disk refuses.
pub fn put(stick: &Path, name: &str, bytes: &[u8]) -> Result<(), Failure> {
    let path = stick.join(name);
    write(stick, &path, bytes).map_err(|error| Failure::file("write", &path, error))
}

fn write(stick: &Path, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().unwrap_or(stick);
    refuse_links(stick, folder)?;
    fs::create_dir_all(folder)?;
    let unfinished = path.with_added_extension("new");
    match fs::remove_file(&unfinished) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut file = File::create_new(&unfinished)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&unfinished, path)
}

/// Whoever made the stick may have put a link in the place of a folder.
fn refuse_links(stick: &Path, folder: &Path) -> io::Result<()> {
    let mut path = PathBuf::from(stick);
    for part in folder.strip_prefix(stick).into_iter().flatten() {
        path.push(part);
        if fs::symlink_metadata(&path).is_ok_and(|found| found.is_symlink()) {
            let because = format!("{} is a link", path.display());
            return Err(io::Error::new(io::ErrorKind::InvalidData, because));
        }
    }
    Ok(())
}

/// Removes what is in a folder of a stick and not among `kept`.
///
/// # Errors
/// The disk refuses.
pub fn keep_only(stick: &Path, folder: &str, kept: &[String]) -> Result<(), Failure> {
    let folder = stick.join(folder);
    refuse_links(stick, &folder).map_err(|error| Failure::file("remove", &folder, error))?;
    for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        if !kept.iter().any(|kept| **kept == *name) {
            let path = entry.path();
            fs::remove_file(&path).map_err(|error| Failure::file("remove", &path, error))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_holds_what_was_put_and_kept() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let stick = folder.path().join("made/stick");
        begin(&stick).expect("begins");
        for name in ["a/one", "a/two", "a/two"] {
            put(&stick, name, name.as_bytes()).expect("writes");
        }
        keep_only(&stick, "a", &["two".to_owned()]).expect("removes");
        keep_only(&stick, "nowhere", &[]).expect("nothing to remove");
        let names: Vec<_> = fs::read_dir(stick.join("a"))
            .expect("there")
            .map(|entry| entry.expect("named").file_name())
            .collect();
        assert_eq!(names, ["two"]);
        assert_eq!(fs::read(stick.join("a/two")).expect("reads"), b"a/two");
    }

    #[test]
    fn a_link_on_a_stick_leads_nowhere() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let (stick, outside) = (folder.path().join("stick"), folder.path().join("outside"));
        begin(&stick).expect("begins");
        fs::create_dir(&outside).expect("makes");
        fs::write(outside.join("secret"), b"kept").expect("writes");
        let link = |from: &Path, name: &str| {
            std::os::unix::fs::symlink(from, stick.join(name)).expect("links");
        };
        link(&outside, "folder");
        let error = put(&stick, "folder/secret", b"lost").expect_err("refused");
        assert!(error.to_string().contains("is a link"), "{error}");
        keep_only(&stick, "folder", &[]).expect_err("refused");
        link(&outside.join("secret"), "file.new");
        link(&outside.join("secret"), "file");
        put(&stick, "file", b"new").expect("in the place of both links");
        assert_eq!(fs::read(outside.join("secret")).expect("reads"), b"kept");
        assert_eq!(fs::read(stick.join("file")).expect("reads"), b"new");
    }
}
