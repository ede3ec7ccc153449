//! `muster device revoke`: a device that was stolen or given away.
//!
//! Never revokes before a person, or `--yes`, has agreed.

use muster_protocol::id::DeviceId;
use serde_json::json;

use super::hold::agree;
use crate::client::Client;
use crate::error::OperatorError;
use crate::output::note;

/// Revokes it.
///
/// # Errors
/// Nobody agreed, or there is no such device.
pub(super) async fn revoke(
    client: &Client,
    device: &DeviceId,
    yes: bool,
) -> Result<(), OperatorError> {
    let what = format!("revoke {device}");
    note(format_args!(
        "nothing that {device} signs will count, not even what it still has to send; it goes on \
         serving the models that it has, since nothing reaches it any more."
    ));
    if !yes {
        agree(&what)?;
    }
    let path = format!("/api/v1/devices/{device}/revoke");
    client.put(&what, &path, &json!({})).await?;
    note(format_args!(
        "{device} is revoked; external brokers turn it away once they have the new list \
         (`muster broker mosquitto`)"
    ));
    Ok(())
}
