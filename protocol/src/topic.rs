//! The topics of design section 6: who may say what where, built and parsed in one place.
//!
//! Never a wildcard but in the two filters that a device subscribes to.

use crate::id::DeviceId;
use crate::limits::TOPIC_BYTES_MAX;
use core::fmt::Write;

/// A topic or filter, ready for the broker.
pub type TopicText = heapless::String<TOPIC_BYTES_MAX>;

/// First levels of every topic. An operator may choose another prefix of at most two levels.
pub const PREFIX: &str = "muster/v1";

/// Client id of the controller; outside the grammar of [`DeviceId`].
pub const CONTROLLER: &str = "_fleet";

/// What a device says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Up {
    /// Retained hint and last will: online, agent version.
    Status,
    /// Signed: accepted assignment, metadata versions, streams, nonce.
    Hello,
    /// Signed: receipts and windows.
    Doc,
    /// Signed: metadata and pieces that the device wants.
    Fetch,
    /// The assignment that it accepted, as the director signed it, when it is asked for it.
    Assignment,
}

/// What the fleet says to a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Down {
    /// Signed, retained as a hint: desired state.
    Assignment,
    /// A piece, a metadata document, or that there is none.
    Piece,
    /// Signed: what the fleet has stored of a stream.
    Ack,
    /// Signed: the time, against a nonce.
    Time,
}

impl Up {
    /// Every topic of this direction.
    pub const ALL: [Self; 5] = [
        Self::Status,
        Self::Hello,
        Self::Doc,
        Self::Fetch,
        Self::Assignment,
    ];

    /// Last level of the topic.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::Hello => "hello",
            Self::Doc => "doc",
            Self::Fetch => "fetch",
            Self::Assignment => "assignment",
        }
    }

    /// Reads the last level of a topic.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|up| up.as_str() == text)
    }
}

impl Down {
    /// Every topic of this direction.
    pub const ALL: [Self; 4] = [Self::Assignment, Self::Piece, Self::Ack, Self::Time];

    /// Last level of the topic.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Assignment => "assignment",
            Self::Piece => "piece",
            Self::Ack => "ack",
            Self::Time => "time",
        }
    }

    /// Reads the last level of a topic.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|down| down.as_str() == text)
    }
}

/// `{prefix}/{device}/up/{what}`.
#[must_use]
pub fn up(prefix: &str, device: &DeviceId, what: Up) -> TopicText {
    text(format_args!("{prefix}/{device}/up/{}", what.as_str()))
}

/// `{prefix}/{device}/down/{what}`.
#[must_use]
pub fn down(prefix: &str, device: &DeviceId, what: Down) -> TopicText {
    text(format_args!("{prefix}/{device}/down/{}", what.as_str()))
}

/// The retained hint that new metadata exists: `{prefix}/_/timestamp`.
#[must_use]
pub fn timestamp(prefix: &str) -> TopicText {
    text(format_args!("{prefix}/_/timestamp"))
}

/// The two filters that a device reads.
#[must_use]
pub fn filters(prefix: &str, device: &DeviceId) -> [TopicText; 2] {
    [
        text(format_args!("{prefix}/{device}/down/#")),
        text(format_args!("{prefix}/_/#")),
    ]
}

/// Reads `{prefix}/{device}/up/{what}`.
#[must_use]
pub fn parse_up(prefix: &str, topic: &str) -> Option<(DeviceId, Up)> {
    let (device, what) = split(prefix, topic, "up")?;
    Some((device, Up::parse(what)?))
}

/// Reads `{prefix}/{device}/down/{what}`.
#[must_use]
pub fn parse_down(prefix: &str, topic: &str) -> Option<(DeviceId, Down)> {
    let (device, what) = split(prefix, topic, "down")?;
    Some((device, Down::parse(what)?))
}

fn split<'a>(prefix: &str, topic: &'a str, direction: &str) -> Option<(DeviceId, &'a str)> {
    let rest = topic.strip_prefix(prefix)?.strip_prefix('/')?;
    let (device, rest) = rest.split_once('/')?;
    let what = rest.strip_prefix(direction)?.strip_prefix('/')?;
    Some((DeviceId::parse(device).ok()?, what))
}

fn text(arguments: core::fmt::Arguments<'_>) -> TopicText {
    let mut text = TopicText::new();
    // A prefix that is checked to be short leaves room for the longest device id.
    text.write_fmt(arguments)
        .expect("invariant: prefix ≤ 32 bytes, device ≤ 63, rest ≤ 17");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_topic_is_read_as_it_was_built() {
        let device = DeviceId::parse("press-07").expect("valid");
        for what in Up::ALL {
            let topic = up(PREFIX, &device, what);
            assert_eq!(parse_up(PREFIX, &topic), Some((device.clone(), what)));
            assert!(topic.split('/').count() <= crate::limits::TOPIC_LEVELS_MAX);
        }
        for what in Down::ALL {
            let topic = down(PREFIX, &device, what);
            assert_eq!(parse_down(PREFIX, &topic), Some((device.clone(), what)));
        }
    }

    #[test]
    fn other_topics_are_not_ours() {
        for topic in [
            "muster/v1/press-07/up",
            "muster/v1/press-07/up/other",
            "muster/v1/press-07/up/doc/x",
            "muster/v1/_fleet/up/doc",
            "muster/v1/+/up/doc",
            "muster/v2/press-07/up/doc",
            "muster/v1/press-07/down/doc",
            "",
        ] {
            assert_eq!(parse_up(PREFIX, topic), None, "{topic}");
        }
    }

    #[test]
    fn the_longest_device_id_fits() {
        let longest = DeviceId::parse(core::str::from_utf8(&[b'z'; 63]).expect("ASCII"));
        let topic = down(PREFIX, &longest.expect("valid"), Down::Assignment);
        assert!(topic.len() < TOPIC_BYTES_MAX);
    }
}
