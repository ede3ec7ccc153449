//! Why a device waits, each reason once, and what people read.

use muster_protocol::time::UnixSeconds;

use super::bench::{Bench, START, device, policy};
use crate::planner::{
    Command, DeviceFacts, Failure, Hold, Link, Progress, RolloutId, Standing, Try, explain_device,
    explain_rollout,
};

const ONE: &str = "
[[rings]]
name = \"all\"
reach = { percent = 100 }
soak_s = 60
deadline_s = 600
";

/// The standing of the device that comes last to its turn, and its sentences, after a tick.
fn check(rest: &str, change: impl Fn(&mut Bench), expect: &Standing, why: &str, next: &str) {
    let mut bench = Bench::new(
        policy(&format!("{rest}{ONE}")),
        (0..6).map(device).collect(),
    );
    change(&mut bench);
    let device = bench.member(0, 5);
    bench.tick();
    let explained = explain_device(&bench.plan, &bench.situation(), &bench.inventory(), &device);
    assert_eq!(&explained.standing, expect);
    assert_eq!(
        (explained.why.as_str(), explained.next.as_str()),
        (why, next)
    );
    assert_eq!(explained.ring.as_deref(), Some("all"));
}

/// Changes the device that comes last to its turn.
fn last(change: impl Fn(&mut DeviceFacts)) -> impl Fn(&mut Bench) {
    move |bench| {
        let device = bench.member(0, 5);
        change(bench.facts(&device));
    }
}

fn nothing(_: &mut Bench) {}

#[test]
fn shared_limits_hold_back_whoever_comes_late() {
    check(
        "limits = { concurrent = 5 }\n",
        nothing,
        &Standing::ConcurrencyFull { n: 5, max: 5 },
        "5 devices on the way, at most 5 may be",
        "it is told when one of them has ended",
    );
    check(
        "limits = { dispatches_per_hour = 4 }\n",
        nothing,
        &Standing::RateLimited {
            n: 4,
            max: 4,
            until: UnixSeconds(START.0 + 3600),
        },
        "4 devices told in the last hour, at most 4 may be",
        "one more may in 1 h",
    );
}

#[test]
fn a_place_is_full_by_name() {
    let mut bench = Bench::new(
        policy(&format!(
            "constraints = [{{ label = \"site\", at_most = {{ count = 1 }} }}]\n{ONE}"
        )),
        (0..6).map(device).collect(),
    );
    assert_eq!(bench.tick().dispatch.len(), 3);
    let device = bench.member(0, 5);
    let site = bench.facts(&device).labels["site"].clone();
    let full = Standing::ConstraintFull {
        label: "site".to_owned(),
        value: site,
        n: 1,
        max: 1,
    };
    assert_eq!(bench.standing(&device), full);
}

#[test]
fn a_degraded_device_is_in_change_where_it_is_and_one_that_went_back_is_not() {
    let rest = format!(
        "constraints = [{{ label = \"site\", at_most = {{ count = 1 }} }}]\n{}",
        ONE.replace(
            "deadline_s",
            "budget = { failed = { count = 9 } }\ndeadline_s"
        )
    );
    for (failure, told) in [(Failure::Degraded, 2), (Failure::Reverted, 3)] {
        let mut bench = Bench::new(policy(&rest), (0..6).map(device).collect());
        bench.devices[0].progress = Progress::Failed {
            failure,
            code: "crashed".to_owned(),
        };
        assert_eq!(bench.tick().dispatch.len(), told, "{failure:?}");
    }
}

