//! Faults strike, and end.
//!
//! Never touches a machine: it takes power, links, disks, clocks and the controller away.

use super::{Event, Heard, World};
use crate::random::Random;
use crate::sim::clones::Company;
use crate::sim::device;
use crate::sim::faults::Fault;
use crate::sim::network::{self, Link, Way};
use crate::sim::safety::Violation;
use crate::sim::seal::Signatures;
use crate::sim::thief::Thief;
use crate::sim::transcript::Who;
use muster_protocol::topic::Down;

impl World {
    pub(super) fn strike(&mut self, fault: Fault) -> Result<(), Violation> {
        let device = self.nth(self.devices.len());
        let now = self.agenda.now();
        self.transcript
            .note(now, Who::World, "fault", device as u64, || {
                format!("{fault} (d{device})")
            });
        if !matches!(fault, Fault::PowerCut | Fault::Clone) {
            self.count(fault);
        }
        match fault {
            Fault::PowerCut => self.cut_power(device)?,
            Fault::DiskFull => {
                self.disks_full[device] = true;
                self.mend_later(device);
            }
            Fault::DiskRots => self.rot(device),
            Fault::LinkCut => self.cut_link(device)?,
            Fault::OneWay => {
                let up = self.random.below(2) == 0;
                self.links[device].blocked = Some(if up { Way::Up } else { Way::Down });
                self.mend_later(device);
            }
            Fault::Swizzle => self.swizzle()?,
            Fault::BrokerRestart => self.restart_broker()?,
            Fault::Replay => self.replay(),
            Fault::Suspend => {
                self.devices[device].leap_ms += self.random.below(6 * 3_600_000);
                self.tell(device, device::Event::Tick)?;
            }
            Fault::FleetClock => {
                let days = 1 + self.random.below(60);
                let back = self.random.below(2) == 0;
                let seconds = i64::try_from(days * 86_400).unwrap_or_default();
                self.controller.clock_s = if back { -seconds } else { seconds };
                let delay_ms = self.random.below(3_600_000);
                self.agenda.after(delay_ms, Event::ClockMended);
            }
            Fault::ControllerCrash => self.crash_controller(),
            Fault::ControllerRestore => self.restore_controller(),
            Fault::FloorRaised
            | Fault::Revoked
            | Fault::ReleaseKeyRotated
            | Fault::DirectorReplaced => self.publish(fault),
            Fault::Clone => self.clone_device(device),
            Fault::KeysStolen => self.steal_keys(),
            Fault::WriteFails | Fault::WriteTorn | Fault::TwoOperators => {}
        }
        Ok(())
    }

    /// The write under way was done or not, nobody knows; the others were not begun.
    pub(super) fn cut_power(&mut self, device: usize) -> Result<(), Violation> {
        if self.devices[device].running.is_none() {
            return Ok(());
        }
        self.count(Fault::PowerCut);
        let done = self.random.below(2) == 0;
        let now = self.agenda.now();
        self.transcript
            .note(now, Who::Device(device), "power cut", done.into(), || {
                let write = if done { "done" } else { "not done" };
                format!("a write under way was {write}")
            });
        if self.devices[device].power_off(done, self.setup.planted) {
            self.count(Fault::WriteTorn);
        }
        self.links[device].connected = false;
        self.ticks[device] = None;
        let delay_ms = 1_000 + self.random.below(600_000);
        self.agenda.after(delay_ms, Event::PowerOn { device });
        self.check(device)
    }

    fn rot(&mut self, device: usize) {
        let layers = &mut self.devices[device].disk.layers;
        let count = layers.len() as u64;
        if count == 0 {
            return;
        }
        let nth = self.random.below(count);
        let nth = usize::try_from(nth).unwrap_or_default();
        if let Some(piece) = layers
            .values_mut()
            .nth(nth)
            .and_then(|pieces| pieces.first_mut())
        {
            network::damage(piece, &mut self.random);
        }
    }

    fn cut_link(&mut self, device: usize) -> Result<(), Violation> {
        self.links[device].cut = true;
        self.disconnect(device)?;
        self.mend_later(device);
        Ok(())
    }

    /// Every link is cut; each is mended at a moment of its own.
    fn swizzle(&mut self) -> Result<(), Violation> {
        (0..self.devices.len()).try_for_each(|device| self.cut_link(device))
    }

