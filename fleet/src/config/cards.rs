//! What the card of a model must say before the model is rolled out.
//!
//! Never looks into a card: names only.

use muster_protocol::bundle::card::Part;
use serde::{Deserialize, Serialize};

/// The table `[cards]`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Cards {
    /// Parts without which nothing is rolled out.
    pub(crate) required: Vec<Part>,
}

impl Cards {
    /// Whether nothing is required.
    pub(crate) fn is_default(&self) -> bool {
        self.required.is_empty()
    }

    /// Of the parts that a card does not fill, those that are required.
    pub(crate) fn lacking(&self, missing: &[Part]) -> Vec<Part> {
        let required = self.required.iter().copied();
        required.filter(|part| missing.contains(part)).collect()
    }
}

#[cfg(test)]
mod tests {
    use muster_protocol::bundle::card::About;

    use super::*;

    #[test]
    fn every_part_of_a_card_can_be_required() {
        assert_eq!(About::default().missing(), Part::ALL);
        let all = Cards {
            required: Part::ALL.to_vec(),
        };
        let read: Cards = toml::from_str(&toml::to_string(&all).expect("TOML")).expect("read");
        assert_eq!(read, all);
        assert_eq!(read.lacking(&Part::ALL), Part::ALL);
    }

    #[test]
    fn only_what_is_required_lacks() {
        let cards: Cards = toml::from_str("required = ['licence', 'metrics']").expect("read");
        for (missing, expect) in [
            (&[][..], &[][..]),
            (&[Part::Limits], &[]),
            (&[Part::Licence, Part::Limits], &[Part::Licence]),
        ] {
            assert_eq!(cards.lacking(missing), expect, "{missing:?}");
        }
        let unknown = toml::from_str::<Cards>("required = ['colour']");
        assert!(unknown.is_err());
    }
}
