//! What an alert says: events in the structured JSON mode of CloudEvents 1.0.
//!
//! The body is made once, when the event happens: every try and every replay sends the same bytes.

use muster_protocol::digest::Digest;
use muster_protocol::time::UnixSeconds;
use muster_protocol::tuf;
use serde_json::{Value, json};

/// Hexadecimal digits of an id: 128 bits.
const ID_DIGITS: usize = 32;

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventType {
    /// An incident was opened.
    IncidentOpened,
    /// One that was told has closed.
    IncidentClosed,
    /// A retrain is asked for.
    RetrainRequested,
    /// Somebody tries whether alerts arrive.
    AlertTest,
}

/// An event, ready to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Its id: the same for each try and each webhook.
    pub id: String,
    /// What happened.
    pub kind: EventType,
    /// The body.
    pub body: String,
}

impl EventType {
    /// The attribute `type`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::IncidentOpened => "dev.muster.incident.opened",
            Self::IncidentClosed => "dev.muster.incident.closed",
            Self::RetrainRequested => "dev.muster.retrain.requested",
            Self::AlertTest => "dev.muster.alert.test",
        }
    }
}

impl Event {
    /// An event of `source` about `subject`, such as `incidents/7`. Two with the same words at the
    /// same time are one event.
    #[must_use]
    pub fn new(
        kind: EventType,
        source: &str,
        subject: &str,
        at: UnixSeconds,
        data: &Value,
    ) -> Self {
        let text = data.to_string();
        let named = format!("{}\n{source}\n{subject}\n{}\n{text}", kind.as_str(), at.0);
        let digest = Digest::of(named.as_bytes());
        let digits: String = digest.hex().to_string().chars().take(ID_DIGITS).collect();
        let id = format!("evt_{digits}");
        let body = json!({
            "specversion": "1.0",
            "id": id,
            "source": source,
            "type": kind.as_str(),
            "subject": subject,
            "time": tuf::date_time(at.0),
            "datacontenttype": "application/json",
            "data": data,
        });
        Self {
            id,
            kind,
            body: body.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_has_what_cloudevents_requires_and_its_own_id() {
        let event = |subject: &str, at: u64| {
            let data = json!({ "incident": 7 });
            let at = UnixSeconds(at);
            Event::new(EventType::IncidentOpened, "muster:a", subject, at, &data)
        };
        let one = event("incidents/7", 1_800_000_000);
        let body: Value = serde_json::from_str(&one.body).expect("JSON");
        // Section 3.1 of the specification: id, source, specversion and type, none of them empty.
        for required in ["id", "source", "specversion", "type"] {
            assert!(body[required].as_str().is_some_and(|text| !text.is_empty()));
        }
        assert_eq!(body["id"], one.id.as_str());
        assert_eq!(body["type"], "dev.muster.incident.opened");
        assert_eq!(body["time"], "2027-01-15T08:00:00Z");
        assert_eq!(body["data"]["incident"], 7);
        assert_eq!(event("incidents/7", 1_800_000_000), one);
        assert_ne!(event("incidents/8", 1_800_000_000).id, one.id);
        assert_ne!(event("incidents/7", 1_800_000_001).id, one.id);
    }
}
