//! What a proposal builds on, fetched from the controller.
//!
//! Believes nothing of it: who signs verifies it.

use muster_protocol::tuf::author::read_unverified;
use muster_protocol::tuf::fleet_document::PATH;
use muster_protocol::tuf::{Role, Root};

use super::base::Base;
use crate::client::Client;
use crate::error::{Exit, OperatorError};

/// Every root, the newest targets and `fleet.json`, and the targets of `model`, if it has any.
///
/// # Errors
/// The controller cannot be reached, or something of it is missing.
pub(crate) async fn gather(
    client: &Client,
    what: &str,
    model: Option<&Role>,
) -> Result<Base, OperatorError> {
    let model = match model {
        Some(role) => client.metadata(role.name(), None).await?,
        None => None,
    };
    Ok(Base {
        roots: roots(client, what).await?,
        targets: document(client, what, Role::Targets.name(), None).await?,
        fleet: document(client, what, PATH, None).await?,
        model: model.map(|bytes| text(what, bytes)).transpose()?,
    })
}

async fn roots(client: &Client, what: &str) -> Result<Vec<String>, OperatorError> {
    let newest = document(client, what, Role::Root.name(), None).await?;
    let read: Root = read_unverified(&Role::Root, newest.as_bytes()).map_err(|error| {
        let hint = "look into the database of the controller";
        OperatorError::new(Exit::Refused, what, error, hint)
    })?;
    let mut roots = Vec::new();
    for version in 1..read.header.version {
        roots.push(document(client, what, Role::Root.name(), Some(version)).await?);
    }
    roots.push(newest);
    Ok(roots)
}

async fn document(
    client: &Client,
    what: &str,
    name: &str,
    version: Option<u64>,
) -> Result<String, OperatorError> {
    let found = client.present_metadata(what, name, version).await?;
    text(what, found)
}

fn text(what: &str, bytes: Vec<u8>) -> Result<String, OperatorError> {
    String::from_utf8(bytes).map_err(|error| {
        let hint = "ask who changed what the controller hands out";
        OperatorError::new(Exit::Refused, what, error, hint)
    })
}
