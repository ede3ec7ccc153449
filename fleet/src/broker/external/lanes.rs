//! What is heard on one connection, ingested in the order of each device, several devices at a
//! time, and acknowledged to the broker afterwards.
//!
//! Never takes more than it has room for: how much waits is the broker's to bound.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;

use muster_protocol::id::DeviceId;
use muster_protocol::topic::{self, Up};
use rumqttc::{AsyncClient, Publish, QoS};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinSet;

use super::{ExternalConfig, Handlers, Incoming, Presence, Verdict};

/// Devices that are heard at the same time: four times what the writer of the store takes into one
/// commit, so that signatures of the next are looked at meanwhile.
const LANES: usize = 1024;
/// What may wait to be acknowledged, with [`MESSAGE_OVERHEAD_BYTES`] for each: all that our
/// configuration of mosquitto lets it keep for us, and a third more. Its limit of messages in flight is
/// no bound: mosquitto 2.0.11 sends thousands beyond it while acknowledgements come in bursts.
const ACKNOWLEDGED_BYTES_MAX: usize = 128 * 1024 * 1024;
/// What a message takes beside its payload.
const MESSAGE_OVERHEAD_BYTES: usize = 1024;
/// Messages of QoS 0, which nobody waits for: beyond it they are dropped, so that they leave room
/// for those that count.
const PASSING_MAX: usize = 32;
/// Largest hint under `up/status` that is read.
const STATUS_BYTES_MAX: usize = 1024;

/// The lanes of one connection. They end with it.
pub(super) struct Lanes {
    topic_prefix: String,
    payload_bytes_max: usize,
    acknowledged: Arc<Semaphore>,
    passing: Arc<Semaphore>,
    ways: Vec<mpsc::UnboundedSender<Job>>,
    _running: JoinSet<()>,
}

/// What became of an offered message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Offer {
    /// It will be ingested, or is of no use.
    Taken,
    /// There is no room, and it must come again.
    Full,
}

/// One message with its room.
struct Job {
    device: DeviceId,
    channel: Option<Up>,
    message: Publish,
    _room: OwnedSemaphorePermit,
}

/// What works a lane off.
#[derive(Clone)]
struct Worker {
    handlers: Handlers,
    client: AsyncClient,
    fail: mpsc::Sender<String>,
}

impl Lanes {
    /// Starts them. The first message that cannot be stored is told to `fail`.
    pub(super) fn start(
        config: &ExternalConfig,
        handlers: &Handlers,
        client: &AsyncClient,
        fail: &mpsc::Sender<String>,
    ) -> Self {
        let worker = Worker {
            handlers: handlers.clone(),
            client: client.clone(),
            fail: fail.clone(),
        };
        let mut running = JoinSet::new();
        let ways = (0..LANES).map(|_| {
            let (way, jobs) = mpsc::unbounded_channel();
            running.spawn(worker.clone().run(jobs));
            way
        });
        Self {
            topic_prefix: config.topic_prefix.clone(),
            payload_bytes_max: config.payload_bytes_max,
            acknowledged: Arc::new(Semaphore::new(ACKNOWLEDGED_BYTES_MAX)),
            passing: Arc::new(Semaphore::new(PASSING_MAX)),
            ways: ways.collect(),
            _running: running,
        }
    }

    /// Takes a message. Never waits.
    pub(super) fn offer(&self, message: Publish) -> Offer {
        let (room, takes) = match message.qos {
            QoS::AtMostOnce => (&self.passing, 1),
            QoS::AtLeastOnce | QoS::ExactlyOnce => (&self.acknowledged, bytes_of(&message)),
        };
        let Ok(room) = Arc::clone(room).try_acquire_many_owned(takes) else {
            return match message.qos {
                QoS::AtMostOnce => Offer::Taken,
                QoS::AtLeastOnce | QoS::ExactlyOnce => Offer::Full,
            };
        };
        let job = self.job(message, room);
        // A lane ends with the connection only.
        let _ended = self.ways[lane_of(&job.device)].send(job);
        Offer::Taken
    }

