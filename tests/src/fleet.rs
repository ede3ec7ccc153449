//! A controller of its own: home, `muster serve`, and the commands of its operator.
//!
//! Devices reach its broker through a [`Proxy`], so that the wire can be cut and counted. That
//! broker is the embedded one, or a [`Mosquitto`].

mod known;

use crate::bundles::Bundle;
use crate::cli::{self, Said};
use crate::fake_clock::FakeClock;
use crate::mosquitto::{self, Mosquitto};
use crate::program::{self, Program};
use crate::proxy::Proxy;
use crate::wait;
use serde_json::Value;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Condvar, Mutex};
use tempfile::TempDir;

/// Fleets that run at the same time, however many threads the tests have.
const FLEETS_MAX: usize = 3;

/// What `muster serve` logs when an external broker has taken its subscription.
const CONNECTED: &str = "connected to mqtts://";

static RUNNING: Mutex<usize> = Mutex::new(0);
static ENDED: Condvar = Condvar::new();

/// A controller and the folder in which everything of one test lies.
#[derive(Debug)]
pub struct Fleet {
    // Fields are dropped in this order: the program before its folder, the place last.
    server: Option<Program>,
    mosquitto: Option<Mosquitto>,
    api: Option<SocketAddr>,
    broker: Option<SocketAddr>,
    proxy: Proxy,
    /// Leads to enrolment, which has another port after each start.
    enrolment: Proxy,
    clock: Option<FakeClock>,
    folder: TempDir,
    _place: Place,
}

#[derive(Debug)]
struct Place;

impl Place {
    fn take() -> Self {
        let running = RUNNING.lock().expect("not poisoned");
        let mut running = ENDED
            .wait_while(running, |running| *running >= FLEETS_MAX)
            .expect("not poisoned");
        *running += 1;
        Self
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        *RUNNING.lock().expect("not poisoned") -= 1;
        ENDED.notify_one();
    }
}

/// Runs a test on the embedded broker and, where it is installed, on mosquitto.
pub fn on_each_broker(test: &str, run: impl Fn(Fleet)) {
    run(Fleet::start());
    if mosquitto::is_installed(test) {
        run(Fleet::start_on_mosquitto());
    }
}

impl Fleet {
    /// Makes a home and serves it with a mosquitto as its only broker.
    ///
    /// # Panics
    /// When that fails.
    pub fn start_on_mosquitto() -> Self {
        let mut fleet = Self::init();
        let url = fleet.start_mosquitto();
        fleet.set_broker(&format!("\"{url}\""));
        fleet.serve();
        fleet
    }

    /// Starts a mosquitto with files for this fleet, of which the controller does not know yet;
    /// its address.
    ///
    /// # Panics
    /// When that fails.
    pub fn start_mosquitto(&mut self) -> String {
        let mut mosquitto = Mosquitto::of(self);
        mosquitto.start();
        let url = mosquitto.url();
        self.mosquitto = Some(mosquitto);
        url
    }

    /// Says in `muster.toml` which brokers are heard, for the next start.
    ///
    /// # Panics
    /// When the disk refuses.
    pub fn set_broker(&self, brokers: &str) {
        self.set_line("broker", brokers);
    }

    /// Makes a home and serves it.
    ///
    /// # Panics
    /// When that fails.
    pub fn start() -> Self {
        let mut fleet = Self::init();
        fleet.serve();
        fleet
    }

    /// Makes a home that nobody serves.
    ///
    /// # Panics
    /// When that fails.
    pub fn init() -> Self {
        Self::init_after(|_| ()).0
    }

