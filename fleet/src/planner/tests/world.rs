//! Random fleets, policies and events, from a seed.
//!
//! Everything that may come is here, also clocks that jump and devices that vanish; nothing checks.

use muster_protocol::time::UnixSeconds;

use super::bench::{Bench, START, device, policy};
use crate::planner::{
    Command, DeviceFacts, Failure, GateVerdict, Hold, Inventory, Link, Plan, Policy, Progress,
    RingEvidence, RolloutId, Signed, Verdict,
};
use crate::random::Random;

/// One in so many.
fn chance(random: &mut Random, of: u64) -> bool {
    random.below(of) == 0
}

fn pick<T: Clone>(random: &mut Random, from: &[T]) -> T {
    from[usize::try_from(random.below(from.len() as u64)).expect("small")].clone()
}

/// A rollout of a random policy over a random fleet.
pub(super) fn begin(random: &mut Random) -> Bench {
    loop {
        let devices = 1 + random.below(24);
        let devices: Vec<_> = (0..devices)
            .map(|n| random_device(random, usize::try_from(n).expect("small")))
            .collect();
        let policy = random_policy(random);
        let inventory = Inventory::new(devices.clone());
        // Rings may be too small for this fleet: that is refused, and tried anew.
        if Plan::make(RolloutId(7), policy.clone(), &inventory, START).is_ok() {
            return Bench::new(policy, devices);
        }
    }
}

fn random_device(random: &mut Random, n: usize) -> DeviceFacts {
    let mut facts = device(n);
    for (label, values) in [
        ("site", ["hall-1", "hall-2", "hall-3"]),
        ("hw", ["rev1", "rev2", "rev3"]),
        ("tz", ["east-0200", "west-0500", "nonsense"]),
    ] {
        facts.labels.remove(label);
        if !chance(random, 8) {
            facts
                .labels
                .insert(label.to_owned(), pick(random, &values).to_owned());
        }
    }
    facts.labels.insert("on".to_owned(), "1".to_owned());
    if chance(random, 6) {
        facts.labels.remove("on");
    }
    if chance(random, 9) {
        facts.previous = None;
    }
    facts
}

