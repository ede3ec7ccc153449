//! The world: devices, network, controller and operators on one agenda, under faults and then
//! healed.
//!
//! One event at a time, each followed by the checks; whatever is random is drawn from the seed.
//! Never reads a clock, never sleeps.

mod strike;

use super::agenda::Agenda;
use super::catalogue::Catalogue;
use super::controller::{Change, Controller, Store};
use super::device::{self, Around, Device, Wish};
use super::faults::Fault;
use super::liveness;
use super::network::{self, Link, Way, Weather};
use super::report::Counted;
use super::safety::{Violation, Watch};
use super::transcript::{Transcript, Who};
use super::{Failure, Outcome, Setup};
use crate::random::Random;
use muster_protocol::cose;
use muster_protocol::key::PublicKey;
use muster_protocol::message::Hello;
use muster_protocol::message::document::Document;
use muster_protocol::time::Millis;
use muster_protocol::topic::{Down, Up};
use std::collections::BTreeMap;

/// How long things go wrong.
const STORM_MS: u64 = 4 * 3_600_000;
/// How long devices may need afterwards.
const CALM_MS: u64 = 8 * 3_600_000;
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
    floors: BTreeMap<String, u32>,
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
            .map(|n| Device::new(n, Random(random.draw())))
            .collect();
        let ids: Vec<_> = devices.iter().map(|device| device.id.clone()).collect();
        let controller = Controller::new(&ids, Random(random.draw()), setup.planted);
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
            floors: BTreeMap::new(),
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
            Event::Heal => self.heal(),
        }
        Ok(None)
    }

    /// Hands an event to a device, does what it wants, and checks.
    fn tell(&mut self, device: usize, event: device::Event) -> Result<(), Violation> {
        if self.stormy && self.random.below(600) == 0 {
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
        let record = &self.controller.store.devices[device];
        self.watches[device]
            .check(&mut self.devices[device], record, &self.catalogue)
            .map_err(|violation| Violation {
                how: format!("device {device}: {}", violation.how),
                ..violation
            })
    }

    fn grant(&mut self, device: usize) -> Result<(), Violation> {
        let boots = self.devices[device].boots;
        for wish in std::mem::take(&mut self.devices[device].wishes) {
            match wish {
                Wish::Send(topic, bytes) => self.send_up(device, topic, &bytes),
                Wish::Write => {
                    let fails = self.stormy && self.random.below(200) == 0;
                    if fails {
                        self.count(Fault::WriteFails);
                    }
                    let refused = fails || self.disks_full[device];
                    let event = if refused {
                        device::Event::Refused
                    } else {
                        device::Event::Written
                    };
                    let delay_ms = 2 + self.random.below(30);
                    self.agenda.after(
                        delay_ms,
                        Event::Device {
                            device,
                            boots,
                            event,
                        },
                    );
                }
                Wish::WriteLater(delay_ms) => {
                    let event = device::Event::WriteAgain;
                    self.agenda.after(
                        delay_ms,
                        Event::Device {
                            device,
                            boots,
                            event,
                        },
                    );
                }
                Wish::Later(delay_ms, effect) => {
                    let event = device::Event::Ended(effect);
                    self.agenda.after(
                        delay_ms,
                        Event::Device {
                            device,
                            boots,
                            event,
                        },
                    );
                }
                Wish::PowerCut => return self.cut_power(device),
            }
        }
        self.schedule_tick(device);
        Ok(())
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

    fn send_up(&mut self, device: usize, topic: Up, bytes: &[u8]) {
        let link = &self.links[device];
        let mishaps = &mut self.counted.mishaps;
        for arrival in network::carry(
            link,
            Way::Up,
            bytes,
            self.weather,
            &mut self.random,
            mishaps,
        ) {
            let (session, damaged) = (link.session, arrival.bytes != bytes);
            let bytes = arrival.bytes;
            self.agenda.after(
                arrival.delay_ms,
                Event::ToFleet {
                    device,
                    session,
                    topic,
                    bytes,
                    damaged,
                },
            );
        }
        self.overhear(device, Heard::Up(topic, bytes.to_vec()));
    }

    /// A message reaches the controller. What was damaged on the way must not open.
    fn hear(
        &mut self,
        device: usize,
        topic: Up,
        bytes: &[u8],
        damaged: bool,
    ) -> Result<(), Violation> {
        if damaged {
            return self.refuse_damaged(device, topic, bytes);
        }
        let (now, catalogue) = (self.agenda.now(), &self.catalogue);
        match topic {
            Up::Hello => self.controller.on_hello(device, bytes, catalogue, now),
            Up::Doc => self.controller.on_document(device, bytes, catalogue),
            Up::Fetch => self.controller.on_fetch(device, bytes, catalogue),
            Up::Assignment => self.controller.on_shown(device, bytes, catalogue, now),
            Up::Status => {}
        }
        self.transcript
            .note(now, Who::Fleet, "hears", device as u64, || {
                format!("d{device} {}", topic.as_str())
            });
        self.post();
        self.check(device)
    }

    fn refuse_damaged(&self, device: usize, topic: Up, bytes: &[u8]) -> Result<(), Violation> {
        let keys: [PublicKey; 1] = [self.devices[device].key.verifying_key().into()];
        let keys = cose::KeySet {
            keys: &keys,
            threshold: 1,
        };
        let mut scratch = vec![0; cose::scratch_len(bytes.len())];
        let opens = match topic {
            Up::Doc => cose::open::<Document<'_>>(bytes, keys, &mut scratch).is_ok(),
            Up::Hello => cose::open::<Hello<'_>>(bytes, keys, &mut scratch).is_ok(),
            Up::Fetch | Up::Assignment | Up::Status => false,
        };
        if opens {
            let how = format!("device {device}, {}", topic.as_str());
            return Err(Violation {
                promise: "what was damaged does not open",
                how,
            });
        }
        Ok(())
    }

    /// Sends what the controller wants to say.
    fn post(&mut self) {
        for letter in std::mem::take(&mut self.controller.letters) {
            if letter.topic == Down::Assignment {
                self.links[letter.to].retained = Some(letter.bytes.clone());
            }
            self.send_down(letter.to, letter.topic, &letter.bytes);
            if letter.topic != Down::Piece {
                self.overhear(letter.to, Heard::Down(letter.topic, letter.bytes));
            }
        }
    }

    fn send_down(&mut self, device: usize, topic: Down, bytes: &[u8]) {
        let link = &self.links[device];
        let mishaps = &mut self.counted.mishaps;
        for arrival in network::carry(
            link,
            Way::Down,
            bytes,
            self.weather,
            &mut self.random,
            mishaps,
        ) {
            let session = link.session;
            let bytes = arrival.bytes;
            self.agenda.after(
                arrival.delay_ms,
                Event::ToDevice {
                    device,
                    session,
                    topic,
                    bytes,
                },
            );
        }
    }

    fn overhear(&mut self, device: usize, heard: Heard) {
        if !self.stormy || self.random.below(20) != 0 {
            return;
        }
        if self.overheard.len() < 64 {
            return self.overheard.push((device, heard));
        }
        let place = usize::try_from(self.random.below(64)).unwrap_or_default();
        self.overheard[place] = (device, heard);
    }

    fn connect_later(&mut self, device: usize) {
        let delay_ms = 500 + self.random.below(20_000);
        self.agenda.after(delay_ms, Event::Connect { device });
    }

    fn connect(&mut self, device: usize) -> Result<(), Violation> {
        let link = &mut self.links[device];
        if link.connected || link.cut || self.devices[device].running.is_none() {
            return Ok(());
        }
        link.connected = true;
        let retained = link.retained.clone();
        self.tell(device, device::Event::Connected)?;
        if let Some(bytes) = retained {
            self.send_down(device, Down::Assignment, &bytes);
        }
        Ok(())
    }

    /// An operator acts: stored in one transaction, sent one by one afterwards.
    fn operate(&mut self) {
        if !self.controller.up {
            return;
        }
        if self.stormy && self.random.below(8) == 0 {
            self.count(Fault::TwoOperators);
            self.agenda.after(0, Event::Operator);
        }
        let change = self.change();
        let now = self.agenda.now();
        let devices = self.controller.plan(&change, &self.catalogue, now);
        self.transcript
            .note(now, Who::Fleet, "plans", devices.len() as u64, || {
                format!("{change:?}")
            });
        let starts = self.controller.starts;
        for device in devices {
            let delay_ms = 50 + self.random.below(2_000);
            self.agenda
                .after(delay_ms, Event::Dispatch { device, starts });
        }
    }

    fn change(&mut self) -> Change {
        let random = &mut self.random;
        let count = self.devices.len() as u64;
        let device = usize::try_from(random.below(count)).unwrap_or_default();
        let models: Vec<_> = super::catalogue::models().collect();
        let model =
            models[usize::try_from(random.below(models.len() as u64)).unwrap_or_default()].clone();
        match random.below(12) {
            0 => Change::Remove { device, model },
            1 | 2 => Change::Retry { device, model },
            _ => {
                let releases = self.catalogue.releases.len() as u64;
                let release = usize::try_from(random.below(releases)).unwrap_or_default();
                let part = 1 + random.below(4);
                let devices = (0..self.devices.len())
                    .filter(|_| random.below(4) < part)
                    .collect();
                Change::Rollout { release, devices }
            }
        }
    }

    fn heal(&mut self) {
        self.transcript
            .note(self.agenda.now(), Who::World, "heals", 0, String::new);
        self.stormy = false;
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
    fn look(&mut self) -> Result<Option<()>, Violation> {
        self.asked = false;
        let mut devices = self.devices.iter().zip(&self.controller.store.devices);
        let waits = devices.find_map(|(device, record)| {
            liveness::unsettled(device, record).map(|violation| (device.number, violation))
        });
        match waits {
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

    fn count(&mut self, fault: Fault) {
        *self.counted.faults.entry(fault).or_default() += 1;
    }
}
