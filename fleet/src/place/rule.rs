//! Levels and limits of placing, each stated once.
//!
//! Never changed by data.

use crate::watch::{IncidentsPerYear, YEAR_S};

/// A label's value that fewer devices have is no cohort.
pub const DEVICES_MIN: usize = 3;

/// What a panel is judged by.
#[derive(Debug, Clone, PartialEq)]
pub struct PlaceRule {
    /// Windows that all have to show it: the last ones.
    pub windows: usize,
    /// Values that a window of a feature holds at least.
    pub samples_min: u64,
    /// How often a panel in which nothing moved may have a finding, by any one of its windows.
    pub level: f64,
    /// p at which a device counts among those that may have moved (not by itself: by their
    /// number), and at which its peers confirm that it is not the weather.
    pub member_level: f64,
    /// Labels that say how a device was made: what their values explain is a regression.
    pub build_labels: Vec<String>,
    /// Labels that say where a device stands: what their values explain is the world.
    pub cohort_labels: Vec<String>,
}

impl PlaceRule {
    /// The level at which panels can be looked at after every slot of time, all year: what is found by
    /// chance stays within `incidents` a device, even if no window tells more than the one before it.
    #[must_use]
    pub fn every_slot(self, incidents: IncidentsPerYear, devices: usize, slot_s: u32) -> Self {
        let slots_per_year = YEAR_S / f64::from(slot_s.max(1));
        let of_slot = incidents.get() * devices as f64 / slots_per_year;
        Self {
            level: self.level.min(of_slot),
            ..self
        }
    }
}

impl Default for PlaceRule {
    fn default() -> Self {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Self {
            windows: 2,
            samples_min: 20,
            level: 1e-3,
            member_level: 1e-3,
            build_labels: names(&["firmware", "hardware", "lot"]),
            cohort_labels: names(&["site"]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_years_slots_share_what_a_year_is_allowed() {
        let level = |devices, slot_s| {
            let rule = PlaceRule::default();
            rule.every_slot(IncidentsPerYear::TENTH, devices, slot_s)
                .level
        };
        // 105,192 slots of five minutes; 2.4 incidents of 24 devices.
        let each = level(24, 300);
        assert!((each * 105_192.0 - 2.4).abs() < 1e-9, "{each}");
        assert!(level(1, 300) < each);
        // Never more often than when something has alarmed.
        assert!((level(100_000, 3600) - PlaceRule::default().level).abs() < f64::EPSILON);
        assert!((level(1, 0) - 0.1 / YEAR_S).abs() < 1e-18);
    }
}
