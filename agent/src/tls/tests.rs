//! Whom the two verifiers trust, at which time.

use super::sample::{Ca, Issued};
use super::{Anchored, Pinned};
use muster_protocol::digest::Digest;
use muster_protocol::time::UnixSeconds;
use rustls::client::danger::ServerCertVerifier;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use std::sync::Arc;
use std::time::Duration;
use tokio_rustls::rustls;

const IN_2025: u64 = 1_750_000_000;
const IN_2031: u64 = 1_940_000_000;
const IN_2015: u64 = 1_430_000_000;

/// Whether `verifier` accepts `server` for `host`, as the wall clock says 1970.
fn accepts(
    verifier: &dyn ServerCertVerifier,
    server: &Issued,
    others: &[CertificateDer<'_>],
    host: &str,
) -> bool {
    let name = ServerName::try_from(host.to_owned()).expect("a name");
    let wall = UnixTime::since_unix_epoch(Duration::ZERO);
    verifier
        .verify_server_cert(server.certificate.der(), others, &name, &[], wall)
        .is_ok()
}

fn anchored(ca: &Ca, time: Option<u64>) -> Anchored {
    let time = time.map(UnixSeconds);
    Anchored::new(ca.anchors().certificates(), Arc::new(move || time)).expect("a verifier")
}

#[test]
fn dates_count_against_trusted_time_only() {
    let ca = Ca::new();
    let server = ca.server((2020, 2030));
    let check = |time: Option<u64>, expect: bool| {
        let found = accepts(&anchored(&ca, time), &server, &[], "localhost");
        assert_eq!(found, expect, "{time:?}");
    };
    check(Some(IN_2025), true);
    check(Some(IN_2031), false);
    check(Some(IN_2015), false);
    check(None, true);
}

#[test]
fn chain_and_name_count_at_any_time() {
    let (ca, other) = (Ca::new(), Ca::new());
    let server = ca.server((2020, 2030));
    for time in [None, Some(IN_2025)] {
        let check = |ca: &Ca, server: &Issued, host: &str, expect: bool| {
            let found = accepts(&anchored(ca, time), server, &[], host);
            assert_eq!(found, expect, "{time:?} {host}");
        };
        check(&ca, &server, "localhost", true);
        check(&ca, &server, "127.0.0.1", true);
        check(&ca, &server, "broker.example", false);
        check(&ca, &server, "127.0.0.2", false);
        check(&other, &server, "localhost", false);
        // A device's certificate is for clients only.
        check(&ca, &ca.device("localhost"), "localhost", false);
    }
}

#[test]
fn certificates_that_were_never_valid_together_are_refused_without_time() {
    let ca = Ca::new();
    let (server, later) = (ca.server((2020, 2021)), ca.server((2022, 2030)));
    let anchored = anchored(&ca, None);
    assert!(accepts(&anchored, &server, &[], "localhost"));
    let others = [later.certificate.der().clone()];
    assert!(!accepts(&anchored, &server, &others, "localhost"));
}

#[test]
fn a_pinned_certificate_must_have_issued_the_servers() {
    let (ca, other) = (Ca::new(), Ca::new());
    let (own, foreign) = (ca.server((2020, 2021)), other.server((2020, 2021)));
    let pinned = Pinned::new(Digest::of(ca.certificate.der()));
    let check = |server: &Issued, others: &[&Ca], host: &str, expect: bool| {
        let others: Vec<_> = others
            .iter()
            .map(|ca| ca.certificate.der().clone())
            .collect();
        assert_eq!(accepts(&pinned, server, &others, host), expect, "{host}");
    };
    check(&own, &[&ca], "localhost", true);
    check(&own, &[&other, &ca], "localhost", true);
    check(&own, &[&ca], "fleet.example", false);
    check(&own, &[], "localhost", false);
    check(&foreign, &[&ca], "localhost", false);
    check(&foreign, &[&other], "localhost", false);
    check(&foreign, &[&other, &ca], "localhost", false);
}

#[test]
fn a_key_of_another_certificate_is_refused_before_connecting() {
    let ca = Ca::new();
    let (device, other) = (ca.device("press-07"), ca.device("press-08"));
    let mixed = Issued {
        certificate: device.certificate,
        key: other.key,
    };
    let refused = super::mutual(&mixed.credentials(), &ca.anchors(), Arc::new(|| None));
    assert_eq!(refused.expect_err("refused").what, "TLS key");
}
