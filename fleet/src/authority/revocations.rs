//! The revocation list: certificates that are not the newest of their device. The embedded broker
//! asks who is admitted; an external one can only be given this list.
//!
//! A broker that also checks it takes no certificate of another intermediate: there is no list of
//! that one.

use std::time::Duration;

use muster_protocol::time::UnixSeconds;
use rcgen::{
    CertificateRevocationListParams, KeyIdMethod, RevocationReason, RevokedCertParams, SerialNumber,
};

use super::{Authority, AuthorityError, BACKDATE_S};

/// Life of a list. It is written anew with every certificate that is replaced; one that ended
/// would make the broker turn every device away.
const REVOCATIONS_DAYS: u64 = 10 * 365;

/// A certificate that was replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Replaced {
    /// Its serial, lower-case hexadecimal.
    pub(crate) serial: String,
    /// When the newer one was issued.
    pub(crate) since: UnixSeconds,
}

impl Authority {
    /// The signed list of what was replaced, PEM.
    ///
    /// # Errors
    /// [`AuthorityError::Sign`].
    pub(crate) fn revocations(
        &self,
        replaced: &[Replaced],
        now: UnixSeconds,
    ) -> Result<String, AuthorityError> {
        let epoch = rcgen::date_time_ymd(1970, 1, 1);
        let at = |time: UnixSeconds| epoch + Duration::from_secs(time.0);
        let revoked = |replaced: &Replaced| {
            Some(RevokedCertParams {
                serial_number: SerialNumber::from_slice(&bytes(&replaced.serial)?),
                revocation_time: at(replaced.since),
                reason_code: Some(RevocationReason::Superseded),
                invalidity_date: None,
            })
        };
        let list = CertificateRevocationListParams {
            this_update: at(UnixSeconds(now.0.saturating_sub(BACKDATE_S))),
            next_update: at(now.plus_days(REVOCATIONS_DAYS)),
            crl_number: SerialNumber::from(now.0),
            issuing_distribution_point: None,
            revoked_certs: replaced.iter().filter_map(revoked).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        Ok(list.signed_by(&self.issuer)?.pem()?)
    }
}

fn bytes(hex: &str) -> Option<Vec<u8>> {
    let pair = |at: usize| u8::from_str_radix(hex.get(at..at + 2)?, 16).ok();
    (0..hex.len()).step_by(2).map(pair).collect()
}
