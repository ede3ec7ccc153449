//! A device for the stories: an obliging host around one updater, told what to do line by line.
//!
//! It writes down every output and, at each, checks what must hold in every story. It never
//! reaches into the updater: state is what was persisted, and a power cut leaves only that.

extern crate std;
use super::super::{
    Capabilities, Input, Listing, ModelState, Output, Policy, Progress, Release, Shadows, Slot,
    Updater, Verdict,
};
use super::release::{self, Made, bundle, number};
use crate::facts::{Facts, Keys, ModelFacts, Revoked, RevokedAction};
use muster_protocol::cbor;
use muster_protocol::digest::Digest;
use muster_protocol::id::{Epoch, EpochGeneration, ModelId, Rank, TargetClass};
use muster_protocol::message::{Entry, Measured, Reason, Role, Settings, Step, Swap};
use muster_protocol::time::Millis;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::format;
use std::string::{String, ToString};
use std::vec::Vec;

const POLICY: Policy = Policy {
    probation_ms: 60_000,
    swap: Swap::Overlap,
    shadows: Shadows::Run,
};
const REASONS: [Reason; 9] = [
    Reason::Manifest,
    Reason::HashList,
    Reason::Blob,
    Reason::Load,
    Reason::WrongOutput,
    Reason::TooBig,
    Reason::Crashed,
    Reason::Hung,
    Reason::Latency,
];

/// An input that owns what it carries.
#[derive(Debug, Clone)]
enum Say {
    Assigned(Option<Entry>, Option<Release>),
    Statement(Vec<u8>, Listing),
    Plain(Input<'static>),
}

/// What the disk does with a state that is to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Disk {
    Works,
    Refuses,
    /// It refused a state that is still to be written.
    Owes,
}

pub(super) struct Device {
    role: Role,
    policy: Policy,
    updater: Updater,
    capabilities: Capabilities,
    facts: Facts<1>,
    now: Millis,
    /// The last state that reached the disk, encoded.
    disk: Option<Vec<u8>>,
    /// What the accepted assignment says; a host keeps it durably.
    entry: Option<Entry>,
    made: BTreeMap<Digest, Made>,
    /// Bundles whose blobs are on disk.
    pub(super) blobs: BTreeSet<Digest>,
    passed: BTreeSet<Digest>,
    pub(super) routed: Option<Digest>,
    /// What the host answers to the next questions of a kind, instead of obliging.
    answers: VecDeque<(String, String)>,
    /// A trial of these takes the machine down.
    kills: BTreeSet<Digest>,
    /// These crash as soon as they serve.
    crashes: BTreeSet<Digest>,
    disk_works: Disk,
    inputs: VecDeque<Say>,
    /// Outputs until the power is cut, for each cut to come.
    pub(super) cuts: VecDeque<usize>,
    /// Where the power was cut.
    pub(super) cut_at: String,
    pub(super) log: String,
}

impl Device {
    /// Whose updater has this role.
    pub(super) fn new(role: Role) -> Self {
        let model = ModelFacts {
            model: model(),
            release: Keys {
                keys: [release::key()].into_iter().collect(),
                threshold: 1,
            },
            floor: Rank(0),
        };
        Self {
            role,
            policy: POLICY,
            updater: Updater::new(self::model(), role, POLICY, 1),
            capabilities: Capabilities {
                class: TargetClass::parse("linux").expect("valid"),
                memory_bytes: 1000,
                disk_bytes: 1000,
            },
            facts: Facts {
                epoch: Epoch(1),
                models: [model].into_iter().collect(),
                ..Facts::default()
            },
            now: Millis(0),
            disk: None,
            entry: None,
            made: BTreeMap::new(),
            blobs: BTreeSet::new(),
            passed: BTreeSet::new(),
            routed: None,
            answers: VecDeque::new(),
            kills: BTreeSet::new(),
            crashes: BTreeSet::new(),
            disk_works: Disk::Works,
            inputs: VecDeque::new(),
            cuts: VecDeque::new(),
            cut_at: String::new(),
            log: String::new(),
        }
    }

