//! One device: the real supervisor on a real folder, without workers and without a broker.
//!
//! The clock stands still but for what a story advances it by; what takes place in other threads
//! is waited for, so that a story always asks the same of the disk.

use super::fleet::Fleet;
use super::world::{World, model};
use crate::clock;
use crate::config::Config;
use crate::enroll::Broker;
use crate::link::{LinkEvent, Source};
use crate::seat::Seat;
use crate::serving::{self as model_task, Event as Served};
use crate::store::Store;
use crate::store::disk::recorder::{Note, Recording};
use crate::supervisor::{Effect, Event, Supervisor};
use muster_device::updater::{Progress, Verdict};
use muster_protocol::digest::Digest;
use muster_protocol::message::{Measured, Reason};
use muster_protocol::time::Millis;
use std::path::Path;
use std::sync::Arc;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc;

/// Turns of a story without an end.
const TURNS_MAX: usize = 10_000;

/// A device that is switched on.
pub(super) struct Device {
    pub(super) supervisor: Supervisor,
    effects: mpsc::Receiver<Effect>,
    // Kept open: a task that was started tells it something when it is dropped.
    _serving: mpsc::Receiver<model_task::Event>,
    recording: Arc<Recording>,
    heard: usize,
    /// The bundle that fails on probation.
    pub(super) failing: Option<Digest>,
    // Last, so that what runs in it ends after the channels are gone.
    _runtime: Runtime,
}

impl Device {
    /// Starts on a folder as `muster-agent run` does; everything it asks of the disk is noted.
    pub(super) fn boot(
        world: &World,
        folder: &Path,
        recording: &Arc<Recording>,
    ) -> Result<Self, String> {
        let runtime = Builder::new_current_thread();
        let runtime = { runtime }.max_blocking_threads(1).build();
        let runtime = runtime.expect("a runtime");
        let _entered = runtime.enter();
        let _alone = recording.hold();
        let identity = world.identity();
        let heard = recording.since(0).len();
        let store = Store::open(folder).map_err(|error| error.to_string())?;
        crate::run::seed_root(&store, &identity).map_err(|error| error.to_string())?;
        let (events, serving) = mpsc::channel(64);
        let (effects, effects_rx) = mpsc::channel(64);
        let supervisor = Supervisor::start(config(), identity, store, events, effects);
        Ok(Self {
            supervisor: supervisor.map_err(|error| error.to_string())?,
            effects: effects_rx,
            _serving: serving,
            recording: recording.clone(),
            heard,
            failing: None,
            _runtime: runtime,
        })
    }

    /// The link comes up.
    pub(super) fn connect(&mut self) {
        let broker = Broker::parse("mqtts://fleet.example:8883").expect("valid");
        self.handle(Event::Link(LinkEvent::Up { broker }));
    }

    /// The link goes down.
    pub(super) fn disconnect(&mut self) {
        let because = "a story says so".to_owned();
        self.handle(Event::Link(LinkEvent::Down { because }));
    }

    /// One event, during which no other thread gets to the disk.
    pub(super) fn handle(&mut self, event: Event) {
        let _entered = self._runtime.enter();
        let _alone = self.recording.hold();
        self.supervisor.handle(event);
    }

    /// Lets everything happen that needs no time: effects, trials, workers, answers of the fleet.
    pub(super) fn settle(&mut self, fleet: &mut Fleet<'_>) {
        for _ in 0..TURNS_MAX {
            let busy = self.take_effects()
                || self.answer_trial(Seat::serving(model()))
                || self.answer_trial(Seat::shadow(model()))
                || self.answer_route()
                || self.answer_shadow();
            if !busy && !self.hear(fleet) {
                return;
            }
        }
        panic!("it never settles");
    }

    /// Settles, lets time pass until something is due, and so on until it is done.
    pub(super) fn run_until(
        &mut self,
        fleet: &mut Fleet<'_>,
        is_done: impl Fn(&Supervisor) -> bool,
    ) -> Result<(), String> {
        self.settle(fleet);
        for _ in 0..200 {
            if is_done(&self.supervisor) {
                return Ok(());
            }
            let due = self.supervisor.next_due();
            clock::stopped::set(due.max(clock::monotonic()));
            self.handle(Event::Tick);
            self.settle(fleet);
        }
        Err(format!(
            "it never gets there: {:?}",
            self.supervisor.updaters.values().next().map(|u| u.state())
        ))
    }