    fn job(&self, message: Publish, room: OwnedSemaphorePermit) -> Job {
        let ours = topic::parse_up(&self.topic_prefix, &message.topic);
        let ours = ours.filter(|_| message.payload.len() <= self.payload_bytes_max);
        if ours.is_none() {
            let (topic, len) = (&message.topic, message.payload.len());
            tracing::warn!(
                topic,
                "a message of {len} bytes is dropped: it is not a device's"
            );
        }
        let (device, channel) = match ours {
            Some((device, channel)) => (device, Some(channel)),
            None => (nobody(), None),
        };
        Job {
            device,
            channel,
            message,
            _room: room,
        }
    }
}

impl Worker {
    async fn run(self, mut jobs: mpsc::UnboundedReceiver<Job>) {
        while let Some(mut job) = jobs.recv().await {
            match self.ingest(&mut job).await {
                Verdict::Accepted => {
                    // Fails only when the connection has ended: then it comes again.
                    let _ended = self.client.ack(&job.message).await;
                }
                Verdict::Retry => {
                    // Full when another has said so already.
                    let _told = self
                        .fail
                        .try_send("a message could not be stored".to_owned());
                    return;
                }
            }
        }
    }

    async fn ingest(&self, job: &mut Job) -> Verdict {
        let Some(channel) = job.channel else {
            return Verdict::Accepted;
        };
        let payload = std::mem::take(&mut job.message.payload);
        if channel == Up::Status {
            self.present(&job.device, &payload);
            return Verdict::Accepted;
        }
        let incoming = Incoming {
            device: job.device.to_string(),
            channel: channel.as_str().to_owned(),
            payload: payload.to_vec(),
        };
        let storing = tokio::spawn((self.handlers.ingest)(incoming)).await;
        storing.unwrap_or_else(|panicked| {
            // Sent again it would panic again, and keep all other devices from being heard: the
            // device itself sends until it has a signed acknowledgement.
            tracing::error!(device = %job.device, "failed to ingest a message: because {panicked}");
            Verdict::Accepted
        })
    }

    /// A hint, never evidence.
    fn present(&self, device: &DeviceId, payload: &[u8]) {
        let presence = match online(payload) {
            Some(true) => Presence::Connected,
            Some(false) => Presence::Disconnected,
            None => return,
        };
        (self.handlers.presence)(device.as_str(), presence);
    }
}

/// What the hint under `up/status` says.
fn online(payload: &[u8]) -> Option<bool> {
    let payload = payload
        .get(..STATUS_BYTES_MAX)
        .map_or(Some(payload), |_| None)?;
    let hint: serde_json::Value = serde_json::from_slice(payload).ok()?;
    hint.get("online")?.as_bool()
}

/// How much of the room a message takes.
fn bytes_of(message: &Publish) -> u32 {
    let bytes = message.payload.len().saturating_add(MESSAGE_OVERHEAD_BYTES);
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

fn lane_of(device: &DeviceId) -> usize {
    let mut hasher = DefaultHasher::new();
    device.as_str().hash(&mut hasher);
    usize::try_from(hasher.finish() % LANES as u64).unwrap_or_default()
}

/// Whose lane takes what is no device's.
fn nobody() -> DeviceId {
    DeviceId::parse("0").expect("invariant: a digit is a device id")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_says_whether_a_device_is_online_or_nothing() {
        let long = format!(
            "{{\"online\":true,\"x\":\"{}\"}}",
            "x".repeat(STATUS_BYTES_MAX)
        );
        for (payload, expect) in [
            (r#"{"online":true,"agent":"0.1.0"}"#, Some(true)),
            (r#"{"online":false}"#, Some(false)),
            (r#"{"online":"yes"}"#, None),
            ("[]", None),
            ("", None),
            (&long, None),
        ] {
            assert_eq!(online(payload.as_bytes()), expect, "{payload}");
        }
    }
}
