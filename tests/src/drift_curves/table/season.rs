//! The lines of sensors that follow the week: what charts do that know of it, and those that do not.

use super::{Allowed, DelayLine, Kind, QuietLine, moved};
use crate::drift_curves::{SeasonNormal, SeasonSetting};

/// Correlation of neighbouring samples of what the week leaves.
const CORRELATION: f64 = 0.9;
/// Swings of a working day, in standard deviations of what is left; by how much of itself each differs
/// from day to day; and what the charts are told.
const SENSORS: [(f64, f64, SeasonNormal); 6] = [
    (1.0, 0.0, SeasonNormal::One),
    (5.0, 0.0, SeasonNormal::One),
    (1.0, 0.0, SeasonNormal::HourOfWeek),
    (5.0, 0.0, SeasonNormal::HourOfWeek),
    (5.0, 0.02, SeasonNormal::HourOfWeek),
    (5.0, 0.1, SeasonNormal::HourOfWeek),
];
const YEARS: u64 = 24;
/// Days that differ by as much of the swing, and by more than what is looked for, are too much for the
/// budget.
const DAY_DIFFERS_TOO_MUCH: f64 = 0.1;
/// Alarms a year of such a sensor, as published.
const TOO_MANY: Allowed = Allowed::KnownException(0.375);

/// Sensors without drift.
#[must_use]
pub fn season_quiet_lines() -> Vec<QuietLine> {
    let each = settings(1).map(|(name, setting)| QuietLine {
        name,
        correlation: CORRELATION,
        years: YEARS,
        allowed: if setting.day_differs < DAY_DIFFERS_TOO_MUCH {
            Allowed::Budget
        } else {
            TOO_MANY
        },
        kind: Kind::Season(setting),
    });
    each.collect()
}

/// Sensors that move by a part of what is left, which is small against the swing.
#[must_use]
pub fn season_delay_lines() -> Vec<DelayLine> {
    let shifts = [0.2, 0.5].into_iter();
    let each = shifts.flat_map(|shift| {
        let sensors =
            settings(16).filter(|(_, setting)| setting.day_differs < DAY_DIFFERS_TOO_MUCH);
        sensors.map(move |(name, setting)| DelayLine {
            name: format!("mean by {shift} sd, {name}"),
            correlation: CORRELATION,
            shift: (setting.normal == SeasonNormal::HourOfWeek).then_some(shift),
            charts: 80.0,
            kind: Kind::Season(setting),
            drift: moved(shift),
        })
    });
    each.collect()
}

fn settings(features: u32) -> impl Iterator<Item = (String, SeasonSetting)> {
    let sensors = SENSORS.into_iter();
    sensors.map(move |(swing, day_differs, normal)| {
        let differs = match day_differs {
            0.0 => String::new(),
            part => format!(" that differs by {} % from day to day", 100.0 * part),
        };
        let told = match normal {
            SeasonNormal::One => "one normal",
            SeasonNormal::HourOfWeek => "hour of the week",
        };
        let setting = SeasonSetting {
            swing,
            day_differs,
            correlation: CORRELATION,
            window_s: 300,
            features,
            normal,
        };
        (format!("swing of {swing} sd{differs}, {told}"), setting)
    })
}
