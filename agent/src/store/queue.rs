//! The bodies of one stream of outgoing documents, one file each.
//!
//! `p-N` is a body without a number, `f-S-N` the signed document that body N became under
//! number S, `q-S-T` one of stream T kept aside because the fleet, or we, could not read it; `stream` says which stream it is and how
//! far it is acknowledged. Never encodes a frozen document again.

use super::Store;
use super::atomic::{self, DiskError};
use super::disk;
use minicbor::{Decode, Encode};
use muster_device::stream::Handle;
use muster_protocol::cbor;
use muster_protocol::cose;
use muster_protocol::id::{Sequence, StreamId};
use muster_protocol::limits::{DOCUMENT_BYTES_MAX, FROZEN_MAX};
use muster_protocol::message::Document;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The folder of one stream.
#[derive(Debug)]
pub struct Queue {
    folder: PathBuf,
    meta: Meta,
    /// Frozen documents by number, with the body that each was made of.
    frozen: BTreeMap<Sequence, Handle>,
    next_handle: u64,
}

/// What the file `stream` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Meta {
    /// The stream.
    #[n(0)]
    pub id: StreamId,
    /// Everything up to here is acknowledged.
    #[n(1)]
    pub through: Sequence,
    /// The stream that it replaced.
    #[n(2)]
    pub predecessor: Option<StreamId>,
}

/// What was found on disk.
#[derive(Debug, PartialEq, Eq)]
pub struct Found {
    /// Bodies without a number, oldest first.
    pub pending: Vec<Handle>,
    /// Numbers given beyond what is acknowledged, those included whose document is lost.
    pub frozen: u64,
}

impl Queue {
    /// Opens the queue `name`; a new one becomes the stream `fresh`.
    ///
    /// # Errors
    /// [`DiskError`].
    pub fn open(store: &Store, name: &str, fresh: StreamId) -> Result<(Self, Found), DiskError> {
        let folder = store.folder().join("queue").join(name);
        atomic::make_folder(&folder)?;
        if let Err(error) = atomic::remove_temporaries(&folder) {
            tracing::warn!("{error}");
        }
        atomic::sync_folder(&folder)?;
        let stored = atomic::read(&folder.join("stream"), 4096)?;
        let meta = stored.and_then(|bytes| cbor::decode::<Meta>(&bytes).ok());
        let known = meta.is_some();
        let meta = meta.unwrap_or(Meta {
            id: fresh,
            through: Sequence(0),
            predecessor: None,
        });
        let mut queue = Self {
            folder,
            meta,
            frozen: BTreeMap::new(),
            next_handle: 1,
        };
        if !known {
            queue.write_meta()?;
        }
        let found = queue.scan()?;
        Ok((queue, found))
    }

    /// Which stream, and how far it is acknowledged.
    pub const fn meta(&self) -> Meta {
        self.meta
    }

    /// Stores a body without a number.
    ///
    /// # Errors
    /// [`DiskError`].
    pub fn add(&mut self, body: &[u8]) -> Result<Handle, DiskError> {
        let handle = Handle(self.next_handle);
        atomic::write(&self.pending_path(handle), body)?;
        self.next_handle += 1;
        Ok(handle)
    }

    /// Reads a body without a number; `None` when the disk lost it.
    ///
    /// # Errors
    /// [`DiskError`].
    pub fn body(&self, handle: Handle) -> Result<Option<Vec<u8>>, DiskError> {
        atomic::read(&self.pending_path(handle), DOCUMENT_BYTES_MAX)
    }

    /// Replaces a body by a merged one and removes the earlier of the two.
    ///
    /// # Errors
    /// [`DiskError`].
    pub fn replace(
        &mut self,
        later: Handle,
        merged: &[u8],
        earlier: Option<Handle>,
    ) -> Result<(), DiskError> {
        let Some(earlier) = earlier else {
            return atomic::write(&self.pending_path(later), merged);
        };
        // The intent is durable first, so that a power cut can neither lose nor double a count.
        let intent = self
            .folder
            .join(format!("m-{:020}-{:020}", earlier.0, later.0));
        atomic::write(&intent, merged)?;
        self.finish_merge(earlier, later, &intent)
    }

