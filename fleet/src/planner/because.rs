//! Why something was decided: a sentence with the value, the threshold and the n that it rests on.
//!
//! Never decides: whoever does writes it down here.

use muster_protocol::id::DeviceId;
use serde::{Deserialize, Serialize};

/// Devices that a sentence names.
const NAMED_MAX: usize = 5;

/// The reason of a decision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Because {
    /// For people.
    pub sentence: String,
    /// What was found, in the unit of the sentence.
    pub value: Option<u64>,
    /// What it was held against.
    pub threshold: Option<u64>,
    /// Out of how many.
    pub n: Option<u64>,
}

impl Because {
    /// A reason without numbers.
    pub(super) fn plain(sentence: impl Into<String>) -> Self {
        Self {
            sentence: sentence.into(),
            value: None,
            threshold: None,
            n: None,
        }
    }

    /// A reason with what was found, held against what, and out of how many.
    pub(super) fn counted(sentence: impl Into<String>, value: u64, threshold: u64, n: u64) -> Self {
        Self {
            sentence: sentence.into(),
            value: Some(value),
            threshold: Some(threshold),
            n: Some(n),
        }
    }
}

/// The first few of them, and how many more: never one more, which is shorter named.
pub(super) fn names(devices: &[DeviceId]) -> String {
    let all = devices.len();
    let named = if all == NAMED_MAX + 1 { all } else { NAMED_MAX };
    let first = devices.iter().take(named).map(DeviceId::as_str);
    let first: Vec<&str> = first.collect();
    match all.saturating_sub(named) {
        0 => first.join(", "),
        more => format!("{} and {more} more", first.join(", ")),
    }
}

/// `1 device`, `2 devices`.
pub(super) fn devices(n: u32) -> String {
    if n == 1 {
        "1 device".to_owned()
    } else {
        format!("{n} devices")
    }
}

/// `once`, `2 times`.
pub(super) fn times(n: u8) -> String {
    if n == 1 {
        "once".to_owned()
    } else {
        format!("{n} times")
    }
}

/// A span in its two largest units, as `1 h 20 min`.
pub(super) fn span(seconds: u64) -> String {
    const UNITS: [(u64, &str); 4] = [(86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")];
    let mut rest = seconds;
    let mut parts = Vec::new();
    for (size, unit) in UNITS {
        let whole = rest / size;
        rest %= size;
        if whole > 0 && parts.len() < 2 {
            parts.push(format!("{whole} {unit}"));
        }
    }
    if parts.is_empty() {
        return "0 s".to_owned();
    }
    parts.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_devices_are_named_and_the_others_counted() {
        for (n, expect) in [
            (1, "a-1"),
            (6, "a-1, a-2, a-3, a-4, a-5, a-6"),
            (7, "a-1, a-2, a-3, a-4, a-5 and 2 more"),
        ] {
            let devices = (1..=n).map(|n| DeviceId::parse(&format!("a-{n}")).expect("valid"));
            assert_eq!(names(&devices.collect::<Vec<_>>()), expect);
        }
    }

    #[test]
    fn spans_are_read_in_two_units() {
        for (seconds, expect) in [
            (0, "0 s"),
            (59, "59 s"),
            (60, "1 min"),
            (4_800, "1 h 20 min"),
            (90_061, "1 d 1 h"),
            (86_401, "1 d 1 s"),
        ] {
            assert_eq!(span(seconds), expect);
        }
    }
}
