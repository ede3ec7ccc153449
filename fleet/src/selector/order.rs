//! Precedence of versions, as Semantic Versioning 2.0.0 section 11 has it.
//!
//! Never turns a part into a number: a part may be longer than any integer.

use std::cmp::Ordering;

use muster_protocol::id::Version;

/// Which of two versions comes first; a pre-release comes before its release.
#[must_use]
pub fn by_precedence(one: &Version, other: &Version) -> Ordering {
    let (one, other) = (split(one), split(other));
    let cores = one.0.split('.').zip(other.0.split('.'));
    let core = cores.map(|(a, b)| by_number(a, b)).find(|o| o.is_ne());
    core.unwrap_or_else(|| by_prerelease(one.1, other.1))
}

fn split(version: &Version) -> (&str, Option<&str>) {
    let text = version.as_str();
    text.split_once('-')
        .map_or((text, None), |(core, pre)| (core, Some(pre)))
}

/// Numbers without leading zeros: the longer one is the larger.
fn by_number(one: &str, other: &str) -> Ordering {
    one.len().cmp(&other.len()).then_with(|| one.cmp(other))
}

fn by_prerelease(one: Option<&str>, other: Option<&str>) -> Ordering {
    let (one, other) = match (one, other) {
        (None, None) => return Ordering::Equal,
        (None, Some(_)) => return Ordering::Greater,
        (Some(_), None) => return Ordering::Less,
        (Some(one), Some(other)) => (one, other),
    };
    let (mut one, mut other) = (one.split('.'), other.split('.'));
    loop {
        let ordering = match (one.next(), other.next()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => return Ordering::Less,
            (Some(_), None) => return Ordering::Greater,
            (Some(a), Some(b)) => by_identifier(a, b),
        };
        if ordering.is_ne() {
            return ordering;
        }
    }
}

fn by_identifier(one: &str, other: &str) -> Ordering {
    let number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    match (number(one), number(other)) {
        (true, true) => by_number(trimmed(one), trimmed(other)),
        (true, false) => Ordering::Less,
        (false, true) => Ordering::Greater,
        (false, false) => one.cmp(other),
    }
}

/// The grammar of ids allows leading zeros here, where the specification does not.
fn trimmed(number: &str) -> &str {
    number.trim_start_matches('0')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(ascending: &[&str]) {
        let versions = ascending.iter().map(|text| Version::parse(text));
        let versions: Vec<_> = versions.collect::<Result<_, _>>().expect("valid");
        for (at, one) in versions.iter().enumerate() {
            for (there, other) in versions.iter().enumerate() {
                assert_eq!(by_precedence(one, other), at.cmp(&there), "{one} {other}");
            }
        }
    }

    #[test]
    fn versions_are_ordered_as_the_specification_has_it() {
        check(&["1.0.0", "2.0.0", "2.1.0", "2.1.1", "10.0.0"]);
        check(&[
            "1.0.0-alpha",
            "1.0.0-alpha.1",
            "1.0.0-alpha.beta",
            "1.0.0-beta",
            "1.0.0-beta.2",
            "1.0.0-beta.11",
            "1.0.0-rc.1",
            "1.0.0",
        ]);
        check(&["1.0.9", "1.0.99999999999999999999999", "1.1.0"]);
    }
}
