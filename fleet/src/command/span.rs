//! A while, as an operator writes it: `90m`, `24h`, `7d`.
//!
//! Never a date: those depend on where the reader lives.

use crate::drift::SINCE_S_MAX;

/// A while, as it was said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Span {
    /// The text.
    pub(super) said: String,
    /// How long that is.
    pub(super) seconds: u64,
}

/// Reads it.
///
/// # Errors
/// A text that is none, or more than ten years.
pub(super) fn span(text: &str) -> Result<Span, String> {
    let wrong = || "a while is a number with s, m, h or d, at most ten years: 90m, 24h".to_owned();
    let (unit_at, unit) = text.char_indices().last().ok_or_else(wrong)?;
    let unit_s = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 24 * 3600,
        _ => return Err(wrong()),
    };
    let number: u64 = text[..unit_at].parse().map_err(|_| wrong())?;
    let seconds = number.checked_mul(unit_s);
    let seconds = seconds.filter(|seconds| (1..=SINCE_S_MAX).contains(seconds));
    Ok(Span {
        said: text.to_owned(),
        seconds: seconds.ok_or_else(wrong)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expect: Option<u64>) {
        assert_eq!(span(text).ok().map(|span| span.seconds), expect, "{text}");
    }

    #[test]
    fn a_while_is_a_number_with_its_unit() {
        check("90s", Some(90));
        check("90m", Some(5400));
        check("24h", Some(86_400));
        check("7d", Some(604_800));
        for wrong in ["", "h", "24", "0h", "-1h", "1.5h", "1w", "24é", "99999d"] {
            check(wrong, None);
        }
        check("18446744073709551615d", None);
    }
}
