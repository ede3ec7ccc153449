//! The API as its callers see it: through the router, and through real sockets with the CLI's
//! client.

use axum::body::Body;
use axum::http::{Method, Request, StatusCode, header};
use http_body_util::BodyExt as _;
use tower::ServiceExt as _;

use super::*;
use crate::client::Client;
use crate::error::Exit;

pub(super) mod sample;

use sample::{Sample, TOKEN};

const PORT: u16 = 8080;
const HOST: &str = "127.0.0.1:8080";

/// A request as a right one would be, with `changes` to its headers (an empty value removes).
fn request(
    method: Method,
    path: &str,
    body: &str,
    changes: &[(header::HeaderName, &str)],
) -> Request<Body> {
    let mut request = Request::builder().method(method).uri(path);
    let right = [
        (header::HOST, HOST),
        (header::AUTHORIZATION, &format!("Bearer {TOKEN}")),
    ];
    for (name, value) in right {
        if !changes.iter().any(|(changed, _)| *changed == name) {
            request = request.header(name, value);
        }
    }
    for (name, value) in changes.iter().filter(|(_, value)| !value.is_empty()) {
        request = request.header(name, *value);
    }
    request
        .body(Body::from(body.to_owned()))
        .expect("a request")
}

/// Sends it and compares status and kind of problem; success has the kind "".
async fn check(sample: &Sample, request: Request<Body>, expect: (u16, &str)) {
    let said = format!("{} {}", request.method(), request.uri());
    let guard = Guard {
        token: Digest::of(TOKEN.as_bytes()),
        port: PORT,
    };
    let router = router(Arc::clone(&sample.controller), guard);
    let answer = router.oneshot(request).await.expect("infallible");
    let status = answer.status();
    let body = answer
        .into_body()
        .collect()
        .await
        .expect("a body")
        .to_bytes();
    let problem = serde_json::from_slice::<Problem>(&body).ok();
    let kind = problem.as_ref().map_or("", |problem| problem.kind.as_str());
    let kind = kind.trim_start_matches("muster:");
    assert_eq!((status.as_u16(), kind), expect, "{said}: {body:?}");
    if !kind.is_empty() {
        assert_eq!(
            problem.expect("a problem").status,
            status.as_u16(),
            "{said}"
        );
    }
}

#[tokio::test]
async fn only_local_programs_with_the_token_are_answered() {
    let sample = Sample::new().await;
    for (changes, expect) in [
        (&[][..], (200, "")),
        (&[(header::AUTHORIZATION, "")], (401, "unauthorized")),
        (
            &[(header::AUTHORIZATION, "Bearer wrong")],
            (401, "unauthorized"),
        ),
        (&[(header::HOST, "evil.example:8080")], (421, "wrong-host")),
        (&[(header::HOST, "127.0.0.1:80")], (421, "wrong-host")),
        (
            &[(header::ORIGIN, "http://evil.example")],
            (403, "cross-origin"),
        ),
        (&[(header::ORIGIN, "http://127.0.0.1:8080")], (200, "")),
    ] {
        let health = request(Method::GET, "/api/v1/health", "", changes);
        check(&sample, health, expect).await;
    }
    // The guard stands before what does not exist, too.
    let nothing = request(Method::GET, "/api/x", "", &[(header::AUTHORIZATION, "")]);
    check(&sample, nothing, (401, "unauthorized")).await;
}

