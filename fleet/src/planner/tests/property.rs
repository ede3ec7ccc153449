//! Over random fleets, policies and events: what holds after every step, found out by counting
//! anew, slowly and without the planner's own indices.
//!
//! `MUSTER_FULL=1` takes a million steps.

use std::collections::BTreeMap;

use muster_protocol::id::DeviceId;

use super::bench::Bench;
use super::world;
use crate::planner::decision::decide;
use crate::planner::{
    Command, Decisions, DeviceExplanation, DeviceFacts, Dispatch, Failure, Hold, Link, Metered,
    OnHalt, OtherChanges, Phase, Plan, Progress, Record, Signed, Standing, State, Try, Verdict,
    explain_device, explain_rollout, replay, standings as explained_standings,
};
use crate::random::Random;

/// Steps of one world, between its beginning and its healing.
const STEPS: u64 = 100;
/// Ticks in which a healed world ends.
const TICKS_UNTIL_END_MAX: u32 = 2_000;

fn worlds() -> u64 {
    if std::env::var("MUSTER_FULL").is_ok_and(|value| value == "1") {
        10_000
    } else {
        200
    }
}

#[test]
fn nothing_is_violated_in_random_worlds() {
    let mut seen = BTreeMap::new();
    for seed in 0..worlds() {
        let mut random = Random(seed);
        let mut bench = world::begin(&mut random);
        for step in 0..STEPS {
            let context = format!("seed {seed}, step {step}");
            world::happen(&mut bench, &mut random);
            for word in checked_tick(&mut bench, &mut random, &context) {
                *seen.entry(word).or_insert(0_u64) += 1;
            }
        }
        ends_when_healed(&mut bench, seed);
    }
    // A check that nothing ever comes to is none.
    for word in EXPECTED {
        assert!(
            seen.contains_key(word),
            "never seen: {word}; seen: {seen:?}"
        );
    }
}

/// Where devices must have stood, and states must have been, at least once.
const EXPECTED: [&str; 33] = [
    "awaits approval of the plan",
    "waits for its ring",
    "concurrency full",
    "rate limited",
    "outside its maintenance window",
    "on a metered link",
    "constraint full",
    "held after a restore",
    "changed by another rollout",
    "under another rollout",
    "moves now",
    "awaits contact",
    "on its way",
    "late",
    "unreachable",
    "installed",
    "failed",
    "failed, retries spent",
    "goes back now",
    "going back",
    "late in going back",
    "rolled back",
    "done",
    "paused",
    "halted",
    "not told",
    "gone",
    "state: dispatching",
    "state: soaking",
    "state: awaiting approval",
    "state: completed",
    "state: aborted",
    "told again",
];

/// A tick with every check; the words for where devices stood.
fn checked_tick(bench: &mut Bench, random: &mut Random, context: &str) -> Vec<&'static str> {
    if let Some(next) = bench
        .plan
        .amended(&bench.rollout, &bench.inventory(), bench.now)
    {
        check_amended(bench, &next, context);
        bench.plan = next;
    }
    let situation = bench.situation();
    let (decisions, standings) = decide(&bench.plan, &situation);
    check_explanations(bench, &decisions, &standings, random, context);
    if random.below(8) == 0 {
        check_record(bench, context);
    }
    let before = bench.devices.clone();
    let applied = bench.tick();
    assert_eq!(applied, decisions, "{context}");
    check_dispatches(bench, &before, &decisions, context);
    check_changes(bench, &before, &decisions, context);
    let again = decide(&bench.plan, &bench.situation());
    assert!(
        again.0.is_empty(),
        "{context}: decided twice: {:?}",
        again.0
    );
    check_unmoved(&standings, &again.1, context);
    let mut words: Vec<_> = standings.iter().map(Standing::word).collect();
    words.extend(again.1.iter().map(Standing::word));
    if decisions.dispatch.iter().any(|one| one.r#try == Try::Again) {
        words.push("told again");
    }
    words.push(match bench.rollout.state {
        State::Running { phase, .. } => match phase {
            Phase::Dispatching => "state: dispatching",
            Phase::Soaking => "state: soaking",
            Phase::AwaitingApproval => "state: awaiting approval",
        },
        State::Completed => "state: completed",
        State::Aborted => "state: aborted",
        _ => "state: another",
    });
    words
}

