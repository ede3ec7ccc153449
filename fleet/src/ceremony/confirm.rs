//! The look at what was published, as a device takes it: from the root to `fleet.json`.
//!
//! Changes nothing.

use muster_protocol::time::UnixSeconds;
use muster_protocol::tuf::fleet_document::PATH;
use muster_protocol::tuf::{Expiry, Trusted};

use super::sign;
use crate::client::Client;
use crate::error::{Exit, OperatorError};

const WHAT: &str = "see the new fleet.json as a device does";

/// Follows the metadata to the new `fleet.json`.
///
/// # Errors
/// A device would refuse something on the way, or gets another file.
pub(super) async fn as_a_device(
    client: &Client,
    expected: &[u8],
    now: UnixSeconds,
) -> Result<(), OperatorError> {
    let refused = |because: String| {
        let hint = "it is published: look into the log of `muster serve`, and sign a mended one";
        OperatorError::new(Exit::Refused, WHAT, because, hint)
    };
    let root = client.present_metadata(WHAT, "root", None).await?;
    let expiry = Expiry::Enforced { now_s: now.0 };
    let mut trusted = Trusted::from_root(&root).map_err(|error| refused(error.to_string()))?;
    while let Some(wanted) = trusted.wanted_top_level() {
        let role = wanted.role.name();
        let bytes = client.metadata(role, wanted.version).await?;
        let bytes = bytes.ok_or_else(|| refused(format!("the metadata of {role} is missing")))?;
        trusted
            .update(&wanted, &bytes, expiry)
            .map_err(|error| refused(error.to_string()))?;
    }
    if trusted
        .target(PATH)
        .is_some_and(|file| sign::is(file, expected))
    {
        return Ok(());
    }
    Err(refused("another fleet.json is listed".to_owned()))
}
