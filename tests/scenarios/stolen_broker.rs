//! A broker in foreign hands, with the real one's certificate and key: it can hold back and
//! repeat, but nothing that it changes counts.

use ed25519_dalek::SigningKey;
use muster_protocol::digest::decode_hex;
use muster_protocol::id::StreamId;
use muster_tests::bundles;
use muster_tests::cli;
use muster_tests::device::Device;
use muster_tests::document;
use muster_tests::fleet::Fleet;
use muster_tests::free_port::FreePort;
use muster_tests::load::Load;
use muster_tests::program::{self, Program};
use muster_tests::settings::Settings;
use muster_tests::{skip, wait};
use std::fs;
use std::net::TcpStream;
use std::process::Command;

use super::outages::wait_connected;
use super::{FEATURES, counts_agree, expect_score, receipts_agree, stored_once};

/// Rows of which a window says enough to be sent.
const ROWS: usize = 40;
const ASSIGNMENT: &str = "muster/v1/press-01/down/assignment";

/// A mosquitto that devices take for the fleet's broker.
struct StolenBroker<'a> {
    fleet: &'a Fleet,
    /// Where whoever has stolen it speaks.
    port: FreePort,
    _program: Program,
}

impl<'a> StolenBroker<'a> {
    fn start(fleet: &'a Fleet) -> Self {
        let [tls, port] = [(); 2].map(|()| FreePort::take());
        let own = fleet.home().join("controller");
        let own = own.display();
        let lines = format!(
            "user root\nper_listener_settings true\nlistener {} 127.0.0.1\n\
             allow_anonymous true\nlistener {} 127.0.0.1\nallow_anonymous true\n\
             cafile {own}/client-ca.pem\ncertfile {own}/server.pem\nkeyfile {own}/server.key\n\
             require_certificate true\n",
            port.port(),
            tls.port()
        );
        let file = fleet.folder().join("mosquitto.conf");
        fs::write(&file, lines).expect("the disk takes it");
        let path = std::env::var("PATH").unwrap_or_default();
        let mut command = Command::new("mosquitto");
        command
            .arg("-c")
            .arg(file)
            .env("PATH", format!("{path}:/usr/sbin:/sbin"));
        let program = Program::start("stolen-broker", command, fleet.folder());
        wait::until("the stolen broker", wait::SOON, || {
            TcpStream::connect(tls.address()).map(drop)
        });
        fleet.proxy().lead_to(tls.address());
        Self {
            fleet,
            port,
            _program: program,
        }
    }

    fn say(&self, topic: &str, payload: &[u8]) {
        let file = self.fleet.folder().join("payload");
        fs::write(&file, payload).expect("the disk takes it");
        let mut command = Command::new("mosquitto_pub");
        command.args([
            "-h",
            "127.0.0.1",
            "-p",
            &self.port.port().to_string(),
            "-q",
            "1",
            "-r",
        ]);
        cli::run(command.args(["-t", topic, "-f"]).arg(file)).ok();
    }
}

/// The retained assignment of a device that is not connected, heard with its certificate.
fn assignment(fleet: &Fleet, device: &Device) -> Vec<u8> {
    let identity = device.state().join("identity");
    let mut command = Command::new("mosquitto_sub");
    let port = fleet.broker().port().to_string();
    command.args(["-h", "localhost", "-p", &port, "-i", &device.id, "-q", "1"]);
    command.args(["-C", "1", "-W", "20", "-F", "%x", "-t", ASSIGNMENT]);
    command
        .arg("--cafile")
        .arg(fleet.home().join("controller/ca-root.pem"));
    command.arg("--cert").arg(identity.join("chain.pem"));
    let said = cli::run(command.arg("--key").arg(identity.join("tls.key"))).ok();
    let pair = |at| u8::from_str_radix(&said[at..at + 2], 16).expect("hexadecimal digits");
    (0..said.trim().len()).step_by(2).map(pair).collect()
}

