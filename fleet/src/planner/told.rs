//! How far a rollout has come on a device, from what it was told and what it has signed since.
//!
//! Pure. Only what a device has signed about the entry that the rollout made for it is progress of
//! that rollout; what it says of earlier ones is not.

use muster_protocol::id::{EpochGeneration, Version};
use muster_protocol::time::UnixSeconds;

use super::inventory::{Failure, Progress};

/// What a rollout has told a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// In which ring it was.
    pub ring: u32,
    /// When.
    pub at: UnixSeconds,
    /// When it signed something for the first time after that.
    pub contact_at: Option<UnixSeconds>,
    /// Place of the entry.
    pub since: EpochGeneration,
    /// How often it was told again.
    pub retries: u8,
    /// What it ran before.
    pub previous: Option<Version>,
    /// That it goes back, if it was told so.
    pub back: Option<ToldBack>,
}

/// That a device goes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ToldBack {
    /// When it was told.
    pub at: UnixSeconds,
    /// When it signed something for the first time after that.
    pub contact_at: Option<UnixSeconds>,
    /// Place of the entry, or of the assignment without one.
    pub since: EpochGeneration,
}

/// What the last receipt of a model says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// About which version.
    pub version: Version,
    /// The step.
    pub step: String,
    /// Why.
    pub reason: Option<String>,
    /// About which entry.
    pub since: EpochGeneration,
}

/// How far it has come; `accepted` is the assignment that the device has accepted.
#[must_use]
pub fn progress(
    told: Option<&Told>,
    said: Option<&Said>,
    accepted: Option<EpochGeneration>,
    version: &Version,
) -> Progress {
    let Some(told) = told else {
        return Progress::NotDispatched;
    };
    if let Some(back) = told.back {
        return going_back(told, back, said, accepted);
    }
    let about_it = said.filter(|said| said.since >= told.since && said.version == *version);
    let failed = |failure, said: &Said| Progress::Failed {
        failure,
        code: said.reason.clone().unwrap_or_else(|| said.step.clone()),
    };
    match about_it.map(|said| (said.step.as_str(), said)) {
        // A shadow is as far as it ever comes when it runs.
        Some(("committed" | "recovered" | "shadowing", _)) => Progress::Committed,
        Some(("refused", said)) => failed(Failure::Refused, said),
        Some(("reverted", said)) => failed(Failure::Reverted, said),
        Some(("degraded" | "revoked_no_fallback" | "stopped", said)) => {
            failed(Failure::Degraded, said)
        }
        Some(_) | None => Progress::Dispatched {
            at: told.at,
            first_contact: told.contact_at,
        },
    }
}

/// A device is back when it has said so of the version before; where there was none, when it has
/// removed the model, or has accepted the assignment without it.
fn going_back(
    told: &Told,
    back: ToldBack,
    said: Option<&Said>,
    accepted: Option<EpochGeneration>,
) -> Progress {
    let is_back = match &told.previous {
        None => {
            let removed = said.filter(|said| said.step == "removed");
            let removed = removed.is_some_and(|said| said.since >= told.since);
            removed || accepted.is_some_and(|accepted| accepted >= back.since)
        }
        Some(previous) => said.is_some_and(|said| {
            let settled = matches!(said.step.as_str(), "active" | "committed" | "recovered");
            settled && said.since >= back.since && said.version == *previous
        }),
    };
    match is_back {
        true => Progress::Back,
        false => Progress::GoingBack {
            at: back.at,
            first_contact: back.contact_at,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: UnixSeconds = UnixSeconds(100);

    fn version(text: &str) -> Version {
        Version::parse(text).expect("valid")
    }

    fn place(generation: u64) -> EpochGeneration {
        EpochGeneration::new(1, generation)
    }

    fn told(previous: Option<&str>, back: Option<u64>) -> Told {
        Told {
            ring: 0,
            at: AT,
            contact_at: None,
            since: place(5),
            retries: 0,
            previous: previous.map(version),
            back: back.map(|generation| ToldBack {
                at: AT,
                contact_at: Some(AT),
                since: place(generation),
            }),
        }
    }

    fn said(step: &str, text: &str, generation: u64) -> Said {
        Said {
            version: version(text),
            step: step.to_owned(),
            reason: Some("trial_error".to_owned()),
            since: place(generation),
        }
    }

    #[test]
    fn only_what_is_said_of_the_entry_is_progress() {
        let check = |said: Option<Said>, expect: Progress| {
            let told = told(Some("1.0.0"), None);
            let found = progress(Some(&told), said.as_ref(), None, &version("2.0.0"));
            assert_eq!(found, expect, "{said:?}");
        };
        let waits = || Progress::Dispatched {
            at: AT,
            first_contact: None,
        };
        let failed = |failure| Progress::Failed {
            failure,
            code: "trial_error".to_owned(),
        };
        check(None, waits());
        check(Some(said("committed", "1.0.0", 5)), waits());
        check(Some(said("committed", "2.0.0", 4)), waits());
        check(Some(said("staged", "2.0.0", 5)), waits());
        check(Some(said("committed", "2.0.0", 5)), Progress::Committed);
        check(Some(said("recovered", "2.0.0", 6)), Progress::Committed);
        check(Some(said("shadowing", "2.0.0", 5)), Progress::Committed);
        check(Some(said("refused", "2.0.0", 5)), failed(Failure::Refused));
        check(
            Some(said("reverted", "2.0.0", 5)),
            failed(Failure::Reverted),
        );
        check(
            Some(said("degraded", "2.0.0", 5)),
            failed(Failure::Degraded),
        );
    }

    #[test]
    fn a_device_is_back_when_it_has_said_so() {
        let check = |previous: Option<&str>, said: Option<Said>, accepted: u64, expect: bool| {
            let told = told(previous, Some(9));
            let accepted = Some(place(accepted));
            let found = progress(Some(&told), said.as_ref(), accepted, &version("2.0.0"));
            assert_eq!(found == Progress::Back, expect, "{said:?} {accepted:?}");
        };
        check(Some("1.0.0"), None, 9, false);
        check(Some("1.0.0"), Some(said("committed", "1.0.0", 5)), 9, false);
        check(Some("1.0.0"), Some(said("committed", "2.0.0", 9)), 9, false);
        check(Some("1.0.0"), Some(said("offered", "1.0.0", 9)), 9, false);
        check(Some("1.0.0"), Some(said("committed", "1.0.0", 9)), 9, true);
        check(None, None, 8, false);
        check(None, None, 9, true);
        check(None, Some(said("removed", "2.0.0", 5)), 8, true);
        check(None, Some(said("removed", "2.0.0", 4)), 8, false);
    }
}
