//! A signer's folder: private keys as `NAME.key`, public ones as `NAME.pub`, one's own and others'.
//!
//! Never knows which fleet a key is for: the metadata says that.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use ed25519_dalek::SigningKey;
use muster_protocol::tuf::Key;
use muster_protocol::tuf::author::key_of;

use super::public_key;
use super::state::id;
use crate::error::{Exit, OperatorError};
use crate::home;
use crate::key_file::{self, LockState, Passphrase};

/// Characters of a longest name.
const NAME_CHARACTERS_MAX: usize = 63;

/// The folder.
#[derive(Debug, Clone)]
pub(crate) struct KeyFolder {
    path: PathBuf,
}

/// What a key is called in a folder: lower-case letters, digits, `-`, `_` and `.`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct KeyName(String);

/// A public key in a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Named {
    /// What it is called.
    pub(crate) name: KeyName,
    /// The key.
    pub(crate) public: [u8; 32],
    /// How its private half is kept, if it is here.
    pub(crate) private: Option<LockState>,
}

impl KeyFolder {
    /// A folder that may not be there yet.
    pub(crate) fn at(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
        }
    }

    /// Makes a key, under a passphrase if there is one, and both its files.
    ///
    /// # Errors
    /// The name is taken, or the disk refuses.
    pub(crate) fn create(
        &self,
        name: &KeyName,
        passphrase: Option<&Passphrase>,
    ) -> Result<Key, OperatorError> {
        home::make_private(&self.path)?;
        let (path, key) = (self.private(name), key_file::generate()?);
        match passphrase {
            Some(passphrase) => key_file::write_new_locked(&path, &key, passphrase)?,
            None => key_file::write_new(&path, &key)?,
        }
        public_key::write(&self.public(name), &key_of(&key))?;
        Ok(key_of(&key))
    }

    /// The keys that are here, by name.
    ///
    /// # Errors
    /// A file cannot be read, or is no key.
    pub(crate) fn keys(&self) -> Result<Vec<Named>, OperatorError> {
        let names = self.names()?;
        names.into_iter().map(|name| self.named(name)).collect()
    }

    /// The private key of a name; asks for its passphrase.
    ///
    /// # Errors
    /// As [`key_file::read`].
    pub(crate) fn open(&self, name: &KeyName) -> Result<SigningKey, OperatorError> {
        key_file::read(&self.private(name))
    }

    /// Where a private key is.
    pub(crate) fn private(&self, name: &KeyName) -> PathBuf {
        self.path.join(format!("{name}.key"))
    }

    /// Where a public key is.
    pub(crate) fn public(&self, name: &KeyName) -> PathBuf {
        self.path.join(format!("{name}.pub"))
    }

    /// Where a signer's memory is.
    pub(super) fn memory(&self) -> PathBuf {
        self.path.join("signed.json")
    }

    fn names(&self) -> Result<Vec<KeyName>, OperatorError> {
        let failed = |error: io::Error| OperatorError::file("read the keys in", &self.path, &error);
        if !self.path.is_dir() {
            let what = format!("read the keys in {}", self.path.display());
            let hint = "make a key with `muster keys create`, or name the folder with --keys";
            return Err(OperatorError::new(
                Exit::Missing,
                what,
                "there is no such folder",
                hint,
            ));
        }
        let mut names: Vec<KeyName> = Vec::new();
        for entry in fs::read_dir(&self.path).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            let ours = path
                .extension()
                .is_some_and(|end| end == "key" || end == "pub");
            let name = path.file_stem().and_then(|stem| stem.to_str());
            names.extend(name.filter(|_| ours).and_then(|name| name.parse().ok()));
        }
        names.sort();
        names.dedup();
        // A certificate authority's key may lie beside them, in another form.
        names.retain(|name| name.0 != "ca-root");
        Ok(names)
    }

    fn named(&self, name: KeyName) -> Result<Named, OperatorError> {
        let (private, public) = (self.private(&name), self.public(&name));
        let state = private.exists().then(|| key_file::lock_state(&private));
        let public = match public.exists() {
            true => public_key::read(&public)?,
            false => self.open(&name)?.verifying_key().to_bytes(),
        };
        Ok(Named {
            private: state.transpose()?,
            name,
            public,
        })
    }
}

/// What a key is called by people who have its public half, and its id.
pub(crate) fn called(known: &[Named], key: &[u8; 32]) -> String {
    let named = known.iter().find(|named| named.public == *key);
    named.map_or_else(|| id(key), |named| format!("{} ({})", named.name, id(key)))
}

impl fmt::Display for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for KeyName {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fits = (1..=NAME_CHARACTERS_MAX).contains(&text.len()) && !text.starts_with('.');
        let known =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_.".contains(&byte);
        match fits && text.bytes().all(known) {
            true => Ok(Self(text.to_owned())),
            false => Err("a name has 1 to 63 lower-case letters, digits, '-', '_' and '.'"),
        }
    }
}