/// Nobody loses its place, nobody who was dispatched leaves, and whoever joins comes last.
fn check_amended(bench: &Bench, next: &Plan, context: &str) {
    assert_eq!(next.parent, Some(bench.plan.number), "{context}");
    let placed = |device: &DeviceId| next.members().any(|(_, member)| member == device);
    let mut shown = next
        .next
        .iter()
        .chain(next.held_back.iter().map(|held| &held.device));
    assert!(
        shown.all(placed),
        "{context}: the plan shows devices without a place"
    );
    for (ring, (before, after)) in bench.plan.rings.iter().zip(&next.rings).enumerate() {
        let last = ring + 1 == next.rings.len();
        let kept: Vec<_> = after
            .devices
            .iter()
            .filter(|d| before.devices.contains(d))
            .collect();
        assert!(
            last || kept.len() == after.devices.len(),
            "{context}: joined ring {ring}"
        );
        for device in &before.devices {
            let facts = bench.devices.iter().find(|one| one.device == *device);
            let told = facts.is_some_and(|one| one.progress != Progress::NotDispatched);
            assert!(
                !told || after.devices.contains(device),
                "{context}: {device} left"
            );
        }
        let order: Vec<_> = before
            .devices
            .iter()
            .filter(|d| after.devices.contains(d))
            .collect();
        assert_eq!(kept, order, "{context}");
    }
}

/// What is said of a device is what is done with it.
fn check_explanations(
    bench: &Bench,
    decisions: &Decisions,
    standings: &[Standing],
    random: &mut Random,
    context: &str,
) {
    let (situation, inventory) = (bench.situation(), bench.inventory());
    let sampled = random.below(standings.len().max(1) as u64);
    for (at, (_, device)) in bench.plan.members().enumerate() {
        let standing = &standings[at];
        let told = decisions.dispatch.iter().any(|one| one.device == *device);
        let moves = matches!(standing, Standing::MovesNow { .. });
        assert_eq!(told, moves, "{context}: {device} {standing:?}");
        let back = decisions.roll_back.iter().any(|one| one.device == *device);
        assert_eq!(
            back,
            *standing == Standing::GoesBackNow,
            "{context}: {device}"
        );
        if at as u64 == sampled {
            let explained = explain_device(&bench.plan, &situation, &inventory, device);
            assert_eq!(explained.standing, *standing, "{context}: {device}");
            assert!(!explained.why.is_empty() && !explained.next.is_empty());
            let written = serde_json::to_string(&explained).expect("written");
            let read: DeviceExplanation = serde_json::from_str(&written).expect("read");
            assert_eq!(read, explained, "{context}");
        }
    }
    let all = explained_standings(&bench.plan, &situation);
    let all: Vec<_> = all.into_iter().map(|(_, _, standing)| standing).collect();
    assert_eq!(all, standings, "{context}");
    let explained = explain_rollout(&bench.plan, &situation);
    assert_eq!(explained.state, decisions.rollout.state, "{context}");
    let counted: u32 = explained.standings.values().sum();
    assert_eq!(counted as usize, standings.len(), "{context}");
}

/// A record replays bit for bit, also after it was written and read.
fn check_record(bench: &Bench, context: &str) {
    let record = Record::of(&bench.plan, bench.situation());
    let written = serde_json::to_string(&record).expect("written");
    let read: Record = serde_json::from_str(&written).expect("read");
    assert_eq!(read, record, "{context}");
    let plan = serde_json::to_string(&bench.plan).expect("written");
    let plan: Plan = serde_json::from_str(&plan).expect("read");
    assert_eq!(plan, bench.plan, "{context}");
    let replayed = replay(&bench.plan, &read).expect("the plan of the record");
    let bytes = |decisions: &Decisions| serde_json::to_vec(decisions).expect("written");
    assert_eq!(bytes(&replayed), bytes(&record.decisions), "{context}");
}

