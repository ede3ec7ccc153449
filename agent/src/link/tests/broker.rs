//! A mosquitto of its own for a test, with a TLS listener for devices and a plain one on
//! loopback through which the test itself speaks and listens.

use super::DEADLINE;
use crate::free_port::FreePort;
use crate::tls::sample::Ca;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::net::TcpStream;
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

const FOLDERS: [&str; 4] = ["/usr/sbin", "/usr/bin", "/usr/local/sbin", "/usr/local/bin"];

/// What mosquitto_sub says when its subscription is confirmed.
const SUBSCRIBED: &str = "received SUBACK";

pub(super) struct Mosquitto {
    folder: TempDir,
    /// For devices, and for the test.
    ports: [FreePort; 2],
    process: Child,
}

/// Someone who hears what is said under a filter.
pub(super) struct Listener {
    _process: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Mosquitto {
    /// None, and a line that says so, where mosquitto is not installed.
    pub(super) async fn start(test: &str, ca: &Ca) -> Option<Self> {
        for name in ["mosquitto", "mosquitto_pub", "mosquitto_sub"] {
            if program(name).is_none() {
                skip(test);
                return None;
            }
        }
        let folder = tempfile::tempdir().expect("a folder");
        let ports = [(); 2].map(|()| FreePort::take());
        configure(folder.path(), ca, ports.each_ref().map(FreePort::port));
        let process = spawn(folder.path());
        timeout(DEADLINE, answers(ports[1].port()))
            .await
            .expect("the broker answers");
        Some(Self {
            folder,
            ports,
            process,
        })
    }

    /// Where devices connect.
    pub(super) fn port(&self) -> u16 {
        self.ports[0].port()
    }

    pub(super) async fn kill(&mut self) {
        self.process.kill().await.expect("killed");
    }

    pub(super) fn revive(&mut self) {
        self.process = spawn(self.folder.path());
    }

    /// Publishes.
    pub(super) async fn say(&self, topic: &str, payload: &[u8]) {
        let mut speaker = self.command("mosquitto_pub");
        speaker
            .args(["-q", "1", "-t", topic, "-s"])
            .stdin(Stdio::piped());
        let mut speaker = speaker.spawn().expect("starts");
        let mut input = speaker.stdin.take().expect("piped");
        input.write_all(payload).await.expect("written");
        drop(input);
        let status = timeout(DEADLINE, speaker.wait()).await.expect("in time");
        assert!(status.expect("ended").success(), "{topic}");
    }

    /// Subscribes, and returns when that is confirmed.
    pub(super) async fn listen(&self, filter: &str) -> Listener {
        let mut process = self.command("mosquitto_sub");
        process
            .args(["-d", "-v", "-q", "1", "-t", filter])
            .stdout(Stdio::piped());
        let mut process = process.spawn().expect("starts");
        let stdout = process.stdout.take().expect("piped");
        let mut listener = Listener {
            _process: process,
            lines: BufReader::new(stdout).lines(),
        };
        listener.hear(SUBSCRIBED).await;
        listener
    }

    /// Waits until something that contains `expect` is, or was and stays, on `topic`.
    pub(super) async fn expect(&self, topic: &str, expect: &str) {
        self.listen(topic).await.hear(expect).await;
    }

    fn command(&self, name: &str) -> Command {
        let mut command = Command::new(program(name).expect("checked at the start"));
        let port = self.ports[1].port().to_string();
        command
            .args(["-h", "127.0.0.1", "-p", &port])
            .kill_on_drop(true);
        command
    }
}

impl Listener {
    /// The next line that contains `text`.
    pub(super) async fn hear(&mut self, text: &str) -> String {
        let found = async {
            loop {
                let line = self.lines.next_line().await.expect("readable");
                let line = line.expect("the listener runs");
                // What it tells of itself starts so; what it hears starts with a topic.
                let of_itself = line.starts_with("Client ");
                if line.contains(text) && of_itself == (text == SUBSCRIBED) {
                    return line;
                }
            }
        };
        timeout(DEADLINE, found).await.expect("heard in time")
    }
}

/// Ends when something listens there.
async fn answers(port: u16) {
    while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
        tokio::task::yield_now().await;
    }
}

fn program(name: &str) -> Option<PathBuf> {
    FOLDERS
        .iter()
        .map(|folder| Path::new(folder).join(name))
        .find(|path| path.exists())
}

fn skip(test: &str) {
    let hint = "apt-get install mosquitto mosquitto-clients";
    crate::skip::skip(test, "mosquitto is not installed", hint);
}

fn configure(folder: &Path, ca: &Ca, ports: [u16; 2]) {
    let server = ca.server((2020, 2040));
    let write = |name: &str, text: String| fs::write(folder.join(name), text).expect("written");
    write("ca.pem", ca.certificate.pem());
    write("server.pem", server.certificate.pem());
    write("server.key", server.key.serialize_pem());
    let (tls, plain, at) = (ports[0], ports[1], folder.display());
    let user = std::env::var("USER").unwrap_or_else(|_| "root".to_owned());
    write(
        "mosquitto.conf",
        format!(
            "per_listener_settings true\nuser {user}\n\
             listener {tls} 127.0.0.1\ncafile {at}/ca.pem\ncertfile {at}/server.pem\n\
             keyfile {at}/server.key\nrequire_certificate true\nuse_identity_as_username true\n\
             listener {plain} 127.0.0.1\nallow_anonymous true\n"
        ),
    );
}

fn spawn(folder: &Path) -> Child {
    Command::new(program("mosquitto").expect("checked at the start"))
        .arg("-c")
        .arg(folder.join("mosquitto.conf"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("starts")
}