    /// Tells a story, one command a line.
    pub(super) fn tell(&mut self, script: &str) {
        for line in script
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty())
        {
            self.write(&format!("> {line}"));
            let words: Vec<&str> = line.split(' ').collect();
            self.command(&words);
        }
    }

    fn command(&mut self, words: &[&str]) {
        match words {
            ["install", name, since] => self.install(name, since),
            ["assign", name, since, rest @ ..] => self.assign(name, since, rest),
            ["remove"] => {
                self.entry = None;
                self.say(Say::Assigned(None, None));
            }
            ["floor", rank] => self.facts.models[0].floor = Rank(parse(rank)),
            ["revoke", name, action] => self.revoke(name, action),
            ["pardon"] => self.facts.revoked.clear(),
            ["facts"] => self.say(Say::Plain(Input::FactsChanged)),
            ["answer", kind, answer] => {
                self.answers
                    .push_back((kind.to_string(), answer.to_string()));
            }
            ["kills", name] => drop(self.kills.insert(bundle(name))),
            ["crashes", name] => drop(self.crashes.insert(bundle(name))),
            ["fail", name, reason] => self.say(serving_failed(bundle(name), reason)),
            ["say", what @ ..] => self.say_late(what),
            ["tick"] => self.tick(),
            ["cut"] => self.cut(),
            ["no", "shadows"] => {
                self.policy.shadows = Shadows::Refused {
                    because: "this device runs none",
                };
            }
            ["disk", "refuses"] if self.disk_works == Disk::Works => {
                self.disk_works = Disk::Refuses;
            }
            ["disk", "refuses"] => {}
            ["disk", "works"] => self.disk_comes_back(),
            other => panic!("no such command: {other:?}"),
        }
        self.settle();
    }

    /// Brings a release to committed, or a shadow to running, without a word.
    fn install(&mut self, name: &str, since: &str) {
        let log = self.log.clone();
        self.assign(name, since, &[]);
        self.settle();
        self.tick();
        self.settle();
        let expect = match self.role {
            Role::Serve => Progress::Committed,
            Role::Shadow => Progress::Probation,
        };
        assert_eq!(self.durable().progress, expect, "{}", self.log);
        self.log = log;
    }

    fn assign(&mut self, name: &str, since: &str, rest: &[&str]) {
        let made = release::make(name);
        let mut entry = Entry {
            model: model(),
            version: made.version.clone(),
            statement: Digest::of(&made.bytes),
            statement_size: made.bytes.len() as u32,
            role: self.role,
            since: EpochGeneration::new(1, parse(since).into()),
            settings: Settings::default(),
        };
        let mut beside = None;
        match rest {
            [] => {}
            ["shadow"] => entry.role = Role::Shadow,
            ["serve"] => entry.role = Role::Serve,
            ["beside"] => beside = Some(self.kept_beside(name, &entry)),
            ["probation", seconds] => entry.settings.probation_s = Some(parse(seconds)),
            ["stop_first"] => entry.settings.swap = Some(Swap::StopFirst),
            other => panic!("no such setting: {other:?}"),
        }
        self.made.insert(entry.statement, made);
        self.entry = Some(entry.clone());
        self.say(Say::Assigned(Some(entry), beside));
    }

    /// The machine of the other role keeps proof and blobs of this release.
    fn kept_beside(&mut self, name: &str, entry: &Entry) -> Release {
        self.blobs.insert(bundle(name));
        Release {
            version: entry.version.clone(),
            rank: release::rank(name),
            statement: entry.statement,
            bundle: bundle(name),
            manifest_size: 500,
            peak_memory_bytes: 1000,
            since: EpochGeneration::new(1, 1),
        }
    }

    fn revoke(&mut self, name: &str, action: &str) {
        let action = match action {
            "stop" => RevokedAction::Stop,
            _ => RevokedAction::Fallback,
        };
        // A full list of revocations takes no more.
        let _ = self.facts.revoked.push(Revoked {
            bundle: bundle(name),
            action,
        });
    }

    fn say_late(&mut self, what: &[&str]) {
        let input = match what {
            ["planned", name] => Input::Planned(bundle(name)),
            ["fetched", name] => {
                self.blobs.insert(bundle(name));
                Input::Fetched(bundle(name))
            }
            ["staged", name] => staged(bundle(name)),
            ["passed", name] => passed(bundle(name)),
            ["routed", name] => Input::Routed(bundle(name)),
            ["recovered"] => Input::Recovered,
            ["unavailable"] => Input::Unavailable,
            ["link_up"] => Input::LinkUp,
            ["expired"] => Input::Expired,
            ["persisted"] => Input::Persisted,
            ["statement", name] => {
                return self.say(Say::Statement(release::make(name).bytes, Listing::Listed));
            }
            other => panic!("nothing to say: {other:?}"),
        };
        self.say(Say::Plain(input));
    }

    fn say(&mut self, say: Say) {
        self.inputs.push_back(say);
    }

    /// Time passes until something is due.
    fn tick(&mut self) {
        if let Some((at, why)) = self.updater.poll_timeout() {
            self.write(&format!("  {} ms later: {why}", at.since(self.now)));
            self.now = self.now.max(at);
        }
        self.say(Say::Plain(Input::Tick));
    }

    /// Lets host and updater talk until neither has more to say.
    fn settle(&mut self) {
        loop {
            if let Some(output) = self.updater.poll_output() {
                self.perform_or_cut(output);
            } else if let Some(say) = self.inputs.pop_front() {
                self.hear(&say);
            } else {
                break;
            }
        }
        let active = self.saved().and_then(|state| state.active);
        assert_eq!(
            self.routed,
            active.map(|slot| slot.release.bundle),
            "{}",
            self.log
        );
    }

    fn hear(&mut self, say: &Say) {
        let facts = self.facts.view(&model());
        let input = match say {
            Say::Assigned(entry, beside) => Input::Assigned {
                entry: entry.as_ref(),
                beside: beside.as_ref(),
            },
            Say::Statement(bytes, listing) => {
                let (listing, capabilities) = (*listing, &self.capabilities);
                Input::Statement {
                    bytes,
                    listing,
                    capabilities,
                }
            }
            Say::Plain(input) => input.clone(),
        };
        self.updater.handle(input, &facts, self.now);
    }

    fn perform_or_cut(&mut self, output: Output) {
        match self.cuts.front_mut() {
            Some(0) => {
                self.cuts.pop_front();
                self.cut_at = format!("{} before: {}", self.saved_line(), line(&output));
                self.cut();
            }
            Some(left) => {
                *left -= 1;
                self.perform(output);
            }
            None => self.perform(output),
        }
    }

    /// Power goes and comes back: only the disk remembers. The host cleans up, says again what
    /// assignment it accepted and what it knows.
    pub(super) fn cut(&mut self) {
        self.write("  power cut");
        self.inputs.clear();
        self.disk_works = Disk::Works;
        (self.routed, self.now) = (None, Millis(0));
        self.updater = match self.saved().filter(|state| !state.is_empty()) {
            Some(state) => {
                self.blobs
                    .retain(|blob| state.bundles().any(|bundle| bundle == *blob));
                Updater::boot(state, self.policy, 1)
            }
            None => Updater::new(model(), self.role, self.policy, 1),
        };
        if let Some(entry) = self.entry.clone() {
            self.say(Say::Assigned(Some(entry), None));
        }
        self.say(Say::Plain(Input::FactsChanged));
    }

    fn persist(&mut self) {
        if self.disk_works != Disk::Works {
            self.disk_works = Disk::Owes;
            return self.write("  persist: the disk refuses");
        }
        self.disk = Some(encoded(self.updater.state()));
        self.write(&format!("  persist {}", self.saved_line()));
        self.hear(&Say::Plain(Input::Persisted));
    }

    fn disk_comes_back(&mut self) {
        let before = std::mem::replace(&mut self.disk_works, Disk::Works);
        if before == Disk::Owes {
            self.persist();
        }
    }

    fn perform(&mut self, output: Output) {
        if output == Output::Persist {
            return self.persist();
        }
        self.write(&format!("  {}", line(&output)));
        match output {
            Output::FetchStatement { digest, .. } => self.oblige("statement", digest),
            Output::FetchPlan(release) => self.oblige("plan", release.bundle),
            Output::FetchPieces(release) => self.oblige("pieces", release.bundle),
            Output::Stage(release) => self.oblige("stage", release.bundle),
            Output::Try(release) if self.kills.contains(&release.bundle) => self.cut(),
            Output::Try(release) => self.oblige("trial", release.bundle),
            Output::Route { release, .. } => self.route(&release),
            Output::Unroute => {
                assert_eq!(
                    self.durable().active,
                    None,
                    "unrouted, but durable\n{}",
                    self.log
                );
                self.routed = None;
            }
            Output::Discard(bundle) => {
                let needed = self.needs(bundle);
                assert!(
                    !needed,
                    "discarded, but needed after a power cut\n{}",
                    self.log
                );
                self.blobs.remove(&bundle);
            }
            Output::Report { .. } | Output::Persist => {}
        }
    }

    /// Whether a boot from disk would take for granted that these blobs are there.
    fn needs(&self, bundle: Digest) -> bool {
        let state = self.durable();
        let verified = matches!(state.progress, Progress::Staged | Progress::Trial);
        let candidate = state.candidate.filter(|_| verified);
        let slots = [state.active, state.previous].into_iter().flatten();
        slots
            .map(|slot| slot.release)
            .chain(candidate)
            .any(|release| release.bundle == bundle)
    }

    fn route(&mut self, release: &Release) {
        let bundle = release.bundle;
        let durable = self.durable().active.map(|slot| slot.release.bundle);
        assert_eq!(
            durable,
            Some(bundle),
            "serves, but is not durable\n{}",
            self.log
        );
        assert!(
            self.passed.contains(&bundle),
            "serves without a trial\n{}",
            self.log
        );
        assert!(
            self.blobs.contains(&bundle),
            "serves without its blobs\n{}",
            self.log
        );
        self.routed = Some(bundle);
        self.oblige("route", bundle);
        if self.crashes.contains(&bundle) {
            self.say(serving_failed(bundle, "Crashed"));
        }
    }

    /// Answers as it was told to, or else as a good host on a good day.
    fn oblige(&mut self, kind: &str, subject: Digest) {
        let told = self.answers.iter().position(|(of, _)| of == kind);
        let answer = told
            .and_then(|at| self.answers.remove(at))
            .map(|(_, answer)| answer);
        match (kind, answer.as_deref()) {
            (_, Some("silence")) => {}
            (_, Some("unavailable")) => self.say(Say::Plain(Input::Unavailable)),
            ("statement", told) => {
                let mut bytes = self.made[&subject].bytes.clone();
                if told == Some("foreign") {
                    bytes.push(0);
                }
                let absent = told == Some("unlisted");
                let listing = if absent {
                    Listing::Absent
                } else {
                    Listing::Listed
                };
                self.say(Say::Statement(bytes, listing));
            }
            ("route", Some(reason)) => self.say(serving_failed(subject, reason)),
            (_, Some(reason)) => self.say(failed(subject, reason)),
            ("plan", None) => self.say(Say::Plain(Input::Planned(subject))),
            ("pieces", None) => {
                self.blobs.insert(subject);
                self.say(Say::Plain(Input::Fetched(subject)));
            }
            ("stage", None) if !self.blobs.contains(&subject) => self.say(failed(subject, "Blob")),
            ("stage", None) => self.say(Say::Plain(staged(subject))),
            ("trial", None) => {
                self.passed.insert(subject);
                self.say(Say::Plain(passed(subject)));
            }
            (_, None) => self.say(Say::Plain(Input::Routed(subject))),
        }
    }

    /// From here on the host is a good one.
    pub(super) fn heal(&mut self) {
        if self.policy.shadows != Shadows::Run {
            self.policy.shadows = Shadows::Run;
            self.cut();
        }
        self.answers.clear();
        self.crashes.clear();
        self.kills.clear();
        self.disk_comes_back();
    }

    fn saved(&self) -> Option<ModelState> {
        self.disk
            .as_ref()
            .map(|bytes| cbor::decode(bytes).expect("what was written is read"))
    }

    pub(super) fn durable(&self) -> ModelState {
        self.saved().expect("something was persisted")
    }

    fn saved_line(&self) -> String {
        let Some(state) = self.saved() else {
            return "nothing on disk".into();
        };
        let name = |slot: &Option<Slot>| match slot {
            Some(slot) if slot.committed => number(slot.release.bundle),
            Some(slot) => format!("{}?", number(slot.release.bundle)),
            None => "-".into(),
        };
        let mut line = format!("{:?}", state.progress);
        if state.tries > 0 {
            line += &format!(" tries {}", state.tries);
        }
        line += &format!(
            " active {} previous {}",
            name(&state.active),
            name(&state.previous)
        );
        if state.floor_seen > Rank(0) {
            line += &format!(" floors {}/{}", state.floor_seen, state.floor_committed);
        }
        line
    }

    fn write(&mut self, line: &str) {
        self.log += line;
        self.log += "\n";
    }
}

