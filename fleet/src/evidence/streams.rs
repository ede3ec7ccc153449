//! Which numbers of each stream were seen, and which are missing.
//!
//! A missing number is no lie: an export of one model leaves others out, and a device counts
//! what it lost under numbers of its own. Never sees a receipt whose signature does not hold.

use std::collections::BTreeMap;

use muster_protocol::digest::Digest;
use muster_protocol::id::{DeviceId, Sequence, StreamId};

/// What is there of one stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StreamSeen {
    /// Whose.
    pub(crate) device: DeviceId,
    /// Which.
    pub(crate) stream: StreamId,
    /// Receipts in it.
    pub(crate) receipts: usize,
    /// The highest number.
    pub(crate) through: Sequence,
    /// Ranges of numbers below it that are not there, first and last of each.
    pub(crate) missing: Vec<(Sequence, Sequence)>,
}

/// Whether a number is there for the first time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Number {
    /// It is.
    New,
    /// The same receipt had it.
    Repeated,
    /// Another receipt had it.
    Contradicted,
}

/// The numbers of all streams.
#[derive(Debug, Default)]
pub(super) struct Streams(BTreeMap<(DeviceId, StreamId), BTreeMap<Sequence, Digest>>);

impl Streams {
    /// Takes a number.
    pub(super) fn take(
        &mut self,
        device: &DeviceId,
        stream: StreamId,
        sequence: Sequence,
        digest: Digest,
    ) -> Number {
        let numbers = self.0.entry((device.clone(), stream)).or_default();
        match numbers.get(&sequence) {
            Some(known) if *known == digest => Number::Repeated,
            Some(_) => Number::Contradicted,
            None => {
                numbers.insert(sequence, digest);
                Number::New
            }
        }
    }

    /// What was seen of each.
    pub(super) fn seen(&self) -> Vec<StreamSeen> {
        let seen =
            |((device, stream), numbers): (&(DeviceId, StreamId), &BTreeMap<_, _>)| StreamSeen {
                device: device.clone(),
                stream: *stream,
                receipts: numbers.len(),
                through: numbers.keys().last().copied().unwrap_or_default(),
                missing: missing(numbers.keys().copied()),
            };
        self.0.iter().map(seen).collect()
    }
}

fn missing(numbers: impl Iterator<Item = Sequence>) -> Vec<(Sequence, Sequence)> {
    let (mut missing, mut next) = (Vec::new(), 1);
    for Sequence(number) in numbers {
        if number > next {
            missing.push((Sequence(next), Sequence(number - 1)));
        }
        next = number.saturating_add(1);
    }
    missing
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(numbers: &[u64], expect: &[(u64, u64)]) {
        let found = missing(numbers.iter().copied().map(Sequence));
        let found: Vec<_> = found
            .iter()
            .map(|(first, last)| (first.0, last.0))
            .collect();
        assert_eq!(found, expect, "{numbers:?}");
    }

    #[test]
    fn missing_numbers_are_told_as_ranges() {
        check(&[], &[]);
        check(&[1, 2, 3], &[]);
        check(&[3], &[(1, 2)]);
        check(&[1, 2, 5, 7], &[(3, 4), (6, 6)]);
        check(&[1, u64::MAX], &[(2, u64::MAX - 1)]);
    }
}
