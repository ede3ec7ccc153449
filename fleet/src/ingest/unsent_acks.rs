//! Acknowledgements that wait to be signed and sent: of each stream the newest alone, since it says
//! what all earlier ones said. So a backlog that a device sends costs few of them.
//!
//! Never durable: a device that hears nothing sends again, and is acknowledged then.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use muster_protocol::id::{DeviceId, StreamId};
use tokio::sync::Notify;

use super::acknowledge::Stored;
use crate::controller::Controller;

/// At most one for each stream that speaks.
#[derive(Debug, Default)]
pub(crate) struct UnsentAcks {
    newest: Mutex<BTreeMap<(DeviceId, StreamId), Stored>>,
    some: Notify,
}

impl UnsentAcks {
    /// Takes the place of one of the same stream that was not sent yet and does not say more: a stick may
    /// bring what the device sends at the same time.
    pub(super) fn add(&self, device: &DeviceId, stored: Stored) {
        let key = (device.clone(), stored.stream);
        let mut newest = self.lock();
        let known = newest.get(&key).map(|known| known.through);
        if known.is_none_or(|through| through <= stored.through) {
            newest.insert(key, stored);
        }
        drop(newest);
        self.some.notify_one();
    }

    /// Waits until there are some, and takes them all.
    async fn take(&self) -> BTreeMap<(DeviceId, StreamId), Stored> {
        self.some.notified().await;
        std::mem::take(&mut *self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<(DeviceId, StreamId), Stored>> {
        self.newest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Controller {
    /// Signs and sends what documents and hellos are acknowledged by, for ever.
    pub(crate) async fn send_acks(&self) {
        loop {
            for ((device, _), stored) in self.unsent_acks().take().await {
                self.send_ack(&device, &stored).await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use muster_protocol::id::Sequence;

    use super::*;

    #[tokio::test]
    async fn the_newest_of_each_stream_is_sent() {
        let acks = UnsentAcks::default();
        let stored = |stream: u8, through| Stored {
            stream: StreamId([stream; 8]),
            through: Sequence(through),
            rejected: Vec::new(),
        };
        let (one, two) = ["press-1", "press-2"]
            .map(|device| DeviceId::parse(device).expect("valid"))
            .into();
        for (device, stored) in [
            (&one, stored(1, 1)),
            (&one, stored(1, 2)),
            (&one, stored(2, 7)),
            (&one, stored(2, 6)),
            (&two, stored(1, 3)),
        ] {
            acks.add(device, stored);
        }
        let taken = acks.take().await;
        let taken: Vec<_> = taken
            .into_iter()
            .map(|((device, stream), stored)| (device, stream.0[0], stored.through.0))
            .collect();
        let expect = [(one.clone(), 1, 2), (one, 2, 7), (two.clone(), 1, 3)];
        assert_eq!(taken, expect);
        acks.add(&two, stored(1, 4));
        assert_eq!(acks.take().await.len(), 1, "only what is new");
    }
}
