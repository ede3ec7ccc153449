//! One device: the machines of `muster-device` and the glue around them, as the agent has it.
//!
//! The disk is a conversation: what a machine wants durable goes out as a write, and is told back
//! only when it was done, so that the power may go between any two events. Never decides what a
//! machine decides.

mod boot;
mod effects;
mod fetching;
mod inbox;
mod outbox;
mod telemetry;

use super::catalogue::Catalogue;
use super::disk::{AcceptedRecord, Disk, StateFile, Stream, Write};
use super::planted::Planted;
use super::safety::Violation;
use super::seal::Signatures;
use super::transcript::{Transcript, Who};
use crate::random::Random;
use ed25519_dalek::SigningKey;
use fetching::Download;
use muster_device::facts::Facts;
use muster_device::key_sets::KeySets;
use muster_device::trusted_time::TrustedTime;
use muster_device::updater::{Input, Updater};
use muster_protocol::digest::Digest;
use muster_protocol::id::{BootId, DeviceId, EpochGeneration, ModelId, Nonce, StreamId};
use muster_protocol::time::Millis;
use muster_protocol::topic::{Down, Up};
pub(super) use outbox::{Lane, WAITING_MAX};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use telemetry::Serving;

/// Models that a device has room for.
const MODELS_MAX: usize = 4;
/// Pause before a write that the disk refused is tried again.
const DISK_RETRY_MS: u64 = 5_000;
/// Time between two hellos.
const HELLO_MS: u64 = 1_800_000;

/// What happens to a device.
#[derive(Debug, Clone)]
pub(super) enum Event {
    /// Power is there.
    PowerOn,
    /// The link is up.
    Connected,
    /// The link is down.
    Disconnected,
    /// A message came.
    Message(Down, Vec<u8>),
    /// The write under way was done.
    Written,
    /// The disk refused the write under way.
    Refused,
    /// It is time to begin the write that was refused once more.
    WriteAgain,
    /// Something that takes long has ended.
    Ended(Effect),
    /// Time has passed.
    Tick,
}

/// What takes long.
#[derive(Debug, Clone)]
pub(super) enum Effect {
    /// Blobs are verified whole.
    Stage { model: ModelId, bundle: Digest },
    /// The trial of a candidate.
    Trial { model: ModelId, bundle: Digest },
    /// A worker starts to serve.
    Route { model: ModelId, bundle: Digest },
    /// A worker that could not start is started again.
    Restart { model: ModelId, bundle: Digest },
    /// What serves crashes.
    Crash { model: ModelId, bundle: Digest },
    /// What crashed does well again.
    Recover { model: ModelId, bundle: Digest },
}

/// What a device wants of the world.
#[derive(Debug)]
pub(super) enum Wish {
    /// Carry this to the controller.
    Send(Up, Vec<u8>),
    /// The disk does the next write.
    Write,
    /// The disk is asked again after a pause.
    WriteLater(u64),
    /// Something that ends after a while.
    Later(u64, Effect),
    /// The power goes: a trial took the machine down.
    PowerCut,
}

/// What a device needs to hear of the world.
pub(super) struct Around<'w> {
    pub(super) now: Millis,
    pub(super) catalogue: &'w Catalogue,
    pub(super) planted: Option<Planted>,
    pub(super) transcript: &'w mut Transcript,
    /// Whether people still ask for predictions.
    pub(super) asked: bool,
}

/// A device, on or off.
#[derive(Debug)]
pub(super) struct Device {
    /// Which machine.
    pub(super) number: usize,
    /// Under whose name it speaks: its own number, but for a clone.
    pub(super) name: usize,
    pub(super) id: DeviceId,
    pub(super) key: SigningKey,
    pub(super) signatures: Signatures,
    pub(super) disk: Disk,
    pub(super) running: Option<Running>,
    /// Key sets that were taken up before the power went, and how many.
    verified: (KeySets<MODELS_MAX>, usize),
    /// How often it was started: what was under way before is nobody's any more.
    pub(super) boots: u64,
    pub(super) random: Random,
    pub(super) wishes: Vec<Wish>,
    /// What the world saw, which no machine sees.
    pub(super) seen: Seen,
    /// Milliseconds that its clock was put forward since power came.
    pub(super) leap_ms: u64,
}

