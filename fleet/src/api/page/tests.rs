//! The page as a browser asks for it: who is let in, what every answer carries, and that what
//! devices and operators wrote is shown and never obeyed.

use std::collections::BTreeMap;

use axum::body::Body;
use axum::http::{HeaderMap, Method};
use futures_util::StreamExt as _;
use http_body_util::BodyExt as _;
use muster_protocol::digest::Digest;
use tower::ServiceExt as _;

use super::super::tests::sample::{Sample, TOKEN};
use super::lookout::Look;
use super::*;
use crate::controller::{DeviceLook, DevicesLook, FleetLook, ModelLook};
use crate::drift::{DriftRow, FeatureDrift, Histogram, Measure, Side};
use crate::store::{DeviceRow, Held, Incident, ModelSummary};
use muster_protocol::time::UnixSeconds;

const PORT: u16 = 8080;
const HOST: &str = "127.0.0.1:8080";
const ORIGIN: &str = "http://127.0.0.1:8080";

/// A controller with its whole router, as one browser sees it.
struct Browser {
    sample: Sample,
    router: Router,
    cookie: Option<String>,
}

struct Said {
    status: u16,
    headers: HeaderMap,
    body: String,
}

impl Browser {
    async fn new() -> Self {
        let sample = Sample::new().await;
        let token = Digest::of(TOKEN.as_bytes());
        let guard = Guard { token, port: PORT };
        let router = super::super::router(Arc::clone(&sample.controller), guard);
        Self {
            sample,
            router,
            cookie: None,
        }
    }

    /// A browser that is signed in.
    async fn signed_in() -> Self {
        let mut browser = Self::new().await;
        let said = browser.sign_in(TOKEN).await;
        let cookie = said.headers[header::SET_COOKIE].to_str().expect("text");
        browser.cookie = cookie.split(';').next().map(str::to_owned);
        browser
    }

    async fn sign_in(&self, token: &str) -> Said {
        self.post(
            "/login",
            &format!("token={}", text::query_part(token)),
            &[ORIGIN],
        )
        .await
    }

    async fn get(&self, path: &str) -> Said {
        self.ask(Method::GET, path, "", &[]).await
    }

    async fn post(&self, path: &str, body: &str, origin: &[&str]) -> Said {
        let origin: Vec<_> = origin
            .iter()
            .map(|origin| (header::ORIGIN, *origin))
            .collect();
        self.ask(Method::POST, path, body, &origin).await
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        body: &str,
        headers: &[(HeaderName, &str)],
    ) -> Said {
        let answer = self.answer(method, path, body, headers).await;
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let body = answer
            .into_body()
            .collect()
            .await
            .expect("a body")
            .to_bytes();
        let body = String::from_utf8(body.to_vec()).expect("text");
        Said {
            status,
            headers,
            body,
        }
    }

    async fn answer(
        &self,
        method: Method,
        path: &str,
        body: &str,
        headers: &[(HeaderName, &str)],
    ) -> Response {
        let mut request = Request::builder().method(method).uri(path);
        if !headers.iter().any(|(name, _)| *name == header::HOST) {
            request = request.header(header::HOST, HOST);
        }
        let cookie = self
            .cookie
            .as_deref()
            .map(|cookie| (header::COOKIE, cookie));
        for (name, value) in headers.iter().cloned().chain(cookie) {
            request = request.header(name, value);
        }
        let request = request
            .body(Body::from(body.to_owned()))
            .expect("a request");
        self.router
            .clone()
            .oneshot(request)
            .await
            .expect("infallible")
    }
}

fn location(said: &Said) -> &str {
    let location = said.headers.get(header::LOCATION);
    location.map_or("", |location| location.to_str().expect("text"))
}

