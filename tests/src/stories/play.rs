//! Plays a story: lets virtual time pass, devices act, the controller tick, and events happen.
//!
//! A controller ticks every two seconds. Ticks at which nothing can have changed are left out: one
//! is never left out for more than a minute.

use std::collections::{BTreeMap, BTreeSet};

use muster_fleet::planner::{Order, Policy, RolloutId};
use muster_protocol::id::{DeviceId, Version};
use muster_protocol::time::UnixSeconds;

use super::controller::{Controller, Sent};
use super::planted::Planted;
use super::script::{
    Act, Asked, BadStory, Does, Event, Fate, Given, Group, Habit, Line, Named, NewDevice, Outcome,
    Script, Traffic,
};
use super::tell::Transcript;
use super::unit::{End, Unit};

/// Seconds between two ticks.
const TICK_EVERY_S: u64 = 2;
/// Seconds for which no tick may be left out.
const TICK_AT_LEAST_EVERY_S: u64 = 60;

/// Plays it to its end.
///
/// # Errors
/// [`BadStory`]: something that is not there is asked for.
pub(super) fn play(file: &str, script: &Script, planted: Planted) -> Result<String, BadStory> {
    let mut play = Play::of(file, script, planted);
    for new in &script.devices {
        play.join(new);
    }
    for line in &script.events {
        play.until(line.at);
        play.happens(line)?;
    }
    play.until(script.ends);
    Ok(play.transcript.text())
}

struct Play<'a> {
    file: &'a str,
    now: UnixSeconds,
    begins: UnixSeconds,
    window_s: u64,
    /// How far the controller's clock is ahead of the world.
    ahead_s: i64,
    policies: &'a BTreeMap<String, Policy>,
    controller: Controller,
    backup: Option<Controller>,
    units: BTreeMap<DeviceId, Unit>,
    /// Devices that a line may name, also those that have left.
    known: BTreeSet<DeviceId>,
    habits: Vec<Habit>,
    transcript: Transcript,
}

impl<'a> Play<'a> {
    fn of(file: &'a str, script: &'a Script, planted: Planted) -> Self {
        Self {
            file,
            now: script.begins,
            begins: script.begins,
            window_s: script.window_s.max(TICK_EVERY_S),
            ahead_s: 0,
            policies: &script.policies,
            controller: Controller::new(planted),
            backup: None,
            units: BTreeMap::new(),
            known: BTreeSet::new(),
            habits: Vec::new(),
            transcript: Transcript::new(&script.title),
        }
    }

    /// What the controller takes for the time.
    fn clock(&self) -> UnixSeconds {
        UnixSeconds(self.now.0.saturating_add_signed(self.ahead_s))
    }

    fn join(&mut self, new: &NewDevice) {
        self.controller.enrol(new);
        self.known.insert(new.device.clone());
        self.units.insert(new.device.clone(), Unit::new(new));
    }

    /// Lets time pass.
    fn until(&mut self, end: UnixSeconds) {
        while self.now < end {
            self.now = self.wakes_at().min(end);
            let passed_s = self.now.0 - self.begins.0;
            if passed_s.is_multiple_of(self.window_s) {
                self.count_windows();
            }
            self.act();
            self.tick();
        }
    }

    /// The next moment at which anything can happen by itself, on the grid of ticks.
    fn wakes_at(&self) -> UnixSeconds {
        let passed_s = self.now.0 - self.begins.0;
        let window = self.begins.0 + (passed_s / self.window_s + 1) * self.window_s;
        let units = self.units.values().filter_map(Unit::wakes_at);
        let units = units.map(|at| at.0).min().unwrap_or(u64::MAX);
        let planner = self.controller.wakes_at(self.clock());
        let planner = planner.map_or(u64::MAX, |at| at.0.saturating_add_signed(-self.ahead_s));
        let first = units.min(planner);
        let first = first
            .min(self.now.0 + TICK_AT_LEAST_EVERY_S)
            .max(self.now.0 + 1);
        let on_grid = self.begins.0 + (first - self.begins.0).next_multiple_of(TICK_EVERY_S);
        UnixSeconds(on_grid.min(window))
    }

    fn count_windows(&mut self) {
        let mut units = std::mem::take(&mut self.units);
        for (device, unit) in &mut units {
            unit.count(self.window_s, |version| self.traffic(device, version));
        }
        self.units = units;
    }

    fn act(&mut self) {
        let (now, clock) = (self.now, self.clock());
        let mut units = std::mem::take(&mut self.units);
        let mut sent = Vec::new();
        for (device, unit) in &mut units {
            unit.act(now, |version| self.end(device, version));
            for word in unit.say() {
                self.transcript.hear(device, &word);
                sent.extend(self.controller.take(device, word, clock));
            }
        }
        self.units = units;
        self.transcript.heard(now);
        self.send(sent);
    }