    /// As [`Self::init`], in a folder for the home that was prepared before.
    ///
    /// # Panics
    /// As [`Self::init`].
    pub fn init_after<T>(prepare: impl FnOnce(&Path) -> T) -> (Self, T) {
        let place = Place::take();
        let folder = tempfile::Builder::new()
            .prefix("muster-test-")
            .tempdir()
            .expect("a folder");
        let fleet = Self {
            server: None,
            mosquitto: None,
            api: None,
            broker: None,
            proxy: Proxy::start(),
            enrolment: Proxy::start(),
            clock: None,
            folder,
            _place: place,
        };
        let prepared = prepare(&fleet.home());
        let (any, broker_url) = ("127.0.0.1:0", fleet.broker_url());
        let enroll_url = format!("https://localhost:{}", fleet.enrolment.port());
        let listen = [
            "--broker-listen",
            any,
            "--broker-url",
            &broker_url,
            "--enroll-listen",
            any,
            "--enroll-url",
            &enroll_url,
            "--api-listen",
            any,
        ];
        fleet
            .cli(&[&["init", "--host", "localhost"], &listen[..]].concat())
            .ok();
        fleet.free_enrolment();
        (fleet, prepared)
    }

    /// Gives the machine of the controller another clock, for its next start.
    pub fn set_clock(&mut self, clock: Option<FakeClock>) {
        self.clock = clock;
    }

    /// The clock of [`Self::set_clock`].
    ///
    /// # Panics
    /// When it has the machine's.
    pub fn clock(&self) -> &FakeClock {
        self.clock.as_ref().expect("it has a clock of its own")
    }

    /// The broker as devices are told at first.
    pub fn broker_url(&self) -> String {
        format!("mqtts://localhost:{}", self.proxy.port())
    }

    /// Lets enrolment take a free port with each start: the one that `init` has found could be
    /// taken meanwhile.
    fn free_enrolment(&self) {
        self.set_line("enroll_listen", "\"127.0.0.1:0\"");
    }

    /// Puts a line of `muster.toml` in the place of the one with this key, or adds it.
    fn set_line(&self, key: &str, value: &str) {
        let path = self.home().join("muster.toml");
        let text = fs::read_to_string(&path).expect("init wrote it");
        let start = format!("{key} = ");
        let others = text.lines().filter(|line| !line.starts_with(&start));
        let others: String = others.map(|line| format!("{line}\n")).collect();
        fs::write(path, format!("{start}{value}\n{others}")).expect("the disk takes it");
    }

    /// Adds lines to the top of `muster.toml`.
    ///
    /// # Panics
    /// When the disk refuses.
    pub fn configure(&self, lines: &str) {
        let path = self.home().join("muster.toml");
        let text = fs::read_to_string(&path).expect("init wrote it");
        fs::write(path, format!("{lines}{text}")).expect("the disk takes it");
    }

    /// Serves the home, again after [`Self::kill9`] or [`Self::stop`].
    ///
    /// # Panics
    /// When it does not become ready.
    pub fn serve(&mut self) {
        let mut command = self.command();
        command.arg("serve").env("MUSTER_LOG", "info,muster=debug");
        if let Some(clock) = &self.clock {
            clock.show_to(&mut command);
        }
        let mut server = Program::start("muster-serve", command, self.folder());
        let connected = |server: &Program| server.log().matches(CONNECTED).count();
        let before = connected(&server);
        let ready = server.ready();
        let broker = match (ready.contains("broker=external"), &self.mosquitto) {
            (true, Some(mosquitto)) => {
                // Only from then on devices are heard.
                let is_connected = || connected(&server) > before;
                wait::until_true("the fleet to be connected", wait::SOON, is_connected);
                mosquitto.address()
            }
            _ => address(&ready, "broker="),
        };
        self.server = Some(server);
        self.api = Some(address(&ready, "api="));
        self.broker = Some(broker);
        self.proxy.lead_to(broker);
        self.enrolment.lead_to(address(&ready, "enroll="));
    }

    /// Takes the controller away as a power cut would, and the embedded broker with it.
    pub fn kill9(&mut self) {
        self.cut_with_the_broker();
        self.server_mut().kill9();
    }

