//! Keys and certificates that wait for signatures: a folder in the home, laid out as a home.
//!
//! Never mixes with what serves now: all of it comes into place, once the metadata that names it is
//! published, or none.

use std::fs;
use std::path::{Path, PathBuf};

use muster_protocol::time::UnixSeconds;

use super::{Only, WHAT, Why, refused, wish};
use crate::authority::{self, Founded};
use crate::config::Config;
use crate::controller::Keys;
use crate::error::{Exit, OperatorError};
use crate::home::{self, Home};
use crate::key_file;
use crate::output::note;
use crate::publish::Publication;
use crate::store::Store;

/// New secrets, in memory.
pub(super) struct Files {
    /// New online keys, if they are replaced.
    pub(super) keys: Option<Keys>,
    /// A new CA and server certificate, if they are replaced.
    pub(super) founded: Option<Founded>,
    /// The anchors of device certificates with the new CA.
    anchors: String,
    /// A new token of the API, if the old one is known to others.
    token: Option<String>,
}

/// Where they wait.
pub(super) struct Next {
    home: Home,
    pending: Home,
}

impl Files {
    /// Makes them. The old CA's key lets the server show devices a way from the CA that they know.
    ///
    /// # Errors
    /// No randomness, or no `ca-root.key` that belongs to the CA of now.
    pub(super) fn make(
        home: &Home,
        offline: &Path,
        only: Only,
        why: Why,
        now: UnixSeconds,
    ) -> Result<Self, OperatorError> {
        let keys = (only != Only::Ca).then(Keys::generate).transpose()?;
        let founded = (only != Only::Keys).then(|| founded(home, offline, now));
        let founded = founded.transpose()?;
        let before = home::read_text(&home.client_ca_pem())?;
        let anchors = founded.as_ref().map(|founded| founded.anchors() + &before);
        let token = (why == Why::Stolen).then(key_file::new_token).transpose()?;
        Ok(Self {
            keys,
            founded,
            anchors: anchors.unwrap_or(before),
            token,
        })
    }
}

impl Next {
    /// Of a home.
    pub(super) fn of(home: &Home) -> Self {
        Self {
            home: home.clone(),
            pending: home.next(),
        }
    }

    /// As a home from which a controller can be opened.
    pub(super) fn home(&self) -> Home {
        self.pending.clone()
    }

    /// Whether nothing waits.
    ///
    /// # Errors
    /// Something does.
    pub(super) fn check_vacant(&self) -> Result<(), OperatorError> {
        if !self.pending.folder().exists() {
            return Ok(());
        }
        let because = format!(
            "new keys wait for signatures in {}",
            self.pending.folder().display()
        );
        let hint = "publish their proposal, or `muster controller give-up`";
        Err(OperatorError::new(Exit::Missing, WHAT, because, hint))
    }

    /// Puts them there, and copies of what stays as it is beside them.
    ///
    /// # Errors
    /// The disk refuses.
    pub(super) fn write(&self, files: &Files, fleet: &str, why: Why) -> Result<(), OperatorError> {
        self.check_vacant()?;
        let written = self.fill(files, fleet, why);
        if written.is_err() {
            let _half_written = fs::remove_dir_all(self.pending.folder());
        }
        written
    }

    /// Whether they are those that a proposal names.
    ///
    /// # Errors
    /// Nothing waits, or others do.
    pub(super) fn check_is_for(&self, publication: &Publication) -> Result<(), OperatorError> {
        let named = publication.target_files.iter();
        let named = named.filter(|(name, _)| name == wish::FLEET);
        let mut named = named.map(|(_, bytes)| bytes.as_slice());
        let waits = fs::read(self.fleet());
        if waits.is_ok_and(|waits| named.any(|named| named == waits)) {
            return Ok(());
        }
        let because = "the keys that it names do not wait in this home";
        let hint = "name the home in which it was proposed, or propose it anew";
        Err(OperatorError::new(Exit::Missing, WHAT, because, hint))
    }

    /// Puts everything in the place of what served until now; goes on with it after a crash.
    ///
    /// # Errors
    /// The disk refuses.
    pub(super) fn take_over(&self) -> Result<(), OperatorError> {
        home::make_private(&self.home.offline())?;
        for (now, next) in self.pairs() {
            let moved = match next.exists() {
                true => fs::rename(&next, &now),
                false => Ok(()),
            };
            moved.map_err(|error| OperatorError::file("put into place", &now, &error))?;
        }
        self.remove()
    }