    fn tick(&mut self) {
        let (ticked, sent) = self.controller.tick(self.clock());
        for one in &ticked {
            let plan = self.controller.plan(one.rollout);
            if let Some(plan) = plan {
                self.transcript.ticked(self.now, plan, one);
            }
        }
        self.send(sent);
    }

    fn send(&mut self, sent: Vec<Sent>) {
        for (device, model, entry) in sent {
            if let Some(unit) = self.units.get_mut(&device) {
                unit.tell(&model, entry, self.now);
            }
        }
    }

    fn happens(&mut self, line: &Line) -> Result<(), BadStory> {
        match &line.event {
            Event::Apply { policy } => self.apply(line, policy)?,
            Event::Order(given) => self.order(line, given)?,
            Event::Explain(asked) => self.explain(line, asked)?,
            Event::Join(new) => {
                self.transcript.note(self.now, &line.text);
                new.iter().for_each(|new| self.join(new));
            }
            Event::Label(group, key, value) => {
                for device in self.meant(line, group)? {
                    let labels = self.controller.labels(&device);
                    labels.map(|labels| labels.insert(key.clone(), value.clone()));
                }
            }
            Event::Unlabel(group, key) => {
                for device in self.meant(line, group)? {
                    let labels = self.controller.labels(&device);
                    labels.map(|labels| labels.remove(key));
                }
            }
            Event::Habit(habit) => {
                self.meant(line, &habit.group)?;
                self.habits.push(habit.clone());
            }
            Event::Devices(group, act) => {
                for device in self.meant(line, group)? {
                    self.does(&device, act);
                }
            }
            Event::Controller(fate) => self.fate(line, *fate)?,
        }
        self.act();
        self.tick();
        Ok(())
    }

    fn apply(&mut self, line: &Line, policy: &str) -> Result<(), BadStory> {
        self.transcript.note(self.now, &line.text);
        let known: Vec<_> = self.policies.keys().map(String::as_str).collect();
        let policy = self.policies.get(policy).cloned().ok_or_else(|| {
            let hint = format!("there are {}", known.join(", "));
            self.bad(line, "the story has no such policy", &hint)
        })?;
        match self.controller.apply(policy, self.clock()) {
            Ok((plan, standing)) => self.transcript.planned(plan, standing),
            Err(why) => self.transcript.more(&why),
        }
        Ok(())
    }

    fn order(&mut self, line: &Line, given: &Given) -> Result<(), BadStory> {
        let order = Order::new(given.command, &given.operator, &given.reason);
        let order = order.map_err(|error| {
            let hint = "write `NAME pauses: REASON`";
            self.bad(line, &error.to_string(), hint)
        })?;
        let rollout = self.rollout(line, given.rollout)?;
        let answer = self.controller.obey(rollout, &order, self.clock());
        match answer.ok_or_else(|| self.no_rollout(line))? {
            Ok(Some(change)) => {
                if let Some(plan) = self.controller.plan(rollout) {
                    self.transcript.changed(self.now, plan, &change);
                }
            }
            Ok(None) => {
                self.transcript.note(self.now, &line.text);
                self.transcript.more("nothing changes: it is so already");
            }
            Err(refusal) => {
                self.transcript.note(self.now, &line.text);
                self.transcript.more(&refusal.to_string());
            }
        }
        Ok(())
    }

    fn explain(&mut self, line: &Line, asked: &Asked) -> Result<(), BadStory> {
        let clock = self.clock();
        match asked {
            Asked::Rollout(number) => {
                let rollout = self.rollout(line, *number)?;
                let explained = self.controller.explain(rollout, clock);
                let explained = explained.ok_or_else(|| self.no_rollout(line))?;
                self.transcript
                    .explain_rollout(self.now, rollout, &explained);
            }
            Asked::Device(name) => {
                let group = Group(vec![named(name)]);
                for device in self.who(line, &group)? {
                    let explained = self.controller.explain_device(&device, clock);
                    self.transcript
                        .explain_device(self.now, &device, &explained);
                }
            }
        }
        Ok(())
    }

    fn does(&mut self, device: &DeviceId, act: &Act) {
        let now = self.now;
        let Some(unit) = self.units.get_mut(device) else {
            return;
        };
        match act {
            Act::Die => unit.die(),
            Act::Return => unit.return_at(now),
            Act::Leave => self.controller.forget(device),
            Act::Swallowed => unit.set_heard(false, now),
            Act::Delivered => unit.set_heard(true, now),
            Act::Ends(outcome) => unit.end_newest(outcome.clone()),
            Act::Counted(traffic) => unit.count(self.window_s, |_| Some(traffic.clone())),
        }
    }

