//! Where a model stands on a device, compared with what is wanted there: one word, and the group
//! that fleets are counted by.
//!
//! Pure. The only place that says what counts as failed; pages show it and decide nothing.

/// How a model stands on one device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Standing {
    /// The wanted version serves and has passed its probation.
    OnDesired,
    /// The wanted version serves on probation.
    Probation,
    /// It is on the device, verified, and will be tried.
    Staged,
    /// Its pieces are on their way.
    Fetching,
    /// The device has accepted the assignment.
    Offered,
    /// Nothing is wanted any more, and something still serves.
    Leaving,
    /// The device has said nothing about the wanted version yet.
    Waiting,
    /// The device refused it; it never served.
    Refused,
    /// It served and failed; the version before serves again.
    Reverted,
    /// It fails while serving, and there is nothing to go back to.
    Degraded,
    /// It is revoked, and there is nothing to go back to.
    RevokedNoFallback,
    /// It is revoked and no longer serves.
    Stopped,
    /// Nothing is wanted and nothing serves.
    Gone,
}

/// What standings are counted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Group {
    /// Desired and active agree.
    OnDesired,
    /// The device is at it.
    InProgress,
    /// Nothing was heard of the device about it.
    Behind,
    /// The device has given up, or serves what it should not.
    Failed,
}

impl Group {
    /// All of them, the best first.
    pub(crate) const ALL: [Self; 4] = [
        Self::OnDesired,
        Self::InProgress,
        Self::Behind,
        Self::Failed,
    ];
}

impl Standing {
    /// From what is wanted, what serves, and the last receipt: its version and step.
    pub(crate) fn of(
        desired: Option<&str>,
        active: Option<&str>,
        said: Option<(&str, &str)>,
    ) -> Self {
        let Some(desired) = desired else {
            return if active.is_some() {
                Self::Leaving
            } else {
                Self::Gone
            };
        };
        match said.filter(|(version, _)| *version == desired) {
            Some((_, step)) => Self::of_step(step),
            None if active == Some(desired) => Self::OnDesired,
            None => Self::Waiting,
        }
    }

    /// A step that this program does not know says nothing.
    fn of_step(step: &str) -> Self {
        match step {
            "committed" | "recovered" => Self::OnDesired,
            "active" => Self::Probation,
            "staged" => Self::Staged,
            "fetching" => Self::Fetching,
            "offered" => Self::Offered,
            "refused" => Self::Refused,
            "reverted" => Self::Reverted,
            "degraded" => Self::Degraded,
            "revoked_no_fallback" => Self::RevokedNoFallback,
            "stopped" => Self::Stopped,
            _ => Self::Waiting,
        }
    }

    /// The group that it counts in; none when there is nothing to count.
    pub(crate) fn group(self) -> Option<Group> {
        Some(match self {
            Self::OnDesired => Group::OnDesired,
            Self::Probation | Self::Staged | Self::Fetching | Self::Offered | Self::Leaving => {
                Group::InProgress
            }
            Self::Waiting => Group::Behind,
            Self::Refused
            | Self::Reverted
            | Self::Degraded
            | Self::RevokedNoFallback
            | Self::Stopped => Group::Failed,
            Self::Gone => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_standing_follows_the_last_receipt_about_what_is_wanted() {
        let check = |desired, active, said, expect| {
            assert_eq!(
                Standing::of(desired, active, said),
                expect,
                "{desired:?} {said:?}"
            );
        };
        let (one, two) = (Some("1.0.0"), Some("2.0.0"));
        check(one, None, None, Standing::Waiting);
        check(one, one, Some(("1.0.0", "committed")), Standing::OnDesired);
        check(one, one, Some(("1.0.0", "recovered")), Standing::OnDesired);
        check(two, two, Some(("2.0.0", "active")), Standing::Probation);
        check(two, one, Some(("2.0.0", "fetching")), Standing::Fetching);
        check(two, one, Some(("2.0.0", "reverted")), Standing::Reverted);
        check(one, None, Some(("1.0.0", "stopped")), Standing::Stopped);
        // A new version is wanted: what was said of the one before is past.
        check(two, one, Some(("1.0.0", "committed")), Standing::Waiting);
        check(one, one, Some(("2.0.0", "refused")), Standing::OnDesired);
        check(
            two,
            one,
            Some(("2.0.0", "of a newer agent")),
            Standing::Waiting,
        );
        check(None, one, Some(("1.0.0", "committed")), Standing::Leaving);
        check(None, None, Some(("1.0.0", "removed")), Standing::Gone);
    }

    #[test]
    fn only_what_gave_up_counts_as_failed() {
        let check = |standing: Standing, expect| assert_eq!(standing.group(), expect);
        check(Standing::OnDesired, Some(Group::OnDesired));
        check(Standing::Probation, Some(Group::InProgress));
        check(Standing::Waiting, Some(Group::Behind));
        check(Standing::RevokedNoFallback, Some(Group::Failed));
        check(Standing::Gone, None);
    }
}
