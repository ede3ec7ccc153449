//! Which gates could ever be judged of a release: what nothing is counted for is refused when a
//! policy is applied, and not held for ever.
//!
//! Never looks at counts, only at what the bundles say that is counted.

use std::collections::BTreeMap;

use muster_fleet::gate::{Gate, Tolerance};
use muster_fleet::planner::{DeviceFacts, Inventory, Policy, Role};
use muster_protocol::id::Version;

use crate::controller::Error;
use crate::store::{Compares, Countable, ScoresOf, Tx};

/// What the version that a policy brings counts, and the one before it.
struct Versions<'a> {
    model: &'a str,
    new: &'a Version,
    counts: Countable,
    /// What most devices run, and what that counts, if it is known.
    before: Option<(&'a Version, Option<Countable>)>,
}

/// Refuses gates for which devices count nothing.
///
/// # Errors
/// [`Error::Refused`] with a sentence that says which, because of what, and what to do.
pub(super) fn check(
    tx: &Tx<'_>,
    policy: &Policy,
    gates: &[Vec<Gate>],
    inventory: &Inventory,
) -> Result<(), Error> {
    let counts = tx.countable(&policy.model, &policy.version)?;
    let before = match version_before(policy, inventory) {
        Some(version) => Some((version, tx.countable(&policy.model, version)?)),
        None => None,
    };
    let versions = Versions {
        model: policy.model.as_str(),
        new: &policy.version,
        counts: counts.unwrap_or_default(),
        before,
    };
    if policy.role == Role::Shadow && versions.before.is_none() {
        let Versions { model, new, .. } = versions;
        return Err(Error::Refused {
            why: format!(
                "{model} {new} would be the shadow of nothing: because no device runs another \
                 version of {model}: hint: roll a version out that serves, then its shadow"
            ),
        });
    }
    for (ring, gates) in gates.iter().enumerate() {
        for (nth, gate) in gates.iter().enumerate() {
            let checked = versions.check(gate);
            checked.map_err(|why| Error::Refused {
                why: format!("rings[{ring}].gates[{nth}]: {why}"),
            })?;
        }
    }
    Ok(())
}

/// What most devices have of the model: the control of the first ring, or what a shadow is
/// compared with.
fn version_before<'a>(policy: &Policy, inventory: &'a Inventory) -> Option<&'a Version> {
    let mut devices: BTreeMap<&Version, usize> = BTreeMap::new();
    let serving = |facts: &'a DeviceFacts| {
        let mut serving = facts.serving.iter();
        let ours = serving.find(|serving| serving.model == policy.model);
        ours.map(|serving| &serving.version)
    };
    let previous = inventory.devices().iter();
    let previous = previous.filter_map(|facts| match policy.role {
        Role::Serve => facts.previous.as_ref(),
        Role::Shadow => serving(facts),
    });
    for version in previous.filter(|version| **version != policy.version) {
        *devices.entry(version).or_default() += 1;
    }
    let most = devices.into_iter().max_by_key(|(_, devices)| *devices);
    most.map(|(version, _)| version)
}