#[tokio::test]
async fn what_does_not_exist_or_cannot_be_understood_is_a_problem_with_a_reason() {
    let sample = Sample::new().await;
    let hex = "00".repeat(32);
    let (blob, other) = (
        format!("/api/v1/blobs/sha256:{hex}"),
        "/api/v1/blobs/md5:00",
    );
    for (method, path, body, expect) in [
        (Method::GET, "/api/v1/nothing", "", (404, "not-found")),
        (Method::DELETE, "/api/v1/devices", "", (405, "method")),
        (
            Method::GET,
            "/api/v1/devices/press-99",
            "",
            (404, "not-found"),
        ),
        (
            Method::GET,
            "/api/v1/devices/Press",
            "",
            (400, "bad-request"),
        ),
        (
            Method::GET,
            "/api/v1/devices?limit=x",
            "",
            (400, "bad-request"),
        ),
        (
            Method::GET,
            "/api/v1/devices?site=a",
            "",
            (400, "bad-request"),
        ),
        (Method::GET, "/api/v1/devices?limit=5", "", (200, "")),
        (
            Method::GET,
            "/api/v1/windows?device=press-99",
            "",
            (200, ""),
        ),
        (
            Method::GET,
            "/api/v1/drift/quality",
            "",
            (400, "bad-request"),
        ),
        (
            Method::GET,
            "/api/v1/drift/quality?model=nobody",
            "",
            (404, "not-found"),
        ),
        (
            Method::GET,
            "/api/v1/windows?device=_",
            "",
            (400, "bad-request"),
        ),
        (Method::GET, "/api/v1/receipts", "", (200, "")),
        (
            Method::GET,
            "/api/v1/receipts/signed?device=press-99&since_s=60",
            "",
            (200, ""),
        ),
        (
            Method::GET,
            "/api/v1/receipts/signed?since_s=-1",
            "",
            (400, "bad-request"),
        ),
        (Method::GET, "/api/v1/enrolments", "", (200, "")),
        (
            Method::GET,
            "/api/v1/incidents?device=press-99",
            "",
            (200, ""),
        ),
        (
            Method::GET,
            "/api/v1/incidents?open=true&cause=stuck&state=opened",
            "",
            (200, ""),
        ),
        (
            Method::GET,
            "/api/v1/incidents?model=bearing",
            "",
            (404, "not-found"),
        ),
        (
            Method::GET,
            "/api/v1/incidents?state=closed",
            "",
            (400, "bad-request"),
        ),
        (
            Method::GET,
            "/api/v1/incidents?cause=sad",
            "",
            (400, "bad-request"),
        ),
        (Method::GET, "/api/v1/incidents/7", "", (404, "not-found")),
        (Method::GET, "/api/v1/incidents/x", "", (400, "bad-request")),
        (
            Method::POST,
            "/api/v1/incidents/7/orders",
            r#"{"command":"ack","operator":"ada","reason":"looking"}"#,
            (404, "not-found"),
        ),
        (
            Method::POST,
            "/api/v1/incidents/7/orders",
            r#"{"command":"ack","operator":"ada","reason":""}"#,
            (400, "bad-request"),
        ),
        (
            Method::POST,
            "/api/v1/incidents/7/orders",
            r#"{"command":"close","operator":"ada","reason":"done"}"#,
            (400, "bad-request"),
        ),
        (Method::GET, "/api/v1/silences", "", (200, "")),
        (
            Method::POST,
            "/api/v1/silences",
            r#"{"selector":{},"expires_in_s":60,"operator":"ada","reason":"x"}"#,
            (422, "refused"),
        ),
        (
            Method::POST,
            "/api/v1/silences",
            r#"{"selector":{"cause":"stuck"},"operator":"ada","reason":"x"}"#,
            (400, "bad-request"),
        ),
        (
            Method::POST,
            "/api/v1/silences/7/end",
            r#"{"operator":"ada","reason":"x"}"#,
            (404, "not-found"),
        ),
        (Method::GET, "/api/v1/alerts?state=pending", "", (200, "")),
        (
            Method::GET,
            "/api/v1/alerts?state=lost",
            "",
            (400, "bad-request"),
        ),
        (Method::GET, "/api/v1/alerts/7", "", (404, "not-found")),
        (
            Method::POST,
            "/api/v1/alerts/replay",
            r#"{"operator":"ada","reason":"x"}"#,
            (400, "bad-request"),
        ),
        (
            Method::POST,
            "/api/v1/alerts/replay",
            r#"{"since_s":60,"operator":"ada","reason":"x"}"#,
            (200, ""),
        ),
        (
            Method::POST,
            "/api/v1/alerts/test",
            r#"{"webhook":"ops","operator":"ada","reason":"x"}"#,
            (404, "not-found"),
        ),
        (Method::GET, "/api/v1/retrain-requests", "", (200, "")),
        (
            Method::GET,
            "/api/v1/retrain-requests?state=lost",
            "",
            (400, "bad-request"),
        ),
        (
            Method::GET,
            "/api/v1/retrain-requests/7",
            "",
            (404, "not-found"),
        ),
        (
            Method::POST,
            "/api/v1/retrain-requests/7/orders",
            r#"{"command":"pick_up","operator":"ada","reason":"x"}"#,
            (404, "not-found"),
        ),
        (Method::GET, "/api/v1/drift/rules", "", (200, "")),
        (Method::GET, "/api/v1/drift/rules/newest", "", (200, "")),
        (Method::GET, "/api/v1/drift/rules/0", "", (200, "")),
        (Method::GET, "/api/v1/drift/rules/1", "", (404, "not-found")),
        (
            Method::POST,
            "/api/v1/drift/rules",
            r#"{"rules":"quiet_s = 5","operator":"ada","reason":"x"}"#,
            (422, "refused"),
        ),
        (
            Method::POST,
            "/api/v1/drift/recomputations",
            "{}",
            (202, ""),
        ),
        (Method::GET, "/api/v1/drift/recomputations/1", "", (200, "")),
        (
            Method::GET,
            "/api/v1/drift/recomputations/7",
            "",
            (404, "not-found"),
        ),
        (
            Method::GET,
            "/api/v1/drift/recomputations/all",
            "",
            (400, "bad-request"),
        ),
        (Method::GET, "/api/v1/drift/kpis", "", (200, "")),
        (
            Method::GET,
            "/api/v1/drift/kpis?since_s=0",
            "",
            (400, "bad-request"),
        ),
        (Method::GET, "/api/v1/drift", "", (400, "bad-request")),
        (
            Method::GET,
            "/api/v1/drift?model=bearing",
            "",
            (404, "not-found"),
        ),
        (
            Method::GET,
            "/api/v1/drift?model=bearing&since_s=0",
            "",
            (400, "bad-request"),
        ),
        (
            Method::GET,
            "/api/v1/drift?model=bearing&histograms=yes",
            "",
            (400, "bad-request"),
        ),
        (Method::GET, "/api/v1/summary", "", (200, "")),
        (Method::GET, "/api/v1/restores", "", (200, "")),
        (
            Method::DELETE,
            "/api/v1/devices/press-99/hold",
            "",
            (404, "not-found"),
        ),
        (Method::GET, "/api/v1/releases", "", (200, "")),
        (Method::GET, "/api/v1/rollouts", "", (200, "")),
        (Method::GET, "/api/v1/rollouts/7", "", (404, "not-found")),
        (Method::GET, "/api/v1/rollouts/x", "", (400, "bad-request")),
        (Method::GET, &blob, "", (404, "not-found")),
        (Method::GET, other, "", (400, "bad-request")),
        (Method::PUT, &blob, "other bytes", (422, "refused")),
        (
            Method::GET,
            "/api/v1/metadata/models/none",
            "",
            (404, "not-found"),
        ),
        (
            Method::GET,
            "/api/v1/metadata/root?version=x",
            "",
            (400, "bad-request"),
        ),
        (
            Method::POST,
            "/api/v1/enroll-tokens",
            "{",
            (400, "bad-request"),
        ),
        (
            Method::DELETE,
            "/api/v1/devices/press-99/models/bearing",
            "",
            (404, "not-found"),
        ),
        (
            Method::PUT,
            "/api/v1/devices/press-99/labels",
            "{}",
            (404, "not-found"),
        ),
        (
            Method::PUT,
            "/api/v1/devices/a/labels",
            r#"{"a b":"c"}"#,
            (400, "bad-request"),
        ),
        (
            Method::POST,
            "/api/v1/publications",
            r#"{"rot":"00"}"#,
            (400, "bad-request"),
        ),
        (
            Method::POST,
            "/api/v1/publications",
            r#"{"root":"0G"}"#,
            (400, "bad-request"),
        ),
        (
            Method::POST,
            "/api/v1/publications",
            r#"{"root":"00"}"#,
            (422, "refused"),
        ),
        (
            Method::POST,
            "/api/v1/rollouts",
            r#"{"model":"m"}"#,
            (400, "bad-request"),
        ),
        (
            Method::POST,
            "/api/v1/rollouts",
            r#"{"model":"m","version":"1.0.0","percent":101}"#,
            (400, "bad-request"),
        ),
        (
            Method::POST,
            "/api/v1/rollouts",
            r#"{"model":"m","version":"1.0.0"}"#,
            (404, "not-found"),
        ),
    ] {
        check(&sample, request(method, path, body, &[]), expect).await;
    }
}

