//! `kill -9` of the controller while it takes documents, while it rolls out, and together with
//! the agent: devices end on what was assigned, and both ends have counted the same.

use muster_tests::device::Device;
use muster_tests::fleet::Fleet;
use muster_tests::load::Load;
use muster_tests::random::Random;
use muster_tests::settings::Settings;
use muster_tests::{bundles, cli, skip, wait};
use std::thread;

use super::kills::{Killed, Ledger, serving_first, wait_answers};
use super::outages::{wait_connected, wait_windows};
use super::{FEATURES, expect_score, receipts_agree, stored_once};

fn rounds() -> u64 {
    if skip::full() { 15 } else { 2 }
}

/// Windows that wait while the controller is away.
const BACKLOG: u64 = 3;

struct Scene {
    fleet: Fleet,
    device: Device,
    random: Random,
    version: u64,
}

impl Scene {
    /// The numbers of windows that the device knows to be stored.
    fn told(&self) -> Result<u64, String> {
        let status = self.device.status()?;
        let through = status["queue"]["windows"]["through"].as_u64();
        through.ok_or_else(|| status.to_string())
    }

    /// A backlog comes in, and the controller dies between its documents.
    fn kill_while_it_takes_documents(&mut self) {
        self.fleet.kill9();
        wait_windows(&self.device, BACKLOG);
        let some = self.told().expect("it answers") + 1 + self.random.below(BACKLOG);
        self.fleet.serve();
        wait::until(format!("window {some}"), wait::LATER, || {
            match self.told()? {
                told if told >= some => Ok(()),
                told => Err(format!("{told} told")),
            }
        });
        self.fleet.kill9();
        self.fleet.serve();
    }

    fn release_next(&mut self) -> String {
        self.version += 1;
        let version = format!("{}.0.0", self.version);
        let bundle = bundles::of_fixture("crash_later", "score", &version);
        self.fleet.release(&bundle);
        version
    }

    fn wait_committed(&self, version: &str) {
        self.fleet
            .wait_receipt("press-01", version, "committed", wait::LATER);
    }

    /// The rollout is stored, nobody has heard of it, and the controller dies.
    fn kill_between_plan_and_sending(&mut self) {
        wait_connected(&self.device);
        let version = self.release_next();
        let wire = self.fleet.proxy();
        wire.hold_at(Some(wire.down_bytes()));
        self.fleet.roll_out("score", &version);
        self.fleet.kill9();
        self.fleet.proxy().hold_at(None);
        self.fleet.serve();
        self.wait_committed(&version);
    }

    /// The controller dies while an operator rolls out, who asks again unless he was told yes.
    fn kill_while_it_plans(&mut self) {
        let version = self.release_next();
        let mut command = self.fleet.command();
        let line = ["rollout", "create", "--model", "score", "--yes"];
        command.args(line).args(["--version", &version]);
        let operator = thread::spawn(move || cli::run(&mut command));
        // A moment is counted in answers of the controller.
        for _ in 0..self.random.below(40) {
            self.fleet.list("rollouts").expect("it answers");
        }
        self.fleet.kill9();
        let said = operator.join().expect("the command ends");
        self.fleet.serve();
        if said.code != Some(0) {
            self.fleet.roll_out("score", &version);
        }
        self.wait_committed(&version);
    }

    /// One round; what was asked of the agent that dies at its end.
    fn round(&mut self) -> Killed {
        let load = Load::gentle(&self.device, "score", &FEATURES, expect_score);
        self.kill_while_it_takes_documents();
        self.kill_between_plan_and_sending();
        self.kill_while_it_plans();
        wait_answers(&load, 1 + self.random.below(100));
        assert_eq!(load.so_far().failed(), 0, "{:?}", load.so_far());
        self.fleet.kill9();
        let killed = Killed::kill(&mut self.device, load);
        if self.random.below(2) == 0 {
            self.device.start();
            self.fleet.serve();
        } else {
            self.fleet.serve();
            self.device.start();
        }
        killed
    }
}

#[test]
fn a_controller_that_is_killed_at_any_moment_forgets_and_doubles_nothing() {
    let fleet = Fleet::start();
    let device = serving_first(&fleet, &Settings::default());
    let mut scene = Scene {
        fleet,
        device,
        random: Random(5),
        version: 1,
    };
    let mut ledger = Ledger::default();
    for _ in 0..rounds() {
        let killed = scene.round();
        ledger.settle(&scene.fleet, &scene.device, &killed);
    }
    let version = format!("{}.0.0", scene.version);
    scene.device.wait_serves("score", &version, wait::SOON);
    receipts_agree(&scene.fleet, &scene.device);
    stored_once(&scene.fleet);
    let kills = 5 * rounds();
    ledger.print(&format!(
        "{kills} kills of the controller, and both at once"
    ));
}
