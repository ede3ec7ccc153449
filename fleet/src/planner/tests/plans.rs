//! Who is placed where, and how plans follow each other.

use super::bench::{Bench, START, device, policy};
use crate::planner::{
    CannotPlan, DeviceFacts, Inventory, Plan, PlanNumber, Progress, RolloutId, Standing,
};

const THREE: &str = "
[[rings]]
name = \"canary\"
reach = { percent = 10 }
soak_s = 60
deadline_s = 600
[[rings]]
name = \"early\"
reach = { percent = 50 }
soak_s = 60
deadline_s = 600
[[rings]]
name = \"all\"
reach = { percent = 100 }
soak_s = 0
deadline_s = 600
";

fn fleet(n: usize) -> Vec<DeviceFacts> {
    (0..n).map(device).collect()
}

fn made(rest: &str, devices: Vec<DeviceFacts>) -> Result<Plan, CannotPlan> {
    Plan::make(RolloutId(7), policy(rest), &Inventory::new(devices), START)
}

fn check(rest: &str, devices: usize, expect: &[usize], not_reached: usize) {
    let plan = made(rest, fleet(devices)).expect("planned");
    let sizes: Vec<_> = plan.rings.iter().map(|ring| ring.devices.len()).collect();
    assert_eq!(
        (sizes.as_slice(), plan.not_reached.len()),
        (expect, not_reached)
    );
}

fn ring(name: &str, reach: &str) -> String {
    format!("[[rings]]\nname = \"{name}\"\nreach = {reach}\nsoak_s = 0\ndeadline_s = 60\n")
}

#[test]
fn rings_reach_as_far_as_they_say() {
    check(THREE, 100, &[10, 40, 50], 0);
    check(THREE, 30, &[3, 12, 15], 0);
    check(&ring("one", "{ count = 3 }"), 10, &[3], 7);
    check(&ring("one", "{ count = 30 }"), 10, &[10], 0);
    let named = ring("spare", "{ selector = \"site=hall-1\" }");
    let mixed = format!("{}{named}", ring("first", "{ count = 2 }"));
    check(&mixed, 9, &[2, 3], 4);
    let mixed = format!("{mixed}{}", ring("rest", "{ percent = 100 }"));
    check(&mixed, 9, &[2, 3, 4], 0);
}

#[test]
fn every_ring_has_its_share_of_every_site() {
    let plan = made(THREE, fleet(60)).expect("planned");
    for (ring, share) in plan.rings.iter().zip([2, 8, 10]) {
        for site in 0..3 {
            let here = |device: &&muster_protocol::id::DeviceId| {
                let n: usize = device.as_str()[6..].parse().expect("a number");
                n % 3 == site
            };
            assert_eq!(
                ring.devices.iter().filter(here).count(),
                share,
                "{}",
                ring.name
            );
        }
    }
}

#[test]
fn a_larger_percentage_holds_every_smaller_one() {
    let at = |percent: u8| {
        let reach = format!("{{ percent = {percent} }}");
        let plan = made(&ring("one", &reach), fleet(83)).expect("planned");
        plan.rings[0].devices.clone()
    };
    let all = at(100);
    for percent in 1..100 {
        let part = at(percent);
        assert_eq!(part, all[..part.len()], "{percent} %");
    }
}

#[test]
fn another_rollout_begins_with_other_devices() {
    let begins = |rollout| {
        let inventory = Inventory::new(fleet(60));
        let plan = Plan::make(RolloutId(rollout), policy(THREE), &inventory, START);
        plan.expect("planned").rings[0].devices.clone()
    };
    assert_eq!(begins(7), begins(7));
    assert_ne!(begins(7), begins(8));
}

#[test]
fn the_first_ring_of_a_known_fleet_is_known() {
    let plan = made(THREE, fleet(30)).expect("planned");
    let names: Vec<_> = plan.rings[0]
        .devices
        .iter()
        .map(ToString::to_string)
        .collect();
    expect_test::expect!["press-29 press-24 press-16"].assert_eq(&names.join(" "));
}

