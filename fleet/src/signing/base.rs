//! The signed metadata that a proposal builds on: carried along, and verified from the first root
//! by everyone who signs.
//!
//! Pure. Whether it is the newest is not known here: that is what a signer's memory is for.

use muster_protocol::tuf::author::read_signed;
use muster_protocol::tuf::fleet_document::{FleetDocumentError, PATH};
use muster_protocol::tuf::{
    Authority, FleetDocument, Hex32, Refused, Role, Root, Targets, Trusted,
};
use serde::{Deserialize, Serialize};

/// Documents as the controller handed them out, none believed yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Base {
    /// Every root from the first on.
    pub(crate) roots: Vec<String>,
    /// The top-level targets.
    pub(crate) targets: String,
    /// `fleet.json`.
    pub(crate) fleet: String,
    /// The targets of the model that is released, once it had a release.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) model: Option<String>,
}

/// The same, verified.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Ground {
    /// The sha256 of the first root, as `muster init` told it.
    pub(crate) first_root: Hex32,
    /// The sha256 of each root.
    pub(crate) root_digests: Vec<Hex32>,
    /// The newest root.
    pub(crate) root: Root,
    /// The top-level targets.
    pub(crate) targets: Targets,
    /// What devices are told.
    pub(crate) fleet: FleetDocument,
    /// The targets of the model that is released.
    pub(crate) model: Option<Targets>,
}

/// Why the base is not believed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Untrue {
    #[error("it carries no root metadata")]
    NoRoot,
    #[error("its metadata does not hold: {0}")]
    Refused(#[from] Refused),
    #[error("its fleet.json is not the one that targets list")]
    OtherFleet,
    #[error("its {0}")]
    Fleet(#[from] FleetDocumentError),
    #[error("targets delegate to no role {0}")]
    Undelegated(Role),
}

impl Base {
    /// Verifies it: the root chain, then what root's keys and the delegates of `model` signed.
    ///
    /// # Errors
    /// [`Untrue`].
    pub(crate) fn verified(&self, model: Option<&Role>) -> Result<Ground, Untrue> {
        let root = self.root()?;
        let by = root.authority(&Role::Targets);
        let targets = read_signed::<Targets>(&Role::Targets, by, self.targets.as_bytes())?;
        let targets = targets.document().clone();
        Ok(Ground {
            first_root: Hex32::sha256(self.roots.first().ok_or(Untrue::NoRoot)?.as_bytes()),
            root_digests: self
                .roots
                .iter()
                .map(|root| Hex32::sha256(root.as_bytes()))
                .collect(),
            fleet: self.fleet(&targets)?,
            model: self.model(&targets, model)?,
            root,
            targets,
        })
    }

    fn root(&self) -> Result<Root, Untrue> {
        let (first, later) = self.roots.split_first().ok_or(Untrue::NoRoot)?;
        let mut trusted = Trusted::from_root(first.as_bytes())?;
        for next in later {
            trusted.update_root(next.as_bytes())?;
        }
        Ok(trusted.root().document().clone())
    }

    fn fleet(&self, targets: &Targets) -> Result<FleetDocument, Untrue> {
        let bytes = self.fleet.as_bytes();
        let listed = targets.targets.get(PATH).ok_or(Untrue::OtherFleet)?;
        listed
            .check_bytes(&Role::Targets, bytes)
            .map_err(|_| Untrue::OtherFleet)?;
        Ok(FleetDocument::parse(bytes)?)
    }

    fn model(&self, targets: &Targets, role: Option<&Role>) -> Result<Option<Targets>, Untrue> {
        let (Some(text), Some(role)) = (&self.model, role) else {
            return Ok(None);
        };
        let by = authority_of(targets, role).ok_or_else(|| Untrue::Undelegated(role.clone()))?;
        let signed = read_signed::<Targets>(role, by, text.as_bytes())?;
        Ok(Some(signed.document().clone()))
    }
}

/// Who signs for a delegated role, if there is a delegation.
pub(crate) fn authority_of(targets: &Targets, role: &Role) -> Option<Authority> {
    let mut delegated = targets.delegated().iter();
    let found = delegated.find(|delegation| delegation.name == role.name())?;
    Some(targets.authority(found))
}
