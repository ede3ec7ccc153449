//! Alerts against a real server on a socket, which refuses, hangs, redirects and answers.

use std::sync::Mutex;

use muster_fleet::incident::{Event, EventType, GIVEN_UP_AFTER_S, Person};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::store::{AlertRow, Page, Replay, Tx};

const NOW: UnixSeconds = UnixSeconds(1_800_000_000);
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// What the server does with a request.
#[derive(Debug, Clone, Copy)]
enum Does {
    /// Says this.
    Says(&'static str),
    /// Says nothing, and keeps the connection.
    Hangs,
    /// Says more than anybody wants to hear.
    Floods,
}

const OK: Does = Does::Says("HTTP/1.1 204 No Content\r\n\r\n");

struct Server {
    url: String,
    heard: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// A server that does these things, one for each connection.
    async fn start(does: Vec<Does>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/hook?x=1", listener.local_addr().expect("bound"));
        let heard = Arc::new(Mutex::new(Vec::new()));
        let into = Arc::clone(&heard);
        tokio::spawn(async move {
            let mut kept = Vec::new();
            for does in does {
                let (mut socket, _) = listener.accept().await.expect("a connection");
                let request = read(&mut socket).await;
                into.lock().expect("alive").push(request);
                kept.extend(answer(socket, does).await);
            }
        });
        Self { url, heard }
    }

    fn heard(&self) -> Vec<String> {
        self.heard.lock().expect("alive").clone()
    }
}

/// Reads head and body.
async fn read(socket: &mut TcpStream) -> String {
    let (mut bytes, mut more) = (Vec::new(), [0; 4096]);
    loop {
        let count = socket.read(&mut more).await.expect("a request");
        bytes.extend_from_slice(&more[..count]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        if count == 0 || header(head, "content-length").parse() == Ok(body.len()) {
            return text;
        }
    }
}

/// A connection that goes on is given back, so that it does.
async fn answer(mut socket: TcpStream, does: Does) -> Option<TcpStream> {
    match does {
        Does::Hangs => return Some(socket),
        Does::Says(text) => socket.write_all(text.as_bytes()).await.expect("told"),
        Does::Floods => {
            let head = format!("HTTP/1.1 200 OK\r\nx: {}\r\n", "y".repeat(1_000_000));
            let _cut_off = socket.write_all(head.as_bytes()).await;
        }
    }
    None
}

fn header<'t>(request: &'t str, name: &str) -> &'t str {
    let lines = request.lines().filter_map(|line| line.split_once(": "));
    let mut found = lines.filter(|(key, _)| key.eq_ignore_ascii_case(name));
    found.next().map_or("", |(_, value)| value.trim())
}

struct Bench {
    store: Store,
    postman: Postman,
    _folder: tempfile::TempDir,
}

impl Bench {
    async fn new(url: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::open(&folder.path().join("muster.db")).expect("a store");
        let add = |tx: &Tx<'_>| {
            let data = json!({ "note": "a \"test\" – with ü" });
            let kind = EventType::AlertTest;
            let event = Event::new(kind, "muster:test", "alerts/test", NOW, &data);
            tx.add_test_alert(&event, "ops", &ada(), NOW)
        };
        store
            .write::<_, crate::store::StoreError>(add)
            .await
            .expect("added");
        let postman = Postman {
            name: "ops".to_owned(),
            url: url.parse().expect("a URL"),
            secret: Secret::parse(SECRET).expect("a secret"),
            trust: None,
            try_max: Duration::from_millis(300),
        };
        Self {
            store,
            postman,
            _folder: folder,
        }
    }

    /// Looks `after_s` later; what was delivered and failed, and how the alert stands.
    async fn look(&self, after_s: u64) -> (usize, usize, AlertRow) {
        let now = UnixSeconds(NOW.0 + after_s);
        let round = self.postman.look(&self.store, || now).await;
        let round = round.expect("looked");
        (round.delivered, round.failed, self.alert().await)
    }

    async fn alert(&self) -> AlertRow {
        let page = Page::default();
        let all = self
            .store
            .read::<_, Error>(move |tx| Ok(tx.alerts(None, None, &page)?));
        all.await.expect("read").items.remove(0)
    }
}

