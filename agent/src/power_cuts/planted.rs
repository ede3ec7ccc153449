//! Recordings as a program with a certain mistake would have left them.
//!
//! They prove that the enumeration finds the mistake; the program itself is not touched.

use crate::store::disk::recorder::Note;
use std::path::Path;

/// A mistake in the order of what is asked of the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mistake {
    /// A file takes its name before its bytes are synced.
    RenameBeforeSync,
    /// The folder is not synced after a file took its name.
    NoFolderSync,
    /// A body goes before the document that it became is durable.
    BodyRemovedFirst,
    /// Acknowledged documents go before it is durable that they are acknowledged.
    CoveredAfterRemoval,
    /// A blob takes its place without its bytes being synced.
    BlobNotSynced,
    /// A folder is made and the one that it is in is not synced.
    FolderNotSynced,
    /// Of two merged bodies the earlier one goes without a sync before the later takes its name.
    MergeNotOrdered,
}

/// The recording with the mistake made everywhere.
pub fn plant(notes: &[Note], mistake: Mistake) -> Vec<Note> {
    let mut notes = notes.to_vec();
    match mistake {
        Mistake::RenameBeforeSync => rename_before_sync(&mut notes),
        Mistake::NoFolderSync => drop_after(&mut notes, |note| matches!(note, Note::Rename(..))),
        Mistake::FolderNotSynced => {
            drop_after(&mut notes, |note| matches!(note, Note::MakeFolder(_)));
        }
        Mistake::BlobNotSynced => drop_sync_of_blobs(&mut notes),
        Mistake::BodyRemovedFirst => {
            move_before(&mut notes, is_body, |note| creates(note, "f-"));
        }
        Mistake::CoveredAfterRemoval => {
            move_before(&mut notes, is_document, |note| creates(note, "stream"));
        }
        Mistake::MergeNotOrdered => drop_after(&mut notes, is_body),
    }
    notes
}

fn name(path: &Path) -> &str {
    path.file_name()
        .and_then(|name| name.to_str())
        .unwrap_or("")
}

fn is_body(note: &Note) -> bool {
    matches!(note, Note::Remove(path) if name(path).starts_with("p-"))
}

fn is_document(note: &Note) -> bool {
    matches!(note, Note::Remove(path) if name(path).starts_with("f-"))
}

fn creates(note: &Note, prefix: &str) -> bool {
    matches!(note, Note::Create(path) if name(path).starts_with(prefix))
}

fn rename_before_sync(notes: &mut [Note]) {
    for at in 1..notes.len() {
        let (Note::Sync(synced), Note::Rename(from, to)) = (&notes[at - 1], &notes[at]) else {
            continue;
        };
        if synced == from {
            let (rename, sync) = (notes[at].clone(), Note::Sync(to.clone()));
            (notes[at - 1], notes[at]) = (rename, sync);
        }
    }
}

/// Drops each sync of a folder that comes right after such a note.
fn drop_after(notes: &mut Vec<Note>, is_before: impl Fn(&Note) -> bool) {
    let mut after = false;
    notes.retain(|note| {
        let dropped = after && matches!(note, Note::SyncFolder(_));
        after = is_before(note);
        !dropped
    });
}

fn drop_sync_of_blobs(notes: &mut Vec<Note>) {
    let partial = |path: &Path| path.starts_with("partial");
    notes.retain(|note| !matches!(note, Note::Sync(path) if partial(path)));
}

/// Moves each such removal to before the last note that began the write it follows.
fn move_before(
    notes: &mut Vec<Note>,
    is_moved: impl Fn(&Note) -> bool,
    is_begin: impl Fn(&Note) -> bool,
) {
    let mut begin = None;
    for at in 0..notes.len() {
        if is_begin(&notes[at]) {
            begin = Some(at);
        } else if is_moved(&notes[at]) {
            if let Some(place) = begin {
                let note = notes.remove(at);
                notes.insert(place, note);
                begin = Some(place + 1);
            }
        } else if matches!(notes[at], Note::Create(_) | Note::Said(..)) {
            begin = None;
        }
    }
}
