//! What devices say: hellos, documents and wishes, each taken once, each answered after the
//! commit.
//!
//! Never trusts a topic alone: every message is signed by the device that the topic names. What
//! is not is dropped without an answer.

use muster_protocol::id::{DeviceId, Nonce};
use muster_protocol::time::UnixSeconds;
use muster_protocol::topic::{Down, Up};

use crate::broker::{Incoming, Retain, Verdict};
use crate::clock;
use crate::controller::Controller;
use crate::store::StoreError;

mod acknowledge;
mod adopt;
mod carried;
mod document;
mod fetch;
mod held;
mod hello;
mod known_keys;
mod model_state;
mod rate;
mod stream;
#[cfg(test)]
mod tests;
mod unsent_acks;

use acknowledge::Stored;
pub(crate) use carried::Carried;
use document::Opened;
use held::Question;
pub(crate) use known_keys::KnownKeys;
pub(crate) use rate::Rates;
pub(crate) use unsent_acks::UnsentAcks;

impl Controller {
    /// Takes one message of a device. Quick: what it waits for is one commit.
    pub(crate) async fn ingest(&self, incoming: Incoming) -> Verdict {
        let device = DeviceId::parse(&incoming.device);
        let (Ok(device), Some(channel)) = (device, Up::parse(&incoming.channel)) else {
            return Verdict::Accepted;
        };
        let now = clock::now();
        match channel {
            // A retained hint for others; what counts here is the connection itself.
            Up::Status => Verdict::Accepted,
            Up::Hello => self.hello(device, incoming.payload, now).await,
            Up::Doc => self.document(device, incoming.payload, now).await,
            Up::Fetch => self.fetch(device, incoming.payload, now).await,
            Up::Assignment => self.shown(device, incoming.payload, now).await,
        }
    }

    async fn hello(&self, device: DeviceId, bytes: Vec<u8>, now: UnixSeconds) -> Verdict {
        let (director, of) = (self.director(), device.clone());
        let mut fresh = Nonce([0; 16]);
        if let Err(error) = getrandom::fill(&mut fresh.0) {
            return not_stored(&device, "hello", &error);
        }
        let taken = self
            .store()
            .write(move |tx| hello::take(tx, &director, &of, &bytes, fresh, now));
        let heard = match taken.await {
            Ok(hello::Taken::Heard(heard)) => heard,
            Ok(hello::Taken::Dropped(because)) => return dropped(&device, "hello", &because),
            Err(error) => return undone(&device, "hello", &error),
        };
        self.send_time(&device, heard.nonce, heard.question, now)
            .await;
        if let Some(assignment) = heard.assignment {
            self.send(&device, Down::Assignment, assignment, Retain::Yes)
                .await;
        }
        for stored in heard.stored {
            self.unsent_acks().add(&device, stored);
        }
        Verdict::Accepted
    }

    async fn document(&self, device: DeviceId, bytes: Vec<u8>, now: UnixSeconds) -> Verdict {
        let keys = self.known_keys().of(&device);
        let before = keys.map(|keys| Opened::by(keys, &bytes));
        let (of, known) = (device.clone(), self.known_keys());
        let taken = self.store().write(move |tx| {
            let opened = Opened::now(tx, &of, &bytes, before)?;
            known.note(&of, opened.keys());
            document::take(tx, &of, &bytes, opened, now)
        });
        match taken.await {
            Ok(document::Taken::Stored(stored)) => self.unsent_acks().add(&device, stored),
            Ok(document::Taken::Dropped(because)) => {
                return dropped(&device, "document", &because);
            }
            Err(error) => return undone(&device, "document", &error),
        }
        Verdict::Accepted
    }

    async fn send_ack(&self, device: &DeviceId, stored: &Stored) {
        let bytes = self.sign_ack(device, stored);
        self.send(device, Down::Ack, bytes, Retain::No).await;
    }

    /// What a held device shows of what a restored controller has lost.
    async fn shown(&self, device: DeviceId, bytes: Vec<u8>, now: UnixSeconds) -> Verdict {
        let (director, of) = (self.director(), device.clone());
        let taken = self
            .store()
            .write(move |tx| adopt::take(tx, &director, &of, &bytes, now));
        match taken.await {
            Ok(adopt::Taken::Adopted(next)) => {
                tracing::info!(%device, "adopted what it has accepted: it is held no longer");
                if let Some(next) = next {
                    self.send(&device, Down::Assignment, next.document, Retain::Yes)
                        .await;
                }
            }
            Ok(adopt::Taken::Dropped(because)) => {
                return dropped(&device, "shown assignment", &because);
            }
            Err(error) => return undone(&device, "shown assignment", &error),
        }
        Verdict::Accepted
    }

    async fn send_time(
        &self,
        device: &DeviceId,
        nonce: Nonce,
        question: Question,
        now: UnixSeconds,
    ) {
        let bytes = self.sign_time(device, nonce, question, now);
        self.send(device, Down::Time, bytes, Retain::No).await;
    }
}

/// Accepted for the broker, so that it is not sent again; nothing is acknowledged by us.
fn dropped(device: &DeviceId, what: &str, because: &str) -> Verdict {
    tracing::warn!(%device, "dropped a {what}: because {because}");
    Verdict::Accepted
}

/// The store did not do it. A message on which it panics would only do so again: an external broker
/// would bring nothing else, and the device itself repeats what has no signed acknowledgement.
fn undone(device: &DeviceId, what: &str, error: &StoreError) -> Verdict {
    let again = not_stored(device, what, error);
    match error {
        StoreError::Panicked => Verdict::Accepted,
        StoreError::Open { .. }
        | StoreError::Newer { .. }
        | StoreError::Full
        | StoreError::Failed { .. }
        | StoreError::Stopped => again,
    }
}

fn not_stored(device: &DeviceId, what: &str, error: &dyn std::fmt::Display) -> Verdict {
    tracing::error!(%device, "failed to store a {what}: because {error}");
    Verdict::Retry
}
