//! A day of telemetry: checkpoints and windows, online and offline, and everything that becomes
//! of them.

use super::account::{self, Counts, Found};
use super::device::Device;
use super::fleet::{self, Fleet};
use super::story::{Bench, Told, tell};
use super::world::{Seated, World, model};
use crate::clock;
use crate::link::{LinkEvent, Source};
use crate::power_cuts::enumeration::{Outcome, enumerate};
use crate::power_cuts::files::{Files, Tree};
use crate::serving::{Closed, Event as Served};
use crate::store::disk::recorder::Note;
use crate::supervisor::{Event, Supervisor};
use muster_device::fold::Subject;
use muster_protocol::cbor::{self, List};
use muster_protocol::digest::Digest;
use muster_protocol::id::{EpochGeneration, Sequence};
use muster_protocol::message::{FeatureWindow, Window};
use muster_protocol::stats::FeatureCounts;
use muster_protocol::time::Millis;
use muster_protocol::topic::Down;

const WINDOW_MS: u64 = 60_000;
const CHECKPOINT_MS: u64 = 15_000;

/// What happens in one minute of telemetry, beside its window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// The link comes up.
    Up,
    /// The link goes down.
    Down,
    /// The fleet cannot read the next document that comes.
    Unreadable,
    /// The fleet knows documents that the device never wrote.
    Supersede,
}

/// A stretch of telemetry: so many minutes, and what turns it takes at which of them.
#[derive(Debug, Clone)]
pub(super) struct Day {
    pub(super) minutes: u64,
    pub(super) turns: Vec<(u64, Turn)>,
    /// Whether a device that was started again is also led to the end.
    pub(super) goes_on: bool,
}

/// What the story does to the counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Moment {
    /// A checkpoint of the open window is written, with so many rows.
    Checkpoint(u64),
    /// The window is closed with so many rows.
    Close(u64),
}

/// A day that was told.
pub(super) struct ToldDay {
    pub(super) told: Told,
    moments: Vec<Moment>,
}

/// Rows of the window of a minute: now and then too few to be shown alone.
const fn calls_of(minute: u64) -> u64 {
    match minute % 7 {
        3 | 4 => 5 + minute % 11,
        _ => 100 + minute * 37 % 1000,
    }
}

impl Day {
    /// Tells it on a disk where a model serves.
    pub(super) fn tell(&self, world: &World, before: &Told) -> ToldDay {
        let mut fleet = quiet_fleet(world, &before.whole());
        let mut moments = Vec::new();
        let told = tell(world, before, |device| {
            device.settle(&mut fleet);
            for minute in 0..self.minutes {
                let turns = self.turns.iter().filter(|(at, _)| *at == minute);
                turns.for_each(|(_, turn)| take(*turn, device, &mut fleet));
                self.minute(minute, device, &mut fleet, &mut moments);
            }
            device.settle(&mut fleet);
        });
        ToldDay { told, moments }
    }

    fn minute(
        &self,
        minute: u64,
        device: &mut Device,
        fleet: &mut Fleet<'_>,
        moments: &mut Vec<Moment>,
    ) {
        let (begin, calls) = (clock::monotonic(), calls_of(minute));
        for part in 1..WINDOW_MS / CHECKPOINT_MS {
            clock::stopped::set(begin.plus(part * CHECKPOINT_MS));
            let so_far = calls * part / 4;
            moment(device, moments, Moment::Checkpoint(so_far));
            let window = window(fleet, begin, clock::monotonic(), so_far);
            device.handle(Event::Serving(Served::Checkpoint { window }));
        }
        clock::stopped::set(begin.plus(WINDOW_MS));
        moment(device, moments, Moment::Close(calls));
        let window = window(fleet, begin, clock::monotonic(), calls);
        let subject = subject(fleet);
        let closed = Box::new(Closed {
            subject,
            calls,
            served: None,
            window,
        });
        device.handle(Event::Serving(Served::Window(closed)));
        device.handle(Event::Tick);
        device.settle(fleet);
    }

    /// Cuts the power everywhere.
    pub(super) fn cut(&self, world: &World, day: &ToldDay) -> Outcome {
        self.cut_notes(world, day, &day.told.notes)
    }

