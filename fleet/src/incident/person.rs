//! Who said something, and why: kept with everything that people decide about incidents.
//!
//! Never proves who it was: whoever has the token of the API may name anybody.

/// Longest name and reason, in bytes.
const TEXT_BYTES_MAX: usize = 500;

/// A person and their reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    name: String,
    reason: String,
}

/// A name or a reason that nobody could read later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the {what} is empty, holds control characters or is longer than {TEXT_BYTES_MAX} bytes: \
     hint: say who decides it, and why, in a sentence"
)]
pub struct BadPerson {
    what: &'static str,
}

impl Person {
    /// A name, and why.
    ///
    /// # Errors
    /// One of them is empty, too long, or holds control characters.
    pub fn new(name: &str, reason: &str) -> Result<Self, BadPerson> {
        for (what, text) in [("operator", name), ("reason", reason)] {
            let bad = text.trim().is_empty()
                || text.len() > TEXT_BYTES_MAX
                || text.chars().any(char::is_control);
            if bad {
                return Err(BadPerson { what });
            }
        }
        Ok(Self {
            name: name.trim().to_owned(),
            reason: reason.trim().to_owned(),
        })
    }

    /// Who.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Why.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.reason
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_has_a_name_and_a_reason_that_can_be_read() {
        let check = |name: &str, reason: &str, expect: Option<&str>| {
            let said = Person::new(name, reason).err().map(|bad| bad.what);
            assert_eq!(said, expect, "{name:?} {reason:?}");
        };
        check(" ada ", "it is the pump", None);
        check("", "it is the pump", Some("operator"));
        check("ada", " ", Some("reason"));
        check("ada", "a\nb", Some("reason"));
        check("ada", &"a".repeat(501), Some("reason"));
        let ada = Person::new(" ada ", "why").expect("valid");
        assert_eq!((ada.name(), ada.reason()), ("ada", "why"));
    }
}
