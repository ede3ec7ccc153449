//! What a stick brings from a device, and the signed answers that it carries back.
//!
//! Documents go the way of those from the broker: once, whichever way they came first. Never
//! believes a hello that came late more than what the device has said since.

use muster_protocol::cbor::List;
use muster_protocol::cose::{self, KeySet};
use muster_protocol::id::{DeviceId, Nonce};
use muster_protocol::message::{Ack, Hello, Kind, SignedTime};
use muster_protocol::time::UnixSeconds;
use serde::Serialize;

use super::acknowledge::{self, Stored};
use super::held::Question;
use super::{document, hello};
use crate::clock;
use crate::controller::{Controller, Error};
use crate::dispatch::Director;
use crate::store::{StoreError, Tx};

/// What a device has put on a stick.
#[derive(Debug, Clone, Default)]
pub(crate) struct Carried {
    /// Its hello.
    pub(crate) hello: Option<Vec<u8>>,
    /// Its documents, in their order.
    pub(crate) documents: Vec<Vec<u8>>,
}

/// What became of it.
#[derive(Debug, Default, Serialize)]
pub(crate) struct TakenIn {
    /// Documents that are stored, now or before.
    taken: usize,
    /// Why others are not.
    dropped: Vec<String>,
    /// How far each stream is stored.
    acknowledged: Vec<Acknowledged>,
}

/// How far a stream is stored.
#[derive(Debug, Serialize)]
struct Acknowledged {
    stream: String,
    through: u64,
}

impl Controller {
    /// Takes what came on a stick from a device; it is acknowledged over the broker as well.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Store`]; what was taken stays taken.
    pub(crate) async fn take_in(&self, of: &DeviceId, carried: Carried) -> Result<TakenIn, Error> {
        if !self.is_enrolled(of) {
            let what = format!("the device {of}");
            return Err(Error::NotFound { what });
        }
        let (now, mut taken_in) = (clock::now(), TakenIn::default());
        if let Some(bytes) = carried.hello {
            let dropped = self.take_hello(of, bytes, now).await?;
            taken_in.dropped.extend(dropped);
        }
        for bytes in carried.documents {
            let device = of.clone();
            let taken = self.store().write(move |tx| {
                let opened = document::Opened::now(tx, &device, &bytes, None)?;
                document::take(tx, &device, &bytes, opened, now)
            });
            match taken.await? {
                document::Taken::Stored(_) => taken_in.taken += 1,
                document::Taken::Dropped(because) => taken_in.dropped.push(because),
            }
        }
        for stored in self.stored(of, now).await? {
            taken_in.acknowledged.push(Acknowledged {
                stream: stored.stream.to_string(),
                through: stored.through.0,
            });
            self.unsent_acks().add(of, stored);
        }
        Ok(taken_in)
    }

    /// Takes a hello; the reason when it does not count.
    async fn take_hello(
        &self,
        of: &DeviceId,
        bytes: Vec<u8>,
        now: UnixSeconds,
    ) -> Result<Option<String>, Error> {
        let mut fresh = Nonce([0; 16]);
        getrandom::fill(&mut fresh.0).map_err(Error::Random)?;
        let (director, device) = (self.director(), of.clone());
        let taken = self
            .store()
            .write(move |tx| take_hello(tx, &director, &device, &bytes, fresh, now));
        Ok(taken.await?)
    }

    /// Signed acknowledgements of every stream of a device that speaks, by the name of the stream.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub(crate) async fn acknowledgements(
        &self,
        device: &DeviceId,
    ) -> Result<Vec<(String, Vec<u8>)>, Error> {
        let stored = self.stored(device, clock::now()).await?;
        let signed = |stored: &Stored| (stored.stream.to_string(), self.sign_ack(device, stored));
        Ok(stored.iter().map(signed).collect())
    }

    async fn stored(&self, device: &DeviceId, now: UnixSeconds) -> Result<Vec<Stored>, Error> {
        let device = device.clone();
        let stored = self.store().write(move |tx| stored(tx, &device, now));
        Ok(stored.await?)
    }

    pub(super) fn sign_ack(&self, device: &DeviceId, stored: &Stored) -> Vec<u8> {
        let ack = Ack {
            device: device.clone(),
            stream: stored.stream,
            through: stored.through,
            rejected: List::of(&stored.rejected),
        };
        cose::seal_vec(&ack, &self.keys().ack)
    }

    /// The time, for a hello whose signature holds.
    ///
    /// # Errors
    /// [`Error::Store`]; [`Error::Refused`] for a hello that is not this device's.
    pub(crate) async fn time_for(
        &self,
        device: &DeviceId,
        hello: Vec<u8>,
    ) -> Result<Vec<u8>, Error> {
        let of = device.clone();
        let key = self.store().read(move |tx| tx.document_key(&of)).await;
        let key = key.map_err(Error::Store)?;
        let keys = KeySet {
            keys: key.as_slice(),
            threshold: 1,
        };
        let mut scratch = vec![0; cose::scratch_len(hello.len())];
        let refused = |why: String| Error::Refused { why };
        let hello = cose::open::<Hello<'_>>(&hello, keys, &mut scratch)
            .map_err(|because| refused(because.to_string()))?;
        if hello.device != *device {
            return Err(refused("it is the hello of another device".to_owned()));
        }
        Ok(self.sign_time(device, hello.nonce, Question::default(), clock::now()))
    }

    pub(super) fn sign_time(
        &self,
        device: &DeviceId,
        nonce: Nonce,
        question: Question,
        now: UnixSeconds,
    ) -> Vec<u8> {
        let time = SignedTime {
            device: device.clone(),
            nonce,
            unix: now,
            epoch: self.director().epoch,
            challenge: question.challenge,
            show: question.show,
        };
        cose::seal_vec(&time, &self.keys().time)
    }
}

/// As [`hello::take`], but for one that may be of another day; the reason when it does not count.
pub(super) fn take_hello(
    tx: &Tx<'_>,
    director: &Director,
    device: &DeviceId,
    bytes: &[u8],
    fresh: Nonce,
    now: UnixSeconds,
) -> Result<Option<String>, StoreError> {
    if is_late(tx, device, bytes)? {
        // No word of it is wrong: it is only old news.
        return Ok(None);
    }
    match hello::take(tx, director, device, bytes, fresh, now)? {
        hello::Taken::Heard(_) => Ok(None),
        hello::Taken::Dropped(because) => Ok(Some(format!("hello: {because}"))),
    }
}

/// Whether more is known of the device than its hello says. Its signature is not judged here: what
/// is late is not taken, whoever made it.
fn is_late(tx: &Tx<'_>, device: &DeviceId, bytes: &[u8]) -> Result<bool, StoreError> {
    let Ok(hello) = cose::peek::<Hello<'_>>(bytes) else {
        return Ok(false);
    };
    if hello.accepted < tx.accepted_at(device)? {
        return Ok(true);
    }
    for state in hello.streams.iter() {
        let row = tx.stream(device, state.id)?;
        if row.is_some_and(|row| row.superseded || row.through >= state.next) {
            return Ok(true);
        }
    }
    Ok(false)
}

pub(super) fn stored(
    tx: &Tx<'_>,
    device: &DeviceId,
    now: UnixSeconds,
) -> Result<Vec<Stored>, StoreError> {
    let mut stored = Vec::new();
    for kind in [Kind::Receipts, Kind::Windows] {
        for row in tx.live_streams(device, kind)? {
            stored.push(acknowledge::advance(tx, device, &row, row.through, now)?);
        }
    }
    stored.retain(|stored| stored.through.0 > 0);
    Ok(stored)
}