/// The truth about a device, for the checks.
#[derive(Debug, Clone, Default)]
pub(super) struct Seen {
    /// Bundles that passed a trial here.
    pub(super) passed: BTreeSet<Digest>,
    /// Trials begun since the entry in force was offered, by model, and its place.
    pub(super) trials: BTreeMap<ModelId, (EpochGeneration, u32)>,
    /// The first promise that was broken.
    pub(super) violation: Option<Violation>,
    /// Models that an accepted assignment no longer names.
    pub(super) removed: BTreeSet<ModelId>,
}

/// What a power cut takes.
#[derive(Debug)]
pub(super) struct Running {
    started: Millis,
    boot: BootId,
    pub(super) updaters: BTreeMap<ModelId, Updater>,
    pub(super) keys: KeySets<MODELS_MAX>,
    /// How many of those on the disk are taken up.
    taken_up: usize,
    time: TrustedTime,
    accepted: Option<AcceptedRecord>,
    /// An accepted assignment waits for the disk, then for the machines.
    unapplied: bool,
    /// An assignment that cannot be judged yet.
    held: Option<Vec<u8>>,
    pub(super) receipts: Lane,
    pub(super) windows: Lane,
    downloads: BTreeMap<ModelId, Download>,
    /// What answers, as somebody who asks it sees it.
    pub(super) routes: BTreeMap<ModelId, Digest>,
    serving: BTreeMap<ModelId, Serving>,
    writing: VecDeque<Write>,
    /// The state as it was when the write under way began.
    under_way: Option<Option<StateFile>>,
    refused: bool,
    pub(super) connected: bool,
    hello_at: Millis,
    questions: [Option<Nonce>; 2],
    challenge: Option<Nonce>,
}

impl Device {
    pub(super) fn new(number: usize, mut random: Random, signatures: Signatures) -> Self {
        let mut seed = [0; 32];
        seed[..8].copy_from_slice(&random.draw().to_le_bytes());
        let (receipts, windows) = (random.draw(), random.draw());
        Self {
            number,
            name: number,
            id: DeviceId::parse(&format!("device-{number}")).expect("invariant: a device id"),
            key: SigningKey::from(seed),
            signatures,
            disk: Disk::new(
                StreamId(receipts.to_le_bytes()),
                StreamId(windows.to_le_bytes()),
            ),
            running: None,
            verified: Default::default(),
            boots: 0,
            random,
            wishes: Vec::new(),
            seen: Seen::default(),
            leap_ms: 0,
        }
    }

    /// Another machine with a copy of this disk, without power.
    pub(super) fn copied(&self, number: usize, random: Random) -> Self {
        Self {
            number,
            name: self.name,
            id: self.id.clone(),
            key: self.key.clone(),
            signatures: self.signatures,
            disk: self.disk.clone(),
            running: None,
            verified: Default::default(),
            boots: 0,
            random,
            wishes: Vec::new(),
            seen: self.seen.clone(),
            leap_ms: 0,
        }
    }

    /// Takes one event, then does everything that follows from it.
    pub(super) fn handle(&mut self, event: Event, around: &mut Around<'_>) {
        if let Event::PowerOn = event {
            if self.running.is_none() {
                self.power_on(around);
            }
        } else if self.running.is_some() {
            self.take(event, around);
        }
        self.drain(around);
    }

    fn take(&mut self, event: Event, around: &mut Around<'_>) {
        match event {
            Event::PowerOn => {}
            Event::Connected => self.on_connected(around),
            Event::Disconnected => self.on_disconnected(around),
            Event::Message(from, bytes) => self.on_message(from, &bytes, around),
            Event::Written => self.on_written(around),
            Event::Refused => {
                self.note(around, "disk refuses", 0, String::new);
                let running = self.running();
                running.under_way = None;
                running.refused = true;
                self.wishes.push(Wish::WriteLater(DISK_RETRY_MS));
            }
            Event::WriteAgain => self.running().refused = false,
            Event::Ended(effect) => self.on_ended(effect, around),
            Event::Tick => self.on_tick(around),
        }
    }

