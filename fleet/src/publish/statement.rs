//! Statements among the target files: signed by the release keys, of a new version and rank, with
//! every blob that they reach already here.
//!
//! Never takes a release back: what metadata no longer lists, devices refuse by themselves.

use std::collections::BTreeMap;

use muster_protocol::bundle::manifest::Manifest;
use muster_protocol::bundle::{HashList, manifest};
use muster_protocol::cbor;
use muster_protocol::cose::{self, KeySet};
use muster_protocol::digest::Digest;
use muster_protocol::key::PublicKey;
use muster_protocol::limits::WHOLE_BYTES_MAX;
use muster_protocol::message::{Statement, statement_name};
use muster_protocol::tuf::Role;
use muster_protocol::tuf::fleet_document::PATH;

use super::online::refused;
use super::stage::Staged;
use super::{Publication, countable, files};
use crate::blobs::Blobs;
use crate::controller::{Controller, Error};
use crate::store::{Countable, Tx};

/// A release that is not published yet.
pub(super) struct NewRelease {
    pub(super) statement: Statement,
    /// Exactly the signed bytes.
    pub(super) signed: Vec<u8>,
    /// Digests of card, hash list and layers.
    pub(super) reaches: Vec<Digest>,
    /// What gates can count of it.
    pub(super) countable: Countable,
}

impl NewRelease {
    /// Its name as a target.
    pub(super) fn name(&self) -> String {
        statement_name(&self.statement.model, &self.statement.version)
            .as_str()
            .to_owned()
    }
}

impl Controller {
    /// The statements of a publication that are new, with all that they reach. The signed bytes
    /// become blobs, since devices fetch them by digest.
    pub(super) async fn new_releases(
        &self,
        staged: &Staged,
        publication: &Publication,
    ) -> Result<Vec<NewRelease>, Error> {
        let mut brought = BTreeMap::new();
        for (name, bytes) in publication
            .target_files
            .iter()
            .filter(|(name, _)| name != PATH)
        {
            let statement = open(staged, name, bytes)?;
            brought.insert(name.clone(), (statement, bytes.clone()));
        }
        let listed = listed_statements(staged, publication)?;
        let brought = self
            .store()
            .read(move |tx| only_new(tx, brought, &listed))
            .await?;
        let mut releases = Vec::new();
        for (statement, signed) in brought {
            releases.push(self.with_blobs(statement, signed).await?);
        }
        Ok(releases)
    }

    async fn with_blobs(&self, statement: Statement, signed: Vec<u8>) -> Result<NewRelease, Error> {
        let blobs = self.blobs().clone();
        let checked = tokio::task::spawn_blocking(move || {
            let (manifest, reaches) = reaches(&blobs, &statement)?;
            blobs
                .put(Digest::of(&signed), &signed)
                .map_err(Error::Blob)?;
            Ok(NewRelease {
                statement,
                signed,
                reaches,
                countable: countable::countable(&blobs, &manifest),
            })
        });
        checked.await.map_err(|_| Error::Stopping)?
    }
}

/// Verifies a statement by the keys of the role that lists it, and that it is what its name says.
fn open(staged: &Staged, name: &str, bytes: &[u8]) -> Result<Statement, Error> {
    let role = files::listed_by(staged, name, bytes)?;
    let targets = staged.trusted.targets(&Role::Targets);
    let delegation = targets.and_then(|targets| {
        let all = targets.document();
        let found = all
            .delegated()
            .iter()
            .find(|delegation| delegation.name == role.name())?;
        Some(all.authority(found))
    });
    let refuse = |why: String| Error::Refused {
        why: format!("{name}: {why}"),
    };
    let authority =
        delegation.ok_or_else(|| refuse(format!("it is listed by {role}, which is no model's")))?;
    let keys: Vec<PublicKey> = authority.public_keys().into_iter().map(PublicKey).collect();
    let threshold = u8::try_from(authority.threshold()).unwrap_or(u8::MAX);
    let mut scratch = vec![0; cose::scratch_len(bytes.len())];
    let keys = KeySet {
        keys: &keys,
        threshold,
    };
    let statement = cose::open::<Statement>(bytes, keys, &mut scratch)
        .map_err(|error| refuse(error.to_string()))?
        .into_inner();
    let named = statement_name(&statement.model, &statement.version);
    if named.as_str() != name || role != Role::of_model(statement.model.as_str()) {
        return Err(refuse(format!("it is the statement {named}")));
    }
    Ok(statement)
}

