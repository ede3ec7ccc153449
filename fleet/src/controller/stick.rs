//! What a stick takes to one device: everything that it could fetch, and what is signed for it.
//!
//! Never more than its newest assignment reaches: who finds a stick learns of one device.

use muster_protocol::digest::Digest;
use muster_protocol::id::DeviceId;

use super::{Controller, Error};
use crate::store::{StoreError, Tx};

/// Roles of which the newest document goes along.
const NEWEST: [&str; 4] = ["timestamp", "snapshot", "targets", "fleet.json"];

/// What goes to one device.
#[derive(Debug, Default)]
pub(crate) struct Parcel {
    /// Role, version and document.
    pub(crate) metadata: Vec<(String, u64, Vec<u8>)>,
    /// The newest assignment; none before the first and while the device is held.
    pub(crate) assignment: Option<Vec<u8>>,
    /// What the assignment reaches.
    pub(crate) blobs: Vec<Digest>,
    /// Acknowledgements by stream.
    pub(crate) acks: Vec<(String, Vec<u8>)>,
    /// The time, if its hello was there, or why not.
    pub(crate) time: Option<Result<Vec<u8>, String>>,
}

impl Controller {
    /// Gathers it, all of one moment.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Store`].
    pub(crate) async fn parcel(
        &self,
        device: &DeviceId,
        hello: Option<Vec<u8>>,
    ) -> Result<Parcel, Error> {
        if !self.is_enrolled(device) {
            let what = format!("the device {device}");
            return Err(Error::NotFound { what });
        }
        let of = device.clone();
        let gathered = self.store().read(move |tx| gather(tx, &of)).await;
        let mut parcel = gathered.map_err(Error::Store)?;
        parcel.acks = self.acknowledgements(device).await?;
        if let Some(hello) = hello {
            parcel.time = Some(match self.time_for(device, hello).await {
                Ok(time) => Ok(time),
                Err(Error::Refused { why }) => Err(why),
                Err(other) => return Err(other),
            });
        }
        Ok(parcel)
    }
}

fn gather(tx: &Tx<'_>, device: &DeviceId) -> Result<Parcel, StoreError> {
    let mut parcel = Parcel::default();
    for version in 1..=tx.newest_version("root")? {
        add(tx, &mut parcel, "root", Some(version))?;
    }
    for role in NEWEST {
        add(tx, &mut parcel, role, None)?;
    }
    if tx.held(device)?.is_some() {
        return Ok(parcel);
    }
    for stored in tx.newest_entries(device)? {
        add(
            tx,
            &mut parcel,
            &format!("models/{}", stored.entry.model),
            None,
        )?;
    }
    let newest = tx.newest_assignment(device)?;
    parcel.assignment = newest.map(|newest| newest.document);
    parcel.blobs = tx.reached_blobs(device)?;
    Ok(parcel)
}

/// A restored or very old controller may lack a root: devices have theirs from enrolment on.
fn add(
    tx: &Tx<'_>,
    parcel: &mut Parcel,
    role: &str,
    version: Option<u64>,
) -> Result<(), StoreError> {
    if let Some((version, document)) = tx.metadata(role, version)? {
        parcel.metadata.push((role.to_owned(), version, document));
    }
    Ok(())
}
