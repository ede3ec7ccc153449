//! The order in which the members of a rollout come to their turn: by a hash of rollout and
//! device, and so that every beginning of the order has its share of every stratum.
//!
//! Never depends on rings: a longer beginning holds every shorter one. Of M members, a beginning of
//! N holds of a stratum of n either ⌊nN/M⌋ or ⌈nN/M⌉. Largest remainders for each N alone would
//! take devices away as N grows (the Alabama paradox: M. L. Balinski, H. P. Young, *Fair
//! Representation*, 1982); instead strata take turns by deadline, which keeps both quotas at every
//! N (R. Tijdeman, *The chairman assignment problem*, Discrete Mathematics 32, 1980). Strata of one
//! size take turns as one, so that many small ones are not put off to the end.

use std::collections::BTreeMap;

use muster_protocol::digest::Digester;
use muster_protocol::id::DeviceId;

use super::rollout::RolloutId;

/// Where the hash puts a device in a rollout.
pub(super) type Hash = [u8; 32];

/// The hash of a rollout and a device.
#[must_use]
pub(super) fn hash(rollout: RolloutId, device: &DeviceId) -> Hash {
    let mut digester = Digester::default();
    // A slash lies outside the grammar of both: two different pairs never read alike.
    for part in [&rollout.0.to_string(), "/", device.as_str(), "/"] {
        digester.update(part.as_bytes());
    }
    digester.finish().0
}

/// The order of members, of which each has its stratum and its hash, as indices.
#[must_use]
pub(super) fn order<S: Ord>(members: &[(S, Hash)]) -> Vec<usize> {
    let mut queues: Vec<Queue> = by_size(members).into_values().map(Queue::of).collect();
    let all = members.len() as u64;
    let mut order = Vec::with_capacity(members.len());
    for turn in 0..all {
        let open = queues
            .iter_mut()
            .filter(|queue| queue.release(all).is_some_and(|release| release <= turn));
        let next = open.min_by_key(|queue| (queue.deadline(all), queue.head()));
        order.extend(next.and_then(Queue::take));
    }
    order
}

/// Members of all strata of one size: first the first of each stratum, then the second, ….
struct Queue {
    members: Vec<(Hash, usize)>,
    taken: usize,
}

impl Queue {
    fn of(mut members: Vec<(usize, Hash, usize)>) -> Self {
        members.sort_unstable();
        let members = members.into_iter();
        Self {
            members: members.map(|(_, hash, member)| (hash, member)).collect(),
            taken: 0,
        }
    }

    fn head(&self) -> Option<Hash> {
        self.members.get(self.taken).map(|(hash, _)| *hash)
    }

    /// The first turn at which the next member does not come too early; none when all came.
    fn release(&self, all: u64) -> Option<u64> {
        self.head()?;
        (self.taken as u64 * all).checked_div(self.members.len() as u64)
    }

    /// The turn before which it must have come.
    fn deadline(&self, all: u64) -> u64 {
        let size = (self.members.len() as u64).max(1);
        ((self.taken as u64 + 1) * all).div_ceil(size)
    }

    fn take(&mut self) -> Option<usize> {
        let (_, member) = *self.members.get(self.taken)?;
        self.taken += 1;
        Some(member)
    }
}

/// By the size of its stratum: each member with its rank there, its hash and its index.
fn by_size<S: Ord>(members: &[(S, Hash)]) -> BTreeMap<usize, Vec<(usize, Hash, usize)>> {
    let mut strata: BTreeMap<&S, Vec<(Hash, usize)>> = BTreeMap::new();
    for (member, (stratum, hash)) in members.iter().enumerate() {
        strata.entry(stratum).or_default().push((*hash, member));
    }
    let mut sizes: BTreeMap<usize, Vec<_>> = BTreeMap::new();
    for mut stratum in strata.into_values() {
        stratum.sort_unstable();
        let ranked = stratum.iter().enumerate();
        let ranked = ranked.map(|(rank, (hash, member))| (rank, *hash, *member));
        sizes.entry(stratum.len()).or_default().extend(ranked);
    }
    sizes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    fn device(n: u64) -> DeviceId {
        DeviceId::parse(&format!("press-{n}")).expect("valid")
    }

    /// Members of strata of these sizes.
    fn members(sizes: &[u64]) -> Vec<(usize, Hash)> {
        let mut n = 0..;
        let strata = sizes.iter().enumerate();
        let all = strata.flat_map(|(stratum, size)| (0..*size).map(move |_| stratum));
        all.map(|s| (s, hash(RolloutId(7), &device(n.next().expect("endless")))))
            .collect()
    }

    /// Every beginning holds of each stratum its share, rounded down or up.
    fn check(sizes: &[u64]) {
        let members = members(sizes);
        let order = order(&members);
        let all = members.len() as u64;
        let mut counts = vec![0; sizes.len()];
        for (at, member) in order.iter().enumerate() {
            counts[members[*member].0] += 1;
            let n = at as u64 + 1;
            for (size, count) in sizes.iter().zip(&counts) {
                let quota = (size * n / all, (size * n).div_ceil(all));
                assert!(quota.0 <= *count && *count <= quota.1, "{sizes:?} {n}");
            }
        }
        assert_eq!(order.len(), members.len());
    }

    #[test]
    fn every_beginning_has_its_share_of_every_stratum() {
        check(&[]);
        check(&[1]);
        check(&[10, 10]);
        check(&[100, 1, 1, 1, 1, 1]);
        check(&[3, 5, 7, 11, 13]);
        check(&[vec![2; 50], vec![1; 100]].concat());
        let mut random = Random(5);
        for _ in 0..50 {
            let strata = 1 + random.below(12);
            let sizes: Vec<u64> = (0..strata).map(|_| 1 + random.below(40)).collect();
            check(&sizes);
        }
    }

    #[test]
    fn many_small_strata_are_not_put_off() {
        let members = members(&[vec![2; 50], vec![1; 100]].concat());
        let first = &order(&members)[..50];
        let singles = first.iter().filter(|member| members[**member].0 >= 50);
        assert_eq!(singles.count(), 25);
    }

    #[test]
    fn places_are_stable() {
        let golden = |rollout, n| hash(RolloutId(rollout), &device(n))[..4].to_vec();
        expect_test::expect![
            "[b3, bc, f4, b0] [02, 75, 28, d9] [47, e1, 80, 7c] [3, 5, 2, 4, 1, 7, 0, 6]"
        ]
        .assert_eq(&format!(
            "{:02x?} {:02x?} {:02x?} {:?}",
            golden(1, 7),
            golden(1, 8),
            golden(2, 7),
            order(&members(&[4, 3, 1]))
        ));
    }
}
