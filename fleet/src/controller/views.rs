//! What people look at: devices, telemetry, incidents. Nothing here changes anything but labels,
//! and what is older than it is kept.

use std::collections::BTreeMap;

use muster_protocol::id::DeviceId;
use muster_protocol::time::UnixSeconds;

use super::{Controller, Error};
use crate::clock;
use crate::config::Retention;
use crate::store::{
    DeviceRow, DeviceSummary, EnrolmentRow, Incident, IncidentFilter, ListFilter, Page, Paged,
    ReceiptRow, RestoreRow, SignedReceipt, Tx, WindowRow,
};
use crate::watching;

impl Controller {
    /// Removes what is older than it is kept, a little at a time.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub(crate) async fn forget(&self, retention: Retention) -> Result<usize, Error> {
        let now = clock::now();
        let mut gone = 0;
        loop {
            let sources = self.sources();
            let work = move |tx: &Tx<'_>| {
                if let Some(window) = tx.oldest_windows(&retention, now)? {
                    watching::rebase(tx, &sources, window)?;
                }
                Ok::<_, Error>(tx.forget(&retention, now)?)
            };
            match self.store.write(work).await? {
                0 => return Ok(gone),
                rows => gone += rows,
            }
        }
    }

    /// Devices by name.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub(crate) async fn devices(&self, page: Page) -> Result<Paged<DeviceRow>, Error> {
        self.store.read(move |tx| Ok(tx.devices(&page)?)).await
    }

    /// One device with its models.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub(crate) async fn device(&self, device: DeviceId) -> Result<DeviceSummary, Error> {
        let work = move |tx: &Tx<'_>| {
            let missing = || Error::NotFound {
                what: format!("the device {device}"),
            };
            let row = tx.device(&device)?.ok_or_else(missing)?;
            Ok(tx.summary_of(row)?)
        };
        self.store.read(work).await
    }

    /// Replaces the labels of a device. Rollouts that began keep their devices.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub(crate) async fn set_labels(
        &self,
        device: DeviceId,
        labels: BTreeMap<String, String>,
    ) -> Result<(), Error> {
        let missing = Error::NotFound {
            what: format!("the device {device}"),
        };
        let set = self
            .store
            .write::<_, Error>(move |tx| Ok(tx.set_labels(&device, &labels)?));
        if set.await? { Ok(()) } else { Err(missing) }
    }

    /// Windows in the order in which they came.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub(crate) async fn windows(
        &self,
        filter: ListFilter,
        page: Page,
    ) -> Result<Paged<WindowRow>, Error> {
        self.store
            .read(move |tx| Ok(tx.windows(&filter, &page)?))
            .await
    }

    /// Receipts in the order in which they came.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub(crate) async fn receipts(
        &self,
        filter: ListFilter,
        page: Page,
    ) -> Result<Paged<ReceiptRow>, Error> {
        self.store
            .read(move |tx| Ok(tx.receipts(&filter, &page)?))
            .await
    }

    /// Receipts exactly as they were signed, of those that came from `since` on.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub(crate) async fn signed_receipts(
        &self,
        filter: ListFilter,
        since: UnixSeconds,
        page: Page,
    ) -> Result<Paged<SignedReceipt>, Error> {
        self.store
            .survey(move |tx| Ok(tx.signed_receipts(&filter, since, &page)?))
            .await
    }

    /// The enrolment log: who came with which keys, in the order in which they came.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub(crate) async fn enrolments(&self, page: Page) -> Result<Paged<EnrolmentRow>, Error> {
        self.store.read(move |tx| Ok(tx.enrolments(&page)?)).await
    }

    /// Each device with its models and their sums.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub(crate) async fn summary(&self, page: Page) -> Result<Paged<DeviceSummary>, Error> {
        self.store.read(move |tx| Ok(tx.summary(&page)?)).await
    }

    /// Restores that this controller went through.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub(crate) async fn restores(&self) -> Result<Vec<RestoreRow>, Error> {
        self.store.read(|tx| Ok(tx.restores()?)).await
    }

    /// Incidents in the order in which they were raised.
    ///
    /// # Errors
    /// [`Error::NotFound`] for a model that nothing was ever heard of.
    pub(crate) async fn incidents(
        &self,
        filter: IncidentFilter,
        page: Page,
    ) -> Result<Paged<Incident>, Error> {
        let work = move |tx: &Tx<'_>| {
            let found = tx.incidents(&filter, &page)?;
            heard_of(tx, filter.model.as_deref(), &found)?;
            Ok(found)
        };
        self.store.read(work).await
    }
}

/// Refuses an empty list of a model that nothing was ever heard of: it would look as if all were well.
pub(super) fn heard_of<T>(tx: &Tx<'_>, model: Option<&str>, found: &Paged<T>) -> Result<(), Error> {
    let Some(model) = model.filter(|_| found.items.is_empty()) else {
        return Ok(());
    };
    match tx.knows_model(model)? {
        true => Ok(()),
        false => Err(Error::NotFound {
            what: format!("a release or a window of the model {model}"),
        }),
    }
}