#[test]
fn a_stolen_broker_changes_no_assignment_and_repeats_no_old_one() {
    if !installed("stolen broker") {
        return;
    }
    let fleet = Fleet::start();
    let device = Device::start_new(&fleet, "press-01", &Settings::default());
    fleet.ship(&bundles::of_fixture("good", "score", "1.0.0"));
    fleet.wait_receipt("press-01", "1.0.0", "committed", wait::SOON);
    // It runs on, since only what has been told the time accepts anything.
    fleet.proxy().cut();
    let old = assignment(&fleet, &device);
    fleet.ship(&bundles::of_fixture("crash_later", "score", "2.0.0"));
    let new = wait::until("the next assignment", wait::SOON, || {
        let heard = assignment(&fleet, &device);
        if heard == old {
            Err("still the old one")
        } else {
            Ok(heard)
        }
    });
    let broker = StolenBroker::start(&fleet);
    let load = Load::start(&device, "score", &FEATURES, expect_score);
    let refusals = || {
        program::plain(&device.log())
            .matches("assignment not accepted")
            .count()
    };
    for at in [new.len() / 4, new.len() / 2, new.len() - 8] {
        let before = refusals();
        let mut flipped = new.clone();
        flipped[at] ^= 1;
        broker.say(ASSIGNMENT, &flipped);
        wait::until_true("a refusal", wait::SOON, || refusals() > before);
    }
    broker.say(ASSIGNMENT, &old);
    broker.say(ASSIGNMENT, &new);
    // The device hears in order: when it has taken this one, it has heard all before it.
    wait::until("the true assignment to count", wait::SOON, || {
        let status = device.status()?;
        if status["accepted"] == "1.2" {
            Ok(())
        } else {
            Err(status["accepted"].to_string())
        }
    });
    broker.say(ASSIGNMENT, &old);
    let before = refusals();
    broker.say(ASSIGNMENT, &new[..new.len() - 1]);
    wait::until_true("a refusal", wait::SOON, || refusals() > before);
    assert_eq!(device.status().expect("it answers")["accepted"], "1.2");
    let tally = load.end();
    assert_eq!((tally.failed(), tally.wrong.len()), (0, 0), "{tally:?}");
    assert_eq!(
        tally.by_version.keys().collect::<Vec<_>>(),
        ["1.0.0"],
        "{tally:?}"
    );
}

#[test]
fn a_stolen_broker_makes_no_device_delete_telemetry() {
    if !installed("stolen broker: telemetry") {
        return;
    }
    let fleet = Fleet::start();
    let device = Device::start_new(&fleet, "press-01", &Settings::default());
    fleet.ship(&bundles::of_fixture("good", "score", "1.0.0"));
    fleet.wait_receipt("press-01", "1.0.0", "committed", wait::LATER);
    fleet.proxy().cut();
    let broker = StolenBroker::start(&fleet);
    wait_connected(&device);
    device
        .scores("score", &[[0.1; 4]; ROWS])
        .expect("it serves");
    let queued = || {
        let status = device.status().unwrap_or_default();
        let lane = status["queue"]["windows"].clone();
        (lane["through"].as_u64(), lane["stream"].to_string())
    };
    let (through, stream) = queued();
    let mut id = [0; 8];
    decode_hex(stream.trim_matches('"'), &mut id).expect("16 digits");
    let refusals = || {
        program::plain(&device.log())
            .matches("acknowledgement not accepted")
            .count()
    };
    let thief = SigningKey::from_bytes(&[66; 32]);
    let forged = document::acknowledgement("press-01", &thief, StreamId(id));
    let its_own = document::key(device.state());
    let by_a_device = document::acknowledgement("press-01", &its_own, StreamId(id));
    for ack in [&forged, &by_a_device, &forged[..forged.len() - 1].to_vec()] {
        let before = refusals();
        broker.say("muster/v1/press-01/down/ack", ack);
        wait::until_true("a refusal", wait::SOON, || refusals() > before);
    }
    assert_eq!(queued(), (through, stream), "nothing counts as stored");
    drop(broker);
    fleet.proxy().lead_to(fleet.broker());
    wait_connected(&device);
    counts_agree(&fleet, &device, ROWS as u64);
    receipts_agree(&fleet, &device);
    stored_once(&fleet);
}

fn installed(test: &str) -> bool {
    let has = |program: &str| {
        skip::has_program(test, program, "apt-get install mosquitto mosquitto-clients")
    };
    has("mosquitto") && has("mosquitto_sub")
}
