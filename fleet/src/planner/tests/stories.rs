//! What happens to rollouts: each a story of what devices, gates and people do, and where it ends.

use super::bench::{Bench, device, policy};
use crate::planner::{
    Command, Failure, GateVerdict, Hold, Progress, RingEvidence, RolloutId, Signed, State, Verdict,
};

/// What happens next. Devices of a ring are named by their turn.
enum Do {
    /// All devices that are on their way say something.
    Hear,
    /// One device does.
    HearOne(usize, usize),
    /// Those of a ring that were heard commit, from the first turn to the last.
    Commit(usize, usize, usize),
    /// One fails.
    Fail(usize, usize, Failure),
    /// One is held.
    Held(usize, usize),
    /// It is released.
    Free(usize, usize),
    /// Devices that were told to go back have done so.
    Return,
    /// Newer rollouts take every device.
    Supersede,
    /// A gate says something about a ring.
    Gate(usize, Verdict, Signed),
    /// Seconds pass.
    Wait(u64),
    /// The controller's clock goes back so many seconds.
    Back(u64),
    /// A person orders; it is obeyed.
    Order(Command),
    /// A person orders; it is refused.
    Refused(Command, &'static str),
    /// Ticks until nothing more is decided: the state then, and what its reason says.
    Then(&'static str, &'static str),
    /// So many devices have been told, in all.
    Told(usize),
}

use Do::{
    Back, Commit, Fail, Free, Gate, Hear, HearOne, Held, Order, Refused, Return, Supersede, Then,
    Told, Wait,
};

/// Two rings of two and four devices, a minute of soak each, ten minutes to the deadline.
const TWO: &str = "
[[rings]]
name = \"canary\"
reach = { count = 2 }
soak_s = 60
deadline_s = 600
min_devices = 1
GATES
budget = { failed = { count = 1 }, silent = { count = 0 }, unreachable = { count = 1 } }
[[rings]]
name = \"all\"
reach = { percent = 100 }
soak_s = 60
deadline_s = 600
budget = { failed = { percent = 50 }, silent = { percent = 50 }, unreachable = { percent = 50 } }
";

fn bare() -> String {
    TWO.replace("GATES", "")
}

fn gated() -> String {
    TWO.replace("GATES", "gates = [\"errors\"]\nmin_inferences = 100")
}

fn check<'a>(policy_text: &str, story: impl IntoIterator<Item = &'a Do>) {
    let mut bench = Bench::new(policy(policy_text), (0..6).map(device).collect());
    for (at, event) in story.into_iter().enumerate() {
        happen(&mut bench, at, event);
    }
}

fn happen(bench: &mut Bench, at: usize, event: &Do) {
    match event {
        Hear => {
            for nth in 0..bench.devices.len() {
                hear(bench, nth);
            }
        }
        HearOne(ring, nth) => {
            let device = bench.member(*ring, *nth);
            let nth = bench.devices.iter().position(|one| one.device == device);
            hear(bench, nth.expect("there"));
        }
        Commit(ring, from, to) => {
            for nth in *from..*to {
                let device = bench.member(*ring, nth);
                bench.facts(&device).progress = Progress::Committed;
            }
        }
        Fail(ring, nth, failure) => {
            let device = bench.member(*ring, *nth);
            bench.facts(&device).progress = Progress::Failed {
                failure: *failure,
                code: "crashed".to_owned(),
            };
        }
        Held(ring, nth) => hold(bench, *ring, *nth, Hold::AfterRestore),
        Free(ring, nth) => hold(bench, *ring, *nth, Hold::Free),
        Return => {
            for one in &mut bench.devices {
                if matches!(one.progress, Progress::GoingBack { .. }) {
                    one.progress = Progress::Back;
                }
            }
        }
        Supersede => {
            for one in &mut bench.devices {
                one.say = Some(RolloutId(8));
            }
        }
        Gate(ring, verdict, signed) => {
            bench.evidence.resize(ring + 1, RingEvidence::default());
            bench.evidence[*ring] = RingEvidence {
                inferences: 100,
                verdicts: vec![GateVerdict {
                    gate: "errors".to_owned(),
                    verdict: *verdict,
                    because: "4.0 % of 100 inferences, at most 3 %".to_owned(),
                    signed: *signed,
                }],
            };
        }
        Wait(seconds) => bench.now.0 += seconds,
        Back(seconds) => bench.now.0 -= seconds,
        Order(command) => {
            let obeyed = bench.order(*command);
            assert!(obeyed.is_ok(), "event {at}: {obeyed:?}");
        }
        Refused(command, says) => {
            let error = bench.order(*command).expect_err(says).to_string();
            assert!(
                error.contains(says) && error.contains(": hint: "),
                "{error}"
            );
        }
        Then(state, says) => then(bench, at, state, says),
        Told(expect) => assert_eq!(bench.told.len(), *expect, "event {at}"),
    }
}

