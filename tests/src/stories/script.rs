//! What a story says, once it is read: a fleet, policies, and what happens when.
//!
//! Never plays it, and knows nothing of rings but their names.

use std::collections::BTreeMap;
use std::fmt;

use muster_fleet::gate::Share;
use muster_fleet::planner::{Command, Policy};
use muster_protocol::id::{DeviceId, ModelId, Version};
use muster_protocol::time::UnixSeconds;

/// A whole story.
#[derive(Debug)]
pub(super) struct Script {
    /// Its first line.
    pub(super) title: String,
    /// When it begins.
    pub(super) begins: UnixSeconds,
    /// Devices that are there then.
    pub(super) devices: Vec<NewDevice>,
    /// Policies by the name that the story gives them.
    pub(super) policies: BTreeMap<String, Policy>,
    /// Seconds of a telemetry window.
    pub(super) window_s: u64,
    /// What happens, in order.
    pub(super) events: Vec<Line>,
    /// When it ends.
    pub(super) ends: UnixSeconds,
}

/// A device when it joins.
#[derive(Debug, Clone)]
pub(super) struct NewDevice {
    /// Its id.
    pub(super) device: DeviceId,
    /// What people have written on it.
    pub(super) labels: BTreeMap<String, String>,
    /// What serves there.
    pub(super) runs: BTreeMap<ModelId, Version>,
}

/// One line of the timeline.
#[derive(Debug)]
pub(super) struct Line {
    /// Its number in the file, from 1.
    pub(super) number: usize,
    /// When.
    pub(super) at: UnixSeconds,
    /// As it is written.
    pub(super) text: String,
    /// What happens.
    pub(super) event: Event,
}

/// Something that happens.
#[derive(Debug)]
pub(super) enum Event {
    /// A person begins a rollout.
    Apply {
        /// By which policy.
        policy: String,
    },
    /// A person tells a rollout something.
    Order(Given),
    /// A person asks why.
    Explain(Asked),
    /// A person writes a label on devices.
    Label(Group, String, String),
    /// A person takes one away.
    Unlabel(Group, String),
    /// Devices enrol.
    Join(Vec<NewDevice>),
    /// Devices do something.
    Devices(Group, Act),
    /// From now on a version does this on these devices.
    Habit(Habit),
    /// Something happens to the controller.
    Controller(Fate),
}

/// An order as it is given.
#[derive(Debug)]
pub(super) struct Given {
    /// What.
    pub(super) command: Command,
    /// To which rollout; the newest without it.
    pub(super) rollout: Option<u64>,
    /// By whom.
    pub(super) operator: String,
    /// Why.
    pub(super) reason: String,
}

/// About what somebody asks.
#[derive(Debug)]
pub(super) enum Asked {
    /// A rollout; the newest without a number.
    Rollout(Option<u64>),
    /// A device in every rollout that goes on.
    Device(String),
}

/// What devices do at once.
#[derive(Debug, Clone)]
pub(super) enum Act {
    /// They lose power.
    Die,
    /// They have power again.
    Return,
    /// They are no longer enrolled.
    Leave,
    /// What they say is lost until it is delivered.
    Swallowed,
    /// It is delivered, and what comes after.
    Delivered,
    /// What they run ends so.
    Ends(Outcome),
    /// They count one window.
    Counted(Traffic),
}

/// How a version ends on a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It passes its probation.
    Commits,
    /// It never serves.
    Refuses(String),
    /// It served; the version before serves again.
    Reverts(String),
    /// It fails while serving.
    Degrades(String),
    /// It was heard of, and never says more.
    Hangs,
}

/// What a version does on devices.
#[derive(Debug, Clone)]
pub(super) struct Habit {
    /// The version, of whatever model.
    pub(super) version: Version,
    /// On which devices.
    pub(super) group: Group,
    /// What.
    pub(super) does: Does,
}

/// One habit.
#[derive(Debug, Clone)]
pub(super) enum Does {
    /// It ends so, so many seconds after the device was heard of.
    Ends(Outcome, Option<u64>),
    /// It answers so in each window.
    Answers(Traffic),
}

/// What a device counts in one window.
#[derive(Debug, Clone)]
pub(super) struct Traffic {
    /// Requests.
    pub(super) requests: u64,
    /// Share of them that fail.
    pub(super) errors: Share,
    /// Share of the others over the latency objective.
    pub(super) late: Share,
    /// Parts of the predictions, by class.
    pub(super) classes: Vec<u64>,
}

/// What happens to the controller.
#[derive(Debug, Clone, Copy)]
pub(super) enum Fate {
    /// It is backed up.
    BackedUp,
    /// It is lost, and restored from its backup.
    Restored,
    /// Its clock jumps so many seconds.
    Jumps(i64),
}

/// Devices as a story names them: each by id, by label, or as the first of a ring.
#[derive(Debug, Clone)]
pub(super) struct Group(pub(super) Vec<Named>);

/// One part of it.
#[derive(Debug, Clone)]
pub(super) enum Named {
    /// Everybody.
    All,
    /// Who has the label.
    Label(String, String),
    /// A device, or a ring of the newest rollout.
    Word(String),
    /// Some of a ring by their turn, from 1, both ends included.
    Turns(String, usize, usize),
}

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::Label(key, value) => write!(f, "{key}={value}"),
            Self::Word(word) => f.write_str(word),
            Self::Turns(ring, first, last) if first == last => write!(f, "{ring}#{first}"),
            Self::Turns(ring, first, last) => write!(f, "{ring}#{first}..{last}"),
        }
    }
}

impl Group {
    /// Whether it depends on the plan who is meant.
    pub(super) fn is_of_a_ring(&self) -> bool {
        self.0.iter().any(|one| matches!(one, Named::Turns(..)))
    }
}

/// A line of a story that makes no sense.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadStory {
    /// The file.
    pub file: String,
    /// Its line, from 1.
    pub line: usize,
    /// Why.
    pub because: String,
    /// What may stand there.
    pub hint: String,
}

impl fmt::Display for BadStory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "failed to play {}: line {}: because {}: hint: {}",
            self.file, self.line, self.because, self.hint
        )
    }
}

impl std::error::Error for BadStory {}
