//! What is published of placing is what it does.
//!
//! A few hundred cases with a fixed seed, the recordings where they are, and the tables in
//! docs/drift-cases.md, read again; the many cases behind those are for `cargo xtask drift-cases`.

use muster_tests::drift_cases::{Case, Kind, Learnt, Place, Tally, lines, real};
use muster_tests::skip;

const PUBLISHED: &str = include_str!("../../docs/drift-cases.md");
/// Cases of each kind that are run here, in a fleet of independent values.
const CASES: u64 = 12;
/// The share that is placed right at least, published, and cases.
const PROMISED_PERCENT: f64 = 99.0;
const PROMISED_CASES: u64 = 1000;

#[test]
fn faults_are_placed_where_they_are() {
    let fleet = Learnt::new(0.0, 11);
    let (mut whole, mut wrong) = (Tally::default(), Vec::new());
    for (at, kind) in Kind::ALL.into_iter().enumerate() {
        for n in 0..CASES {
            let case = Case {
                kind,
                size: 1.0,
                seed: 1000 * at as u64 + n,
            };
            let answer = fleet.run(case);
            if answer.place != Place::Right || !answer.is_cause_right {
                wrong.push(format!("{} {n}: {}", kind.name(), answer.told));
            }
            whole.add(&answer);
        }
    }
    let case = Case {
        kind: Kind::Constant,
        size: 1.0,
        seed: 5,
    };
    assert_eq!(fleet.run(case), fleet.run(case), "one seed is one case");
    assert!(whole.right().0 >= 0.99, "{}", wrong.join("\n"));
    assert!(
        whole.right_causes * 100 >= whole.cases * 97,
        "{}",
        wrong.join("\n")
    );
}

#[test]
fn published_tables_are_whole_and_keep_the_promise() {
    let cells = published("all but nothing");
    let cases: u64 = cells[0].parse().expect("a number");
    let share: f64 = cells[4].trim_end_matches(" %").parse().expect("a share");
    assert!(
        cases >= PROMISED_CASES && share >= PROMISED_PERCENT,
        "{cells:?}"
    );
    for line in lines() {
        published(line.kind.name());
    }
}

#[test]
fn recordings_say_what_is_published() {
    let Some(rows) = real::rows() else {
        let hint = "put the recordings into ../shared/data";
        skip::skip("drift_cases: recordings", "they are not here", hint);
        return;
    };
    for row in rows {
        let line = row.line();
        assert!(PUBLISHED.contains(&line), "cargo xtask drift-cases: {line}");
    }
}

/// The cells that are published after a name.
fn published(name: &str) -> Vec<String> {
    let start = format!("| {name} | ");
    let row = PUBLISHED.lines().find_map(|line| line.strip_prefix(&start));
    let row = row.unwrap_or_else(|| panic!("no line `{start}`: cargo xtask drift-cases"));
    row.split('|').map(|cell| cell.trim().to_owned()).collect()
}
