//! What selectors match, and how they are refused.

use std::collections::BTreeMap;

use muster_protocol::id::{DeviceId, ModelId, Version};
use proptest::prelude::*;

use super::{Selector, Serving, Subject};
use crate::hostile::mutated;

fn labels() -> BTreeMap<String, String> {
    let labels = [("site", "hall-4"), ("line", "a")];
    labels
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into()
}

fn device() -> DeviceId {
    DeviceId::parse("press-07").expect("valid")
}

fn check(selector: &str, expect: Option<bool>) {
    let parsed = selector.parse::<Selector>().ok();
    assert_eq!(
        parsed.map(|s| s.matches(&device(), &labels())),
        expect,
        "{selector:?}"
    );
}

#[test]
fn all_terms_must_hold() {
    for (selector, expect) in [
        ("", Some(true)),
        (" ", Some(true)),
        ("site=hall-4", Some(true)),
        ("site=hall-5", Some(false)),
        ("site=hall-5|hall-4", Some(true)),
        ("site!=hall-5", Some(true)),
        ("site!=hall-5|hall-4", Some(false)),
        ("site", Some(true)),
        ("!site", Some(false)),
        ("!gone", Some(true)),
        ("gone", Some(false)),
        ("gone=x", Some(false)),
        ("gone!=x", Some(true)),
        ("site=hall-4, line=a", Some(true)),
        ("site=hall-4,line=b", Some(false)),
        ("device=press-07", Some(true)),
        ("device=press-08|press-07,line", Some(true)),
        (",", None),
        ("site=", None),
        ("=x", None),
        ("site=a|", None),
        ("a b", None),
        ("a=b=c", None),
        ("!", None),
        ("!a=b", None),
    ] {
        check(selector, expect);
    }
    check(&"a".repeat(1025), None);
}

fn check_reported(selector: &str, expect: bool) {
    let version = |text| Version::parse(text).expect("valid");
    let serving = |model, text, rank| Serving {
        model: ModelId::parse(model).expect("valid"),
        version: version(text),
        rank,
    };
    let models = [
        serving("bearing", "1.10.0", Some(17)),
        serving("pump", "2.0.0-rc.1", None),
    ];
    let subject = Subject {
        device: &device(),
        labels: &labels(),
        agent: Some(&version("0.9.2")),
        health: Some("ok"),
        arch: Some("aarch64"),
        hw: None,
        models: &models,
    };
    let selector: Selector = selector.parse().expect("understood");
    assert_eq!(selector.selects(&subject), expect, "{selector}");
}

#[test]
fn what_devices_report_is_compared() {
    for (selector, expect) in [
        ("model.bearing=1.10.0", true),
        ("model.bearing!=1.10.0", false),
        ("model.bearing!=1.9.0", true),
        ("model.bearing<1.9.0", false),
        ("model.bearing>1.9.0", true),
        ("model.bearing<=1.10.0,model.bearing>=1.10.0", true),
        ("model.bearing>=17,model.bearing<18", true),
        ("model.bearing>17", false),
        ("model.pump<2.0.0", true),
        ("model.pump>=1", false),
        ("agent>=0.9.0", true),
        ("agent<0.9.2", false),
        ("health=ok|unknown", true),
        ("health!=ok", false),
        ("arch=aarch64,site=hall-4", true),
    ] {
        check_reported(selector, expect);
    }
}

#[test]
fn what_is_not_reported_matches_nothing_but_its_absence() {
    for (selector, expect) in [
        ("hw", false),
        ("!hw", true),
        ("hw=rev2", false),
        ("hw!=rev2", false),
        ("model.fan<9.0.0", false),
        ("model.fan>=0.0.1", false),
        ("model.fan!=1.0.0", false),
        ("!model.fan", true),
    ] {
        check_reported(selector, expect);
    }
}

#[test]
fn a_label_stands_in_for_what_is_not_reported() {
    let labels = [("hw".to_owned(), "rev2".to_owned())].into();
    let selector: Selector = "hw=rev2".parse().expect("understood");
    assert!(selector.matches(&device(), &labels));
}

fn check_refused(selector: &str, at: usize, says: &str) {
    let bad = selector.parse::<Selector>().expect_err(selector);
    assert_eq!(bad.at, at, "{bad}");
    assert!(bad.to_string().contains(says), "{bad}");
}

#[test]
fn errors_point_at_the_place_and_say_what_may_stand_there() {
    check_refused("site=a,,line", 8, "a term must stand there");
    check_refused("site=a, line=b c", 9, "\"b c\" is no value");
    check_refused("s=é, line<3", 1, "\"é\" is no value");
    check_refused("site=a,line<3", 8, "write it after model.NAME or agent");
    check_refused("model.bearing>=new", 1, "a version such as 1.2.0");
    check_refused("agent>3", 1, "a version such as 1.2.0");
    check_refused("model.=1.0.0", 1, "after `model.` stands a model");
    check_refused("a&b", 1, "\"a&b\" is no key");
}

proptest! {
    #[test]
    fn a_hostile_query_is_refused_or_printed_as_it_was(
        bytes in mutated(b"site=a|b,line!=3,!spare,device=press-07,model.x>=1.2.0,agent<3.0.0".to_vec()),
    ) {
        let text = String::from_utf8_lossy(&bytes);
        if let Ok(selector) = text.parse::<Selector>() {
            prop_assert_eq!(selector.to_string().parse(), Ok(selector.clone()));
            let _ = selector.matches(&device(), &labels());
        }
    }
}