/// Names and digests of the files that the new delegated documents list.
fn listed_statements(
    staged: &Staged,
    publication: &Publication,
) -> Result<Vec<(String, Digest)>, Error> {
    let documents = publication
        .delegated
        .iter()
        .filter_map(|(name, _)| staged.trusted.targets(&Role::Delegated(name.clone())));
    let files = documents.flat_map(|signed| &signed.document().targets);
    files
        .map(|(name, file)| {
            let sha256 = file.hashes.sha256().ok_or_else(|| Error::Refused {
                why: format!("{name} is listed without a sha256"),
            })?;
            Ok((name.clone(), Digest(sha256.0)))
        })
        .collect()
}

type Brought = BTreeMap<String, (Statement, Vec<u8>)>;

/// Drops what is published already; refuses taken versions, ranks that do not rise and files
/// that are listed but neither brought nor published.
fn only_new(
    tx: &Tx<'_>,
    mut brought: Brought,
    listed: &[(String, Digest)],
) -> Result<Vec<(Statement, Vec<u8>)>, Error> {
    let known = |name: &str| -> Result<Option<Digest>, Error> {
        let release = name
            .strip_prefix("models/")
            .and_then(|rest| rest.strip_suffix(".cbor"));
        let Some((model, version)) = release.and_then(|rest| rest.split_once('/')) else {
            return Ok(None);
        };
        let (Ok(model), Ok(version)) = (model.parse(), version.parse()) else {
            return Ok(None);
        };
        Ok(tx.statement(&model, &version)?.map(|(digest, _)| digest))
    };
    for (name, digest) in listed {
        if !brought.contains_key(name) && known(name)? != Some(*digest) {
            let why = format!("{name} is listed, but neither brought nor published before");
            return Err(Error::Refused { why });
        }
    }
    let names: Vec<String> = brought.keys().cloned().collect();
    for name in names {
        let Some(published) = known(&name)? else {
            continue;
        };
        if brought
            .remove(&name)
            .is_some_and(|(_, bytes)| Digest::of(&bytes) != published)
        {
            let why = format!("{name} is published with another statement: raise the version");
            return Err(Error::Conflict { why });
        }
    }
    let mut new: Vec<(Statement, Vec<u8>)> = brought.into_values().collect();
    new.sort_by_key(|(statement, _)| (statement.model.clone(), statement.rank));
    check_ranks(tx, &new)?;
    Ok(new)
}

fn check_ranks(tx: &Tx<'_>, new: &[(Statement, Vec<u8>)]) -> Result<(), Error> {
    let mut highest = BTreeMap::new();
    for (statement, _) in new {
        let model = &statement.model;
        let before = match highest.get(model) {
            Some(rank) => Some(*rank),
            None => tx.highest_rank(model)?,
        };
        if let Some(before) = before.filter(|before| statement.rank.0 <= *before) {
            let (version, rank) = (&statement.version, statement.rank);
            let why = format!("{model} {version} has rank {rank}, which must exceed {before}");
            return Err(Error::Conflict { why });
        }
        highest.insert(model.clone(), statement.rank.0);
    }
    Ok(())
}

/// The manifest of a bundle with its card, hash list and layers; all must be here.
fn reaches(blobs: &Blobs, statement: &Statement) -> Result<(Manifest, Vec<Digest>), Error> {
    let missing = |what: &str, digest: Digest| Error::Refused {
        why: format!(
            "{what} {digest} of {} {} is missing",
            statement.model, statement.version
        ),
    };
    let whole = |what: &str, digest| {
        let bytes = blobs
            .read(digest, u64::from(WHOLE_BYTES_MAX))
            .map_err(Error::Blob)?;
        bytes.ok_or_else(|| missing(what, digest))
    };
    let bytes = whole("the manifest", statement.bundle)?;
    if bytes.len() as u64 != u64::from(statement.manifest_size) {
        return Err(Error::Refused {
            why: "the manifest has another size".to_owned(),
        });
    }
    let manifest = Manifest::parse(&bytes).map_err(refused)?;
    let mut reaches = Vec::new();
    let card = ("the card".to_owned(), manifest.card);
    let layers = manifest.layers.iter();
    let layers = layers.map(|layer| (format!("the {} layer", layer.kind), layer.descriptor()));
    for (what, descriptor) in std::iter::once(card).chain(layers) {
        match blobs.size(descriptor.digest).map_err(Error::Blob)? {
            Some(size) if size == descriptor.size => reaches.push(descriptor.digest),
            Some(_) => {
                return Err(Error::Refused {
                    why: format!("{what} has another size"),
                });
            }
            None => return Err(missing(&what, descriptor.digest)),
        }
    }
    let list = manifest
        .layer(manifest::LayerKind::HashList)
        .map(|layer| layer.digest);
    if let Some(digest) = list {
        let bytes = whole("the hash list", digest)?;
        let list: HashList<'_> = cbor::decode(&bytes).map_err(refused)?;
        manifest.check_hash_list(&list).map_err(refused)?;
    }
    Ok((manifest, reaches))
}
