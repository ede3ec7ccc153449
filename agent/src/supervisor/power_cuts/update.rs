//! Updates of a model: the first one, one over another, one that fails on probation, and the way
//! back that an assignment asks for.

use super::device::Device;
use super::fleet::Fleet;
use super::story::{Bench, Told, tell};
use super::world::{Seated, World, model};
use crate::clock;
use crate::power_cuts::enumeration::{Cut, Outcome, Trial, enumerate};
use crate::power_cuts::files::{Files, Tree};
use crate::power_cuts::relied::Relied;
use crate::seat::Seat;
use crate::store::blobs::verify_file;
use crate::store::disk::recorder::Note;
use crate::store::state::AgentState;
use crate::supervisor::Supervisor;
use muster_device::updater::{ModelState, Progress, Updater};
use muster_protocol::cbor;
use muster_protocol::digest::Digest;
use muster_protocol::message::{Role, Step};
use std::collections::BTreeSet;
use std::path::Path;

/// One story of an update.
#[derive(Debug, Clone, Copy)]
pub(super) struct Update {
    /// Number of the assignment.
    number: u64,
    /// The release that it names to serve, and since which number.
    assigned: (usize, u64),
    /// The release that it names as a shadow, since its own number.
    shadow: Option<usize>,
    /// The release that fails on probation.
    failing: Option<usize>,
    /// The release that answers in the end.
    serves: usize,
    progress: Progress,
    step: Step,
}

/// The first model of a device.
pub(super) const FIRST: Update = Update {
    number: 1,
    assigned: (0, 1),
    shadow: None,
    failing: None,
    serves: 0,
    progress: Progress::Committed,
    step: Step::Committed,
};

/// A newer release over it.
pub(super) const OVER: Update = Update {
    number: 2,
    assigned: (1, 2),
    serves: 1,
    ..FIRST
};

/// The newer release fails on probation, and the device goes back by itself.
pub(super) const FAILS: Update = Update {
    failing: Some(1),
    serves: 0,
    progress: Progress::Reverted,
    step: Step::Reverted,
    ..OVER
};

/// A newer assignment names the older release again.
pub(super) const BACK: Update = Update {
    number: 3,
    assigned: (0, 3),
    ..FIRST
};

/// The newer release runs beside the first one.
pub(super) const BESIDE: Update = Update {
    number: 2,
    shadow: Some(1),
    step: Step::Shadowing,
    ..FIRST
};

/// What was a shadow serves.
pub(super) const PROMOTED: Update = Update {
    number: 3,
    assigned: (1, 3),
    serves: 1,
    ..FIRST
};

impl Update {
    /// Tells it on the disk that another story left.
    pub(super) fn tell(&self, world: &World, before: &Told) -> Told {
        let mut fleet = self.fleet(world, &before.whole());
        tell(world, before, |device| {
            self.go_on(world, device, &mut fleet).expect("it ends well");
        })
    }

