//! Who may connect, and who is connected. A hint for people: what counts is what devices sign.

use std::sync::PoisonError;

use muster_protocol::id::DeviceId;

use super::{Controller, Error, Outgoing};
use crate::broker::{Admission, Presence};
use crate::clock;
use crate::store::{NewestSerial, Tx};

impl Controller {
    /// Whether a certificate is the newest of its device. Never blocks on the store.
    pub(crate) fn admit(&self, device: &str, serial: &str) -> Admission {
        let Ok(device) = DeviceId::parse(device) else {
            return Admission::Refuse("its name is not a device id");
        };
        let serials = self.serials.read().unwrap_or_else(PoisonError::into_inner);
        match serials.get(&device) {
            Some(newest) if newest.serial == serial => Admission::Admit,
            Some(_) => Admission::Refuse("its certificate is not the newest of the device"),
            None => Admission::Refuse("the device is not enrolled"),
        }
    }

    /// Whether there is such a device. Never blocks on the store.
    pub(crate) fn is_enrolled(&self, device: &DeviceId) -> bool {
        let serials = self.serials.read().unwrap_or_else(PoisonError::into_inner);
        serials.contains_key(device)
    }

    /// From now on this certificate is the device's, unless a later one is known: two enrolments
    /// may come here in another order than that of the log. Gives the one that it replaced.
    pub(super) fn admit_from_now_on(
        &self,
        device: DeviceId,
        issued: NewestSerial,
    ) -> Option<NewestSerial> {
        let mut serials = self.serials.write().unwrap_or_else(PoisonError::into_inner);
        match serials.get(&device) {
            Some(known) if known.issue >= issued.issue => None,
            Some(_) | None => serials.insert(device, issued),
        }
    }

    /// Lets a device speak and connect no longer, until it is enrolled anew. Its session ends.
    ///
    /// # Errors
    /// [`Error::NotFound`] of a device that is not enrolled; [`Error::Store`].
    pub(crate) async fn revoke(&self, device: DeviceId) -> Result<(), Error> {
        let (of, now) = (device.clone(), clock::now());
        let revoke = move |tx: &Tx<'_>| Ok(tx.revoke_device(&of, now)?);
        if !self.store.write::<_, Error>(revoke).await? {
            let what = format!("an enrolled device {device}");
            return Err(Error::NotFound { what });
        }
        tracing::warn!(%device, "a device was revoked");
        self.serials
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&device);
        if let Err(error) = self.write_revocations().await {
            tracing::error!("failed to write the revocation list: because {error}");
        }
        self.send_out(Outgoing::Disconnect(device)).await;
        Ok(())
    }

    /// Records what the broker says of a connection.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub(crate) async fn connection(
        &self,
        device: DeviceId,
        presence: Presence,
    ) -> Result<(), Error> {
        let connected = presence == Presence::Connected;
        self.store
            .write(move |tx| Ok(tx.set_connected(&device, connected)?))
            .await
    }

    /// Nobody is connected: what a controller that starts knows.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub(crate) async fn forget_connections(&self) -> Result<(), Error> {
        self.store.write(|tx| Ok(tx.set_none_connected()?)).await
    }
}