    /// The same in a recording with a mistake.
    pub(super) fn cut_notes(&self, world: &World, day: &ToldDay, notes: &[Note]) -> Outcome {
        let mut bench = Bench::new(world);
        let mut ledger = Ledger::new(world, day);
        let mut heard = 0;
        enumerate(&day.told.start, notes, |cut, disk| {
            cut.before[heard..]
                .iter()
                .for_each(|note| ledger.hear(note));
            heard = cut.before.len();
            self.judge(&mut bench, &ledger, disk)
        })
    }

    fn judge(&self, bench: &mut Bench<'_>, ledger: &Ledger<'_>, disk: &Tree) -> Result<(), String> {
        let left = bench.start(disk, |_| Ok(()))?;
        let found = account::find(left, &ledger.fleet)?;
        ledger.check(found.counts)?;
        match self.goes_on {
            true => go_on(bench, &ledger.fleet, found.counts).map(|_| ()),
            false => Ok(()),
        }
    }
}

/// From where the last start left it: everything is sent and acknowledged, and counts the same.
fn go_on(bench: &mut Bench<'_>, fleet: &Fleet<'_>, counts: Counts) -> Result<Found, String> {
    let (disk, mut fleet) = (bench.holds().clone(), fleet.clone());
    let end = bench.start(&disk, |device| {
        device.connect();
        device.run_until(&mut fleet, is_drained)
    })?;
    if let Some(conflict) = &fleet.conflict {
        return Err(conflict.clone());
    }
    let told = account::find(end, &fleet)?;
    match told.counts == counts && told.files[0] + told.files[1] == 0 {
        true => Ok(told),
        false => Err(format!("it had {counts:?}, and told {told:?}")),
    }
}

impl ToldDay {
    /// The disk and everything that was said when the checkpoint of this number was durable.
    fn at_checkpoint(&self, number: u64) -> Told {
        let notes = &self.told.notes;
        let step = notes.iter().position(|note| *note == Note::Step(number));
        let step = step.expect("there is such a step");
        let durable = |note: &Note| matches!(note, Note::ReliedOn(_));
        let len = notes[step..]
            .iter()
            .position(durable)
            .expect("it is written");
        let before = &notes[..=step + len];
        let mut files = Files::of(&self.told.start);
        before.iter().for_each(|note| files.obey(note));
        Told {
            history: self.told.history.clone(),
            start: self.told.start.clone(),
            notes: before.to_vec(),
            end: files.tree(),
        }
    }

    /// A start after a cut in the middle of this day, cut again everywhere: the open window is
    /// counted once, and it is said that there was a cut.
    pub(super) fn cut_start(&self, world: &World, checkpoint: u64) -> Outcome {
        let until = self.at_checkpoint(checkpoint);
        let mut fleet = quiet_fleet(world, &until.whole());
        let before = fleet.clone();
        let told = tell(world, &until, |device| {
            device.connect();
            device
                .run_until(&mut fleet, is_drained)
                .expect("it ends well");
        });
        let counts = account::find(&told.end, &fleet)
            .expect("it ends well")
            .counts;
        let (mut bench, mut fleet, mut heard) = (Bench::new(world), before, 0);
        enumerate(&told.start, &told.notes, |cut, disk| {
            cut.before[heard..].iter().for_each(|note| fleet.hear(note));
            heard = cut.before.len();
            let left = bench.start(disk, |_| Ok(()))?;
            let found = account::find(left, &fleet)?;
            if found.counts != counts {
                return Err(format!("it counts {found:?}, not {counts:?}"));
            }
            let told = go_on(&mut bench, &fleet, counts)?;
            match told.power_cuts {
                0 => Err("nobody says that power was cut".to_owned()),
                _ => Ok(()),
            }
        })
    }
}

fn is_drained(supervisor: &Supervisor) -> bool {
    let outbox = &supervisor.outbox;
    outbox.receipts.stream.is_drained() && outbox.windows.stream.is_drained()
}

