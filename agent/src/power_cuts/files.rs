//! A file system as one process sees it, and what of it is durable.
//!
//! Effects that are not durable wait in a list, in order; a cut takes a part of them.

use crate::store::disk::recorder::Note;
use muster_protocol::digest::Digest;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

/// What a file holds.
#[derive(Debug, PartialEq, Eq)]
pub struct Content {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Their digest.
    pub digest: Digest,
}

/// Everything on a disk by its name; a folder holds nothing itself.
pub type Tree = BTreeMap<PathBuf, Option<Rc<Content>>>;

/// A file system.
#[derive(Debug, Clone)]
pub struct Files {
    /// What is durable.
    durable: Image,
    /// What the process sees.
    seen: Image,
    /// What leads from the one to the other.
    unsynced: Vec<Effect>,
}

#[derive(Debug, Clone, Default)]
struct Image {
    folders: Vec<BTreeMap<String, Entry>>,
    files: Vec<Rc<Content>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Entry {
    File(usize),
    Folder(usize),
}

/// What one operation does to one folder or one file.
#[derive(Debug, Clone)]
enum Effect {
    /// Names of a folder come, change or go, all at once.
    Names(usize, Vec<(String, Option<Entry>)>),
    Emptied(usize),
    Written(usize, u64, Arc<[u8]>),
    Grown(usize, u64),
}

/// What becomes of one effect that is not durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It is there.
    Kept,
    /// It never was.
    Lost,
    /// Of what was written, so many bytes are there.
    Torn(usize),
    /// The file has its size; of what was written so many bytes are there, the rest is zeros.
    Zeros(usize),
}

impl Content {
    fn of(bytes: Vec<u8>) -> Rc<Self> {
        let digest = Digest::of(&bytes);
        Rc::new(Self { bytes, digest })
    }
}

impl Files {
    /// A disk on which this is durable.
    pub fn of(tree: &Tree) -> Self {
        let mut image = Image::default();
        image.folders.push(BTreeMap::new());
        for (path, content) in tree {
            let entry = match content {
                None => image.new_folder(),
                Some(content) => image.new_file(content.clone()),
            };
            let (folder, name) = image.place(path);
            image.folders[folder].insert(name, entry);
        }
        Self {
            seen: image.clone(),
            durable: image,
            unsynced: Vec::new(),
        }
    }

    /// How many effects are not durable.
    pub fn unsynced(&self) -> usize {
        self.unsynced.len()
    }

    /// Bytes that an effect wrote, if it wrote any.
    pub fn written(&self, effect: usize) -> Option<usize> {
        match &self.unsynced[effect] {
            Effect::Written(_, _, bytes) => Some(bytes.len()),
            Effect::Names(..) | Effect::Emptied(_) | Effect::Grown(..) => None,
        }
    }

    /// What the file holds, as the process sees it.
    pub fn seen(&self, path: &Path) -> Option<Rc<Content>> {
        match self.seen.find(path)? {
            Entry::File(file) => Some(self.seen.files[file].clone()),
            Entry::Folder(_) => None,
        }
    }

    /// What is found after a cut that deals so with each effect.
    pub fn after(&self, fates: &[Fate]) -> Tree {
        let mut image = self.durable.clone();
        for (effect, fate) in self.unsynced.iter().zip(fates) {
            image.suffer(effect, *fate);
        }
        image.tree()
    }

    /// What the process sees.
    pub fn tree(&self) -> Tree {
        self.seen.tree()
    }

    /// Does what was noted.
    pub fn obey(&mut self, note: &Note) {
        match note {
            Note::MakeFolder(path) => {
                self.durable.folders.push(BTreeMap::new());
                let entry = self.seen.new_folder();
                self.rename(vec![(path, Some(entry))]);
            }
            Note::Create(path) => self.create(path),
            Note::Write(path, offset, bytes) => {
                let file = self.file(path);
                self.effect(Effect::Written(file, *offset, bytes.clone()));
            }
            Note::Reserve(path, size) => {
                let file = self.file(path);
                self.effect(Effect::Grown(file, *size));
            }
            Note::Sync(path) => {
                let file = self.file(path);
                self.settle(|effect| effect.is_of_file(file));
            }
            Note::Rename(from, to) => {
                let entry = self.seen.find(from);
                self.rename(vec![(to, entry), (from, None)]);
            }
            Note::Remove(path) => self.rename(vec![(path, None)]),
            Note::SyncFolder(path) => {
                let folder = self.seen.folder(path);
                self.settle(|effect| matches!(effect, Effect::Names(of, _) if *of == folder));
            }
            Note::ReliedOn(_) | Note::Said(..) | Note::Step(_) => {}
        }
    }

    fn create(&mut self, path: &Path) {
        match self.seen.find(path) {
            Some(Entry::File(file)) => self.effect(Effect::Emptied(file)),
            Some(Entry::Folder(_)) => panic!("{} is a folder", path.display()),
            None => {
                let empty = Content::of(Vec::new());
                self.durable.files.push(empty.clone());
                let entry = self.seen.new_file(empty);
                self.rename(vec![(path, Some(entry))]);
            }
        }
    }

