//! A real home: devices enrol with tokens, and only their newest certificate is admitted.

use ed25519_dalek::SigningKey;
use muster_protocol::message::enrolment::{EnrolmentReply, EnrolmentRequest};
use muster_protocol::token::Token;
use muster_protocol::{cbor, cose};
use rcgen::{CertificateParams, KeyPair};

use super::*;
use crate::broker::Admission;
use crate::command::init;

/// Signed by the document key of `seed`, for the TLS key.
fn request(token: &Token, seed: u8, tls: &KeyPair) -> Vec<u8> {
    let key = SigningKey::from_bytes(&[seed; 32]);
    let wanted = CertificateParams::default()
        .serialize_request(tls)
        .expect("a request");
    let request = EnrolmentRequest {
        device: token.device.clone(),
        secret: &token.secret,
        document_key: key.verifying_key().into(),
        certificate_request: wanted.der(),
    };
    cose::seal_vec(&request, &key)
}

fn serial(chain_pem: &str) -> String {
    let (_, pem) = x509_parser::pem::parse_x509_pem(chain_pem.as_bytes()).expect("PEM");
    let certificate = pem.parse_x509().expect("a certificate");
    muster_protocol::digest::Hex(certificate.raw_serial()).to_string()
}

struct Bench {
    controller: Controller,
    home: Home,
    _folder: tempfile::TempDir,
}

impl Bench {
    async fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let home = init::new_home(&folder.path().join("home")).await;
        let controller = Controller::open(&home).expect("a controller");
        Self {
            controller,
            home,
            _folder: folder,
        }
    }

    async fn token(&self) -> Token {
        let device = DeviceId::parse("press-07").expect("valid");
        let token = self.controller.create_token(device, 60).await;
        token.expect("a token")
    }

    /// The serial of the certificate, or why there is none.
    async fn enroll(&self, request: &[u8]) -> Result<String, String> {
        let reply = self.controller.enroll(request.to_vec()).await;
        let reply = reply.map_err(|error| error.to_string())?;
        let reply: EnrolmentReply<'_> = cbor::decode(&reply).expect("a reply");
        Ok(serial(reply.certificate_chain))
    }
}

#[tokio::test]
async fn a_token_is_good_once_and_the_newest_certificate_counts() {
    let bench = Bench::new().await;
    let keys = [(), ()].map(|()| KeyPair::generate().expect("a key"));
    let (token, other) = (bench.token().await, bench.token().await);
    let first = request(&token, 1, &keys[0]);
    let serial = bench.enroll(&first).await.expect("enrolled");
    assert_eq!(bench.enroll(&first).await.as_ref(), Ok(&serial), "again");
    let refused = bench.enroll(&request(&token, 2, &keys[1])).await;
    assert!(refused.expect_err("used").contains("used already"));
    assert_eq!(
        bench.controller.admit("press-07", &serial),
        Admission::Admit
    );

    let mut outgoing = bench.controller.outgoing().expect("first asked");
    let newer = bench.enroll(&request(&other, 2, &keys[1])).await;
    let newer = newer.expect("enrolled anew");
    let ended = Outgoing::Disconnect(token.device.clone());
    assert_eq!(outgoing.try_recv().ok(), Some(ended), "its older session");
    assert_eq!(bench.enroll(&first).await.as_ref(), Ok(&serial), "repeated");
    // Within one second, and after a restart.
    let restarted = Controller::open(&bench.home).expect("a controller");
    for controller in [&bench.controller, &restarted] {
        assert_eq!(controller.admit("press-07", &newer), Admission::Admit);
        for (device, serial) in [
            ("press-07", &serial),
            ("press-08", &newer),
            ("Press", &newer),
        ] {
            let admission = controller.admit(device, serial);
            assert!(matches!(admission, Admission::Refuse(_)), "{device}");
        }
    }
}

#[tokio::test]
async fn revocation_lists_that_are_written_at_once_do_not_get_into_each_other() {
    let bench = Bench::new().await;
    let write = || bench.controller.write_revocations();
    for _ in 0..20 {
        let written = tokio::join!(write(), write(), write(), write());
        let all = [written.0, written.1, written.2, written.3];
        assert!(all.iter().all(Result::is_ok), "{all:?}");
    }
    let list = std::fs::read_to_string(bench.home.revocations_pem()).expect("a list");
    assert!(
        list.trim_end().ends_with("-----END X509 CRL-----"),
        "{list}"
    );
}

#[tokio::test]
async fn the_files_of_a_home_are_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let bench = Bench::new().await;
    bench.token().await;
    for name in ["muster.db", "muster.db-wal", "muster.db-shm", "api-token"] {
        let path = bench.home.database().with_file_name(name);
        let mode = std::fs::metadata(&path)
            .expect("it is there")
            .permissions()
            .mode();
        assert_eq!(mode & 0o077, 0, "{name} {mode:o}");
    }
}
