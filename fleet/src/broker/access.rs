//! Which topics a device may write and read: its own, by literal comparison.
//!
//! Knows names only: never a connection, a message or the broker's library.

use muster_protocol::limits::TOPIC_BYTES_MAX;
use muster_protocol::topic::{self, Up};

use super::BrokerError;

/// Longest prefix in bytes: with it the longest topic still fits.
const PREFIX_BYTES_MAX: usize = 32;
/// Most levels of a prefix.
const PREFIX_LEVELS_MAX: usize = 2;
/// In the place of a device: what every device may read. Outside the grammar of device ids.
const EVERYONE: &str = "_";

/// The topic rules under one prefix.
#[derive(Debug, Clone)]
pub(super) struct Access {
    prefix: String,
}

impl Access {
    /// Rules for `{prefix}/{device}/…`.
    pub(super) fn new(prefix: &str) -> Result<Self, BrokerError> {
        let plain = is_topic(prefix) && prefix.split('/').all(|level| !level.is_empty());
        let short =
            prefix.len() <= PREFIX_BYTES_MAX && prefix.split('/').count() <= PREFIX_LEVELS_MAX;
        if !plain || !short || prefix.starts_with('$') {
            return Err(BrokerError::Prefix {
                prefix: prefix.to_owned(),
            });
        }
        Ok(Self {
            prefix: prefix.to_owned(),
        })
    }

    /// What `device` would say on `topic`, if it may publish there.
    pub(super) fn channel(&self, device: &str, topic: &str) -> Option<Up> {
        let (owner, channel) = topic::parse_up(&self.prefix, topic)?;
        (owner.as_str() == device).then_some(channel)
    }

    /// Whether `topic` is the one that `device` may retain and leave a last will on.
    pub(super) fn is_status(&self, device: &str, topic: &str) -> bool {
        self.channel(device, topic) == Some(Up::Status)
    }

    /// Whether `device` may subscribe to `filter`: a topic of its own `down/` or of `_/`, or
    /// all of either. No other wildcard is understood, and so none is granted.
    pub(super) fn may_subscribe(&self, device: &str, filter: &str) -> bool {
        let own = self
            .below(device, filter)
            .and_then(|rest| rest.strip_prefix("down/"));
        let inside = own.or_else(|| self.below(EVERYONE, filter));
        filter.len() <= TOPIC_BYTES_MAX && inside.is_some_and(|rest| rest == "#" || is_topic(rest))
    }

    fn below<'t>(&self, owner: &str, topic: &'t str) -> Option<&'t str> {
        let rest = topic.strip_prefix(&self.prefix)?.strip_prefix('/')?;
        rest.strip_prefix(owner)?.strip_prefix('/')
    }
}

/// Whether `text` names a topic, as a filter with wildcards does not (MQTT 3.1.1, 4.7).
pub(super) fn is_topic(text: &str) -> bool {
    !text.is_empty() && text.len() <= TOPIC_BYTES_MAX && !text.contains(['+', '#', '\0'])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access() -> Access {
        Access::new("muster/v1").expect("the prefix is plain")
    }

    #[test]
    fn a_device_writes_its_five_channels() {
        let check = |topic: &str, expect: Option<Up>| {
            assert_eq!(access().channel("press-1", topic), expect, "{topic}");
        };
        check("muster/v1/press-1/up/status", Some(Up::Status));
        check("muster/v1/press-1/up/hello", Some(Up::Hello));
        check("muster/v1/press-1/up/doc", Some(Up::Doc));
        check("muster/v1/press-1/up/fetch", Some(Up::Fetch));
        check("muster/v1/press-1/up/assignment", Some(Up::Assignment));
        check("muster/v1/press-1/up/other", None);
        check("muster/v1/press-1/up/doc/x", None);
        check("muster/v1/press-1/up/doc?a=b", None);
        check("muster/v1/press-1/up/", None);
        check("muster/v1/press-1/down/ack", None);
        check("muster/v1/press-2/up/doc", None);
        check("muster/v1/press-11/up/doc", None);
        check("muster/v1/_/up/doc", None);
        check("/muster/v1/press-1/up/doc", None);
        check("muster/v1//press-1/up/doc", None);
        check("$share/g/muster/v1/press-1/up/doc", None);
    }

    #[test]
    fn a_device_reads_what_is_sent_down_to_it_and_to_everyone() {
        let check = |filter: &str, expect: bool| {
            assert_eq!(
                access().may_subscribe("press-1", filter),
                expect,
                "{filter}"
            );
        };
        check("muster/v1/press-1/down/#", true);
        check("muster/v1/press-1/down/ack", true);
        check("muster/v1/_/#", true);
        check("muster/v1/_/timestamp", true);
        check("muster/v1/press-1/down/+", false);
        check("muster/v1/press-1/down/a/#", false);
        check("muster/v1/press-1/down/", false);
        check("muster/v1/press-1/down", false);
        check("muster/v1/press-1/#", false);
        check("muster/v1/press-1/up/#", false);
        check("muster/v1/press-2/down/#", false);
        check("muster/v1/+/down/#", false);
        check("muster/v1/_/+", false);
        check("muster/v1/#", false);
        check("#", false);
        check("+/+/+/+/+", false);
        check("$SYS/#", false);
        check("$share/g/muster/v1/press-1/down/#", false);
        check(
            &format!("muster/v1/press-1/down/{}", "x".repeat(TOPIC_BYTES_MAX)),
            false,
        );
    }

    #[test]
    fn only_its_status_may_stay_behind() {
        assert!(access().is_status("press-1", "muster/v1/press-1/up/status"));
        assert!(!access().is_status("press-1", "muster/v1/press-1/up/doc"));
        assert!(!access().is_status("press-1", "muster/v1/press-2/up/status"));
    }

    #[test]
    fn a_prefix_is_plain_levels() {
        let check = |prefix: &str, expect: bool| {
            assert_eq!(Access::new(prefix).is_ok(), expect, "{prefix}");
        };
        check("muster/v1", true);
        check("site-4", true);
        check("", false);
        check("muster/v1/", false);
        check("/muster", false);
        check("muster//v1", false);
        check("muster/+", false);
        check("muster/#", false);
        check("a/b/c", false);
        check(&"x".repeat(PREFIX_BYTES_MAX), true);
        check(&"x".repeat(PREFIX_BYTES_MAX + 1), false);
        check("$SYS", false);
    }
}
