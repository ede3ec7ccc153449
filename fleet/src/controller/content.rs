//! Blobs and metadata by name, for the operator. Devices fetch through `ingest`, which checks
//! what they may have.

use muster_protocol::digest::Digest;
use muster_protocol::limits::LAYER_BYTES_MAX;

use super::{Controller, Error};
use crate::blobs::BlobError;
use crate::store::ReleaseRow;
use muster_protocol::id::ModelId;

impl Controller {
    /// Stores a blob under its digest.
    ///
    /// # Errors
    /// [`Error::Refused`] for bytes of another digest or too many.
    pub(crate) async fn put_blob(&self, digest: Digest, bytes: Vec<u8>) -> Result<(), Error> {
        let blobs = self.blobs.clone();
        let put = tokio::task::spawn_blocking(move || blobs.put(digest, &bytes));
        put.await.map_err(|_| Error::Stopping)?.map_err(judged)
    }

    /// Whether a blob is there.
    ///
    /// # Errors
    /// [`Error::Blob`].
    pub(crate) async fn has_blob(&self, digest: Digest) -> Result<bool, Error> {
        let blobs = self.blobs.clone();
        let size = tokio::task::spawn_blocking(move || blobs.size(digest));
        Ok(size
            .await
            .map_err(|_| Error::Stopping)?
            .map_err(judged)?
            .is_some())
    }

    /// A whole blob.
    ///
    /// # Errors
    /// [`Error::Blob`].
    pub(crate) async fn blob(&self, digest: Digest) -> Result<Option<Vec<u8>>, Error> {
        let blobs = self.blobs.clone();
        let read = tokio::task::spawn_blocking(move || blobs.read(digest, LAYER_BYTES_MAX));
        read.await.map_err(|_| Error::Stopping)?.map_err(judged)
    }

    /// A version of a role's metadata, or the newest; `fleet.json` counts as a role here.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub(crate) async fn metadata(
        &self,
        role: &str,
        version: Option<u64>,
    ) -> Result<Option<Vec<u8>>, Error> {
        let role = role.to_owned();
        let found = self.store.read(move |tx| tx.metadata(&role, version)).await;
        Ok(found.map_err(Error::Store)?.map(|(_, document)| document))
    }

    /// Releases, of one model or of all, by model and rank.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub(crate) async fn releases(&self, model: Option<ModelId>) -> Result<Vec<ReleaseRow>, Error> {
        self.store
            .read(move |tx| Ok(tx.releases(model.as_ref())?))
            .await
    }
}

fn judged(error: BlobError) -> Error {
    match error {
        BlobError::OtherDigest { .. } | BlobError::TooLarge => Error::Refused {
            why: error.to_string(),
        },
        BlobError::Full | BlobError::Disk { .. } => Error::Blob(error),
    }
}
