//! Enrolment against a small HTTPS server that plays the fleet, honest or not.

mod fleet;

use super::{EnrollError, Identity, IdentityError, enroll};
use crate::tls::sample::Ca;
use fleet::{Answer, Fleet, ROOT, issue};
use muster_protocol::digest::Digest;
use muster_protocol::id::DeviceId;
use muster_protocol::key::PublicKey;
use muster_protocol::time::UnixSeconds;
use muster_protocol::token::Token;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use tempfile::tempdir;

fn token(fleet: &Fleet) -> Token {
    Token {
        url: fleet.url(),
        root: Digest::of(ROOT),
        ca: Digest::of(fleet.ca.certificate.der()),
        device: DeviceId::parse("press-07").expect("valid"),
        secret: [7; 16],
        expires: UnixSeconds(0),
    }
}

/// Every file of the identity, and who may read it.
fn modes(folder: &Path) -> Vec<(String, u32)> {
    let mut modes: Vec<_> = fs::read_dir(folder)
        .expect("a folder")
        .map(|entry| {
            let entry = entry.expect("readable");
            let mode = entry.metadata().expect("readable").permissions().mode() & 0o777;
            (entry.file_name().to_string_lossy().into_owned(), mode)
        })
        .collect();
    modes.sort();
    modes
}

#[tokio::test]
async fn a_device_enrols_once_and_again_with_the_same_keys() {
    let fleet = Fleet::start(Ca::new(), issue).await;
    let state = tempdir().expect("a folder");
    let first = enroll(&token(&fleet), state.path())
        .await
        .expect("enrolled");
    assert_eq!(first.device.as_str(), "press-07");
    assert_eq!(first.broker.to_string(), "mqtts://broker.example:8883");
    assert_eq!(
        (first.topic_prefix.as_str(), first.root.as_slice()),
        ("muster/v1", ROOT)
    );

    let folder = state.path().join("identity");
    let files = [
        "ca.pem",
        "chain.pem",
        "document.key",
        "enrolment.json",
        "root.json",
        "tls.key",
    ];
    assert_eq!(modes(&folder), files.map(|name| (name.to_owned(), 0o600)));
    assert_eq!(
        fs::metadata(&folder).expect("there").permissions().mode() & 0o777,
        0o700
    );

    let again = enroll(&token(&fleet), state.path())
        .await
        .expect("enrolled");
    let seen = fleet.seen();
    assert_eq!(seen.len(), 2);
    assert_eq!(seen[0], seen[1], "the same keys");
    assert_eq!(
        seen[0].0,
        PublicKey::from(again.document_key.verifying_key())
    );
}