    fn fleet<'w>(&self, world: &'w World, history: &[Note]) -> Fleet<'w> {
        let (release, since) = self.assigned;
        let shadow = self
            .shadow
            .map(|shadow| Seated::shadow(shadow, self.number));
        let seats: Vec<_> = [Seated::serving(release, since)]
            .into_iter()
            .chain(shadow)
            .collect();
        let mut fleet = Fleet::new(world, self.number, &seats);
        history.iter().for_each(|note| fleet.hear(note));
        fleet
    }

    /// From wherever it stands to the end.
    fn go_on(
        &self,
        world: &World,
        device: &mut Device,
        fleet: &mut Fleet<'_>,
    ) -> Result<(), String> {
        device.failing = self.failing.map(|n| world.releases[n].bundle);
        device.connect();
        device.run_until(fleet, |supervisor| self.is_done(supervisor))
    }

    fn is_done(&self, supervisor: &Supervisor) -> bool {
        let progress = |seat| supervisor.updaters.get(&seat).map(|u| u.state().progress);
        let shadow = progress(Seat::shadow(model()));
        let progress = progress(Seat::serving(model()));
        let outbox = &supervisor.outbox;
        let accepted = supervisor
            .state
            .accepted
            .map(|accepted| accepted.at.generation.0);
        progress == Some(self.progress)
            && shadow == self.shadow.map(|_| Progress::Probation)
            && shadow.is_some() == sees(supervisor)
            && accepted == Some(self.number)
            && outbox.receipts.stream.is_drained()
            && outbox.windows.stream.is_drained()
    }

    /// Cuts the power everywhere.
    pub(super) fn cut(&self, world: &World, told: &Told) -> Outcome {
        self.cut_notes(world, told, &told.notes)
    }

    /// The same in a recording with a mistake.
    pub(super) fn cut_notes(&self, world: &World, told: &Told, notes: &[Note]) -> Outcome {
        let mut bench = Bench::new(world);
        let (mut heard, mut fleet) = (0, self.fleet(world, &told.history));
        enumerate(&told.start, notes, |cut, disk| {
            cut.before[heard..].iter().for_each(|note| fleet.hear(note));
            heard = cut.before.len();
            let mut fleet = fleet.clone();
            let left = bench.start(disk, |device| {
                check_start(world, &device.supervisor, &fleet, cut, disk)?;
                self.go_on(world, device, &mut fleet)?;
                self.check_end(world, &device.supervisor, &fleet)
            })?;
            check_files(left, &told.end)
        })
    }

    /// Kills the program before each operation and starts it again; once that says hello, power
    /// is cut. What was read at the start must still be there.
    pub(super) fn kill_and_cut(&self, world: &World, told: &Told) -> Outcome {
        let mut bench = Bench::new(world);
        let (mut files, mut relied) = (Files::of(&told.start), Relied::default());
        let (mut trial, mut fleet) = (Trial::default(), self.fleet(world, &told.history));
        for note in &told.notes {
            if note.is_operation() {
                trial.promises += 1;
                let (mut files, mut relied) = (files.clone(), relied.clone());
                let (mut fleet, mut notes) = (fleet.clone(), Vec::new());
                let started = bench.start(&files.tree(), |device| {
                    device.connect();
                    Ok(())
                });
                started.expect("a killed program starts again");
                std::mem::swap(&mut notes, &mut bench.notes);
                for note in &notes {
                    files.obey(note);
                    relied.hear(note, &files);
                    fleet.hear(note);
                }
                let cut = Cut {
                    before: &notes,
                    files: &files,
                };
                trial.cut(Some(note), cut, &relied, &mut |cut, disk| {
                    let check = |device: &mut Device| {
                        check_start(world, &device.supervisor, &fleet, cut, disk)
                    };
                    bench.start(disk, check).map(|_| ())
                });
            }
            files.obey(note);
            relied.hear(note, &files);
            fleet.hear(note);
        }
        trial.outcome
    }

    fn check_end(
        &self,
        world: &World,
        supervisor: &Supervisor,
        fleet: &Fleet<'_>,
    ) -> Result<(), String> {
        if let Some(conflict) = &fleet.conflict {
            return Err(conflict.clone());
        }
        if !fleet.has_step(self.step) {
            return Err(format!("no receipt says {:?}", self.step));
        }
        let route = supervisor.routes.get(&model()).map(|route| route.bundle);
        match route == Some(world.releases[self.serves].bundle) {
            true => Ok(()),
            false => Err(format!("{route:?} answers in the end")),
        }
    }
}

/// What must hold of a device that was just switched on.
fn check_start(
    world: &World,
    supervisor: &Supervisor,
    fleet: &Fleet<'_>,
    cut: Cut<'_>,
    disk: &Tree,
) -> Result<(), String> {
    let accepted = supervisor.state.accepted.map(|record| record.at);
    if accepted < fleet.accepted {
        return Err(format!("it said {:?} and has {accepted:?}", fleet.accepted));
    }
    let (said, has) = (fleet.metadata, supervisor.metadata_versions());
    let kept = [
        said.root <= has.root,
        said.timestamp <= has.timestamp,
        said.snapshot <= has.snapshot,
        said.targets <= has.targets,
        said.fleet <= has.fleet,
    ];
    if kept.contains(&false) {
        return Err(format!("it said metadata {said:?} and has {has:?}"));
    }
    let serves = active(supervisor);
    let before = cut.files.tree();
    let may_serve = BTreeSet::from([active_on(disk), active_on(&before)]);
    if !may_serve.contains(&serves) {
        return Err(format!("it serves {serves:?}, not one of {may_serve:?}"));
    }
    check_slots(world, supervisor)
}

