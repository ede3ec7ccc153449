//! The life of an incident: what a person may tell it, and what follows. A total function.
//!
//! Closing is no command: an incident closes by itself when it has been quiet, and a person may
//! still judge it afterwards, since that is what precision is counted from.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What people have said of an incident.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Nothing yet.
    Opened,
    /// Somebody looks at it.
    Acknowledged,
    /// It was one.
    Confirmed,
    /// It was none.
    Dismissed,
}

/// What a person may tell an incident.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Command {
    /// I look at it.
    Ack,
    /// It was one.
    Confirm,
    /// It was none.
    Dismiss,
}

impl State {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::Opened,
        Self::Acknowledged,
        Self::Confirmed,
        Self::Dismissed,
    ];

    /// As stores and lists have it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Acknowledged => "acknowledged",
            Self::Confirmed => "confirmed",
            Self::Dismissed => "dismissed",
        }
    }

    /// Reads what [`State::as_str`] wrote.
    #[must_use]
    pub fn of(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }

    /// What follows from a command; none when nothing does. The last judgement counts: people
    /// change their minds.
    #[must_use]
    pub const fn after(self, command: Command) -> Option<Self> {
        match (self, command) {
            (Self::Opened, Command::Ack) => Some(Self::Acknowledged),
            (Self::Opened | Self::Acknowledged | Self::Dismissed, Command::Confirm) => {
                Some(Self::Confirmed)
            }
            (Self::Opened | Self::Acknowledged | Self::Confirmed, Command::Dismiss) => {
                Some(Self::Dismissed)
            }
            (Self::Acknowledged | Self::Confirmed | Self::Dismissed, Command::Ack)
            | (Self::Confirmed, Command::Confirm)
            | (Self::Dismissed, Command::Dismiss) => None,
        }
    }
}

impl Command {
    /// As orders are kept.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ack => "ack",
            Self::Confirm => "confirm",
            Self::Dismiss => "dismiss",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_judgement_can_be_changed_and_nobody_goes_back_to_not_having_looked() {
        use Command::{Ack, Confirm, Dismiss};
        use State::{Acknowledged, Confirmed, Dismissed, Opened};
        let check = |state: State, expect: [Option<State>; 3]| {
            let after = [Ack, Confirm, Dismiss].map(|command| state.after(command));
            assert_eq!(after, expect, "{state}");
            assert_eq!(State::of(state.as_str()), Some(state));
        };
        check(
            Opened,
            [Some(Acknowledged), Some(Confirmed), Some(Dismissed)],
        );
        check(Acknowledged, [None, Some(Confirmed), Some(Dismissed)]);
        check(Confirmed, [None, None, Some(Dismissed)]);
        check(Dismissed, [None, Some(Confirmed), None]);
        assert_eq!(State::of("closed"), None);
    }
}
