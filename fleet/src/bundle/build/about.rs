//! The file in which people say what a model is for, for its card.
//!
//! Takes their word; a field that it does not know is refused, since it may be one that was misspelt.

use std::collections::BTreeMap;
use std::path::Path;

use muster_protocol::bundle::card::{About, Metric};
use serde::Deserialize;

use crate::error::{Exit, OperatorError};
use crate::home;

/// The file, as TOML.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    intended_use: Option<String>,
    limits: Option<String>,
    licence: Option<String>,
    training_commit: Option<String>,
    training_data: Option<String>,
    #[serde(default)]
    metrics: BTreeMap<String, Number>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "a number")]
enum Number {
    Float(f64),
    Integer(i32),
}

/// Reads it.
///
/// # Errors
/// It cannot be read, or says something that no card has.
pub(super) fn read(path: &Path) -> Result<About, OperatorError> {
    let text = home::read_text(path)?;
    parse(&text).map_err(|because| {
        let what = format!("read what {} says about the model", path.display());
        let hint = "it may hold intended_use, limits, licence, training_commit, training_data, \
                    and a table [metrics] of numbers";
        OperatorError::new(Exit::BadInput, what, because, hint)
    })
}

fn parse(text: &str) -> Result<About, String> {
    let file: File = toml::from_str(text).map_err(|error| error.to_string())?;
    let metrics = file.metrics.into_iter();
    Ok(About {
        intended_use: file.intended_use,
        limits: file.limits,
        licence: file.licence,
        training_commit: file.training_commit,
        training_data: file.training_data,
        metrics: metrics
            .map(|(name, value)| Metric {
                name,
                value: value.into(),
            })
            .collect(),
    })
}

impl From<Number> for f64 {
    fn from(number: Number) -> Self {
        match number {
            Number::Float(value) => value,
            Number::Integer(value) => value.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use muster_protocol::bundle::card::Part;

    use super::*;

    fn check(text: &str, expect: Result<&[&str], &str>) {
        match (parse(text), expect) {
            (Ok(about), Ok(missing)) => {
                let names: Vec<_> = about.missing().into_iter().map(Part::name).collect();
                assert_eq!(names, missing, "{text}");
            }
            (Err(because), Err(part)) => assert!(because.contains(part), "{because}"),
            (read, _) => panic!("{text}: {read:?}"),
        }
    }

    #[test]
    fn what_is_missing_is_known_and_what_is_unknown_is_refused() {
        let all = "intended_use = 'presses'\nlimits = 'none known'\nlicence = 'MIT'\n\
                   training_commit = 'abc'\ntraining_data = 'sha256:00'\n[metrics]\nauc = 0.97\n";
        check(all, Ok(&[]));
        check(
            "licence = ''\n[metrics]\nauc = 1\n",
            Ok(&[
                "intended_use",
                "limits",
                "licence",
                "training_commit",
                "training_data",
            ]),
        );
        check(
            "licence = 'MIT'\n",
            Ok(&[
                "intended_use",
                "limits",
                "training_commit",
                "training_data",
                "metrics",
            ]),
        );
        check("intendeduse = 'x'\n", Err("unknown field `intendeduse`"));
        check("[metrics]\nauc = 'high'\n", Err("a number"));
    }
}