    fn finish_merge(
        &self,
        earlier: Handle,
        later: Handle,
        intent: &std::path::Path,
    ) -> Result<(), DiskError> {
        // Gone for good before the intent is: otherwise both could be found, and counted twice.
        atomic::remove_durably(&self.pending_path(earlier))?;
        let to = self.pending_path(later);
        disk::rename(intent, &to).map_err(|e| DiskError::new("move into place", &to, e))?;
        atomic::sync_folder_of(&to)
    }

    /// Stores the signed document that a body became, then removes the body.
    ///
    /// # Errors
    /// [`DiskError`].
    pub fn freeze(
        &mut self,
        body: Handle,
        sequence: Sequence,
        document: &[u8],
    ) -> Result<(), DiskError> {
        atomic::write(&self.frozen_path(sequence, body), document)?;
        self.frozen.insert(sequence, body);
        // A body that stays behind is known by its number and removed at the next start.
        atomic::remove(&self.pending_path(body))
    }

    /// Everything that lies here: bodies without a number and signed documents.
    pub fn bodies(&self) -> Vec<Vec<u8>> {
        let names = atomic::names(&self.folder).unwrap_or_default();
        let ours = names.iter().filter(|name| parse(name).is_some());
        ours.filter_map(|n| atomic::read(&self.folder.join(n), DOCUMENT_BYTES_MAX).ok()?)
            .collect()
    }

    /// The stored document with this number.
    ///
    /// # Errors
    /// [`DiskError`].
    pub fn document(&self, sequence: Sequence) -> Result<Option<Vec<u8>>, DiskError> {
        match self.frozen.get(&sequence) {
            Some(body) => atomic::read(&self.frozen_path(sequence, *body), DOCUMENT_BYTES_MAX),
            None => Ok(None),
        }
    }

    /// Stores another document under a number whose own the disk lost.
    ///
    /// # Errors
    /// [`DiskError`].
    pub fn replace_document(
        &mut self,
        sequence: Sequence,
        document: &[u8],
    ) -> Result<(), DiskError> {
        let known = self.frozen.get(&sequence).copied();
        let body = known.unwrap_or(Handle(self.next_handle));
        atomic::write(&self.frozen_path(sequence, body), document)?;
        self.next_handle = self.next_handle.max(body.0 + 1);
        self.frozen.insert(sequence, body);
        Ok(())
    }

    /// Keeps a document aside that the fleet could not read.
    ///
    /// # Errors
    /// [`DiskError`].
    pub fn quarantine(&self, sequence: Sequence) -> Result<(), DiskError> {
        match self.document(sequence)? {
            Some(bytes) => atomic::write(&self.aside_path(sequence, self.meta.id), &bytes),
            None => Ok(()),
        }
    }

    /// Stores how far the stream is acknowledged, then removes what that covers.
    ///
    /// # Errors
    /// [`DiskError`].
    pub fn cover(&mut self, through: Sequence) -> Result<(), DiskError> {
        self.meta.through = through;
        self.write_meta()?;
        self.remove_covered()
    }

    /// Begins a new stream that names this one. Frozen documents carry numbers that the fleet
    /// knows already; they are kept aside. Gives how many.
    ///
    /// # Errors
    /// [`DiskError`].
    pub fn supersede(&mut self, fresh: StreamId) -> Result<u64, DiskError> {
        let frozen: Vec<_> = self.frozen.keys().copied().collect();
        for sequence in &frozen {
            self.quarantine(*sequence)?;
        }
        self.meta = Meta {
            id: fresh,
            through: Sequence(0),
            predecessor: Some(self.meta.id),
        };
        self.write_meta()?;
        for (sequence, body) in std::mem::take(&mut self.frozen) {
            atomic::remove(&self.frozen_path(sequence, body))?;
        }
        Ok(frozen.len() as u64)
    }

