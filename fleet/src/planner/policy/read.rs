//! Reading a policy, with errors that say where, because of what, and what to write instead.
//!
//! Never completes what is not written: only the defaults of the types.

use std::collections::BTreeSet;
use std::fmt;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Allowance, Maintenance, Policy, Reach, Ring, Role};
use crate::selector::is_word;

/// Rings of one rollout.
const RINGS_MAX: usize = 32;
/// Labels that divide a fleet into strata.
const STRATA_MAX: usize = 4;
/// Constraints of one rollout.
const CONSTRAINTS_MAX: usize = 8;
/// Gates of one ring.
const GATES_MAX: usize = 32;
/// Longest span, seconds: a year.
const SPAN_S_MAX: u64 = 366 * 86_400;
/// Shortest telemetry window and deadline, seconds.
const SPAN_S_MIN: u64 = 10;
/// Longest telemetry window, seconds: a day.
const WINDOW_S_MAX: u32 = 86_400;

/// A policy that cannot be acted on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("failed to read the policy: {place}: because {because}: hint: {hint}")]
pub struct PolicyError {
    /// Where.
    pub place: PolicyPlace,
    /// What is wrong.
    pub because: String,
    /// What to write.
    pub hint: String,
}

/// Where a policy is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PolicyPlace {
    /// A line, from 1.
    Line(usize),
    /// A field, as `rings[1].reach`.
    Field(String),
}

impl fmt::Display for PolicyPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(line) => write!(f, "line {line}"),
            Self::Field(field) => write!(f, "{field}"),
        }
    }
}

impl Policy {
    /// Reads a TOML file.
    ///
    /// # Errors
    /// [`PolicyError`], with the line or the field.
    pub fn read(text: &str) -> Result<Self, PolicyError> {
        let misread = |error: toml::de::Error| {
            let at = error.span().map_or(0, |span| span.start);
            let before = text.get(..at).unwrap_or_default();
            let line = before.matches('\n').count() + 1;
            let because = error.message().trim().replace('\n', " ");
            let hint = hint(&because).to_owned();
            PolicyError {
                place: PolicyPlace::Line(line),
                because,
                hint,
            }
        };
        let reader = toml::Deserializer::parse(text).map_err(misread)?;
        let policy = Self::deserialize(reader).map_err(misread)?;
        policy.check()?;
        Ok(policy)
    }

    /// What no type says.
    pub(in crate::planner) fn check(&self) -> Result<(), PolicyError> {
        let strata = self.strata.iter();
        words("strata", strata)?;
        at_most("strata", self.strata.len(), STRATA_MAX)?;
        at_most("constraints", self.constraints.len(), CONSTRAINTS_MAX)?;
        words(
            "constraints",
            self.constraints.iter().map(|constraint| &constraint.label),
        )?;
        for (at, constraint) in self.constraints.iter().enumerate() {
            let never = matches!(constraint.at_most, Allowance::Count(0));
            let field = format!("constraints[{at}].at_most");
            refuse(never, field, "nothing could ever move", "write 1 or more")?;
        }
        self.check_limits()?;
        self.check_shadow()?;
        let never = self
            .on_device
            .probation_s
            .is_some_and(|s| u64::from(s) > SPAN_S_MAX);
        let (because, hint) = ("it would never end", "write a year at most");
        refuse(never, "on_device.probation_s", because, hint)?;
        if let Some(maintenance) = &self.maintenance {
            check_maintenance(maintenance)?;
        }
        check_rings(&self.rings)
    }

    fn check_shadow(&self) -> Result<(), PolicyError> {
        let Some(shadow) = self.shadow else {
            return Ok(());
        };
        let hint = "write role = \"shadow\" as well, or leave [shadow] out";
        let because = "a version that serves is no shadow";
        refuse(self.role == Role::Serve, "shadow", because, hint)?;
        let shares = [
            ("shadow.cpu_percent", shadow.cpu_percent),
            ("shadow.sample_percent", shadow.sample_percent),
        ];
        for (field, share) in shares {
            let nothing = share.is_some_and(|share| u8::from(share) == 0);
            let hint = "write 1 to 100, or leave it out for the device's own limit";
            refuse(nothing, field, "nothing would be compared", hint)?;
        }
        Ok(())
    }

    fn check_limits(&self) -> Result<(), PolicyError> {
        let limits = [
            ("limits.concurrent", self.limits.concurrent),
            (
                "limits.dispatches_per_hour",
                self.limits.dispatches_per_hour,
            ),
        ];
        for (field, limit) in limits {
            let hint = "write 1 or more, or leave it out for no limit";
            refuse(limit == Some(0), field, "nothing could ever move", hint)?;
        }
        Ok(())
    }
}

impl<'de> Deserialize<'de> for Policy {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let policy = Self::deserialize(from)?;
        policy.check().map_err(D::Error::custom)?;
        Ok(policy)
    }
}

impl Serialize for Policy {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        Self::serialize(self, to)
    }
}

