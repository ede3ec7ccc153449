//! Telling a story once, and starting the device again on what a cut left of it.

use super::device::{self, Device};
use super::world::World;
use crate::power_cuts::files::Tree;
use crate::power_cuts::folder::Stage;
use crate::store::disk::recorder::{Note, Recording};

/// What a story asked of the disk, and what it began and ended with.
pub(super) struct Told {
    /// Everything that was asked and said before.
    pub(super) history: Vec<Note>,
    pub(super) start: Tree,
    pub(super) notes: Vec<Note>,
    pub(super) end: Tree,
}

impl Told {
    /// Before anything was told: an empty disk.
    pub(super) fn nothing() -> Self {
        Self {
            history: Vec::new(),
            start: Tree::new(),
            notes: Vec::new(),
            end: Tree::new(),
        }
    }

    /// Everything up to its end.
    pub(super) fn whole(&self) -> Vec<Note> {
        [self.history.as_slice(), &self.notes].concat()
    }
}

/// Tells a story on the disk that another one left: the device is switched on, and then the plot
/// takes place.
pub(super) fn tell(world: &World, before: &Told, plot: impl FnOnce(&mut Device)) -> Told {
    device::begin();
    let mut stage = Stage::new();
    stage.make(&before.end);
    let recording = Recording::begin(stage.path());
    let mut device = Device::boot(world, stage.path(), &recording).expect("starts");
    plot(&mut device);
    drop(device);
    let notes = recording.end();
    stage.learn(&notes);
    Told {
        history: before.whole(),
        start: before.end.clone(),
        notes,
        end: stage.holds().clone(),
    }
}

/// A folder on which a device is started again and again.
pub(super) struct Bench<'w> {
    world: &'w World,
    stage: Stage,
    /// What the last start asked of the disk.
    pub(super) notes: Vec<Note>,
}

impl<'w> Bench<'w> {
    pub(super) fn new(world: &'w World) -> Self {
        Self {
            world,
            stage: Stage::new(),
            notes: Vec::new(),
        }
    }

    /// What the last start left.
    pub(super) fn holds(&self) -> &Tree {
        self.stage.holds()
    }

    /// Starts the device on this disk, has it judged, and gives what it left.
    pub(super) fn start(
        &mut self,
        disk: &Tree,
        judge: impl FnOnce(&mut Device) -> Result<(), String>,
    ) -> Result<&Tree, String> {
        device::begin();
        self.stage.make(disk);
        let recording = Recording::begin(self.stage.path());
        let booted = Device::boot(self.world, self.stage.path(), &recording);
        let verdict = booted.and_then(|mut device| judge(&mut device));
        self.notes = recording.end();
        self.stage.learn(&self.notes);
        verdict.map(|()| self.stage.holds())
    }
}