    fn scan(&mut self) -> Result<Found, DiskError> {
        self.finish_merges()?;
        let (mut pending, mut highest, mut handles) = (Vec::new(), self.meta.through, 0);
        for name in atomic::names(&self.folder)? {
            match parse(&name) {
                Some(Name::Pending(handle)) => {
                    handles = handles.max(handle.0);
                    pending.push(handle);
                }
                Some(Name::Frozen(sequence, handle)) => {
                    handles = handles.max(handle.0);
                    let given = self.find_frozen(&name, sequence, handle)?;
                    highest = highest.max(given.unwrap_or_default());
                }
                None => {}
            }
        }
        self.next_handle = handles + 1;
        // Before what is covered goes: its name alone says that a body was numbered, and sent.
        let is_numbered = |handle: &Handle| self.frozen.values().any(|body| body == handle);
        for numbered in pending.extract_if(.., |handle| is_numbered(handle)) {
            atomic::remove_durably(&self.pending_path(numbered))?;
        }
        self.remove_covered()?;
        Ok(Found {
            pending,
            frozen: highest.0 - self.meta.through.0,
        })
    }

    /// Takes a document in, or keeps it aside; gives its number if this stream has given it.
    fn find_frozen(
        &mut self,
        name: &str,
        sequence: Sequence,
        handle: Handle,
    ) -> Result<Option<Sequence>, DiskError> {
        let covered = sequence <= self.meta.through;
        let possible = sequence.0.saturating_sub(self.meta.through.0) <= FROZEN_MAX as u64;
        let (contents, stream) = self.contents(name, sequence);
        if covered || (possible && contents == Contents::Ours) {
            self.frozen.insert(sequence, handle);
            return Ok(Some(sequence));
        }
        tracing::error!(%sequence, ?contents, "a numbered document is not readable: kept aside");
        let (from, to) = (self.folder.join(name), self.aside_path(sequence, stream));
        disk::rename(&from, &to).map_err(|e| DiskError::new("move aside", &from, e))?;
        atomic::sync_folder_of(&to)?;
        // A number that was given stays given: its document is lost, and replaced by a gap.
        Ok(Some(sequence).filter(|_| possible && contents == Contents::Damaged))
    }

    /// What a file holds, and of which stream as far as it can be read.
    fn contents(&self, name: &str, sequence: Sequence) -> (Contents, StreamId) {
        let bytes = atomic::read(&self.folder.join(name), DOCUMENT_BYTES_MAX);
        let bytes = bytes.ok().flatten().unwrap_or_default();
        match cose::peek::<Document<'_>>(&bytes) {
            Ok(document) if document.stream != self.meta.id => {
                (Contents::OfAnotherStream, document.stream)
            }
            Ok(document) if document.sequence == sequence => (Contents::Ours, self.meta.id),
            Ok(_) | Err(_) => (Contents::Damaged, self.meta.id),
        }
    }

    fn finish_merges(&self) -> Result<(), DiskError> {
        for name in atomic::names(&self.folder)? {
            let Some((earlier, later)) = name.strip_prefix("m-").and_then(parse_pair) else {
                continue;
            };
            self.finish_merge(Handle(earlier), Handle(later), &self.folder.join(&name))?;
        }
        Ok(())
    }

    fn remove_covered(&mut self) -> Result<(), DiskError> {
        let kept = self.frozen.split_off(&Sequence(self.meta.through.0 + 1));
        for (sequence, body) in std::mem::replace(&mut self.frozen, kept) {
            atomic::remove(&self.frozen_path(sequence, body))?;
        }
        Ok(())
    }

    fn write_meta(&self) -> Result<(), DiskError> {
        atomic::write(&self.folder.join("stream"), &cbor::to_vec(&self.meta))
    }

    fn pending_path(&self, handle: Handle) -> PathBuf {
        self.folder.join(format!("p-{:020}", handle.0))
    }

    /// Streams count alike: the number alone would put one in the place of another.
    fn aside_path(&self, sequence: Sequence, stream: StreamId) -> PathBuf {
        self.folder.join(format!("q-{:020}-{stream}", sequence.0))
    }

    fn frozen_path(&self, sequence: Sequence, body: Handle) -> PathBuf {
        self.folder
            .join(format!("f-{:020}-{:020}", sequence.0, body.0))
    }
}

