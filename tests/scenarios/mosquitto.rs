//! On mosquitto, with the files that `muster broker mosquitto` writes: devices are kept apart,
//! replaced certificates are turned away, and a broker that dies costs nothing.
//!
//! It refuses silently, so each refusal is shown by what is heard, or not, beside what is allowed.

use muster_tests::bundles;
use muster_tests::cli::{self, Said};
use muster_tests::device::Device;
use muster_tests::fleet::Fleet;
use muster_tests::load::Load;
use muster_tests::mosquitto;
use muster_tests::program::Program;
use muster_tests::settings::Settings;
use muster_tests::wait;

use super::access::Client;
use super::outages::{wait_connected, wait_windows};
use super::{FEATURES, counts_agree, expect_score, stored_once};

/// `forged` in hexadecimal digits.
const FORGED: &str = "666f72676564";

fn fleet(test: &str) -> Option<Fleet> {
    mosquitto::is_installed(test).then(Fleet::start_on_mosquitto)
}

fn say(client: &Client<'_>, id: &str, topic: &str) -> Said {
    let mut command = client.command("mosquitto_pub", id);
    cli::run(command.args(["-r", "-t", topic, "-m", "forged"]))
}

#[test]
fn a_device_neither_speaks_nor_hears_for_another() {
    let Some(fleet) = fleet("mosquitto: access") else {
        return;
    };
    let enroll = |id| Device::enroll(&fleet, id, &Settings::default());
    let (one, two) = (enroll("press-01"), enroll("press-02"));
    let of = |device| Client {
        fleet: &fleet,
        device,
    };
    let (one, two) = (of(&one), of(&two));
    // It asks for everything; what it may read is decided message by message.
    let mut command = two.own("mosquitto_sub");
    command.args(["-d", "-F", "heard %t %x", "-t", "#", "-t", "$SYS/#"]);
    command.args(["-t", "muster/v1/press-01/down/#"]);
    let listener = Program::start("listener", command, fleet.folder());
    let wait_said = |part: &str| {
        wait::until(format!("{part:?}"), wait::SOON, || match listener.out() {
            said if said.contains(part) => Ok(()),
            said => Err(said),
        });
    };
    wait_said("Subscribed");
    for topic in [
        "muster/v1/press-02/down/ack",
        "muster/v1/press-02/down/assignment",
        "muster/v1/press-01/down/assignment",
        "muster/v1/_/forged",
        "muster/v1/_/timestamp",
        "muster/v1/press-02/up/doc",
        "$SYS/broker/forged",
        "elsewhere",
    ] {
        // Whatever it calls itself, it is who its certificate says.
        for id in ["press-01", "press-02", "_fleet"] {
            say(&one, id, topic);
        }
    }
    let will = [
        "--will-topic",
        "muster/v1/press-02/down/ack",
        "--will-payload",
        "forged",
    ];
    let mut dying = one.own("mosquitto_sub");
    dying.args(will).args(["-d", "-t", "muster/v1/_/#"]);
    let mut dying = Program::start("dying", dying, fleet.folder());
    wait::until_true("a connection", wait::SOON, || {
        dying.out().contains("Subscribed")
    });
    dying.kill9();

    // What the fleet says afterwards is heard, so what was forged would have been.
    fleet.ship(&bundles::of_fixture("good", "score", "1.0.0"));
    wait_said("heard muster/v1/press-02/down/assignment ");
    let said = listener.out();
    assert!(!said.contains(FORGED), "what was forged was heard: {said}");
    for foreign in [
        "heard muster/v1/press-01/",
        "heard muster/v1/press-02/up",
        "heard $SYS",
    ] {
        assert!(!said.contains(foreign), "{foreign} in {said}");
    }
    assert!(said.contains("heard muster/v1/_/timestamp "), "{said}");
}

#[test]
fn only_the_newest_certificate_of_the_fleets_own_ca_connects() {
    let Some(fleet) = fleet("mosquitto: certificates") else {
        return;
    };
    let enroll = |name: &str, fleet: &Fleet| {
        let state = fleet.folder().join(name);
        Device::enroll_at(fleet, "press-01", &Settings::default(), &state)
    };
    let elsewhere = Fleet::start();
    let stranger = enroll("stranger", &elsewhere);
    let older = enroll("older", &fleet);
    let newer = enroll("newer", &fleet);
    let code = |fleet: &Fleet, device: &Device| {
        let status = ["-t", "muster/v1/press-01/up/status", "-m", "{}"];
        let client = Client { fleet, device };
        cli::run(client.own("mosquitto_pub").args(status)).code
    };
    let anonymous = {
        let (fleet, device) = (&fleet, &newer);
        let mut command = Client { fleet, device }.anonymous("mosquitto_pub", "press-01");
        cli::run(command.args(["-t", "muster/v1/press-01/up/status", "-m", "{}"])).code
    };
    assert_ne!(anonymous, Some(0), "without a certificate");
    assert_ne!(
        code(&fleet, &stranger),
        Some(0),
        "another home's certificate"
    );
    assert_eq!(code(&fleet, &newer), Some(0));
    assert_eq!(code(&fleet, &older), Some(0), "it has not been told yet");
    fleet.renew_mosquitto();
    wait::until_true("the older one to be refused", wait::SOON, || {
        code(&fleet, &older) != Some(0)
    });
    assert_eq!(code(&fleet, &newer), Some(0));
}

#[test]
fn a_broker_that_dies_with_or_without_its_memory_costs_no_window_and_doubles_none() {
    let Some(mut fleet) = fleet("mosquitto: restarts") else {
        return;
    };
    let device = Device::start_new(&fleet, "press-01", &Settings::default());
    fleet.ship(&bundles::of_fixture("good", "score", "1.0.0"));
    fleet.wait_receipt("press-01", "1.0.0", "committed", wait::SOON);
    let load = Load::start(&device, "score", &FEATURES, expect_score);
    for forgets in [false, true] {
        fleet.mosquitto().save();
        wait_windows(&device, 1);
        fleet.mosquitto().kill9();
        wait_windows(&device, 2);
        if forgets {
            fleet.mosquitto().forget();
        }
        fleet.mosquitto().start();
        wait_connected(&device);
    }
    wait_windows(&device, 1);
    let tally = load.end();
    assert_eq!((tally.failed(), tally.wrong.len()), (0, 0), "{tally:?}");
    counts_agree(&fleet, &device, tally.answered() * FEATURES.len() as u64);
    stored_once(&fleet);
    // Nothing is stuck: the next version arrives as ever.
    fleet.ship(&bundles::of_fixture("crash_later", "score", "2.0.0"));
    fleet.wait_receipt("press-01", "2.0.0", "committed", wait::LATER);
}