    /// Drains every machine until none asks for anything.
    fn drain(&mut self, around: &mut Around<'_>) {
        while self.running.is_some()
            && (self.drain_updaters(around)
                | self.drain_downloads(around)
                | self.drain_lane(Stream::Receipts, around)
                | self.drain_lane(Stream::Windows, around)
                | self.release_held(around))
        {}
        if self.running.is_some() {
            self.begin_write();
        }
    }

    /// The power goes. The write under way was done, or it was not: `done` says which. A piece
    /// may be torn, as nothing syncs it; says whether one was.
    pub(super) fn power_off(&mut self, done: bool, planted: Option<Planted>) -> bool {
        let Some(mut running) = self.running.take() else {
            return false;
        };
        if self.signatures == Signatures::StandIn {
            self.verified = (running.keys, running.taken_up);
        }
        self.leap_ms = 0;
        self.wishes.clear();
        let write = running.writing.pop_front();
        let Some((state, write)) = running.under_way.take().zip(write) else {
            return false;
        };
        let careless = planted == Some(Planted::RenameBeforeFsync);
        match (&write, done) {
            (Write::Piece { layer, .. }, true) => {
                self.disk.apply(&write, state);
                return self.disk.tear(*layer, &mut self.random);
            }
            (_, true) => self.disk.apply(&write, state),
            (Write::State { .. }, false) if careless => self.disk.state = StateFile::default(),
            (_, false) => {}
        }
        false
    }

    /// The monotonic clock of the machine.
    pub(super) fn clock(&self, now: Millis) -> Millis {
        let started = self.running.as_ref().map_or(now, |running| running.started);
        Millis(now.since(started) + self.leap_ms)
    }

    /// When to say that time has passed, as a delay.
    pub(super) fn due_in_ms(&self, now: Millis) -> Option<u64> {
        let running = self.running.as_ref()?;
        let clock = self.clock(now);
        let updaters = running
            .updaters
            .values()
            .filter_map(|u| Some(u.poll_timeout()?.0));
        let lanes = [&running.receipts, &running.windows];
        let lanes = lanes
            .into_iter()
            .filter_map(|lane| Some(lane.stream.poll_timeout()?.0));
        let downloads = running.downloads.values().filter_map(Download::due);
        let serving = running.serving.values().map(Serving::due);
        let hello = running.connected.then_some(running.hello_at);
        let due = updaters
            .chain(lanes)
            .chain(downloads)
            .chain(serving)
            .chain(hello)
            .min()?;
        Some(due.since(clock))
    }

    fn on_tick(&mut self, around: &mut Around<'_>) {
        let clock = self.clock(around.now);
        self.feed_all(&Input::Tick, around);
        self.tick_downloads(around);
        self.tick_lanes(clock);
        self.close_windows(around);
        if self.running().connected && self.running().hello_at <= clock {
            self.say_hello(around);
            self.ask_for_key_sets();
        }
        self.expire_offers(around);
    }

    /// Hands one input to the machine of a model, if there is one.
    fn feed(&mut self, model: &ModelId, input: Input<'_>, around: &Around<'_>) {
        let clock = self.clock(around.now);
        let running = self.running();
        if let Some(updater) = running.updaters.get_mut(model) {
            updater.handle(input, &running.keys.facts().view(model), clock);
        }
    }

    fn feed_all(&mut self, input: &Input<'_>, around: &Around<'_>) {
        let models: Vec<_> = self.running().updaters.keys().cloned().collect();
        for model in models {
            self.feed(&model, input.clone(), around);
        }
    }

    fn facts(&mut self) -> &Facts<MODELS_MAX> {
        self.running().keys.facts()
    }

    /// Only called while there is power: every event of a device without it ends before.
    fn running(&mut self) -> &mut Running {
        self.running
            .as_mut()
            .expect("invariant: the device has power")
    }

    fn note(
        &self,
        around: &mut Around<'_>,
        what: &'static str,
        number: u64,
        detail: impl FnOnce() -> String,
    ) {
        let who = Who::Device(self.number);
        around
            .transcript
            .note(around.now, who, what, number, detail);
    }

    fn broke(&mut self, promise: &'static str, how: String) {
        self.seen
            .violation
            .get_or_insert(Violation { promise, how });
    }
}
