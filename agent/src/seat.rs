//! A model in one role on this device: what serves it, or the shadow beside that.
//!
//! A name only: each seat has one updater, and at most one release on its way.

use muster_protocol::id::ModelId;
use muster_protocol::message::{Entry, Role};
use std::fmt;

/// One model in one role; in order, what serves a model comes before its shadow.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Seat {
    /// The model.
    pub model: ModelId,
    /// Its role.
    pub role: Role,
}

impl Seat {
    /// Where this model serves.
    pub const fn serving(model: ModelId) -> Self {
        let role = Role::Serve;
        Self { model, role }
    }

    /// Where a shadow of this model runs.
    pub const fn shadow(model: ModelId) -> Self {
        let role = Role::Shadow;
        Self { model, role }
    }

    /// Which one an entry names.
    pub fn of(entry: &Entry) -> Self {
        Self {
            model: entry.model.clone(),
            role: entry.role,
        }
    }

    /// The other seat of the same model.
    pub fn other(&self) -> Self {
        let other = match self.role {
            Role::Serve => Self::shadow,
            Role::Shadow => Self::serving,
        };
        other(self.model.clone())
    }

    /// Whether a shadow runs here.
    pub fn is_shadow(&self) -> bool {
        self.role == Role::Shadow
    }
}

impl fmt::Display for Seat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.role {
            Role::Serve => write!(f, "{}", self.model),
            Role::Shadow => write!(f, "{} (shadow)", self.model),
        }
    }
}
