//! Online and offline authority apart: no key that this controller holds may sign for root, targets
//! or a model. Otherwise whoever steals the controller could make releases.
//!
//! Pure.

use muster_protocol::tuf::{Authority, Role, Trusted};

use crate::controller::{Error, Keys};

/// Refuses metadata that gives a key of the controller offline authority.
///
/// # Errors
/// [`Error::Refused`] names the role.
pub(super) fn no_release_key_here(trusted: &Trusted, keys: &Keys) -> Result<(), Error> {
    let online = [
        ("snapshot", &keys.snapshot),
        ("timestamp", &keys.timestamp),
        ("director", &keys.director),
        ("acknowledgement", &keys.ack),
        ("time", &keys.time),
    ];
    for (role, by) in offline(trusted) {
        let held = online
            .iter()
            .find(|(_, key)| by.public_keys().contains(&key.verifying_key().to_bytes()));
        if let Some((purpose, _)) = held {
            let why = format!(
                "the {purpose} key of this controller would sign for {role}: \
                 keys for releases and roots are kept where no controller runs"
            );
            return Err(Error::Refused { why });
        }
    }
    Ok(())
}

/// Who signs for root, targets and each model.
fn offline(trusted: &Trusted) -> Vec<(String, Authority)> {
    let root = trusted.root().document();
    let top = [Role::Root, Role::Targets];
    let mut all: Vec<(String, Authority)> = top
        .iter()
        .map(|role| (role.name().to_owned(), root.authority(role)))
        .collect();
    if let Some(targets) = trusted.targets(&Role::Targets) {
        let targets = targets.document();
        let models = targets.delegated().iter();
        all.extend(models.map(|model| (model.name.clone(), targets.authority(model))));
    }
    all
}