/// Whether a shadow sees what is answered.
fn sees(supervisor: &Supervisor) -> bool {
    let tap = supervisor.taps.get(&model());
    tap.is_some_and(|tap| tap.cpu(clock::monotonic()).is_some())
}

fn active(supervisor: &Supervisor) -> Option<Digest> {
    let state = supervisor.updaters.get(&Seat::serving(model()))?.state();
    Some(state.active.as_ref()?.release.bundle)
}

fn active_on(disk: &Tree) -> Option<Digest> {
    let state = disk.get(Path::new("state.cbor"))?.as_ref()?;
    let state = cbor::decode::<AgentState>(&state.bytes).ok()?;
    let serves = |state: &&ModelState| state.role() == Role::Serve;
    let state = state.models.iter().find(serves)?;
    Some(state.active.as_ref()?.release.bundle)
}

/// Every blob of all slots is there and is what it should be; what answers has a task, and so has
/// what runs beside it.
fn check_slots(world: &World, supervisor: &Supervisor) -> Result<(), String> {
    let states = || supervisor.updaters.values().map(Updater::state);
    let slots = states().flat_map(|state| [&state.active, &state.previous]);
    for slot in slots.flatten() {
        let bundle = slot.release.bundle;
        let staged = supervisor
            .staged(&bundle)
            .map_err(|v| v.detail.to_string())?;
        let layer = &staged.model;
        let whole = verify_file(&staged.model_path, &layer.blob_digest, layer.blob_size);
        if !whole.is_ok_and(|whole| whole) {
            return Err(format!("the model of {bundle} is damaged"));
        }
        let statement = supervisor.store.document(&slot.release.statement);
        if !statement.is_ok_and(|found| found.is_some()) {
            return Err(format!("the statement of {bundle} is gone"));
        }
        if !world
            .releases
            .iter()
            .any(|release| release.bundle == bundle)
        {
            return Err(format!("nobody released {bundle}"));
        }
    }
    let serving = supervisor.serving.get(&model());
    let serves = |bundle| serving.is_some_and(|all| all.iter().any(|task| task.bundle == bundle));
    if active(supervisor).is_some_and(|bundle| !serves(bundle)) {
        return Err("nothing answers for the active slot".to_owned());
    }
    let beside = supervisor.updaters.get(&Seat::shadow(model()));
    let beside = beside.and_then(|updater| updater.state().active.as_ref());
    let shadows = supervisor.shadows.get(&model());
    let runs = |bundle| shadows.is_some_and(|all| all.iter().any(|task| task.bundle == bundle));
    match beside.map(|slot| slot.release.bundle) {
        Some(bundle) if !runs(bundle) => Err("no task runs the shadow".to_owned()),
        _ => Ok(()),
    }
}

/// Nothing is left behind that the story without a cut does not leave either.
fn check_files(left: &Tree, end: &Tree) -> Result<(), String> {
    // Queues differ: after a cut some receipts come twice. What is in them was checked.
    let counts = |path: &&Path| !path.starts_with("queue") || path.extension().is_some();
    let names = |tree: &Tree| -> BTreeSet<String> {
        let paths = tree.keys().map(|path| path.as_path()).filter(counts);
        paths.map(|path| path.display().to_string()).collect()
    };
    let (left, end) = (names(left), names(end));
    match left == end {
        true => Ok(()),
        false => Err(format!(
            "left behind {:?}, missing {:?}",
            left.difference(&end).collect::<Vec<_>>(),
            end.difference(&left).collect::<Vec<_>>()
        )),
    }
}