fn hear(bench: &mut Bench, nth: usize) {
    let now = bench.now;
    if let Progress::Dispatched { first_contact, .. } = &mut bench.devices[nth].progress {
        first_contact.get_or_insert(now);
    }
}

fn hold(bench: &mut Bench, ring: usize, nth: usize, hold: Hold) {
    let device = bench.member(ring, nth);
    bench.facts(&device).hold = hold;
}

fn then(bench: &mut Bench, at: usize, state: &str, says: &str) {
    bench.tick();
    let again = bench.tick();
    assert!(
        again.is_empty(),
        "event {at}: the same tick again: {again:?}"
    );
    let ring = match bench.rollout.state {
        State::Running { ring, .. } => format!("{ring} "),
        _ => String::new(),
    };
    let found = format!("{ring}{}", bench.rollout.state.name());
    let because = &bench.rollout.because.sentence;
    assert_eq!(found, state, "event {at}: {because}");
    assert!(because.contains(says), "event {at}: {because}");
}

const GOOD: Verdict = Verdict::Pass;
const BAD: Verdict = Verdict::Fail;

#[test]
fn a_good_version_reaches_everybody() {
    check(
        &bare(),
        &[
            Then("0 dispatching", ""),
            Told(2),
            Hear,
            Commit(0, 0, 2),
            Then("0 soaking", "2 of 2 devices"),
            Wait(59),
            Then("0 soaking", ""),
            Wait(1),
            Then("1 dispatching", "ring canary has passed"),
            Told(6),
            Hear,
            Commit(1, 0, 4),
            Then("1 soaking", ""),
            Wait(60),
            Then("completed", "ring all has passed"),
            Refused(Command::Rollback, "it is completed"),
        ],
    );
}

#[test]
fn a_shadow_that_has_passed_can_be_taken_off() {
    check(
        &format!("role = \"shadow\"\n{}", bare()),
        &[
            Then("0 dispatching", ""),
            Told(2),
            Hear,
            Commit(0, 0, 2),
            Then("0 soaking", "2 of 2 devices run it beside what serves"),
            Wait(60),
            Then("1 dispatching", "ring canary has passed"),
            Hear,
            Commit(1, 0, 4),
            Then("1 soaking", ""),
            Wait(60),
            Then("completed", "ring all has passed"),
            Refused(Command::Retry, "it is completed"),
            Order(Command::Rollback),
            Then("rolling back", "rollback by alice"),
            Return,
            Then("rolled back", "6 of 6 devices back as they were"),
            Order(Command::Rollback),
            Then("rolled back", "6 of 6 devices"),
        ],
    );
}

#[test]
fn a_plan_can_wait_for_approval() {
    check(
        &format!("approval = \"manual\"\n{}", bare()),
        &[
            Then("draft", "waits for approval"),
            Told(0),
            Refused(Command::Rollback, "nothing has moved"),
            Order(Command::Approve),
            Then("0 dispatching", "approve by alice: because I say so"),
            Told(2),
        ],
    );
}

#[test]
fn a_ring_can_wait_for_approval() {
    check(
        &bare().replacen("min_devices", "approval = \"manual\"\nmin_devices", 1),
        &[
            Then("0 dispatching", ""),
            Refused(Command::Approve, "nothing waits for approval"),
            Commit(0, 0, 2),
            Then("0 soaking", ""),
            Wait(60),
            Then("0 awaiting approval", "has passed"),
            Wait(1_000_000),
            Then("0 awaiting approval", ""),
            Order(Command::Approve),
            Then("1 dispatching", "approve by alice"),
        ],
    );
}

#[test]
fn the_bad_model_that_installs_perfectly_goes_back() {
    check(
        &gated(),
        &[
            Then("0 dispatching", ""),
            Commit(0, 0, 2),
            Then("0 soaking", ""),
            Gate(0, BAD, Signed::Yes),
            Then("rolling back", "errors of ring canary failed: 4.0 %"),
            Return,
            Then("rolled back", "2 of 2 devices back as they were"),
            Told(2),
            Refused(Command::Resume, "it was rolled back"),
        ],
    );
}

