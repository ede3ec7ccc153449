//! The states of a rollout, and what each command does in each of them: a total function.
//!
//! Commands alone: what a tick does by itself is in `advance`. `docs/rollout-states.md` is made
//! from here.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use super::policy::Role;

/// Where a rollout stands. Rings are counted from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Its plan waits for approval: nothing has moved.
    Draft,
    /// It goes on by itself.
    Running {
        /// The ring that is open, with those before it.
        ring: u32,
        /// What happens there.
        phase: Phase,
    },
    /// A person has stopped it: nothing moves by itself.
    Paused {
        /// Where.
        ring: u32,
        /// In which phase.
        phase: Phase,
    },
    /// It has stopped itself: a person must say how it goes on.
    Halted {
        /// Where.
        ring: u32,
        /// In which phase.
        phase: Phase,
        /// Why.
        cause: Cause,
    },
    /// Devices go back to the version they had before.
    RollingBack {
        /// The ring that was open.
        ring: u32,
    },
    /// They went back. Terminal.
    RolledBack,
    /// A person has ended it; devices stay as they are. Terminal.
    Aborted,
    /// Every ring has passed. Terminal, but that a shadow, which runs on, can be taken off.
    Completed,
    /// Newer rollouts have the say on all of its devices. Terminal.
    Superseded,
}

/// What happens in a ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Devices are told, and end well or badly.
    Dispatching,
    /// All have settled: time passes, and gates look.
    Soaking,
    /// Gates have passed: a person must agree.
    AwaitingApproval,
}

/// Why a rollout has halted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Cause {
    /// What it was.
    pub kind: CauseKind,
    /// In which ring.
    pub ring: u32,
    /// Whether devices have signed for it. Silence never rolls back.
    pub signed: Signed,
}

/// Whether something rests on what devices have signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Signed {
    /// It does.
    Yes,
    /// It rests on their silence.
    No,
}

/// What halts a rollout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CauseKind {
    /// More devices failed than may.
    Failed,
    /// More fell silent than may.
    Silent,
    /// More were never heard of than may.
    Unreachable,
    /// A gate failed.
    Gate,
}

/// What a person may tell a rollout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Command {
    /// Agree to the plan, or to the next ring.
    Approve,
    /// Let nothing move.
    Pause,
    /// Go on where it stopped.
    Resume,
    /// Open the next ring without waiting for this one's soak, gates and budgets.
    Promote,
    /// End it, and leave devices as they are.
    Abort,
    /// Bring devices back to the version they had before.
    Rollback,
    /// Let devices that failed, or fell silent, try again.
    Retry,
}

/// What a command does in a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transition {
    /// The state that follows.
    Becomes(State),
    /// Nothing, and that is right.
    Stays(&'static str),
    /// Nothing: it makes no sense there.
    Refused {
        /// Why.
        because: &'static str,
        /// What to do instead.
        hint: &'static str,
    },
}

impl State {
    /// The first ring, open.
    pub(super) const FIRST: Self = Self::Running {
        ring: 0,
        phase: Phase::Dispatching,
    };

    /// Whether nothing follows any more by itself.
    #[must_use]
    pub fn is_terminal(self) -> bool {
        match self {
            Self::RolledBack | Self::Aborted | Self::Completed | Self::Superseded => true,
            Self::Draft
            | Self::Running { .. }
            | Self::Paused { .. }
            | Self::Halted { .. }
            | Self::RollingBack { .. } => false,
        }
    }

    /// What a command does here, in a rollout of so many rings, which brings a version for `role`.
    #[must_use]
    pub fn after(self, command: Command, rings: u32, role: Role) -> Transition {
        match self {
            Self::Draft => draft(command),
            Self::Running { ring, phase } => running(ring, phase, command, rings),
            Self::Paused { ring, phase } => paused(ring, phase, command),
            Self::Halted { ring, phase, .. } => halted(ring, phase, command, rings),
            Self::RollingBack { .. } => rolling_back(command),
            Self::RolledBack => ended(command, Command::Rollback, "it was rolled back"),
            Self::Aborted => ended(command, Command::Abort, "it was aborted"),
            Self::Completed => completed(command, rings, role),
            Self::Superseded => refused(
                "newer rollouts have the say on its devices",
                "give the command to the newer rollout",
            ),
        }
    }

    /// What follows on a ring that has passed.
    #[must_use]
    pub(super) fn beyond(ring: u32, rings: u32) -> Self {
        match ring.checked_add(1).filter(|next| *next < rings) {
            Some(ring) => Self::Running {
                ring,
                phase: Phase::Dispatching,
            },
            None => Self::Completed,
        }
    }

    /// In one word, or two.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Running { phase, .. } => phase.name(),
            Self::Paused { .. } => "paused",
            Self::Halted { .. } => "halted",
            Self::RollingBack { .. } => "rolling back",
            Self::RolledBack => "rolled back",
            Self::Aborted => "aborted",
            Self::Completed => "completed",
            Self::Superseded => "superseded",
        }
    }
}

