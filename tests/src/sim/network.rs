//! The way between one device and the controller: a broker that may lose, double, delay,
//! reorder and damage what it carries, and a link that may be cut in one direction alone.
//!
//! Never looks into a message: it damages bytes as noise does.

use crate::random::Random;

/// Which way a message goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    Up,
    Down,
}

/// How bad the network is while faults are allowed, in thousandths of messages.
#[derive(Debug, Clone, Copy)]
pub(super) struct Weather {
    pub(super) lost: u64,
    pub(super) doubled: u64,
    pub(super) delayed: u64,
    pub(super) damaged: u64,
}

impl Weather {
    /// A bad day, more or less bad by the seed.
    pub(super) fn foul(random: &mut Random) -> Self {
        Self {
            lost: random.below(120),
            doubled: random.below(80),
            delayed: random.below(100),
            damaged: random.below(20),
        }
    }

    /// Everything arrives once, in order and whole.
    pub(super) const fn fair() -> Self {
        Self {
            lost: 0,
            doubled: 0,
            delayed: 0,
            damaged: 0,
        }
    }
}

/// The link of one device.
#[derive(Debug, Default)]
pub(super) struct Link {
    /// Whether there is a connection; the device knows.
    pub(super) connected: bool,
    /// Nobody may connect before the link is mended.
    pub(super) cut: bool,
    /// Nothing comes through this way, and nobody is told.
    pub(super) blocked: Option<Way>,
    /// Raised when a broker forgets what it carries.
    pub(super) session: u64,
    /// How often somebody else took the connection over.
    pub(super) taken_over: u32,
    /// The last assignment that the broker keeps for whoever connects.
    pub(super) retained: Option<Vec<u8>>,
}

/// One arrival of a message.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Arrival {
    pub(super) delay_ms: u64,
    pub(super) bytes: Vec<u8>,
}

/// What was done to messages.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Mishaps {
    /// Messages that never arrived.
    pub lost: u64,
    /// Messages that arrived twice.
    pub doubled: u64,
    /// Messages that arrived late, after younger ones.
    pub delayed: u64,
    /// Messages that arrived cut short or with other bytes.
    pub damaged: u64,
}

/// Carries one message: nowhere, once or twice.
pub(super) fn carry(
    link: &Link,
    way: Way,
    bytes: &[u8],
    weather: Weather,
    random: &mut Random,
    mishaps: &mut Mishaps,
) -> Vec<Arrival> {
    let happens = |random: &mut Random, permille| random.below(1000) < permille;
    if !link.connected || link.blocked == Some(way) || happens(random, weather.lost) {
        mishaps.lost += 1;
        return Vec::new();
    }
    let copies = 1 + u64::from(happens(random, weather.doubled));
    mishaps.doubled += copies - 1;
    (0..copies)
        .map(|_| {
            let late = happens(random, weather.delayed);
            mishaps.delayed += u64::from(late);
            let late_ms = if late { random.below(90_000) } else { 0 };
            let mut bytes = bytes.to_vec();
            if happens(random, weather.damaged) {
                mishaps.damaged += 1;
                damage(&mut bytes, random);
            }
            Arrival {
                delay_ms: 5 + random.below(120) + late_ms,
                bytes,
            }
        })
        .collect()
}

/// Cuts a message short or changes one bit of it.
pub(super) fn damage(bytes: &mut Vec<u8>, random: &mut Random) {
    let len = bytes.len() as u64;
    if len == 0 {
        return;
    }
    let at = usize::try_from(random.below(len)).unwrap_or_default();
    if random.below(3) == 0 {
        bytes.truncate(at);
    } else {
        bytes[at] ^= 1 << random.below(8);
    }
}
