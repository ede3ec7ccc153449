//! What happened, as an operator reads it: one line each, with its reason.
//!
//! The sentences are the planner's. Never tells what did not change.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use muster_fleet::planner::{
    Change, DeviceExplanation, Plan, RingEvidence, Rollout, RolloutExplanation, RolloutId, State,
    Try, Verdict,
};
use muster_protocol::id::DeviceId;
use muster_protocol::time::UnixSeconds;

use super::controller::Ticked;
use super::read::WEEKDAYS;
use super::unit::Word;

/// Devices that a line names.
const NAMED_MAX: usize = 6;
/// How far lines that belong to the one above are moved to the right.
const INDENT: &str = "                ";

/// What happened so far.
pub(super) struct Transcript {
    text: String,
    heard: BTreeMap<String, Vec<DeviceId>>,
}

impl Transcript {
    /// Of a story that begins.
    pub(super) fn new(title: &str) -> Self {
        Self {
            text: format!("{title}\n\n"),
            heard: BTreeMap::new(),
        }
    }

    /// All of it.
    pub(super) fn text(self) -> String {
        self.text
    }

    /// Something happens from outside.
    pub(super) fn note(&mut self, now: UnixSeconds, text: &str) {
        self.line(now, &format!("* {text}"));
    }

    /// What belongs to the line before.
    pub(super) fn more(&mut self, text: &str) {
        for line in text.lines() {
            let line = format!("{INDENT}{line}");
            self.put(line.trim_end());
        }
    }

    /// Who is meant by the line before.
    pub(super) fn meant(&mut self, devices: &[DeviceId]) {
        self.more(&format!("that is {}", names(devices)));
    }

    /// A device has said something that is no matter of course.
    pub(super) fn hear(&mut self, device: &DeviceId, word: &Word) {
        let Word::Receipt {
            model,
            version,
            step,
            reason,
            ..
        } = word
        else {
            return;
        };
        let reason = reason.as_ref().map(|reason| format!(": {reason}"));
        let said = format!("{step} {model} {version}{}", reason.unwrap_or_default());
        self.heard.entry(said).or_default().push(device.clone());
    }

    /// Tells what devices have said at one moment.
    pub(super) fn heard(&mut self, now: UnixSeconds) {
        for (said, devices) in std::mem::take(&mut self.heard) {
            self.line(now, &format!("{} {said}", names(&devices)));
        }
    }

    /// A rollout has a plan.
    pub(super) fn planned(&mut self, plan: &Plan, standing: &Rollout) {
        let (policy, number) = (&plan.policy, plan.number.0);
        self.more(&format!(
            "rollout {} of {} {}, plan {number}: {}",
            plan.rollout.0, policy.model, policy.version, plan.because.sentence
        ));
        for ring in &plan.rings {
            let (name, n) = (&ring.name, ring.devices.len());
            self.more(&format!("ring {name}, {n}: {}", names(&ring.devices)));
        }
        if !plan.not_reached.is_empty() {
            self.more(&format!("not reached: {}", names(&plan.not_reached)));
        }
        self.more(&plan.next_because.sentence);
        let stands = state(plan, standing.state);
        self.more(&format!("{stands}: {}", standing.because.sentence));
    }

    /// A rollout came from one state to another.
    pub(super) fn changed(&mut self, now: UnixSeconds, plan: &Plan, change: &Change) {
        let state = state(plan, change.to);
        self.of(now, plan, &format!("{state}: {}", change.because.sentence));
    }

