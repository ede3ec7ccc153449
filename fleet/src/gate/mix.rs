//! The prediction mix: how often each class is predicted, against the concurrent control.
//!
//! Names the class that moved most. Never compares with history: what the world shows changes.

use std::collections::{BTreeMap, BTreeSet};

use super::Facts;
use super::arm::{Arm, Trials};
use super::budget::Alpha;
use super::comparison::{Base, ln_evidence_above, ln_evidence_below, ln_evidence_within};
use super::evidence::Evidence;
use super::rate::size;
use super::sequential::ln_mean;
use super::share::{Share, percent};
use super::verdict::Verdict;

/// One class in both arms.
struct Class {
    class: u32,
    canary: Arm,
    control: Arm,
}

/// Fails when the mean of the evidence over all classes and both directions is strong enough and
/// some class has moved by more than the margin; passes when each class surely has not.
pub(super) fn judge(facts: Facts<'_>, margin: Share, alpha: Alpha) -> Verdict {
    let Some(classes) = facts.control.and_then(|c| compared(facts.canary, c)) else {
        return Verdict::missing(
            "prediction mix: fewer than two devices of the ring or of its control have predicted \
             classes that are counted alike"
                .to_owned(),
        );
    };
    let moved = |class: &&Class| class.moved().abs();
    let Some(most) = classes.iter().max_by(|a, b| moved(a).total_cmp(&moved(b))) else {
        return Verdict::missing("prediction mix: no classes".to_owned());
    };
    let seen = most.shown(margin);
    if most.moved().abs() > margin.get() {
        let evidence: Vec<f64> = classes.iter().flat_map(|c| c.ln_evidence(margin)).collect();
        if ln_mean(&evidence) >= alpha.ln_threshold() {
            let chance = percent(alpha.get());
            Verdict::fail(format!(
                "{seen}: by chance that is ever seen in less than {chance} of good rings"
            ))
        } else {
            Verdict::undecided(format!(
                "{seen}: more than that, but too few devices to stop"
            ))
        }
    } else if classes.iter().all(|class| class.is_surely_within(margin)) {
        Verdict::pass(seen)
    } else {
        Verdict::undecided(format!("{seen}: too few devices to be sure"))
    }
}

/// Every class that either arm has predicted.
fn compared(canary: &Evidence, control: &Evidence) -> Option<Vec<Class>> {
    let (ring, others) = (devices(canary), devices(control));
    let all = ring.iter().chain(&others);
    let classes: BTreeSet<u32> = all.flat_map(|(_, of)| of.keys().copied()).collect();
    let compared = classes.into_iter().map(|class| {
        Some(Class {
            class,
            canary: arm(&ring, class)?,
            control: arm(&others, class)?,
        })
    });
    let compared = compared.collect::<Option<Vec<_>>>();
    compared.filter(|all| !all.is_empty())
}

/// All that a device has predicted, and of each class.
type Predicted<'e> = (u64, &'e BTreeMap<u32, u64>);

fn devices(evidence: &Evidence) -> Vec<Predicted<'_>> {
    let devices = evidence.devices();
    devices
        .map(|(_, counts)| (counts.classified(), &counts.classes))
        .collect()
}

fn arm(devices: &[Predicted<'_>], class: u32) -> Option<Arm> {
    let hits = |classes: &BTreeMap<u32, u64>| classes.get(&class).copied().unwrap_or(0);
    let devices = devices.iter();
    Arm::of(devices.map(|(of, classes)| Trials::new(hits(classes), *of)))
}

impl Class {
    fn moved(&self) -> f64 {
        self.canary.mean - self.control.mean
    }

    fn base(&self) -> Base {
        Base::Control(self.control)
    }

    fn ln_evidence(&self, margin: Share) -> [f64; 2] {
        let (base, effect) = (self.base(), margin.get());
        [
            ln_evidence_above(&self.canary, &base, effect),
            ln_evidence_below(&self.canary, &base, effect),
        ]
    }

    /// All classes must be, each at the whole error rate: an intersection-union test (Berger 1982).
    fn is_surely_within(&self, margin: Share) -> bool {
        let (enough, margin) = (Alpha::FALSE_PASS.ln_threshold(), margin.get());
        ln_evidence_within(&self.canary, &self.base(), margin) >= enough
            && ln_evidence_within(&self.control, &Base::Control(self.canary), margin) >= enough
    }

    fn shown(&self, margin: Share) -> String {
        format!(
            "prediction mix: class {} is {} of {}, on the control {} of {}, may move by {margin}",
            self.class,
            percent(self.canary.mean),
            size(&self.canary),
            percent(self.control.mean),
            size(&self.control)
        )
    }
}
