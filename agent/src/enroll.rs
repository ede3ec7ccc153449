//! Enrolment: how a device gets its identity, once, with a token that a person brings; and renewal,
//! by the key that it signs documents with.
//!
//! Trusts nobody but the digests in the token, asks no clock, and never overwrites the identity
//! of another device. Keys are made here, never leave, and outlive a failed attempt, so that
//! the same token can be tried again.

mod address;
mod command;
mod disk;
mod error;
mod http;
mod identity;
mod keys;
mod renew;
mod reply;
#[cfg(test)]
mod tests;

pub use address::{BadAddress, BadPrefix, Broker, TopicPrefix};
pub use command::{EnrollArgs, main};
pub use error::EnrollError;
pub use identity::{Identity, IdentityError};
pub use renew::{Renewing, renew};

use crate::store::worked;
use address::Endpoint;
use disk::Folder;
use http::Ask;
use keys::Keys;
use muster_protocol::cose;
use muster_protocol::message::enrolment::EnrolmentRequest;
use muster_protocol::token::Token;
use std::path::Path;

/// Asks the fleet for this device's identity, checks it against the token and writes it to
/// `identity/` under `state`.
///
/// # Errors
/// [`EnrollError`]. Nothing but the keys is written then.
pub async fn enroll(token: &Token, state: &Path) -> Result<Identity, EnrollError> {
    let endpoint = Endpoint::parse(&token.url)?;
    let folder = Folder::open(&identity::folder(state))?;
    refuse_other_device(token, state)?;
    let keys = Keys::load_or_make(&folder)?;
    let trust = http::pinned(&endpoint, token.ca)?;
    let ask = Ask::Post(request(token, &keys)?);
    let answer = http::ask(&endpoint, trust, ask).await?;
    let accepted = reply::check(&answer, token, &keys)?;
    identity::write(&folder, &accepted)?;
    // The broker that the fleet names now is tried before one that worked once.
    if let Err(error) = worked::forget(state) {
        tracing::warn!("{error}");
    }
    Ok(Identity::load(state)?)
}

fn refuse_other_device(token: &Token, state: &Path) -> Result<(), EnrollError> {
    match identity::device(state)? {
        Some(enrolled) if enrolled != token.device => Err(EnrollError::OtherDevice {
            folder: identity::folder(state),
            enrolled: Box::new(enrolled),
            asked: Box::new(token.device.clone()),
        }),
        _ => Ok(()),
    }
}

fn request(token: &Token, keys: &Keys) -> Result<Vec<u8>, EnrollError> {
    let certificate_request = keys.certificate_request()?;
    let request = EnrolmentRequest {
        device: token.device.clone(),
        secret: &token.secret,
        document_key: keys.document.verifying_key().into(),
        certificate_request: &certificate_request,
    };
    Ok(cose::seal_vec(&request, &keys.document))
}