    /// Ends the controller in good order.
    ///
    /// # Panics
    /// When it ends with an error.
    pub fn stop(&mut self) {
        self.cut_with_the_broker();
        let status = self.server_mut().stop();
        assert!(status.success(), "muster serve ended with {status}");
    }

    fn cut_with_the_broker(&self) {
        let elsewhere = self.mosquitto.as_ref().map(Mosquitto::address);
        if self.broker != elsewhere {
            self.proxy.cut();
        }
    }

    /// Its mosquitto.
    ///
    /// # Panics
    /// When its broker is the embedded one.
    pub fn mosquitto(&mut self) -> &mut Mosquitto {
        self.mosquitto.as_mut().expect("it runs on mosquitto")
    }

    /// Gives its mosquitto the newest revocation list, as an operator does.
    ///
    /// # Panics
    /// When its broker is the embedded one.
    pub fn renew_mosquitto(&self) {
        let mosquitto = self.mosquitto.as_ref().expect("it runs on mosquitto");
        mosquitto.write_files(self);
        mosquitto.reload();
    }

    fn server_mut(&mut self) -> &mut Program {
        self.server.as_mut().expect("it was served")
    }

    /// What the controller logged.
    pub fn log(&self) -> String {
        self.server.as_ref().map(Program::log).unwrap_or_default()
    }

    /// The folder of the test.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The home.
    pub fn home(&self) -> PathBuf {
        self.folder().join("home")
    }

    /// The wire between devices and the broker.
    pub fn proxy(&self) -> &Proxy {
        &self.proxy
    }

    /// Where the broker itself listens.
    ///
    /// # Panics
    /// When it was never served.
    pub fn broker(&self) -> SocketAddr {
        self.broker.expect("it was served")
    }

    /// Where the API listens, and the page.
    ///
    /// # Panics
    /// When it was never served.
    pub fn api_address(&self) -> SocketAddr {
        self.api.expect("it was served")
    }

    /// The token of the API.
    ///
    /// # Panics
    /// When there is none.
    pub fn token(&self) -> String {
        let token = fs::read_to_string(self.home().join("controller/api-token"));
        token.expect("init wrote it").trim().to_owned()
    }

    /// `muster --home HOME`, to be run by the caller.
    pub fn command(&self) -> Command {
        let mut command = Command::new(program::path("muster"));
        command
            .arg("--home")
            .arg(self.home())
            .current_dir(self.folder());
        command
    }

    /// Runs `muster --home HOME …`.
    pub fn cli(&self, arguments: &[&str]) -> Said {
        cli::run(self.command().args(arguments))
    }

    /// Runs `muster --home HOME --output json …` and reads what it prints.
    ///
    /// # Panics
    /// When it fails or prints no JSON.
    pub fn json(&self, arguments: &[&str]) -> Value {
        let said = self.cli(&[&["--output", "json"], arguments].concat()).ok();
        serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error}: {said}"))
    }

    /// Signs a bundle and publishes it.
    ///
    /// # Panics
    /// When that is refused.
    pub fn release(&self, bundle: &Bundle) {
        self.cli(&["release", bundle.arg(), "--yes"]).ok();
    }

    /// Rolls a version out to all devices.
    ///
    /// # Panics
    /// When that is refused.
    pub fn roll_out(&self, model: &str, version: &str) {
        let line = [
            "rollout",
            "create",
            "--model",
            model,
            "--version",
            version,
            "--yes",
        ];
        self.cli(&line).ok();
    }

    /// Signs, publishes and rolls out.
    ///
    /// # Panics
    /// When that is refused.
    pub fn ship(&self, bundle: &Bundle) {
        self.release(bundle);
        self.roll_out(&bundle.model, &bundle.version);
    }
}

fn address(ready: &str, name: &str) -> SocketAddr {
    let found = ready.split(' ').find_map(|part| part.strip_prefix(name));
    let found = found.and_then(|address| address.parse().ok());
    found.unwrap_or_else(|| panic!("no {name} in {ready:?}"))
}