    fn fate(&mut self, line: &Line, fate: Fate) -> Result<(), BadStory> {
        self.transcript.note(self.now, &line.text);
        match fate {
            Fate::BackedUp => self.backup = Some(self.controller.clone()),
            Fate::Restored => {
                let backup = self.backup.clone().ok_or_else(|| {
                    let hint = "write `controller backed-up` before";
                    self.bad(line, "there is no backup", hint)
                })?;
                self.controller = backup.restored();
                self.units
                    .values_mut()
                    .for_each(|unit| unit.greet(self.now));
            }
            Fate::Jumps(seconds) => self.ahead_s = self.ahead_s.saturating_add(seconds),
        }
        Ok(())
    }

    /// How a version ends on a device: the last habit counts.
    fn end(&self, device: &DeviceId, version: &Version) -> End {
        let ends = self
            .habits
            .iter()
            .rev()
            .filter_map(|habit| match &habit.does {
                Does::Ends(outcome, after_s) => Some((habit, (outcome.clone(), *after_s))),
                Does::Answers(_) => None,
            });
        self.last_of(ends, device, version)
            .unwrap_or((Outcome::Commits, None))
    }

    fn traffic(&self, device: &DeviceId, version: &Version) -> Option<Traffic> {
        let answers = self
            .habits
            .iter()
            .rev()
            .filter_map(|habit| match &habit.does {
                Does::Answers(traffic) => Some((habit, traffic.clone())),
                Does::Ends(..) => None,
            });
        self.last_of(answers, device, version)
    }

    fn last_of<'h, T>(
        &self,
        mut habits: impl Iterator<Item = (&'h Habit, T)>,
        device: &DeviceId,
        version: &Version,
    ) -> Option<T> {
        let of_it = |habit: &Habit| habit.version == *version && self.means(&habit.group, device);
        let found = habits.find(|(habit, _)| of_it(habit));
        found.map(|(_, does)| does)
    }

    fn means(&self, group: &Group, device: &DeviceId) -> bool {
        let mut named = group.0.iter();
        named.any(|named| self.members(named).is_some_and(|all| all.contains(device)))
    }

    /// Who is meant, where the line is told.
    fn meant(&mut self, line: &Line, group: &Group) -> Result<Vec<DeviceId>, BadStory> {
        let devices = self.who(line, group)?;
        self.transcript.note(self.now, &line.text);
        if group.is_of_a_ring() {
            self.transcript.meant(&devices);
        }
        Ok(devices)
    }

    fn who(&self, line: &Line, group: &Group) -> Result<Vec<DeviceId>, BadStory> {
        let mut devices = Vec::new();
        for named in &group.0 {
            let members = self.members(named).filter(|members| !members.is_empty());
            devices.extend(members.ok_or_else(|| {
                let because = format!("`{named}` means no device");
                let hint = "name devices of the fleet, a label of theirs, or a ring of the \
                            newest rollout";
                self.bad(line, &because, hint)
            })?);
        }
        Ok(devices)
    }

    fn members(&self, named: &Named) -> Option<Vec<DeviceId>> {
        match named {
            Named::All => Some(self.known.iter().cloned().collect()),
            Named::Label(key, value) => {
                let devices = self.controller.devices();
                let ours = devices.filter(|(_, labels)| labels.get(key) == Some(value));
                Some(ours.map(|(device, _)| device.clone()).collect())
            }
            Named::Word(word) => match DeviceId::parse(word) {
                Ok(device) if self.known.contains(&device) => Some(vec![device]),
                _ => self.ring(word),
            },
            Named::Turns(ring, first, last) => {
                let ring = self.ring(ring)?;
                Some(ring.get(first.checked_sub(1)?..*last)?.to_vec())
            }
        }
    }

    fn ring(&self, name: &str) -> Option<Vec<DeviceId>> {
        let plan = self.controller.plan(self.controller.newest()?)?;
        let ring = plan.rings.iter().find(|ring| ring.name == name)?;
        Some(ring.devices.clone())
    }

    fn rollout(&self, line: &Line, number: Option<u64>) -> Result<RolloutId, BadStory> {
        let rollout = number.map(RolloutId).or(self.controller.newest());
        rollout.ok_or_else(|| self.no_rollout(line))
    }

    fn no_rollout(&self, line: &Line) -> BadStory {
        let hint = "begin one before: `alice applies POLICY`";
        self.bad(line, "there is no such rollout", hint)
    }

    fn bad(&self, line: &Line, because: &str, hint: &str) -> BadStory {
        BadStory {
            file: self.file.to_owned(),
            line: line.number,
            because: because.to_owned(),
            hint: hint.to_owned(),
        }
    }
}

fn named(name: &str) -> Named {
    let turn = name.split_once('#');
    let turn = turn.and_then(|(ring, nth)| Some((ring.to_owned(), nth.parse().ok()?)));
    match turn {
        Some((ring, nth)) => Named::Turns(ring, nth, nth),
        None => Named::Word(name.to_owned()),
    }
}
