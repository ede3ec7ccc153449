//! With a device's certificate in a foreign client, nobody speaks or hears in another's place.
//!
//! Each refusal stands beside the same act that is allowed, so that none passes by a mistake.

use muster_protocol::digest::Digest;
use muster_tests::bundles::{self, Bundle};
use muster_tests::cli::{self, Said};
use muster_tests::device::Device;
use muster_tests::document;
use muster_tests::fleet::{Fleet, on_each_broker};
use muster_tests::program::{self, Program};
use muster_tests::settings::Settings;
use muster_tests::{skip, wait};
use std::fs;
use std::process::Command;

const INSTALL: &str = "apt-get install mosquitto-clients";

/// A client of mosquitto with a device's certificate.
pub(super) struct Client<'a> {
    pub(super) fleet: &'a Fleet,
    pub(super) device: &'a Device,
}

impl Client<'_> {
    /// With the certificate, and the client id that the test says.
    pub(super) fn command(&self, program: &str, id: &str) -> Command {
        let identity = self.device.state().join("identity");
        let mut command = self.anonymous(program, id);
        command.arg("--cert").arg(identity.join("chain.pem"));
        command.arg("--key").arg(identity.join("tls.key"));
        command
    }

    /// Without a certificate.
    pub(super) fn anonymous(&self, program: &str, id: &str) -> Command {
        let mut command = Command::new(program);
        let port = self.fleet.broker().port().to_string();
        command.args([
            "-h",
            "localhost",
            "-p",
            &port,
            "-i",
            id,
            "-q",
            "1",
            "-V",
            "mqttv311",
        ]);
        command
            .arg("--cafile")
            .arg(self.fleet.home().join("controller/ca-root.pem"));
        command
    }

    pub(super) fn own(&self, program: &str) -> Command {
        self.command(program, &self.device.id)
    }

    pub(super) fn publish(&self, topic: &str, payload: &str) -> Said {
        cli::run(self.own("mosquitto_pub").args(["-t", topic, "-m", payload]))
    }

    fn subscribe(&self, topic: &str) -> Said {
        cli::run(
            self.own("mosquitto_sub")
                .args(["-d", "-W", "1", "-t", topic]),
        )
    }

    /// Asks for a blob in the device's place and gives the answer: bytes, or `not_found`.
    ///
    /// One id is one connection, so the session is kept between asking and hearing.
    fn fetch(&self, digest: Digest) -> Option<Vec<u8>> {
        let id = &self.device.id;
        let file = self.fleet.folder().join("payload");
        let question = document::fetch(id, &document::key(self.device.state()), digest);
        fs::write(&file, question).expect("the disk takes it");
        let (up, down) = (
            format!("muster/v1/{id}/up/fetch"),
            format!("muster/v1/{id}/down/piece"),
        );
        let kept = |program: &str| {
            let mut command = self.own(program);
            command.arg("-c");
            command
        };
        cli::run(kept("mosquitto_sub").args(["-E", "-t", &down])).ok();
        cli::run(kept("mosquitto_pub").args(["-t", &up, "-f"]).arg(file)).ok();
        let hear = ["-C", "1", "-W", "20", "-F", "%x", "-t", &down];
        let said = cli::run(kept("mosquitto_sub").args(hear)).ok();
        let payload = unhex(said.trim()).unwrap_or_else(|| panic!("{said:?}"));
        document::piece_of(&payload, digest).expect("the answer to this question")
    }
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let pair = |at: usize| u8::from_str_radix(text.get(at..at + 2)?, 16).ok();
    (0..text.len()).step_by(2).map(pair).collect()
}

fn manifest_of(bundle: &Bundle) -> Digest {
    let index = fs::read_to_string(bundle.folder.join("index.json")).expect("an OCI layout");
    let index: serde_json::Value = serde_json::from_str(&index).expect("JSON");
    let digest = index["manifests"][0]["digest"].as_str().expect("a digest");
    let hex = digest.strip_prefix("sha256:").expect("sha256");
    Digest(
        unhex(hex)
            .and_then(|bytes| bytes.try_into().ok())
            .expect("32 bytes"),
    )
}

/// Whether the test can run: two enrolled devices that do not run, in a fleet of their own.
fn with_two(name: &str, test: impl Fn(&Fleet, &Client<'_>, &Client<'_>)) {
    if !skip::has_program(name, "mosquitto_sub", INSTALL) {
        return;
    }
    two_of(&Fleet::start(), test);
}

