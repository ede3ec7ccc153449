//! Every story against its golden transcript, and what stories must be good for.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use super::{Planted, transcript};

const DOCUMENTED: &str = include_str!("../../../docs/rollout-stories.md");

fn folder() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/stories"))
}

/// Names of files that end so.
fn names(end: &str) -> BTreeSet<String> {
    let files = std::fs::read_dir(folder()).expect("stories");
    let names = files.map(|file| file.expect("a file").file_name());
    let names = names.map(|name| name.into_string().expect("text"));
    names
        .filter_map(|name| Some(name.strip_suffix(end)?.to_owned()))
        .collect()
}

fn text(name: &str) -> String {
    let path = folder().join(format!("{name}.story"));
    std::fs::read_to_string(path).expect("readable")
}

fn play(name: &str, planted: Planted) -> String {
    let told = transcript(&format!("tests/stories/{name}.story"), &text(name), planted);
    told.unwrap_or_else(|bad| panic!("{bad}"))
}

fn golden(name: &str) -> String {
    let path = folder().join(format!("{name}.transcript"));
    std::fs::read_to_string(path).unwrap_or_default()
}

#[test]
fn stories_are_told_as_before() {
    let bless = std::env::var_os("MUSTER_BLESS").is_some_and(|bless| bless == "1");
    let mut differ = Vec::new();
    for name in names(".story") {
        let told = play(&name, Planted::Nothing);
        if bless {
            let path = folder().join(format!("{name}.transcript"));
            std::fs::write(path, told).expect("writable");
        } else if golden(&name) != told {
            differ.push(format!("{name}:\n{told}"));
        }
    }
    let differ = differ.join("\n");
    assert!(differ.is_empty(), "MUSTER_BLESS=1 writes them\n{differ}");
    assert_eq!(names(".story"), names(".transcript"));
}

#[test]
fn a_broken_rule_is_seen_in_a_story() {
    let seen_in = |planted| match planted {
        Planted::Nothing => None,
        Planted::SilenceRollsBack => Some("broker-swallows-receipts"),
        Planted::NothingRollsBack => Some("bad-model-installs-perfectly"),
        Planted::NoSoak => Some("good-version"),
        Planted::EndlessBudgets => Some("five-percent-bricked"),
        Planted::NoGates => Some("no-data-holds"),
        Planted::NoWindows => Some("maintenance-windows"),
        Planted::NoConstraints => Some("one-per-site"),
        Planted::NoLimits => Some("rate-limit"),
        Planted::NoRetries => Some("retry"),
        Planted::MeteredLinks => Some("metered-link"),
        Planted::TwoChanges => Some("other-model-waits"),
        Planted::NoApprovals => Some("plan-needs-approval"),
        Planted::Frozen => Some("late-joiner-live"),
        Planted::NoHold => Some("controller-restored"),
        Planted::NoSay => Some("newer-rollout-supersedes"),
        Planted::NoContact => Some("silent-or-unreachable"),
    };
    for planted in Planted::ALL {
        let name = seen_in(planted).expect("it breaks something");
        let right = play(name, Planted::Nothing);
        assert_ne!(play(name, planted), right, "{planted:?}");
    }
}

#[test]
fn every_story_is_documented() {
    let title = |name: &str| {
        let text = text(name);
        let first = text
            .lines()
            .next()
            .and_then(|line| line.strip_prefix("story "));
        first.expect("it begins with its title").to_owned()
    };
    let names = names(".story");
    assert!(names.len() >= 25, "{}", names.len());
    let expect: BTreeMap<String, String> = names
        .into_iter()
        .map(|name| {
            (
                format!("- [{name}](../tests/stories/{name}.story): "),
                title(&name),
            )
        })
        .collect();
    let lines: Vec<_> = DOCUMENTED
        .lines()
        .filter(|line| line.starts_with("- ["))
        .collect();
    assert_eq!(lines.len(), expect.len());
    for (begin, title) in expect {
        let found = lines.iter().find(|line| line.starts_with(&begin));
        let found = found.unwrap_or_else(|| panic!("missing: {begin}{title}"));
        assert_eq!(found[begin.len()..], title, "{begin}");
    }
}

const HEAD: &str = "story A test\ndevice press-01..02 runs bearing 1.0.0\n";
const POLICY: &str = "policy two\nmodel = \"bearing\"\nversion = \"2.0.0\"\n\
                      membership = \"frozen\"\non_halt = \"hold\"\n[[rings]]\nname = \"all\"\n\
                      reach = { percent = 100 }\nsoak_s = 0\ndeadline_s = 60\nend\n";

fn check_bad(text: &str, line: usize, says: &str) {
    let bad = transcript("a.story", text, Planted::Nothing).expect_err(text);
    assert_eq!((bad.file.as_str(), bad.line), ("a.story", line), "{bad}");
    let sentence = bad.to_string();
    assert!(sentence.contains(says), "{sentence}: {says}");
    assert!(sentence.contains(": hint: "), "{sentence}");
}

#[test]
fn a_malformed_story_is_refused_with_its_line_and_what_may_stand_there() {
    check_bad("", 1, "it is empty");
    check_bad("device press-01", 1, "`story TITLE`");
    check_bad(HEAD, 2, "nothing happens");
    check_bad("story A\nfoo", 2, "\"foo\" is not understood");
    check_bad("story A\ndevice press-09..01", 2, "no range");
    check_bad("story A\ndevice press-01 runs bearing", 2, "too early");
    check_bad("story A\npolicy two\nmodel = 1", 2, "does not end");
    check_bad(
        "story A\npolicy two\nmodel = 1\nend",
        2,
        "failed to read the policy",
    );
    let after = |lines: &str| format!("{HEAD}{POLICY}at 1 min\n{lines}");
    check_bad(&after("at 30 s"), 15, "earlier");
    check_bad(&after("at 9 d"), 15, "too long");
    check_bad(&after("at 3 weeks"), 15, "no unit of time");
    check_bad(&after("press-01 jumps"), 15, "dies|returns");
    check_bad(&after("alice applies three"), 15, "there are two");
    check_bad(&after("alice pauses: to see"), 15, "no such rollout");
    check_bad(&after("press-03 dies"), 15, "`press-03` means no device");
    check_bad(&after("canary#1 dies"), 15, "`canary#1` means no device");
    check_bad(&after("controller restored"), 15, "no backup");
    check_bad(
        &after("on 2.0.0 all answers 10, 3 % foo"),
        15,
        "\"foo\" is not counted",
    );
    check_bad(
        &after("alice applies two\nalice pauses"),
        16,
        "its reason is empty",
    );
    check_bad(
        &after("alice applies two\nalice pauses 7: to see"),
        16,
        "no such rollout",
    );
    check_bad(&after("clock sideways 1 h"), 15, "clock ahead");
}
