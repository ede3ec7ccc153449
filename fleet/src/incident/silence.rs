//! Silences: incidents that are recorded and tell nobody, for a while and for a reason.
//!
//! Never without an end, and never about everything.

use std::collections::BTreeMap;

use muster_protocol::id::{DeviceId, ModelId};
use serde::{Deserialize, Serialize};

use super::kind::Kind;
use crate::finding::Scope;
use crate::text;

/// Longest silence, seconds: a year.
const SPAN_S_MAX: u64 = 366 * 86_400;
/// Longest name of a feature, a label or its value, in bytes.
const NAME_BYTES_MAX: usize = 200;

/// What is silenced: incidents that fit everything that is said here.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Silence {
    /// Of this model.
    #[serde(with = "text::optional", skip_serializing_if = "Option::is_none")]
    pub model: Option<ModelId>,
    /// Of this device alone.
    #[serde(with = "text::optional", skip_serializing_if = "Option::is_none")]
    pub device: Option<DeviceId>,
    /// Of this cohort, `label=value`, and of each of its devices.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cohort: Option<String>,
    /// Of this feature.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub feature: Option<String>,
    /// For this cause.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<Kind>,
}

/// What a silence is held against.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// The model; none where the incident is of none.
    pub model: Option<&'a ModelId>,
    /// Where.
    pub scope: &'a Scope,
    /// The labels of the device, where it is one.
    pub labels: &'a BTreeMap<String, String>,
    /// The feature.
    pub feature: Option<&'a str>,
    /// What it is about.
    pub kind: Kind,
}

/// A silence that is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{because}: hint: {hint}")]
pub struct BadSilence {
    because: &'static str,
    hint: &'static str,
}

impl Silence {
    /// Whether it may be made, for that long.
    ///
    /// # Errors
    /// It is about everything, ends at once or never, or names a cohort that is none.
    pub fn check(&self, span_s: u64) -> Result<(), BadSilence> {
        let bad = |because, hint| Err(BadSilence { because, hint });
        if *self == Self::default() {
            let hint = "name a model, device, cohort, feature or cause";
            return bad("it would silence everything", hint);
        }
        if !(1..=SPAN_S_MAX).contains(&span_s) {
            let hint = "write a while of at most a year, as 12h or 7d";
            return bad("it ends at once, or practically never", hint);
        }
        let is_pair = |text: &String| {
            let pair = text.split_once('=');
            pair.is_some_and(|(label, value)| !label.is_empty() && !value.is_empty())
        };
        if !self.cohort.as_ref().is_none_or(is_pair) {
            let hint = "write the label and its value, as site=hall-4";
            return bad("its cohort is no label=value", hint);
        }
        let names = [&self.cohort, &self.feature];
        if names
            .into_iter()
            .flatten()
            .any(|name| name.len() > NAME_BYTES_MAX)
        {
            return bad("a name in it is too long", "write at most 200 bytes");
        }
        Ok(())
    }

    /// Whether an incident is silenced by it.
    #[must_use]
    pub fn covers(&self, subject: &Subject<'_>) -> bool {
        fn fits<T: PartialEq + ?Sized>(wanted: Option<&T>, found: Option<&T>) -> bool {
            wanted.is_none() || wanted == found
        }
        let device = match subject.scope {
            Scope::Device(device) => Some(device),
            Scope::Cohort { .. } | Scope::Fleet => None,
        };
        fits(self.model.as_ref(), subject.model)
            && fits(self.device.as_ref(), device)
            && fits(self.feature.as_deref(), subject.feature)
            && fits(self.cause.as_ref(), Some(&subject.kind))
            && self
                .cohort
                .as_deref()
                .is_none_or(|pair| in_cohort(pair, subject))
    }
}

fn in_cohort(pair: &str, subject: &Subject<'_>) -> bool {
    let Some((wanted, wanted_value)) = pair.split_once('=') else {
        return false;
    };
    match subject.scope {
        Scope::Cohort { label, value } => label == wanted && value == wanted_value,
        Scope::Device(_) => subject.labels.get(wanted).map(String::as_str) == Some(wanted_value),
        Scope::Fleet => false,
    }
}

#[cfg(test)]
mod tests {
    use super::super::place::read_place;
    use super::*;
    use crate::finding::Cause;

    fn check(silence: &str, place: &str, expect: bool) {
        let silence: Silence = serde_json::from_str(silence).expect("a silence");
        let (model, scope) = (
            ModelId::parse("bearing").expect("valid"),
            read_place(place).expect("a place"),
        );
        let labels = BTreeMap::from([("site".to_owned(), "a".to_owned())]);
        let subject = Subject {
            model: Some(&model),
            scope: &scope,
            labels: &labels,
            feature: Some("speed"),
            kind: Kind::Drift(Cause::Stuck),
        };
        assert_eq!(silence.covers(&subject), expect, "{silence:?} {place}");
    }

    #[test]
    fn a_silence_covers_what_fits_all_of_it() {
        check(r#"{"model":"bearing"}"#, "fleet", true);
        check(r#"{"model":"pump"}"#, "fleet", false);
        check(r#"{"feature":"speed","cause":"stuck"}"#, "fleet", true);
        check(r#"{"feature":"speed","cause":"absent"}"#, "fleet", false);
        check(r#"{"device":"press-07"}"#, "device:press-07", true);
        check(r#"{"device":"press-07"}"#, "device:press-08", false);
        check(r#"{"device":"press-07"}"#, "fleet", false);
        check(r#"{"cohort":"site=a"}"#, "cohort:site=a", true);
        check(r#"{"cohort":"site=b"}"#, "cohort:site=a", false);
        // A device of the cohort is in it.
        check(r#"{"cohort":"site=a"}"#, "device:press-07", true);
        check(r#"{"cohort":"site=b"}"#, "device:press-07", false);
        check(r#"{"cohort":"site=a"}"#, "fleet", false);
    }

    #[test]
    fn a_silence_is_about_something_and_ends() {
        let check = |silence: &str, span_s: u64, expect: Option<&str>| {
            let silence: Silence = serde_json::from_str(silence).expect("a silence");
            let because = silence.check(span_s).err().map(|bad| bad.because);
            assert_eq!(because.is_some(), expect.is_some(), "{silence:?}");
            assert!(because.unwrap_or("").contains(expect.unwrap_or("")));
        };
        check(r#"{"cause":"stuck"}"#, 3600, None);
        check("{}", 3600, Some("everything"));
        check(r#"{"cause":"stuck"}"#, 0, Some("ends at once"));
        check(r#"{"cause":"stuck"}"#, u64::MAX, Some("never"));
        check(r#"{"cohort":"site"}"#, 60, Some("label=value"));
        check(r#"{"cohort":"=a"}"#, 60, Some("label=value"));
        assert!(serde_json::from_str::<Silence>(r#"{"caus":"stuck"}"#).is_err());
        assert!(serde_json::from_str::<Silence>(r#"{"cause":"sad"}"#).is_err());
    }
}
