//! The selector: a query over the labels of devices, for people to write.
//!
//! Terms separated by commas, all of which must hold: `key=a`, `key=a|b`, `key!=a`, `key`,
//! `!key`; the empty query selects all. The key `device` stands for the id. Never looks anything
//! up: labels are an argument.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use muster_protocol::id::DeviceId;

/// Longest query, in bytes.
const BYTES_MAX: usize = 1024;
/// The key that stands for the id of the device.
const DEVICE_KEY: &str = "device";

/// A query that was understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Selector {
    text: String,
    terms: Vec<Term>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Term {
    key: String,
    test: Test,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Test {
    Present,
    Absent,
    OneOf(Vec<String>),
    NoneOf(Vec<String>),
}

/// A query that is not understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the selector is not understood at {term:?}: write key=value, key=a|b, key!=value, key \
         or !key, separated by commas"
)]
pub(crate) struct BadSelector {
    /// Where.
    pub(crate) term: String,
}

impl Selector {
    /// Whether a device with these labels is meant. A device without the label passes `key!=a`.
    #[must_use]
    pub(crate) fn matches(&self, device: &DeviceId, labels: &BTreeMap<String, String>) -> bool {
        self.terms.iter().all(|term| {
            let value = match term.key.as_str() {
                DEVICE_KEY => Some(device.as_str()),
                key => labels.get(key).map(String::as_str),
            };
            let among = |values: &[String]| value.is_some_and(|v| values.iter().any(|w| w == v));
            match &term.test {
                Test::Present => value.is_some(),
                Test::Absent => value.is_none(),
                Test::OneOf(values) => among(values),
                Test::NoneOf(values) => !among(values),
            }
        })
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for Selector {
    type Err = BadSelector;

    fn from_str(text: &str) -> Result<Self, BadSelector> {
        if text.len() > BYTES_MAX {
            return Err(BadSelector {
                term: text.chars().take(40).collect(),
            });
        }
        let trimmed = text.trim();
        let terms = if trimmed.is_empty() {
            Vec::new()
        } else {
            trimmed.split(',').map(term).collect::<Result<_, _>>()?
        };
        Ok(Self {
            text: trimmed.to_owned(),
            terms,
        })
    }
}

fn term(text: &str) -> Result<Term, BadSelector> {
    let text = text.trim();
    let (key, test) = if let Some(key) = text.strip_prefix('!') {
        (key, Some(Test::Absent))
    } else if let Some((key, values)) = text.split_once("!=") {
        (key, words(values).map(Test::NoneOf))
    } else if let Some((key, values)) = text.split_once('=') {
        (key, words(values).map(Test::OneOf))
    } else {
        (text, Some(Test::Present))
    };
    let key = key.trim();
    let test = test.filter(|_| is_word(key));
    let test = test.ok_or_else(|| BadSelector {
        term: text.to_owned(),
    })?;
    Ok(Term {
        key: key.to_owned(),
        test,
    })
}

fn words(text: &str) -> Option<Vec<String>> {
    let word = |word: &str| is_word(word.trim()).then(|| word.trim().to_owned());
    text.split('|').map(word).collect()
}

/// Whether a text may be the key or the value of a label: what a selector can name.
#[must_use]
pub(crate) fn is_word(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:".contains(&byte);
    (1..=63).contains(&text.len()) && text.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hostile::mutated;
    use proptest::prelude::*;

    fn check(selector: &str, expect: Option<bool>) {
        let labels = [("site", "hall-4"), ("line", "a")];
        let labels = labels
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into();
        let device = DeviceId::parse("press-07").expect("valid");
        let parsed = selector.parse::<Selector>().ok();
        assert_eq!(
            parsed.map(|s| s.matches(&device, &labels)),
            expect,
            "{selector:?}"
        );
    }

    #[test]
    fn all_terms_must_hold() {
        for (selector, expect) in [
            ("", Some(true)),
            (" ", Some(true)),
            ("site=hall-4", Some(true)),
            ("site=hall-5", Some(false)),
            ("site=hall-5|hall-4", Some(true)),
            ("site!=hall-5", Some(true)),
            ("site!=hall-5|hall-4", Some(false)),
            ("site", Some(true)),
            ("!site", Some(false)),
            ("!gone", Some(true)),
            ("gone", Some(false)),
            ("gone=x", Some(false)),
            ("gone!=x", Some(true)),
            ("site=hall-4, line=a", Some(true)),
            ("site=hall-4,line=b", Some(false)),
            ("device=press-07", Some(true)),
            ("device=press-08|press-07,line", Some(true)),
            (",", None),
            ("site=", None),
            ("=x", None),
            ("site=a|", None),
            ("a b", None),
            ("a=b=c", None),
            ("!", None),
        ] {
            check(selector, expect);
        }
        check(&"a".repeat(BYTES_MAX + 1), None);
    }

    proptest! {
        #[test]
        fn a_hostile_query_is_refused_or_printed_as_it_was(
            bytes in mutated(b"site=a|b,line!=3,!spare,device=press-07".to_vec()),
        ) {
            let text = String::from_utf8_lossy(&bytes);
            if let Ok(selector) = text.parse::<Selector>() {
                prop_assert_eq!(selector.to_string().parse(), Ok(selector));
            }
        }
    }
}
