//! One vocabulary of states for the whole page: a shape, a colour and a word, never a colour
//! alone.

use crate::controller::DeviceLook;
use crate::standing::{Group, Standing};
use crate::store::Held;

/// How a state is marked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mark {
    /// A symbol of `symbols.html`.
    pub(super) shape: &'static str,
    /// A class of `page.css`, which gives the colour.
    pub(super) class: &'static str,
    /// The word.
    pub(super) word: &'static str,
}

const GOOD: (&str, &str) = ("i-check", "good");
const BUSY: (&str, &str) = ("i-half", "busy");
const LATE: (&str, &str) = ("i-dashes", "late");
const FAILED: (&str, &str) = ("i-cross", "failed");
const QUIET: (&str, &str) = ("i-ring", "faint");

impl Mark {
    const fn new((shape, class): (&'static str, &'static str), word: &'static str) -> Self {
        Self { shape, class, word }
    }

    pub(super) const CONNECTED: Self = Self::new(("i-dot", "good"), "connected");
    pub(super) const OFFLINE: Self = Self::new(QUIET, "offline");
    pub(super) const STALE: Self = Self::new(LATE, "stale");
    pub(super) const NEVER_SEEN: Self = Self::new(QUIET, "never seen");
    pub(super) const HELD: Self = Self::new(LATE, "held");
    pub(super) const DEVICES: Self = Self::new(("i-dot", "faint"), "devices");
    pub(super) const INCIDENTS: Self = Self::new(("i-bang", "late"), "incidents");

    /// Of a group of standings.
    pub(super) const fn group(group: Group) -> Self {
        match group {
            Group::OnDesired => Self::new(GOOD, "on desired"),
            Group::InProgress => Self::new(BUSY, "in progress"),
            Group::Behind => Self::new(LATE, "behind"),
            Group::Failed => Self::new(FAILED, "failed"),
        }
    }

    /// Of one model on one device.
    pub(super) const fn standing(standing: Standing) -> Self {
        match standing {
            Standing::OnDesired => Self::new(GOOD, "on desired"),
            Standing::Probation => Self::new(BUSY, "on probation"),
            Standing::Staged => Self::new(BUSY, "staged"),
            Standing::Fetching => Self::new(BUSY, "fetching"),
            Standing::Offered => Self::new(BUSY, "offered"),
            Standing::Leaving => Self::new(BUSY, "leaving"),
            Standing::Waiting => Self::new(LATE, "waiting"),
            Standing::Refused => Self::new(FAILED, "refused"),
            Standing::Reverted => Self::new(FAILED, "reverted"),
            Standing::Degraded => Self::new(FAILED, "degraded"),
            Standing::RevokedNoFallback => Self::new(FAILED, "revoked, still serving"),
            Standing::Stopped => Self::new(FAILED, "stopped"),
            Standing::Gone => Self::new(QUIET, "removed"),
        }
    }

    /// Of a device's connection.
    pub(super) const fn connection(look: &DeviceLook) -> Self {
        match look.heard_at {
            _ if look.device.connected => Self::CONNECTED,
            None => Self::NEVER_SEEN,
            Some(_) if look.is_stale => Self::STALE,
            Some(_) => Self::OFFLINE,
        }
    }

    /// Of an incident, by the name of its kind.
    pub(super) fn incident(kind: &str) -> Self {
        let word = match kind {
            "clone" => "clone",
            "controller_behind" => "controller behind",
            "unknown_epoch" => "unknown epoch",
            "not_composed" => "not composed",
            "stream_lost" => "stream lost",
            "not_adopted" => "not adopted",
            "release_missing" => "release missing",
            "metadata_behind" => "metadata behind",
            "stuck" => "stuck",
            "out_of_range" => "out of range",
            "absent" => "absent",
            "calibration" => "calibration",
            "bad_device" => "bad device",
            "real_drift" => "real drift",
            "regression" => "regression",
            "model_mismatch" => "model mismatch",
            "benign" => "benign",
            "unplaced" => "unplaced",
            "estimated_quality_drop" => "estimated quality drop",
            "measured_quality_drop" => "measured quality drop",
            "storm" => "storm",
            _ => "other",
        };
        Self::new(("i-bang", "late"), word)
    }
}

/// Why nothing is told to a device that is held.
pub(super) fn held_because(held: &Held) -> &'static str {
    match held.waits_for {
        "hello" => "until it connects and proves itself anew",
        "assignment" => "until it shows what it has accepted",
        _ => "until the operator decides: muster device show",
    }
}

/// What a standing means, in a sentence after its word.
pub(super) fn sentence(
    standing: Standing,
    desired: Option<&str>,
    active: Option<&str>,
    connection: Mark,
) -> Option<String> {
    let serves = active.map(|version| format!("{version} serves"));
    let meanwhile = |then: &str| match &serves {
        Some(serves) => format!("{serves} meanwhile{then}"),
        None => format!("nothing serves yet{then}"),
    };
    let wanted = desired.unwrap_or("–");
    Some(match standing {
        Standing::OnDesired | Standing::Gone => return None,
        Standing::Probation => format!("{wanted} serves and must prove itself"),
        Standing::Staged | Standing::Fetching | Standing::Offered => meanwhile(""),
        Standing::Leaving => "nothing is wanted here any more".to_owned(),
        Standing::Waiting if connection == Mark::CONNECTED => {
            meanwhile(&format!("; no word about {wanted} yet"))
        }
        Standing::Waiting => meanwhile("; it hears of it when it connects"),
        Standing::Refused => match serves {
            Some(serves) => format!("{wanted} never served; {serves}"),
            None => format!("{wanted} never served"),
        },
        Standing::Reverted => match serves {
            Some(serves) => format!("{wanted} failed; {serves} again"),
            None => format!("{wanted} failed"),
        },
        Standing::Degraded => format!("{wanted} fails and there is nothing to go back to"),
        Standing::RevokedNoFallback => "there is nothing to go back to".to_owned(),
        Standing::Stopped => "revoked: nothing serves".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_says_what_serves_meanwhile() {
        let check = |standing, active, connection, expect: Option<&str>| {
            let said = sentence(standing, Some("2.0.0"), active, connection);
            assert_eq!(said.as_deref(), expect);
        };
        let (one, here) = (Some("1.0.0"), Mark::CONNECTED);
        check(Standing::OnDesired, Some("2.0.0"), here, None);
        check(
            Standing::Fetching,
            one,
            here,
            Some("1.0.0 serves meanwhile"),
        );
        check(Standing::Fetching, None, here, Some("nothing serves yet"));
        let no_word = "1.0.0 serves meanwhile; no word about 2.0.0 yet";
        check(Standing::Waiting, one, here, Some(no_word));
        let away = "nothing serves yet; it hears of it when it connects";
        check(Standing::Waiting, None, Mark::OFFLINE, Some(away));
        check(
            Standing::Reverted,
            one,
            here,
            Some("2.0.0 failed; 1.0.0 serves again"),
        );
        check(Standing::Refused, None, here, Some("2.0.0 never served"));
    }
}
