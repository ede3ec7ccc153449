//! Unpacks an archive of cases into a folder that is removed in the end.
//! Takes regular files and folders below it only: never a link, never a path that leaves it.

use std::{
    env, fs,
    fs::File,
    io::{BufReader, Read},
    path::{Component, Path, PathBuf},
    process,
    sync::atomic::{AtomicUsize, Ordering},
};

use anyhow::{Context as _, ensure};
use flate2::read::GzDecoder;

/// Most bytes of an archive once it is unpacked: more is no set of test cases.
const BYTES_MAX: u64 = 4 << 30;

/// Archives so far: each has a folder of its own.
static COUNT: AtomicUsize = AtomicUsize::new(0);

/// An archive's content on disk, until it is dropped.
pub(super) struct Unpacked(PathBuf);

impl Unpacked {
    /// Unpacks the archive at `path`.
    ///
    /// # Errors
    /// It cannot be read, is no archive, or holds what does not belong into one.
    pub(super) fn of(path: &Path) -> anyhow::Result<Self> {
        let failed = || format!("failed to unpack {}", path.display());
        let file = File::open(path).with_context(failed)?;
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("muster-conformance-{}-{count}", process::id());
        let unpacked = Self(env::temp_dir().join(name));
        fs::create_dir(&unpacked.0).with_context(failed)?;
        unpacked.fill(BufReader::new(file)).with_context(failed)?;
        Ok(unpacked)
    }

    /// The folder.
    pub(super) fn folder(&self) -> &Path {
        &self.0
    }

    fn fill(&self, packed: impl Read) -> anyhow::Result<()> {
        let mut archive = tar::Archive::new(GzDecoder::new(packed).take(BYTES_MAX));
        for entry in archive.entries()? {
            let mut entry = entry?;
            let path = entry.path()?.into_owned();
            let inside =
                |part: Component<'_>| matches!(part, Component::Normal(_) | Component::CurDir);
            ensure!(
                path.components().all(inside),
                "{} leaves the archive",
                path.display()
            );
            if entry.header().entry_type().is_file() {
                let to = self.0.join(&path);
                let folder = to.parent().context("a file without a folder")?;
                fs::create_dir_all(folder)?;
                std::io::copy(&mut entry, &mut File::create(&to)?)?;
            }
        }
        Ok(())
    }
}

impl Drop for Unpacked {
    fn drop(&mut self) {
        let _already_gone = fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use flate2::{Compression, write::GzEncoder};

    /// An archive of empty files.
    pub(in super::super) fn packed(names: &[&str]) -> Vec<u8> {
        let mut builder = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
        for name in names {
            let mut header = tar::Header::new_gnu();
            // As an attacker would write it: the checked way refuses some of these.
            header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
            header.set_size(0);
            header.set_mode(0o644);
            header.set_cksum();
            builder.append(&header, &[][..]).expect("memory takes it");
        }
        let encoder = builder.into_inner().expect("finished");
        encoder.finish().expect("memory takes it")
    }

    #[test]
    fn what_leaves_the_archive_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let check = |names: &[&str], expect: Option<&str>| {
            let path = folder.path().join("cases.tgz");
            fs::write(&path, packed(names)).expect("written");
            let said = Unpacked::of(&path).err().map(|error| format!("{error:#}"));
            assert_eq!(said.is_some(), expect.is_some(), "{names:?}: {said:?}");
            let contains = |part| said.as_ref().is_some_and(|text| text.contains(part));
            assert!(expect.is_none_or(contains), "{said:?}");
        };
        check(&["a/model.onnx", "./b/model.onnx"], None);
        check(&["../model.onnx"], Some("leaves the archive"));
        check(&["/model.onnx"], Some("leaves the archive"));
        fs::write(folder.path().join("text.tgz"), b"no archive").expect("written");
        assert!(Unpacked::of(&folder.path().join("text.tgz")).is_err());
    }
}
