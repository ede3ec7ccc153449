//! The folder in which the demo happens: removed at the end, unless it was named to be kept.
//! Never removes a folder that it has not made.

use std::{
    env, fs,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    process,
};

use anyhow::{Context as _, ensure};

/// The longest path that a unix socket can have, with room for its end.
const PATH_BYTES_MAX: usize = 100;
/// The longest path below the folder that an agent's socket has.
const SOCKET_BYTES: usize = "/agents/press-00/run/agent.sock".len();

/// A folder for controller, agents, bundles and logs.
pub(super) struct Folder {
    path: PathBuf,
    end: End,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Remove,
    Keep,
}

impl Folder {
    /// The named folder, new or empty, which stays; or a temporary one.
    ///
    /// # Errors
    /// It holds something, is too deep for a unix socket, or the disk refuses.
    pub(super) fn new(kept: Option<&Path>) -> anyhow::Result<Self> {
        let (path, end) = match kept {
            Some(path) => (std::path::absolute(path)?, End::Keep),
            None => (
                env::temp_dir().join(format!("muster-demo-{}", process::id())),
                End::Remove,
            ),
        };
        ensure!(
            path.as_os_str().len() + SOCKET_BYTES <= PATH_BYTES_MAX,
            "failed to use {}: because a unix socket in it would have too long a path: \
             hint: name a shorter one with --keep DIR",
            path.display()
        );
        let mut builder = fs::DirBuilder::new();
        let made = builder
            .recursive(end == End::Keep)
            .mode(0o700)
            .create(&path);
        made.with_context(|| format!("failed to make {}", path.display()))?;
        ensure!(
            fs::read_dir(&path)?.next().is_none(),
            "failed to use {}: because it is not empty: hint: name a new folder",
            path.display()
        );
        Ok(Self { path, end })
    }

    /// A path in it.
    pub(super) fn join(&self, name: impl AsRef<Path>) -> PathBuf {
        self.path.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        match self.end {
            End::Keep => println!("kept: {}", self.path.display()),
            End::Remove => {
                if let Err(error) = fs::remove_dir_all(&self.path) {
                    eprintln!("failed to remove {}: because {error}", self.path.display());
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_temporary_folder_is_removed() -> anyhow::Result<()> {
        let parent = tempfile::tempdir()?;
        let kept = parent.path().join("kept");
        drop(Folder::new(Some(&kept))?);
        assert!(kept.exists());
        fs::write(kept.join("file"), "")?;
        assert!(Folder::new(Some(&kept)).is_err(), "not empty");
        let folder = Folder::new(None)?;
        let path = folder.join(".");
        drop(folder);
        assert!(!path.exists());
        Ok(())
    }

    #[test]
    fn a_folder_too_deep_for_a_socket_is_refused_before_it_is_made() -> anyhow::Result<()> {
        let parent = tempfile::tempdir()?;
        let deep = parent.path().join("x".repeat(80));
        let error = Folder::new(Some(&deep))
            .err()
            .map(|error| error.to_string());
        assert!(error.is_some_and(|error| error.contains("too long a path")));
        assert!(!deep.exists());
        Ok(())
    }
}