#[test]
fn a_gate_that_rests_on_silence_halts_and_never_rolls_back() {
    check(
        &gated(),
        &[
            Then("0 dispatching", ""),
            Commit(0, 0, 2),
            Then("0 soaking", ""),
            Gate(0, BAD, Signed::No),
            Then("halted", "errors of ring canary failed"),
            // Devices then sign for it.
            Gate(0, BAD, Signed::Yes),
            Then("rolling back", ""),
        ],
    );
}

#[test]
fn no_data_holds_for_ever_and_never_fails() {
    check(
        &gated(),
        &[
            Then("0 dispatching", ""),
            Commit(0, 0, 2),
            Then("0 soaking", ""),
            Wait(100_000_000),
            Then("0 soaking", ""),
            Gate(0, Verdict::Inconclusive, Signed::No),
            Wait(100_000_000),
            Then("0 soaking", ""),
            Gate(0, GOOD, Signed::Yes),
            Then("1 dispatching", "its gate passed"),
        ],
    );
}

#[test]
fn a_gate_that_says_nothing_holds() {
    check(
        &TWO.replace("GATES", "gates = [\"errors\"]"),
        &[
            Then("0 dispatching", ""),
            Commit(0, 0, 2),
            Then("0 soaking", ""),
            Wait(100_000),
            Then("0 soaking", ""),
            Gate(0, GOOD, Signed::Yes),
            Then("1 dispatching", ""),
        ],
    );
}

#[test]
fn a_device_that_falls_silent_halts_its_ring_by_name_and_nothing_goes_back() {
    check(
        &bare(),
        &[
            Then("0 dispatching", ""),
            Commit(0, 0, 1),
            HearOne(0, 1),
            Wait(600),
            Then("0 dispatching", ""),
            Wait(1),
            Then("halted", "1 of 2 devices of ring canary fell silent"),
            Wait(1_000_000),
            Then("halted", "press-"),
            // Its answer comes late: resuming finds nothing wrong.
            Order(Command::Resume),
            Then("halted", "fell silent"),
            Commit(0, 1, 2),
            Order(Command::Resume),
            Then("0 soaking", ""),
        ],
    );
}

#[test]
fn a_device_that_is_never_heard_of_has_a_budget_of_its_own() {
    check(
        &bare(),
        &[
            Then("0 dispatching", ""),
            Commit(0, 0, 1),
            Wait(601),
            Then("0 soaking", "1 of 2 devices"),
            Wait(60),
            Then("1 dispatching", ""),
        ],
    );
    check(
        &bare(),
        &[
            Then("0 dispatching", ""),
            Wait(601),
            Then("halted", "2 of 2 devices of ring canary never answered"),
        ],
    );
}

#[test]
fn the_deadline_begins_with_the_first_contact() {
    check(
        &bare(),
        &[
            Then("0 dispatching", ""),
            Wait(500),
            Hear,
            Wait(600),
            Then("0 dispatching", ""),
            Wait(1),
            Then("halted", "fell silent"),
        ],
    );
}

#[test]
fn failures_beyond_the_budget_go_back_or_halt_as_the_policy_says() {
    let story = |end: &'static str| {
        [
            Then("0 dispatching", ""),
            Fail(0, 0, Failure::Reverted),
            Then("0 dispatching", ""),
            Fail(0, 1, Failure::Refused),
            Then(
                end,
                "2 of 2 devices of ring canary failed, at most 1 may: press-",
            ),
        ]
    };
    check(&bare(), &story("rolling back"));
    check(&format!("on_halt = \"hold\"\n{}", bare()), &story("halted"));
}

#[test]
fn retry_tells_failed_devices_again_within_their_budget() {
    check(
        &format!("on_halt = \"hold\"\n{}", bare()),
        &[
            Then("0 dispatching", ""),
            Refused(Command::Retry, "no device has failed"),
            Fail(0, 0, Failure::Reverted),
            Fail(0, 1, Failure::Reverted),
            Then("halted", ""),
            Order(Command::Retry),
            Then("0 dispatching", "retry by alice"),
            Told(4),
            Fail(0, 0, Failure::Reverted),
            Fail(0, 1, Failure::Reverted),
            Then("halted", ""),
            Refused(Command::Retry, "as often as may be"),
            Order(Command::Promote),
            Then("1 dispatching", "promote by alice"),
            Told(8),
        ],
    );
}

