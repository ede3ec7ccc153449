//! Signing a release: the statement, the model's targets and, for a new model, its delegation.
//!
//! Never sends anything, and never writes a key but the first one of a model.

use std::path::PathBuf;

use ed25519_dalek::SigningKey;
use muster_protocol::cbor;
use muster_protocol::cose;
use muster_protocol::id::{ModelId, Rank};
use muster_protocol::limits::NODE_DOCUMENT_BYTES_MAX;
use muster_protocol::message::statement::{AGENT_LEVEL, Requirements};
use muster_protocol::message::{Statement, statement_name};
use muster_protocol::time::UnixSeconds;
use muster_protocol::tuf::{Delegation, Envelope, Role, TargetFile, author};

use super::plan::{self, Plan};
use crate::bundle::Verified;
use crate::error::{Exit, OperatorError};
use crate::home::Home;
use crate::key_file;
use crate::own_metadata::next;
use crate::publish::Publication;

/// The keys that this machine has.
#[derive(Debug)]
pub(super) struct Keys {
    /// The release key of the model.
    pub(super) release: Option<SigningKey>,
    /// Where that is, or would be.
    pub(super) release_path: PathBuf,
    /// The key of the top-level targets.
    pub(super) targets: Option<SigningKey>,
}

impl Keys {
    /// Reads those that are there.
    pub(super) fn find(home: &Home, model: &ModelId) -> Result<Self, OperatorError> {
        let read = |path: PathBuf| path.exists().then(|| key_file::read(&path)).transpose();
        let release_path = home.release_key(model);
        let release = read(release_path.clone())?;
        Ok(Self {
            release,
            release_path,
            targets: read(home.targets_key())?,
        })
    }

    /// The release key, made now if there is none.
    pub(super) fn release_or_new(
        &self,
        home: &Home,
        model: &ModelId,
    ) -> Result<SigningKey, OperatorError> {
        match &self.release {
            Some(key) => Ok(key.clone()),
            None => key_file::create(&home.release_key(model)),
        }
    }
}

/// Everything that the controller is given to publish.
pub(super) fn publication(
    bundle: &Verified,
    plan: Plan,
    release: &SigningKey,
    targets: Option<&SigningKey>,
    now: UnixSeconds,
) -> Result<Publication, OperatorError> {
    let failed = |because: &dyn std::fmt::Display| {
        let (model, version) = (&bundle.card.model, &bundle.card.version);
        let hint = "this should not happen: report it with the bundle";
        OperatorError::new(Exit::Bug, format!("sign {model} {version}"), because, hint)
    };
    let model = bundle.card.model.as_str();
    let statement = statement(bundle, plan.rank, release, now).map_err(|error| failed(&error))?;
    let name = statement_name(&bundle.card.model, &bundle.card.version)
        .as_str()
        .to_owned();
    let custom = plan::custom(plan.rank, &bundle.bundle.digest, disk_bytes(bundle));
    let floor = plan.version_floor;
    let mut role = next(plan.role, floor, now);
    role.add_target(&name, TargetFile::of(&statement, Some(custom)));
    let role = Envelope::signed_bytes(&role, &[release]).map_err(|error| failed(&error))?;
    let delegating = plan.delegate_in.zip(targets).map(|(all, key)| {
        let mut all = next(Some(all), floor, now);
        all.delegate(Delegation::of_model(model, 1), &[author::key_of(release)]);
        Envelope::signed_bytes(&all, &[key])
    });
    Ok(Publication {
        root: None,
        targets: delegating.transpose().map_err(|error| failed(&error))?,
        delegated: vec![(Role::of_model(model).name().to_owned(), role)],
        target_files: vec![(name, statement)],
    })
}

/// Bytes on disk: what the manifest names, unpacked as well, and the manifest.
pub(super) fn disk_bytes(bundle: &Verified) -> u64 {
    bundle
        .manifest
        .plan()
        .disk_bytes
        .saturating_add(bundle.bundle.size)
}

/// The payload of a release's statement.
///
/// # Errors
/// The manifest is far too large.
pub(crate) fn payload(bundle: &Verified, rank: Rank, now: UnixSeconds) -> Result<Vec<u8>, String> {
    let statement = Statement {
        model: bundle.card.model.clone(),
        version: bundle.card.version.clone(),
        rank,
        bundle: bundle.bundle.digest,
        manifest_size: u32::try_from(bundle.bundle.size).map_err(|error| error.to_string())?,
        class: bundle.card.class.clone(),
        requirements: Requirements {
            peak_memory_bytes: bundle.card.planned_peak_bytes,
            disk_bytes: disk_bytes(bundle),
            agent_level: AGENT_LEVEL,
        },
        issued_at: now,
    };
    Ok(cbor::to_vec(&statement))
}

fn statement(
    bundle: &Verified,
    rank: Rank,
    key: &SigningKey,
    now: UnixSeconds,
) -> Result<Vec<u8>, String> {
    let payload = payload(bundle, rank, now)?;
    let mut scratch = vec![0; cose::scratch_len(payload.len())];
    let signature = cose::sign::<Statement>(&payload, key, &mut scratch);
    let signed = cose::assemble_vec(&payload, &[signature.map_err(|error| error.to_string())?]);
    match signed.len() <= NODE_DOCUMENT_BYTES_MAX {
        true => Ok(signed),
        false => Err(format!("its statement has {} bytes", signed.len())),
    }
}
