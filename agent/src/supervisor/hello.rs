//! Saying who we are and how we do, on every connect and now and then.
//!
//! A hello asks for the time as well: its nonce is repeated in the answer.

use super::{Supervisor, state};
use crate::clock;
use crate::health;
use muster_protocol::cbor::List;
use muster_protocol::cose;
use muster_protocol::id::{Nonce, Version};
use muster_protocol::message::{Hello, MetadataVersions};
use muster_protocol::topic::Up;

impl Supervisor {
    pub(super) fn say_hello(&mut self) {
        let now = clock::monotonic();
        self.hello_at = now.plus(self.config.hello_s * 1000);
        if let Ok(fresh) = state::random() {
            self.nonce = Nonce(fresh);
        }
        let streams = self.outbox.states();
        let hello = Hello {
            device: self.identity.device.clone(),
            accepted: self.state.accepted.map(|record| record.at),
            assignment: self.state.accepted.map(|record| record.digest),
            metadata: self.metadata_versions(),
            streams: List::of(&streams),
            nonce: self.nonce,
            agent: agent_version(),
            boot: self.boot,
            at: now,
            health: health::read(self.store.folder()),
            challenge: self.challenge.take(),
        };
        let signed = cose::seal_vec(&hello, &self.identity.document_key);
        self.send(Up::Hello, signed);
    }

    /// What cannot be sent now is asked for, or said, again later.
    pub(super) fn send(&self, what: Up, payload: Vec<u8>) {
        let sent = self.link.as_ref().map(|link| link.publish(what, payload));
        if let Some(Err(because)) = sent {
            tracing::debug!(what = what.as_str(), %because, "not sent");
        }
    }

    fn metadata_versions(&self) -> MetadataVersions {
        let trusted = &self.trusted;
        MetadataVersions {
            root: trusted.root().version(),
            timestamp: trusted.timestamp().map_or(0, |signed| signed.version()),
            snapshot: trusted.snapshot().map_or(0, |signed| signed.version()),
            targets: trusted
                .targets(&muster_protocol::tuf::Role::Targets)
                .map_or(0, |signed| signed.version()),
            fleet: self.fleet.as_ref().map_or(0, |fleet| fleet.version),
        }
    }
}

/// This agent's version.
pub(super) fn agent_version() -> Version {
    Version::parse(env!("CARGO_PKG_VERSION")).expect("invariant: the package has a semver")
}
