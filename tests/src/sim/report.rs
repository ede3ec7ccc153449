//! What many runs add up to.
//!
//! Never a measure of time: whoever runs them holds the clock.

use super::faults::Fault;
use super::network::Mishaps;
use std::collections::BTreeMap;
use std::fmt;

/// What happened in one run, or in many.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counted {
    /// Events, each followed by the checks.
    pub events: u64,
    /// Virtual time.
    pub virtual_ms: u64,
    /// Faults by kind.
    pub faults: BTreeMap<Fault, u64>,
    /// What the network did to messages.
    pub mishaps: Mishaps,
}

impl Counted {
    /// Adds what another run counted.
    pub fn add(&mut self, other: &Self) {
        self.events += other.events;
        self.virtual_ms += other.virtual_ms;
        for (fault, count) in &other.faults {
            *self.faults.entry(*fault).or_default() += count;
        }
        self.mishaps.lost += other.mishaps.lost;
        self.mishaps.doubled += other.mishaps.doubled;
        self.mishaps.delayed += other.mishaps.delayed;
        self.mishaps.damaged += other.mishaps.damaged;
    }
}

impl fmt::Display for Counted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<20} {:>14}", "events", self.events)?;
        writeln!(
            f,
            "{:<20} {:>14}",
            "virtual hours",
            self.virtual_ms / 3_600_000
        )?;
        for fault in Fault::ALL {
            let count = self.faults.get(&fault).copied().unwrap_or_default();
            writeln!(f, "{fault:<20} {count:>14}")?;
        }
        let Mishaps {
            lost,
            doubled,
            delayed,
            damaged,
        } = self.mishaps;
        for (what, count) in [
            ("lost", lost),
            ("doubled", doubled),
            ("delayed", delayed),
            ("damaged", damaged),
        ] {
            writeln!(f, "{:<20} {count:>14}", format!("messages {what}"))?;
        }
        Ok(())
    }
}
