//! Why TLS failed, in words that an operator can act on.
//!
//! Never decides what to do about it.

use rustls::{AlertDescription, CertificateError, Error};
use std::io;
use tokio_rustls::rustls;

/// The reason of a failed connection to `whom` ("broker", "fleet") at `host`.
#[must_use]
pub fn because(error: &io::Error, whom: &str, host: &str) -> String {
    match tls_error(error) {
        Some(Error::InvalidCertificate(reason)) => {
            let reason = certificate(reason);
            format!("the {whom}'s certificate for {host} is refused: {reason}")
        }
        Some(Error::AlertReceived(alert)) => refused_by_peer(whom, *alert),
        Some(other) => format!("TLS with the {whom} failed: {other}"),
        None if is_silent_close(error) => format!("the {whom} closed the connection"),
        None => format!("the connection to the {whom} at {host} failed: {error}"),
    }
}

/// Whether the other side just went away, which says less than any other reason.
#[must_use]
pub fn is_silent_close(error: &io::Error) -> bool {
    tls_error(error).is_none()
        && matches!(
            error.kind(),
            io::ErrorKind::UnexpectedEof
                | io::ErrorKind::ConnectionReset
                | io::ErrorKind::BrokenPipe
                | io::ErrorKind::NotConnected
        )
}

fn tls_error(error: &io::Error) -> Option<&Error> {
    error.get_ref()?.downcast_ref::<Error>()
}

fn certificate(reason: &CertificateError) -> String {
    use CertificateError::{ApplicationVerificationFailure, BadSignature, UnknownIssuer};
    // Of a CA that only bears the name of an accepted one, the signature does not fit.
    if matches!(reason, UnknownIssuer | BadSignature) {
        "none of the accepted CAs issued it".to_owned()
    } else if *reason == ApplicationVerificationFailure {
        "the CA certificate that the token names is not in its chain".to_owned()
    } else {
        reason.to_string()
    }
}

fn refused_by_peer(whom: &str, alert: AlertDescription) -> String {
    format!(
        "the {whom} refuses this device in TLS (alert {alert:?}): its certificate may be \
         missing, expired, revoked or of another CA"
    )
}
