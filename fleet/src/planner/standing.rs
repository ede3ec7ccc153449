//! Why a device is where it is: one word with what it rests on, and sentences for people.
//!
//! Made by the sweep of `board` alone, which decides by it; nothing here decides.

use muster_protocol::time::UnixSeconds;
use serde::{Deserialize, Serialize};

use super::because::{devices, span, times};
use super::inventory::Failure;
use super::plan::Plan;
use super::policy::Role;
use super::rollout::RolloutId;
use super::state::CauseKind;
use super::tally::Try;
use super::text;

/// Where a device stands in a rollout.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "standing")]
pub enum Standing {
    /// The selector does not match it.
    NotMatched,
    /// It matches, and no ring reaches it.
    NotReached,
    /// It matches now, and did not when the frozen membership was made.
    JoinedLate,
    /// It matches now, and joins the last ring with the next plan.
    Joins,
    /// It is no longer in the fleet.
    Gone,
    /// The plan waits for approval.
    AwaitsPlanApproval,
    /// Its ring is not open.
    WaitsForRing {
        /// Its own.
        ring: u32,
        /// The one that is open.
        open: u32,
    },
    /// As many devices as may are on their way.
    ConcurrencyFull {
        /// On their way.
        n: u32,
        /// May be.
        max: u32,
    },
    /// As many devices as may were dispatched in the last hour.
    RateLimited {
        /// Dispatched.
        n: u32,
        /// May be.
        max: u32,
        /// When one more may.
        #[serde(with = "text::unix")]
        until: UnixSeconds,
    },
    /// No maintenance window is open there.
    OutsideWindow {
        /// When one opens; none when its time zone is not known.
        #[serde(with = "text::unix::optional")]
        until: Option<UnixSeconds>,
    },
    /// Its link is metered, and the policy denies that.
    Metered,
    /// As many devices as may are in change where it is.
    ConstraintFull {
        /// The label.
        label: String,
        /// Its value.
        value: String,
        /// In change.
        n: u32,
        /// May be.
        max: u32,
    },
    /// It is held until it has shown what it runs, after a restore of the controller.
    Held,
    /// Another rollout is changing it now.
    OtherChange {
        /// Which.
        rollout: RolloutId,
    },
    /// A newer rollout has the say there.
    OtherSay {
        /// Which.
        rollout: RolloutId,
    },
    /// It is told in this very tick.
    MovesNow {
        /// For the first time?
        r#try: Try,
    },
    /// It was told; no signed contact since.
    AwaitsContact {
        /// When it counts as unreachable.
        #[serde(with = "text::unix")]
        until: UnixSeconds,
    },
    /// It was heard of, and is at it.
    OnItsWay {
        /// Its deadline.
        #[serde(with = "text::unix")]
        until: UnixSeconds,
    },
    /// It is past its deadline.
    Late {
        /// Since when.
        #[serde(with = "text::unix")]
        since: UnixSeconds,
    },
    /// It was never heard of within the deadline.
    Unreachable {
        /// Since when.
        #[serde(with = "text::unix")]
        since: UnixSeconds,
    },
    /// The version serves there; its ring has not passed.
    Installed {
        /// Its ring.
        ring: u32,
    },
    /// It gave up.
    Failed {
        /// How.
        failure: Failure,
        /// The reason in its receipt.
        code: String,
        /// How often it may still be told to try again.
        retries_left: u8,
    },
    /// It gave up, and was told to try again as often as may be.
    RetriesSpent {
        /// How.
        failure: Failure,
        /// The reason in its receipt.
        code: String,
        /// How often.
        n: u8,
        /// May be.
        max: u8,
    },
    /// It is told to go back in this very tick.
    GoesBackNow,
    /// It was told to go back.
    GoingBack {
        /// Its deadline.
        #[serde(with = "text::unix")]
        until: UnixSeconds,
    },
    /// It was told to go back, and is past its deadline.
    BackLate {
        /// Since when.
        #[serde(with = "text::unix")]
        since: UnixSeconds,
    },
    /// It runs the version before again.
    RolledBack,
    /// The version serves there, and its ring has passed.
    Done,
    /// A person has paused the rollout.
    Paused,
    /// The rollout has halted.
    Halted {
        /// Why.
        cause: CauseKind,
    },
    /// The rollout ended before its turn.
    Ended {
        /// How: a terminal state, or rolling back.
        how: String,
    },
}

impl Standing {
    /// Whether it is in an open ring and is not told all the same.
    #[must_use]
    pub fn is_held_back(&self) -> bool {
        matches!(
            self,
            Self::ConcurrencyFull { .. }
                | Self::RateLimited { .. }
                | Self::OutsideWindow { .. }
                | Self::Metered
                | Self::ConstraintFull { .. }
                | Self::Held
                | Self::OtherChange { .. }
        )
    }

