//! The model of the disk itself.

use super::cut::{Kind, fates};
use super::files::{Files, Tree};
use crate::store::disk::recorder::Note;
use std::path::PathBuf;

fn write(bytes: &[u8]) -> Vec<Note> {
    let path = PathBuf::from("a.tmp");
    vec![
        Note::Create(path.clone()),
        Note::Write(path.clone(), 0, bytes.into()),
        Note::Sync(path.clone()),
        Note::Rename(path, PathBuf::from("a")),
        Note::SyncFolder(PathBuf::new()),
    ]
}

/// What `a` and `a.tmp` may hold after a cut behind so many notes of writing "two" over "one".
fn check(notes: usize, expect: &[&str]) {
    let mut files = Files::of(&Tree::new());
    let whole: Vec<_> = write(b"one").into_iter().chain(write(b"two")).collect();
    whole[..notes].iter().for_each(|note| files.obey(note));
    let text = |tree: &Tree, name: &str| match tree.get(&PathBuf::from(name)) {
        Some(Some(content)) => String::from_utf8_lossy(&content.bytes).replace('\0', "0"),
        _ => "-".to_owned(),
    };
    let disks = fates(&files).into_iter().map(|(_, fates)| {
        let tree = files.after(&fates);
        format!("{} {}", text(&tree, "a"), text(&tree, "a.tmp"))
    });
    let disks: std::collections::BTreeSet<_> = disks.collect();
    let expect: std::collections::BTreeSet<_> = expect.iter().map(|s| (*s).to_owned()).collect();
    assert_eq!(disks, expect, "after {notes}");
}

#[test]
fn what_is_not_synced_may_be_there_or_not() {
    check(0, &["- -"]);
    check(1, &["- -", "- "]);
    check(2, &["- -", "- ", "- one", "- o", "- 000", "- o00"]);
    check(3, &["- -", "- one"]);
    check(4, &["- -", "- one", "one -"]);
    check(5, &["one -"]);
    check(9, &["one -", "one two", "two -"]);
    check(10, &["two -"]);
}

#[test]
fn every_combination_of_few_effects_is_tried_and_the_telling_ones_of_many() {
    let check = |effects: usize, expect: usize| {
        let mut files = Files::of(&Tree::new());
        for n in 0..effects {
            files.obey(&Note::Create(PathBuf::from(n.to_string())));
        }
        let fates = fates(&files);
        let of = |kind| fates.iter().filter(|(k, _)| *k == kind).count();
        assert_eq!(fates.len(), expect, "{effects}");
        assert!(of(Kind::Lost) >= 1 && of(Kind::Kept) >= usize::from(effects > 0));
    };
    check(0, 1);
    check(3, 8);
    check(5, 32);
    check(6, 2 + 5 + 6 + 6);
}