#[tokio::test]
async fn without_a_session_every_page_leads_to_the_login() {
    let browser = Browser::new().await;
    for path in ["/", "/?q=a", "/nothing", "/api"] {
        let said = browser.get(path).await;
        assert_eq!((said.status, location(&said)), (303, "/login"), "{path}");
        assert_eq!(said.body, "", "{path}");
    }
    assert_eq!(browser.get("/events").await.status, 401);
    assert_eq!(browser.get("/metrics").await.status, 401);
    for path in [
        "/login",
        "/assets/page.css",
        "/assets/page.js",
        "/assets/icon.svg",
    ] {
        assert_eq!(browser.get(path).await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn the_token_opens_a_session_and_nothing_else_does() {
    let browser = Browser::new().await;
    for token in ["", "wrong", "<script>alert(1)</script>"] {
        let said = browser.sign_in(token).await;
        assert_eq!(said.status, 401, "{token}");
        assert!(said.headers.get(header::SET_COOKIE).is_none(), "{token}");
        assert!(
            said.body.contains("This is not the token."),
            "{}",
            said.body
        );
        assert!(!said.body.contains("alert(1)"), "{}", said.body);
    }
    let said = browser.sign_in(TOKEN).await;
    assert_eq!((said.status, location(&said)), (303, "/"));
    let cookie = said.headers[header::SET_COOKIE].to_str().expect("text");
    let attributes: Vec<_> = cookie.split("; ").skip(1).collect();
    assert_eq!(
        attributes,
        ["Path=/", "Max-Age=43200", "HttpOnly", "SameSite=Strict"]
    );
    assert!(!cookie.contains(TOKEN), "{cookie}");
}

#[tokio::test]
async fn guesses_are_few_at_a_time() {
    let browser = Browser::new().await;
    let mut refused = 0;
    // Two seconds may begin among them, with five guesses each.
    for _ in 0..20 {
        let said = browser.sign_in("wrong").await;
        refused += u32::from(said.status == 429);
        assert!([401, 429].contains(&said.status));
    }
    assert!(refused >= 5, "{refused} of 20");
}

#[tokio::test]
async fn a_form_of_another_origin_or_of_none_is_refused() {
    let browser = Browser::signed_in().await;
    let body = format!("token={}", text::query_part(TOKEN));
    for path in ["/login", "/logout"] {
        for origin in [
            &[][..],
            &["http://evil.example"],
            &["null"],
            &["https://127.0.0.1:8080"],
        ] {
            let said = browser.post(path, &body, origin).await;
            assert_eq!(said.status, 403, "{path} {origin:?}");
            assert!(
                said.headers.get(header::SET_COOKIE).is_none(),
                "{path} {origin:?}"
            );
        }
    }
    let host = (header::HOST, "evil.example:8080");
    assert_eq!(browser.ask(Method::GET, "/", "", &[host]).await.status, 421);
    assert_eq!(
        browser.get("/").await.status,
        200,
        "the session is as it was"
    );
}

#[tokio::test]
async fn a_session_opens_pages_until_it_is_closed_and_never_the_api() {
    let browser = Browser::signed_in().await;
    assert_eq!(browser.get("/").await.status, 200);
    assert_eq!(browser.get("/nothing").await.status, 404);
    assert_eq!(location(&browser.get("/login").await), "/");
    for path in ["/api/v1/summary", "/api/v1/devices", "/api/v1/nothing"] {
        assert_eq!(browser.get(path).await.status, 401, "{path}");
    }
    for (method, path) in [
        (Method::POST, "/"),
        (Method::DELETE, "/"),
        (Method::GET, "/logout"),
    ] {
        let said = browser
            .ask(method, path, "", &[(header::ORIGIN, ORIGIN)])
            .await;
        assert_eq!(said.status, 405, "{path}");
    }
    let said = browser.post("/logout", "", &[ORIGIN]).await;
    assert_eq!((said.status, location(&said)), (303, "/login"));
    let cookie = said.headers[header::SET_COOKIE].to_str().expect("text");
    assert!(cookie.contains("Max-Age=0"), "{cookie}");
    assert_eq!(
        browser.get("/").await.status,
        303,
        "the cookie alone is worth nothing"
    );
}

#[tokio::test]
async fn every_answer_forbids_what_the_page_does_not_need() {
    let browser = Browser::signed_in().await;
    for path in ["/", "/login", "/nothing", "/assets/page.js", "/api"] {
        let said = browser.get(path).await;
        for (name, value) in HEADERS {
            assert_eq!(said.headers[&name], value, "{path} {name}");
        }
    }
    let page = browser.get("/").await.body;
    for forbidden in [
        "style=",
        "<style",
        "onclick",
        "onload",
        "javascript:",
        "http-equiv",
    ] {
        assert!(!page.contains(forbidden), "{forbidden}");
    }
    assert_eq!(page.matches("<script").count(), 1, "one, with a source");
}

#[tokio::test]
async fn an_open_page_hears_of_a_change_once() {
    let browser = Browser::signed_in().await;
    let answer = browser.answer(Method::GET, "/events", "", &[]).await;
    assert_eq!(answer.headers()[header::CONTENT_TYPE], "text/event-stream");
    assert!(
        answer
            .extensions()
            .get::<super::super::listener::LongAnswer>()
            .is_some()
    );
    let mut events = answer.into_body().into_data_stream();
    let mut next = async || {
        let event = events.next().await.expect("it goes on").expect("an event");
        String::from_utf8(event.to_vec()).expect("text")
    };
    let first = next().await;
    assert!(first.starts_with("event: fragment\n"), "{first}");
    assert!(first.contains("No device has enrolled yet"), "{first}");
    let device = muster_protocol::id::DeviceId::parse("press-07").expect("valid");
    browser.sample.add_device(&device).await;
    let second = next().await;
    assert!(second.contains("press-07"), "{second}");
    let third = next().await;
    assert!(third.starts_with("event: same\n"), "{third}");
}

#[tokio::test]
async fn more_viewers_than_places_are_told_so() {
    let browser = Browser::signed_in().await;
    let ask = async || browser.answer(Method::GET, "/events", "", &[]).await;
    let mut watching = Vec::new();
    for _ in 0..VIEWERS_MAX {
        watching.push(ask().await);
    }
    let said = browser.get("/events").await;
    assert!(said.body.contains("event: full"), "{}", said.body);
    assert!(
        said.body.contains("32 pages are being watched"),
        "{}",
        said.body
    );
    drop(watching.pop());
    let mut events = ask().await.into_body().into_data_stream();
    let first = events.next().await.expect("a place").expect("an event");
    assert!(first.starts_with(b"event: fragment"));
}

#[tokio::test]
async fn an_open_page_does_not_keep_the_listener_from_stopping() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let sample = Sample::new().await;
    let (any, token) = (([127, 0, 0, 1], 0).into(), Digest::of(TOKEN.as_bytes()));
    let controller = Arc::clone(&sample.controller);
    let server = super::super::start(any, token, controller)
        .await
        .expect("a port");
    let address = server.local_addr();
    let ask = async |request: String| {
        let mut socket = tokio::net::TcpStream::connect(address)
            .await
            .expect("connected");
        socket.write_all(request.as_bytes()).await.expect("sent");
        socket
    };
    let form = format!("token={}", text::query_part(TOKEN));
    let length = form.len();
    let mut login = ask(format!(
        "POST /login HTTP/1.1\r\nhost: {address}\r\norigin: http://{address}\r\n\
         content-length: {length}\r\n\r\n{form}"
    ))
    .await;
    let mut said = String::new();
    login.read_to_string(&mut said).await.expect("text");
    let cookie = said
        .lines()
        .find_map(|line| line.strip_prefix("set-cookie: "));
    let cookie = cookie
        .and_then(|line| line.split(';').next())
        .expect("a session");
    let mut page = ask(format!(
        "GET /events HTTP/1.1\r\nhost: {address}\r\ncookie: {cookie}\r\n\r\n"
    ))
    .await;
    let mut first = [0; 12];
    page.read_exact(&mut first).await.expect("an answer");
    assert_eq!(&first, b"HTTP/1.1 200");
    let soon = std::time::Duration::from_secs(3);
    let stopped = tokio::time::timeout(soon, server.stop()).await;
    stopped.expect("it ends before it would be cut off");
    let mut rest = Vec::new();
    page.read_to_end(&mut rest)
        .await
        .expect("the stream has an end");
    assert!(rest.ends_with(b"0\r\n\r\n"), "the end is a proper one");
}

/// Texts that would do harm if they were taken for more than text.
const HOSTILE: [&str; 5] = [
    "<script>window.pwned=1</script>",
    "\"><img src=x onerror=window.pwned=1>",
    "'; } </title></svg></style><svg onload=alert(1)>",
    "javascript:alert(1)",
    "\u{202e}gnp.exe\r\n\r\ndata: x\0",
];

fn device(hostile: &str) -> DeviceLook {
    let text = hostile.to_owned();
    let device = DeviceRow {
        device: text.clone(),
        labels: BTreeMap::from([(text.clone(), text.clone())]),
        enrolled_at: 0,
        last_seen: Some(0),
        connected: false,
        agent: Some(text.clone()),
        health: serde_json::Value::Null,
        metadata: serde_json::Value::Null,
        accepted: None,
        assigned: None,
        revoked: false,
        held: Some(Held {
            reason: text.clone(),
            waits_for: "operator",
            since: 0,
            refused: Some(text.clone()),
        }),
    };
    let model = ModelSummary {
        model: text.clone(),
        desired_version: Some(text.clone()),
        active_version: Some("1.0.0".to_owned()),
        step_version: Some(text.clone()),
        step: Some("refused".to_owned()),
        reason: Some(text.clone()),
        detail: Some(text),
        ..ModelSummary::default()
    };
    DeviceLook {
        device,
        heard_at: Some(0),
        is_stale: true,
        models: vec![(model, vec![1, 2])],
    }
}

fn drift(hostile: &str, device: Option<&str>) -> DriftRow {
    let feature = FeatureDrift {
        feature: hostile.to_owned(),
        source: Side::Output,
        n: 12,
        missing: 0,
        non_finite: 0,
        out_of_range: 0,
        measure: Measure::TooFew { n_min: 200 },
        histogram: Some(Histogram {
            edges: vec![f32::MIN, f32::MAX],
            reference: vec![1, 2, 3],
            observed: vec![3, 2, 1],
        }),
    };
    DriftRow {
        model: hostile.to_owned(),
        quality: None,
        version: Some(hostile.to_owned()),
        bundle: "sha256:00".to_owned(),
        device: device.map(str::to_owned),
        cohort: None,
        devices: 1,
        closed_windows: 1,
        calls: 12,
        calls_without_features: 0,
        windows_left_out: 0,
        reference_rows: None,
        features: vec![feature],
    }
}

/// A look in which everything that can be text is `hostile`.
fn look(hostile: &str) -> Look {
    let incident = Incident {
        incident: 1,
        device: Some(hostile.to_owned()),
        kind: hostile.to_owned(),
        detail: hostile.to_owned(),
        ..Incident::default()
    };
    let fleet = FleetLook {
        models: vec![ModelLook {
            model: hostile.to_owned(),
            ..ModelLook::default()
        }],
        models_total: 1,
        incidents_total: 1,
        incidents: vec![incident],
        ..FleetLook::default()
    };
    let devices = DevicesLook {
        items: vec![device(hostile)],
        matching: 2,
        skipped: 0,
        bad_query: None,
    };
    let which = WhichDevices {
        query: hostile.to_owned(),
        ..WhichDevices::default()
    };
    Look {
        which,
        fleet: Arc::new(fleet),
        devices,
        drift: Arc::new(vec![drift(hostile, None)]),
        device_drift: vec![drift(hostile, Some(hostile))],
    }
}

fn rendered(hostile: &str) -> String {
    let page = OverviewPage::new(&look(hostile), UnixSeconds(1_800_000_000), HOST.to_owned());
    page.render().expect("rendered")
}

/// What is markup, without the text between and in quotes.
fn tags(html: &str) -> Vec<&str> {
    let parts = html.split('<').skip(1);
    parts
        .map(|part| part.split([' ', '>', '\n']).next().unwrap_or_default())
        .collect()
}

#[test]
fn what_others_wrote_adds_no_markup() {
    let harmless = rendered("harmless");
    for hostile in HOSTILE {
        let html = rendered(hostile);
        assert_eq!(tags(&html), tags(&harmless), "{hostile:?}");
        for forbidden in [
            "<script>",
            "<img",
            "onload=alert(1)>",
            "href=\"javascript",
            "\u{202e}",
        ] {
            assert!(!html.contains(forbidden), "{forbidden}: {hostile:?}");
        }
        assert!(!html.contains(['\r', '\0']), "{hostile:?}");
        // A quote inside an attribute would end it.
        assert_eq!(
            html.matches('"').count(),
            harmless.matches('"').count(),
            "{hostile:?}"
        );
    }
}

#[test]
fn a_held_device_says_what_it_waits_for() {
    let html = rendered("press-07");
    assert!(html.contains("held") && html.contains("until the operator decides"));
}

#[test]
fn what_is_long_is_cut() {
    let html = rendered(&"x".repeat(10_000));
    let longest = html
        .split(|c| c != 'x')
        .map(str::len)
        .max()
        .unwrap_or_default();
    // The query goes back into its field, with at most the characters that a query may have.
    assert!(
        longest <= 10_000 && html.len() < 60_000,
        "{longest} {}",
        html.len()
    );
    assert!(html.contains("xxx…"));
}

#[test]
fn moments_alone_are_no_change() {
    assert_eq!(look("a"), look("a"));
    assert_ne!(look("a"), look("b"));
}
