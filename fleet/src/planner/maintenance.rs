//! Maintenance windows: weekdays and times of day in a device's own time zone.
//!
//! A zone is a fixed offset from UTC, from a label of the device or from the policy. No IANA names:
//! summer time would need a database that changes, and a plan that changes with it.

use std::fmt;
use std::str::FromStr;

use muster_protocol::time::UnixSeconds;
use serde::{Deserialize, Serialize};

const DAY_S: i128 = 86_400;
/// Days in which every window opens at least once.
const DAYS_AHEAD: i128 = 8;

/// When devices may be sent something new.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Maintenance {
    /// The label of a device that holds its offset from UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offset_label: Option<String>,
    /// For devices without that label; without it they wait.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offset: Option<Offset>,
    /// Open when one of them is.
    pub windows: Vec<Window>,
}

/// One window.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Window {
    /// The days on which it opens.
    pub days: Vec<Weekday>,
    /// When it opens.
    pub from: TimeOfDay,
    /// When it closes: on the next day when that is not later than `from`.
    pub to: TimeOfDay,
}

/// A day of the week.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "they say it themselves")]
pub enum Weekday {
    Mon,
    Tue,
    Wed,
    Thu,
    Fri,
    Sat,
    Sun,
}

impl Weekday {
    const ALL: [Self; 7] = [
        Self::Mon,
        Self::Tue,
        Self::Wed,
        Self::Thu,
        Self::Fri,
        Self::Sat,
        Self::Sun,
    ];

    /// Of a day that is counted from 1970-01-01, which was a Thursday.
    fn of(day: i128) -> Option<Self> {
        let at = usize::try_from((day + 3).rem_euclid(7)).ok()?;
        Self::ALL.get(at).copied()
    }
}

/// A time of day, `HH:MM`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TimeOfDay {
    minutes: u16,
}

/// How far a clock on the wall is ahead of UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Offset {
    minutes: i16,
}

/// A time or an offset that is not understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no {kind}: write {grammar}")]
pub struct BadTime {
    text: String,
    kind: &'static str,
    grammar: &'static str,
}

impl Maintenance {
    /// Whether a window is open there; else when the next one opens, if one ever does.
    pub(super) fn open(&self, offset: Offset, now: UnixSeconds) -> Result<(), Option<UnixSeconds>> {
        let ahead = i128::from(offset.minutes) * 60;
        let local = i128::from(now.0) + ahead;
        let today = local.div_euclid(DAY_S);
        let spans = (today - 1..today + DAYS_AHEAD)
            .flat_map(|day| self.windows.iter().filter_map(move |w| w.span(day)));
        let mut next: Option<i128> = None;
        for (start, end) in spans {
            if start <= local && local < end {
                return Ok(());
            }
            if start > local {
                next = Some(next.map_or(start, |next| next.min(start)));
            }
        }
        let utc = next.and_then(|start| u64::try_from(start - ahead).ok());
        Err(utc.map(UnixSeconds))
    }
}

impl Window {
    /// From when to when it is open on a day, in local seconds.
    fn span(&self, day: i128) -> Option<(i128, i128)> {
        if !self.days.contains(&Weekday::of(day)?) {
            return None;
        }
        let at = |day: i128, time: TimeOfDay| day * DAY_S + i128::from(time.minutes) * 60;
        let closes = if self.to > self.from { day } else { day + 1 };
        Some((at(day, self.from), at(closes, self.to)))
    }
}

fn clock(text: &str, hours_max: u16) -> Option<u16> {
    let two = |text: &str| {
        let digits = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        digits.then(|| text.parse::<u16>().ok()).flatten()
    };
    let (hours, minutes) = match text.split_once(':') {
        Some(parts) => parts,
        None => text.split_at_checked(2)?,
    };
    let (hours, minutes) = (two(hours)?, two(minutes)?);
    (hours <= hours_max && minutes < 60).then_some(hours * 60 + minutes)
}

impl FromStr for TimeOfDay {
    type Err = BadTime;

    fn from_str(text: &str) -> Result<Self, BadTime> {
        let minutes = clock(text, 23).filter(|_| text.contains(':'));
        let minutes = minutes.ok_or_else(|| BadTime {
            text: text.to_owned(),
            kind: "time of day",
            grammar: "HH:MM from 00:00 to 23:59",
        })?;
        Ok(Self { minutes })
    }
}

impl FromStr for Offset {
    type Err = BadTime;

