//! Who is told of an incident: by the rules, the webhooks that there are, silences and storms.
//!
//! Never sends anything, and never decides whether an incident is one.

use super::kind::Kind;
use super::rules::{AppliedRules, Webhooks};

/// Whom there is to tell, and by which rules.
#[derive(Debug, Clone, PartialEq)]
pub struct Desk {
    /// The rules that judge from now on.
    pub applied: AppliedRules,
    /// Those who listen.
    pub listeners: Vec<Listener>,
    /// Who this fleet is, as alerts name it: a URI.
    pub source: String,
}

/// Somebody who listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// Their name.
    pub name: String,
    /// To what.
    pub to: Listens,
}

/// What somebody listens to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listens {
    /// Everything that the rules send them.
    All,
    /// Of that, only these.
    Only(Vec<Kind>),
}

/// Whether anybody was told of an incident.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// Not yet.
    Unsaid,
    /// Everybody whom the rules name.
    Told,
    /// Nobody, since the rules name nobody for it, or no webhook listens.
    Nobody,
    /// Nobody, since it was silenced.
    Silenced,
    /// Nobody, since the incident of a storm stands for it.
    Storm,
}

/// What is to be done about an incident that is not told yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Telling {
    /// Tell of it.
    Tell,
    /// Tell nobody: it is silenced.
    Silence,
    /// Tell of the storm instead.
    Storm,
    /// Nothing: that was settled before.
    Nothing,
}

impl Desk {
    /// The webhooks that are told of a kind, by name, each once.
    #[must_use]
    pub fn audience(&self, kind: Kind) -> Vec<&str> {
        let routes = self.applied.rules.alerts.iter();
        let routes: Vec<_> = routes
            .filter(|route| route.causes.contains(&kind))
            .collect();
        let wanted = |name: &str| {
            routes.iter().any(|route| match &route.webhooks {
                Webhooks::All => true,
                Webhooks::Named(names) => names.iter().any(|one| one == name),
            })
        };
        let listeners = self.listeners.iter();
        let told = listeners.filter(|one| one.to.hears(kind) && wanted(&one.name));
        told.map(|one| one.name.as_str()).collect()
    }

    /// Webhooks that the rules name and that do not exist here, each once.
    #[must_use]
    pub fn unknown_webhooks(&self) -> Vec<&str> {
        let known = |name: &str| self.listeners.iter().any(|one| one.name == name);
        let routes = self.applied.rules.alerts.iter();
        let mut unknown: Vec<&str> = routes
            .flat_map(|route| match &route.webhooks {
                Webhooks::All => &[],
                Webhooks::Named(names) => names.as_slice(),
            })
            .map(String::as_str)
            .filter(|name| !known(name))
            .collect();
        unknown.sort_unstable();
        unknown.dedup();
        unknown
    }
}

impl Listens {
    /// Whether they hear of a kind.
    #[must_use]
    pub fn hears(&self, kind: Kind) -> bool {
        match self {
            Self::All => true,
            Self::Only(kinds) => kinds.contains(&kind),
        }
    }
}

impl Told {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Unsaid,
        Self::Told,
        Self::Nobody,
        Self::Silenced,
        Self::Storm,
    ];

    /// As stores have it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unsaid => "unsaid",
            Self::Told => "told",
            Self::Nobody => "nobody",
            Self::Silenced => "silenced",
            Self::Storm => "storm",
        }
    }
}

/// What to do about an incident that stands as `told`; `others` are incidents of the last hour
/// that were told, or would have been. An incident whose silence has ended is told late.
#[must_use]
pub fn tell(told: Told, is_silenced: bool, others: u32, per_hour_max: u32) -> Telling {
    match told {
        Told::Told | Told::Nobody | Told::Storm => Telling::Nothing,
        Told::Silenced if is_silenced => Telling::Nothing,
        Told::Unsaid if is_silenced => Telling::Silence,
        Told::Unsaid | Told::Silenced if others >= per_hour_max => Telling::Storm,
        Told::Unsaid | Told::Silenced => Telling::Tell,
    }
}

/// Up to where the last finding of an incident must lie, so that it closes when the watch has looked
/// for `watched_s` seconds altogether. Only what was looked at can have been quiet. None at the
/// beginning: nothing was quiet for so long.
#[must_use]
pub fn closing(quiet_s: u64, watched_s: u64) -> Option<u64> {
    watched_s.checked_sub(quiet_s)
}

#[cfg(test)]
mod tests {
    use super::super::rules::{Route, Rules};
    use super::*;
    use crate::finding::Cause;

    const STUCK: Kind = Kind::Drift(Cause::Stuck);

    fn desk(routes: Vec<Route>) -> Desk {
        let named = |name: &str, to: Listens| Listener {
            name: name.to_owned(),
            to,
        };
        Desk {
            applied: AppliedRules {
                rules: Rules {
                    alerts: routes,
                    ..Rules::default()
                },
                ..AppliedRules::default()
            },
            listeners: vec![
                named("all", Listens::All),
                named("stuck", Listens::Only(vec![STUCK])),
            ],
            source: "muster:test".to_owned(),
        }
    }

    fn route(causes: &[Kind], webhooks: Webhooks) -> Route {
        Route {
            causes: causes.to_vec(),
            webhooks,
        }
    }

    #[test]
    fn the_rules_and_the_webhook_must_both_want_it() {
        let named =
            |names: &[&str]| Webhooks::Named(names.iter().map(|&name| name.to_owned()).collect());
        let check = |routes: Vec<Route>, kind: Kind, expect: &[&str]| {
            assert_eq!(desk(routes.clone()).audience(kind), expect, "{routes:?}");
        };
        let absent = Kind::Drift(Cause::Absent);
        check(vec![], STUCK, &[]);
        check(
            vec![route(&[STUCK], Webhooks::All)],
            STUCK,
            &["all", "stuck"],
        );
        check(vec![route(&[STUCK], Webhooks::All)], absent, &[]);
        check(vec![route(&[absent], Webhooks::All)], absent, &["all"]);
        check(vec![route(&[absent], named(&["stuck"]))], absent, &[]);
        let twice = vec![
            route(&[STUCK], named(&["stuck", "gone"])),
            route(&[STUCK], named(&["stuck"])),
        ];
        check(twice.clone(), STUCK, &["stuck"]);
        assert_eq!(desk(twice).unknown_webhooks(), ["gone"]);
    }

    #[test]
    fn each_incident_is_told_at_most_once_and_a_silenced_one_when_the_silence_has_ended() {
        let check = |told, is_silenced, others, expect| {
            let found = tell(told, is_silenced, others, 20);
            assert_eq!(found, expect, "{told:?} {is_silenced} {others}");
        };
        check(Told::Unsaid, false, 0, Telling::Tell);
        check(Told::Unsaid, false, 19, Telling::Tell);
        check(Told::Unsaid, false, 20, Telling::Storm);
        check(Told::Unsaid, true, 20, Telling::Silence);
        check(Told::Silenced, true, 0, Telling::Nothing);
        check(Told::Silenced, false, 0, Telling::Tell);
        check(Told::Silenced, false, 20, Telling::Storm);
        for is_silenced in [false, true] {
            check(Told::Told, is_silenced, 0, Telling::Nothing);
            check(Told::Nobody, is_silenced, 0, Telling::Nothing);
            check(Told::Storm, is_silenced, 0, Telling::Nothing);
        }
    }

    #[test]
    fn nothing_was_quiet_before_anybody_looked() {
        assert_eq!(closing(10, 9), None);
        assert_eq!(closing(10, 25), Some(15));
    }
}
