//! How policies are read, and how they are refused.

use proptest::prelude::*;

use muster_protocol::message::ShadowSettings;

use super::{Allowance, Metered, OnDevice, Percent, Policy, Role, Swap};
use crate::gate::Gate;
use crate::hostile::mutated;

/// The one that the documentation shows.
fn documented() -> String {
    let text = include_str!("../../../../docs/rollouts.md");
    let (_, rest) = text.split_once("```toml\n").expect("it shows a policy");
    rest.split_once("```").expect("it ends").0.to_owned()
}

#[test]
fn the_policy_in_the_documentation_is_one() {
    let policy = Policy::read(&documented()).expect("understood");
    assert_eq!(policy.limits.metered, Metered::Deny);
    let expect = OnDevice {
        probation_s: Some(600),
        swap: Some(Swap::Overlap),
    };
    assert_eq!(policy.on_device, expect);
    assert_eq!(policy.rings[0].window_s, Some(10));
    let gates = policy.rings.iter().flat_map(|ring| &ring.gates.0);
    let read: Result<Vec<Gate>, _> = gates.cloned().map(serde_json::from_value).collect();
    assert_eq!(read.expect("gates").len(), 3);
}

#[test]
fn json_gives_back_what_was_read() {
    let policy = Policy::read(&documented()).expect("understood");
    let json = serde_json::to_string(&policy).expect("written");
    assert_eq!(serde_json::from_str::<Policy>(&json).expect("read"), policy);
    let bad = json.replace("\"count\":1", "\"count\":0");
    assert!(serde_json::from_str::<Policy>(&bad).is_err(), "{bad}");
}

fn check_refused(line: &str, instead: &str, says: &[&str]) {
    let text = documented();
    assert!(text.contains(line), "{line}");
    let error = Policy::read(&text.replacen(line, instead, 1)).expect_err(instead);
    let error = error.to_string();
    assert!(error.starts_with("failed to read the policy: "), "{error}");
    assert!(error.contains(": hint: "), "{error}");
    for says in says {
        assert!(error.contains(says), "{error}: {says}");
    }
}

#[test]
fn errors_name_the_place_and_what_to_write() {
    check_refused(
        "membership = \"frozen\"",
        "",
        &["membership", "late joiners"],
    );
    check_refused("on_halt = \"rollback\"", "", &["on_halt", "\"hold\""]);
    check_refused(
        "model = \"bearing\"",
        "model = \"Bearing\"",
        &["line 1", "model id"],
    );
    check_refused(
        "version = \"2.0.0\"",
        "versoin = \"2.0.0\"",
        &["line 2", "versoin"],
    );
    check_refused(
        "site=hall-4|hall-5",
        "site=",
        &["line 3", "selector", "no value"],
    );
    check_refused("percent = 10 ", "percent = 101 ", &["between 0 and 100"]);
    check_refused("percent = 10 ", "percent = 1000 ", &["line "]);
    check_refused("name = \"early\"", "name = \"canary\"", &["rings", "twice"]);
    check_refused("count = 1 }", "count = 0 }", &["constraints[0].at_most"]);
    check_refused(
        "window_s = 10",
        "window_s = 9",
        &["rings[0].window_s", "10 to"],
    );
    check_refused(
        "percent = 100 }",
        "percent = 10 }",
        &["rings[2].reach", "larger"],
    );
    check_refused("\"sat\"", "\"saturday\"", &["line ", "saturday", "`sat`"]);
    check_refused("to = \"04:00\"", "to = \"4 am\"", &["time of day", "HH:MM"]);
    check_refused(
        "probation_s = 600",
        "probation_s = 4000000000",
        &["on_device.probation_s", "a year"],
    );
    check_refused("swap = \"overlap\"", "swap = \"hot\"", &["line ", "hot"]);
    check_refused("concurrent = 50", "concurrent = 0", &["limits.concurrent"]);
    check_refused(
        "deadline_s = 7200",
        "deadline_s = 1",
        &["rings[0].deadline_s"],
    );
}

/// The documented one as a shadow; its gates do not matter here.
fn shadow(limits: &str) -> Result<Policy, String> {
    let role = "version = \"2.0.0\"\nrole = \"shadow\"";
    let text = documented().replacen("version = \"2.0.0\"", role, 1);
    Policy::read(&format!("{text}\n[shadow]\n{limits}")).map_err(|error| error.to_string())
}

#[test]
fn a_shadow_may_be_limited_and_what_serves_may_not() {
    let policy = shadow("cpu_percent = 5\nsample_percent = 20").expect("understood");
    let settings = policy.shadow.map(ShadowSettings::from);
    let expect = ShadowSettings {
        cpu_per_mille: Some(50),
        sample_per_mille: Some(200),
    };
    assert_eq!((policy.role, settings), (Role::Shadow, Some(expect)));
    for (limits, says) in [
        ("cpu_percent = 0", "shadow.cpu_percent"),
        ("sample_percent = 0", "nothing would be compared"),
        ("cpu_percent = 101", "between 0 and 100"),
        ("cpu = 5", "unknown field"),
    ] {
        let refused = shadow(limits).expect_err(limits);
        assert!(refused.contains(says), "{refused}");
    }
    let serving = format!("{}\n[shadow]\ncpu_percent = 5", documented());
    let refused = Policy::read(&serving).expect_err("it serves").to_string();
    assert!(refused.contains("write role = \"shadow\""), "{refused}");
    check_refused(
        "version = \"2.0.0\"",
        "version = \"2.0.0\"\nrole = \"shade\"",
        &["line 3", "`serve` or `shadow`"],
    );
}

#[test]
fn shares_are_rounded_as_they_say() {
    let five = Percent::try_from(5).expect("a share");
    for (n, down, up) in [(0, 0, 0), (1, 0, 1), (19, 0, 1), (20, 1, 1), (21, 1, 2)] {
        assert_eq!((five.of(n), five.of_rounded_up(n)), (down, up), "{n}");
    }
    let all = Percent::try_from(100).expect("a share");
    assert_eq!(all.of(u32::MAX), u32::MAX);
    assert_eq!(Allowance::Count(3).of(1), 3);
}

proptest! {
    #[test]
    fn a_hostile_policy_is_refused_or_read(bytes in mutated(documented().into_bytes())) {
        let text = String::from_utf8_lossy(&bytes);
        if let Ok(policy) = Policy::read(&text) {
            prop_assert!(policy.check().is_ok());
        }
    }
}