/// Whoever was not told waits for the same reason afterwards.
fn check_unmoved(before: &[Standing], after: &[Standing], context: &str) {
    for (before, after) in before.iter().zip(after) {
        match (before, after) {
            (Standing::MovesNow { .. } | Standing::GoesBackNow, _) => {}
            // Counts go on while a sweep goes on: the reason is the same, n may be larger.
            (before, after) if before.is_held_back() => {
                assert_eq!(before.word(), after.word(), "{context}");
            }
            (before, after) => assert_eq!(before, after, "{context}"),
        }
    }
}

fn check_dispatches(bench: &Bench, before: &[DeviceFacts], decisions: &Decisions, context: &str) {
    if decisions.dispatch.is_empty() {
        return;
    }
    let State::Running { ring: open, .. } = bench.rollout.state else {
        panic!("{context}: dispatched while {:?}", bench.rollout.state);
    };
    for dispatch in &decisions.dispatch {
        assert!(dispatch.ring <= open, "{context}: ring {}", dispatch.ring);
        let facts = before.iter().find(|one| one.device == dispatch.device);
        check_dispatch(bench, facts.expect("there"), dispatch, context);
    }
    check_limits(bench, context);
    check_constraints(bench, &decisions.dispatch, context);
}

fn check_dispatch(bench: &Bench, facts: &DeviceFacts, dispatch: &Dispatch, context: &str) {
    let limits = &bench.plan.policy.limits;
    assert_eq!(facts.hold, Hold::Free, "{context}");
    assert_eq!(facts.say, None, "{context}");
    assert!(
        facts.link == Link::Unmetered || limits.metered == Metered::Allow,
        "{context}"
    );
    let waits = limits.other_changes == OtherChanges::Wait;
    assert!(facts.other_change.is_none() || !waits, "{context}");
    match dispatch.r#try {
        Try::First => assert_eq!(facts.progress, Progress::NotDispatched, "{context}"),
        Try::Again => assert!(facts.retries < limits.retries_per_device, "{context}"),
    }
    if bench.plan.policy.maintenance.is_some() {
        let ahead_s = match facts.labels.get("tz").map(String::as_str) {
            Some("east-0200") => 7_200_i128,
            Some("west-0500") => -18_000,
            _ => panic!("{context}: no zone is known"),
        };
        let local = i128::from(bench.now.0) + ahead_s;
        let hour = local.div_euclid(3_600).rem_euclid(24);
        assert!(
            !(6..20).contains(&hour),
            "{context}: dispatched at {hour} h"
        );
        // 1970-01-01 was a Thursday; before six a window belongs to the day before.
        let day = (local.div_euclid(86_400) - i128::from(hour < 6)).rem_euclid(7);
        assert!(
            [1, 2, 4].contains(&day),
            "{context}: day {day} after Thursday"
        );
    }
}

fn check_limits(bench: &Bench, context: &str) {
    let limits = &bench.plan.policy.limits;
    let deadline_s = |device: &DeviceId| {
        let ring = bench
            .plan
            .rings
            .iter()
            .position(|ring| ring.devices.contains(device));
        Some(bench.plan.policy.rings[ring?].deadline_s)
    };
    let on_their_way = bench.devices.iter().filter(|one| match &one.progress {
        Progress::Dispatched { at, first_contact } if one.say.is_none() => {
            let begin = first_contact.unwrap_or(*at).0;
            let deadline: Option<u64> = deadline_s(&one.device);
            deadline.is_some_and(|s| bench.now.0 <= begin.saturating_add(s))
        }
        _ => false,
    });
    let on_their_way = on_their_way.count();
    let max = limits.concurrent.unwrap_or(u32::MAX) as usize;
    assert!(
        on_their_way <= max,
        "{context}: {on_their_way} on their way, at most {max}"
    );
    let max = limits.dispatches_per_hour.unwrap_or(u32::MAX) as usize;
    let told = bench.hour.len();
    assert!(
        told <= max,
        "{context}: {told} told in an hour, at most {max}"
    );
}

