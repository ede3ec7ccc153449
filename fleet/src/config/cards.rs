//! What the card of a model must say before the model is rolled out.
//!
//! Never looks into a card: names only.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The table `[cards]`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Cards {
    /// Parts without which nothing is rolled out.
    pub(crate) required: Vec<CardPart>,
}

/// A part of what people say about a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum CardPart {
    /// What it is for.
    IntendedUse,
    /// What it is not for.
    Limits,
    /// Its licence.
    Licence,
    /// The commit that trained it.
    TrainingCommit,
    /// The digest of the data that trained it.
    TrainingData,
    /// How well it did.
    Metrics,
}

impl CardPart {
    /// All of them, in the order of the card.
    pub(crate) const ALL: [Self; 6] = [
        Self::IntendedUse,
        Self::Limits,
        Self::Licence,
        Self::TrainingCommit,
        Self::TrainingData,
        Self::Metrics,
    ];

    /// As the card has it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::IntendedUse => "intended_use",
            Self::Limits => "limits",
            Self::Licence => "licence",
            Self::TrainingCommit => "training_commit",
            Self::TrainingData => "training_data",
            Self::Metrics => "metrics",
        }
    }
}

impl fmt::Display for CardPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Cards {
    /// Whether nothing is required.
    pub(crate) fn is_default(&self) -> bool {
        self.required.is_empty()
    }

    /// Of the parts that a card does not fill, those that are required.
    pub(crate) fn lacking(&self, missing: &[&str]) -> Vec<CardPart> {
        let required = self.required.iter().copied();
        required
            .filter(|part| missing.contains(&part.name()))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use muster_protocol::bundle::card::About;

    use super::*;

    #[test]
    fn every_part_of_a_card_can_be_required() {
        let names = CardPart::ALL.map(CardPart::name);
        assert_eq!(About::default().missing(), names);
        let all = Cards {
            required: CardPart::ALL.to_vec(),
        };
        let read: Cards = toml::from_str(&toml::to_string(&all).expect("TOML")).expect("read");
        assert_eq!(read, all);
        assert_eq!(read.lacking(&names), CardPart::ALL);
    }

    #[test]
    fn only_what_is_required_lacks() {
        let cards: Cards = toml::from_str("required = ['licence', 'metrics']").expect("read");
        for (missing, expect) in [
            (&[][..], &[][..]),
            (&["limits"], &[]),
            (&["licence", "limits"], &[CardPart::Licence]),
        ] {
            assert_eq!(cards.lacking(missing), expect, "{missing:?}");
        }
        let unknown = toml::from_str::<Cards>("required = ['colour']");
        assert!(unknown.is_err());
    }
}
