//! Who is a member of a rollout, and in which ring: from the devices that match when it is planned.
//!
//! Rings by selector name their devices first; percent and count divide the rest, in the order of
//! `place`. Never looks at how far devices have come.

use muster_protocol::id::DeviceId;

use super::inventory::DeviceFacts;
use super::place::{self, Hash};
use super::policy::{Policy, Reach, Ring};
use super::rollout::RolloutId;

/// Who is where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Placed {
    /// By ring, each in the order in which they come to their turn.
    pub(super) rings: Vec<Vec<DeviceId>>,
    /// Members that no ring reaches, in order of their ids.
    pub(super) not_reached: Vec<DeviceId>,
}

/// Places the devices that match.
pub(super) fn place(policy: &Policy, rollout: RolloutId, matched: &[&DeviceFacts]) -> Placed {
    let keys: Vec<(Vec<Option<&str>>, Hash)> = matched
        .iter()
        .map(|device| {
            let values = policy.strata.iter().map(|label| device.value(label));
            (values.collect(), place::hash(rollout, &device.device))
        })
        .collect();
    let mut rings: Vec<Vec<usize>> = vec![Vec::new(); policy.rings.len()];
    let mut rest = Vec::new();
    for member in place::order(&keys) {
        match named(policy, matched[member]) {
            Some(ring) => rings[ring].push(member),
            None => rest.push(member),
        }
    }
    if rest.len() < matched.len() {
        // Who is left has shares of its own.
        rest = reordered(&keys, &rest);
    }
    let left = divide(&policy.rings, &rest, &mut rings);
    let id = |member: &usize| matched[*member].device.clone();
    let mut not_reached: Vec<DeviceId> = left.iter().map(id).collect();
    not_reached.sort_unstable();
    Placed {
        rings: rings
            .iter()
            .map(|ring| ring.iter().map(id).collect())
            .collect(),
        not_reached,
    }
}

/// The first ring whose selector names it.
fn named(policy: &Policy, device: &DeviceFacts) -> Option<usize> {
    policy.rings.iter().position(|ring| match &ring.reach {
        Reach::Selector(selector) => device.is_selected_by(selector),
        Reach::Percent(_) | Reach::Count(_) => false,
    })
}

fn reordered<S: Ord + Clone>(keys: &[(S, Hash)], members: &[usize]) -> Vec<usize> {
    let own: Vec<(S, Hash)> = members.iter().map(|member| keys[*member].clone()).collect();
    let order = place::order(&own).into_iter();
    order.map(|at| members[at]).collect()
}

/// Cuts the order where rings end; what is beyond the last is left.
fn divide<'a>(policy: &[Ring], rest: &'a [usize], rings: &mut [Vec<usize>]) -> &'a [usize] {
    let all = u32::try_from(rest.len()).unwrap_or(u32::MAX);
    let mut taken = 0;
    for (ring, members) in policy.iter().zip(rings) {
        let reach = match &ring.reach {
            Reach::Percent(percent) => percent.of_rounded_up(all),
            Reach::Count(count) => *count,
            Reach::Selector(_) => continue,
        };
        let end = (reach as usize).clamp(taken, rest.len());
        members.extend(&rest[taken..end]);
        taken = end;
    }
    &rest[taken..]
}
