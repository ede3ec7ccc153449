//! A mosquitto of its own, a device that speaks through its clients, and what the fleet hears.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use muster_protocol::id::DeviceId;
use rcgen::{CertificateParams, KeyPair};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::timeout;

use super::{Plan, Plans};
use crate::authority::{Authority, TlsKey};
use crate::broker::external::{Credentials, External, ExternalConfig, Timeouts};
use crate::broker::{Admission, Handlers, Incoming, Presence, Verdict, mosquitto};
use crate::clock;
use crate::command::init;
use crate::free_port::FreePort;
use crate::home::Home;

/// Life of a device certificate.
const DAYS: std::num::NonZeroU16 = std::num::NonZeroU16::new(825).expect("not zero");

const DEADLINE: Duration = Duration::from_secs(30);
const FOLDERS: [&str; 4] = ["/usr/sbin", "/usr/bin", "/usr/local/sbin", "/usr/local/bin"];
const PAYLOAD_BYTES_MAX: usize = 128 * 1024;

#[derive(Debug, PartialEq)]
pub(super) enum Heard {
    Document(Incoming),
    Presence(String, Presence),
}

pub(super) struct Bench {
    home: Home,
    listen: FreePort,
    process: Child,
    connects: usize,
    plans: Plans,
    tell: UnboundedSender<Heard>,
    heard: UnboundedReceiver<Heard>,
    folder: tempfile::TempDir,
}

impl Bench {
    /// None, and a line that says so, where mosquitto is not installed.
    pub(super) async fn start(test: &str) -> Option<Self> {
        let needed = ["mosquitto", "mosquitto_pub", "mosquitto_sub"];
        if needed.iter().any(|name| program(name).is_none()) {
            skip(test);
            return None;
        }
        let folder = tempfile::tempdir().expect("a folder");
        let home = init::new_home(&folder.path().join("home")).await;
        let listen = FreePort::take();
        write_files(folder.path(), &home, listen.address());
        let process = spawn(folder.path());
        let (tell, heard) = unbounded_channel();
        let bench = Self {
            home,
            listen,
            process,
            connects: 0,
            plans: Plans::default(),
            tell,
            heard,
            folder,
        };
        bench.answers().await;
        Some(bench)
    }

    /// A client that may not be connected yet.
    pub(super) fn external(&self) -> External {
        let authority = Arc::new(Authority::load(&self.home).expect("a CA"));
        let quick = Duration::from_millis(20);
        let config = ExternalConfig {
            url: format!("mqtts://localhost:{}", self.listen.port())
                .parse()
                .expect("valid"),
            topic_prefix: "muster/v1".to_owned(),
            payload_bytes_max: PAYLOAD_BYTES_MAX,
            socket_folder: self.folder.path().join("link"),
            credentials: Arc::new(move || {
                let identity = authority.issue_controller(clock::now()).expect("signed");
                let credentials = Credentials {
                    chain: identity.chain_pem,
                    key: identity.key_pem,
                    anchors: vec![authority.root_pem().to_owned()],
                };
                Box::pin(async { Ok(credentials) })
            }),
            timeouts: Timeouts {
                retry_first: quick,
                retry_longest: quick,
                ..Timeouts::default()
            },
        };
        External::start(config, self.handlers()).expect("a good prefix")
    }

    /// A client whose subscription the broker knows: it has heard a device.
    pub(super) async fn connect(&mut self) -> External {
        let external = self.external();
        self.connects += 1;
        let hello = format!("hello {}", self.connects);
        // Retained, and so told to a subscription that comes later.
        let topic = "muster/v1/press-1/up/hello";
        self.publish(&["-r", "-t", topic, "-m", &hello]).await;
        let mut before = Vec::new();
        loop {
            match self.next().await {
                Heard::Document(heard) if heard.payload == hello.as_bytes() => break,
                other => before.push(other),
            }
        }
        for heard in before {
            self.tell.send(heard).expect("the bench listens");
        }
        external
    }

    pub(super) async fn say(&self, channel: &str, payload: &str) {
        let topic = format!("muster/v1/press-1/up/{channel}");
        self.publish(&["-t", &topic, "-m", payload]).await;
    }

    /// What the fleet hears next, but for what the bench says for itself.
    pub(super) async fn hear(&mut self) -> Heard {
        loop {
            let heard = self.next().await;
            let own = matches!(&heard, Heard::Document(document) if document.channel == "hello");
            if !own {
                return heard;
            }
        }
    }

    async fn next(&mut self) -> Heard {
        let heard = timeout(DEADLINE, self.heard.recv()).await;
        heard
            .expect("something heard in time")
            .expect("the bench tells")
    }

    pub(super) fn plan(&self, plans: &[Plan]) {
        self.plans.lock().expect("no test panicked").extend(plans);
    }

