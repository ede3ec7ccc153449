//! Why a metadata document is not taken. Never a verdict on a release.

use crate::stick::Weight;
use muster_protocol::tuf::Refused;

/// Why a document was not taken.
#[derive(Debug)]
pub(super) struct Untaken {
    pub(super) because: String,
    pub(super) weight: Weight,
}

impl From<String> for Untaken {
    fn from(because: String) -> Self {
        let weight = Weight::Bad;
        Self { because, weight }
    }
}

impl From<Refused> for Untaken {
    fn from(refused: Refused) -> Self {
        let weight = match refused {
            Refused::Rollback { .. } => Weight::Older,
            _ => Weight::Bad,
        };
        let because = refused.to_string();
        Self { because, weight }
    }
}
