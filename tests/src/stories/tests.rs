//! Every story against its golden transcript.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::{Planted, transcript};

fn folder() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/stories"))
}

/// Stories by name.
fn stories() -> BTreeMap<String, String> {
    let files = std::fs::read_dir(folder()).expect("stories");
    let paths = files.map(|file| file.expect("a file").path());
    let stories = paths.filter(|path| path.extension().is_some_and(|end| end == "story"));
    let read = |path: PathBuf| {
        let name = path
            .file_stem()
            .expect("a name")
            .to_string_lossy()
            .into_owned();
        (name, std::fs::read_to_string(path).expect("readable"))
    };
    stories.map(read).collect()
}

fn play(name: &str, text: &str, planted: Planted) -> String {
    let told = transcript(&format!("tests/stories/{name}.story"), text, planted);
    told.unwrap_or_else(|bad| panic!("{bad}"))
}

#[test]
fn stories_are_told_as_before() {
    let bless = std::env::var_os("MUSTER_BLESS").is_some_and(|bless| bless == "1");
    let mut differ = Vec::new();
    for (name, text) in stories() {
        let told = play(&name, &text, Planted::Nothing);
        let path = folder().join(format!("{name}.transcript"));
        if bless {
            std::fs::write(path, told).expect("writable");
        } else if std::fs::read_to_string(path).unwrap_or_default() != told {
            differ.push(format!("{name}:\n{told}"));
        }
    }
    assert!(
        differ.is_empty(),
        "MUSTER_BLESS=1 writes them\n{}",
        differ.join("\n")
    );
}
