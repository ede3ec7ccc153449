//! A mosquitto of a fleet's own, with what `muster broker mosquitto` writes for it.

use crate::fleet::Fleet;
use crate::free_port::FreePort;
use crate::program::Program;
use crate::{skip, wait};
use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;

/// How to get it, and its clients.
pub const INSTALL: &str = "apt-get install mosquitto mosquitto-clients";

/// The broker, running or not.
#[derive(Debug)]
pub struct Mosquitto {
    program: Option<Program>,
    folder: PathBuf,
    listen: FreePort,
}

/// Whether it can run here; otherwise the test is noted as left out.
pub fn is_installed(test: &str) -> bool {
    ["mosquitto", "mosquitto_sub"]
        .iter()
        .all(|program| skip::has_program(test, program, INSTALL))
}

impl Mosquitto {
    /// Writes its files; it does not run yet.
    ///
    /// # Panics
    /// When `muster` refuses.
    pub fn of(fleet: &Fleet) -> Self {
        let mosquitto = Self {
            program: None,
            folder: fleet.folder().join("mosquitto"),
            listen: FreePort::take(),
        };
        mosquitto.write_files(fleet);
        mosquitto
    }

    /// Runs `muster broker mosquitto`, also again.
    ///
    /// # Panics
    /// When it refuses.
    pub fn write_files(&self, fleet: &Fleet) {
        let folder = self.folder.to_str().expect("our paths are text");
        let listen = self.address().to_string();
        let line = ["broker", "mosquitto", folder, "--host", "localhost"];
        // Where tests run as root, mosquitto would give that up and could read nothing.
        let options = ["--listen", &listen, "--run-as", "root"];
        fleet.cli(&[&line[..], &options].concat()).ok();
    }

    /// Makes it listen without certificates as well, from its next start on: for a load whose cost
    /// is not to be that of TLS.
    ///
    /// # Panics
    /// When the disk refuses.
    pub fn open_to_all(&self) -> FreePort {
        let plain = FreePort::take();
        let conf = self.folder.join("mosquitto.conf");
        let ours = fs::read_to_string(&conf).expect("it was written");
        let port = plain.port();
        let both = format!(
            "per_listener_settings true\n{ours}\nlistener {port} 127.0.0.1\nprotocol mqtt\n\
             allow_anonymous true\n"
        );
        fs::write(&conf, both).expect("the disk takes it");
        plain
    }

    /// Starts it, also again, and waits until it listens.
    ///
    /// # Panics
    /// When it does not.
    pub fn start(&mut self) {
        let path = std::env::var("PATH").unwrap_or_default();
        let mut command = Command::new("mosquitto");
        command
            .arg("-c")
            .arg(self.folder.join("mosquitto.conf"))
            .env("PATH", format!("{path}:/usr/sbin:/sbin"));
        let logs = self.folder.parent().unwrap_or(Path::new("."));
        self.program = Some(Program::start("mosquitto", command, logs));
        wait::until("mosquitto", wait::SOON, || {
            TcpStream::connect(self.address()).map(drop)
        });
    }

    /// Takes it away as a power cut would.
    ///
    /// # Panics
    /// When it does not run.
    pub fn kill9(&mut self) {
        self.program.as_mut().expect("it was started").kill9();
    }

    /// Makes it read access rules, revocation list and certificates again.
    ///
    /// # Panics
    /// When it does not run.
    pub fn reload(&self) {
        self.program.as_ref().expect("it was started").hang_up();
    }

    /// Makes it write down what it keeps, as it does once a minute, and waits for that.
    ///
    /// # Panics
    /// When it does not.
    pub fn save(&self) {
        self.program.as_ref().expect("it was started").save();
        let kept = self.folder.join("data/mosquitto.db");
        wait::until_true("what mosquitto keeps", wait::SOON, || kept.exists());
    }

    /// Takes away what it kept.
    ///
    /// # Panics
    /// When the disk refuses.
    pub fn forget(&self) {
        let kept = self.folder.join("data");
        fs::remove_dir_all(&kept).expect("the folder was made");
        fs::create_dir(kept).expect("the disk takes it");
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.listen.address()
    }

    /// Where it listens, as devices are told.
    pub fn url(&self) -> String {
        format!("mqtts://localhost:{}", self.listen.port())
    }
}
