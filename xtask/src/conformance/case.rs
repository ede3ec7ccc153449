//! Which cases a folder holds, and what they are called.
//! It looks at names only; what is in the files is the agent's affair.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context as _;

use super::archive::Unpacked;

/// The file of a case that is a folder.
const MODEL: &str = "model.onnx";
/// Its first set of test data.
const FIRST_SET: &str = "test_data_set_0";
/// Deepest folder below the one that was named.
const DEPTH_MAX: usize = 8;

/// One model, and where its test data are.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Case {
    /// The folder or archive that it was found in, as people call it.
    pub(super) group: String,
    /// Its own folder, or its file.
    pub(super) name: String,
    /// The ONNX file.
    pub(super) model: PathBuf,
    /// The folder that holds its sets; a model without any is only loaded.
    pub(super) test_data: Option<PathBuf>,
}

/// The cases below `path`, sorted; archives are unpacked for as long as the second value lives.
///
/// # Errors
/// Something cannot be read or unpacked.
pub(super) fn find(path: &Path) -> anyhow::Result<(Vec<Case>, Vec<Unpacked>)> {
    let (mut cases, mut unpacked) = (Vec::new(), Vec::new());
    let group = name_of(path);
    visit(path, &group, 0, &mut cases, &mut unpacked)?;
    cases.sort();
    Ok((cases, unpacked))
}

fn visit(
    path: &Path,
    group: &str,
    depth: usize,
    cases: &mut Vec<Case>,
    unpacked: &mut Vec<Unpacked>,
) -> anyhow::Result<()> {
    if path.is_dir() {
        return visit_folder(path, group, depth, cases, unpacked);
    }
    let extension = path.extension().and_then(|extension| extension.to_str());
    match extension {
        Some("tgz") => {
            let archive = Unpacked::of(path)?;
            visit_folder(archive.folder(), &name_of(path), depth, cases, unpacked)?;
            unpacked.push(archive);
        }
        Some("onnx") => cases.push(Case {
            group: group.to_owned(),
            name: name_of(path),
            model: path.to_owned(),
            test_data: None,
        }),
        Some(_) | None => {}
    }
    Ok(())
}

fn visit_folder(
    folder: &Path,
    group: &str,
    depth: usize,
    cases: &mut Vec<Case>,
    unpacked: &mut Vec<Unpacked>,
) -> anyhow::Result<()> {
    let failed = || format!("failed to read {}", folder.display());
    for entry in fs::read_dir(folder).with_context(failed)? {
        let path = entry.with_context(failed)?.path();
        let group = match path.is_dir() && !is_case(&path) && !is_set(&path) {
            true => format!("{group}/{}", name_of(&path)),
            false => group.to_owned(),
        };
        if is_case(&path) {
            cases.push(case(&path, group));
        } else if depth < DEPTH_MAX && !is_set(&path) {
            visit(&path, &group, depth + 1, cases, unpacked)?;
        }
    }
    Ok(())
}

fn is_case(path: &Path) -> bool {
    path.join(MODEL).is_file()
}

fn is_set(path: &Path) -> bool {
    path.is_dir() && name_of(path).starts_with("test_data_set_")
}

fn case(folder: &Path, group: String) -> Case {
    let has_data = folder.join(FIRST_SET).is_dir();
    Case {
        group,
        name: name_of(folder),
        model: folder.join(MODEL),
        test_data: has_data.then(|| folder.to_owned()),
    }
}

fn name_of(path: &Path) -> String {
    let whole = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let name = whole.file_name().unwrap_or(whole.as_os_str());
    name.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(folder: &Path, file: &str) {
        let path = folder.join(file);
        fs::create_dir_all(path.parent().expect("below the folder")).expect("a folder");
        fs::write(path, b"").expect("written");
    }

    #[test]
    fn cases_are_found_wherever_they_are() {
        let folder = tempfile::tempdir().expect("a folder");
        let all = folder.path().join("all");
        for file in [
            "models/b/model.onnx",
            "models/b/test_data_set_0/input_0.pb",
            "models/b/test_data_set_0/odd.onnx",
            "models/a/model.onnx",
            "hostile/bare.onnx",
            "hostile/readme.txt",
        ] {
            put(&all, file);
        }
        let (cases, unpacked) = find(&all).expect("read");
        let told = |case: &Case| {
            (
                format!("{}:{}", case.group, case.name),
                case.test_data.is_some(),
            )
        };
        let told: Vec<_> = cases.iter().map(told).collect();
        let expect = [
            ("all/hostile:bare.onnx", false),
            ("all/models:a", false),
            ("all/models:b", true),
        ];
        let expect = expect.map(|(name, data)| (name.to_owned(), data));
        assert_eq!(told, expect);
        assert!(unpacked.is_empty());
        let (one, _) = find(&all.join("hostile/bare.onnx")).expect("read");
        assert_eq!(one[0].name, "bare.onnx");
        assert!(
            find(&folder.path().join("nowhere"))
                .expect("nothing")
                .0
                .is_empty()
        );
    }

    #[test]
    fn an_archive_is_a_folder_of_its_own() {
        let folder = tempfile::tempdir().expect("a folder");
        let bytes = super::super::archive::tests::packed(&[
            "node/test_abs/model.onnx",
            "node/test_abs/test_data_set_0/input_0.pb",
        ]);
        fs::write(folder.path().join("cases.tgz"), bytes).expect("written");
        let (cases, unpacked) = find(folder.path()).expect("read");
        assert_eq!((cases.len(), unpacked.len()), (1, 1));
        let Case {
            group,
            name,
            model,
            test_data,
        } = &cases[0];
        assert_eq!(
            (group.as_str(), name.as_str()),
            ("cases.tgz/node", "test_abs")
        );
        assert!(model.is_file() && test_data.is_some());
        drop(unpacked);
        assert!(!model.exists(), "the unpacked cases are removed");
    }
}
