//! The project's files as tidy sees them: path to text.
//! Rules read this and nothing else, so a test can hand them a bad file that exists nowhere.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::Path,
};

/// Folders that are not ours to judge.
const SKIPPED_FOLDERS: [&str; 2] = [".git", "target"];

/// Every file below the root, by its path with forward slashes.
#[derive(Default)]
pub(crate) struct Tree {
    texts: BTreeMap<String, String>,
    binaries: BTreeSet<String>,
}

impl Tree {
    /// Reads the folder `root`.
    ///
    /// # Errors
    /// The first folder or file that cannot be read.
    pub(crate) fn read(root: &Path) -> io::Result<Self> {
        let mut tree = Self::default();
        tree.read_folder(root, "")?;
        Ok(tree)
    }

    /// All text files in the order of their paths.
    pub(crate) fn texts(&self) -> impl Iterator<Item = (&str, &str)> {
        self.texts
            .iter()
            .map(|(path, text)| (path.as_str(), text.as_str()))
    }

    /// The text files whose names end in `suffix`.
    pub(crate) fn ending(&self, suffix: &str) -> impl Iterator<Item = (&str, &str)> {
        self.texts().filter(move |(path, _)| path.ends_with(suffix))
    }

    /// The text of one file.
    pub(crate) fn text(&self, path: &str) -> Option<&str> {
        self.texts.get(path).map(String::as_str)
    }

    /// Every path, text or not.
    pub(crate) fn paths(&self) -> impl Iterator<Item = &str> {
        self.texts.keys().chain(&self.binaries).map(String::as_str)
    }

    /// Whether `path` is a file or a folder that holds one.
    pub(crate) fn holds(&self, path: &str) -> bool {
        self.paths().any(|file| {
            file.strip_prefix(path)
                .is_some_and(|left| left.is_empty() || left.starts_with('/'))
        })
    }

    fn read_folder(&mut self, folder: &Path, name: &str) -> io::Result<()> {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let Ok(own_name) = entry.file_name().into_string() else {
                continue;
            };
            let path = join(name, &own_name);
            let kind = entry.file_type()?;
            if kind.is_file() {
                self.read_file(&entry.path(), path)?;
            } else if kind.is_dir() && !SKIPPED_FOLDERS.contains(&own_name.as_str()) {
                self.read_folder(&entry.path(), &path)?;
            }
        }
        Ok(())
    }

    fn read_file(&mut self, file: &Path, path: String) -> io::Result<()> {
        match String::from_utf8(fs::read(file)?) {
            Ok(text) => drop(self.texts.insert(path, text)),
            Err(_) => drop(self.binaries.insert(path)),
        }
        Ok(())
    }
}

/// Puts a name below a folder; the root's own name is empty.
pub(crate) fn join(folder: &str, name: &str) -> String {
    if folder.is_empty() {
        name.to_owned()
    } else {
        format!("{folder}/{name}")
    }
}

/// The folder of a file, empty at the root.
pub(crate) fn folder_of(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// Follows `target` from `folder`, stepping up at `..`; nothing when it leaves the root.
pub(crate) fn resolve(folder: &str, target: &str) -> Option<String> {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            _ => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

#[cfg(test)]
impl Tree {
    /// A tree of made-up files.
    pub(crate) fn of(files: &[(&str, &str)]) -> Self {
        let texts = files
            .iter()
            .map(|&(path, text)| (path.to_owned(), text.to_owned()))
            .collect();
        Self {
            texts,
            binaries: BTreeSet::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_followed_but_not_out_of_the_root() {
        assert_eq!(
            resolve("docs/decisions", "../a.md").as_deref(),
            Some("docs/a.md")
        );
        assert_eq!(resolve("", "./a/b").as_deref(), Some("a/b"));
        assert_eq!(resolve("docs", "../../a"), None);
    }

    #[test]
    fn a_folder_is_held_when_a_file_is_in_it() {
        let tree = Tree::of(&[("docs/a.md", "")]);
        assert!(tree.holds("docs") && tree.holds("docs/a.md"));
        assert!(!tree.holds("doc") && !tree.holds("docs/a"));
    }

    #[test]
    fn reading_skips_what_is_built_and_keeps_what_is_no_text() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let put = |path: &str, bytes: &[u8]| {
            let file = folder.path().join(path);
            fs::create_dir_all(file.parent().expect("a parent")).expect("a folder");
            fs::write(file, bytes).expect("a file");
        };
        put("src/lib.rs", b"//! x");
        put("model.onnx", &[0xff, 0xfe]);
        put("target/debug/out.rs", b"");
        let tree = Tree::read(folder.path()).expect("a readable tree");
        assert_eq!(
            tree.paths().collect::<Vec<_>>(),
            ["src/lib.rs", "model.onnx"]
        );
        assert_eq!(tree.text("src/lib.rs"), Some("//! x"));
    }
}