#[test]
fn a_retry_is_not_for_who_has_answered_meanwhile() {
    let hold = format!("on_halt = \"hold\"\n{}", bare());
    let silent = [
        Then("0 dispatching", ""),
        Hear,
        Wait(601),
        Then("halted", "fell silent"),
        Held(0, 0),
        Held(0, 1),
        Order(Command::Retry),
        Then("0 soaking", ""),
    ];
    let committed = [
        Commit(0, 0, 2),
        Then("0 soaking", ""),
        Free(0, 0),
        Fail(0, 0, Failure::Degraded),
        Then("0 soaking", ""),
        Told(2),
    ];
    let on_time_again = [
        Back(300),
        Then("0 dispatching", "2 on the way"),
        Free(0, 0),
        Free(0, 1),
        Then("0 dispatching", ""),
        Told(2),
    ];
    for end in [committed.as_slice(), &on_time_again] {
        check(&hold, silent.iter().chain(end));
    }
}

#[test]
fn a_degraded_device_of_a_ring_that_has_passed_still_counts() {
    check(
        &bare(),
        &[
            Then("0 dispatching", ""),
            Commit(0, 0, 2),
            Then("0 soaking", ""),
            Wait(60),
            Then("1 dispatching", ""),
            Fail(0, 0, Failure::Degraded),
            Fail(0, 1, Failure::Degraded),
            Then("rolling back", "2 of 2 devices of ring canary failed"),
        ],
    );
}

#[test]
fn pausing_holds_everything_and_resuming_soaks_anew() {
    check(
        &gated(),
        &[
            Then("0 dispatching", ""),
            Commit(0, 0, 2),
            Then("0 soaking", ""),
            Order(Command::Pause),
            Gate(0, BAD, Signed::Yes),
            Wait(1_000),
            Then("paused", "pause by alice"),
            Refused(Command::Promote, "it is paused"),
            Gate(0, GOOD, Signed::Yes),
            Order(Command::Resume),
            Then("0 soaking", ""),
            Wait(60),
            Then("1 dispatching", ""),
        ],
    );
}

#[test]
fn held_devices_are_not_waited_for_before_the_last_ring() {
    check(
        &bare(),
        &[
            Held(0, 0),
            Then("0 dispatching", ""),
            Told(1),
            Commit(0, 1, 2),
            Then("0 soaking", ""),
            Wait(60),
            Then("1 dispatching", ""),
            Commit(1, 0, 4),
            Wait(1_000),
            Then("1 dispatching", ""),
            Free(0, 0),
            Then("1 dispatching", ""),
            Told(6),
            Commit(0, 0, 1),
            Then("1 soaking", ""),
            Wait(60),
            Then("completed", ""),
        ],
    );
}

#[test]
fn a_ring_whose_devices_were_all_held_soaks_when_they_are_told() {
    check(
        &bare(),
        &[
            Held(0, 0),
            Held(0, 1),
            Then("0 soaking", "0 of 2 devices"),
            Wait(1_000),
            Then("0 soaking", ""),
            Free(0, 0),
            Then("0 dispatching", "has not settled"),
            Commit(0, 0, 1),
            Then("0 soaking", ""),
            Wait(59),
            Then("0 soaking", ""),
            Wait(1),
            Then("1 dispatching", ""),
        ],
    );
}

#[test]
fn a_rollback_ends_without_devices_that_stay_silent() {
    check(
        &bare(),
        &[
            Then("0 dispatching", ""),
            Commit(0, 0, 2),
            Order(Command::Rollback),
            Then("rolling back", "rollback by alice"),
            Refused(Command::Pause, "devices are going back"),
            Wait(600),
            Then("rolling back", ""),
            Wait(1),
            Then(
                "rolled back",
                "0 of 2 devices back as they were; past the deadline",
            ),
        ],
    );
}

#[test]
fn newer_rollouts_on_all_devices_supersede() {
    check(
        &bare(),
        &[
            Then("0 dispatching", ""),
            Supersede,
            Then("superseded", "all of its 6 devices"),
            Refused(Command::Abort, "newer rollouts"),
        ],
    );
}

#[test]
fn aborting_leaves_devices_as_they_are() {
    check(
        &bare(),
        &[
            Then("0 dispatching", ""),
            Order(Command::Abort),
            Wait(1_000_000),
            Then("aborted", "abort by alice"),
            Order(Command::Abort),
            Refused(Command::Retry, "it was aborted"),
            Told(2),
        ],
    );
}

#[test]
fn rings_without_soak_pass_in_one_tick() {
    let none = bare().replace("soak_s = 60", "soak_s = 0");
    check(
        &none,
        &[
            Then("0 dispatching", ""),
            Commit(0, 0, 2),
            Then("1 dispatching", "has passed"),
            Told(6),
            Commit(1, 0, 4),
            Then("completed", ""),
        ],
    );
}
