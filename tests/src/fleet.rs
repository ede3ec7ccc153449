//! A controller of its own: home, `muster serve`, and the commands of its operator.
//!
//! Devices reach its broker through a [`Proxy`], so that the wire can be cut and counted.

use crate::bundles::Bundle;
use crate::cli::{self, Said};
use crate::http::{self, Answer, Question};
use crate::program::{self, Program};
use crate::proxy::Proxy;
use crate::wait;
use serde_json::Value;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Condvar, Mutex};
use std::time::Duration;
use tempfile::TempDir;

/// Fleets that run at the same time, however many threads the tests have.
const FLEETS_MAX: usize = 3;

static RUNNING: Mutex<usize> = Mutex::new(0);
static ENDED: Condvar = Condvar::new();

/// A controller and the folder in which everything of one test lies.
#[derive(Debug)]
pub struct Fleet {
    // Fields are dropped in this order: the program before its folder, the place last.
    server: Option<Program>,
    api: Option<SocketAddr>,
    broker: Option<SocketAddr>,
    proxy: Proxy,
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

impl Fleet {
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
        let place = Place::take();
        let folder = tempfile::Builder::new()
            .prefix("muster-test-")
            .tempdir()
            .expect("a folder");
        let (proxy, server, api, broker) = (Proxy::start(), None, None, None);
        let fleet = Self {
            server,
            api,
            broker,
            proxy,
            folder,
            _place: place,
        };
        let any = "127.0.0.1:0";
        let listen = [
            "--broker-listen",
            any,
            "--enroll-listen",
            any,
            "--api-listen",
            any,
        ];
        fleet
            .cli(&[&["init", "--host", "localhost"], &listen[..]].concat())
            .ok();
        fleet.configure(&format!(
            "broker_url = \"mqtts://localhost:{}\"\n",
            fleet.proxy.port()
        ));
        fleet
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
        let mut server = Program::start("muster-serve", command, self.folder());
        let ready = server.ready();
        self.server = Some(server);
        self.api = Some(address(&ready, "api="));
        let broker = address(&ready, "broker=");
        self.broker = Some(broker);
        self.proxy.lead_to(broker);
    }

    /// Takes the controller away as a power cut would; the wire ends with it.
    pub fn kill9(&mut self) {
        self.proxy.cut();
        self.server_mut().kill9();
    }

    /// Ends the controller in good order.
    ///
    /// # Panics
    /// When it ends with an error.
    pub fn stop(&mut self) {
        self.proxy.cut();
        let status = self.server_mut().stop();
        assert!(status.success(), "muster serve ended with {status}");
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

    fn command(&self) -> Command {
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

    /// Asks the API, with the operator's token.
    ///
    /// # Errors
    /// It does not answer.
    pub fn api(&self, method: &str, path: &str, body: Option<&str>) -> io::Result<Answer> {
        let question = Question {
            method,
            path: &format!("/api/v1/{path}"),
            token: Some(&self.token()),
            body,
        };
        http::ask(self.api_address(), question)
    }

    /// Items of a list of the API.
    ///
    /// # Errors
    /// It does not answer, or with something else.
    pub fn list(&self, path: &str) -> Result<Vec<Value>, String> {
        let limit = if path.contains('?') {
            "&limit=500"
        } else {
            "?limit=500"
        };
        let answer = self.api("GET", &format!("{path}{limit}"), None);
        let answer = answer.map_err(|error| error.to_string())?;
        let items = answer.body["items"].as_array().cloned();
        items.ok_or_else(|| format!("{path} gives {answer:?}"))
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

    /// Receipts of a device about one version, in order.
    ///
    /// # Errors
    /// See [`Self::list`].
    pub fn receipts(&self, device: &str, version: &str) -> Result<Vec<Value>, String> {
        let all = self.list(&format!("receipts?device={device}"))?;
        Ok(all
            .into_iter()
            .filter(|receipt| receipt["version"] == version)
            .collect())
    }

    /// Waits for a receipt of this step.
    ///
    /// # Panics
    /// When none comes in time.
    pub fn wait_receipt(
        &self,
        device: &str,
        version: &str,
        step: &str,
        deadline: Duration,
    ) -> Value {
        wait::until(
            format!("{device} to report {version} {step}"),
            deadline,
            || {
                let receipts = self.receipts(device, version)?;
                let found = receipts.iter().rfind(|receipt| receipt["step"] == step);
                found.cloned().ok_or_else(|| shown(&receipts))
            },
        )
    }

    /// What the fleet has counted of a model on a device: closed windows and predictions.
    ///
    /// # Errors
    /// See [`Self::list`].
    pub fn counted(&self, device: &str, model: &str) -> Result<(u64, u64), String> {
        let summary = self.list("summary")?;
        let device = summary
            .iter()
            .find(|row| row["device"] == device)
            .ok_or("no such device")?;
        let models = device["models"].as_array().ok_or("no models")?;
        let model = models
            .iter()
            .find(|row| row["model"] == model)
            .ok_or("no such model")?;
        let number = |name: &str| model[name].as_u64().ok_or(format!("no {name}"));
        Ok((number("closed_windows")?, number("predictions")?))
    }
}

/// Receipts in one line each.
fn shown(receipts: &[Value]) -> String {
    let line = |r: &Value| {
        format!(
            "{} {} {} {}",
            r["version"], r["step"], r["reason"], r["detail"]
        )
    };
    receipts.iter().map(line).collect::<Vec<_>>().join("; ")
}

fn address(ready: &str, name: &str) -> SocketAddr {
    let found = ready.split(' ').find_map(|part| part.strip_prefix(name));
    let found = found.and_then(|address| address.parse().ok());
    found.unwrap_or_else(|| panic!("no {name} in {ready:?}"))
}