    fn from_str(text: &str) -> Result<Self, BadTime> {
        let bad = || BadTime {
            text: text.to_owned(),
            kind: "offset from UTC",
            grammar: "+HH:MM or -HH:MM, in a label east-HHMM or west-HHMM, up to 14 hours",
        };
        let east = text.strip_prefix('+').or(text.strip_prefix("east-"));
        let west = text.strip_prefix('-').or(text.strip_prefix("west-"));
        let (sign, rest) = match (east, west) {
            (Some(rest), _) => (1, rest),
            (None, Some(rest)) => (-1, rest),
            (None, None) => return Err(bad()),
        };
        let minutes = clock(rest, 14).and_then(|minutes| i16::try_from(minutes).ok());
        let minutes = minutes.ok_or_else(bad)? * sign;
        Ok(Self { minutes })
    }
}

impl TryFrom<String> for TimeOfDay {
    type Error = BadTime;

    fn try_from(text: String) -> Result<Self, BadTime> {
        text.parse()
    }
}

impl From<TimeOfDay> for String {
    fn from(time: TimeOfDay) -> Self {
        format!("{:02}:{:02}", time.minutes / 60, time.minutes % 60)
    }
}

impl TryFrom<String> for Offset {
    type Error = BadTime;

    fn try_from(text: String) -> Result<Self, BadTime> {
        text.parse()
    }
}

impl From<Offset> for String {
    fn from(offset: Offset) -> Self {
        offset.to_string()
    }
}

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.minutes < 0 { '-' } else { '+' };
        let minutes = self.minutes.unsigned_abs();
        write!(f, "{sign}{:02}:{:02}", minutes / 60, minutes % 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Monday 2024-01-01T00:00:00Z.
    const MONDAY: u64 = 1_704_067_200;

    fn check(days: &[Weekday], from: &str, to: &str, offset: &str, at_h: u64, expect_h: u64) {
        let maintenance = Maintenance {
            offset_label: None,
            offset: None,
            windows: vec![Window {
                days: days.to_vec(),
                from: from.parse().expect("valid"),
                to: to.parse().expect("valid"),
            }],
        };
        let now = UnixSeconds(MONDAY + at_h * 3600);
        let open = maintenance.open(offset.parse().expect("valid"), now);
        let expect = if expect_h == at_h {
            Ok(())
        } else {
            Err(Some(UnixSeconds(MONDAY + expect_h * 3600)))
        };
        assert_eq!(open, expect, "{days:?} {from} {to} {offset} {at_h}");
    }

    #[test]
    fn a_window_is_open_in_the_time_of_the_device() {
        use Weekday::{Mon, Sat, Sun};
        check(&[Mon], "02:00", "04:00", "+00:00", 1, 2);
        check(&[Mon], "02:00", "04:00", "+00:00", 2, 2);
        check(&[Mon], "02:00", "04:00", "+00:00", 4, 7 * 24 + 2);
        check(&[Mon], "02:00", "04:00", "-05:00", 2, 7);
        check(&[Mon], "02:00", "04:00", "east-0200", 0, 0);
        // Past midnight it belongs to the day on which it opened.
        check(&[Sun], "22:00", "04:00", "+00:00", 3, 3);
        check(&[Sun], "22:00", "04:00", "+00:00", 4, 6 * 24 + 22);
        check(&[Sat, Sun], "00:00", "00:00", "+00:00", 5, 5 * 24);
        check(
            &[Sat, Sun],
            "00:00",
            "00:00",
            "+00:00",
            6 * 24 + 23,
            6 * 24 + 23,
        );
    }

    #[test]
    fn no_moment_overflows() {
        let never = Maintenance {
            offset_label: None,
            offset: None,
            windows: Vec::new(),
        };
        let offset = "west-1400".parse().expect("valid");
        for now in [0, 1, u64::MAX] {
            assert_eq!(never.open(offset, UnixSeconds(now)), Err(None));
        }
    }

    #[test]
    fn offsets_and_times_are_read_or_refused() {
        for (text, expect) in [
            ("+02:00", Some("+02:00")),
            ("-0330", Some("-03:30")),
            ("west-0330", Some("-03:30")),
            ("east-1400", Some("+14:00")),
            ("east-2400", None),
            ("Europe/Berlin", None),
            ("+2", None),
            ("+é0", None),
            ("", None),
        ] {
            let offset = text.parse::<Offset>().ok().map(|offset| offset.to_string());
            assert_eq!(offset.as_deref(), expect, "{text:?}");
        }
        assert!("24:00".parse::<TimeOfDay>().is_err());
        assert!("2200".parse::<TimeOfDay>().is_err());
    }
}