fn ada() -> Person {
    Person::new("ada", "a trial").expect("valid")
}

#[tokio::test]
async fn an_alert_is_tried_until_it_is_taken_with_the_same_id_and_body() {
    let says = Does::Says;
    let does = vec![
        says("HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\n\r\n"),
        Does::Hangs,
        says("HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n"),
        says("nonsense\r\n\r\n"),
        Does::Floods,
        says(""),
        OK,
    ];
    let problems = [
        "500",
        "no answer within",
        "redirects",
        "HTTP",
        "HTTP",
        "HTTP",
    ];
    let server = Server::start(does).await;
    let bench = Bench::new(&server.url).await;
    for (at, problem) in (1..).zip(problems) {
        let (delivered, failed, alert) = bench.look(at * 7200).await;
        assert_eq!((delivered, failed), (0, 1), "{problem}");
        let said = alert.problem.expect("a reason");
        assert!(said.contains(problem), "{said} instead of {problem}");
        let after = alert.next_at.expect("another try");
        assert!(after > NOW.0 + at * 7200, "{problem}");
        // It is not due yet: nothing is sent.
        let (delivered, failed, _) = bench.look(at * 7200 + 1).await;
        assert_eq!((delivered, failed), (0, 0), "{problem}");
    }
    let (delivered, failed, alert) = bench.look(7 * 7200).await;
    assert_eq!(
        (delivered, failed, alert.state.as_str()),
        (1, 0, "delivered")
    );
    assert_eq!((alert.problem, alert.failed), (None, 6));
    assert_eq!(bench.look(8 * 7200).await.0, 0);

    let heard = server.heard();
    assert_eq!(heard.len(), 7);
    let bodies = heard
        .iter()
        .map(|request| request.split_once("\r\n\r\n").expect("whole"));
    for (at, (head, body)) in (1..).zip(bodies) {
        assert!(head.starts_with("POST /hook?x=1 HTTP/1.1\r\n"), "{head}");
        assert_eq!(header(head, "webhook-id"), alert.event);
        let sent = UnixSeconds(NOW.0 + at * 7200);
        assert_eq!(header(head, "webhook-timestamp"), sent.0.to_string());
        let secret = Secret::parse(SECRET).expect("a secret");
        let signature = secret.sign(&alert.event, sent, body);
        assert_eq!(header(head, "webhook-signature"), signature);
        let kind = header(head, "content-type");
        assert_eq!(kind, "application/cloudevents+json; charset=UTF-8");
        let event: serde_json::Value = serde_json::from_str(body).expect("JSON");
        assert_eq!(event["id"], alert.event.as_str());
        assert_eq!(event["data"]["note"], "a \"test\" – with ü");
    }
}

#[tokio::test]
async fn each_try_is_signed_with_its_own_time() {
    let server = Server::start(vec![OK, OK]).await;
    let bench = Bench::new(&server.url).await;
    let second = |tx: &Tx<'_>| {
        let (kind, data) = (EventType::AlertTest, json!({ "note": "another" }));
        let event = Event::new(kind, "muster:test", "alerts/test", NOW, &data);
        tx.add_test_alert(&event, "ops", &ada(), NOW)
    };
    let added = bench.store.write::<_, crate::store::StoreError>(second);
    added.await.expect("added");
    // The first one takes ten seconds to arrive.
    let asked = std::sync::atomic::AtomicU64::new(0);
    let clock =
        || UnixSeconds(NOW.0 + 10 * asked.fetch_add(1, std::sync::atomic::Ordering::SeqCst));
    let round = bench
        .postman
        .look(&bench.store, clock)
        .await
        .expect("looked");
    assert_eq!((round.delivered, round.failed), (2, 0));
    let heard = server.heard();
    let sent = heard.iter().map(|request| {
        let (head, body) = request.split_once("\r\n\r\n").expect("whole");
        let at = UnixSeconds(header(head, "webhook-timestamp").parse().expect("a time"));
        let secret = Secret::parse(SECRET).expect("a secret");
        let signature = secret.sign(header(head, "webhook-id"), at, body);
        assert_eq!(header(head, "webhook-signature"), signature);
        at.0 - NOW.0
    });
    assert_eq!(sent.collect::<Vec<_>>(), [10, 30]);
}