fn check_refused(rest: &str, devices: usize, says: &str) {
    let error = made(rest, fleet(devices)).expect_err(says).to_string();
    assert!(
        error.contains(says) && error.contains(": hint: "),
        "{error}"
    );
}

#[test]
fn what_cannot_be_planned_says_why() {
    check_refused(THREE, 0, "matches none of 0 devices");
    check_refused(
        &format!("selector = \"site=hall-9\"\n{THREE}"),
        9,
        "matches none of 9",
    );
    check_refused(THREE, 1, "the ring early reaches 0 devices and needs 1");
    let many = THREE.replacen("soak_s = 60", "soak_s = 60\nmin_devices = 5", 1);
    check_refused(&many, 30, "the ring canary reaches 3 devices and needs 5");
}

#[test]
fn a_plan_shows_what_moves_and_what_is_held_back() {
    let mut devices = fleet(30);
    let first = made(THREE, devices.clone()).expect("planned").rings[0].devices[0].clone();
    let held = devices
        .iter_mut()
        .find(|one| one.device == first)
        .expect("there");
    held.link = crate::planner::Link::Metered;
    let plan = made(&format!("approval = \"manual\"\n{THREE}"), devices).expect("planned");
    assert_eq!(plan.next.len(), 2);
    assert_eq!(plan.held_back.len(), 1);
    assert_eq!(plan.held_back[0].device, first);
    assert_eq!(plan.held_back[0].standing, Standing::Metered);
    assert!(
        plan.next_because.sentence.contains("2 devices would move"),
        "{plan:?}"
    );
    let json = serde_json::to_string(&plan).expect("written");
    assert_eq!(serde_json::from_str::<Plan>(&json).expect("read"), plan);
}

fn live(selected: usize) -> Bench {
    let rest = format!("selector = \"on\"\nmembership = \"live\"\n{THREE}");
    let mut devices = fleet(40);
    for one in &mut devices[..selected] {
        one.labels.insert("on".to_owned(), "1".to_owned());
    }
    Bench::new(policy(&rest), devices)
}

#[test]
fn a_late_joiner_of_a_live_rollout_comes_into_the_last_ring() {
    let mut bench = live(20);
    bench.tick();
    let late = bench.devices[30].device.clone();
    assert_eq!(bench.standing(&late), Standing::NotMatched);
    bench
        .facts(&late)
        .labels
        .insert("on".to_owned(), "1".to_owned());
    assert_eq!(bench.standing(&late), Standing::Joins);
    bench.tick();
    assert_eq!(bench.plan.number, PlanNumber(2));
    assert_eq!(bench.plan.rings[2].devices.last(), Some(&late));
    assert_eq!(
        bench.standing(&late),
        Standing::WaitsForRing { ring: 2, open: 0 }
    );
    assert_eq!(
        bench
            .plan
            .amended(&bench.rollout, &bench.inventory(), START),
        None
    );
}

#[test]
fn who_no_longer_matches_leaves_unless_it_was_dispatched() {
    let mut bench = live(20);
    bench.tick();
    let (told, waiting) = (bench.member(0, 0), bench.member(1, 0));
    for device in [&told, &waiting] {
        bench.facts(device).labels.remove("on");
    }
    bench.tick();
    assert_eq!(bench.member(0, 0), told);
    assert_eq!(bench.standing(&waiting), Standing::NotMatched);
    bench
        .facts(&waiting)
        .labels
        .insert("on".to_owned(), "1".to_owned());
    bench.tick();
    assert_eq!(bench.plan.rings[2].devices.last(), Some(&waiting));
}

#[test]
fn frozen_membership_stays_as_it_was() {
    let mut bench = Bench::new(policy(&format!("selector = \"site\"\n{THREE}")), fleet(20));
    let (member, mut late) = (bench.member(1, 0), device(90));
    bench.facts(&member).labels.clear();
    late.progress = Progress::NotDispatched;
    let id = late.device.clone();
    bench.devices.push(late);
    bench.tick();
    assert_eq!(bench.plan.number, PlanNumber(1));
    assert_eq!(bench.standing(&id), Standing::JoinedLate);
    assert_eq!(
        bench.standing(&member),
        Standing::WaitsForRing { ring: 1, open: 0 }
    );
}