/// What to write instead, for what serde says.
fn hint(because: &str) -> &'static str {
    if because.starts_with("missing field `membership`") {
        return "choose: membership = \"frozen\" keeps the devices that match now, \"live\" lets \
                late joiners into the last ring";
    }
    if because.starts_with("missing field `on_halt`") {
        return "choose: on_halt = \"hold\" leaves devices as they are, \"rollback\" brings each \
                back to its version before";
    }
    if because.starts_with("unknown variant") {
        return "write one of the words that are named";
    }
    "docs/rollouts.md shows a whole policy, with every field"
}

fn check_maintenance(maintenance: &Maintenance) -> Result<(), PolicyError> {
    words("maintenance.offset_label", maintenance.offset_label.iter())?;
    let closed = maintenance.windows.iter().all(|w| w.days.is_empty());
    let hint = "write [[maintenance.windows]] with days, from and to, or leave maintenance out";
    let field = "maintenance.windows";
    refuse(closed, field, "no window ever opens", hint)?;
    let nowhere = maintenance.offset.is_none() && maintenance.offset_label.is_none();
    let hint = "write offset = \"+00:00\", or offset_label = \"tz\" with a label on each device";
    let because = "the time zone of devices is not known";
    refuse(nowhere, "maintenance", because, hint)
}

fn check_rings(rings: &[Ring]) -> Result<(), PolicyError> {
    let hint = "write at least one [[rings]]";
    refuse(rings.is_empty(), "rings", "there is none", hint)?;
    at_most("rings", rings.len(), RINGS_MAX)?;
    words("rings", rings.iter().map(|ring| &ring.name))?;
    for (at, ring) in rings.iter().enumerate() {
        check_ring(ring).map_err(|error| PolicyError {
            place: PolicyPlace::Field(format!("rings[{at}].{}", error.place)),
            ..error
        })?;
    }
    check_order(rings)
}

fn check_ring(ring: &Ring) -> Result<(), PolicyError> {
    let hint = format!("write at most {SPAN_S_MAX} seconds");
    refuse(ring.soak_s > SPAN_S_MAX, "soak_s", "it is too long", &hint)?;
    let hint = format!("write {SPAN_S_MIN} to {SPAN_S_MAX} seconds");
    let deadline = SPAN_S_MIN..=SPAN_S_MAX;
    let off = !deadline.contains(&ring.deadline_s);
    refuse(off, "deadline_s", "no device can be held to it", &hint)?;
    let off = ring
        .window_s
        .is_some_and(|s| u64::from(s) < SPAN_S_MIN || s > WINDOW_S_MAX);
    let hint = format!("write {SPAN_S_MIN} to {WINDOW_S_MAX} seconds");
    refuse(off, "window_s", "no device counts in such windows", &hint)?;
    at_most("gates", ring.gates.0.len(), GATES_MAX)?;
    let nobody = match &ring.reach {
        Reach::Percent(percent) => u8::from(*percent) == 0,
        Reach::Count(count) => *count == 0,
        Reach::Selector(_) => false,
    };
    refuse(nobody, "reach", "it reaches nobody", "write 1 or more")
}

/// Percent and count hold the rings before: they must grow.
fn check_order(rings: &[Ring]) -> Result<(), PolicyError> {
    for at in 1..rings.len() {
        let earlier = rings[..at].iter().rev().map(|ring| &ring.reach);
        let shrinks = match &rings[at].reach {
            Reach::Percent(own) => earlier
                .filter_map(percent_of)
                .any(|before| before >= u8::from(*own)),
            Reach::Count(own) => earlier.filter_map(count_of).any(|before| before >= *own),
            Reach::Selector(_) => false,
        };
        let because = "an earlier ring reaches as far";
        let hint = "a reach includes the rings before it: write a larger one";
        refuse(shrinks, format!("rings[{at}].reach"), because, hint)?;
    }
    Ok(())
}

fn percent_of(reach: &Reach) -> Option<u8> {
    match reach {
        Reach::Percent(percent) => Some((*percent).into()),
        Reach::Count(_) | Reach::Selector(_) => None,
    }
}

fn count_of(reach: &Reach) -> Option<u32> {
    match reach {
        Reach::Count(count) => Some(*count),
        Reach::Percent(_) | Reach::Selector(_) => None,
    }
}

/// Names are words, each once.
fn words<'a>(field: &str, names: impl Iterator<Item = &'a String>) -> Result<(), PolicyError> {
    let mut seen = BTreeSet::new();
    for name in names {
        let because = format!("{name:?} is no name");
        let hint = "write letters, digits and - _ . / :, up to 63";
        refuse(!is_word(name), field, &because, hint)?;
        let because = format!("{name:?} stands there twice");
        refuse(!seen.insert(name), field, &because, "name each once")?;
    }
    Ok(())
}

fn at_most(field: &str, found: usize, max: usize) -> Result<(), PolicyError> {
    let because = format!("there are {found}");
    let hint = format!("write at most {max}");
    refuse(found > max, field, &because, &hint)
}

fn refuse(
    wrong: bool,
    field: impl Into<String>,
    because: &str,
    hint: &str,
) -> Result<(), PolicyError> {
    if !wrong {
        return Ok(());
    }
    Err(PolicyError {
        place: PolicyPlace::Field(field.into()),
        because: because.to_owned(),
        hint: hint.to_owned(),
    })
}
