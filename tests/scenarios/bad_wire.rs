//! Between devices and the broker lies a wire that cuts, resets, swallows and dawdles: nothing
//! that is asked of a device fails, and once the wire is good again, all is there once.

use muster_tests::bundles;
use muster_tests::device::Device;
use muster_tests::fleet::Fleet;
use muster_tests::load::Load;
use muster_tests::proxy::{Fault, Harm, Pace, Proxy, Way};
use muster_tests::random::Random;
use muster_tests::settings::Settings;
use muster_tests::{skip, wait};
use std::io::Write as _;
use std::net::TcpStream;
use std::time::Duration;

use super::outages::wait_connected;
use super::{FEATURES, counts_agree, expect_score, receipts_agree, stored_once};

const DEVICES: usize = 4;
/// Bytes of a handshake with its subscriptions, about, on either way.
const HANDSHAKE_BYTES: u64 = 3_000;
/// Bytes that a rollout of a small model takes to a device, about.
const ROLLOUT_BYTES: u64 = 8_000;
/// Strangers that begin a handshake and never go on.
const LORISES: usize = 100;
/// After many faults a device waits up to five minutes before it asks again.
const RECOVERY: Duration = Duration::from_secs(330);

/// Rounds of cuts.
fn rounds() -> u64 {
    if skip::full() { 4 } else { 1 }
}

struct Scene {
    fleet: Fleet,
    devices: Vec<Device>,
    random: Random,
    version: u64,
}

impl Scene {
    fn set() -> Self {
        let fleet = Fleet::start();
        let settings = Settings::default();
        let ids = (1..=DEVICES).map(|n| format!("press-0{n}"));
        let devices = ids.map(|id| Device::start_new(&fleet, &id, &settings));
        let devices: Vec<_> = devices.collect();
        fleet.ship(&bundles::of_fixture("good", "score", "1.0.0"));
        let scene = Self {
            fleet,
            devices,
            random: Random(2026),
            version: 1,
        };
        scene.wait_committed();
        scene
    }

    fn wire(&self) -> Proxy {
        self.fleet.proxy().clone()
    }

    /// Rolls the next version out.
    fn ship(&mut self) {
        self.version += 1;
        let version = format!("{}.0.0", self.version);
        let bundle = bundles::of_fixture("crash_later", "score", &version);
        self.fleet.ship(&bundle);
    }

    fn wait_committed(&self) {
        let version = format!("{}.0.0", self.version);
        for device in &self.devices {
            let id = &device.id;
            self.fleet.wait_receipt(id, &version, "committed", RECOVERY);
        }
    }

    /// Waits until each device has its one connection.
    fn wait_up(&self) {
        self.devices.iter().for_each(wait_connected);
        let wire = self.fleet.proxy();
        let only = || match wire.connections() {
            DEVICES => Ok(()),
            others => Err(format!("{others} connections")),
        };
        wait::until("a connection each", wait::LATER, only);
    }

    fn wait_harm(&self, what: &str, done: impl Fn(&Harm) -> bool) {
        let wire = self.fleet.proxy();
        wait::until(what, RECOVERY, || match wire.harm() {
            harm if done(&harm) => Ok(()),
            harm => Err(format!("{harm:?}, {} wait", wire.waiting_faults())),
        });
    }

    /// No device is told that its connection is dead: one way goes silent, nobody is there, a
    /// handshake never ends.
    fn silence(&mut self) {
        self.wait_up();
        let wire = self.wire();
        wire.strike_next([Fault::BlackHole, Fault::Trickle(5)]);
        let open = wire.strike_open(|n| match n {
            0 => Fault::Stall(Way::Up, 0),
            1 => Fault::Stall(Way::Down, 0),
            _ => Fault::Cut(Way::Up, 0),
        });
        assert_eq!(open, DEVICES, "connections");
        self.ship();
        self.wait_harm("silence", |harm| {
            (harm.stalls, harm.black_holes, harm.trickles) == (2, 1, 1)
        });
        self.wait_committed();
    }

    /// Cuts and resets at bytes of the seed: in the middle of what a rollout sends, and of the
    /// handshakes that follow.
    fn cuts(&mut self) {
        self.wait_up();
        let (wire, before) = (self.wire(), self.fleet.proxy().harm());
        let mut at = |bytes: u64| self.random.below(bytes);
        let handshakes = [
            Fault::Cut(Way::Up, at(HANDSHAKE_BYTES)),
            Fault::Reset(Way::Down, at(HANDSHAKE_BYTES)),
            Fault::Reset(Way::Up, at(HANDSHAKE_BYTES)),
            Fault::Cut(Way::Down, at(ROLLOUT_BYTES)),
        ];
        wire.strike_next(handshakes);
        let open = wire.strike_open(|n| match n % 2 {
            0 => Fault::Cut(Way::Down, at(ROLLOUT_BYTES)),
            _ => Fault::Reset(Way::Down, at(ROLLOUT_BYTES)),
        });
        assert_eq!(open, DEVICES, "connections");
        self.ship();
        self.wait_harm("cuts and resets", |harm| {
            (harm.cuts, harm.resets) == (before.cuts + 4, before.resets + 4)
        });
        self.wait_committed();
    }

    fn slowness(&mut self) {
        let (wire, before) = (self.wire(), self.fleet.proxy().harm());
        wire.slow_down(Some(Pace {
            delay_ms: 30,
            bytes_per_s: 16_000,
        }));
        self.ship();
        self.wait_committed();
        wire.slow_down(None);
        assert!(wire.harm().slow_bytes > before.slow_bytes + ROLLOUT_BYTES);
    }
}

#[test]
fn four_devices_behind_a_bad_wire_lose_nothing_and_end_on_what_was_assigned() {
    let mut scene = Scene::set();
    let loads = scene
        .devices
        .iter()
        .map(|device| Load::gentle(device, "score", &FEATURES, expect_score));
    let loads: Vec<_> = loads.collect();
    let lorises = lorises(&scene.fleet);
    scene.silence();
    for _ in 0..rounds() {
        scene.cuts();
    }
    scene.slowness();
    assert_eq!(scene.wire().waiting_faults(), 0, "faults that never struck");
    scene.ship();
    scene.wait_committed();
    drop(lorises);
    let (mut answered, mut receipts) = (0, 0);
    for (device, load) in scene.devices.iter().zip(loads) {
        wait_connected(device);
        let tally = load.end();
        assert_eq!((tally.failed(), tally.wrong.len()), (0, 0), "{tally:?}");
        counts_agree(
            &scene.fleet,
            device,
            tally.answered() * FEATURES.len() as u64,
        );
        receipts += receipts_agree(&scene.fleet, device);
        answered += tally.answered();
    }
    stored_once(&scene.fleet);
    let harm = scene.wire().harm();
    assert!(harm.connections() >= 4 + 8 * rounds(), "{harm:?}");
    println!("{answered} requests answered, {receipts} receipts, {harm:?}");
}

/// Connections to the broker itself that say half a greeting.
fn lorises(fleet: &Fleet) -> Vec<TcpStream> {
    let one = || {
        let mut stream = TcpStream::connect(fleet.broker()).expect("the broker listens");
        // The head of a TLS record of 512 bytes, and no more.
        stream.write_all(&[22, 3, 1, 2, 0, 1]).expect("it takes it");
        stream
    };
    (0..LORISES).map(|_| one()).collect()
}
