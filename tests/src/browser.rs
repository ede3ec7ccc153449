//! A real Chromium, driven over WebDriver: what a person would see, type and photograph.
//!
//! Headless, with a profile of its own that is gone afterwards; it asks no host but the tests'.

use crate::free_port::FreePort;
use crate::http::{self, Question};
use crate::program::Program;
use crate::wait;
use serde_json::{Value, json};
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The programs that it takes, and how to have them on Debian.
pub const PROGRAMS: [&str; 2] = ["chromium", "chromedriver"];
/// See [`PROGRAMS`].
pub const INSTALL: &str = "apt-get install chromium chromium-driver";

/// Light or dark, as the system of the person asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// Dark on light.
    Light,
    /// Light on dark.
    Dark,
}

/// A browser with one window.
#[derive(Debug)]
pub struct Browser {
    driver: SocketAddr,
    session: String,
    // Dropped after the session was ended: it would leave its browser behind.
    _program: Program,
    _port: FreePort,
}

impl Browser {
    /// Starts one; `folder` takes its profile and logs.
    ///
    /// # Panics
    /// When it does not start.
    pub fn start(folder: &Path) -> Self {
        // Left to itself it takes a port of IPv6 and gives up when IPv4 has lent the same one.
        let port = FreePort::take();
        let driver = port.address();
        let mut command = Command::new("chromedriver");
        command.args([&format!("--port={}", port.port()), "--allowed-origins="]);
        let program = Program::start("chromedriver", command, folder);
        wait::until("chromedriver to listen", wait::SOON, || {
            let said = program.out();
            let listens = said.contains("started successfully on port ");
            listens.then_some(()).ok_or(said)
        });
        let profile = folder.join("chromium-profile");
        let capabilities = json!({ "capabilities": { "alwaysMatch": {
            "goog:chromeOptions": { "args": arguments(&profile) },
            "goog:loggingPrefs": { "browser": "ALL" },
            "unhandledPromptBehavior": "ignore",
        } } });
        let made = ask(driver, "POST", "/session", Some(&capabilities));
        let session = made["sessionId"].as_str().expect("a session").to_owned();
        Self {
            driver,
            session,
            _program: program,
            _port: port,
        }
    }

    /// Opens a page, as the address line would.
    ///
    /// # Panics
    /// When it cannot be loaded.
    pub fn open(&self, url: &str) {
        self.post("url", &json!({ "url": url }));
    }

    /// What a script in the page returns.
    ///
    /// # Panics
    /// When it throws, or a dialog is open.
    pub fn run(&self, script: &str) -> Value {
        self.post("execute/sync", &json!({ "script": script, "args": [] }))
    }

    /// What a script returns, when that is a text.
    ///
    /// # Panics
    /// See [`Self::run`].
    pub fn text(&self, script: &str) -> String {
        self.run(script).as_str().unwrap_or_default().to_owned()
    }

    /// Types into the first element that the selector finds, key by key.
    ///
    /// # Panics
    /// When there is none.
    pub fn type_into(&self, selector: &str, keys: &str) {
        let wanted = json!({ "using": "css selector", "value": selector });
        let found = self.post("element", &wanted);
        let id = found
            .as_object()
            .and_then(|found| found.values().next()?.as_str());
        let id = id.unwrap_or_else(|| panic!("no {selector}: {found}"));
        self.post(&format!("element/{id}/value"), &json!({ "text": keys }));
    }

    /// Looks through a window of this size.
    ///
    /// # Panics
    /// When the browser refuses.
    pub fn resize(&self, width: u32, height: u32, scheme: Scheme) {
        let scheme = if scheme == Scheme::Dark {
            "dark"
        } else {
            "light"
        };
        self.command(
            "Emulation.setDeviceMetricsOverride",
            &json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false }),
        );
        let feature = json!({ "name": "prefers-color-scheme", "value": scheme });
        self.command(
            "Emulation.setEmulatedMedia",
            &json!({ "features": [feature] }),
        );
    }

    /// Photographs the whole page into `target/screenshots/NAME.png`.
    ///
    /// # Panics
    /// When the disk refuses.
    pub fn photograph(&self, name: &str) {
        let taken = self.command(
            "Page.captureScreenshot",
            &json!({ "captureBeyondViewport": true }),
        );
        let data = taken["data"].as_str().expect("a picture");
        let folder = screenshots();
        fs::create_dir_all(&folder).expect("a folder");
        fs::write(folder.join(format!("{name}.png")), decode_base64(data)).expect("a file");
    }

    /// What the console said since it was asked last: level and message.
    ///
    /// # Panics
    /// When the browser refuses.
    pub fn console(&self) -> Vec<(String, String)> {
        let said = self.post("se/log", &json!({ "type": "browser" }));
        let entries = said.as_array().cloned().unwrap_or_default();
        let text = |entry: &Value, name: &str| entry[name].as_str().unwrap_or_default().to_owned();
        entries
            .iter()
            .map(|entry| (text(entry, "level"), text(entry, "message")))
            .collect()
    }

    fn command(&self, command: &str, parameters: &Value) -> Value {
        self.post(
            "goog/cdp/execute",
            &json!({ "cmd": command, "params": parameters }),
        )
    }

    fn post(&self, path: &str, body: &Value) -> Value {
        let path = format!("/session/{}/{path}", self.session);
        ask(self.driver, "POST", &path, Some(body))
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let path = format!("/session/{}", self.session);
        let question = Question {
            method: "DELETE",
            path: &path,
            token: None,
            body: None,
        };
        let _gone = http::ask(self.driver, question);
    }
}

fn arguments(profile: &Path) -> Vec<String> {
    let fixed = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--hide-scrollbars",
        "--disable-quic",
        "--disable-dev-shm-usage",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
    ];
    let profile = format!("--user-data-dir={}", profile.display());
    fixed
        .into_iter()
        .map(str::to_owned)
        .chain([profile])
        .collect()
}

fn ask(driver: SocketAddr, method: &str, path: &str, body: Option<&Value>) -> Value {
    let body = body.map(Value::to_string);
    let question = Question {
        method,
        path,
        token: None,
        body: body.as_deref(),
    };
    let answer = http::ask(driver, question).expect("chromedriver answers");
    assert_eq!(answer.status, 200, "{method} {path}: {}", answer.body);
    answer.body["value"].clone()
}

/// `target/screenshots`, beside the folder of the built programs.
fn screenshots() -> PathBuf {
    let own = std::env::current_exe().expect("an executable has a path");
    let target = own
        .ancestors()
        .nth(3)
        .expect("cargo puts tests into target/debug/deps");
    target.join("screenshots")
}

/// Standard base64 (RFC 4648), padded.
fn decode_base64(text: &str) -> Vec<u8> {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digits = text
        .bytes()
        .filter_map(|byte| DIGITS.iter().position(|digit| *digit == byte));
    let digits: Vec<_> = digits.map(|digit| digit as u32).collect();
    let bytes = digits.chunks(4).flat_map(|four| {
        let bits = four.iter().fold(0, |bits, digit| bits << 6 | digit);
        let bits = bits << (6 * (4 - four.len()));
        bits.to_be_bytes()[1..four.len()].to_vec()
    });
    bytes.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_read_with_and_without_padding() {
        let check = |text, expect: &[u8]| assert_eq!(decode_base64(text), expect);
        check("", b"");
        check("Zg==", b"f");
        check("Zm8=", b"fo");
        check("Zm9v", b"foo");
        check("Zm9vYmE=", b"fooba");
        check("+/+/", &[0xfb, 0xff, 0xbf]);
    }
}
