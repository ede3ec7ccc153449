//! What a proposal wants: a release, another `fleet.json` or another root; and the documents that
//! follow from it.
//!
//! Pure: the same base and the same wish give the same bytes to everybody.

use std::collections::BTreeMap;

use muster_protocol::time::UnixSeconds;
use muster_protocol::tuf::fleet_document::{FleetDocumentError, PATH};
use muster_protocol::tuf::{Envelope, FleetDocument, NotCanonical, Refused, Role, TargetFile};
use serde::{Deserialize, Serialize};

use super::base::{Ground, Untrue};
use super::part::{Content, Made, Part};
use super::release::NewRelease;
use super::root::NewRoot;
use crate::own_metadata::{self, NotOurs, VersionFloor};
use crate::publish::Publication;

/// The wish.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub(crate) enum Wanted {
    /// A release.
    Release(NewRelease),
    /// Another `fleet.json`.
    Fleet(NewFleet),
    /// Another root.
    Root(NewRoot),
    /// Other keys of the controller.
    Controller(NewController),
}

/// The root and the `fleet.json` under which other keys of the controller count.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct NewController {
    /// The root, where snapshot and timestamp have new keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) root: Option<NewRoot>,
    /// The keys of the director, the CA, the addresses.
    pub(crate) fleet: NewFleet,
}

/// The next `fleet.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct NewFleet {
    /// It, as it will be published.
    pub(crate) fleet: String,
    /// When it was proposed, unix seconds.
    pub(crate) proposed_at_s: u64,
    /// The lowest version that the controller asks for.
    pub(crate) version_floor: u64,
}

/// Signatures as a proposal carries them, by the name of their part; none checked yet.
pub(crate) type Carried = BTreeMap<String, Vec<Made>>;

/// What follows from a wish.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Parts {
    /// What can be signed now.
    pub(crate) now: Vec<Part>,
    /// The name of what can be signed only when all of those have been.
    pub(crate) later: Option<String>,
}

/// Why nothing follows from it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unfit {
    #[error(transparent)]
    Untrue(#[from] Untrue),
    #[error("its metadata does not hold: {0}")]
    Refused(#[from] Refused),
    #[error("its new fleet.json does not hold: {0}")]
    Fleet(#[from] FleetDocumentError),
    #[error("version, issued_at or director_epoch of its fleet.json goes back")]
    FleetGoesBack,
    #[error("its statement is not readable")]
    Statement,
    #[error("its statement is not about the {0} that it carries")]
    OtherBundle(&'static str),
    #[error("it carries no targets of {0}, which had releases")]
    Withheld(Role),
    #[error("{0} is new: nobody is named who signs its releases")]
    NoSigners(Role),
    #[error("more signatures are asked for than there are signers")]
    Threshold,
    #[error("{0} is released already")]
    Released(String),
    #[error("its rank {rank} does not follow {last}")]
    Rank { rank: u32, last: u32 },
    #[error("it changes who signs for targets beside the keys of the controller")]
    OtherSigners,
    #[error("its root has version {offered}, which does not follow {before}")]
    RootVersion { before: u64, offered: u64 },
    #[error("{0}")]
    FarVersion(#[from] NotOurs),
    #[error("a document has no canonical form")]
    NotCanonical(#[from] NotCanonical),
}

impl Wanted {
    /// As the command is called that deals with it.
    pub(crate) fn command(&self) -> &'static str {
        match self {
            Self::Release(_) => "release",
            Self::Fleet(_) => "fleet",
            Self::Root(_) => "root",
            Self::Controller(_) => "controller",
        }
    }

    /// The role of the model that is released.
    pub(crate) fn model_role(&self) -> Option<Role> {
        match self {
            Self::Release(release) => release.role(),
            Self::Fleet(_) | Self::Root(_) | Self::Controller(_) => None,
        }
    }

    /// The `fleet.json` that it brings.
    pub(crate) fn fleet(&self) -> Option<&str> {
        match self {
            Self::Fleet(new) | Self::Controller(NewController { fleet: new, .. }) => {
                Some(&new.fleet)
            }
            Self::Release(_) | Self::Root(_) => None,
        }
    }

    /// The root that it brings.
    pub(crate) fn root(&self) -> Option<&NewRoot> {
        match self {
            Self::Root(new) => Some(new),
            Self::Controller(new) => new.root.as_ref(),
            Self::Release(_) | Self::Fleet(_) => None,
        }
    }

    /// The documents that must be signed.
    ///
    /// # Errors
    /// [`Unfit`].
    pub(crate) fn parts(&self, ground: &Ground, carried: &Carried) -> Result<Parts, Unfit> {
        match self {
            Self::Release(release) => release.parts(ground, carried),
            Self::Fleet(fleet) => fleet.parts(ground),
            Self::Root(root) => root.parts(ground),
            Self::Controller(new) => new.parts(ground),
        }
    }

    /// Everything that the controller is given, once `documents`, by the names of their parts, are
    /// signed.
    pub(crate) fn publication(&self, mut documents: BTreeMap<String, Vec<u8>>) -> Publication {
        let root = documents.remove(Role::Root.name());
        let targets = documents.remove(Role::Targets.name());
        let target_files = match self {
            Self::Release(release) => documents
                .remove("statement")
                .map(|statement| (release.target_name(), statement))
                .into_iter()
                .collect(),
            Self::Fleet(new) | Self::Controller(NewController { fleet: new, .. }) => {
                vec![(PATH.to_owned(), new.fleet.clone().into_bytes())]
            }
            Self::Root(_) => Vec::new(),
        };
        Publication {
            root,
            targets,
            delegated: documents.into_iter().collect(),
            target_files,
        }
    }
}

impl NewController {
    fn parts(&self, ground: &Ground) -> Result<Parts, Unfit> {
        let root = self.root.as_ref().map(|root| root.parts(ground));
        let mut now = root.transpose()?.map_or_else(Vec::new, |parts| parts.now);
        // Another `targets` beside that of `fleet.json` would be of the same version.
        if now.len() > 1 {
            return Err(Unfit::OtherSigners);
        }
        now.extend(self.fleet.parts(ground)?.now);
        Ok(Parts { now, later: None })
    }
}

impl NewFleet {
    fn parts(&self, ground: &Ground) -> Result<Parts, Unfit> {
        let next = FleetDocument::parse(self.fleet.as_bytes())?;
        let before = &ground.fleet;
        let goes_back = next.version <= before.version
            || next.issued_at_s < before.issued_at_s
            || next.director_epoch < before.director_epoch;
        if goes_back {
            return Err(Unfit::FleetGoesBack);
        }
        let newest = ground.targets.header.version.max(before.version);
        let floor = VersionFloor::of(self.version_floor, &Role::Targets, newest)?;
        let now = UnixSeconds(self.proposed_at_s);
        let mut targets = own_metadata::next(Some(ground.targets.clone()), floor, now);
        targets.add_target(PATH, TargetFile::of(self.fleet.as_bytes(), None));
        let part = Part {
            content: Content::metadata(Role::Targets, Envelope::unsigned(&targets)?)?,
            by: vec![ground.root.authority(&Role::Targets)],
        };
        Ok(Parts {
            now: vec![part],
            later: None,
        })
    }
}
