//! How values read: text that others wrote, moments, counts and durations.
//!
//! Templates escape what is markup; this bounds what is long and makes visible what would hide or
//! turn around.

use std::fmt;

use muster_protocol::time::UnixSeconds;
use muster_protocol::tuf::date_time;

/// Characters of a text that are shown.
const CHARS_MAX: usize = 300;

/// Text of a device or an operator, fit to be shown.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Shown(String);

impl Shown {
    /// Bounded, and with every character that has no shape of its own written out.
    pub(super) fn new(text: &str) -> Self {
        let mut shown = String::with_capacity(text.len().min(4 * CHARS_MAX));
        let mut letters = text.chars();
        for letter in letters.by_ref().take(CHARS_MAX) {
            match is_hidden(letter) {
                true => shown.extend(letter.escape_unicode()),
                false => shown.push(letter),
            }
        }
        if letters.next().is_some() {
            shown.push('…');
        }
        Self(shown)
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A text as somebody typed it, without what hides in it: for the field that it came from.
pub(super) fn typed(text: &str) -> String {
    text.chars().filter(|letter| !is_hidden(*letter)).collect()
}

/// Controls, and what changes the direction of text or takes no room.
fn is_hidden(letter: char) -> bool {
    letter.is_control()
        || matches!(letter,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e0fff}')
}

/// A moment, shown as what has passed since.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Moment(pub(super) u64);

impl Moment {
    /// For machines.
    pub(super) fn iso(self) -> String {
        date_time(self.0)
    }

    /// For people, in full.
    pub(super) fn absolute(self) -> String {
        date_time(self.0).replace('T', " ").replace('Z', " UTC")
    }

    /// What has passed since; the script of the page says it in the same words.
    pub(super) fn ago(self, now: &UnixSeconds) -> String {
        let passed = now.0.saturating_sub(self.0);
        match passed {
            0..60 => format!("{passed} s ago"),
            60..3600 => format!("{} min ago", passed / 60),
            3600..86_400 => format!("{} h ago", passed / 3600),
            _ => format!("{} d ago", passed / 86_400),
        }
    }
}

/// A count with its thousands apart.
pub(super) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A count with its noun: `1 device`, `2 devices`.
pub(super) fn counted(number: u64, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", count(number))
}

/// A latency in a unit that keeps it short; a dash when there is none.
pub(super) fn latency(us: Option<u32>) -> String {
    match us {
        None => "–".to_owned(),
        Some(us @ 0..1000) => format!("{us} µs"),
        Some(us @ 1000..10_000) => format!("{:.2} ms", f64::from(us) / 1e3),
        Some(us @ 10_000..100_000) => format!("{:.1} ms", f64::from(us) / 1e3),
        Some(us @ 100_000..1_000_000) => format!("{:.0} ms", f64::from(us) / 1e3),
        Some(us) => format!("{:.1} s", f64::from(us) / 1e6),
    }
}

/// A text as part of a query of a URL.
pub(super) fn query_part(text: &str) -> String {
    let mut part = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            true => part.push(char::from(byte)),
            false => part.push_str(&format!("%{byte:02X}")),
        }
    }
    part
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_hides_is_written_out_and_what_is_long_is_cut() {
        let check = |text: &str, expect: &str| assert_eq!(Shown::new(text).0.as_str(), expect);
        check("site=berlin", "site=berlin");
        check("Zürich 東京", "Zürich 東京");
        check("<script>", "<script>");
        check("a\u{202e}gpj.exe", "a\\u{202e}gpj.exe");
        check("a\r\nb\0", "a\\u{d}\\u{a}b\\u{0}");
        check("\u{feff}\u{200b}", "\\u{feff}\\u{200b}");
        let long = "x".repeat(10_000);
        assert_eq!(Shown::new(&long).0.as_str().chars().count(), CHARS_MAX + 1);
        let hidden = "\u{202e}".repeat(10_000);
        assert!(Shown::new(&hidden).0.as_str().len() < 9 * CHARS_MAX);
    }

    #[test]
    fn moments_counts_and_latencies_are_short() {
        let now = UnixSeconds(1_800_000_000);
        let ago = |passed| Moment(now.0 - passed).ago(&now);
        let said = [0, 59, 60, 3599, 3600, 86_400].map(ago);
        assert_eq!(
            said,
            [
                "0 s ago",
                "59 s ago",
                "1 min ago",
                "59 min ago",
                "1 h ago",
                "1 d ago"
            ]
        );
        assert_eq!(Moment(now.0 + 5).ago(&now), "0 s ago");
        assert_eq!(Moment(0).absolute(), "1970-01-01 00:00:00 UTC");
        assert_eq!(
            [0, 999, 1000, 14_332, 1_234_567].map(count),
            ["0", "999", "1,000", "14,332", "1,234,567"]
        );
        assert_eq!(
            [1, 2].map(|n| counted(n, "device")),
            ["1 device", "2 devices"]
        );
        let latencies = [
            None,
            Some(112),
            Some(1280),
            Some(40_960),
            Some(131_072),
            Some(2_097_152),
        ];
        let said = latencies.map(latency);
        assert_eq!(
            said,
            ["–", "112 µs", "1.28 ms", "41.0 ms", "131 ms", "2.1 s"]
        );
        assert_eq!(query_part("a=b&c d/ü"), "a%3Db%26c%20d%2F%C3%BC");
    }
}