#[tokio::test]
async fn a_replay_leaves_out_webhooks_that_there_are_not() {
    let bench = Bench::new("http://127.0.0.1:1/").await;
    let again = |known: &'static str| {
        let known = [known.to_owned()];
        let work = move |tx: &Tx<'_>| {
            tx.give_up_strangers(&[], NOW)?;
            let replayed = tx.replay_alerts(Replay::Since(NOW), &known, &ada(), NOW)?;
            Ok::<_, Error>((replayed.replayed, replayed.left_out))
        };
        bench.store.write(work)
    };
    assert_eq!(again("other").await.expect("replayed"), (0, 1));
    assert_eq!(bench.alert().await.state, "given_up");
    assert_eq!(again("ops").await.expect("replayed"), (1, 0));
    assert_eq!(bench.alert().await.state, "pending");
}

#[tokio::test]
async fn what_nobody_takes_is_given_up_kept_and_can_be_replayed() {
    // Nobody listens there.
    let closed = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/", closed.local_addr().expect("bound"));
    drop(closed);
    let mut bench = Bench::new(&url).await;
    let (_, failed, alert) = bench.look(GIVEN_UP_AFTER_S - 1).await;
    assert_eq!((failed, alert.state.as_str()), (1, "pending"));
    let (_, failed, alert) = bench.look(GIVEN_UP_AFTER_S + 7200).await;
    assert_eq!((failed, alert.state.as_str()), (1, "given_up"));
    assert_eq!(alert.next_at, None);
    assert_eq!(bench.look(2 * GIVEN_UP_AFTER_S).await.1, 0);

    let server = Server::start(vec![OK]).await;
    bench.postman.url = server.url.parse().expect("a URL");
    let later = UnixSeconds(NOW.0 + 3 * GIVEN_UP_AFTER_S);
    let replay = move |tx: &Tx<'_>| {
        let known = ["ops".to_owned()];
        let none = tx.replay_alerts(Replay::Since(later), &known, &ada(), later)?;
        let one = tx.replay_alerts(Replay::Since(NOW), &known, &ada(), later)?;
        Ok::<_, Error>((none.replayed, one.replayed))
    };
    assert_eq!(bench.store.write(replay).await.expect("replayed"), (0, 1));
    let (delivered, _, again) = bench.look(3 * GIVEN_UP_AFTER_S).await;
    assert_eq!((delivered, again.event), (1, alert.event));
}

#[tokio::test]
async fn alerts_to_a_webhook_that_is_gone_wait_for_nobody() {
    let bench = Bench::new("http://127.0.0.1:1/").await;
    let give_up = |known: &[&str]| {
        let known: Vec<String> = known.iter().map(|&name| name.to_owned()).collect();
        bench
            .store
            .write::<_, Error>(move |tx| Ok(tx.give_up_strangers(&known, NOW)?))
    };
    assert_eq!(give_up(&["ops", "other"]).await.expect("looked"), 0);
    assert_eq!(give_up(&["other"]).await.expect("looked"), 1);
    let alert = bench.alert().await;
    assert!(alert.problem.expect("a reason").contains("muster.toml"));
}

#[test]
fn pauses_differ_from_webhook_to_webhook() {
    let postman = |name: &str| Postman {
        name: name.to_owned(),
        url: "http://127.0.0.1:1/".parse().expect("a URL"),
        secret: Secret::parse(SECRET).expect("a secret"),
        trust: None,
        try_max: TRY_MAX,
    };
    let alert = DueAlert {
        alert: 1,
        event: "evt_1".to_owned(),
        body: String::new(),
        tries: muster_fleet::incident::Tries {
            failed: 0,
            since: NOW,
        },
    };
    assert_ne!(postman("a").seed(&alert), postman("b").seed(&alert));
}