/// What a file of a numbered document holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Contents {
    Ours,
    /// Left behind by a power cut while a new stream began.
    OfAnotherStream,
    Damaged,
}

enum Name {
    Pending(Handle),
    Frozen(Sequence, Handle),
}

fn parse(name: &str) -> Option<Name> {
    if let Some(handle) = name.strip_prefix("p-") {
        return handle
            .parse()
            .ok()
            .map(|handle| Name::Pending(Handle(handle)));
    }
    let (sequence, handle) = parse_pair(name.strip_prefix("f-")?)?;
    Some(Name::Frozen(Sequence(sequence), Handle(handle)))
}

fn parse_pair(pair: &str) -> Option<(u64, u64)> {
    let (first, second) = pair.split_once('-')?;
    Some((first.parse().ok()?, second.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    use ed25519_dalek::SigningKey;
    use muster_protocol::id::{BootId, DeviceId};

    const STREAM: StreamId = StreamId([1; 8]);

    fn signed(stream: StreamId, sequence: u64) -> Vec<u8> {
        let document = Document {
            device: DeviceId::parse("d").expect("valid"),
            stream,
            sequence: Sequence(sequence),
            boot: BootId([1; 8]),
            receipt: None,
            window: None,
            gap: None,
        };
        cose::seal_vec(&document, &SigningKey::from_bytes(&[1; 32]))
    }

    /// A queue with these numbers.
    fn with_frozen(numbers: u64, test: impl FnOnce(&Store, Queue)) {
        with_store(|store| {
            let (mut queue, _) = open(store);
            for n in 1..=numbers {
                let body = queue.add(b"a").expect("adds");
                queue
                    .freeze(body, Sequence(n), &signed(STREAM, n))
                    .expect("freezes");
            }
            test(store, queue);
        });
    }

    fn open(store: &Store) -> (Queue, Found) {
        Queue::open(store, "windows", STREAM).expect("opens")
    }

    fn with_store(test: impl FnOnce(&Store)) {
        let folder = tempfile::tempdir().expect("temporary folder");
        test(&Store::open(folder.path()).expect("opens"));
    }

    #[test]
    fn a_queue_is_found_again_as_it_was_left() {
        with_store(|store| {
            let (mut queue, _) = open(store);
            let bodies: Vec<_> = [b"a", b"b", b"c"]
                .map(|b| queue.add(b).expect("adds"))
                .into();
            queue
                .freeze(bodies[0], Sequence(1), &signed(STREAM, 1))
                .expect("freezes");
            let (queue, found) = open(store);
            assert_eq!(
                found,
                Found {
                    pending: bodies[1..].to_vec(),
                    frozen: 1
                }
            );
            assert_eq!(
                queue.document(Sequence(1)).expect("reads"),
                Some(signed(STREAM, 1))
            );
        });
    }

    #[test]
    fn a_body_that_was_frozen_before_a_power_cut_is_not_pending_again() {
        with_store(|store| {
            let (mut queue, _) = open(store);
            let body = queue.add(b"a").expect("adds");
            queue
                .freeze(body, Sequence(1), &signed(STREAM, 1))
                .expect("freezes");
            fs::write(queue.pending_path(body), b"a").expect("as if never removed");
            assert_eq!(
                open(store).1,
                Found {
                    pending: vec![],
                    frozen: 1
                }
            );
        });
    }

    #[test]
    fn a_merge_that_was_cut_is_finished_and_counts_once() {
        with_store(|store| {
            let (mut queue, _) = open(store);
            let (a, b) = (
                queue.add(b"a").expect("adds"),
                queue.add(b"b").expect("adds"),
            );
            let intent = queue.folder.join(format!("m-{:020}-{:020}", a.0, b.0));
            fs::write(intent, b"ab").expect("as if cut here");
            let (queue, found) = open(store);
            assert_eq!(found.pending, [b]);
            assert_eq!(queue.body(b).expect("reads"), Some(b"ab".to_vec()));
        });
    }

    #[test]
    fn what_is_covered_is_gone_and_numbers_go_on() {
        with_store(|store| {
            let (mut queue, _) = open(store);
            let body = queue.add(b"a").expect("adds");
            queue
                .freeze(body, Sequence(1), &signed(STREAM, 1))
                .expect("freezes");
            queue.cover(Sequence(1)).expect("covers");
            let (queue, found) = open(store);
            assert_eq!((queue.meta().through, found.frozen), (Sequence(1), 0));
        });
    }

    #[test]
    fn a_body_that_a_power_cut_brought_back_is_not_sent_again_when_it_is_acknowledged() {
        with_frozen(1, |store, queue| {
            let bytes = queue
                .document(Sequence(1))
                .expect("reads")
                .expect("is there");
            fs::write(queue.pending_path(Handle(1)), b"a").expect("as if never removed");
            let mut queue = queue;
            queue.cover(Sequence(1)).expect("covers");
            fs::write(queue.frozen_path(Sequence(1), Handle(1)), bytes).expect("as if not removed");
            let found = open(store).1;
            assert_eq!((found.pending, found.frozen), (vec![], 0));
        });
    }

    #[test]
    fn a_superseded_stream_keeps_its_documents_aside() {
        with_store(|store| {
            let (mut queue, _) = open(store);
            let body = queue.add(b"a").expect("adds");
            queue
                .freeze(body, Sequence(1), &signed(STREAM, 1))
                .expect("freezes");
            let fresh = StreamId([2; 8]);
            assert_eq!(queue.supersede(fresh).expect("supersedes"), 1);
            let meta = Meta {
                id: fresh,
                through: Sequence(0),
                predecessor: Some(STREAM),
            };
            let (queue, found) = open(store);
            assert_eq!((queue.meta(), found.frozen), (meta, 0));
        });
    }

    #[test]
    fn numbers_whose_document_is_lost_stay_given_and_are_filled() {
        with_frozen(4, |store, queue| {
            let path = |n| queue.frozen_path(Sequence(n), Handle(n));
            fs::remove_file(path(1)).expect("removes");
            fs::write(path(2), b"damaged").expect("writes");
            fs::write(path(4), signed(STREAM, 3)).expect("writes");
            let (mut queue, found) = open(store);
            assert_eq!((found.pending, found.frozen), (vec![], 4));
            for n in [1, 2, 4] {
                assert_eq!(queue.document(Sequence(n)).expect("reads"), None);
                let gap = signed(STREAM, n);
                queue.replace_document(Sequence(n), &gap).expect("writes");
            }
            let (queue, found) = open(store);
            assert_eq!(found.frozen, 4);
            for n in 1..=4 {
                let document = queue.document(Sequence(n)).expect("reads");
                assert_eq!(document, Some(signed(STREAM, n)));
            }
        });
    }

    #[test]
    fn documents_of_another_stream_are_kept_aside() {
        with_frozen(3, |store, mut queue| {
            queue.meta.id = StreamId([2; 8]);
            queue
                .write_meta()
                .expect("as if cut in the middle of superseding");
            let (queue, found) = open(store);
            assert_eq!(found.frozen, 0);
            let names = atomic::names(&queue.folder).expect("lists");
            assert_eq!(names.iter().filter(|n| n.starts_with("q-")).count(), 3);
        });
    }

    #[test]
    fn a_damaged_document_whose_body_is_still_there_gives_the_body_back() {
        with_frozen(1, |store, queue| {
            let path = queue.frozen_path(Sequence(1), Handle(1));
            fs::write(path, b"damaged").expect("writes");
            fs::write(queue.pending_path(Handle(1)), b"a").expect("as if never removed");
            let found = open(store).1;
            assert_eq!((found.pending, found.frozen), (vec![Handle(1)], 1));
        });
    }
}