impl Phase {
    /// In a word, or two.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Dispatching => "dispatching",
            Self::Soaking => "soaking",
            Self::AwaitingApproval => "awaiting approval",
        }
    }
}

impl Command {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Approve,
        Self::Pause,
        Self::Resume,
        Self::Promote,
        Self::Abort,
        Self::Rollback,
        Self::Retry,
    ];

    /// As it is typed.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Approve => "approve",
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Promote => "promote",
            Self::Abort => "abort",
            Self::Rollback => "rollback",
            Self::Retry => "retry",
        }
    }
}

fn refused(because: &'static str, hint: &'static str) -> Transition {
    Transition::Refused { because, hint }
}

fn draft(command: Command) -> Transition {
    match command {
        Command::Approve => Transition::Becomes(State::FIRST),
        Command::Abort => Transition::Becomes(State::Aborted),
        Command::Pause
        | Command::Resume
        | Command::Promote
        | Command::Rollback
        | Command::Retry => refused("nothing has moved yet", "approve the plan, or abort it"),
    }
}

fn running(ring: u32, phase: Phase, command: Command, rings: u32) -> Transition {
    match (command, phase) {
        (Command::Approve, Phase::AwaitingApproval) | (Command::Promote, _) => {
            Transition::Becomes(State::beyond(ring, rings))
        }
        (Command::Approve, Phase::Dispatching | Phase::Soaking) => refused(
            "nothing waits for approval",
            "promote opens the next ring without waiting",
        ),
        (Command::Pause, _) => Transition::Becomes(State::Paused { ring, phase }),
        (Command::Resume, _) => Transition::Stays("it is running"),
        (Command::Abort, _) => Transition::Becomes(State::Aborted),
        (Command::Rollback, _) => Transition::Becomes(State::RollingBack { ring }),
        (Command::Retry, _) => Transition::Becomes(State::Running {
            ring,
            phase: Phase::Dispatching,
        }),
    }
}

fn paused(ring: u32, phase: Phase, command: Command) -> Transition {
    match command {
        Command::Resume => Transition::Becomes(State::Running { ring, phase }),
        Command::Pause => Transition::Stays("it is paused"),
        Command::Abort => Transition::Becomes(State::Aborted),
        Command::Rollback => Transition::Becomes(State::RollingBack { ring }),
        Command::Approve | Command::Promote | Command::Retry => {
            refused("it is paused", "resume it first")
        }
    }
}

fn halted(ring: u32, phase: Phase, command: Command, rings: u32) -> Transition {
    match command {
        Command::Resume => Transition::Becomes(State::Running { ring, phase }),
        Command::Promote => Transition::Becomes(State::beyond(ring, rings)),
        Command::Abort => Transition::Becomes(State::Aborted),
        Command::Rollback => Transition::Becomes(State::RollingBack { ring }),
        Command::Retry => Transition::Becomes(State::Running {
            ring,
            phase: Phase::Dispatching,
        }),
        Command::Pause => Transition::Stays("it is halted: nothing moves"),
        Command::Approve => refused(
            "it is halted",
            "retry the devices, promote in spite of them, roll back or abort",
        ),
    }
}

fn rolling_back(command: Command) -> Transition {
    match command {
        Command::Abort => Transition::Becomes(State::Aborted),
        Command::Rollback => Transition::Stays("it is rolling back"),
        Command::Approve | Command::Pause | Command::Resume | Command::Promote | Command::Retry => {
            refused(
                "devices are going back",
                "wait until they have, or abort to leave them as they are",
            )
        }
    }
}

fn ended(command: Command, same: Command, because: &'static str) -> Transition {
    if command == same {
        return Transition::Stays(because);
    }
    refused(because, "begin a new rollout")
}

/// A shadow answers nobody: one that has passed may still be taken off.
fn completed(command: Command, rings: u32, role: Role) -> Transition {
    match (role, command) {
        (Role::Shadow, Command::Rollback) => Transition::Becomes(State::RollingBack {
            ring: rings.saturating_sub(1),
        }),
        (Role::Shadow, _) => refused("it is completed", "rollback takes the shadow off"),
        (Role::Serve, _) => refused(
            "it is completed",
            "begin a rollout of the version that devices shall run",
        ),
    }
}

/// One state of each row of the table.
const ROWS: [State; 11] = [
    State::Draft,
    State::FIRST,
    State::Running {
        ring: 0,
        phase: Phase::Soaking,
    },
    State::Running {
        ring: 0,
        phase: Phase::AwaitingApproval,
    },
    State::Paused {
        ring: 0,
        phase: Phase::Soaking,
    },
    State::Halted {
        ring: 0,
        phase: Phase::Soaking,
        cause: Cause {
            kind: CauseKind::Gate,
            ring: 0,
            signed: Signed::Yes,
        },
    },
    State::RollingBack { ring: 0 },
    State::RolledBack,
    State::Aborted,
    State::Completed,
    State::Superseded,
];

