//! Valid samples made hostile, for the tests of everything that reads bytes from outside.
//!
//! One strategy for all: bits flipped, the end cut off, parts replaced, doubled or removed,
//! numbers blown up. It knows no format.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

/// Changes to one sample at most; more of them only make noise.
const CHANGES_MAX: usize = 4;
/// Bytes that are put in at most.
const PART_BYTES_MAX: usize = 16;

/// One change, at a place that is found once the length is known.
#[derive(Debug, Clone)]
enum Change {
    Flip(Index, u8),
    Cut(Index),
    Replace(Index, usize, Vec<u8>),
    Double(Index, usize),
    /// So many bytes become the same: lengths of every width, blown up or emptied.
    Fill(Index, usize, u8),
}

/// The sample after some changes.
pub(crate) fn mutated(sample: Vec<u8>) -> impl Strategy<Value = Vec<u8>> {
    vec(change(), 1..=CHANGES_MAX).prop_map(move |changes| {
        changes.iter().fold(sample.clone(), |mut bytes, change| {
            change.apply(&mut bytes);
            bytes
        })
    })
}

fn change() -> impl Strategy<Value = Change> {
    let place = || any::<Index>();
    let part = || 0..=PART_BYTES_MAX;
    prop_oneof![
        (place(), 0..8_u8).prop_map(|(at, bit)| Change::Flip(at, bit)),
        place().prop_map(Change::Cut),
        (place(), part(), vec(any::<u8>(), part()))
            .prop_map(|(at, len, new)| Change::Replace(at, len, new)),
        (place(), part()).prop_map(|(at, len)| Change::Double(at, len)),
        (
            place(),
            select(vec![1, 2, 4, 8]),
            select(vec![0, 0x7f, 0xff, b'9'])
        )
            .prop_map(|(at, len, byte)| Change::Fill(at, len, byte)),
    ]
}

impl Change {
    fn apply(&self, bytes: &mut Vec<u8>) {
        if bytes.is_empty() {
            return;
        }
        let range = |at: &Index, len: usize| {
            let start = at.index(bytes.len());
            start..(start + len).min(bytes.len())
        };
        match self {
            Self::Flip(at, bit) => {
                let at = at.index(bytes.len());
                bytes[at] ^= 1 << bit;
            }
            Self::Cut(at) => bytes.truncate(at.index(bytes.len())),
            Self::Replace(at, len, new) => {
                let range = range(at, *len);
                bytes.splice(range, new.iter().copied());
            }
            Self::Double(at, len) => {
                let range = range(at, *len);
                let part = bytes[range.clone()].to_vec();
                bytes.splice(range.start..range.start, part);
            }
            Self::Fill(at, len, byte) => {
                let range = range(at, *len);
                bytes[range].fill(*byte);
            }
        }
    }
}
