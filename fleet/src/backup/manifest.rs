//! What an archive says that it holds: its first member, which all others are checked against.
//!
//! Never believed about a path or a length: both are checked before a byte is written.

use std::collections::BTreeSet;

use muster_protocol::digest::{Digest, decode_hex};
use serde::{Deserialize, Serialize};

use crate::store::NEWEST_SCHEMA;
use crate::store::backup::Counts;

/// Name of the member.
pub(super) const NAME: &str = "manifest.json";
/// Largest manifest: with it as many members as below fit.
pub(super) const BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Most members.
const MEMBERS_MAX: usize = 256 * 1024;
/// Longest path of a member: what the header of an archive takes without an extension.
const PATH_BYTES_MAX: usize = 100;
/// Most levels of a path.
const PATH_LEVELS_MAX: usize = 5;
/// Where members may lie.
const PLACES: [&str; 4] = ["muster.toml", "controller", "offline", "release"];

/// The kind of archive.
const KIND: &str = "muster backup";
/// The newest format that this program knows, and writes.
const FORMAT: u32 = 1;

/// Path of the configuration.
pub(super) const CONFIG: &str = "muster.toml";
/// Path of the database.
pub(super) const DATABASE: &str = "controller/muster.db";
/// Folder of the blobs.
pub(super) const BLOBS: &str = "controller/blobs/sha256/";

/// What is in an archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Manifest {
    kind: String,
    format: u32,
    /// When it was made, unix seconds.
    pub(crate) created_at: u64,
    /// Version of the program that made it.
    pub(crate) muster: String,
    /// Schema of the database.
    pub(crate) schema: i64,
    /// Whether offline and release keys are in it.
    pub(crate) offline_keys: bool,
    /// How much the database holds.
    pub(crate) counts: Counts,
    /// Everything else in the archive, in its order.
    pub(crate) members: Vec<Member>,
}

/// A file of the home.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Member {
    /// Its path in the home.
    pub(crate) path: String,
    /// Its size.
    pub(crate) bytes: u64,
    /// Its digest, 64 hexadecimal digits.
    pub(crate) sha256: String,
}

/// Why a manifest is refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unfit {
    /// Not one of ours.
    #[error("it is no backup of a controller ({0})")]
    Foreign(String),
    /// Of a newer program.
    #[error("{what} {found} is newer than {known}, the newest that this program knows")]
    Newer {
        /// Format or schema.
        what: &'static str,
        /// Of the archive.
        found: i64,
        /// Of this program.
        known: i64,
    },
    /// It names what no backup holds.
    #[error("its manifest {0}")]
    Malformed(String),
}

/// What every format has in common.
#[derive(Deserialize)]
struct Opening {
    kind: String,
    format: u32,
}

impl Manifest {
    /// A manifest of an archive that is made now.
    pub(super) fn new(created_at: u64, schema: i64, counts: Counts, members: Vec<Member>) -> Self {
        let offline = |member: &Member| {
            let path = &member.path;
            path.starts_with("offline/") || path.starts_with("release/")
        };
        Self {
            kind: KIND.to_owned(),
            format: FORMAT,
            created_at,
            muster: env!("CARGO_PKG_VERSION").to_owned(),
            schema,
            offline_keys: members.iter().any(offline),
            counts,
            members,
        }
    }

    /// Reads and checks one.
    ///
    /// # Errors
    /// [`Unfit`].
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, Unfit> {
        let opening: Opening = serde_json::from_slice(bytes)
            .map_err(|error| Unfit::Foreign(format!("{NAME}: {error}")))?;
        if opening.kind != KIND {
            return Err(Unfit::Foreign(format!(
                "it is of the kind {:?}",
                opening.kind
            )));
        }
        newer("its format", opening.format.into(), FORMAT.into())?;
        let manifest: Self = serde_json::from_slice(bytes)
            .map_err(|error| Unfit::Malformed(format!("cannot be read ({error})")))?;
        newer("its schema", manifest.schema, NEWEST_SCHEMA)?;
        manifest.check().map_err(Unfit::Malformed)?;
        Ok(manifest)
    }

    /// Bytes of all members.
    pub(crate) fn bytes(&self) -> u64 {
        self.members
            .iter()
            .fold(0, |sum, member| sum.saturating_add(member.bytes))
    }

    fn check(&self) -> Result<(), String> {
        if self.members.len() > MEMBERS_MAX {
            return Err(format!("names more than {MEMBERS_MAX} members"));
        }
        let mut paths = BTreeSet::new();
        for member in &self.members {
            let path = &member.path;
            if !is_path(path) {
                return Err(format!("names {path:?}, which is no place in a home"));
            }
            if !paths.insert(path.as_str()) {
                return Err(format!("names {path:?} twice"));
            }
            let digest = member
                .digest()
                .ok_or_else(|| format!("gives no digest of {path:?}"))?;
            let named = path.strip_prefix(BLOBS);
            if named.is_some_and(|named| named != digest.hex().to_string()) {
                return Err(format!("gives another digest of the blob {path:?}"));
            }
        }
        match [CONFIG, DATABASE]
            .into_iter()
            .find(|path| !paths.contains(path))
        {
            Some(missing) => Err(format!("does not name {missing}")),
            None => Ok(()),
        }
    }
}

impl Member {
    /// Its digest.
    pub(super) fn digest(&self) -> Option<Digest> {
        let mut bytes = [0; 32];
        decode_hex(&self.sha256, &mut bytes).ok()?;
        Some(Digest(bytes))
    }
}

fn newer(what: &'static str, found: i64, known: i64) -> Result<(), Unfit> {
    if found <= known {
        return Ok(());
    }
    Err(Unfit::Newer { what, found, known })
}

/// Whether a path leads to a file below a home and nowhere else.
pub(super) fn is_path(path: &str) -> bool {
    let word = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
    let name = |name: &str| !name.is_empty() && !name.starts_with('.') && name.bytes().all(word);
    let levels = path.split('/').count();
    let place = path.split('/').next().unwrap_or_default();
    let deep_enough = (place == CONFIG) == (levels == 1);
    path.len() <= PATH_BYTES_MAX
        && levels <= PATH_LEVELS_MAX
        && deep_enough
        && PLACES.contains(&place)
        && path.split('/').all(name)
}
