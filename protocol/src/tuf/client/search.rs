//! The search for a target (5.6.7 and 5.7.1): pre-order, depth first, delegations in their order,
//! each role once, a terminating delegation last. It only believes documents that are current.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use super::super::limits;
use super::super::metadata::{Delegation, Signed, TargetFile, Targets};
use super::super::refused::Refused;
use super::super::role::Role;
use super::{Expiry, Trusted, Unjudged, Wanted};

/// How far a search for a target came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Search<'a> {
    /// The target is listed.
    Found {
        /// By whom.
        role: Role,
        /// What is known about it.
        file: &'a TargetFile,
    },
    /// A document is needed first. If it cannot be had, the target is absent (5.6.7).
    Needs(Wanted),
    /// No role that may list the target does.
    Absent,
}

impl Trusted {
    /// Seeks a target.
    ///
    /// # Errors
    /// [`Refused::Expired`] if a document on the way is; [`Refused::MissingRole`] if the snapshot
    /// does not list a role that is delegated to.
    pub fn search(&self, path: &str, expiry: Expiry) -> Result<Search<'_>, Refused> {
        if let Some(wanted) = self.wanted_top_level() {
            return Ok(Search::Needs(wanted));
        }
        self.check_top_level(expiry)?;
        let Some(targets) = self.current_targets(&Role::Targets) else {
            return Ok(Search::Absent);
        };
        let mut visited = BTreeSet::from([Role::Targets]);
        let mut ahead = Vec::new();
        let (mut role, mut document) = (Role::Targets, targets.document());
        loop {
            if let Some(file) = document.targets.get(path) {
                return Ok(Search::Found { role, file });
            }
            push_covering(&mut ahead, &role, document, path);
            let Some(step) = next_unvisited(&mut ahead, &mut visited) else {
                return Ok(Search::Absent);
            };
            role = Role::Delegated(step.delegation.name.clone());
            match self.delegated_by(&step, &role) {
                Some(signed) => {
                    expiry.check(&role, signed)?;
                    document = signed.document();
                }
                None => {
                    return self
                        .wanted_delegated(role, step.delegator)
                        .map(Search::Needs);
                }
            }
        }
    }

    /// What is known about a target, among documents already accepted: no expiry is judged again.
    #[must_use]
    pub fn target(&self, path: &str) -> Option<&TargetFile> {
        match self.search(path, Expiry::Ignored(Unjudged::AlreadyAccepted)) {
            Ok(Search::Found { file, .. }) => Some(file),
            Ok(Search::Needs(_) | Search::Absent) | Err(_) => None,
        }
    }

    pub(super) fn check_top_level(&self, expiry: Expiry) -> Result<(), Refused> {
        expiry.check(&Role::Root, &self.root)?;
        self.timestamp
            .iter()
            .try_for_each(|signed| expiry.check(&Role::Timestamp, signed))?;
        self.snapshot
            .iter()
            .try_for_each(|signed| expiry.check(&Role::Snapshot, signed))?;
        self.targets
            .iter()
            .try_for_each(|signed| expiry.check(&Role::Targets, signed))
    }

    fn delegated_by(&self, step: &Step<'_>, role: &Role) -> Option<&Signed<Targets>> {
        let authority = step.parent.authority(step.delegation);
        self.current_targets(role)
            .filter(|signed| *signed.by() == authority)
    }

    fn wanted_delegated(&self, role: Role, delegator: Role) -> Result<Wanted, Refused> {
        let missing = || Refused::MissingRole { role: role.clone() };
        let listed = self
            .current_snapshot()
            .ok_or_else(missing)?
            .document()
            .listed(&role)?;
        Ok(self.wanted_listed(role.clone(), Some(delegator), listed))
    }
}

/// One delegation that the search has yet to follow.
struct Step<'a> {
    delegator: Role,
    parent: &'a Targets,
    delegation: &'a Delegation,
}

/// Puts the delegations that cover the path ahead of all others; a terminating one drops the rest.
fn push_covering<'a>(ahead: &mut Vec<Step<'a>>, role: &Role, parent: &'a Targets, path: &str) {
    let mut covering = Vec::new();
    for delegation in parent
        .delegated()
        .iter()
        .filter(|delegation| delegation.covers(path))
    {
        covering.push(Step {
            delegator: role.clone(),
            parent,
            delegation,
        });
        if delegation.terminating {
            ahead.clear();
            break;
        }
    }
    ahead.extend(covering.into_iter().rev());
}

fn next_unvisited<'a>(ahead: &mut Vec<Step<'a>>, visited: &mut BTreeSet<Role>) -> Option<Step<'a>> {
    while visited.len() < limits::ROLES_VISITED_MAX {
        let step = ahead.pop()?;
        if visited.insert(Role::Delegated(step.delegation.name.clone())) {
            return Some(step);
        }
    }
    None
}
