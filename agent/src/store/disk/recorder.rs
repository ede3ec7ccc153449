//! Of the tests: notes what is asked of the disk under one folder, in order, from any thread.
//!
//! It changes nothing but when it is told to refuse. Whoever holds its turn is alone on the disk,
//! so that the order of a recording does not depend on threads.

use muster_protocol::topic::Up;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, LazyLock, Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};

/// One thing that was asked of the disk and done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation<'a> {
    /// A folder was made.
    MakeFolder(&'a Path),
    /// A file was made, or emptied.
    Create(&'a Path),
    /// Bytes were written at a place.
    Write(&'a Path, u64, &'a [u8]),
    /// The file takes at least so many bytes.
    Reserve(&'a Path, u64),
    /// What a file holds was made durable.
    Sync(&'a Path),
    /// A file was renamed.
    Rename(&'a Path, &'a Path),
    /// A file was removed.
    Remove(&'a Path),
    /// The names of a folder were made durable.
    SyncFolder(&'a Path),
}

/// One line of a recording; paths are relative to its folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    /// [`Operation::MakeFolder`].
    MakeFolder(PathBuf),
    /// [`Operation::Create`].
    Create(PathBuf),
    /// [`Operation::Write`].
    Write(PathBuf, u64, Arc<[u8]>),
    /// [`Operation::Reserve`].
    Reserve(PathBuf, u64),
    /// [`Operation::Sync`].
    Sync(PathBuf),
    /// [`Operation::Rename`].
    Rename(PathBuf, PathBuf),
    /// [`Operation::Remove`].
    Remove(PathBuf),
    /// [`Operation::SyncFolder`].
    SyncFolder(PathBuf),
    /// The caller relies on the file from here on.
    ReliedOn(PathBuf),
    /// Something left the device.
    Said(Up, Arc<[u8]>),
    /// A step of the story that is told.
    Step(u64),
}

impl Note {
    /// Its name, if it is something that was asked of the disk.
    pub fn operation(&self) -> Option<&'static str> {
        Some(match self {
            Self::MakeFolder(_) => "make folder",
            Self::Create(_) => "create",
            Self::Write(..) => "write",
            Self::Reserve(..) => "reserve",
            Self::Sync(_) => "sync",
            Self::Rename(..) => "rename",
            Self::Remove(_) => "remove",
            Self::SyncFolder(_) => "sync folder",
            Self::ReliedOn(_) | Self::Said(..) | Self::Step(_) => return None,
        })
    }

    /// Whether it is something that was asked of the disk.
    pub fn is_operation(&self) -> bool {
        self.operation().is_some()
    }

    /// Whether more is expected of the device from here on than before.
    pub fn is_promise(&self) -> bool {
        matches!(self, Self::Said(Up::Hello | Up::Doc, _) | Self::Step(_))
    }

    /// The file or folder that it is about; of a rename the old name and the new one.
    pub fn paths(&self) -> [Option<&Path>; 2] {
        match self {
            Self::Rename(from, to) => [Some(from), Some(to)],
            Self::MakeFolder(path)
            | Self::Create(path)
            | Self::Write(path, ..)
            | Self::Reserve(path, _)
            | Self::Sync(path)
            | Self::Remove(path)
            | Self::SyncFolder(path)
            | Self::ReliedOn(path) => [Some(path), None],
            Self::Said(..) | Self::Step(_) => [None, None],
        }
    }

    /// For people.
    pub fn line(&self) -> String {
        let paths = self.paths().into_iter().flatten();
        let paths = paths.map(|path| format!(" {}", path.display()));
        self.operation().unwrap_or("a note").to_owned() + &paths.collect::<String>()
    }
}

/// What is noted of one folder.
#[derive(Debug)]
pub struct Recording {
    root: PathBuf,
    notes: Mutex<Vec<Note>>,
    refuses: Mutex<bool>,
    owner: Mutex<Option<ThreadId>>,
    free: Condvar,
}

/// Being alone on the disk of a recording, if there is one.
#[derive(Debug)]
pub struct Turn {
    recording: Option<Arc<Recording>>,
    outermost: bool,
}

static RECORDINGS: LazyLock<Mutex<BTreeMap<PathBuf, Arc<Recording>>>> =
    LazyLock::new(Mutex::default);

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Recording {
    /// Begins to note what happens under `root`.
    pub fn begin(root: &Path) -> Arc<Self> {
        let recording = Arc::new(Self {
            root: root.to_owned(),
            notes: Mutex::default(),
            refuses: Mutex::new(false),
            owner: Mutex::new(None),
            free: Condvar::new(),
        });
        lock(&RECORDINGS).insert(root.to_owned(), recording.clone());
        recording
    }

    /// Ends it, and gives what was noted.
    pub fn end(&self) -> Vec<Note> {
        lock(&RECORDINGS).remove(&self.root);
        self.take()
    }

    /// What was noted since there were `known` notes.
    pub fn since(&self, known: usize) -> Vec<Note> {
        lock(&self.notes)[known..].to_vec()
    }

    /// Gives what was noted, and forgets it.
    pub fn take(&self) -> Vec<Note> {
        std::mem::take(&mut *lock(&self.notes))
    }

    /// Whether the disk is full from now on.
    pub fn refuse(&self, refuses: bool) {
        *lock(&self.refuses) = refuses;
    }

    /// Keeps every other thread from the disk until the turn is dropped.
    pub fn hold(self: &Arc<Self>) -> Turn {
        let me = thread::current().id();
        let mut owner = lock(&self.owner);
        let outermost = *owner != Some(me);
        while owner.is_some_and(|owner| owner != me) {
            owner = self
                .free
                .wait(owner)
                .unwrap_or_else(PoisonError::into_inner);
        }
        *owner = Some(me);
        let recording = Some(self.clone());
        Turn {
            recording,
            outermost,
        }
    }

    /// Notes something beside the disk.
    pub fn note(&self, note: Note) {
        lock(&self.notes).push(note);
    }

    fn relative(&self, path: &Path) -> PathBuf {
        path.strip_prefix(&self.root).unwrap_or(path).to_owned()
    }

    fn note_of(&self, operation: Operation<'_>) -> Note {
        let own = |path| self.relative(path);
        match operation {
            Operation::MakeFolder(path) => Note::MakeFolder(own(path)),
            Operation::Create(path) => Note::Create(own(path)),
            Operation::Write(path, offset, bytes) => Note::Write(own(path), offset, bytes.into()),
            Operation::Reserve(path, size) => Note::Reserve(own(path), size),
            Operation::Sync(path) => Note::Sync(own(path)),
            Operation::Rename(from, to) => Note::Rename(own(from), own(to)),
            Operation::Remove(path) => Note::Remove(own(path)),
            Operation::SyncFolder(path) => Note::SyncFolder(own(path)),
        }
    }
}

fn of(path: &Path) -> Option<Arc<Recording>> {
    let recordings = lock(&RECORDINGS);
    let mut all = recordings.iter();
    let found = all.find(|(root, _)| path.starts_with(root));
    found.map(|(_, recording)| recording.clone())
}

/// Waits for the turn of this thread.
pub fn turn(path: &Path) -> Turn {
    let nothing = Turn {
        recording: None,
        outermost: false,
    };
    of(path).map_or(nothing, |recording| recording.hold())
}

/// The same for what takes space.
///
/// # Errors
/// The disk was told to refuse.
pub fn turn_to_grow(path: &Path) -> io::Result<Turn> {
    let turn = turn(path);
    let refuses = turn.recording.as_ref().is_some_and(|r| *lock(&r.refuses));
    if refuses {
        return Err(io::ErrorKind::StorageFull.into());
    }
    Ok(turn)
}

/// The caller relies on the file at `path` from here on: it was told that it is durable.
pub fn relied_on(path: &Path) {
    if let Some(recording) = of(path) {
        recording.note(Note::ReliedOn(recording.relative(path)));
    }
}

/// Something leaves the device whose state folder this is.
pub fn said(folder: &Path, what: Up, bytes: &[u8]) {
    if let Some(recording) = of(folder) {
        recording.note(Note::Said(what, bytes.into()));
    }
}

impl Turn {
    /// Notes what was done.
    pub fn note(&self, operation: Operation<'_>) {
        if let Some(recording) = &self.recording {
            recording.note(recording.note_of(operation));
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some(recording) = self.recording.as_ref().filter(|_| self.outermost) {
            *lock(&recording.owner) = None;
            recording.free.notify_all();
        }
    }
}
