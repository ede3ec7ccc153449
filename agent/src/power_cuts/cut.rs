//! Which disks a power cut may leave at one moment.
//!
//! Of up to [`ALL_SUBSETS_MAX`] effects that are not durable, every combination; of more: none,
//! all, each beginning, each alone, each missing. Beside that each write torn or with zeros in
//! the place of its bytes, with everything else kept and with everything else lost.

pub use super::files::Fate;

use super::files::Files;

/// Effects of which every combination is tried.
const ALL_SUBSETS_MAX: usize = 5;
/// What disks write at once.
const SECTORS_BYTES: [usize; 2] = [512, 4096];

/// What a disk does with what was not synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// All of it is lost.
    Lost,
    /// All of it is kept.
    Kept,
    /// Some is kept and some lost, in whichever order it came.
    Reordered,
    /// A write is cut in its middle.
    Torn,
    /// A file has its size, and zeros instead of its bytes.
    Zeros,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Lost,
        Self::Kept,
        Self::Reordered,
        Self::Torn,
        Self::Zeros,
    ];
}

/// How the effects that are not durable may fare.
pub fn fates(files: &Files) -> Vec<(Kind, Vec<Fate>)> {
    let len = files.unsynced();
    let mut all = whole(len);
    for effect in 0..len {
        for (kind, fate) in partly(files.written(effect)) {
            for others in [Fate::Kept, Fate::Lost] {
                let mut fates = vec![others; len];
                fates[effect] = fate;
                all.push((kind, fates));
            }
        }
    }
    all
}

/// Every effect kept whole or lost whole.
fn whole(len: usize) -> Vec<(Kind, Vec<Fate>)> {
    let of = |is_kept: &dyn Fn(usize) -> bool| {
        let fate = |n| if is_kept(n) { Fate::Kept } else { Fate::Lost };
        let fates: Vec<_> = (0..len).map(fate).collect();
        let kept = fates.iter().filter(|fate| **fate == Fate::Kept).count();
        let kind = match kept {
            0 => Kind::Lost,
            kept if kept == len => Kind::Kept,
            _ => Kind::Reordered,
        };
        (kind, fates)
    };
    if len <= ALL_SUBSETS_MAX {
        return (0..1_usize << len)
            .map(|bits| of(&|n| bits >> n & 1 == 1))
            .collect();
    }
    let ends = [of(&|_| false), of(&|_| true)];
    let beginnings = (1..len).map(|end| of(&|n| n < end));
    let alone = (0..len).map(|one| of(&|n| n == one));
    let missing = (0..len).map(|one| of(&|n| n != one));
    ends.into_iter()
        .chain(beginnings)
        .chain(alone)
        .chain(missing)
        .collect()
}

/// Ways in which a write of so many bytes may be there in part.
fn partly(written: Option<usize>) -> Vec<(Kind, Fate)> {
    let Some(len) = written.filter(|len| *len > 0) else {
        return Vec::new();
    };
    let mut ends = vec![len / 2];
    for sector in SECTORS_BYTES {
        // The first sector, and all whole ones but the last.
        ends.extend([sector, (len - 1) / sector * sector]);
    }
    ends.retain(|end| (1..len).contains(end));
    ends.sort_unstable();
    ends.dedup();
    let torn = ends.iter().map(|end| (Kind::Torn, Fate::Torn(*end)));
    let zeros = ends
        .iter()
        .chain([&0])
        .map(|end| (Kind::Zeros, Fate::Zeros(*end)));
    torn.chain(zeros).collect()
}
