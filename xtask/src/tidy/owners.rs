//! Each outside world is known to one place: the runtime, the broker, the database, HTTP.
//! What stands outside the packages of the table is not judged.

use super::{Finding, Rule, house::House, lexer::Kind, source::Source};

/// Crates and the only places in a package that may name them.
struct Owner {
    package: &'static str,
    crates: &'static [&'static str],
    places: &'static [&'static str],
}

const OWNERS: [Owner; 10] = [
    Owner {
        package: "agent",
        crates: &["tract", "tract_core", "tract_hir", "tract_onnx"],
        places: &["agent/src/infer"],
    },
    Owner {
        package: "agent",
        crates: &["rumqttc"],
        places: &["agent/src/link"],
    },
    Owner {
        package: "fleet",
        crates: &["rmqtt", "rumqttc"],
        places: &["fleet/src/broker"],
    },
    Owner {
        package: "fleet",
        crates: &["rusqlite"],
        places: &["fleet/src/store"],
    },
    Owner {
        package: "fleet",
        crates: &[
            "axum",
            "http",
            "http_body_util",
            "hyper",
            "hyper_util",
            "tower",
        ],
        // The operator's commands are a client of the API and need the other end of HTTP.
        places: &["fleet/src/api", "fleet/src/client"],
    },
    Owner {
        package: "firmware",
        crates: &["cortex_m", "cortex_m_rt"],
        places: &["firmware/board"],
    },
    // These start the programs instead of linking what makes them slow to build.
    Owner {
        package: "tests",
        crates: STARTED_NOT_LINKED,
        places: &[],
    },
    Owner {
        package: "xtask",
        crates: STARTED_NOT_LINKED,
        places: &[],
    },
    // A load that is measured must not cost a process for each message.
    Owner {
        package: "tests",
        crates: &["rumqttc"],
        places: &["tests/src/bin/ingest"],
    },
    Owner {
        package: "xtask",
        crates: &["rumqttc"],
        places: &[],
    },
];

const STARTED_NOT_LINKED: &[&str] = &["axum", "rmqtt", "rusqlite", "tract_onnx"];

/// How a sentence of SQL begins.
const SQL: [&str; 7] = [
    "SELECT ",
    "INSERT INTO ",
    "INSERT OR ",
    "DELETE FROM ",
    "CREATE TABLE ",
    "PRAGMA ",
    "REPLACE INTO ",
];

pub(super) const RULE: Rule = Rule {
    name: "owners",
    because: "a dependency that one place knows can be replaced in one place",
    check,
};

fn check(house: &House<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for owner in &OWNERS {
        for source in house.sources_under(owner.package) {
            findings.extend(trespasses(owner, source));
        }
    }
    findings.extend(house.sources_under("fleet").flat_map(stray_sql));
    findings
}

fn trespasses(owner: &Owner, source: &Source<'_>) -> Vec<Finding> {
    if owner.places.iter().any(|place| is_at(source.path, place)) {
        return Vec::new();
    }
    let places = match owner.places {
        [] => format!("{} never", owner.package),
        places => format!("only {}", places.join(" and ")),
    };
    let named = (0..source.tokens.len()).filter(|&at| names(source, at, owner.crates));
    let what = |at: usize| format!("{places} names `{}`", source.tokens[at].text);
    named.map(|at| source.finding(at, what(at))).collect()
}

/// Whether the token at `at` begins a path into one of `crates`: `a::b`, or `use a;`.
fn names(source: &Source<'_>, at: usize, crates: &[&str]) -> bool {
    let before = at.checked_sub(1).map(|at| source.tokens[at].text);
    let after = source.tokens.get(at + 1).map(|token| token.text);
    let is_path = after == Some("::") && before != Some("::");
    let is_import = before == Some("use");
    crates.contains(&source.tokens[at].text) && (is_path || is_import)
}

fn stray_sql(source: &Source<'_>) -> Vec<Finding> {
    if is_at(source.path, "fleet/src/store") {
        return Vec::new();
    }
    let strings = source
        .tokens
        .iter()
        .enumerate()
        .filter(|(_, token)| token.kind == Kind::Literal);
    let sql = strings.filter(|(_, token)| {
        let sentence = token
            .text
            .trim_start_matches(['b', 'r', '#', '"', '\n', ' ']);
        SQL.iter().any(|opening| sentence.starts_with(opening))
    });
    sql.map(|(at, _)| source.finding(at, "only fleet/src/store speaks SQL"))
        .collect()
}

/// Whether `path` is the file `place.rs` or lies in the folder `place`.
fn is_at(path: &str, place: &str) -> bool {
    path.strip_prefix(place)
        .is_some_and(|left| left == ".rs" || left.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::{super::check, RULE};

    #[test]
    fn owners_name_what_they_own() {
        check(
            &RULE,
            &[
                ("agent/src/infer/load.rs", "use tract_onnx::prelude::*;"),
                ("agent/src/link.rs", "use rumqttc::Client;"),
                (
                    "agent/src/worker.rs",
                    "use crate::infer::tract::Model; let tract = 1;",
                ),
                ("fleet/src/api/error.rs", "use axum::http::StatusCode;"),
                ("fleet/src/client.rs", "use hyper::Request;"),
                ("tests/src/bin/ingest.rs", "use rumqttc::Client;"),
                (
                    "fleet/src/store.rs",
                    "use rusqlite::Row; const A: &str = \"SELECT 1\";",
                ),
            ],
            &[],
        );
    }

    #[test]
    fn trespassers_are_named() {
        let tract = "agent/src/worker.rs:1: only agent/src/infer names `tract_onnx`";
        check(
            &RULE,
            &[("agent/src/worker.rs", "use tract_onnx::prelude::*;")],
            &[tract],
        );
        check(
            &RULE,
            &[("agent/src/worker.rs", "use tract_onnx as t;")],
            &[tract],
        );
        check(
            &RULE,
            &[("firmware/src/node.rs", "use cortex_m::asm;")],
            &["firmware/src/node.rs:1: only firmware/board names `cortex_m`"],
        );
        check(
            &RULE,
            &[("tests/src/device.rs", "use rumqttc::Client;")],
            &["tests/src/device.rs:1: only tests/src/bin/ingest names `rumqttc`"],
        );
        check(
            &RULE,
            &[("fleet/src/rollout.rs", "fn a(x: axum::Json<u8>) {}")],
            &["fleet/src/rollout.rs:1: only fleet/src/api and fleet/src/client names `axum`"],
        );
        check(
            &RULE,
            &[("fleet/src/storeroom.rs", "let q = \"\n  SELECT 1\";")],
            &["fleet/src/storeroom.rs:1: only fleet/src/store speaks SQL"],
        );
    }
}