fn two_of(fleet: &Fleet, test: impl Fn(&Fleet, &Client<'_>, &Client<'_>)) {
    let enroll = |id| Device::enroll(fleet, id, &Settings::default());
    let devices = ["press-01", "press-02"].map(enroll);
    let [one, two] = devices.each_ref().map(|device| Client { fleet, device });
    test(fleet, &one, &two);
}

#[test]
fn only_a_certificate_with_its_own_name_connects() {
    with_two("access: connecting", |_, one, _| {
        let status = ["-t", "muster/v1/press-01/up/status", "-m", "hint"];
        cli::run(one.own("mosquitto_pub").args(status)).ok();
        for (what, mut command) in [
            ("another id", one.command("mosquitto_pub", "press-02")),
            (
                "the controller's id",
                one.command("mosquitto_pub", "_fleet"),
            ),
            ("no certificate", one.anonymous("mosquitto_pub", "press-01")),
        ] {
            let said = cli::run(command.args(status));
            assert_ne!(said.code, Some(0), "{what}: {said}");
        }
        let will = [
            "--will-topic",
            "muster/v1/press-02/up/status",
            "--will-payload",
            "forged",
        ];
        let said = cli::run(one.own("mosquitto_pub").args(status).args(will));
        assert_ne!(said.code, Some(0), "a last will elsewhere: {said}");
    });
}

#[test]
fn a_certificate_reads_its_own_topics_and_no_others() {
    with_two("access: reading", |_, one, _| {
        let said = one.subscribe("muster/v1/press-01/down/#");
        assert!(said.stdout.contains("Subscribed (mid: 1): 1"), "{said}");
        let foreign = [
            "muster/v1/press-02/down/#",
            "muster/v1/+/down/#",
            "muster/#",
            "#",
        ];
        for topic in foreign
            .into_iter()
            .chain(["muster/v1/press-02/up/doc", "$SYS/#"])
        {
            let said = one.subscribe(topic);
            let all = format!("{}{}", said.stdout, said.stderr);
            assert!(all.contains("Subscribed (mid: 1): 128"), "{topic}: {said}");
        }
    });
}

#[test]
fn a_certificate_writes_its_own_topics_and_no_others() {
    with_two("access: writing", |fleet, one, two| {
        let mut command = two.own("mosquitto_sub");
        command.args(["-d", "-F", "heard %t %x", "-t", "muster/v1/press-02/down/#"]);
        command.args(["-t", "muster/v1/_/#"]);
        let listener = Program::start("listener", command, fleet.folder());
        let wait_said = |part: &str| {
            wait::until(format!("{part:?}"), wait::SOON, || {
                let said = listener.out();
                if said.contains(part) {
                    Ok(())
                } else {
                    Err(said)
                }
            });
        };
        wait_said("Subscribed");
        let forged = [
            "muster/v1/press-02/down/ack",
            "muster/v1/press-02/down/assignment",
            "muster/v1/press-02/down/piece",
            "muster/v1/_/forged",
        ];
        for topic in forged.into_iter().chain(["muster/v1/press-02/up/status"]) {
            one.publish(topic, "forged");
            let log = program::plain(&fleet.log());
            let refused = log
                .lines()
                .any(|line| line.contains("refused") && line.contains(topic));
            assert!(refused, "the broker says that it refused {topic}: {log}");
        }
        // What the controller says afterwards is heard, so what was forged would have been.
        fleet.release(&bundles::of_fixture("good", "score", "1.0.0"));
        fleet.roll_out("score", "1.0.0");
        wait_said("heard muster/v1/press-02/down/assignment ");
        let said = listener.out();
        assert!(
            !said.contains("666f72676564"),
            "what was forged was heard: {said}"
        );
    });
}

#[test]
fn a_device_fetches_what_its_assignment_reaches_and_nothing_else() {
    if !skip::has_program("access: fetching", "mosquitto_sub", INSTALL) {
        return;
    }
    on_each_broker("access: fetching", |fleet| two_of(&fleet, fetches_its_own));
}

fn fetches_its_own(fleet: &Fleet, one: &Client<'_>, _: &Client<'_>) {
    let mine = bundles::of_fixture("good", "score", "1.0.0");
    let other = bundles::of_fixture("good", "other", "1.0.0");
    fleet.ship(&mine);
    fleet.release(&other);
    let found = one
        .fetch(manifest_of(&mine))
        .expect("its assignment reaches it");
    assert_eq!(Digest::of(&found), manifest_of(&mine));
    assert_eq!(
        one.fetch(manifest_of(&other)),
        None,
        "a release that it is not assigned"
    );
    assert_eq!(one.fetch(Digest([7; 32])), None, "what does not exist");
}
