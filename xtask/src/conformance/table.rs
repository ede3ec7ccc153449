//! The verdicts as a table for people, and as JSON for scripts.
//! It only shows: what is expected is judged elsewhere.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Value, json};

use super::{Tried, verdict::Verdict};

/// Longest detail of a line, characters.
const DETAIL_CHARS_MAX: usize = 160;

/// How many cases of a group ended how.
#[derive(Default)]
struct Counts {
    all: usize,
    pass: usize,
    refused: usize,
    /// Of those.
    without_operator: usize,
    wrong: usize,
    crashed: usize,
}

/// A line for each case, a closing line for each group, and what is not as expected.
pub(super) fn text(tried: &[Tried], failures: &[String]) -> String {
    let mut text = String::new();
    let width = |tried: &Tried| tried.case.group.len() + tried.case.name.len() + 1;
    let width = tried.iter().map(width).max().unwrap_or(0);
    for Tried { case, verdict } in tried {
        let name = format!("{}/{}", case.group, case.name);
        let detail = shortened(&verdict.detail());
        // Writing to a string does not fail.
        let _ = writeln!(text, "{:7}  {name:width$}  {detail}", verdict.word());
    }
    text.push('\n');
    for (group, counts) in groups(tried) {
        let _ = writeln!(text, "{group}: {}", counts.sentence());
    }
    for failure in failures {
        let _ = writeln!(text, "NOT AS EXPECTED  {failure}");
    }
    let _ = match failures.len() {
        0 => writeln!(text, "all as expected"),
        count => writeln!(text, "{count} not as expected"),
    };
    text
}

/// `{cases, groups, failures}`.
pub(super) fn json(tried: &[Tried], failures: &[String]) -> Value {
    let case = |Tried { case, verdict }: &Tried| {
        let mut line = verdict.json();
        line["group"] = json!(case.group);
        line["case"] = json!(case.name);
        line["verdict"] = json!(verdict.word());
        line
    };
    let group = |(name, counts): (&str, Counts)| {
        json!({
            "group": name,
            "cases": counts.all,
            "pass": counts.pass,
            "refused": counts.refused,
            "refused_without_operator": counts.without_operator,
            "wrong": counts.wrong,
            "crashed": counts.crashed,
        })
    };
    json!({
        "cases": tried.iter().map(case).collect::<Vec<_>>(),
        "groups": groups(tried).into_iter().map(group).collect::<Vec<_>>(),
        "failures": failures,
    })
}

fn groups(tried: &[Tried]) -> BTreeMap<&str, Counts> {
    let mut groups = BTreeMap::<&str, Counts>::new();
    for Tried { case, verdict } in tried {
        let counts = groups.entry(&case.group).or_default();
        counts.all += 1;
        match verdict {
            Verdict::Pass { .. } => counts.pass += 1,
            Verdict::Refused { operator, .. } => {
                counts.refused += 1;
                counts.without_operator += usize::from(operator.is_none());
            }
            Verdict::Wrong { .. } => counts.wrong += 1,
            Verdict::Crashed { .. } => counts.crashed += 1,
        }
    }
    groups
}

impl Counts {
    fn sentence(&self) -> String {
        let Self {
            all,
            pass,
            refused,
            without_operator,
            wrong,
            crashed,
        } = self;
        let percent = *pass as f64 / *all as f64 * 100.0;
        format!(
            "{all} cases: {pass} pass ({percent:.1} %), {refused} refused ({without_operator} \
             without an operator), {wrong} wrong, {crashed} crashed"
        )
    }
}

fn shortened(detail: &str) -> String {
    match detail.char_indices().nth(DETAIL_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &detail[..end]),
        None => detail.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::case::Case;
    use super::*;

    fn tried() -> Vec<Tried> {
        let tried = |name: &str, verdict| {
            let case = Case {
                group: "a/node".into(),
                name: name.into(),
                model: "model.onnx".into(),
                test_data: None,
            };
            Tried { case, verdict }
        };
        let refused = Verdict::Refused {
            stage: "read".into(),
            operator: None,
            reason: "r".repeat(200),
        };
        vec![
            tried("x", Verdict::Pass { worst: Some(0.5) }),
            tried("long", refused),
        ]
    }

    #[test]
    fn people_read_lines() {
        let reason = "r".repeat(DETAIL_CHARS_MAX - "stage read, -: ".len());
        let expect = format!(
            "pass     a/node/x     worst difference 5.00e-1\n\
             refused  a/node/long  stage read, -: {reason}…\n\n\
             a/node: 2 cases: 1 pass (50.0 %), 1 refused (1 without an operator), 0 wrong, 0 \
             crashed\nNOT AS EXPECTED  f\n1 not as expected\n"
        );
        assert_eq!(text(&tried(), &["f".into()]), expect);
    }

    #[test]
    fn scripts_read_the_same() {
        let json = json(&tried(), &[]);
        assert_eq!(json["cases"][0]["worst_difference"], 0.5);
        assert_eq!(json["cases"][1]["stage"], "read");
        assert_eq!(json["groups"][0]["refused_without_operator"], 1);
        assert_eq!(json["failures"], json!([]));
    }
}
