//! `YYYY-MM-DDTHH:MM:SSZ` (RFC 3339, UTC, whole seconds) to and from unix seconds. Nothing else is
//! read: no offsets, fractions, lower case or leap seconds; and no year before 1970.

use alloc::string::String;

const DAY_S: u64 = 86_400;

/// Unix seconds of a date, if it is one.
pub(super) fn parse(text: &str) -> Option<u64> {
    let bytes: &[u8; 20] = text.as_bytes().try_into().ok()?;
    let separators = [
        (4, b'-'),
        (7, b'-'),
        (10, b'T'),
        (13, b':'),
        (16, b':'),
        (19, b'Z'),
    ];
    if separators.iter().any(|&(at, byte)| bytes[at] != byte) {
        return None;
    }
    let (year, month, day) = (
        number(&bytes[..4])?,
        number(&bytes[5..7])?,
        number(&bytes[8..10])?,
    );
    let time = (
        number(&bytes[11..13])?,
        number(&bytes[14..16])?,
        number(&bytes[17..19])?,
    );
    let (hour, minute, second) = time;
    let valid = year >= 1970
        && (1..=12).contains(&month)
        && (1..=days_in_month(year, month)).contains(&day)
        && hour < 24
        && minute < 60
        && second < 60;
    let seconds = hour * 3600 + minute * 60 + second;
    valid.then(|| days_since_1970(year, month, day) * DAY_S + seconds)
}

/// The date of unix seconds, `YYYY-MM-DDTHH:MM:SSZ`; after the year 9999, its last second.
#[must_use]
pub fn format(unix_s: u64) -> String {
    const LAST_S: u64 = 253_402_300_799;
    let unix_s = unix_s.min(LAST_S);
    let (mut days, seconds) = (unix_s / DAY_S, unix_s % DAY_S);
    let mut year = 1970;
    while days >= 365 + leap(year) {
        days -= 365 + leap(year);
        year += 1;
    }
    let mut month = 1;
    while days >= days_in_month(year, month) {
        days -= days_in_month(year, month);
        month += 1;
    }
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    alloc::format!(
        "{year:04}-{month:02}-{:02}T{hour:02}:{minute:02}:{second:02}Z",
        days + 1
    )
}

/// For `#[serde(with)]` on unix seconds.
pub(super) mod unix_seconds {
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(unix_s: &u64, writer: S) -> Result<S::Ok, S::Error> {
        writer.serialize_str(&super::format(*unix_s))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(reader: D) -> Result<u64, D::Error> {
        let text = alloc::string::String::deserialize(reader)?;
        super::parse(&text).ok_or_else(|| D::Error::custom("not a date YYYY-MM-DDTHH:MM:SSZ"))
    }
}

/// For `#[serde(with, default)]` on optional unix seconds; `null` is no date.
pub(super) mod optional_unix_seconds {
    use serde::{Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(at: &Option<u64>, writer: S) -> Result<S::Ok, S::Error> {
        match at {
            Some(unix_s) => super::unix_seconds::serialize(unix_s, writer),
            None => writer.serialize_none(),
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(r: D) -> Result<Option<u64>, D::Error> {
        super::unix_seconds::deserialize(r).map(Some)
    }
}

fn number(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0, |sum, digit| {
        digit
            .is_ascii_digit()
            .then(|| sum * 10 + u64::from(digit - b'0'))
    })
}

fn leap(year: u64) -> u64 {
    u64::from(year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)))
}

fn days_in_month(year: u64, month: u64) -> u64 {
    match month {
        2 => 28 + leap(year),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

fn days_since_1970(year: u64, month: u64, day: u64) -> u64 {
    let years: u64 = (1970..year).map(|year| 365 + leap(year)).sum();
    let months: u64 = (1..month).map(|month| days_in_month(year, month)).sum();
    years + months + day - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        for (input, expect) in [
            ("1970-01-01T00:00:00Z", Some(0)),
            ("2000-02-29T12:34:56Z", Some(951_827_696)),
            ("2030-01-01T00:00:00Z", Some(1_893_456_000)),
            ("9999-12-31T23:59:59Z", Some(253_402_300_799)),
            ("2100-02-29T00:00:00Z", None),
            ("2030-13-01T00:00:00Z", None),
            ("2030-00-01T00:00:00Z", None),
            ("2030-01-00T00:00:00Z", None),
            ("2030-01-01T24:00:00Z", None),
            ("2030-01-01T00:00:60Z", None),
            ("2030-01-01t00:00:00Z", None),
            ("2030-01-01T00:00:00z", None),
            ("2030-01-01T00:00:00.0Z", None),
            ("2030-01-01T00:00:00+00:00", None),
            ("+030-01-01T00:00:00Z", None),
            ("1969-12-31T23:59:59Z", None),
            ("", None),
        ] {
            assert_eq!(parse(input), expect, "{input}");
            if let Some(unix_s) = expect {
                assert_eq!(format(unix_s), input);
            }
        }
        assert_eq!(format(u64::MAX), "9999-12-31T23:59:59Z");
    }
}