#[tokio::test]
async fn what_is_stored_can_be_fetched() {
    let sample = Sample::new().await;
    let path = format!("/api/v1/blobs/{}", Digest::of(b"bytes"));
    check(&sample, request(Method::HEAD, &path, "", &[]), (404, "")).await;
    check(
        &sample,
        request(Method::PUT, &path, "bytes", &[]),
        (201, ""),
    )
    .await;
    check(
        &sample,
        request(Method::PUT, &path, "bytes", &[]),
        (201, ""),
    )
    .await;
    check(&sample, request(Method::GET, &path, "", &[]), (200, "")).await;
    check(&sample, request(Method::HEAD, &path, "", &[]), (200, "")).await;
    let (root, missing) = ("/api/v1/metadata/root", "/api/v1/metadata/root?version=9");
    check(&sample, request(Method::GET, root, "", &[]), (200, "")).await;
    check(
        &sample,
        request(Method::GET, missing, "", &[]),
        (404, "not-found"),
    )
    .await;
    let token = r#"{"device":"press-07","ttl_s":60}"#;
    let path = "/api/v1/enroll-tokens";
    check(&sample, request(Method::POST, path, token, &[]), (201, "")).await;
    let forever = r#"{"device":"press-07","ttl_s":99999999}"#;
    check(
        &sample,
        request(Method::POST, path, forever, &[]),
        (400, "bad-request"),
    )
    .await;
}

