//! The figures as a table for people, and as JSON for scripts.
//! It only shows.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::Fuzzed;

/// A line for each target, one for all of them, and a line for each input that fell.
pub(super) fn text(fuzzed: &[Fuzzed]) -> String {
    let mut text = format!(
        "{:<18}{:>13}{:>11}{:>8}{:>10}{:>8}{:>7}{:>9}\n",
        "target", "executions", "each s", "edges", "features", "corpus", "new", "crashes"
    );
    for Fuzzed { name, reached } in fuzzed {
        // Writing to a string does not fail.
        let _ = writeln!(
            text,
            "{name:<18}{:>13}{:>11}{:>8}{:>10}{:>8}{:>7}{:>9}",
            reached.executions,
            reached.executions_per_s,
            reached.edges,
            reached.features,
            reached.corpus,
            reached.new_inputs,
            reached.crashes.len()
        );
    }
    let executions: u64 = fuzzed.iter().map(|one| one.reached.executions).sum();
    let crashes = || fuzzed.iter().flat_map(|one| &one.reached.crashes);
    let count = crashes().count();
    let _ = writeln!(text, "{executions} executions, {count} crashes");
    for path in crashes() {
        let _ = writeln!(text, "FELL  {path}");
    }
    text
}

/// `{targets, executions, crashes}`.
pub(super) fn json(fuzzed: &[Fuzzed]) -> Value {
    let target = |Fuzzed { name, reached }: &Fuzzed| {
        json!({
            "target": name,
            "executions": reached.executions,
            "executions_per_s": reached.executions_per_s,
            "edges": reached.edges,
            "features": reached.features,
            "corpus": reached.corpus,
            "new_inputs": reached.new_inputs,
            "crashes": reached.crashes,
        })
    };
    let sum = |figure: fn(&Fuzzed) -> u64| fuzzed.iter().map(figure).sum::<u64>();
    json!({
        "targets": fuzzed.iter().map(target).collect::<Vec<_>>(),
        "executions": sum(|one| one.reached.executions),
        "crashes": sum(|one| one.reached.crashes.len() as u64),
    })
}

#[cfg(test)]
mod tests {
    use super::super::log::Reached;
    use super::*;
    use expect_test::{Expect, expect};

    fn fuzzed() -> Vec<Fuzzed> {
        let reached = Reached {
            executions: 20_001,
            executions_per_s: 10_000,
            edges: 1973,
            features: 2799,
            corpus: 166,
            new_inputs: 133,
            crashes: Vec::new(),
        };
        let fell = Reached {
            executions: 7,
            crashes: vec!["a/crash-1".into()],
            ..Reached::default()
        };
        let one = |name: &str, reached| Fuzzed {
            name: name.into(),
            reached,
        };
        vec![one("messages", reached), one("cose", fell)]
    }

    fn check(text: &str, expect: &Expect) {
        expect.assert_eq(text);
    }

    #[test]
    fn a_table_for_people() {
        check(
            &text(&fuzzed()),
            &expect![[r#"
            target               executions     each s   edges  features  corpus    new  crashes
            messages                  20001      10000    1973      2799     166    133        0
            cose                          7          0       0         0       0      0        1
            20008 executions, 1 crashes
            FELL  a/crash-1
        "#]],
        );
    }

    #[test]
    fn json_for_scripts() {
        let json = json(&fuzzed());
        assert_eq!(
            (&json["executions"], &json["crashes"]),
            (&20_008.into(), &1.into())
        );
        assert_eq!(json["targets"][1]["crashes"][0], "a/crash-1");
        assert_eq!(json["targets"][0]["edges"], 1973);
    }
}
