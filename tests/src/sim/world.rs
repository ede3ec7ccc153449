//! The world: devices, network, controller and operators on one agenda, under faults and then
//! healed.
//!
//! One event at a time, each followed by the checks; whatever is random is drawn from the seed.
//! Never reads a clock, never sleeps.

mod healing;
mod people;
mod strike;
mod traffic;

use super::agenda::Agenda;
use super::catalogue::Catalogue;
use super::clones::Clones;
use super::controller::{Controller, Store};
use super::device::{self, Around, Device, Wish};
use super::faults::Fault;
use super::network::{Link, Weather};
use super::report::Counted;
use super::safety::{Violation, Watch};
use super::seal::Signatures;
use super::thief::Thief;
use super::transcript::Transcript;
use super::{Failure, Outcome, Setup};
use crate::random::Random;
use muster_protocol::time::Millis;
use muster_protocol::topic::{Down, Up};

/// How long things go wrong.
const STORM_MS: u64 = 2 * 3_600_000;
/// How long devices may need afterwards.
const CALM_MS: u64 = 8 * 3_600_000;
/// One event of a device in so many is met by a power cut instead.
const CUTS_BETWEEN_EVENTS: u64 = 600;
/// One write in so many is cut in its middle.
const CUTS_IN_WRITES: u64 = 120;
/// One write in so many is refused.
const FAILED_WRITES: u64 = 200;
/// How often it is looked whether all have settled.
const LOOK_MS: u64 = 600_000;
/// For how long after the storm people ask for predictions.
const ASKING_MS: u64 = 1_800_000;

/// What happens.
#[derive(Debug)]
enum Event {
    Device {
        device: usize,
        boots: u64,
        event: device::Event,
    },
    PowerOn {
        device: usize,
    },
    Tick {
        device: usize,
    },
    Connect {
        device: usize,
    },
    ToDevice {
        device: usize,
        session: u64,
        topic: Down,
        bytes: Vec<u8>,
    },
    ToFleet {
        device: usize,
        session: u64,
        topic: Up,
        bytes: Vec<u8>,
        damaged: bool,
    },
    Dispatch {
        device: usize,
        starts: u64,
    },
    ControllerUp,
    Backup,
    Operator,
    Fault(Fault),
    /// A fault of one device or of the controller's clock ends.
    Mend {
        device: usize,
    },
    ClockMended,
    /// The thief of the online keys acts.
    Thief,
    Heal,
    Look,
}

/// Everything there is.
pub(super) struct World {
    setup: Setup,
    random: Random,
    agenda: Agenda<Event>,
    catalogue: Catalogue,
    devices: Vec<Device>,
    watches: Vec<Watch>,
    links: Vec<Link>,
    ticks: Vec<Option<Millis>>,
    disks_full: Vec<bool>,
    controller: Controller,
    backup: Option<Store>,
    weather: Weather,
    stormy: bool,
    asked: bool,
    /// Messages that somebody may say again.
    overheard: Vec<(usize, Heard)>,
    clones: Clones,
    thief: Option<Thief>,
    transcript: Transcript,
    counted: Counted,
}

/// A message that was overheard.
#[derive(Debug, Clone)]
enum Heard {
    Down(Down, Vec<u8>),
    Up(Up, Vec<u8>),
}

impl World {
    pub(super) fn new(setup: Setup) -> Self {
        let mut random = Random(setup.seed);
        let catalogue = Catalogue::new(&mut random);
        let devices: Vec<_> = (0..setup.devices)
            .map(|n| Device::new(n, Random(random.draw()), Signatures::of(setup.seed)))
            .collect();
        let ids: Vec<_> = devices.iter().map(|device| device.id.clone()).collect();
        let controller = Controller::new(&ids, Random(random.draw()), &setup);
        let count = setup.devices;
        let mut world = Self {
            weather: Weather::foul(&mut random),
            random,
            agenda: Agenda::new(),
            catalogue,
            devices,
            watches: (0..count).map(|_| Watch::default()).collect(),
            links: (0..count).map(|_| Link::default()).collect(),
            ticks: vec![None; count],
            disks_full: vec![false; count],
            controller,
            backup: None,
            stormy: true,
            asked: true,
            overheard: Vec::new(),
            clones: Clones::default(),
            thief: None,
            transcript: Transcript::new(setup.recording),
            counted: Counted::default(),
            setup,
        };
        world.begin();
        world
    }

    fn begin(&mut self) {
        for device in 0..self.devices.len() {
            let delay_ms = self.random.below(60_000);
            self.agenda.after(delay_ms, Event::PowerOn { device });
        }
        let faults = 4 + 2 * self.devices.len() as u64;
        for _ in 0..faults {
            let (at_ms, fault) = (self.random.below(STORM_MS), Fault::drawn(&mut self.random));
            self.agenda.after(at_ms, Event::Fault(fault));
        }
        let changes = 6 + self.random.below(8);
        for n in 0..changes {
            // The first comes early, so that there is something to lose.
            let at_ms = if n == 0 {
                90_000
            } else {
                self.random.below(STORM_MS)
            };
            self.agenda.after(at_ms, Event::Operator);
        }
        let backup_ms = self.random.below(STORM_MS);
        self.agenda.after(backup_ms, Event::Backup);
        self.agenda.after(STORM_MS, Event::Heal);
    }