#[tokio::test]
async fn the_client_hears_why_and_each_why_has_its_exit_code() {
    let sample = Sample::new().await;
    let listen = SocketAddr::from(([127, 0, 0, 1], 0));
    let token = Digest::of(TOKEN.as_bytes());
    let server = start(listen, token, Arc::clone(&sample.controller))
        .await
        .expect("a port");
    let address = server.local_addr();
    let in_use = start(address, token, Arc::clone(&sample.controller)).await;
    let error = in_use.expect_err("the port is in use");
    assert_eq!(error.exit, Exit::Resource, "{error}");
    let url = format!("http://{address}");
    let client = Client::open(&sample.home, Some(&url)).expect("a client");
    client
        .get("ask", "/api/v1/health")
        .await
        .expect("an answer");
    let error = client
        .get("ask", "/api/v1/devices/a")
        .await
        .expect_err("no such device");
    assert_eq!(error.exit, Exit::Missing, "{error}");
    assert!(
        error.to_string().starts_with("failed to ask: because "),
        "{error}"
    );
    assert_eq!(
        client
            .all("ask", "/api/v1/devices")
            .await
            .expect("a list")
            .len(),
        0
    );
    assert!(!client.has_blob(&Digest::of(b"b")).await.expect("an answer"));
    client
        .put_blob(&Digest::of(b"b"), b"b".to_vec())
        .await
        .expect("stored");
    assert!(client.has_blob(&Digest::of(b"b")).await.expect("an answer"));
    assert!(
        client
            .metadata("root", None)
            .await
            .expect("an answer")
            .is_some()
    );
    assert!(
        client
            .metadata("root", Some(9))
            .await
            .expect("an answer")
            .is_none()
    );
    server.stop().await;
    let error = client
        .get("ask", "/api/v1/health")
        .await
        .expect_err("it has stopped");
    assert_eq!(error.exit, Exit::Unreachable, "{error}");
    assert!(error.to_string().contains("muster serve"), "{error}");
}

#[tokio::test]
async fn enrolment_answers_over_tls_and_a_mute_caller_holds_nobody_up() {
    let sample = Sample::new().await;
    let listen = SocketAddr::from(([127, 0, 0, 1], 0));
    let controller = Arc::clone(&sample.controller);
    let server = start_enrolment(listen, &sample.home, controller)
        .await
        .expect("a port");
    let mute = tokio::net::TcpStream::connect(server.local_addr())
        .await
        .expect("connected");
    let health = "GET /health HTTP/1.1\r\nHost: a\r\n\r\n";
    let answer = sample.over_tls(server.local_addr(), health).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let enroll = "POST /enroll HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc";
    let answer = sample.over_tls(server.local_addr(), enroll).await;
    assert!(answer.starts_with("HTTP/1.1 422"), "{answer}");
    let length = ENROLMENT_BYTES_MAX + 1;
    let huge = format!("POST /enroll HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n");
    let answer = sample.over_tls(server.local_addr(), &huge).await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    drop(mute);
    server.stop().await;
}

/// Where devices may ask without a token, there is enrolment and nothing else.
#[tokio::test]
async fn a_device_changes_no_metadata_of_the_fleet() {
    let sample = Sample::new().await;
    for (method, path) in [
        (Method::POST, "/api/v1/publications"),
        (Method::GET, "/api/v1/metadata/root"),
        (Method::POST, "/api/v1/enroll-tokens"),
        (Method::POST, "/api/v1/rollouts"),
        (Method::GET, "/api/v1/enrolments"),
        (Method::GET, "/"),
    ] {
        let said = format!("{method} {path}");
        let router = enrolment_router(Arc::clone(&sample.controller));
        let request = request(method, path, "{}", &[]);
        let answer = router.oneshot(request).await.expect("infallible");
        assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{said}");
    }
    for path in ["/api/v1/publications", "/api/v1/enroll-tokens"] {
        let request = request(Method::POST, path, "{}", &[(header::AUTHORIZATION, "")]);
        check(&sample, request, (401, "unauthorized")).await;
    }
}

#[test]
fn status_codes_fit_their_kinds() {
    use axum::response::IntoResponse as _;
    let answer = ApiError::Unauthorized.into_response();
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(
        answer.headers()[header::CONTENT_TYPE],
        "application/problem+json"
    );
    assert_eq!(answer.headers()[header::WWW_AUTHENTICATE], "Bearer");
}