impl Versions<'_> {
    fn check(&self, gate: &Gate) -> Result<(), String> {
        match gate {
            Gate::LatencyMisses(tolerance) => self.check_latency(tolerance),
            Gate::EstimatedAccuracyDrop(tolerance) => self.check_scores(tolerance),
            Gate::EstimatedAucDrop(tolerance) => self.check_auc(tolerance),
            Gate::Drift { .. } => self.check_reference(),
            Gate::PredictionMix { .. } => self.check_mix(),
            Gate::Disagreement { .. } => self.check_compares("classes", |c| c.classes),
            Gate::ScoreDifference { .. } => self.check_compares("scores", |c| c.scores),
            Gate::InstalledShare { .. }
            | Gate::SelfTestRefusals { .. }
            | Gate::CrashesAndReverts { .. }
            | Gate::ErrorRate(_)
            | Gate::SoakTime { .. }
            | Gate::MinimumDevices { .. }
            | Gate::SlowerThanServing { .. }
            | Gate::MinimumInferences { .. }
            | Gate::ManualApproval => Ok(()),
        }
    }

    fn check_latency(&self, tolerance: &Tolerance) -> Result<(), String> {
        let Self { model, new, .. } = self;
        let Some(objective_us) = self.counts.latency_objective_us else {
            return Err(format!(
                "latency misses of {model} {new} are not counted: because its card has no \
                 latency_us_max, or it was published before they were: hint: build it with \
                 --latency-ms-max, or leave the gate latency_misses away"
            ));
        };
        match self.before {
            Some((before, Some(counts)))
                if tolerance.limit().is_none()
                    && counts.latency_objective_us != Some(objective_us) =>
            {
                Err(format!(
                    "latency misses of {model} {new} cannot be compared with those of {before}: \
                     because their cards have different latency_us_max: hint: give the gate \
                     latency_misses a limit"
                ))
            }
            Some(_) | None => Ok(()),
        }
    }

    fn check_reference(&self) -> Result<(), String> {
        let Self { model, new, .. } = self;
        match self.counts.features {
            Some(0) => Err(format!(
                "drift of {model} {new} is not watched: because it has no reference: hint: build it \
                 with --reference, or leave the gate drift away"
            )),
            // What was published before that was known may have one.
            Some(_) | None => Ok(()),
        }
    }

    fn check_scores(&self, tolerance: &Tolerance) -> Result<(), String> {
        let Self { model, new, .. } = self;
        let Some(scores) = self.counts.scores else {
            return Err(format!(
                "the accuracy of {model} {new} cannot be estimated: because its reference names no \
                 output of probabilities, or it was published before that was known: hint: build it \
                 with --probabilities, or leave the gate estimated_accuracy_drop away"
            ));
        };
        let is_promised = self.counts.promised().wrong.is_some();
        match self
            .incomparable(scores, tolerance)
            .filter(|_| !is_promised)
        {
            Some(before) => Err(format!(
                "the estimated accuracy of {model} {new} cannot be compared with that of {before}: \
                 because that names no such output: hint: give the gate estimated_accuracy_drop a \
                 limit"
            )),
            None => Ok(()),
        }
    }

    fn check_auc(&self, tolerance: &Tolerance) -> Result<(), String> {
        let Self { model, new, .. } = self;
        let hint = "hint: leave the gate estimated_auc_drop away, or write estimated_accuracy_drop";
        match self.counts.scores {
            Some(ScoresOf::TwoClasses) => {}
            Some(ScoresOf::ManyClasses) => {
                return Err(format!(
                    "the AUC of {model} {new} cannot be estimated: because it has more than two \
                     classes: {hint}"
                ));
            }
            None => {
                return Err(format!(
                    "the AUC of {model} {new} cannot be estimated: because its reference names no \
                     output of probabilities, or it was published before that was known: hint: build \
                     it with --probabilities, or leave the gate estimated_auc_drop away"
                ));
            }
        }
        let Some(layout) = self.counts.layout else {
            return Err(format!(
                "the AUC of {model} {new} cannot be estimated: because it was published before bins \
                 of scores were known: {hint}"
            ));
        };
        let incomparable = self.incomparable(ScoresOf::TwoClasses, tolerance);
        match incomparable.filter(|_| layout.misranked_ppm.is_none()) {
            Some(before) => Err(format!(
                "the estimated AUC of {model} {new} cannot be compared with that of {before}: because \
                 that names no such output: hint: give the gate estimated_auc_drop a limit"
            )),
            None => Ok(()),
        }
    }

    /// The version before, when a margin alone is to be held against it and its scores are others.
    fn incomparable(&self, scores: ScoresOf, tolerance: &Tolerance) -> Option<&Version> {
        let (before, counts) = self.before?;
        let theirs = counts.and_then(|counts| counts.scores);
        let apart = tolerance.limit().is_none() && theirs != Some(scores);
        apart.then_some(before)
    }

    /// A shadow gives just what its own outputs are; those of what serves are paired on the device.
    fn check_compares(&self, what: &str, compares: fn(&Compares) -> bool) -> Result<(), String> {
        let Self { model, new, .. } = self;
        match self.counts.compares {
            Some(known) if !compares(&known) => Err(format!(
                "{what} of {model} {new} are not compared: because its first output has none: \
                 hint: classes come from labels, from a score for each of up to 18 classes, or \
                 from a reference that counts that output; leave the gate away"
            )),
            Some(_) | None => Ok(()),
        }
    }

    fn check_mix(&self) -> Result<(), String> {
        let Self { model, new, .. } = self;
        if self.counts.classes.is_none() {
            return Err(format!(
                "classes that {model} {new} predicts are not counted: because its reference counts \
                 no output, or it was published before they were: hint: build it with --reference, \
                 or leave the gate prediction_mix away"
            ));
        }
        match self.before {
            Some((before, counts)) if !self.counts.has_classes_of(&counts.unwrap_or_default()) => {
                Err(format!(
                    "classes that {model} {new} predicts cannot be compared with those of \
                     {before}: because their references do not count the same output by the same \
                     edges: hint: leave the gate prediction_mix away"
                ))
            }
            Some(_) | None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use muster_fleet::selector::Serving;
    use muster_protocol::digest::Digest;
    use muster_protocol::id::{DeviceId, ModelId};

    use super::*;
    use crate::store::{Classes, ScoreLayout};

    fn version(text: &str) -> Version {
        Version::parse(text).expect("valid")
    }

    fn counts(latency_objective_us: Option<u32>, meaning: Option<u8>) -> Countable {
        Countable {
            features: None,
            latency_objective_us,
            compares: None,
            scores: None,
            layout: None,
            classes: meaning.map(|meaning| Classes {
                reference: Digest([1; 32]),
                feature: 0,
                bins: 4,
                meaning: Digest([meaning; 32]),
            }),
        }
    }

    fn check(gate: &str, new: Countable, before: Option<Option<Countable>>, expect: &str) {
        let (new_version, old) = (version("2.0.0"), version("1.0.0"));
        let versions = Versions {
            model: "bearing",
            new: &new_version,
            counts: new,
            before: before.map(|counts| (&old, counts)),
        };
        let parsed: Gate = serde_json::from_str(gate).expect("a gate");
        match versions.check(&parsed) {
            Ok(()) => assert_eq!(expect, "", "{gate} {before:?}"),
            Err(said) => {
                assert!(!expect.is_empty() && said.contains(expect), "{said}");
                assert!(said.contains("because") && said.contains("hint"), "{said}");
            }
        }
    }

    #[test]
    fn latency_misses_need_an_objective_and_something_to_compare_with() {
        let (limit, margin) = (
            r#"{ "gate": "latency_misses", "limit": 0.05 }"#,
            r#"{ "gate": "latency_misses", "margin": 0.01 }"#,
        );
        let (none, one, other) = (
            counts(None, None),
            counts(Some(5), None),
            counts(Some(6), None),
        );
        for gate in [limit, margin] {
            check(gate, none, Some(Some(one)), "has no latency_us_max");
            check(gate, one, Some(Some(one)), "");
            check(gate, one, Some(None), "");
            check(gate, one, None, "");
        }
        check(limit, one, Some(Some(other)), "");
        check(margin, one, Some(Some(other)), "with those of 1.0.0");
        check(margin, one, Some(Some(none)), "different latency_us_max");
    }

    #[test]
    fn an_estimate_needs_probabilities_of_both_or_a_limit() {
        let (limit, margin) = (
            r#"{ "gate": "estimated_accuracy_drop", "limit": 0.2 }"#,
            r#"{ "gate": "estimated_accuracy_drop", "margin": 0.03 }"#,
        );
        let of = |scores| Countable {
            scores,
            ..counts(None, None)
        };
        let (none, two) = (of(None), of(Some(ScoresOf::TwoClasses)));
        let many = of(Some(ScoresOf::ManyClasses));
        for gate in [limit, margin] {
            check(
                gate,
                none,
                Some(Some(two)),
                "names no output of probabilities",
            );
            check(gate, two, Some(Some(two)), "");
            check(gate, two, None, "");
        }
        for before in [None, Some(none), Some(many)] {
            check(limit, two, Some(before), "");
            check(margin, two, Some(before), "with that of 1.0.0");
        }
    }

    #[test]
    fn what_the_reference_promises_stands_for_a_control_that_counts_otherwise() {
        let layout = |misranked_ppm| {
            Some(ScoreLayout {
                edges: [0; 19],
                wrong_ppm: 100_000,
                misranked_ppm,
            })
        };
        let of = |scores, layout| Countable {
            scores,
            layout,
            ..counts(None, None)
        };
        let accuracy = r#"{ "gate": "estimated_accuracy_drop", "margin": 0.03 }"#;
        let (limit, margin) = (
            r#"{ "gate": "estimated_auc_drop", "limit": 0.2 }"#,
            r#"{ "gate": "estimated_auc_drop", "margin": 0.03 }"#,
        );
        let (two, many) = (Some(ScoresOf::TwoClasses), Some(ScoresOf::ManyClasses));
        let known = of(two, layout(Some(50_000)));
        for before in [None, Some(of(None, None)), Some(of(many, layout(None)))] {
            check(accuracy, known, Some(before), "");
            check(margin, known, Some(before), "");
            check(
                margin,
                of(two, layout(None)),
                Some(before),
                "with that of 1.0.0",
            );
        }
        for gate in [limit, margin] {
            check(gate, known, Some(Some(known)), "");
            check(gate, known, None, "");
            check(
                gate,
                of(None, None),
                None,
                "names no output of probabilities",
            );
            check(gate, of(many, layout(None)), None, "more than two classes");
            check(
                gate,
                of(two, None),
                None,
                "before bins of scores were known",
            );
        }
        check(limit, of(two, layout(None)), Some(None), "");
    }

    #[test]
    fn drift_needs_a_reference() {
        let gate = r#"{ "gate": "drift", "limit": 0.2 }"#;
        let of = |features| Countable {
            features,
            ..counts(None, None)
        };
        check(gate, of(Some(0)), None, "has no reference");
        check(gate, of(Some(3)), None, "");
        check(gate, of(None), None, "");
    }

    #[test]
    fn a_mix_needs_an_output_with_the_edges_of_the_version_before() {
        let mix = r#"{ "gate": "prediction_mix", "margin": 0.05 }"#;
        let (none, one, other) = (
            counts(None, None),
            counts(None, Some(5)),
            counts(None, Some(6)),
        );
        check(mix, none, Some(Some(one)), "its reference counts no output");
        check(mix, one, Some(Some(one)), "");
        check(mix, one, None, "");
        check(mix, one, Some(Some(other)), "the same edges");
        check(mix, one, Some(Some(none)), "the same edges");
        check(mix, one, Some(None), "the same edges");
    }

    #[test]
    fn the_version_before_is_what_most_devices_have() {
        let policy = "model = 'bearing'\nversion = '2.0.0'\nmembership = 'frozen'\n\
                      on_halt = 'hold'\n[[rings]]\nname = 'all'\nreach = { percent = 100 }\n\
                      soak_s = 0\ndeadline_s = 20\n";
        let policy = Policy::read(policy).expect("a policy");
        let check = |previous: &[&str], expect: Option<&str>| {
            let devices = previous.iter().enumerate().map(|(n, text)| DeviceFacts {
                previous: Version::parse(text).ok(),
                ..DeviceFacts::new(DeviceId::parse(&format!("press-{n}")).expect("valid"))
            });
            let inventory = Inventory::new(devices.collect());
            let found = version_before(&policy, &inventory);
            assert_eq!(found, expect.map(version).as_ref(), "{previous:?}");
        };
        check(&[], None);
        check(&["", ""], None);
        check(&["2.0.0", "2.0.0"], None);
        check(
            &["1.0.0", "0.9.0", "1.0.0", "2.0.0", "2.0.0", "2.0.0"],
            Some("1.0.0"),
        );
    }

    #[test]
    fn a_shadow_is_beside_what_serves() {
        let policy = "model = 'bearing'\nversion = '2.0.0'\nmembership = 'frozen'\n\
                      role = 'shadow'\non_halt = 'hold'\n[[rings]]\nname = 'all'\n\
                      reach = { percent = 100 }\nsoak_s = 0\ndeadline_s = 20\n";
        let policy = Policy::read(policy).expect("a policy");
        let check = |model: &str, serving: &str, expect: Option<&str>| {
            let serving = Serving {
                model: ModelId::parse(model).expect("valid"),
                version: version(serving),
                rank: None,
            };
            let inventory = Inventory::new(vec![DeviceFacts {
                serving: vec![serving],
                ..DeviceFacts::new(DeviceId::parse("press-01").expect("valid"))
            }]);
            let found = version_before(&policy, &inventory);
            assert_eq!(found, expect.map(version).as_ref(), "{model}");
        };
        check("bearing", "1.0.0", Some("1.0.0"));
        check("bearing", "2.0.0", None);
        check("pump", "1.0.0", None);
    }
}
