//! From the text of a selector to its terms, with errors that point at the place.
//!
//! Never guesses: what is not understood is refused with what may stand there.

use muster_protocol::id::{ModelId, Version};

use super::{Comparison, Key, Measure, Term, Test};

/// Longest query, in bytes.
const BYTES_MAX: usize = 1024;
/// What begins the key of the version of a model.
const MODEL_PREFIX: &str = "model.";
/// Operators, the longer ones first.
const OPERATORS: [&str; 6] = ["!=", "<=", ">=", "=", "<", ">"];

/// A query that is not understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the selector is not understood at {term:?}, character {at}: {expected}")]
pub struct BadSelector {
    /// The term, or the beginning of a query that is too long.
    pub term: String,
    /// Where it begins, in characters from 1.
    pub at: usize,
    /// What may stand there.
    pub expected: String,
}

/// Whether a text may be the key or the value of a label: what a selector can name.
#[must_use]
pub fn is_word(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:".contains(&byte);
    (1..=63).contains(&text.len()) && text.bytes().all(allowed)
}

/// The terms of a query.
pub(super) fn terms(text: &str) -> Result<Vec<Term>, BadSelector> {
    if text.len() > BYTES_MAX {
        return Err(BadSelector {
            term: text.chars().take(40).collect(),
            at: 1,
            expected: format!("write at most {BYTES_MAX} bytes"),
        });
    }
    if text.trim().is_empty() {
        return Ok(Vec::new());
    }
    let mut terms = Vec::new();
    let mut before = 0;
    for part in text.split(',') {
        let margin = part.chars().take_while(|c| c.is_whitespace()).count();
        let parsed = term(part.trim()).map_err(|expected| BadSelector {
            term: part.trim().to_owned(),
            at: before + margin + 1,
            expected,
        })?;
        terms.push(parsed);
        before += part.chars().count() + 1;
    }
    Ok(terms)
}

fn term(text: &str) -> Result<Term, String> {
    if text.is_empty() {
        return Err("a term must stand there: key=value, key=a|b, key!=value, key or !key".into());
    }
    if let Some((name, operator, values)) = operated(text) {
        let key = key(name.trim())?;
        let test = test(&key, operator, values)?;
        return Ok(Term { key, test });
    }
    let (name, test) = match text.strip_prefix('!') {
        Some(name) => (name, Test::Absent),
        None => (text, Test::Present),
    };
    let key = key(name.trim())?;
    Ok(Term { key, test })
}

/// Splits at the first operator.
fn operated(text: &str) -> Option<(&str, &'static str, &str)> {
    let found = OPERATORS.iter().filter_map(|operator| {
        let at = text.find(operator)?;
        Some((at, *operator))
    });
    // Of two at one place the longer one stands first in the table.
    let (at, operator) = found.min_by_key(|(at, _)| *at)?;
    Some((&text[..at], operator, &text[at + operator.len()..]))
}

fn key(name: &str) -> Result<Key, String> {
    if let Some(model) = name.strip_prefix(MODEL_PREFIX) {
        ModelId::parse(model).map_err(|bad| format!("after `model.` stands a model: {bad}"))?;
        return Ok(Key::Model(model.to_owned()));
    }
    if !is_word(name) {
        return Err(format!(
            "{name:?} is no key: write a label, device, model.NAME, agent, health, arch or hw, \
             with letters, digits and - _ . / :"
        ));
    }
    Ok(match name {
        "device" => Key::Device,
        "agent" => Key::Agent,
        "health" => Key::Health,
        "arch" => Key::Arch,
        "hw" => Key::Hw,
        label => Key::Label(label.to_owned()),
    })
}

fn test(key: &Key, operator: &str, values: &str) -> Result<Test, String> {
    let comparison = match operator {
        "=" => return Ok(Test::OneOf(words(values)?)),
        "!=" => return Ok(Test::NoneOf(words(values)?)),
        "<" => Comparison::Less,
        "<=" => Comparison::AtMost,
        ">" => Comparison::More,
        _ => Comparison::AtLeast,
    };
    Ok(Test::Compared(
        comparison,
        measure(key, operator, values.trim())?,
    ))
}

fn measure(key: &Key, operator: &str, value: &str) -> Result<Measure, String> {
    if !matches!(key, Key::Model(_) | Key::Agent) {
        return Err(format!(
            "`{operator}` compares versions: write it after model.NAME or agent"
        ));
    }
    let rank = value.parse().ok().filter(|_| matches!(key, Key::Model(_)));
    if let Some(rank) = rank {
        return Ok(Measure::Rank(rank));
    }
    let version = Version::parse(value);
    version.map(Measure::Version).map_err(|_| {
        format!("after `{operator}` stands a version such as 1.2.0, or a rank after model.NAME, not {value:?}")
    })
}

fn words(text: &str) -> Result<Vec<String>, String> {
    let word = |word: &str| {
        let word = word.trim();
        let wrong = || {
            format!(
                "{word:?} is no value: write letters, digits and - _ . / :, up to 63, and | \
                 between several"
            )
        };
        is_word(word).then(|| word.to_owned()).ok_or_else(wrong)
    };
    text.split('|').map(word).collect()
}
