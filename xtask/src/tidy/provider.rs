//! Our TLS code names its crypto provider.
//! Which one other people's crates use is their own business.

use super::{Finding, Rule, house::House};

/// Sequences that pick a provider by accident, or the wrong one.
const FORBIDDEN: [(&[&str], &str); 5] = [
    (&["ClientConfig", "::", "builder", "("], NAME_IT),
    (&["ServerConfig", "::", "builder", "("], NAME_IT),
    (&["WebPkiClientVerifier", "::", "builder", "("], NAME_IT),
    (&["WebPkiServerVerifier", "::", "builder", "("], NAME_IT),
    (&["aws_lc_rs", "::"], "ring is our only provider"),
];
const NAME_IT: &str = "use `builder_with_provider` and ring";

pub(super) const RULE: Rule = Rule {
    name: "provider",
    because: "the broker's crate switches on a second provider, and rustls panics when left to choose",
    check,
};

fn check(house: &House<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in &house.sources {
        for (pattern, instead) in FORBIDDEN {
            let what = format!("`{}`: {instead}", pattern.concat().trim_end_matches('('));
            findings.extend(
                source
                    .find(pattern)
                    .map(|at| source.finding(at, what.clone())),
            );
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::{super::check, RULE};

    #[test]
    fn the_provider_is_named() {
        check(
            &RULE,
            &[("a.rs", "rustls::ClientConfig::builder_with_provider(ring)")],
            &[],
        );
        check(
            &RULE,
            &[("a.rs", "rustls::ClientConfig::builder()")],
            &["a.rs:1: `ClientConfig::builder`: use `builder_with_provider` and ring"],
        );
        check(
            &RULE,
            &[("a.rs", "use rustls::crypto::aws_lc_rs::sign;")],
            &["a.rs:1: `aws_lc_rs::`: ring is our only provider"],
        );
    }
}
