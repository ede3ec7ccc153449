//! The retained messages, in memory and bounded: the library's default keeps none.
//!
//! Hints only: what is lost with the process is published again by the fleet. Never evicts,
//! since a message that vanished silently would be worse than one that was refused.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use rmqtt::retain::RetainStorage;
use rmqtt::types::{Retain, TopicFilter, TopicName};

use super::hooks::STATUS_BYTES_MAX;
use crate::broker::access::{Access, is_topic};

/// Retained topics for each session: status, assignment and room.
const TOPICS_PER_SESSION: usize = 4;
/// Retained topics that even a small fleet may have.
const TOPICS_MIN: usize = 1024;
/// Average size of a retained message, names included, that there is room for.
const MESSAGE_BYTES: usize = 4096;

pub(super) struct Retained {
    access: Access,
    topics_max: usize,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    messages: BTreeMap<String, Retain>,
    size_bytes: usize,
}

impl Retained {
    pub(super) fn new(access: Access, sessions_max: usize) -> Self {
        let topics_max = sessions_max
            .saturating_mul(TOPICS_PER_SESSION)
            .max(TOPICS_MIN);
        Self {
            access,
            topics_max,
            kept: Mutex::default(),
        }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Devices may leave only a small status behind.
    fn may_keep(&self, topic: &str, message: &Retain) -> bool {
        message.from.is_system()
            || message.publish.payload.len() <= STATUS_BYTES_MAX
                && self.access.is_status(&message.from.id.client_id, topic)
    }
}

impl Kept {
    fn set(&mut self, topic: &str, message: Retain, topics_max: usize) -> Result<(), String> {
        let freed_bytes = self
            .messages
            .get(topic)
            .map_or(0, |old| size_bytes(topic, old));
        if message.publish.payload.is_empty() {
            self.messages.remove(topic);
            self.size_bytes -= freed_bytes;
            return Ok(());
        }
        let size_bytes = self.size_bytes - freed_bytes + size_bytes(topic, &message);
        if freed_bytes == 0 && self.messages.len() >= topics_max {
            return Err(format!("{topics_max} topics are retained already"));
        }
        if size_bytes > topics_max.saturating_mul(MESSAGE_BYTES) {
            return Err(format!("{} bytes are retained already", self.size_bytes));
        }
        self.messages.insert(topic.to_owned(), message);
        self.size_bytes = size_bytes;
        Ok(())
    }

    /// Finds by the only filters that are granted: a topic, or all below one.
    fn get(&self, filter: &str) -> Vec<(TopicName, Retain)> {
        let named = |(topic, message): (&String, &Retain)| (topic.clone().into(), message.clone());
        match filter.strip_suffix('#') {
            None => self
                .messages
                .get_key_value(filter)
                .map(named)
                .into_iter()
                .collect(),
            Some(below) if below.ends_with('/') && is_topic(below) => self
                .messages
                .range(below.to_owned()..)
                .take_while(|(topic, _)| topic.starts_with(below))
                .map(named)
                .collect(),
            Some(_) => Vec::new(),
        }
    }
}

fn size_bytes(topic: &str, message: &Retain) -> usize {
    topic.len() + message.publish.payload.len()
}

#[async_trait]
impl RetainStorage for Retained {
    fn enable(&self) -> bool {
        true
    }

    async fn set(
        &self,
        topic: &TopicName,
        message: Retain,
        _expires: Option<Duration>,
    ) -> rmqtt::Result<()> {
        if !self.may_keep(topic, &message) {
            return Ok(());
        }
        let from_device = !message.from.is_system();
        match self.kept().set(topic, message, self.topics_max) {
            // Its document is stored: a hint that finds no room must not disconnect it.
            Err(because) if from_device => {
                tracing::warn!(%topic, "not retained: because {because}")
            }
            result => result.map_err(rmqtt::Error::msg)?,
        }
        Ok(())
    }

    async fn get(&self, filter: &TopicFilter) -> rmqtt::Result<Vec<(TopicName, Retain)>> {
        Ok(self.kept().get(filter))
    }

    async fn count(&self) -> isize {
        isize::try_from(self.kept().messages.len()).unwrap_or(isize::MAX)
    }

    async fn max(&self) -> isize {
        isize::try_from(self.topics_max).unwrap_or(isize::MAX)
    }
}

#[cfg(test)]
mod tests {
    use rmqtt::types::{From as Origin, Id};

    use super::*;

    fn message(payload: &[u8], origin: fn(Id) -> Origin) -> Retain {
        let publish = super::super::message("t", payload.to_vec(), super::super::Retain::Yes);
        let from = origin(Id::from(1, "press-1".into()));
        Retain {
            msg_id: None,
            from,
            publish: publish.into(),
        }
    }

    fn of_fleet(payload: &[u8]) -> Retain {
        message(payload, Origin::from_system)
    }

    #[test]
    fn filters_find_what_they_should() {
        let mut kept = Kept::default();
        for topic in ["a/down/x", "a/down/y", "a/down", "a/downy", "b/down/x"] {
            kept.set(topic, of_fleet(b"1"), 9).expect("there is room");
        }
        let check = |filter: &str, expect: &[&str]| {
            let found = kept.get(filter);
            let topics: Vec<&str> = found.iter().map(|(topic, _)| &**topic).collect();
            assert_eq!(topics, expect, "{filter}");
        };
        check("a/down/x", &["a/down/x"]);
        check("a/down/#", &["a/down/x", "a/down/y"]);
        check("a/down/z", &[]);
        check("#", &[]);
        check("+/down/#", &[]);
    }

    #[test]
    fn room_is_bounded_and_freed() {
        let mut kept = Kept::default();
        kept.set("a", of_fleet(b"1"), 2)
            .expect("room for the first");
        kept.set("b", of_fleet(b"1"), 2)
            .expect("room for the second");
        assert!(kept.set("c", of_fleet(b"1"), 2).is_err(), "a third topic");
        kept.set("b", of_fleet(b"22"), 2)
            .expect("a topic may change");
        assert_eq!(kept.size_bytes, 5);
        assert!(
            kept.set("b", of_fleet(&[0; 3 * MESSAGE_BYTES]), 2).is_err(),
            "too many bytes"
        );
        kept.set("a", of_fleet(b""), 2)
            .expect("an empty payload clears");
        kept.set("a", of_fleet(b""), 2)
            .expect("clearing twice is fine");
        kept.set("c", of_fleet(b"1"), 2).expect("room again");
        assert_eq!((kept.messages.len(), kept.size_bytes), (2, 5));
    }

    #[test]
    fn a_device_keeps_only_a_small_status_of_its_own() {
        let access = Access::new("m").expect("the prefix is plain");
        let retained = Retained::new(access, 1);
        let check = |topic: &str, size_bytes: usize, expect: bool| {
            let message = message(&vec![1; size_bytes], Origin::from_custom);
            assert_eq!(retained.may_keep(topic, &message), expect, "{topic}");
            let will = self::message(&vec![1; size_bytes], Origin::from_lastwill);
            assert_eq!(retained.may_keep(topic, &will), expect, "will on {topic}");
        };
        check("m/press-1/up/status", STATUS_BYTES_MAX, true);
        check("m/press-1/up/status", STATUS_BYTES_MAX + 1, false);
        check("m/press-1/up/doc", 1, false);
        check("m/press-2/up/status", 1, false);
    }
}