    /// Runs until all have settled, or a promise is broken.
    pub(super) fn run(mut self) -> Outcome {
        let failure = loop {
            match self.step() {
                Ok(Some(())) => break None,
                Ok(None) => {}
                Err(violation) => break Some(violation),
            }
        };
        self.counted.virtual_ms = self.agenda.now().0;
        let failure = failure.map(|violation| Failure {
            seed: self.setup.seed,
            at: self.agenda.now(),
            violation,
            transcript: self.transcript.text(),
        });
        Outcome {
            hash: self.transcript.hash(),
            counted: self.counted,
            failure,
        }
    }

    /// One event and its checks; `Some` when all have settled.
    fn step(&mut self) -> Result<Option<()>, Violation> {
        let Some(event) = self.agenda.next() else {
            return Err(Violation {
                promise: "the world goes on",
                how: "nothing is due".into(),
            });
        };
        self.counted.events += 1;
        match event {
            Event::Look => return self.look(),
            Event::Device {
                device,
                boots,
                event,
            } => {
                if self.devices[device].boots == boots {
                    self.tell(device, event)?;
                }
            }
            Event::PowerOn { device } => {
                self.tell(device, device::Event::PowerOn)?;
                self.connect_later(device);
            }
            Event::Tick { device } => {
                if self.ticks[device] == Some(self.agenda.now()) {
                    self.ticks[device] = None;
                    self.tell(device, device::Event::Tick)?;
                }
            }
            Event::Connect { device } => self.connect(device)?,
            Event::ToDevice {
                device,
                session,
                topic,
                bytes,
            } => {
                if self.links[device].connected && self.links[device].session == session {
                    self.tell(device, device::Event::Message(topic, bytes))?;
                }
            }
            Event::ToFleet {
                device,
                session,
                topic,
                bytes,
                damaged,
            } => {
                if self.controller.up && self.links[device].session == session {
                    self.hear(device, topic, &bytes, damaged)?;
                }
            }
            Event::Dispatch { device, starts } => {
                if self.controller.up && self.controller.starts == starts {
                    self.controller.send_assignment(device);
                    self.post();
                }
            }
            Event::ControllerUp => self.controller.up = true,
            Event::Backup => self.backup = Some(self.controller.store.clone()),
            Event::Operator => self.operate(),
            Event::Fault(fault) => self.strike(fault)?,
            Event::Mend { device } => self.mend(device),
            Event::ClockMended => self.controller.clock_s = 0,
            Event::Thief => self.act_as_thief(),
            Event::Heal => self.heal(),
        }
        Ok(None)
    }

    /// Hands an event to a device, does what it wants, and checks.
    fn tell(&mut self, device: usize, event: device::Event) -> Result<(), Violation> {
        if self.happens(CUTS_BETWEEN_EVENTS) {
            return self.cut_power(device);
        }
        let mut around = Around {
            now: self.agenda.now(),
            catalogue: &self.catalogue,
            planted: self.setup.planted,
            transcript: &mut self.transcript,
            asked: self.asked,
        };
        self.devices[device].handle(event, &mut around);
        self.grant(device)?;
        self.check(device)
    }

    fn check(&mut self, device: usize) -> Result<(), Violation> {
        let name = self.devices[device].name;
        let record = &self.controller.store.devices[name];
        let company = self.clones.company_of(name);
        self.watches[device]
            .check(&mut self.devices[device], record, company, &self.catalogue)
            .map_err(|violation| Violation {
                how: format!("device {device}: {}", violation.how),
                ..violation
            })
    }

    fn grant(&mut self, device: usize) -> Result<(), Violation> {
        for wish in std::mem::take(&mut self.devices[device].wishes) {
            match wish {
                Wish::Send(topic, bytes) => self.send_up(device, topic, &bytes),
                Wish::Write if self.happens(CUTS_IN_WRITES) => return self.cut_power(device),
                Wish::Write => {
                    let event = self.write(device);
                    let delay_ms = 2 + self.random.below(30);
                    self.later(device, delay_ms, event);
                }
                Wish::WriteLater(delay_ms) => {
                    self.later(device, delay_ms, device::Event::WriteAgain);
                }
                Wish::Later(delay_ms, effect) => {
                    self.later(device, delay_ms, device::Event::Ended(effect));
                }
                Wish::PowerCut => return self.cut_power(device),
            }
        }
        self.schedule_tick(device);
        Ok(())
    }

    /// How a write will end.
    fn write(&mut self, device: usize) -> device::Event {
        let fails = self.happens(FAILED_WRITES);
        if fails {
            self.count(Fault::WriteFails);
        }
        if fails || self.disks_full[device] {
            device::Event::Refused
        } else {
            device::Event::Written
        }
    }

    /// Something happens to a device later, unless its power goes before.
    fn later(&mut self, device: usize, delay_ms: u64, event: device::Event) {
        let boots = self.devices[device].boots;
        let event = Event::Device {
            device,
            boots,
            event,
        };
        self.agenda.after(delay_ms, event);
    }

    /// Whether something strikes that strikes once in `times` while there is a storm.
    fn happens(&mut self, times: u64) -> bool {
        self.stormy && self.random.below(times) == 0
    }

    fn schedule_tick(&mut self, device: usize) {
        let now = self.agenda.now();
        let Some(delay_ms) = self.devices[device].due_in_ms(now) else {
            return;
        };
        let at = now.plus(delay_ms.max(1));
        if self.ticks[device].is_none_or(|due| at < due) {
            self.ticks[device] = Some(at);
            self.agenda.after(delay_ms.max(1), Event::Tick { device });
        }
    }

    fn count(&mut self, fault: Fault) {
        *self.counted.faults.entry(fault).or_default() += 1;
    }
}
