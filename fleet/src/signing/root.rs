//! Another root: who signs for the top-level roles from now on.
//!
//! Pure. Both the keys of the root before and those of the new one must sign it; targets are signed
//! anew where their keys change.

use muster_protocol::time::UnixSeconds;
use muster_protocol::tuf::author::read_unverified;
use muster_protocol::tuf::{Envelope, Role, Root};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::base::Ground;
use super::part::{Content, Part};
use super::wanted::{Parts, Unfit};
use crate::own_metadata::{self, VersionFloor};

/// The next root.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct NewRoot {
    /// What is signed.
    pub(crate) root: Value,
    /// When it was proposed, unix seconds.
    pub(crate) proposed_at_s: u64,
}

impl NewRoot {
    /// The document.
    ///
    /// # Errors
    /// It is no root.
    pub(crate) fn document(&self) -> Result<Root, Unfit> {
        let envelope = Envelope {
            signatures: Vec::new(),
            signed: self.root.clone(),
        };
        Ok(read_unverified(&Role::Root, &envelope.to_bytes()?)?)
    }

    pub(super) fn parts(&self, ground: &Ground) -> Result<Parts, Unfit> {
        let next = self.document()?;
        let (before, offered) = (ground.root.header.version, next.header.version);
        if Some(offered) != before.checked_add(1) {
            return Err(Unfit::RootVersion { before, offered });
        }
        let root = Part {
            content: Content::metadata(Role::Root, Envelope::unsigned(&next)?)?,
            by: vec![
                ground.root.authority(&Role::Root),
                next.authority(&Role::Root),
            ],
        };
        let mut now = vec![root];
        now.extend(self.targets_anew(ground, &next)?);
        Ok(Parts { now, later: None })
    }

    /// The next version of targets, where others sign for them from now on.
    fn targets_anew(&self, ground: &Ground, next: &Root) -> Result<Option<Part>, Unfit> {
        let (before, after) = (
            ground.root.authority(&Role::Targets),
            next.authority(&Role::Targets),
        );
        let same =
            before.public_keys() == after.public_keys() && before.threshold() == after.threshold();
        if same {
            return Ok(None);
        }
        let now = UnixSeconds(self.proposed_at_s);
        let targets = own_metadata::next(Some(ground.targets.clone()), VersionFloor::NONE, now);
        Ok(Some(Part {
            content: Content::metadata(Role::Targets, Envelope::unsigned(&targets)?)?,
            by: vec![after],
        }))
    }
}
