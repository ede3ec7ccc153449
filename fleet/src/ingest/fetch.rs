//! Metadata and pieces, for a device that its assignment entitles to them.
//!
//! What it may not have and what is not there get the same answer. Never answers beyond the
//! device's rate: silence makes it ask again.

use std::sync::PoisonError;

use muster_protocol::cbor;
use muster_protocol::cose::{self, KeySet};
use muster_protocol::id::{DeviceId, ModelId};
use muster_protocol::limits::{PIECE_BYTES_MAX, PIECE_BYTES_MIN};
use muster_protocol::message::{Answer, Fetch, Piece, What};
use muster_protocol::time::UnixSeconds;
use muster_protocol::topic::Down;

use super::rate::Allowed;
use super::{dropped, not_stored, undone};
use crate::blobs::Blobs;
use crate::broker::{Retain, Verdict};
use crate::controller::{Controller, Error};
use crate::store::{StoreError, Tx};

/// Most pieces for one request: a device asks again when it has them.
const COUNT_MAX: u32 = 16;
/// Metadata that every device may have.
const COMMON_ROLES: [&str; 5] = ["root", "timestamp", "snapshot", "targets", "fleet.json"];

impl Controller {
    pub(super) async fn fetch(
        &self,
        device: DeviceId,
        bytes: Vec<u8>,
        now: UnixSeconds,
    ) -> Verdict {
        // Rates are kept for each device that asks: a broker elsewhere must not invent any.
        if !self.is_enrolled(&device) {
            return dropped(&device, "fetch", "there is no such device");
        }
        if self.rates().request(&device, now) == Allowed::NotNow {
            return dropped(&device, "fetch", "it asks too often");
        }
        let of = device.clone();
        let key = match self.store().read(move |tx| tx.document_key(&of)).await {
            Ok(key) => key,
            Err(error) => return undone(&device, "fetch", &error),
        };
        let mut scratch = vec![0; cose::scratch_len(bytes.len())];
        let keys = KeySet {
            keys: key.as_slice(),
            threshold: 1,
        };
        let fetch = match cose::open::<Fetch<'_>>(&bytes, keys, &mut scratch) {
            Ok(fetch) if fetch.device == device => fetch.into_inner(),
            Ok(_) => return dropped(&device, "fetch", "it names another device"),
            Err(refused) => return dropped(&device, "fetch", &refused.to_string()),
        };
        match self.answer(&fetch, now).await {
            Ok(()) => Verdict::Accepted,
            Err(error) => not_stored(&device, "fetch", &error),
        }
    }

    async fn answer(&self, fetch: &Fetch<'_>, now: UnixSeconds) -> Result<(), Error> {
        let device = &fetch.device;
        let source = self.source(device, &fetch.what).await?;
        for nth in 0..fetch.count.clamp(1, COUNT_MAX) {
            let Some(what) = nth_of(&fetch.what, nth) else {
                break;
            };
            let found = match &source {
                Some(source) => source.part(&what).await?,
                None => None,
            };
            let Some((total, bytes)) = found else {
                if nth == 0 {
                    self.send_piece(device, what, Answer::NotFound).await;
                }
                break;
            };
            if self.rates().bytes(device, bytes.len() as u64, now) == Allowed::NotNow {
                break;
            }
            self.send_piece(
                device,
                what,
                Answer::Bytes {
                    total,
                    bytes: &bytes,
                },
            )
            .await;
        }
        Ok(())
    }

    async fn send_piece(&self, device: &DeviceId, what: What<'_>, answer: Answer<'_>) {
        let piece = cbor::to_vec(&Piece { what, answer });
        self.send(device, Down::Piece, piece, Retain::No).await;
    }

    /// Where the parts come from; none when the device may not have them or there are none.
    async fn source(&self, device: &DeviceId, what: &What<'_>) -> Result<Option<Source>, Error> {
        let device = device.clone();
        match *what {
            What::Metadata { role, version, .. } => {
                let role = role.to_owned();
                let found = self.store().read(move |tx| {
                    if !may_read(tx, &device, &role)? {
                        return Ok(None);
                    }
                    tx.metadata(&role, version)
                });
                Ok(found
                    .await
                    .map_err(Error::Store)?
                    .map(|(_, document)| Source::Whole(document)))
            }
            What::Blob { digest, .. } => {
                let reached = self
                    .store()
                    .read(move |tx| tx.reaches_blob(&device, digest));
                let reached = reached.await.map_err(Error::Store)?;
                Ok(reached.then(|| Source::Blob(self.blobs().clone())))
            }
        }
    }
}

/// Whether a device may read the metadata of a role.
pub(super) fn may_read(tx: &Tx<'_>, device: &DeviceId, role: &str) -> Result<bool, StoreError> {
    if COMMON_ROLES.contains(&role) {
        return Ok(true);
    }
    match role.strip_prefix("models/").map(ModelId::parse) {
        Some(Ok(model)) => tx.reaches_model(device, &model),
        Some(Err(_)) | None => Ok(false),
    }
}

enum Source {
    Whole(Vec<u8>),
    Blob(Blobs),
}

impl Source {
    /// Size of the whole, and the part that is asked for.
    async fn part(&self, what: &What<'_>) -> Result<Option<(u64, Vec<u8>)>, Error> {
        match (self, *what) {
            (Self::Whole(document), What::Metadata { offset, .. }) => {
                let start = usize::try_from(offset).unwrap_or(usize::MAX);
                let rest = document.get(start..).filter(|rest| !rest.is_empty());
                let part = rest.map(|rest| &rest[..rest.len().min(PIECE_BYTES_MAX as usize)]);
                Ok(part.map(|part| (document.len() as u64, part.to_vec())))
            }
            (
                Self::Blob(blobs),
                What::Blob {
                    digest,
                    index,
                    piece_size,
                },
            ) => {
                if !(PIECE_BYTES_MIN..=PIECE_BYTES_MAX).contains(&piece_size) {
                    return Ok(None);
                }
                let (blobs, offset) = (blobs.clone(), u64::from(index) * u64::from(piece_size));
                let read = move || blobs.read_part(digest, offset, piece_size);
                let read = tokio::task::spawn_blocking(read).await;
                read.map_err(|_| Error::Stopping)?.map_err(Error::Blob)
            }
            (Self::Whole(_), What::Blob { .. }) | (Self::Blob(_), What::Metadata { .. }) => {
                Ok(None)
            }
        }
    }
}

/// The same wish, `nth` pieces further on; none beyond what can be numbered.
fn nth_of<'b>(what: &What<'b>, nth: u32) -> Option<What<'b>> {
    match *what {
        What::Metadata {
            role,
            version,
            offset,
        } => {
            let skip = u64::from(nth) * u64::from(PIECE_BYTES_MAX);
            let offset = offset.checked_add(skip)?;
            Some(What::Metadata {
                role,
                version,
                offset,
            })
        }
        What::Blob {
            digest,
            index,
            piece_size,
        } => {
            let index = index.checked_add(nth)?;
            Some(What::Blob {
                digest,
                index,
                piece_size,
            })
        }
    }
}

impl Controller {
    fn rates(&self) -> std::sync::MutexGuard<'_, super::Rates> {
        self.rates_lock()
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