    /// One word, or a few, to count by.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::NotMatched => "not matched",
            Self::NotReached => "not reached",
            Self::JoinedLate => "joined late",
            Self::Joins => "joins",
            Self::Gone => "gone",
            Self::AwaitsPlanApproval => "awaits approval of the plan",
            Self::WaitsForRing { .. } => "waits for its ring",
            Self::ConcurrencyFull { .. } => "concurrency full",
            Self::RateLimited { .. } => "rate limited",
            Self::OutsideWindow { .. } => "outside its maintenance window",
            Self::Metered => "on a metered link",
            Self::ConstraintFull { .. } => "constraint full",
            Self::Held => "held after a restore",
            Self::OtherChange { .. } => "changed by another rollout",
            Self::OtherSay { .. } => "under another rollout",
            Self::MovesNow { .. } => "moves now",
            Self::AwaitsContact { .. } => "awaits contact",
            Self::OnItsWay { .. } => "on its way",
            Self::Late { .. } => "late",
            Self::Unreachable { .. } => "unreachable",
            Self::Installed { .. } => "installed",
            Self::Failed { .. } => "failed",
            Self::RetriesSpent { .. } => "failed, retries spent",
            Self::GoesBackNow => "goes back now",
            Self::GoingBack { .. } => "going back",
            Self::BackLate { .. } => "late in going back",
            Self::RolledBack => "rolled back",
            Self::Done => "done",
            Self::Paused => "paused",
            Self::Halted { .. } => "halted",
            Self::Ended { .. } => "not told",
        }
    }

    /// When it changes by itself, if that is known.
    #[must_use]
    pub fn until(&self) -> Option<UnixSeconds> {
        match self {
            Self::RateLimited { until, .. }
            | Self::AwaitsContact { until }
            | Self::OnItsWay { until }
            | Self::GoingBack { until } => Some(*until),
            Self::OutsideWindow { until } => *until,
            _ => None,
        }
    }

    /// Why it is there, in a sentence.
    #[must_use]
    pub fn why(&self, plan: &Plan, now: UnixSeconds) -> String {
        let ago = |since: &UnixSeconds| span(now.0.saturating_sub(since.0));
        let name = |ring: &u32| plan.ring_name(*ring);
        let (selector, version) = (&plan.policy.selector, &plan.policy.version);
        let does = plan.policy.role.does();
        match self {
            Self::NotMatched => format!("the selector `{selector}` does not match it"),
            Self::NotReached => "it matches, but the rings end before it".to_owned(),
            Self::JoinedLate => "it matches now, but membership was frozen before".to_owned(),
            Self::Joins => "it matches now, and membership is live".to_owned(),
            Self::Gone => "it is no longer in the fleet".to_owned(),
            Self::AwaitsPlanApproval => "the plan waits for approval".to_owned(),
            Self::WaitsForRing { ring, open } => {
                format!(
                    "it is in ring {}, and ring {} is open",
                    name(ring),
                    name(open)
                )
            }
            Self::ConcurrencyFull { .. }
            | Self::RateLimited { .. }
            | Self::OutsideWindow { .. }
            | Self::Metered
            | Self::ConstraintFull { .. }
            | Self::Held => self.why_held_back(),
            Self::OtherChange { rollout } => format!("rollout {} is changing it", rollout.0),
            Self::OtherSay { rollout } => format!("rollout {} has the say there", rollout.0),
            Self::MovesNow { r#try: Try::First } => "its turn has come".to_owned(),
            Self::MovesNow { r#try: Try::Again } => "it was told to try again".to_owned(),
            Self::AwaitsContact { .. } => "it was told, and has signed nothing since".to_owned(),
            Self::OnItsWay { .. } => "it has answered, and is at it".to_owned(),
            Self::Late { since } => {
                format!(
                    "it answered, and fell silent; its deadline passed {} ago",
                    ago(since)
                )
            }
            Self::Unreachable { since } => {
                format!("it never answered; its deadline passed {} ago", ago(since))
            }
            Self::Installed { ring } => {
                format!("{version} {does}, and ring {} has not passed", name(ring))
            }
            Self::Failed { failure, code, .. } => format!("it {}: {code}", failure.word()),
            Self::RetriesSpent {
                failure, code, n, ..
            } => format!(
                "it {}: {code}, and was told to try again {}, as often as may be",
                failure.word(),
                times(*n)
            ),
            Self::GoesBackNow => "the rollout is rolling back".to_owned(),
            Self::GoingBack { .. } => "it was told to go back".to_owned(),
            Self::BackLate { since } => {
                format!(
                    "it has not said that it went back; its deadline passed {} ago",
                    ago(since)
                )
            }
            Self::RolledBack => "it is back as it was".to_owned(),
            Self::Done => format!("{version} {does}"),
            Self::Paused => "somebody has paused the rollout".to_owned(),
            Self::Halted { cause } => format!("the rollout has halted: {}", cause.words()),
            Self::Ended { how } => format!("the rollout is {how}, and never came to it"),
        }
    }

    /// What holds it back while its ring is open.
    fn why_held_back(&self) -> String {
        match self {
            Self::ConcurrencyFull { n, max } => {
                format!("{} on the way, at most {max} may be", devices(*n))
            }
            Self::RateLimited { n, max, .. } => {
                format!(
                    "{} told in the last hour, at most {max} may be",
                    devices(*n)
                )
            }
            Self::OutsideWindow { until: Some(_) } => "no maintenance window is open there".into(),
            Self::OutsideWindow { until: None } => "its time zone is not known".to_owned(),
            Self::Metered => "its link is metered, and the policy denies metered links".to_owned(),
            Self::ConstraintFull {
                label,
                value,
                n,
                max,
            } => {
                let n = devices(*n);
                format!("{n} of {label}={value} in change, at most {max} may be")
            }
            Self::Held => "after a restore of the controller it has not shown what it runs".into(),
            _ => self.word().to_owned(),
        }
    }

    /// What comes next, and when.
    #[must_use]
    pub fn next(&self, plan: &Plan, now: UnixSeconds) -> String {
        let within = |until: &UnixSeconds| span(until.0.saturating_sub(now.0));
        match self {
            Self::NotMatched | Self::NotReached | Self::JoinedLate | Self::Gone => {
                "nothing, in this rollout".to_owned()
            }
            Self::Joins => "it joins the last ring with the next plan".to_owned(),
            Self::AwaitsPlanApproval => "approve the plan, or abort it".to_owned(),
            Self::WaitsForRing { ring, .. } => {
                format!("it is told when ring {} opens", plan.ring_name(*ring))
            }
            Self::ConcurrencyFull { .. } => "it is told when one of them has ended".to_owned(),
            Self::RateLimited { until, .. } => format!("one more may in {}", within(until)),
            Self::OutsideWindow { until: Some(until) } => {
                format!("one opens in {}", within(until))
            }
            Self::OutsideWindow { until: None } => {
                "label it with its offset from UTC, or name one in the policy".to_owned()
            }
            Self::Metered => "it is told when it is on another link".to_owned(),
            Self::ConstraintFull { .. } => "it is told when one of them has ended".to_owned(),
            Self::Held => "it is told when it has said hello".to_owned(),
            Self::OtherChange { .. } => "it is told when that has ended".to_owned(),
            Self::OtherSay { .. } => "ask for the other rollout".to_owned(),
            Self::MovesNow { .. } => "it gets its assignment now".to_owned(),
            Self::AwaitsContact { until } => {
                format!(
                    "without a word it counts as unreachable in {}",
                    within(until)
                )
            }
            Self::OnItsWay { until } => {
                format!("without an end it counts as silent in {}", within(until))
            }
            Self::Late { .. } | Self::Unreachable { .. } => {
                "what it signs later still counts; retry tells it anew".to_owned()
            }
            Self::Installed { .. } => "nothing, while its ring holds".to_owned(),
            Self::Failed {
                retries_left: 0, ..
            }
            | Self::RetriesSpent { .. } => "nothing: it may not be told to try again".to_owned(),
            Self::Failed { retries_left, .. } => {
                format!("retry lets it try again, {} at most", times(*retries_left))
            }
            Self::GoesBackNow => match plan.policy.role {
                Role::Serve => "it gets the version before now".to_owned(),
                Role::Shadow => "the shadow is taken off now".to_owned(),
            },
            Self::GoingBack { until } => {
                format!("the rollback waits for it for {} more", within(until))
            }
            Self::BackLate { .. } => "it goes back when it is heard of".to_owned(),
            Self::RolledBack | Self::Done => "nothing".to_owned(),
            Self::Paused => "resume goes on".to_owned(),
            Self::Halted { .. } => "retry, promote, roll back or abort".to_owned(),
            Self::Ended { .. } => "begin a new rollout".to_owned(),
        }
    }
}

impl CauseKind {
    /// In a sentence.
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Failed => "more devices failed than may",
            Self::Silent => "more devices fell silent than may",
            Self::Unreachable => "more devices never answered than may",
            Self::Gate => "a gate failed",
        }
    }
}
