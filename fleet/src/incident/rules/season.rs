//! Features whose normal follows the hour of the week, as a person writes them.
//!
//! Never says how such a normal is learnt: that is in `crate::watch`.

use muster_protocol::id::ModelId;
use serde::Deserialize;

use super::{OneOrMany, neither};
use crate::watch::SeasonRule;

/// `[[season]]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Season {
    /// The model; any when it is left out.
    #[serde(default, with = "crate::text::optional")]
    pub model: Option<ModelId>,
    /// Which of its features.
    pub features: Features,
    /// What their normal follows.
    pub by: By,
}

/// What a normal may follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum By {
    /// The hour of the week, UTC.
    HourOfWeek,
}

/// Features by their names.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "OneOrMany")]
pub enum Features {
    /// Every one that there is.
    All,
    /// These.
    Named(Vec<String>),
}

impl Season {
    /// What it says to the charts; nothing is learnt for `hold_s` seconds after something was wrong.
    #[must_use]
    pub fn rule(&self, hold_s: u64) -> SeasonRule {
        let By::HourOfWeek = self.by;
        SeasonRule {
            model: self.model.clone(),
            features: match &self.features {
                Features::All => Vec::new(),
                Features::Named(names) => names.clone(),
            },
            hold_s,
        }
    }
}

impl TryFrom<OneOrMany> for Features {
    type Error = String;

    fn try_from(written: OneOrMany) -> Result<Self, String> {
        match written {
            OneOrMany::Many(names) => Ok(Self::Named(names)),
            OneOrMany::One(word) if word == "all" => Ok(Self::All),
            OneOrMany::One(word) => Err(neither(&word)),
        }
    }
}
