//! The files that signed metadata lists: each must be here, and be what is listed.
//!
//! Believes nothing by its name: the listing decides.

use muster_protocol::digest::Digest;
use muster_protocol::tuf::fleet_document::PATH;
use muster_protocol::tuf::{FleetDocument, Hex, Role, Search, TargetFile};

use super::online::refused;
use super::stage::Staged;
use super::{Current, Publication};
use crate::authority;
use crate::controller::{Error, Keys};

/// What `fleet.json` must name, or devices would turn away from this controller.
pub(super) struct Ours<'a> {
    /// The keys that it signs with.
    pub(super) keys: &'a Keys,
    /// The sha256 of its CA's certificate, in DER.
    pub(super) ca_root: Digest,
}

/// The role that lists a file, after checking that the file is what is listed.
pub(super) fn listed_by(staged: &Staged, name: &str, bytes: &[u8]) -> Result<Role, Error> {
    match staged
        .trusted
        .search(name, staged.expiry)
        .map_err(refused)?
    {
        Search::Found { role, file } if is(file, bytes) => Ok(role),
        Search::Found { role, .. } => Err(Error::Refused {
            why: format!("{name} is not the file that {role} lists"),
        }),
        Search::Needs(_) | Search::Absent => Err(Error::Refused {
            why: format!("no signed metadata lists {name}"),
        }),
    }
}

fn is(file: &TargetFile, bytes: &[u8]) -> bool {
    file.length == bytes.len() as u64 && file.hashes.match_bytes(bytes)
}

/// The `fleet.json` of this publication, when there is one; without one, what is listed must be
/// what is stored.
pub(super) fn fleet_document(
    staged: &Staged,
    current: &Current,
    publication: &Publication,
    ours: &Ours<'_>,
) -> Result<Option<(FleetDocument, Vec<u8>)>, Error> {
    let brought = publication
        .target_files
        .iter()
        .find(|(name, _)| name == PATH);
    let Some((_, bytes)) = brought else {
        let stored = current.fleet.as_deref().unwrap_or_default();
        let missing = |_| Error::Refused {
            why: format!("{PATH} is listed anew but missing"),
        };
        return listed_by(staged, PATH, stored)
            .map(|_| None)
            .map_err(missing);
    };
    let role = listed_by(staged, PATH, bytes)?;
    if role != Role::Targets {
        return Err(Error::Refused {
            why: format!("{PATH} is listed by {role}, not by targets"),
        });
    }
    let next = FleetDocument::parse(bytes).map_err(refused)?;
    if let Some(before) = current.fleet.as_deref().filter(|before| before != bytes) {
        follows(&FleetDocument::parse(before).map_err(refused)?, &next)?;
    }
    names_our_keys(&next, ours.keys)?;
    accepts_our_ca(&next, ours.ca_root)?;
    Ok(Some((next, bytes.clone())))
}

fn follows(before: &FleetDocument, next: &FleetDocument) -> Result<(), Error> {
    let grows = next.version > before.version
        && next.issued_at_s >= before.issued_at_s
        && next.director_epoch >= before.director_epoch;
    if grows {
        return Ok(());
    }
    let why = format!("version, issued_at or director_epoch of {PATH} goes back");
    Err(Error::Conflict { why })
}

/// Devices would refuse whatever this controller signs with a key that is not named.
fn names_our_keys(document: &FleetDocument, keys: &Keys) -> Result<(), Error> {
    let ours = [
        ("director", &document.director.keys, &keys.director),
        ("ack", &document.ack_keys, &keys.ack),
        ("time", &document.time_keys, &keys.time),
    ];
    for (purpose, named, key) in ours {
        if !named.contains(&Hex(key.verifying_key().to_bytes())) {
            let why = format!("{PATH} does not name the {purpose} key of this controller");
            return Err(Error::Refused { why });
        }
    }
    if document.director.threshold != 1 {
        let why = format!("{PATH} asks for more than one director; this controller signs alone");
        return Err(Error::Refused { why });
    }
    Ok(())
}

/// Devices would no longer connect to a server under a CA that is not named.
fn accepts_our_ca(document: &FleetDocument, ca_root: Digest) -> Result<(), Error> {
    let named = document.ca_certificates.iter();
    let mut named = named.filter_map(|pem| authority::certificate_digest(pem));
    if named.any(|digest| digest == ca_root) {
        return Ok(());
    }
    let why = format!("{PATH} does not name the CA of this controller");
    Err(Error::Refused { why })
}