/// A fleet that wants what it has.
fn quiet_fleet<'w>(world: &'w World, history: &[Note]) -> Fleet<'w> {
    let mut fleet = Fleet::new(world, 1, &[Seated::serving(0, 1)]);
    history.iter().for_each(|note| fleet.hear(note));
    fleet
}

fn moment(device: &Device, moments: &mut Vec<Moment>, moment: Moment) {
    device.note(Note::Step(moments.len() as u64));
    moments.push(moment);
}

fn take(turn: Turn, device: &mut Device, fleet: &mut Fleet<'_>) {
    match turn {
        Turn::Up => device.connect(),
        Turn::Down => device.disconnect(),
        Turn::Unreadable => {
            fleet.unreadable = Some(device.supervisor.outbox.windows.stream.next().0)
        }
        Turn::Supersede => {
            let stream = &device.supervisor.outbox.windows.stream;
            let payload = fleet::ack(stream.id(), Sequence(stream.next().0 + 5), None);
            let from = Source::Down(Down::Ack);
            device.handle(Event::Link(LinkEvent::Message { from, payload }));
        }
    }
    device.settle(fleet);
}

fn subject(fleet: &Fleet<'_>) -> Subject {
    Subject {
        model: model(),
        bundle: fleet.bundle(),
        since: EpochGeneration::new(1, 1),
        reference: Some(Digest([9; 32])),
        latency_objective_us: None,
    }
}

fn window(fleet: &Fleet<'_>, started: Millis, ended: Millis, calls: u64) -> Vec<u8> {
    let subject = subject(fleet);
    let counts = FeatureCounts::default();
    let features = [FeatureWindow::of(&counts, 2)];
    cbor::to_vec(&Window {
        model: subject.model,
        bundle: subject.bundle,
        since: subject.since,
        reference: subject.reference,
        started,
        ended,
        unix: None,
        closed_windows: 1,
        calls,
        errors: List::default(),
        latency: List::default(),
        features: List::of(&features),
        latency_misses: None,
        shadow: None,
        scores: None,
        labels: None,
    })
}

/// What must be counted, as far as the story was told.
struct Ledger<'t> {
    fleet: Fleet<'t>,
    moments: &'t [Moment],
    /// Windows that are durable.
    counted: Counts,
    /// Rows of the open window by its newest durable checkpoint.
    checkpoint: Option<u64>,
    /// What is being written.
    under_way: Option<Moment>,
}

impl<'t> Ledger<'t> {
    fn new(world: &'t World, day: &'t ToldDay) -> Self {
        let fleet = quiet_fleet(world, &day.told.history);
        let counted = account::find(&day.told.start, &fleet).map(|found| found.counts);
        Self {
            fleet,
            moments: &day.moments,
            counted: counted.expect("the day begins well"),
            checkpoint: None,
            under_way: None,
        }
    }

    fn hear(&mut self, note: &Note) {
        self.fleet.hear(note);
        match note {
            Note::Step(moment) => {
                let moment = usize::try_from(*moment).expect("few");
                self.under_way = Some(self.moments[moment]);
            }
            Note::ReliedOn(path) => match self.under_way {
                Some(Moment::Checkpoint(calls)) if path.starts_with("checkpoints") => {
                    (self.checkpoint, self.under_way) = (Some(calls), None);
                }
                Some(Moment::Close(calls)) if path.starts_with("queue/windows") => {
                    self.counted = self.counted.plus(Counts::one(calls));
                    (self.checkpoint, self.under_way) = (None, None);
                }
                _ => {}
            },
            _ => {}
        }
    }

    /// A start counts the checkpoint of the window that was open as one that was closed.
    fn check(&self, found: Counts) -> Result<(), String> {
        let with = |rows: Option<u64>| {
            rows.map_or(self.counted, |calls| self.counted.plus(Counts::one(calls)))
        };
        let mut may_be = vec![with(self.checkpoint)];
        if let Some(Moment::Checkpoint(calls) | Moment::Close(calls)) = self.under_way {
            may_be.push(with(Some(calls)));
        }
        match may_be.contains(&found) {
            true => Ok(()),
            false => Err(format!("it counts {found:?}, and may count {may_be:?}")),
        }
    }
}
