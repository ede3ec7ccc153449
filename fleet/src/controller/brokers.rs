//! What brokers elsewhere need of the controller: its certificate, whom it trusts, which
//! certificates of devices were replaced, and where `fleet.json` sends devices.
//!
//! Keeps no key: each connection has its own.

use std::sync::PoisonError;

use muster_protocol::tuf::FleetDocument;
use muster_protocol::tuf::fleet_document::PATH;

use super::{Controller, Error};
use crate::authority::Replaced;
use crate::broker::Credentials;
use crate::clock;
use crate::endpoint::MqttUrl;
use crate::home;

impl Controller {
    /// With what the fleet connects to a broker now: a new certificate, and the CAs that the
    /// newest `fleet.json` names, as devices trust them.
    ///
    /// # Errors
    /// In words: the store or a signature failed.
    pub(crate) async fn broker_credentials(&self) -> Result<Credentials, String> {
        let newest = self
            .metadata(PATH, None)
            .await
            .map_err(|error| error.to_string())?;
        let named = newest.and_then(|bytes| FleetDocument::parse(&bytes).ok());
        let own = || vec![self.authority.root_pem().to_owned()];
        let identity = self
            .authority
            .issue_controller(clock::now())
            .map_err(|error| error.to_string())?;
        Ok(Credentials {
            chain: identity.chain_pem,
            key: identity.key_pem,
            anchors: named.map_or_else(own, |document| document.ca_certificates),
        })
    }

    /// The broker that `fleet.json` sends devices to, if it names one that can be reached.
    pub(crate) fn named_broker(&self) -> Option<MqttUrl> {
        let named = self.named_broker.read();
        named.unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn name_broker(&self, document: &FleetDocument) {
        let mut named = self
            .named_broker
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        *named = broker_of(document);
    }

    /// Writes the list of replaced certificates anew, for brokers that read it.
    ///
    /// # Errors
    /// The store, a signature or the disk failed.
    pub(crate) async fn write_revocations(&self) -> Result<(), Error> {
        // Held from the question on: an older list must not take the place of a newer one.
        let path = self.revocations.lock().await;
        let now = clock::now();
        let replaced = self.store.read(move |tx| tx.replaced_serials(now));
        let replaced: Vec<_> = replaced
            .await
            .map_err(Error::Store)?
            .into_iter()
            .map(|(serial, since)| Replaced { serial, since })
            .collect();
        let list = self.authority.revocations(&replaced, now)?;
        let to = path.clone();
        let written = tokio::task::spawn_blocking(move || home::replace(&to, &list)).await;
        written
            .map_err(|_| Error::Stopping)?
            .map_err(|error| Error::Refused {
                why: error.to_string(),
            })
    }
}

/// The broker of a `fleet.json`: none when its port was not known yet.
pub(super) fn broker_of(document: &FleetDocument) -> Option<MqttUrl> {
    document.endpoints.mqtt.parse().ok()
}