fn random_policy(random: &mut Random) -> Policy {
    let mut text = String::new();
    for (field, values) in [
        ("membership", ["frozen", "live"]),
        ("on_halt", ["hold", "rollback"]),
        ("approval", ["none", "manual"]),
        ("selector", ["", "on"]),
    ] {
        text += &format!("{field} = {:?}\n", pick(random, &values));
    }
    if chance(random, 2) {
        text += "maintenance = { offset_label = \"tz\", windows = [
            { days = [\"fri\", \"sat\", \"mon\"], from = \"20:00\", to = \"06:00\" }] }\n";
    }
    text += "[limits]\n";
    for (field, most) in [("concurrent", 6), ("dispatches_per_hour", 8)] {
        if chance(random, 2) {
            text += &format!("{field} = {}\n", 1 + random.below(most));
        }
    }
    text += &format!("retries_per_device = {}\n", random.below(3));
    text += &format!("metered = {:?}\n", pick(random, &["allow", "deny"]));
    text += &format!("other_changes = {:?}\n", pick(random, &["allow", "wait"]));
    for label in ["site", "hw"] {
        if chance(random, 2) {
            let allowance = allowance(random, 1);
            text += &format!("[[constraints]]\nlabel = {label:?}\nat_most = {allowance}\n");
        }
    }
    policy(&(text + &random_rings(random)))
}

fn allowance(random: &mut Random, least: u64) -> String {
    match chance(random, 2) {
        true => format!("{{ count = {} }}", least + random.below(3)),
        false => format!("{{ percent = {} }}", random.below(60)),
    }
}

fn random_rings(random: &mut Random) -> String {
    let rings = 1 + random.below(3);
    let mut text = String::new();
    for ring in 1..=rings {
        let reach = match (ring == 1 && chance(random, 4), ring == rings) {
            (true, _) => "{ selector = \"site=hall-1\" }".to_owned(),
            (false, true) => "{ percent = 100 }".to_owned(),
            (false, false) => format!("{{ percent = {} }}", ring * 30),
        };
        text += &format!("[[rings]]\nname = \"r{ring}\"\nreach = {reach}\n");
        text += &format!("soak_s = {}\n", random.below(3) * 600);
        text += &format!("deadline_s = {}\n", 600 + random.below(3) * 1800);
        text += &format!(
            "approval = {:?}\n",
            pick(random, &["none", "none", "manual"])
        );
        for _ in 0..random.below(2) {
            text += "gates = [\"errors\"]\nmin_inferences = 10\n";
        }
        for what in ["failed", "silent", "unreachable"] {
            text += &format!("budget.{what} = {}\n", allowance(random, 0));
        }
    }
    text
}

/// Something happens: to the clock, to a device, at a gate, or because a person orders it.
pub(super) fn happen(bench: &mut Bench, random: &mut Random) {
    match random.below(12) {
        0 | 1 => bench.now.0 = bench.now.0.saturating_add(random.below(1_200)),
        2 => jump(bench, random),
        3 => gate(bench, random),
        4 => order(bench, random),
        5 => fleet_changes(bench, random),
        _ => {
            for _ in 0..1 + random.below(4) {
                device_acts(bench, random);
            }
        }
    }
}

fn jump(bench: &mut Bench, random: &mut Random) {
    match random.below(200) {
        0 => bench.now = UnixSeconds(u64::MAX - random.below(2)),
        1 => bench.now = UnixSeconds(random.below(2)),
        2..20 => bench.now.0 = bench.now.0.saturating_sub(random.below(4_000)),
        _ => bench.now.0 = bench.now.0.saturating_add(random.below(40_000)),
    }
}

fn gate(bench: &mut Bench, random: &mut Random) {
    let rings = bench.plan.rings_len();
    let (good, open) = (Verdict::Pass, Verdict::Inconclusive);
    let verdicts = [good, good, good, open, open, Verdict::Fail];
    bench.evidence = (0..random.below(u64::from(rings) + 1))
        .map(|_| RingEvidence {
            inferences: random.below(30),
            verdicts: (0..random.below(3))
                .map(|_| GateVerdict {
                    gate: "errors".to_owned(),
                    verdict: pick(random, &verdicts),
                    because: "so it is".to_owned(),
                    signed: pick(random, &[Signed::Yes, Signed::No]),
                })
                .collect(),
        })
        .collect();
}

fn order(bench: &mut Bench, random: &mut Random) {
    const OFTEN: [Command; 9] = [
        Command::Approve,
        Command::Approve,
        Command::Pause,
        Command::Resume,
        Command::Resume,
        Command::Promote,
        Command::Retry,
        Command::Retry,
        Command::Retry,
    ];
    let seldom = [Command::Abort, Command::Rollback];
    let command = match chance(random, 12) {
        true => pick(random, &seldom),
        false => pick(random, &OFTEN),
    };
    // A refusal is an answer, too: it must say what to do instead.
    if let Err(refusal) = bench.order(command) {
        assert!(!refusal.hint.is_empty());
    }
}

fn fleet_changes(bench: &mut Bench, random: &mut Random) {
    let n = bench.devices.len();
    match random.below(3) {
        0 if n < 40 => {
            let id = (0..).find(|n| {
                let id = device(*n).device;
                bench.devices.iter().all(|one| one.device != id)
            });
            let new = random_device(random, id.expect("endless"));
            bench.devices.push(new);
        }
        1 if n > 1 && chance(random, 4) => {
            let gone = usize::try_from(random.below(n as u64)).expect("small");
            bench.devices.remove(gone);
        }
        _ => {}
    }
}

fn device_acts(bench: &mut Bench, random: &mut Random) {
    let now = bench.now;
    let at = usize::try_from(random.below(bench.devices.len() as u64)).expect("small");
    let one = &mut bench.devices[at];
    match random.below(16) {
        0 => one.hold = pick(random, &[Hold::Free, Hold::Free, Hold::AfterRestore]),
        1 => one.link = pick(random, &[Link::Unmetered, Link::Unmetered, Link::Metered]),
        2 => one.other_change = pick(random, &[None, None, Some(RolloutId(6))]),
        3 => one.say = pick(random, &[None, None, None, None, None, Some(RolloutId(8))]),
        4 => relabel(one, random),
        _ => progresses(one, random, now),
    }
}

fn relabel(one: &mut DeviceFacts, random: &mut Random) {
    let on = match chance(random, 3) {
        true => one.labels.remove("on"),
        false => one.labels.insert("on".to_owned(), "1".to_owned()),
    };
    let site = format!("hall-{}", random.below(4));
    if on.is_some() && chance(random, 3) {
        one.labels.insert("site".to_owned(), site);
    }
}

fn progresses(one: &mut DeviceFacts, random: &mut Random, now: UnixSeconds) {
    let failures = [Failure::Refused, Failure::Reverted, Failure::Degraded];
    let failed = |random: &mut Random| Progress::Failed {
        failure: pick(random, &failures),
        code: "crashed".to_owned(),
    };
    match &mut one.progress {
        Progress::Dispatched { first_contact, .. } if first_contact.is_none() => {
            *first_contact = Some(now);
        }
        Progress::Dispatched { .. } => {
            one.progress = match chance(random, 8) {
                true => failed(random),
                false => Progress::Committed,
            };
        }
        Progress::GoingBack { first_contact, .. } if first_contact.is_none() => {
            *first_contact = Some(now);
        }
        Progress::GoingBack { .. } => one.progress = Progress::Back,
        Progress::Committed if chance(random, 40) => one.progress = failed(random),
        Progress::Failed { .. } if chance(random, 20) => one.progress = Progress::Committed,
        Progress::NotDispatched
        | Progress::Back
        | Progress::Committed
        | Progress::Failed { .. } => {}
    }
}

/// From now on nothing goes wrong: a moment later every rollout can end.
pub(super) fn heal(bench: &mut Bench) {
    bench.now = bench.now.max(START);
    bench.now.0 = bench.now.0.saturating_add(1_800);
    let rings = bench.plan.rings_len();
    let pass = RingEvidence {
        inferences: 1_000,
        verdicts: vec![GateVerdict {
            gate: "errors".to_owned(),
            verdict: Verdict::Pass,
            because: "all is well".to_owned(),
            signed: Signed::Yes,
        }],
    };
    bench.evidence = (0..rings).map(|_| pass.clone()).collect();
    for one in &mut bench.devices {
        one.hold = Hold::Free;
        one.link = Link::Unmetered;
        one.other_change = None;
        one.labels.insert("tz".to_owned(), "east-0200".to_owned());
        one.progress = match &one.progress {
            Progress::NotDispatched => Progress::NotDispatched,
            Progress::Dispatched { .. } | Progress::Committed | Progress::Failed { .. } => {
                Progress::Committed
            }
            Progress::GoingBack { .. } | Progress::Back => Progress::Back,
        };
    }
}