#[test]
fn changes_by_other_rollouts_count_where_they_are() {
    let rest = format!(
        "selector = \"device!=press-00\"
        constraints = [{{ label = \"site\", at_most = {{ count = 1 }} }}]\n{ONE}"
    );
    let mut bench = Bench::new(policy(&rest), (0..6).map(device).collect());
    bench.devices[0].other_change = Some(RolloutId(9));
    bench.devices[1].other_change = Some(RolloutId(9));
    // One place each is taken by a device that is no member, and by one that is.
    assert_eq!(bench.tick().dispatch.len(), 1);
}

#[test]
fn a_device_has_reasons_of_its_own() {
    check(
        "",
        last(|one| one.link = Link::Metered),
        &Standing::Metered,
        "its link is metered, and the policy denies metered links",
        "it is told when it is on another link",
    );
    check(
        "",
        last(|one| one.hold = Hold::AfterRestore),
        &Standing::Held,
        "after a restore of the controller it has not shown what it runs",
        "it is told when it has said hello",
    );
    check(
        "",
        last(|one| one.other_change = Some(RolloutId(9))),
        &Standing::OtherChange {
            rollout: RolloutId(9),
        },
        "rollout 9 is changing it",
        "it is told when that has ended",
    );
    check(
        "",
        last(|one| one.say = Some(RolloutId(9))),
        &Standing::OtherSay {
            rollout: RolloutId(9),
        },
        "rollout 9 has the say there",
        "ask for the other rollout",
    );
    check(
        "approval = \"manual\"\n",
        nothing,
        &Standing::AwaitsPlanApproval,
        "the plan waits for approval",
        "approve the plan, or abort it",
    );
}

#[test]
fn a_window_opens_in_the_time_of_the_device() {
    let window = "maintenance = { offset_label = \"tz\", windows = [
        { days = [\"fri\"], from = \"14:00\", to = \"16:00\" }] }\n";
    check(
        window,
        nothing,
        &Standing::OutsideWindow { until: None },
        "its time zone is not known",
        "label it with its offset from UTC, or name one in the policy",
    );
    let zone = |zone: &'static str| {
        last(move |one| {
            one.labels.insert("tz".to_owned(), zone.to_owned());
        })
    };
    check(
        window,
        zone("east-0030"),
        &Standing::OutsideWindow {
            until: Some(UnixSeconds(START.0 + 5400)),
        },
        "no maintenance window is open there",
        "one opens in 1 h 30 min",
    );
    check(
        window,
        zone("east-0200"),
        &Standing::AwaitsContact {
            until: UnixSeconds(START.0 + 600),
        },
        "it was told, and has signed nothing since",
        "without a word it counts as unreachable in 10 min",
    );
}

#[test]
fn what_devices_did_is_told_with_their_reason() {
    let failed = |retries: u8| {
        last(move |one| {
            one.retries = retries;
            one.progress = Progress::Failed {
                failure: Failure::Reverted,
                code: "too slow".to_owned(),
            };
        })
    };
    let budget = ONE.replace(
        "deadline_s",
        "budget = { failed = { count = 9 } }\ndeadline_s",
    );
    let mut bench = Bench::new(policy(&budget), (0..6).map(device).collect());
    failed(0)(&mut bench);
    let device = bench.member(0, 5);
    bench.tick();
    let (failure, code) = (Failure::Reverted, "too slow".to_owned());
    assert_eq!(
        bench.standing(&device),
        Standing::Failed {
            failure,
            code: code.clone(),
            retries_left: 1
        }
    );
    failed(1)(&mut bench);
    let spent = Standing::RetriesSpent {
        failure,
        code,
        n: 1,
        max: 1,
    };
    assert_eq!(bench.standing(&device), spent);
    assert_eq!(
        spent.why(&bench.plan, START),
        "it reverted: too slow, and was told to try again once, as often as may be"
    );
}

#[test]
fn a_halted_rollout_says_so_at_every_device_that_waits() {
    let rest = format!("limits = {{ concurrent = 1 }}\n{ONE}");
    let mut bench = Bench::new(policy(&rest), (0..6).map(device).collect());
    bench.tick();
    bench.now.0 += 601;
    bench.tick();
    let explained = explain_rollout(&bench.plan, &bench.situation());
    assert!(explained.because.sentence.contains("never answered"));
    assert_eq!(explained.waits, None);
    assert_eq!(explained.standings["halted"], 5);
    assert_eq!(explained.standings["unreachable"], 1);
    assert!(bench.order(Command::Retry).is_ok());
    let first = bench.member(0, 0);
    assert_eq!(
        bench.standing(&first),
        Standing::MovesNow { r#try: Try::Again }
    );
}

#[test]
fn a_paused_rollout_says_by_whom() {
    let mut bench = Bench::new(
        policy(&format!("limits = {{ concurrent = 1 }}\n{ONE}")),
        (0..6).map(device).collect(),
    );
    bench.tick();
    assert!(bench.order(Command::Pause).is_ok());
    let device = bench.member(0, 5);
    let explained = explain_device(&bench.plan, &bench.situation(), &bench.inventory(), &device);
    assert_eq!(
        explained.why,
        "somebody has paused the rollout: pause by alice: because I say so"
    );
}

#[test]
fn a_rollout_says_what_it_waits_for() {
    let mut bench = Bench::new(policy(ONE), (0..6).map(device).collect());
    bench.tick();
    let waits = |bench: &Bench| {
        let explained = explain_rollout(&bench.plan, &bench.situation());
        (explained.waits.expect("it waits").sentence, explained.next)
    };
    let (why, next) = waits(&bench);
    assert_eq!(
        why,
        "ring all has not settled: 6 on the way and 0 not told, of 6 devices: \
         press-00, press-01, press-02, press-03, press-04, press-05"
    );
    assert_eq!(next, "when all have settled, ring all soaks");
    for one in &mut bench.devices {
        one.progress = Progress::Committed;
    }
    bench.tick();
    bench.now.0 += 20;
    let (why, next) = waits(&bench);
    assert_eq!(why, "ring all soaks for 40 s more of 1 min");
    assert_eq!(next, "when it has passed, the rollout is completed");
}

#[test]
fn a_rollback_says_whom_it_waits_for() {
    let mut bench = Bench::new(policy(ONE), (0..6).map(device).collect());
    bench.tick();
    assert!(bench.order(Command::Rollback).is_ok());
    bench.tick();
    for one in &mut bench.devices[1..] {
        one.progress = Progress::Back;
    }
    let explained = explain_rollout(&bench.plan, &bench.situation());
    assert_eq!(
        explained.waits.expect("it waits").sentence,
        "it waits for 1 device to go back: press-00"
    );
}

#[test]
fn a_halt_whose_cause_has_gone_says_that_resume_goes_on() {
    let mut bench = Bench::new(policy(ONE), (0..6).map(device).collect());
    bench.tick();
    bench.now.0 += 601;
    bench.tick();
    let next = |bench: &Bench| explain_rollout(&bench.plan, &bench.situation()).next;
    assert!(next(&bench).starts_with("retry the devices"));
    for one in &mut bench.devices {
        one.progress = Progress::Committed;
    }
    assert!(next(&bench).contains("resume goes on"));
    assert!(bench.order(Command::Resume).is_ok());
    let changes = bench.tick().changes;
    assert!(changes.iter().all(|change| change.to.name() == "soaking"));
}

#[test]
fn a_held_device_goes_back_when_it_is_free_and_is_not_waited_for_beyond_its_deadline() {
    let rolled_back = |free: bool| {
        let mut bench = Bench::new(policy(ONE), (0..6).map(device).collect());
        bench.tick();
        for one in &mut bench.devices {
            one.progress = Progress::Committed;
        }
        bench.devices[0].hold = Hold::AfterRestore;
        assert!(bench.order(Command::Rollback).is_ok());
        assert_eq!(bench.tick().roll_back.len(), 5);
        let device = bench.devices[0].device.clone();
        assert_eq!(bench.standing(&device), Standing::Held);
        for one in &mut bench.devices[1..] {
            one.progress = Progress::Back;
        }
        bench.now.0 += 600;
        assert!(bench.tick().changes.is_empty());
        if free {
            bench.devices[0].hold = Hold::Free;
            assert_eq!(bench.tick().roll_back.len(), 1);
            bench.devices[0].progress = Progress::Back;
        }
        bench.now.0 += 1;
        bench.tick();
        bench.rollout.because.sentence
    };
    assert_eq!(rolled_back(true), "6 of 6 devices back as they were");
    assert_eq!(
        rolled_back(false),
        "5 of 6 devices back as they were; past the deadline: press-00"
    );
}