#[tokio::test]
async fn keys_outlive_a_failed_attempt() {
    let refused = |_: &Ca, _: &[u8]| Answer::problem(503, r#"{"title": "not now"}"#);
    let broken = Fleet::start(Ca::new(), refused).await;
    let state = tempdir().expect("a folder");
    enroll(&token(&broken), state.path())
        .await
        .expect_err("refused");
    assert!(matches!(
        Identity::load(state.path()),
        Err(IdentityError::NotEnrolled { .. })
    ));
    let fleet = Fleet::start(Ca::new(), issue).await;
    enroll(&token(&fleet), state.path())
        .await
        .expect("enrolled");
    assert_eq!(broken.seen(), fleet.seen());
}

#[tokio::test]
async fn only_the_fleet_of_the_token_is_spoken_to() {
    let fleet = Fleet::start(Ca::new(), issue).await;
    let impostor = Fleet::impersonate(&fleet.ca.certificate, issue).await;
    let check = async |change: fn(&mut Token), to: &Fleet| {
        let state = tempdir().expect("a folder");
        let mut token = token(&fleet);
        token.url = to.url();
        change(&mut token);
        let error = enroll(&token, state.path()).await.expect_err("refused");
        assert!(matches!(error, EnrollError::Untrusted { .. }), "{error}");
        assert_eq!(error.exit_code(), 4);
        assert!(to.seen().is_empty(), "the secret was not sent");
    };
    check(|token| token.ca = Digest::of(b"another CA"), &fleet).await;
    check(
        |token| token.url = token.url.replace("localhost", "127.0.0.1"),
        &impostor,
    )
    .await;
    check(|_| (), &impostor).await;
}

#[tokio::test]
async fn an_answer_that_the_token_does_not_promise_is_refused() {
    let check = async |answer: fn(&Ca, &[u8]) -> Answer, expect: &str| {
        let fleet = Fleet::start(Ca::new(), answer).await;
        let state = tempdir().expect("a folder");
        let error = enroll(&token(&fleet), state.path())
            .await
            .expect_err("refused");
        assert!(error.to_string().contains(expect), "{error}");
        let loaded = Identity::load(state.path());
        assert!(matches!(loaded, Err(IdentityError::NotEnrolled { .. })));
    };
    check(
        |ca, it| Answer::of(ca, it, |reply| reply.root = b"{}"),
        "root metadata",
    )
    .await;
    let other = |ca: &Ca, it: &[u8]| {
        let other = Ca::new().certificate.pem();
        Answer::of(ca, it, |reply| reply.ca_certificate = other.clone().leak())
    };
    check(other, "CA certificate is not the token's").await;
    let name = |ca: &Ca, it: &[u8]| {
        let chain = fleet::certify(ca, it, "press-08");
        Answer::of(ca, it, |reply| {
            reply.certificate_chain = chain.clone().leak()
        })
    };
    check(name, "names another device").await;
    let key = |ca: &Ca, it: &[u8]| {
        let chain = ca.device("press-07").certificate.pem();
        Answer::of(ca, it, |reply| {
            reply.certificate_chain = chain.clone().leak()
        })
    };
    check(key, "is for another key").await;
    check(
        |ca, it| Answer::of(ca, it, |reply| reply.broker = "mqtt://b"),
        "mqtts://",
    )
    .await;
    check(
        |ca, it| Answer::of(ca, it, |reply| reply.topic_prefix = "a/#"),
        "prefix",
    )
    .await;
    check(
        |_, _| Answer::cbor(vec![0xff]),
        "failed to accept the fleet's answer",
    )
    .await;
    check(|_, _| Answer::cbor(vec![0; 256 * 1024 + 1]), "limit").await;
    let problem = |_: &Ca, _: &[u8]| {
        let body =
            r#"{"title": "refused", "detail": "no token\u001b has this", "hint": "make one"}"#;
        Answer::problem(422, body)
    };
    check(
        problem,
        "because the fleet refuses (422): no token has this: hint: make one",
    )
    .await;
    check(
        |_, _| Answer::problem(500, "<html>"),
        "(500): it does not say why: hint: ",
    )
    .await;
}

#[tokio::test]
async fn the_identity_of_another_device_is_not_overwritten() {
    let fleet = Fleet::start(Ca::new(), issue).await;
    let state = tempdir().expect("a folder");
    enroll(&token(&fleet), state.path())
        .await
        .expect("enrolled");
    let mut other = token(&fleet);
    other.device = DeviceId::parse("press-08").expect("valid");
    let error = enroll(&other, state.path()).await.expect_err("refused");
    assert!(matches!(error, EnrollError::OtherDevice { .. }), "{error}");
    assert_eq!(error.exit_code(), 7);
    assert_eq!(fleet.seen().len(), 1, "nobody was asked");
}

#[tokio::test]
async fn what_this_machine_cannot_do_is_said_with_a_hint() {
    let fleet = Fleet::start(Ca::new(), issue).await;
    let state = tempdir().expect("a folder");
    let check = async |token: &Token, state: &Path, exit: u8, start: &str| {
        let error = enroll(token, state).await.expect_err("fails");
        let text = error.to_string();
        assert!(
            text.starts_with(start) && text.contains(": hint: "),
            "{text}"
        );
        assert_eq!(error.exit_code(), exit, "{text}");
    };
    let file = state.path().join("file");
    fs::write(&file, "").expect("written");
    check(&token(&fleet), &file, 6, "failed to write ").await;
    let mut unreachable = token(&fleet);
    unreachable.url = "https://127.0.0.1:1".to_owned();
    check(
        &unreachable,
        state.path(),
        5,
        "failed to reach https://127.0.0.1:1/enroll",
    )
    .await;
    unreachable.url = "http://127.0.0.1:1".to_owned();
    check(&unreachable, state.path(), 2, "failed to use the token").await;
}

#[tokio::test]
async fn a_damaged_identity_is_named() {
    let fleet = Fleet::start(Ca::new(), issue).await;
    let state = tempdir().expect("a folder");
    enroll(&token(&fleet), state.path())
        .await
        .expect("enrolled");
    let check = |name: &str, damage: &dyn Fn(&Path)| {
        let path = state.path().join("identity").join(name);
        let before = fs::read(&path).expect("there");
        damage(&path);
        let error = Identity::load(state.path())
            .expect_err("damaged")
            .to_string();
        assert!(
            error.contains("identity") && error.contains(": hint: "),
            "{name}: {error}"
        );
        fs::write(&path, before).expect("written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("set");
        assert!(Identity::load(state.path()).is_ok());
    };
    for name in [
        "ca.pem",
        "chain.pem",
        "document.key",
        "enrolment.json",
        "tls.key",
    ] {
        check(name, &|path| fs::write(path, "damaged").expect("written"));
        check(name, &|path| fs::remove_file(path).expect("removed"));
    }
    for name in ["document.key", "tls.key"] {
        let open = fs::Permissions::from_mode(0o644);
        check(name, &|path| {
            fs::set_permissions(path, open.clone()).expect("set")
        });
    }
}
