//! Messages on their way, and the links that carry them.
//!
//! A broker knows names, not machines: who connects under the name of another takes its place.
//! Never looks into a message.

use super::{Event, Heard, World};
use crate::sim::device;
use crate::sim::network::{self, Way};
use crate::sim::safety::Violation;
use crate::sim::seal;
use crate::sim::transcript::Who;
use muster_protocol::key::PublicKey;
use muster_protocol::message::Hello;
use muster_protocol::message::document::Document;
use muster_protocol::topic::{Down, Up};

/// Longest pause after somebody else has taken the connection over.
const TAKEN_OVER_MS_MAX: u64 = 300_000;

impl World {
    pub(super) fn send_up(&mut self, device: usize, topic: Up, bytes: &[u8]) {
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
    pub(super) fn hear(
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
        let name = self.devices[device].name;
        match topic {
            Up::Hello => self.controller.on_hello(name, bytes, catalogue, now),
            Up::Doc => self.controller.on_document(name, bytes, catalogue),
            Up::Fetch => self.controller.on_fetch(name, bytes, catalogue),
            Up::Assignment => self.controller.on_shown(name, bytes, catalogue, now),
            Up::Status => {}
        }
        self.clones.hears(name, topic, bytes);
        if topic == Up::Hello {
            self.answer_as_thief(device, bytes);
        }
        self.transcript
            .note(now, Who::Fleet, "hears", device as u64, || {
                format!("d{device} {}", topic.as_str())
            });
        self.post();
        self.check(device)
    }

    /// The thief sits beside the controller, and is sometimes faster.
    fn answer_as_thief(&mut self, device: usize, bytes: &[u8]) {
        if !self.happens(3) {
            return;
        }
        let unix = self.controller.unix(self.agenda.now());
        let (Some(thief), Some(hello)) = (&mut self.thief, seal::read::<Hello<'_>>(bytes)) else {
            return;
        };
        let answer = thief.time(&hello, unix);
        self.send_down(device, Down::Time, &answer);
    }

    fn refuse_damaged(&self, device: usize, topic: Up, bytes: &[u8]) -> Result<(), Violation> {
        let keys: [PublicKey; 1] = [self.devices[device].key.verifying_key().into()];
        let opens = match topic {
            Up::Doc => seal::open::<Document<'_>>(bytes, &keys).is_some(),
            Up::Hello => seal::open::<Hello<'_>>(bytes, &keys).is_some(),
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

    /// Sends what the controller wants to say, to whoever is connected under that name.
    pub(super) fn post(&mut self) {
        for letter in std::mem::take(&mut self.controller.letters) {
            if letter.topic == Down::Assignment {
                self.links[letter.to].retained = Some(letter.bytes.clone());
            }
            let device = self.connected_as(letter.to);
            self.send_down(device, letter.topic, &letter.bytes);
            if letter.topic != Down::Piece {
                self.overhear(device, Heard::Down(letter.topic, letter.bytes));
            }
        }
    }

    pub(super) fn connected_as(&self, name: usize) -> usize {
        let clones = self.controller.store.devices.len()..self.devices.len();
        let mut clones = clones.filter(|device| self.devices[*device].name == name);
        let clone = clones.find(|device| self.links[*device].connected);
        clone.unwrap_or(name)
    }

    pub(super) fn send_down(&mut self, device: usize, topic: Down, bytes: &[u8]) {
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

    pub(super) fn connect_later(&mut self, device: usize) {
        let delay_ms = 500 + self.random.below(20_000);
        self.agenda.after(delay_ms, Event::Connect { device });
    }

    pub(super) fn connect(&mut self, device: usize) -> Result<(), Violation> {
        let link = &self.links[device];
        if link.connected || link.cut || self.devices[device].running.is_none() {
            return Ok(());
        }
        let name = self.devices[device].name;
        let other = self.connected_as(name);
        if other != device && self.links[other].connected {
            self.take_over(other)?;
        }
        self.links[device].connected = true;
        let retained = self.links[name].retained.clone();
        self.tell(device, device::Event::Connected)?;
        if let Some(bytes) = retained {
            self.send_down(device, Down::Assignment, &bytes);
        }
        Ok(())
    }

    /// The broker lets a device go for one that connects under its name; it comes back later each
    /// time.
    fn take_over(&mut self, device: usize) -> Result<(), Violation> {
        let link = &mut self.links[device];
        link.taken_over += 1;
        let pause_ms = (15_000 << link.taken_over.min(8)).min(TAKEN_OVER_MS_MAX);
        self.disconnect(device)?;
        let delay_ms = pause_ms + self.random.below(pause_ms);
        self.agenda.after(delay_ms, Event::Connect { device });
        Ok(())
    }

    pub(super) fn disconnect(&mut self, device: usize) -> Result<(), Violation> {
        if std::mem::take(&mut self.links[device].connected) {
            self.tell(device, device::Event::Disconnected)?;
        }
        Ok(())
    }
}
