//! The record of a decision: the inputs that decided and the outcome, so that it can be replayed.
//!
//! Compact: members with equal facts are written once, with the ranges in which they stand.
//! Never holds the plan, which is immutable and has a number.

use serde::{Deserialize, Serialize};

use super::decision::{Decisions, decide};
use super::plan::{Plan, PlanNumber};
use super::situation::Situation;

/// Members that a record may claim.
const MEMBERS_MAX: u32 = 4_000_000;

/// One decision, with what it was made from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The plan that it follows.
    pub plan: PlanNumber,
    /// What was known.
    pub situation: Situation,
    /// What was decided.
    pub decisions: Decisions,
}

impl Record {
    /// Decides, and writes it down.
    #[must_use]
    pub fn of(plan: &Plan, situation: Situation) -> Self {
        Self {
            plan: plan.number,
            decisions: decide(plan, &situation).0,
            situation,
        }
    }
}

/// What the inputs of a record lead to under its plan; none for another plan's record.
#[must_use]
pub fn replay(plan: &Plan, record: &Record) -> Option<Decisions> {
    (plan.number == record.plan).then(|| decide(plan, &record.situation).0)
}

/// Facts by what they say: each once, with ranges of members.
pub(super) mod grouped {
    use std::collections::HashMap;

    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::MEMBERS_MAX;
    use crate::planner::situation::Fact;

    /// A fact, and from where to where it holds, the end left out.
    #[derive(Serialize, Deserialize)]
    struct Group {
        fact: Option<Fact>,
        ranges: Vec<(u32, u32)>,
    }

    pub(in crate::planner) fn serialize<S: Serializer>(
        facts: &[Option<Fact>],
        to: S,
    ) -> Result<S::Ok, S::Error> {
        let mut groups: Vec<Group> = Vec::new();
        let mut known: HashMap<&Option<Fact>, usize> = HashMap::new();
        for (at, fact) in (0_u32..).zip(facts) {
            let group = *known.entry(fact).or_insert_with(|| {
                groups.push(Group {
                    fact: fact.clone(),
                    ranges: Vec::new(),
                });
                groups.len() - 1
            });
            if let Some(group) = groups.get_mut(group) {
                group.extend(at);
            }
        }
        groups.serialize(to)
    }

    pub(in crate::planner) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Vec<Option<Fact>>, D::Error> {
        let groups = Vec::<Group>::deserialize(from)?;
        let ranges = groups.iter().flat_map(|group| {
            let ranges = group.ranges.iter();
            ranges.map(move |(start, end)| (*start, *end, &group.fact))
        });
        let mut ranges: Vec<_> = ranges.collect();
        ranges.sort_by_key(|(start, end, _)| (*start, *end));
        let mut facts = Vec::new();
        let mut next = 0;
        for (start, end, fact) in ranges {
            if start != next || end <= start || end > MEMBERS_MAX {
                return Err(D::Error::custom(
                    "the ranges of members leave gaps or overlap",
                ));
            }
            facts.extend((start..end).map(|_| fact.clone()));
            next = end;
        }
        Ok(facts)
    }

    impl Group {
        fn extend(&mut self, at: u32) {
            match self.ranges.last_mut() {
                Some((_, end)) if *end == at => *end += 1,
                _ => self.ranges.push((at, at + 1)),
            }
        }
    }
}