/// What each command does in each state, as a table in Markdown.
#[must_use]
pub fn table() -> String {
    let mut table = String::from("| in state |");
    for command in Command::ALL {
        let _ = write!(table, " {} |", command.name());
    }
    table.push_str(&format!("\n|---{}|\n", "|---".repeat(Command::ALL.len())));
    for state in ROWS {
        let _ = write!(table, "| {} |", state.name());
        for command in Command::ALL {
            let _ = write!(table, " {} |", cell(state, command));
        }
        table.push('\n');
    }
    table
}

fn cell(state: State, command: Command) -> String {
    let word = |transition| match transition {
        Transition::Becomes(State::Running { ring: 1, .. }) => "next ring",
        Transition::Becomes(state) => state.name(),
        Transition::Stays(_) => "stays",
        Transition::Refused { .. } => "–",
    };
    let words = |role| {
        let after = |rings| word(state.after(command, rings, role));
        let (more, last) = (after(2), after(1));
        if more == last {
            more.to_owned()
        } else {
            format!("{more}, {last} after the last")
        }
    };
    let (serve, shadow) = (words(Role::Serve), words(Role::Shadow));
    if serve == shadow {
        serve
    } else {
        format!("{serve}, of a shadow {shadow}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_documented_table_is_that_of_the_code() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/rollout-states.md");
        let text = std::fs::read_to_string(path).expect("readable");
        let start = text.find("| in state |").expect("it holds the table");
        let end = text[start..]
            .find("\n\n")
            .map_or(text.len(), |at| start + at + 1);
        if std::env::var_os("MUSTER_BLESS").is_some_and(|bless| bless == "1") {
            let text = format!("{}{}{}", &text[..start], table(), &text[end..]);
            std::fs::write(path, text).expect("writable");
            return;
        }
        assert_eq!(&text[start..end], table(), "MUSTER_BLESS=1 writes it");
    }

    /// All states of a rollout of so many rings.
    fn states(rings: u32) -> Vec<State> {
        let phases = [Phase::Dispatching, Phase::Soaking, Phase::AwaitingApproval];
        let mut states = vec![
            State::Draft,
            State::RolledBack,
            State::Aborted,
            State::Completed,
            State::Superseded,
        ];
        for ring in 0..rings {
            states.push(State::RollingBack { ring });
            for phase in phases {
                let cause = Cause {
                    kind: CauseKind::Silent,
                    ring,
                    signed: Signed::No,
                };
                states.push(State::Running { ring, phase });
                states.push(State::Paused { ring, phase });
                states.push(State::Halted { ring, phase, cause });
            }
        }
        states
    }

    #[test]
    fn from_every_state_commands_alone_reach_an_end() {
        for rings in 1..4 {
            for state in states(rings) {
                let (mut seen, mut queue) = (BTreeSet::new(), vec![state]);
                let mut ends = state.is_terminal();
                while let Some(state) = queue.pop() {
                    ends |= state.is_terminal();
                    for command in Command::ALL {
                        if let Transition::Becomes(next) = state.after(command, rings, Role::Serve)
                            && seen.insert(format!("{next:?}"))
                        {
                            queue.push(next);
                        }
                    }
                }
                assert!(ends, "{state:?} of {rings} rings is stuck");
            }
        }
    }

    #[test]
    fn what_has_ended_stays_ended() {
        for state in states(3).into_iter().filter(|state| state.is_terminal()) {
            for command in Command::ALL {
                let after = state.after(command, 3, Role::Serve);
                assert!(
                    !matches!(after, Transition::Becomes(_)),
                    "{state:?} {command:?}"
                );
            }
        }
    }

    #[test]
    fn of_what_has_ended_only_a_shadow_that_runs_on_can_be_taken_off() {
        for state in states(3).into_iter().filter(|state| state.is_terminal()) {
            for command in Command::ALL {
                let goes_on = matches!(
                    state.after(command, 3, Role::Shadow),
                    Transition::Becomes(State::RollingBack { ring: 2 })
                );
                let may = (state, command) == (State::Completed, Command::Rollback);
                assert_eq!(goes_on, may, "{state:?} {command:?}");
            }
        }
    }

    #[test]
    fn every_running_state_can_be_paused_and_resumed_where_it_was() {
        for state in states(3) {
            if let Transition::Becomes(paused) = state.after(Command::Pause, 3, Role::Serve) {
                assert_eq!(
                    paused.after(Command::Resume, 3, Role::Serve),
                    Transition::Becomes(state)
                );
            }
        }
    }
}
