//! The storm ends: everything is mended, and then it is looked whether all settle.
//!
//! Loses patience in the end. Never helps a device.

use super::{ASKING_MS, CALM_MS, Event, LOOK_MS, STORM_MS, World};
use crate::sim::liveness;
use crate::sim::network::Weather;
use crate::sim::safety::Violation;
use crate::sim::transcript::Who;

impl World {
    pub(super) fn heal(&mut self) {
        self.transcript
            .note(self.agenda.now(), Who::World, "heals", 0, String::new);
        self.stormy = false;
        // Stolen keys are noticed in the end: the offline keys name another director.
        if self.thief.take().is_some() {
            self.catalogue.authority.replace_director(self.agenda.now());
        }
        self.weather = Weather::fair();
        self.controller.up = true;
        self.controller.reads_all = true;
        self.controller.clock_s = 0;
        self.disks_full.fill(false);
        for device in 0..self.devices.len() {
            let delay_ms = self.random.below(300_000);
            self.links[device].blocked = None;
            self.agenda.after(delay_ms, Event::Mend { device });
            if self.devices[device].running.is_none() {
                self.agenda.after(delay_ms, Event::PowerOn { device });
            }
        }
        self.agenda.after(ASKING_MS, Event::Look);
    }

    /// Looks whether all have settled, and loses patience in the end.
    pub(super) fn look(&mut self) -> Result<Option<()>, Violation> {
        self.asked = false;
        let waits = self.devices.iter().find_map(|device| {
            let record = &self.controller.store.devices[device.name];
            let company = self.clones.company_of(device.name);
            let violation = liveness::unsettled(device, record, company, &self.catalogue);
            Some((device.number, violation?))
        });
        match waits.or_else(|| self.clones.unnoticed(&self.controller.store)) {
            None => Ok(Some(())),
            Some((number, violation)) if self.agenda.now().0 > STORM_MS + CALM_MS => {
                Err(Violation {
                    how: format!("device {number} after hours of calm: {}", violation.how),
                    ..violation
                })
            }
            Some(_) => {
                self.agenda.after(LOOK_MS, Event::Look);
                Ok(None)
            }
        }
    }
}