    /// Changes of one folder come together; those of two folders may be cut apart.
    fn rename(&mut self, changes: Vec<(&Path, Option<Entry>)>) {
        let mut effects = Vec::new();
        for (path, entry) in changes {
            let (folder, name) = self.seen.place(path);
            let same = effects.iter_mut().find_map(|effect| match effect {
                Effect::Names(known, names) if *known == folder => Some(names),
                _ => None,
            });
            match same {
                Some(names) => names.push((name, entry)),
                None => effects.push(Effect::Names(folder, vec![(name, entry)])),
            }
        }
        for effect in effects {
            self.effect(effect);
        }
    }

    fn effect(&mut self, effect: Effect) {
        self.seen.suffer(&effect, Fate::Kept);
        self.unsynced.push(effect);
    }

    fn settle(&mut self, which: impl Fn(&Effect) -> bool) {
        let (synced, left) = self.unsynced.drain(..).partition(which);
        self.unsynced = left;
        let synced: Vec<Effect> = synced;
        for effect in &synced {
            self.durable.suffer(effect, Fate::Kept);
        }
    }

    fn file(&self, path: &Path) -> usize {
        match self.seen.find(path) {
            Some(Entry::File(file)) => file,
            _ => panic!("{} is no file", path.display()),
        }
    }
}

impl Effect {
    fn is_of_file(&self, file: usize) -> bool {
        match self {
            Self::Names(..) => false,
            Self::Emptied(of) | Self::Written(of, ..) | Self::Grown(of, _) => *of == file,
        }
    }
}

impl Image {
    fn new_folder(&mut self) -> Entry {
        self.folders.push(BTreeMap::new());
        Entry::Folder(self.folders.len() - 1)
    }

    fn new_file(&mut self, content: Rc<Content>) -> Entry {
        self.files.push(content);
        Entry::File(self.files.len() - 1)
    }

    fn find(&self, path: &Path) -> Option<Entry> {
        let mut entry = Entry::Folder(0);
        for name in path.iter() {
            let Entry::Folder(folder) = entry else {
                return None;
            };
            entry = *self.folders[folder].get(name.to_str()?)?;
        }
        Some(entry)
    }

    fn folder(&self, path: &Path) -> usize {
        match self.find(path) {
            Some(Entry::Folder(folder)) => folder,
            _ => panic!("{} is no folder", path.display()),
        }
    }

    fn place(&self, path: &Path) -> (usize, String) {
        let name = path.file_name().and_then(|name| name.to_str());
        let folder = self.folder(path.parent().expect("it is in a folder"));
        (folder, name.expect("a name of ours").to_owned())
    }

    fn suffer(&mut self, effect: &Effect, fate: Fate) {
        match (effect, fate) {
            (_, Fate::Lost) => {}
            (Effect::Names(folder, names), _) => {
                for (name, entry) in names {
                    match entry {
                        Some(entry) => self.folders[*folder].insert(name.clone(), *entry),
                        None => self.folders[*folder].remove(name),
                    };
                }
            }
            (Effect::Emptied(file), _) => self.files[*file] = Content::of(Vec::new()),
            (Effect::Grown(file, size), _) => self.write(*file, *size, &[]),
            (Effect::Written(file, offset, bytes), Fate::Kept) => self.write(*file, *offset, bytes),
            (Effect::Written(file, offset, bytes), Fate::Torn(len)) => {
                self.write(*file, *offset, &bytes[..len]);
            }
            (Effect::Written(file, offset, bytes), Fate::Zeros(len)) => {
                let zeros = bytes
                    .iter()
                    .enumerate()
                    .map(|(n, b)| if n < len { *b } else { 0 });
                self.write(*file, *offset, &zeros.collect::<Vec<_>>());
            }
        }
    }

    fn write(&mut self, file: usize, offset: u64, bytes: &[u8]) {
        let offset = usize::try_from(offset).expect("small files");
        let mut whole = self.files[file].bytes.clone();
        whole.resize(whole.len().max(offset + bytes.len()), 0);
        whole[offset..offset + bytes.len()].copy_from_slice(bytes);
        self.files[file] = Content::of(whole);
    }

    fn tree(&self) -> Tree {
        let mut tree = Tree::new();
        self.add_folder(0, Path::new(""), &mut tree);
        tree
    }

    fn add_folder(&self, folder: usize, path: &Path, tree: &mut Tree) {
        for (name, entry) in &self.folders[folder] {
            let path = path.join(name);
            match entry {
                Entry::File(file) => {
                    tree.insert(path, Some(self.files[*file].clone()));
                }
                Entry::Folder(folder) => {
                    tree.insert(path.clone(), None);
                    self.add_folder(*folder, &path, tree);
                }
            }
        }
    }
}