    /// Forgets them.
    ///
    /// # Errors
    /// They are all that this home has, or nothing waits.
    pub(super) fn give_up(&self) -> Result<(), OperatorError> {
        if self.stolen().exists() {
            let because = "the keys beside them were stolen";
            let hint = "publish their proposal, or remove this home and restore the backup again";
            return Err(OperatorError::new(Exit::Refused, WHAT, because, hint));
        }
        if !self.pending.folder().exists() {
            let hint = "`muster controller replace --out` makes some";
            return Err(OperatorError::new(
                Exit::Missing,
                WHAT,
                "no new keys wait",
                hint,
            ));
        }
        self.remove()
    }

    fn fill(&self, files: &Files, fleet: &str, why: Why) -> Result<(), OperatorError> {
        Home::make_folders(self.pending.folder())?;
        if let Some(keys) = &files.keys {
            for (path, key) in keys.files(&self.pending) {
                key_file::write_new(&path, key)?;
            }
        }
        if let Some(founded) = &files.founded {
            for (path, text) in founded.files(&self.pending, &files.anchors) {
                home::write_private(&path, text.as_bytes())?;
            }
        }
        if let Some(token) = &files.token {
            home::write_private(&self.pending.api_token(), token.as_bytes())?;
        }
        for (now, next) in self.pairs() {
            let is_online = now.starts_with(self.home.folder().join("controller"));
            if is_online && now.exists() && !next.exists() {
                home::write_private(&next, home::read_secret(&now)?.as_bytes())?;
            }
        }
        if why == Why::Stolen {
            home::write_private(&self.stolen(), b"")?;
        }
        home::write_private(&self.fleet(), fleet.as_bytes())
    }

    fn remove(&self) -> Result<(), OperatorError> {
        let folder = self.pending.folder();
        fs::remove_dir_all(folder).map_err(|error| OperatorError::file("remove", folder, &error))
    }

    /// The `fleet.json` under which they count.
    fn fleet(&self) -> PathBuf {
        self.pending.folder().join("fleet.json")
    }

    /// Says that the home has no other keys to serve with.
    fn stolen(&self) -> PathBuf {
        self.pending.folder().join("stolen")
    }

    /// Where each file will be, and where it waits.
    pub(super) fn pairs(&self) -> [(PathBuf, PathBuf); 13] {
        let of = |home: &Home| {
            [
                home.ca_root_key(),
                home.ca_root_pem(),
                home.ca_key(),
                home.ca_pem(),
                home.server_key(),
                home.server_pem(),
                home.client_ca_pem(),
                home.api_token(),
                home.snapshot_key(),
                home.timestamp_key(),
                home.director_key(),
                home.ack_key(),
                home.time_key(),
            ]
        };
        let mut waiting = of(&self.pending).into_iter();
        of(&self.home).map(|now| (now, waiting.next().expect("invariant: both have as many")))
    }
}

/// Puts keys into place whose metadata was published, where a crash came between. For a home that
/// nobody serves yet.
///
/// # Errors
/// The home may not serve with the keys that it has, or the disk refuses.
pub(crate) fn settle(home: &Home) -> Result<(), OperatorError> {
    let next = Next::of(home);
    if !next.pending.folder().exists() {
        return Ok(());
    }
    if is_published(home, &next.fleet())? {
        note("the new keys of this home are published: they come into place");
        return next.take_over();
    }
    match next.stolen().exists() {
        false => Ok(()),
        true => {
            let because = "its keys were stolen, and those that replace them are not published yet";
            let hint = "have the proposal signed, then `muster controller publish` it";
            let what = format!("serve the home {}", home.folder().display());
            Err(OperatorError::new(Exit::Refused, what, because, hint))
        }
    }
}

fn is_published(home: &Home, fleet: &Path) -> Result<bool, OperatorError> {
    let Ok(waits) = fs::read(fleet) else {
        return Ok(false);
    };
    let failed = |error| OperatorError::from(crate::controller::Error::Store(error));
    let store = Store::open(&home.database()).map_err(failed)?;
    let newest = store.look(|tx| tx.metadata(wish::FLEET, None));
    Ok(newest
        .map_err(failed)?
        .is_some_and(|(_, bytes)| bytes == waits))
}

fn founded(home: &Home, offline: &Path, now: UnixSeconds) -> Result<Founded, OperatorError> {
    let hosts = Config::read(home)?.host_names;
    let old = home::read_text(&home.ca_root_pem())?;
    let key = home::read_secret(&offline.join("ca-root.key"))?;
    let hint = "bring the ca-root.key that belongs to controller/ca-root.pem";
    authority::succeed(&hosts, &old, &key, now).map_err(|error| refused(&error, hint))
}
