//! What may happen to a connection on a bad wire, and how often it did.
//!
//! Moments are counted in bytes, never in time: a seed gives the same ones on every machine.

use std::sync::atomic::{AtomicU64, Ordering};

/// One direction of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// From a device to the broker.
    Up,
    /// From the broker to a device.
    Down,
}

/// What happens to one connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// After so many more bytes of one direction both end, in good order for TCP.
    Cut(Way, u64),
    /// As [`Self::Cut`], with a reset: what was on its way is lost.
    Reset(Way, u64),
    /// After so many more bytes nothing of this direction arrives any more, and nobody is told.
    Stall(Way, u64),
    /// It is taken, and nobody is there.
    BlackHole,
    /// It passes so many bytes a second, each alone, in both directions.
    Trickle(u64),
}

/// How slow a whole wire is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// Milliseconds that everything takes to arrive.
    pub delay_ms: u64,
    /// Bytes a second, of each connection and direction.
    pub bytes_per_s: u64,
}

/// How often something struck, since the wire began.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Harm {
    /// Connections that were cut.
    pub cuts: u64,
    /// Connections that were reset.
    pub resets: u64,
    /// Connections of which one direction went silent.
    pub stalls: u64,
    /// Connections that nobody answered.
    pub black_holes: u64,
    /// Connections that passed byte by byte, and carried some.
    pub trickles: u64,
    /// Bytes that arrived late because the wire was slow.
    pub slow_bytes: u64,
    /// Bytes that were taken and never arrived.
    pub lost_bytes: u64,
}

impl Harm {
    /// Connections that a fault struck.
    pub fn connections(&self) -> u64 {
        self.cuts + self.resets + self.stalls + self.black_holes + self.trickles
    }
}

/// Counters behind a [`Harm`].
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) cuts: AtomicU64,
    pub(super) resets: AtomicU64,
    pub(super) stalls: AtomicU64,
    pub(super) black_holes: AtomicU64,
    pub(super) trickles: AtomicU64,
    pub(super) slow_bytes: AtomicU64,
    pub(super) lost_bytes: AtomicU64,
}

impl Counts {
    pub(super) fn read(&self) -> Harm {
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Harm {
            cuts: of(&self.cuts),
            resets: of(&self.resets),
            stalls: of(&self.stalls),
            black_holes: of(&self.black_holes),
            trickles: of(&self.trickles),
            slow_bytes: of(&self.slow_bytes),
            lost_bytes: of(&self.lost_bytes),
        }
    }
}

/// What a fault leaves of some bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Passes {
    /// All of them.
    All,
    /// So many; then the connection ends.
    Then(usize),
    /// So many; the others are lost.
    Loses(usize),
}

impl Fault {
    /// What passes of `len` bytes that come on `way`; counts them.
    pub(super) fn meet(&mut self, way: Way, len: usize) -> Passes {
        let (on, left) = match self {
            Self::Cut(on, left) | Self::Reset(on, left) | Self::Stall(on, left) => (*on, left),
            Self::BlackHole => return Passes::Loses(0),
            Self::Trickle(_) => return Passes::All,
        };
        if on != way || *left > len as u64 {
            *left -= if on == way { len as u64 } else { 0 };
            return Passes::All;
        }
        let passes = usize::try_from(std::mem::take(left)).unwrap_or(len);
        match self {
            Self::Cut(..) | Self::Reset(..) => Passes::Then(passes),
            Self::Stall(..) | Self::BlackHole | Self::Trickle(_) => Passes::Loses(passes),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_strikes_at_its_byte_and_on_its_way_alone() {
        let check = |mut fault: Fault, chunks: &[(Way, usize)], expect: &[Passes]| {
            let met = chunks.iter().map(|(way, len)| fault.meet(*way, *len));
            assert_eq!(met.collect::<Vec<_>>(), expect);
        };
        let chunks = [(Way::Up, 6), (Way::Down, 100), (Way::Up, 6), (Way::Up, 6)];
        let cut = Passes::Then(4);
        let again = Passes::Then(0);
        check(
            Fault::Cut(Way::Up, 10),
            &chunks[..3],
            &[Passes::All, Passes::All, cut],
        );
        check(Fault::Cut(Way::Up, 0), &chunks[..1], &[again]);
        let lost = [Passes::All, Passes::Loses(7), Passes::All, Passes::All];
        check(Fault::Stall(Way::Down, 7), &chunks, &lost);
        check(Fault::BlackHole, &chunks[..1], &[Passes::Loses(0)]);
    }
}
