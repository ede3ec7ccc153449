//! The blobs of a bundle go to the controller; those that are there stay.
//!
//! Each is checked against its digest once more as it is read.

use muster_protocol::bundle::manifest::Descriptor;

use crate::bundle::progress::Progress;
use crate::bundle::{Layout, Verified};
use crate::client::Client;
use crate::error::{Exit, OperatorError};

/// Uploads manifest, card and layers.
pub(super) async fn blobs(
    layout: &Layout,
    bundle: &Verified,
    client: &Client,
) -> Result<(), OperatorError> {
    let layers = bundle
        .manifest
        .layers
        .iter()
        .map(|layer| layer.descriptor());
    let all: Vec<Descriptor> = layers
        .chain([bundle.manifest.card, bundle.bundle])
        .collect();
    let progress = Progress::start("uploading", all.iter().map(|blob| blob.size).sum());
    for blob in all {
        if !client.has_blob(&blob.digest).await? {
            let bytes = layout.blob(&blob).map_err(changed)?;
            client.put_blob(&blob.digest, bytes).await?;
        }
        progress.advance(blob.size);
    }
    Ok(())
}

fn changed(because: impl std::fmt::Display) -> OperatorError {
    let hint = "leave the folder alone while it is released";
    OperatorError::new(Exit::BadInput, "upload the bundle", because, hint)
}