    fn take_effects(&mut self) -> bool {
        loop {
            if let Ok(effect) = self.effects.try_recv() {
                self.handle(Event::Effect(effect));
                return true;
            }
            // Whoever works on layers holds the lock's other half.
            let lock = self.supervisor.downloads.layers_lock();
            if Arc::strong_count(&lock) <= 2 {
                return match self.effects.try_recv() {
                    Ok(effect) => {
                        self.handle(Event::Effect(effect));
                        true
                    }
                    Err(_) => false,
                };
            }
            std::thread::yield_now();
        }
    }

    /// A trial that was begun passes.
    fn answer_trial(&mut self, seat: Seat) -> bool {
        let state = |supervisor: &Supervisor, seat: &Seat| {
            let state = supervisor.updaters.get(seat)?.state();
            let bundle = state.candidate.as_ref()?.bundle;
            (state.progress == Progress::Trial).then_some((bundle, state.tries))
        };
        let Some((bundle, tries)) = state(&self.supervisor, &seat) else {
            return false;
        };
        self.handle(Event::Effect(Effect::Tried {
            seat: seat.clone(),
            bundle,
            result: Ok(Measured::default()),
        }));
        state(&self.supervisor, &seat) != Some((bundle, tries))
    }

    /// The newest task of the model serves; those before it end.
    fn answer_route(&mut self) -> bool {
        let tasks = self.supervisor.serving.get(&model());
        let Some(newest) = tasks.and_then(|tasks| tasks.last()) else {
            return false;
        };
        let bundle = newest.bundle;
        let route = self.supervisor.routes.get(&model());
        let serves = route.is_some_and(|route| route.requests.same_channel(&newest.requests));
        let older = tasks.and_then(|tasks| tasks.iter().rev().nth(1));
        if let (true, Some(older)) = (serves, older.map(|task| task.bundle)) {
            let (seat, bundle) = (Seat::serving(model()), older);
            self.handle(Event::Serving(Served::Ended { seat, bundle }));
            return true;
        }
        if serves {
            return self.fail(bundle);
        }
        let active = self.supervisor.updaters.get(&Seat::serving(model()));
        let active = active.and_then(|u| u.state().active.as_ref());
        if active.is_none_or(|slot| slot.release.bundle != bundle) {
            return false;
        }
        let ready = Served::Ready {
            seat: Seat::serving(model()),
            bundle,
            signature: Arc::default(),
            columns: Arc::default(),
            load_ms: 5,
        };
        self.handle(Event::Serving(ready));
        true
    }

    /// The newest task of the shadow runs; those that were asked to end do.
    fn answer_shadow(&mut self) -> bool {
        let seat = Seat::shadow(model());
        let tasks = self.supervisor.shadows.get(&model());
        let mut tasks = tasks.into_iter().flatten();
        let Some(oldest) = tasks.next() else {
            return false;
        };
        let bundle = oldest.bundle;
        if oldest.is_ending() {
            self.handle(Event::Serving(Served::Ended { seat, bundle }));
            return true;
        }
        let tap = self.supervisor.taps.get(&model());
        if tap.is_some_and(|tap| tap.cpu(clock::monotonic()).is_some()) {
            return false;
        }
        let ready = Served::Ready {
            seat,
            bundle,
            signature: Arc::default(),
            columns: Arc::default(),
            load_ms: 5,
        };
        self.handle(Event::Serving(ready));
        true
    }

    /// What is to fail on probation does so.
    fn fail(&mut self, bundle: Digest) -> bool {
        let state = self
            .supervisor
            .updaters
            .get(&Seat::serving(model()))
            .map(|u| u.state());
        let on_probation = state.is_some_and(|state| state.progress == Progress::Probation);
        if self.failing != Some(bundle) || !on_probation {
            return false;
        }
        let verdict = Verdict::new(Reason::Crashed, "it crashed");
        self.handle(Event::Serving(Served::Failed {
            seat: Seat::serving(model()),
            bundle,
            verdict,
        }));
        true
    }

    /// The fleet hears what was said since it last heard, and answers.
    fn hear(&mut self, fleet: &mut Fleet<'_>) -> bool {
        let notes = self.recording.since(self.heard);
        self.heard += notes.len();
        let mut busy = false;
        for note in notes {
            let Note::Said(what, payload) = note else {
                continue;
            };
            for (down, payload) in fleet.answer(what, &payload) {
                busy = true;
                let from = Source::Down(down);
                self.handle(Event::Link(LinkEvent::Message { from, payload }));
            }
        }
        busy
    }

    /// Notes a step of the story.
    pub(super) fn note(&self, note: Note) {
        self.recording.note(note);
    }
}

fn config() -> Config {
    Config {
        probation_s: 60,
        disk_mib_reserved: 0,
        ..Config::default()
    }
}

/// Sets the clock to the beginning of all stories.
pub(super) fn begin() {
    clock::stopped::set(Millis(100_000_000));
}