    fn restart_broker(&mut self) -> Result<(), Violation> {
        let forgets_retained = self.random.below(2) == 0;
        for device in 0..self.devices.len() {
            self.links[device].session += 1;
            if forgets_retained {
                self.links[device].retained = None;
            }
            self.disconnect(device)?;
            self.connect_later(device);
        }
        Ok(())
    }

    fn replay(&mut self) {
        if self.overheard.is_empty() {
            return;
        }
        let nth = self.nth(self.overheard.len());
        let (from, heard) = self.overheard[nth].clone();
        let elsewhere = self.random.below(3) == 0;
        let device = if elsewhere {
            self.nth(self.devices.len())
        } else {
            from
        };
        let session = self.links[device].session;
        let event = match heard {
            Heard::Down(topic, bytes) => Event::ToDevice {
                device,
                session,
                topic,
                bytes,
            },
            Heard::Up(topic, bytes) => Event::ToFleet {
                device,
                session,
                topic,
                bytes,
                // Under another name it must not open, as if it were damaged.
                damaged: self.devices[device].name != self.devices[from].name,
            },
        };
        self.agenda.after(1, event);
    }

    /// A second machine with the disk of the first, and so its name and its key.
    fn clone_device(&mut self, device: usize) {
        let name = self.devices[device].name;
        if self.clones.company_of(name) == Company::Shared {
            return;
        }
        self.count(Fault::Clone);
        let clone = self.devices.len();
        let copy = self.devices[device].copied(clone, Random(self.random.draw()));
        self.clones.add(name);
        self.devices.push(copy);
        self.watches.push(self.watches[device].clone());
        self.links.push(Link::default());
        self.ticks.push(None);
        self.disks_full.push(false);
        let delay_ms = self.random.below(600_000);
        self.agenda
            .after(delay_ms, Event::PowerOn { device: clone });
    }

    /// A second thief would do no more than the first.
    fn steal_keys(&mut self) {
        let signatures = Signatures::of(self.setup.seed);
        let random = Random(self.random.draw());
        let begins = self.thief.is_none();
        self.thief = Some(Thief::of(&self.catalogue.authority, signatures, random));
        if begins {
            self.agenda.after(1_000, Event::Thief);
        }
    }

    /// Says something to a device, and again after a while, until the storm is over.
    pub(super) fn act_as_thief(&mut self) {
        let name = self.nth(self.controller.store.devices.len());
        let unix = self.controller.unix(self.agenda.now());
        let Some(thief) = self.thief.as_mut().filter(|_| self.stormy) else {
            return;
        };
        let record = &self.controller.store.devices[name];
        let newest = record.newest.max(record.accepted.unwrap_or_default());
        let bytes = thief.assignment(&record.id, newest, &self.catalogue, unix);
        let device = self.connected_as(name);
        self.send_down(device, Down::Assignment, &bytes);
        let delay_ms = 10_000 + self.random.below(240_000);
        self.agenda.after(delay_ms, Event::Thief);
    }

    fn crash_controller(&mut self) {
        self.controller.up = false;
        self.controller.starts += 1;
        self.controller.letters.clear();
        let delay_ms = 5_000 + self.random.below(900_000);
        self.agenda.after(delay_ms, Event::ControllerUp);
    }

    /// What was stored since the backup is gone; the checks remember what it was.
    fn restore_controller(&mut self) {
        let Some(backup) = self.backup.clone() else {
            return;
        };
        for (device, record) in self.controller.store.devices.iter().enumerate() {
            let lost = record
                .documents
                .iter()
                .map(|(number, taken)| (*number, taken.counts));
            self.watches[device].forgotten.extend(lost);
        }
        self.clones.controller_forgets();
        self.controller.restore(backup);
        self.crash_controller();
    }

    fn mend_later(&mut self, device: usize) {
        let delay_ms = 10_000 + self.random.below(2_400_000);
        self.agenda.after(delay_ms, Event::Mend { device });
    }

    pub(super) fn mend(&mut self, device: usize) {
        self.disks_full[device] = false;
        self.links[device].cut = false;
        self.links[device].blocked = None;
        self.connect_later(device);
    }
}
