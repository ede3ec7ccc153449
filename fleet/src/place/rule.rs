//! Levels and limits of placing, each stated once.
//!
//! Never changed by data.

/// A label's value that fewer devices have is no cohort.
pub const DEVICES_MIN: usize = 3;

/// What a panel is judged by.
#[derive(Debug, Clone, PartialEq)]
pub struct PlaceRule {
    /// Windows that all have to show it: the last ones.
    pub windows: usize,
    /// Values that a window of a feature holds at least.
    pub samples_min: u64,
    /// How often a panel in which nothing moved may have a finding.
    pub level: f64,
    /// p at which a device counts among those that may have moved (not by itself: by their
    /// number), and at which its peers confirm that it is not the weather.
    pub member_level: f64,
    /// Labels that say how a device was made: what their values explain is a regression.
    pub build_labels: Vec<String>,
    /// Labels that say where a device stands: what their values explain is the world.
    pub cohort_labels: Vec<String>,
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