fn model() -> ModelId {
    ModelId::parse("bearing").expect("valid")
}

fn parse(number: &str) -> u32 {
    number.parse().expect("a number")
}

fn staged(bundle: Digest) -> Input<'static> {
    Input::Staged {
        bundle,
        fetched_bytes: 10,
        written_bytes: 20,
    }
}

fn passed(bundle: Digest) -> Input<'static> {
    Input::TrialPassed {
        bundle,
        measured: Measured::default(),
    }
}

fn failed(bundle: Digest, reason: &str) -> Say {
    let verdict = verdict(reason);
    Say::Plain(Input::Failed { bundle, verdict })
}

fn serving_failed(bundle: Digest, reason: &str) -> Say {
    let verdict = verdict(reason);
    Say::Plain(Input::ServingFailed { bundle, verdict })
}

fn verdict(reason: &str) -> Verdict {
    let named = REASONS.iter().find(|known| format!("{known:?}") == reason);
    Verdict::new(*named.expect("a known reason"), "")
}

fn encoded(state: &ModelState) -> Vec<u8> {
    let mut buffer = [0; 2048];
    let len = cbor::encode(state, &mut buffer).expect("a state is small");
    buffer[..len].to_vec()
}

/// An output in one line.
fn line(output: &Output) -> String {
    let of = |release: &Release| number(release.bundle);
    match output {
        Output::Persist => "persist".into(),
        Output::FetchStatement { .. } => "fetch statement".into(),
        Output::FetchPlan(release) => format!("fetch plan {}", of(release)),
        Output::FetchPieces(release) => format!("fetch pieces {}", of(release)),
        Output::Stage(release) => format!("stage {}", of(release)),
        Output::Try(release) => format!("try {}", of(release)),
        Output::Route {
            release,
            swap: Swap::Overlap,
        } => format!("route {}", of(release)),
        Output::Route { release, swap } => format!("route {} {swap:?}", of(release)),
        Output::Unroute => "unroute".into(),
        Output::Discard(bundle) => format!("discard {}", number(*bundle)),
        Output::Report {
            step,
            release,
            verdict,
            ..
        } => report(*step, release, verdict),
    }
}

fn report(step: Step, release: &Option<Release>, verdict: &Option<Verdict>) -> String {
    let mut line = format!("report {step:?}");
    if let Some(release) = release {
        line += &format!(" {} since {}", number(release.bundle), release.since);
    }
    if let Some(Verdict { reason, detail }) = verdict {
        line += &format!(" {reason:?}");
        if !detail.is_empty() {
            line += &format!(" ({})", detail);
        }
    }
    line
}
