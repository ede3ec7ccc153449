//! One update, in the order of the specification: what the workflow wants is taken from the folder
//! or fetched, offered, and stored before it is believed. Nothing here judges a document.

use anyhow::{Context as _, bail};
use muster_protocol::tuf::{
    Expiry, Restored, Role, Search, Stored, TargetFile, Trusted, Update, Wanted,
};

use super::{
    fetch::{Answer, Source},
    folder::Folder,
    name::quoted,
};

/// What is trusted, where it is kept, and where more of it comes from.
pub(super) struct Client {
    trusted: Trusted,
    folder: Folder,
    source: Source,
    expiry: Expiry,
}

impl Client {
    /// Loads what is trusted (5.2). Of a stored document that no longer verifies nothing is kept;
    /// targets are offered again like new ones.
    ///
    /// # Errors
    /// No root, or one that does not verify.
    pub(super) fn open(folder: Folder, source: Source, expiry: Expiry) -> anyhow::Result<Self> {
        let root = folder.read(&Role::Root)?;
        let root = root.context("there is no trusted root: `init` comes first")?;
        let timestamp = folder.read(&Role::Timestamp)?;
        let snapshot = folder.read(&Role::Snapshot)?;
        let stored = Stored {
            root: &root,
            timestamp: timestamp.as_deref(),
            snapshot: snapshot.as_deref(),
            ..Stored::default()
        };
        let restored = Trusted::restore(stored).context("the stored root is refused")?;
        let Restored { trusted, dropped } = restored;
        for dropped in dropped {
            eprintln!("dropped the stored {}: {}", dropped.role, dropped.because);
        }
        Ok(Self {
            trusted,
            folder,
            source,
            expiry,
        })
    }

    /// Updates the top-level roles (5.3 to 5.6.6).
    ///
    /// # Errors
    /// A refusal, or a document that could not be had.
    pub(super) fn refresh(&mut self) -> anyhow::Result<()> {
        self.follow_roots()?;
        let timestamp = self.trusted.wanted_timestamp();
        self.fetch(&timestamp)?;
        // Snapshot and targets.
        for _ in 0..2 {
            if let Some(wanted) = self.trusted.wanted_top_level() {
                self.obtain(&wanted)?;
            }
        }
        Ok(self.trusted.finish_top_level(self.expiry)?)
    }

    /// Seeks a target (5.6.7), with what delegated roles must say for that.
    ///
    /// # Errors
    /// As [`Client::refresh`]; or no role that may list the target does.
    pub(super) fn find(&mut self, name: &str) -> anyhow::Result<(Role, TargetFile)> {
        loop {
            let wanted = match self.trusted.search(name, self.expiry)? {
                Search::Found { role, file } => return Ok((role, file.clone())),
                Search::Needs(wanted) => wanted,
                Search::Absent => bail!("no role that may list it does (TUF 5.7.2)"),
            };
            self.obtain(&wanted)?;
        }
    }

    /// Whether names in the repository carry versions and digests (5.3.12).
    pub(super) fn has_consistent_snapshots(&self) -> bool {
        self.trusted.root().document().consistent_snapshot
    }

    /// 5.3
    fn follow_roots(&mut self) -> anyhow::Result<()> {
        while let Some(wanted) = self.trusted.wanted_root() {
            let Answer::Bytes(bytes) = self.ask(&wanted)? else {
                break;
            };
            if self.accept(&wanted, &bytes)? == Update::Unchanged {
                break;
            }
        }
        Ok(self.trusted.finish_root(self.expiry)?)
    }

    /// From the folder, if what is there is what is wanted; or else from the source.
    fn obtain(&mut self, wanted: &Wanted) -> anyhow::Result<()> {
        let stored = self.folder.read(&wanted.role)?;
        let offer = |bytes: &Vec<u8>| self.trusted.update(wanted, bytes, self.expiry);
        if stored
            .as_ref()
            .map(offer)
            .is_some_and(|taken| taken.is_ok())
        {
            return Ok(());
        }
        self.fetch(wanted)
    }

    fn fetch(&mut self, wanted: &Wanted) -> anyhow::Result<()> {
        match self.ask(wanted)? {
            Answer::Bytes(bytes) => self.accept(wanted, &bytes).map(drop),
            Answer::Absent => bail!("the repository does not have {}", wanted.file_name),
        }
    }

    fn ask(&self, wanted: &Wanted) -> anyhow::Result<Answer> {
        let name = quoted(&wanted.file_name);
        self.source.get(&name, wanted.bytes_max)
    }

    /// Trusted once it is on disk, so that disk and memory say the same.
    fn accept(&mut self, wanted: &Wanted, bytes: &[u8]) -> anyhow::Result<Update> {
        let mut trusted = self.trusted.clone();
        let update = trusted.update(wanted, bytes, self.expiry)?;
        self.folder.write(&wanted.role, update, bytes)?;
        self.trusted = trusted;
        Ok(update)
    }
}
