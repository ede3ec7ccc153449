//! What the story claims, each with what was seen: one that does not hold fails the demo.
//! Never judges by itself.

use std::fmt::Write as _;

/// Claims so far.
#[derive(Debug, Default)]
pub(super) struct Claims(Vec<Claim>);

#[derive(Debug)]
struct Claim {
    what: String,
    seen: String,
    holds: bool,
}

impl Claims {
    /// Adds one.
    pub(super) fn claim(&mut self, what: &str, holds: bool, seen: impl Into<String>) {
        self.0.push(Claim {
            what: what.to_owned(),
            seen: seen.into(),
            holds,
        });
    }

    /// Whether there are claims, and all hold.
    pub(super) fn hold(&self) -> bool {
        !self.0.is_empty() && self.0.iter().all(|claim| claim.holds)
    }

    /// A line for each, and one for all.
    pub(super) fn text(&self) -> String {
        let width = self.0.iter().map(|claim| claim.what.chars().count()).max();
        let width = width.unwrap_or(0);
        let mut text = String::new();
        for Claim { what, seen, holds } in &self.0 {
            let verdict = if *holds { "holds " } else { "FAILED" };
            let _infallible = writeln!(text, "{verdict}  {what:<width$}  {seen}");
        }
        let broken: Vec<_> = self.0.iter().filter(|claim| !claim.holds).collect();
        text + &match broken.first() {
            None => format!("all {} claims hold", self.0.len()),
            Some(first) => format!(
                "failed to tell the story: because {} of {} claims do not hold, first: {}: {}",
                broken.len(),
                self.0.len(),
                first.what,
                first.seen
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_does_not_hold_fails_all() {
        let mut claims = Claims::default();
        assert!(!claims.hold(), "nothing was claimed");
        claims.claim("a", true, "1");
        assert!(claims.hold());
        assert_eq!(claims.text(), "holds   a  1\nall 1 claims hold");
        claims.claim("bb", false, "2");
        assert!(!claims.hold());
        assert!(claims.text().contains("FAILED  bb  2\n"));
        assert!(
            claims
                .text()
                .ends_with("1 of 2 claims do not hold, first: bb: 2")
        );
    }
}