/// Where a device was told that changes nothing yet, no more are in change than may.
fn check_constraints(bench: &Bench, told: &[Dispatch], context: &str) {
    for constraint in &bench.plan.policy.constraints {
        let mut places: BTreeMap<&str, (u32, u32, bool)> = BTreeMap::new();
        for one in &bench.devices {
            let Some(value) = one.labels.get(&constraint.label) else {
                continue;
            };
            let place = places.entry(value).or_default();
            place.0 += 1;
            place.1 += u32::from(is_in_change(bench, one));
            let told = told.iter().find(|dispatch| dispatch.device == one.device);
            let fresh = told.is_some_and(|one| one.r#try == Try::First);
            place.2 |= fresh && one.other_change.is_none();
        }
        for (value, (devices, busy, fresh)) in places {
            let max = constraint.at_most.of(devices).max(1);
            let label = &constraint.label;
            assert!(
                !fresh || busy <= max,
                "{context}: {busy} of {label}={value}, at most {max}"
            );
        }
    }
}

fn is_in_change(bench: &Bench, one: &DeviceFacts) -> bool {
    let own = match &one.progress {
        Progress::Dispatched { .. } | Progress::GoingBack { .. } => true,
        Progress::Failed { failure, .. } => *failure == Failure::Degraded,
        Progress::NotDispatched | Progress::Committed | Progress::Back => false,
    };
    let member = bench
        .plan
        .members()
        .any(|(_, device)| *device == one.device);
    (own && member && one.say.is_none()) || one.other_change.is_some()
}

/// By itself nothing goes back but for what devices have signed, and only if the policy says so.
fn check_changes(bench: &Bench, before: &[DeviceFacts], decisions: &Decisions, context: &str) {
    for change in &decisions.changes {
        assert!(!change.because.sentence.is_empty(), "{context}");
        if let State::Halted { cause, .. } = change.to
            && cause.kind != crate::planner::CauseKind::Gate
        {
            assert!(
                !change.devices.is_empty(),
                "{context}: halted without naming devices"
            );
        }
        let State::RollingBack { ring } = change.to else {
            continue;
        };
        assert_eq!(bench.plan.policy.on_halt, OnHalt::Rollback, "{context}");
        let rings = bench.plan.rings.iter().zip(&bench.plan.policy.rings);
        let mut rings = rings.take(ring as usize + 1).enumerate();
        let signed = rings.any(|(at, (planned, ring))| {
            let failed = planned.devices.iter().filter(|device| {
                let facts = before.iter().find(|one| one.device == **device);
                facts.is_some_and(|one| {
                    matches!(one.progress, Progress::Failed { .. }) && one.say.is_none()
                })
            });
            let failed = failed.count() as u64;
            let evidence = bench.evidence.get(at).map(|one| one.verdicts.as_slice());
            let mut verdicts = evidence.unwrap_or_default().iter();
            // With as few members as may be, a share allows the fewest.
            let allowed = match ring.budget.failed {
                crate::planner::Allowance::Count(count) => u64::from(count),
                crate::planner::Allowance::Percent(_) => 0,
            };
            failed > allowed
                || verdicts.any(|one| one.verdict == Verdict::Fail && one.signed == Signed::Yes)
        });
        assert!(
            signed,
            "{context}: rolls back without signed evidence: {change:?}"
        );
    }
    if !decisions.roll_back.is_empty() {
        assert!(
            matches!(bench.rollout.state, State::RollingBack { .. }),
            "{context}"
        );
    }
}

/// Whatever has happened: once all is well, and people say how it goes on, a rollout ends.
fn ends_when_healed(bench: &mut Bench, seed: u64) {
    if bench.now.0 > u64::MAX / 2 {
        // At the end of time no hour passes any more: an order ends it.
        let ends = bench.rollout.state.is_terminal() || bench.order(Command::Abort).is_ok();
        assert!(ends, "seed {seed}");
        return;
    }
    for _ in 0..TICKS_UNTIL_END_MAX {
        world::heal(bench);
        bench.tick();
        let order = match bench.rollout.state {
            state if state.is_terminal() => return,
            State::Draft
            | State::Running {
                phase: Phase::AwaitingApproval,
                ..
            } => Command::Approve,
            State::Paused { .. } => Command::Resume,
            State::Halted { .. } => Command::Promote,
            _ => continue,
        };
        assert!(
            bench.order(order).is_ok(),
            "seed {seed}: {:?}",
            bench.rollout.state
        );
    }
    let explained = explain_rollout(&bench.plan, &bench.situation());
    panic!("seed {seed} does not end: {explained:?}");
}
