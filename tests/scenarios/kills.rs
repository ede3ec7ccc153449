//! `kill -9` of the agent at many moments under load, and of its workers: what was answered, what
//! was counted and what the fleet has agree, but for an open window, whose loss is reported.

use muster_tests::bundles;
use muster_tests::device::Device;
use muster_tests::fleet::Fleet;
use muster_tests::load::{Load, Tally};
use muster_tests::program;
use muster_tests::random::Random;
use muster_tests::settings::Settings;
use muster_tests::{skip, wait};
use std::fs;

use super::{FEATURES, counts_agree, expect_score, receipts_agree, stored_once};

/// Rows of one request.
const ROWS: i64 = FEATURES.len() as i64;
/// Rows that may be answered after the first of a window, until its checkpoint is written: whoever
/// writes it answers nobody meanwhile, so that few requests come in between.
const UNMARKED_ROWS_MAX: i64 = 10 * ROWS;

fn kills() -> u64 {
    if skip::full() { 60 } else { 4 }
}

/// Waits until so many more requests are answered.
pub(super) fn wait_answers(load: &Load, more: u64) {
    let enough = load.so_far().answered() + more;
    wait::until(format!("{enough} answers"), wait::LATER, || {
        match load.so_far().answered() {
            answered if answered >= enough => Ok(()),
            answered => Err(format!("{answered} answers")),
        }
    });
}

/// What an agent that runs leaves behind when it is killed.
pub(super) struct Killed {
    tally: Tally,
    /// Rows of its closed windows.
    closed: i64,
    /// The open window had a checkpoint.
    marked: bool,
}

impl Killed {
    /// Kills the agent that a load asks.
    pub(super) fn kill(device: &mut Device, load: Load) -> Self {
        let closed = device.model("score").expect("it answers")["calls"].as_i64();
        device.kill9();
        let checkpoints = fs::read_dir(device.state().join("checkpoints"));
        let mut names = checkpoints.expect("a folder").flatten();
        Self {
            tally: load.end(),
            closed: closed.expect("a number"),
            // One that was still being written has another ending.
            marked: names.any(|name| name.path().extension() == Some("cbor".as_ref())),
        }
    }
}

/// What was asked of a device and what the fleet knows of it, over all its deaths.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    answered: i64,
    stored: i64,
    gaps: u64,
    deaths: u64,
    lost: i64,
    lost_most: i64,
}

impl Ledger {
    /// Takes a death into account. The device runs again and nobody asks it yet.
    pub(super) fn settle(&mut self, fleet: &Fleet, device: &Device, killed: &Killed) {
        let tally = &killed.tally;
        assert!(
            tally.refused.is_empty() && tally.wrong.is_empty(),
            "{tally:?}"
        );
        // Everything that it found on its disk is told.
        device.wait_told("score", 0);
        let (_, stored) = fleet.counted(&device.id, "score").expect("it answers");
        let gaps = fleet.gaps(&device.id).expect("it answers");
        let answered = tally.answered().cast_signed() * ROWS;
        let lost = answered - (stored.cast_signed() - self.stored);
        // The one request under way may be counted, though its answer never left.
        assert!(lost >= -ROWS, "{lost} lost of {answered}: counted twice?");
        let open = answered - killed.closed;
        assert!(lost <= open, "{lost} lost of {open} in an open window");
        let more = gaps - self.gaps;
        assert!(more <= 1, "{more} gaps of one death");
        let silent = if killed.marked { 0 } else { UNMARKED_ROWS_MAX };
        assert!(more == 1 || lost <= silent, "{lost} lost in silence");
        *self = Self {
            answered: self.answered + answered,
            stored: stored.cast_signed(),
            gaps,
            deaths: self.deaths + 1,
            lost: self.lost + lost,
            lost_most: self.lost_most.max(lost),
        };
    }

    /// Says what struck. A ledger without a gap has shown nothing.
    pub(super) fn print(&self, what: &str) {
        let Self {
            answered,
            stored,
            gaps,
            deaths,
            lost,
            lost_most,
        } = self;
        assert!(*gaps > 0, "{what}: no death took an open window");
        println!(
            "{what}: {deaths} deaths, {answered} rows answered, {stored} stored, {lost} lost in \
             open windows, {lost_most} at most in one, {gaps} gaps reported"
        );
    }
}

pub(super) fn serving_first(fleet: &Fleet, settings: &Settings) -> Device {
    let device = Device::start_new(fleet, "press-01", settings);
    fleet.ship(&bundles::of_fixture("good", "score", "1.0.0"));
    fleet.wait_receipt("press-01", "1.0.0", "committed", wait::SOON);
    device
}

#[test]
fn an_agent_that_is_killed_under_load_loses_at_most_its_open_window_and_says_so() {
    let fleet = Fleet::start();
    let mut device = serving_first(&fleet, &Settings::default().with("window_s", 2));
    let (mut ledger, mut random) = (Ledger::default(), Random(9));
    for _ in 0..kills() {
        let load = Load::gentle(&device, "score", &FEATURES, expect_score);
        // A moment is counted in answers: no clock tells when the agent is where.
        wait_answers(&load, 20 + random.below(250));
        let killed = Killed::kill(&mut device, load);
        device.start();
        ledger.settle(&fleet, &device, &killed);
    }
    receipts_agree(&fleet, &device);
    stored_once(&fleet);
    ledger.print("kills of the agent");
}

#[test]
fn a_worker_that_is_killed_again_and_again_costs_only_requests_that_were_told_so() {
    let fleet = Fleet::start();
    let settings = Settings::default().with("budget.crashes_max", 1_000);
    let device = serving_first(&fleet, &settings);
    let load = Load::gentle(&device, "score", &FEATURES, expect_score);
    let mut random = Random(11);
    let mut killed = 0;
    for _ in 0..kills() {
        wait_answers(&load, 1 + random.below(100));
        let pid = device.worker_pid("score").expect("it serves");
        assert_ne!(pid, killed, "another worker answers");
        program::kill9(pid);
        killed = pid;
        wait::until_true("another worker", wait::SOON, || {
            device.worker_pid("score").is_ok_and(|pid| pid != killed)
        });
    }
    wait_answers(&load, 10);
    let tally = load.end();
    assert_eq!((tally.broken, tally.wrong.len()), (0, 0), "{tally:?}");
    assert!(
        tally.refused.keys().all(|status| *status == 503),
        "{tally:?}"
    );
    counts_agree(&fleet, &device, tally.answered() * FEATURES.len() as u64);
    assert_eq!(fleet.gaps("press-01"), Ok(0));
    receipts_agree(&fleet, &device);
    stored_once(&fleet);
    println!(
        "kills of workers: {}, {} requests answered, {} refused",
        kills(),
        tally.answered(),
        tally.failed()
    );
}