    /// A tick was made so.
    pub(super) fn ticked(&mut self, now: UnixSeconds, plan: &Plan, ticked: &Ticked) {
        if let Some(amended) = &ticked.amended {
            let number = amended.number.0;
            let because = &amended.because.sentence;
            self.of(now, plan, &format!("plan {number}: {because}"));
        }
        let decisions = &ticked.decisions;
        for change in &decisions.changes {
            self.changed(now, plan, change);
        }
        let mut told: BTreeMap<(u32, Again), (Vec<DeviceId>, &str)> = BTreeMap::new();
        for one in &decisions.dispatch {
            let key = (one.ring, Again(one.r#try == Try::Again));
            let because = one.because.sentence.as_str();
            let devices = &mut told.entry(key).or_insert((Vec::new(), because)).0;
            devices.push(one.device.clone());
        }
        for (devices, because) in told.values() {
            self.of(now, plan, &format!("tells {}: {because}", names(devices)));
        }
        let mut back: BTreeMap<String, Vec<DeviceId>> = BTreeMap::new();
        for one in &decisions.roll_back {
            let to = match &one.to {
                Some(version) => format!("brings back to {version}"),
                None => "takes the model off".to_owned(),
            };
            back.entry(to).or_default().push(one.device.clone());
        }
        for (to, devices) in back {
            self.of(now, plan, &format!("{to}: {}", names(&devices)));
        }
    }

    /// Somebody asks about a rollout.
    pub(super) fn explain_rollout(
        &mut self,
        now: UnixSeconds,
        rollout: RolloutId,
        (explained, plan, evidence): &(RolloutExplanation, Plan, Vec<RingEvidence>),
    ) {
        self.line(now, &format!("? explain rollout {}", rollout.0));
        let waits = explained.waits.as_ref();
        let waits = waits.map_or("–", |waits| waits.sentence.as_str());
        self.more(&format!("stands   {}", state(plan, explained.state)));
        self.more(&format!("because  {}", explained.because.sentence));
        self.more(&format!("waits    {waits}"));
        self.more(&format!("next     {}", explained.next));
        for (name, counts) in &explained.rings {
            self.more(&format!("ring     {name}: {}", counted(counts)));
        }
        let words = explained.standings.iter();
        let words: Vec<_> = words.map(|(word, n)| format!("{word} {n}")).collect();
        self.more(&format!("devices  {}", words.join(", ")));
        for (ring, evidence) in plan.rings.iter().zip(evidence) {
            for one in &evidence.verdicts {
                let verdict = verdict(one.verdict);
                let (gate, because) = (&one.gate, &one.because);
                self.more(&format!(
                    "gate     {gate} of {}: {verdict}: {because}",
                    ring.name
                ));
            }
        }
    }

    /// Somebody asks about a device.
    pub(super) fn explain_device(
        &mut self,
        now: UnixSeconds,
        device: &DeviceId,
        explained: &[(Plan, DeviceExplanation)],
    ) {
        self.line(now, &format!("? explain {device}"));
        if explained.is_empty() {
            self.more("no rollout by policy goes on");
        }
        for (plan, one) in explained {
            let (rollout, policy) = (plan.rollout.0, &plan.policy);
            let ring = one.ring.as_deref().unwrap_or("–");
            self.more(&format!(
                "rollout {rollout} of {} {}, ring {ring}: {}",
                policy.model,
                policy.version,
                one.standing.word()
            ));
            self.more(&format!("why      {}", one.why));
            self.more(&format!("next     {}", one.next));
        }
    }

    fn of(&mut self, now: UnixSeconds, plan: &Plan, text: &str) {
        self.line(now, &format!("rollout {} {text}", plan.rollout.0));
    }

    fn line(&mut self, now: UnixSeconds, text: &str) {
        self.put(&format!("{}  {text}", moment(now)));
    }

    fn put(&mut self, line: &str) {
        // A string takes everything.
        let _ = writeln!(self.text, "{line}");
    }
}

/// Orders first tries before others.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Again(bool);

fn state(plan: &Plan, state: State) -> String {
    let ring = match state {
        State::Running { ring, .. }
        | State::Paused { ring, .. }
        | State::Halted { ring, .. }
        | State::RollingBack { ring } => plan.rings.get(ring as usize),
        _ => None,
    };
    match ring {
        Some(ring) => format!("{}, ring {}", state.name(), ring.name),
        None => state.name().to_owned(),
    }
}

fn counted(counts: &muster_fleet::planner::Counts) -> String {
    let counts = [
        (counts.waiting, "waiting"),
        (counts.blocked, "blocked"),
        (counts.in_flight, "on the way"),
        (counts.committed, "committed"),
        (counts.failed, "failed"),
        (counts.silent, "silent"),
        (counts.unreachable, "unreachable"),
        (counts.going_back, "going back"),
        (counts.back_silent, "late in going back"),
        (counts.back, "back"),
        (counts.elsewhere, "elsewhere"),
    ];
    let some = counts.iter().filter(|(n, _)| *n > 0);
    let some: Vec<_> = some.map(|(n, what)| format!("{n} {what}")).collect();
    match some.is_empty() {
        true => "nobody".to_owned(),
        false => some.join(", "),
    }
}

fn verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "pass",
        Verdict::Fail => "fail",
        Verdict::Inconclusive => "inconclusive",
    }
}

/// `mon 08:00:30`.
fn moment(now: UnixSeconds) -> String {
    // 1970-01-01 was a Thursday.
    let day = usize::try_from((now.0 / 86_400 + 3) % 7).unwrap_or_default();
    let day = WEEKDAYS.get(day).copied().unwrap_or_default();
    let (hour, minute, second) = (now.0 / 3_600 % 24, now.0 / 60 % 60, now.0 % 60);
    format!("{day} {hour:02}:{minute:02}:{second:02}")
}

fn names(devices: &[DeviceId]) -> String {
    let mut names: Vec<&str> = devices.iter().map(DeviceId::as_str).collect();
    names.sort_unstable();
    // One more is shorter named than counted.
    let named = match names.len() {
        n if n == NAMED_MAX + 1 => n,
        _ => NAMED_MAX,
    };
    let more = names.len().saturating_sub(named);
    let first = names.iter().take(named).copied().collect::<Vec<_>>();
    match more {
        0 if names.is_empty() => "nobody".to_owned(),
        0 => first.join(", "),
        more => format!("{} and {more} more", first.join(", ")),
    }
}
