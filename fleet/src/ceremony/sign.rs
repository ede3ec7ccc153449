//! Signing the next `fleet.json`: the targets that list it.
//!
//! Believes of the controller only what our own key has signed.

use ed25519_dalek::SigningKey;
use muster_protocol::time::UnixSeconds;
use muster_protocol::tuf::fleet_document::{FleetDocumentError, PATH};
use muster_protocol::tuf::{Envelope, FleetDocument, Role, TargetFile, Targets};

use super::WHAT;
use crate::error::{Exit, OperatorError};
use crate::own_metadata::{self, NotOurs, VersionFloor};
use crate::publish::Publication;

/// What the controller holds, as it handed it out.
#[derive(Debug)]
pub(super) struct Held {
    /// The top-level targets.
    pub(super) targets: Vec<u8>,
    /// `fleet.json`.
    pub(super) fleet: Vec<u8>,
    /// The lowest version that it asks for.
    pub(super) version_floor: u64,
}

/// The same, known to be ours.
#[derive(Debug)]
pub(super) struct Before {
    targets: Targets,
    /// The lowest version of what is signed.
    pub(super) version_floor: VersionFloor,
    /// What devices are told now.
    pub(super) fleet: FleetDocument,
}

impl Before {
    /// Whether more than the next version is signed.
    pub(super) fn jumps(&self) -> bool {
        let versions = [self.targets.header.version, self.fleet.version];
        versions
            .into_iter()
            .any(|version| self.version_floor.jumps(version))
    }
}

/// Why nothing is signed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unsigned {
    #[error(transparent)]
    NotOurs(#[from] NotOurs),
    #[error("the controller's fleet.json is not the one that our targets list")]
    OtherFile,
    #[error(transparent)]
    Document(#[from] FleetDocumentError),
}

/// Reads what is there.
///
/// # Errors
/// [`Unsigned`].
pub(super) fn before(held: &Held, key: &SigningKey) -> Result<Before, Unsigned> {
    let targets = own_metadata::own(&Role::Targets, &held.targets, key)?;
    let listed = targets
        .targets
        .get(PATH)
        .is_some_and(|file| is(file, &held.fleet));
    if !listed {
        return Err(Unsigned::OtherFile);
    }
    let fleet = FleetDocument::parse(&held.fleet)?;
    let newest = targets.header.version.max(fleet.version);
    let version_floor = VersionFloor::of(held.version_floor, &Role::Targets, newest)?;
    Ok(Before {
        targets,
        version_floor,
        fleet,
    })
}

/// Everything that the controller is given to publish, and the new `fleet.json` itself.
///
/// # Errors
/// None that an operator could mend.
pub(super) fn publication(
    before: Before,
    after: &FleetDocument,
    key: &SigningKey,
    now: UnixSeconds,
) -> Result<(Publication, Vec<u8>), OperatorError> {
    let failed = |because: String| OperatorError::new(Exit::Bug, WHAT, because, "report it");
    let bytes = after.encode().map_err(|error| failed(error.to_string()))?;
    let mut targets = own_metadata::next(Some(before.targets), before.version_floor, now);
    targets.add_target(PATH, TargetFile::of(&bytes, None));
    let signed = Envelope::signed_bytes(&targets, &[key]);
    let publication = Publication {
        targets: Some(signed.map_err(|error| failed(error.to_string()))?),
        target_files: vec![(PATH.to_owned(), bytes.clone())],
        ..Publication::default()
    };
    Ok((publication, bytes))
}

/// Whether these bytes are the listed file.
pub(super) fn is(file: &TargetFile, bytes: &[u8]) -> bool {
    file.length == bytes.len() as u64 && file.hashes.match_bytes(bytes)
}

impl Unsigned {
    /// The sentence for the operator.
    pub(super) fn told(&self) -> OperatorError {
        let hint = "sign nothing until it is known who changed what the controller hands out, and \
                    whether this is the fleet's targets key";
        OperatorError::new(Exit::Refused, WHAT, self, hint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_signed_over_what_our_key_has_not_signed() {
        let key = |seed| SigningKey::from_bytes(&[seed; 32]);
        let held = |signer: u8, fleet: &[u8]| {
            let mut targets = Targets::new(1, 2_000_000_000);
            targets.add_target(PATH, TargetFile::of(b"listed", None));
            Held {
                targets: Envelope::signed_bytes(&targets, &[&key(signer)]).expect("signed"),
                fleet: fleet.to_vec(),
                version_floor: 1,
            }
        };
        let check = |held: Held, expect: &str| {
            let error = before(&held, &key(1)).expect_err("refused").to_string();
            assert!(error.contains(expect), "{error}");
        };
        check(held(2, b"listed"), "not signed by our key");
        check(held(1, b"other"), "not the one that our targets list");
        check(held(1, b"listed"), "fleet.json is malformed");
    }
}