    pub(super) async fn kill(&mut self) {
        self.process.kill().await.expect("killed");
    }

    pub(super) async fn revive(&mut self) {
        self.process = spawn(self.folder.path());
        self.answers().await;
    }

    /// The last level of the first topic that the device hears, and what was said.
    pub(super) async fn read(&self, filter: &str) -> String {
        let mut command = self.client("mosquitto_sub");
        command.args(["-v", "-C", "1", "-W", "20", "-t", filter]);
        let output = command
            .stdout(Stdio::piped())
            .output()
            .await
            .expect("it runs");
        let text = String::from_utf8(output.stdout).expect("text");
        let last = text.trim().rsplit('/').next();
        last.unwrap_or_default().to_owned()
    }

    async fn publish(&self, arguments: &[&str]) {
        let status = self.client("mosquitto_pub").args(arguments).status().await;
        assert!(status.expect("it runs").success(), "{arguments:?}");
    }

    fn client(&self, name: &str) -> Command {
        let at = self.folder.path();
        let mut command = Command::new(program(name).expect("checked at the start"));
        let port = self.listen.port().to_string();
        command.args(["-h", "localhost", "-p", &port, "-q", "1", "-V", "mqttv311"]);
        command.arg("--cafile").arg(at.join("ca.pem"));
        command.arg("--cert").arg(at.join("device.pem"));
        command.arg("--key").arg(at.join("device.key"));
        command
    }

    /// Ends when something listens there.
    async fn answers(&self) {
        let answers = async {
            while TcpStream::connect(self.listen.address()).await.is_err() {
                tokio::task::yield_now().await;
            }
        };
        timeout(DEADLINE, answers)
            .await
            .expect("the broker answers");
    }

    fn handlers(&self) -> Handlers {
        let (plans, tell, say) = (self.plans.clone(), self.tell.clone(), self.tell.clone());
        Handlers {
            ingest: Arc::new(move |incoming| {
                // What the bench says for itself follows no plan.
                let planned = incoming.channel == "doc";
                let plan = planned.then(|| plans.lock().expect("no test panicked").pop_front());
                let told = tell.send(Heard::Document(incoming));
                Box::pin(async move {
                    told.expect("the bench listens");
                    match plan.flatten() {
                        Some(Plan::Retry) => Verdict::Retry,
                        Some(Plan::Panic) => panic!("as planned"),
                        None => Verdict::Accepted,
                    }
                })
            }),
            admit: Arc::new(|_, _| Admission::Admit),
            lost: Arc::new(|| ()),
            presence: Arc::new(move |device, presence| {
                // The last ones come when the test has ended.
                let _sent = say.send(Heard::Presence(device.to_owned(), presence));
            }),
        }
    }
}

fn write_files(folder: &Path, home: &Home, listen: SocketAddr) {
    let authority = Authority::load(home).expect("a CA");
    let now = clock::now();
    let server = authority
        .issue_server(&["localhost".to_owned()], now)
        .expect("signed");
    let key = KeyPair::generate().expect("a key");
    let request = CertificateParams::default()
        .serialize_request(&key)
        .expect("a request");
    let device = DeviceId::parse("press-1").expect("valid");
    let tls_key = TlsKey::of_request(request.der()).expect("P-256");
    let device = authority
        .issue_device(&device, &tls_key, now, DAYS)
        .expect("signed");
    fs::create_dir(folder.join(mosquitto::DATA)).expect("a folder");
    let anchors = fs::read_to_string(home.client_ca_pem()).expect("init wrote it");
    // Where tests run as root, mosquitto would give that up and could read nothing.
    for (name, text) in [
        (
            mosquitto::CONF,
            mosquitto::conf(folder, listen, Some("root")),
        ),
        (mosquitto::ACL, mosquitto::acl("muster/v1")),
        (mosquitto::CA, anchors),
        (
            mosquitto::CRL,
            authority.revocations(&[], now).expect("signed"),
        ),
        (mosquitto::SERVER, server.chain_pem),
        (mosquitto::SERVER_KEY, server.key_pem),
        ("device.pem", device.chain_pem),
        ("device.key", key.serialize_pem()),
    ] {
        fs::write(folder.join(name), text).expect("written");
    }
}

fn spawn(folder: &Path) -> Child {
    Command::new(program("mosquitto").expect("checked at the start"))
        .arg("-c")
        .arg(folder.join(mosquitto::CONF))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("starts")
}

fn program(name: &str) -> Option<PathBuf> {
    let places = FOLDERS.iter().map(|folder| Path::new(folder).join(name));
    places.into_iter().find(|path| path.exists())
}

fn skip(test: &str) {
    let hint = "apt-get install mosquitto mosquitto-clients";
    crate::skip::skip(test, "mosquitto is not installed", hint);
}
