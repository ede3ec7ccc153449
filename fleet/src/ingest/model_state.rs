//! What a receipt says about which version serves, or is a shadow. Never judges a rollout.

use muster_protocol::cose;
use muster_protocol::id::{DeviceId, Version};
use muster_protocol::message::{Document, Receipt, Role, Step};
use muster_protocol::time::UnixSeconds;

use crate::store::{StoreError, Tx};

/// Takes a stored receipt into account: which assignment the device has accepted, which version
/// serves; its signature was verified when it came.
pub(super) fn apply(
    tx: &Tx<'_>,
    device: &DeviceId,
    document: &[u8],
    now: UnixSeconds,
) -> Result<(), StoreError> {
    let receipt = cose::peek::<Document<'_>>(document)
        .ok()
        .and_then(|read| read.receipt);
    let Some(receipt) = receipt else {
        return Ok(());
    };
    if Some(receipt.accepted) > tx.accepted_at(device)? {
        tx.set_accepted(device, receipt.accepted)?;
    }
    let (active, committed) = match receipt.role.unwrap_or(Role::Serve) {
        Role::Serve => after(tx.serving(device, &receipt.model)?, &receipt),
        Role::Shadow => (running(&receipt), None),
    };
    tx.set_device_model(device, &receipt, active.as_ref(), committed.as_ref(), now)
}

/// The active version and the one that passed its probation last.
type Serving = (Option<Version>, Option<Version>);

fn after((active, committed): Serving, receipt: &Receipt<'_>) -> Serving {
    let version = Some(receipt.version.clone());
    match receipt.step {
        // Doing well again proves nothing about probation.
        Step::Active | Step::Recovered => (version, committed),
        Step::Committed => (version.clone(), version),
        Step::Reverted => (committed.clone(), committed),
        Step::Removed => (None, None),
        Step::Stopped => (None, committed),
        Step::Offered
        | Step::Fetching
        | Step::Staged
        | Step::Refused
        | Step::Shadowing
        | Step::Degraded
        | Step::RevokedNoFallback => (active, committed),
    }
}

/// What runs as a shadow: nothing before it runs, and nothing after it has ended.
fn running(receipt: &Receipt<'_>) -> Option<Version> {
    (receipt.step == Step::Shadowing).then(|| receipt.version.clone())
}

#[cfg(test)]
mod tests {
    use muster_protocol::id::{EpochGeneration, ModelId};
    use muster_protocol::message::Measured;
    use muster_protocol::time::Millis;

    use super::*;

    fn check(steps: &[(&str, Step)], expect: (Option<&str>, Option<&str>)) {
        let mut serving = (None, None);
        for (version, step) in steps {
            let receipt = Receipt {
                model: ModelId::parse("bearing").expect("valid"),
                version: Version::parse(version).expect("valid"),
                bundle: None,
                since: EpochGeneration::new(1, 1),
                accepted: EpochGeneration::new(1, 1),
                step: *step,
                reason: None,
                detail: None,
                at: Millis(0),
                unix: None,
                measured: Measured::default(),
                role: None,
            };
            serving = after(serving, &receipt);
        }
        let seen = (
            serving.0.as_ref().map(Version::as_str),
            serving.1.as_ref().map(Version::as_str),
        );
        assert_eq!(seen, expect, "{steps:?}");
    }

    #[test]
    fn what_serves_follows_the_steps() {
        let first = [
            ("1.0.0", Step::Offered),
            ("1.0.0", Step::Active),
            ("1.0.0", Step::Committed),
        ];
        let then = |steps: &[(&'static str, Step)]| [first.as_slice(), steps].concat();
        check(&[("1.0.0", Step::Offered)], (None, None));
        check(&first[..2], (Some("1.0.0"), None));
        check(&first, (Some("1.0.0"), Some("1.0.0")));
        check(
            &then(&[("2.0.0", Step::Active)]),
            (Some("2.0.0"), Some("1.0.0")),
        );
        let reverted = then(&[("2.0.0", Step::Active), ("2.0.0", Step::Reverted)]);
        check(&reverted, (Some("1.0.0"), Some("1.0.0")));
        check(
            &then(&[("2.0.0", Step::Refused)]),
            (Some("1.0.0"), Some("1.0.0")),
        );
        check(&then(&[("1.0.0", Step::Removed)]), (None, None));
        check(&then(&[("1.0.0", Step::Stopped)]), (None, Some("1.0.0")));
    }
}
