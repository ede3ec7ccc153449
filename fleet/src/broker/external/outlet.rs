//! Where messages go: to the client of the present connection, or, without one, nowhere.
//!
//! Keeps nothing but the newest message of each retained topic that met no connection: a hint
//! that is published once must not be lost for good.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rumqttc::{AsyncClient, QoS};

use super::Retain;

/// Retained topics that wait for a connection: 16 MiB of assignments at most. Devices whose
/// assignment found no room ask with their next hello.
const HELD_MAX: usize = 4096;

/// Shared between those who publish and the connection.
#[derive(Clone, Default)]
pub(super) struct Outlet(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    client: Option<AsyncClient>,
    held: BTreeMap<String, Vec<u8>>,
}

impl Outlet {
    /// Hands a message to the client, QoS 1; waits while its queue is full.
    pub(super) async fn publish(&self, topic: &str, payload: Vec<u8>, retain: Retain) {
        let client = {
            let mut state = self.lock();
            match &state.client {
                Some(client) => client.clone(),
                None => return state.hold(topic, payload, retain),
            }
        };
        let retained = retain == Retain::Yes;
        let sent = client.publish(topic, QoS::AtLeastOnce, retained, payload);
        if sent.await.is_err() {
            tracing::debug!(topic, "a message is lost: because the connection has ended");
        }
    }

    /// From now on this client takes messages, those that were held first.
    pub(super) async fn open(&self, client: &AsyncClient) {
        let held = {
            let mut state = self.lock();
            state.client = Some(client.clone());
            std::mem::take(&mut state.held)
        };
        for (topic, payload) in held {
            if client
                .publish(topic, QoS::AtLeastOnce, true, payload)
                .await
                .is_err()
            {
                return;
            }
        }
    }

    /// Takes no more messages; the connection ends when all that wait are sent.
    pub(super) fn hang_up(&self) {
        if let Some(client) = self.lock().client.take() {
            // A full queue cannot take the farewell: the connection is dropped without it.
            let _full = client.try_disconnect();
        }
    }

    /// The connection is gone.
    pub(super) fn close(&self) {
        self.lock().client = None;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn hold(&mut self, topic: &str, payload: Vec<u8>, retain: Retain) {
        let room = self.held.len() < HELD_MAX || self.held.contains_key(topic);
        if retain == Retain::Yes && room {
            self.held.insert(topic.to_owned(), payload);
        } else {
            tracing::debug!(
                topic,
                "a message is lost: because the broker is not connected"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_connection_the_newest_retained_messages_are_held_within_bounds() {
        let mut state = State::default();
        state.hold("passing", vec![1], Retain::No);
        state.hold("hint", vec![1], Retain::Yes);
        state.hold("hint", vec![2], Retain::Yes);
        assert_eq!(state.held, BTreeMap::from([("hint".to_owned(), vec![2])]));
        for topic in 0..2 * HELD_MAX {
            state.hold(&topic.to_string(), vec![], Retain::Yes);
        }
        assert_eq!(state.held.len(), HELD_MAX);
        state.hold("hint", vec![3], Retain::Yes);
        assert_eq!(state.held.get("hint"), Some(&vec![3]));
    }
}
