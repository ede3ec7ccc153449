//! What is known of the runtime, and which verdicts go against it.
//!
//! A list of properties of the runtime, each with its reason: never a way to hide a failure. A
//! crash is always one.

use std::collections::BTreeMap;

use anyhow::Context as _;
use serde::Deserialize;

use super::{Tried, verdict::Verdict};

/// The lists of `expected.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Expectations {
    wrong: Vec<KnownWrong>,
    refused: Vec<KnownRefused>,
    group: Vec<KnownGroup>,
}

/// A case that the runtime answers wrongly.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct KnownWrong {
    case: String,
    because: String,
}

/// A case that the runtime refuses.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct KnownRefused {
    case: String,
    operator: Option<String>,
    because: String,
}

/// How many cases of a group pass.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct KnownGroup {
    name: String,
    cases: usize,
    pass_min: usize,
}

impl Expectations {
    /// The list that is kept with the sources.
    ///
    /// # Errors
    /// It cannot be read: a defect of ours.
    pub(super) fn known() -> anyhow::Result<Self> {
        toml::from_str(include_str!("expected.toml")).context("failed to read expected.toml")
    }

    /// One sentence for each verdict that is not expected.
    pub(super) fn judge(&self, tried: &[Tried]) -> Vec<String> {
        let cases = tried.iter().filter_map(|tried| {
            let because = self.objection(&tried.case.name, &tried.verdict)?;
            Some(format!(
                "{}/{}: {because}",
                tried.case.group, tried.case.name
            ))
        });
        cases.chain(self.short_groups(tried)).collect()
    }

    fn objection(&self, case: &str, verdict: &Verdict) -> Option<String> {
        let wrong = self.wrong.iter().find(|known| known.case == case);
        let refused = self.refused.iter().find(|known| known.case == case);
        match (verdict, wrong, refused) {
            (Verdict::Crashed { reason }, ..) => Some(format!("crashed: {reason}")),
            (Verdict::Wrong { .. }, Some(_), _) => None,
            (Verdict::Wrong { .. }, None, _) => Some(format!("wrong {}", verdict.detail())),
            (Verdict::Refused { operator, .. }, _, Some(known)) => known.objection(operator),
            (_, Some(KnownWrong { because, .. }), _) => Some(format!(
                "is {} but listed as wrong ({because}): remove it from expected.toml",
                verdict.word()
            )),
            (Verdict::Pass { .. }, _, Some(KnownRefused { because, .. })) => Some(format!(
                "passes but is listed as refused ({because}): remove it from expected.toml"
            )),
            (Verdict::Pass { .. } | Verdict::Refused { .. }, None, None) => None,
        }
    }

    fn short_groups(&self, tried: &[Tried]) -> Vec<String> {
        let mut counts = BTreeMap::<&str, (usize, usize)>::new();
        for Tried { case, verdict } in tried {
            let (cases, passed) = counts.entry(&case.group).or_default();
            *cases += 1;
            *passed += usize::from(matches!(verdict, Verdict::Pass { .. }));
        }
        let short = counts.into_iter().filter_map(|(group, (cases, passed))| {
            let last = group.rsplit('/').next().unwrap_or(group);
            let known = self
                .group
                .iter()
                .find(|known| known.name == last && known.cases == cases)?;
            let min = known.pass_min;
            (passed < min)
                .then(|| format!("{group}: {passed} of {cases} pass, at least {min} must"))
        });
        short.collect()
    }
}

impl KnownRefused {
    fn objection(&self, operator: &Option<String>) -> Option<String> {
        let name = |operator: &Option<String>| operator.clone().unwrap_or("none".into());
        (self.operator != *operator).then(|| {
            let (expected, got) = (name(&self.operator), name(operator));
            format!(
                "names operator {got}, expected is {expected} ({})",
                self.because
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::case::Case;
    use super::*;

    fn tried(group: &str, name: &str, verdict: Verdict) -> Tried {
        let case = Case {
            group: group.into(),
            name: name.into(),
            model: "model.onnx".into(),
            test_data: None,
        };
        Tried { case, verdict }
    }

    fn pass() -> Verdict {
        Verdict::Pass { worst: None }
    }

    fn refused(operator: &str) -> Verdict {
        Verdict::Refused {
            stage: "analyse".into(),
            operator: Some(operator.into()),
            reason: "no".into(),
        }
    }

    fn wrong() -> Verdict {
        let (worst, reason) = (Some(1.0), "y".into());
        Verdict::Wrong { worst, reason }
    }

    #[test]
    fn the_list_holds_what_is_known_and_nothing_else() {
        let known = r#"
            wrong = [{ case = "reverse", because = "a" }]
            refused = [{ case = "scaler", operator = "Scaler", because = "b" }]
            group = []
        "#;
        let known: Expectations = toml::from_str(known).expect("valid");
        let check = |name: &str, verdict: Verdict, expect: &[&str]| {
            assert_eq!(known.judge(&[tried("g", name, verdict)]), expect);
        };
        check("any", pass(), &[]);
        check("any", refused("Loop"), &[]);
        check("any", wrong(), &["g/any: wrong by up to 1.00e0: y"]);
        let reason = "signal 11".into();
        check(
            "any",
            Verdict::Crashed { reason },
            &["g/any: crashed: signal 11"],
        );
        check("reverse", wrong(), &[]);
        let right = "g/reverse: is pass but listed as wrong (a): remove it from expected.toml";
        check("reverse", pass(), &[right]);
        check("scaler", refused("Scaler"), &[]);
        let other = "g/scaler: names operator Loop, expected is Scaler (b)";
        check("scaler", refused("Loop"), &[other]);
        let passes = "g/scaler: passes but is listed as refused (b): remove it from expected.toml";
        check("scaler", pass(), &[passes]);
    }

    #[test]
    fn a_group_that_passes_less_than_before_is_said_so() {
        let known = r#"
            wrong = []
            refused = []
            group = [{ name = "node", cases = 2, pass_min = 2 }]
        "#;
        let known: Expectations = toml::from_str(known).expect("valid");
        let cases = |second: Verdict| [tried("a/node", "x", pass()), tried("a/node", "y", second)];
        assert!(known.judge(&cases(pass())).is_empty());
        let short = known.judge(&cases(refused("Loop")));
        assert_eq!(short, ["a/node: 1 of 2 pass, at least 2 must"]);
        assert!(
            known
                .judge(&[tried("node", "x", refused("Loop"))])
                .is_empty(),
            "a selection"
        );
    }

    #[test]
    fn our_own_list_is_readable() {
        let known = Expectations::known().expect("readable");
        assert!(!known.wrong.is_empty() && !known.refused.is_empty());
    }
}
