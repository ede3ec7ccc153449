//! Reads a story, line by line, with errors that say what may stand there.
//!
//! Blank lines and lines that begin with `#` say nothing. Never plays anything.

mod event;
mod words;

use std::collections::BTreeMap;

use muster_fleet::planner::Policy;
use muster_protocol::id::{DeviceId, ModelId, Version};
use muster_protocol::time::UnixSeconds;

use super::script::{BadStory, Line, NewDevice, Script};
pub(super) use words::WEEKDAYS;
use words::{Words, Wrong};

/// Monday 2024-03-04T00:00:00Z.
const MONDAY: u64 = 1_709_510_400;
const DAY_S: u64 = 86_400;
/// Devices of one story.
const DEVICES_MAX: usize = 400;
/// Longest story, seconds: what is shown are weekdays.
const STORY_S_MAX: u64 = 7 * DAY_S;

const HEAD: &str = "a story begins with `story TITLE`; then come `begins mon 08:00`, \
                    `windows every 5 min`, `device press-01..08 site=hall-4 runs bearing 1.0.0`, \
                    `policy NAME` with TOML up to `end`, and the timeline from the first `at`";

/// Reads a story.
///
/// # Errors
/// [`BadStory`], with the line.
pub(super) fn read(file: &str, text: &str) -> Result<Script, BadStory> {
    let mut reader = Reader::default();
    let mut lines = (1..).zip(text.lines());
    while let Some((number, line)) = lines.next() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let taken = match line.strip_prefix("policy ") {
            Some(name) => policy(&mut lines).and_then(|policy| reader.policy(name, policy)),
            None => reader.take(number, line),
        };
        taken.map_err(|wrong| wrong.at(file, number))?;
    }
    let last = text.lines().count().max(1);
    reader.finish().map_err(|wrong| wrong.at(file, last))
}

#[derive(Default)]
struct Reader {
    title: Option<String>,
    begins: Option<UnixSeconds>,
    window_s: Option<u64>,
    devices: Vec<NewDevice>,
    policies: BTreeMap<String, Policy>,
    at: Option<UnixSeconds>,
    events: Vec<Line>,
}

impl Reader {
    fn take(&mut self, number: usize, line: &str) -> Result<(), Wrong> {
        if let Some(title) = line.strip_prefix("story ") {
            self.title = Some(title.trim().to_owned());
            return Ok(());
        }
        if self.title.is_none() {
            return Err(Wrong::new("it does not say what story it is", HEAD));
        }
        let mut words = Words::of(line);
        match words.peek() {
            Some("at") => self.moment(&mut words),
            Some(_) if self.at.is_some() => self.event(number, line),
            Some("begins") => {
                let (day, second) = words.skip().weekday_and_time()?;
                self.begins = Some(UnixSeconds(MONDAY + day * DAY_S + second));
                words.end()
            }
            Some("windows") => {
                words.skip().word("every")?;
                self.window_s = Some(words.span()?);
                words.end()
            }
            Some("device") => {
                self.devices.extend(devices(words.skip())?);
                match self.devices.len() > DEVICES_MAX {
                    true => Err(Wrong::new("there are too many devices", "at most 400")),
                    false => Ok(()),
                }
            }
            found => {
                let found = found.unwrap_or_default();
                Err(Wrong::new(format!("{found:?} is not understood"), HEAD))
            }
        }
    }

    fn policy(&mut self, name: &str, policy: Policy) -> Result<(), Wrong> {
        match self.policies.insert(name.trim().to_owned(), policy) {
            None => Ok(()),
            Some(_) => Err(Wrong::new("this policy was there before", "name each once")),
        }
    }

    fn begins(&self) -> UnixSeconds {
        let at_eight = UnixSeconds(MONDAY + 8 * 3_600);
        self.begins.unwrap_or(at_eight)
    }

    /// `at 10 min`, from the beginning; `at tue 22:00`, the next one.
    fn moment(&mut self, words: &mut Words<'_>) -> Result<(), Wrong> {
        let begins = self.begins();
        let before = self.at.unwrap_or(begins);
        let is_day = words
            .skip()
            .peek()
            .is_some_and(|word| WEEKDAYS.contains(&word));
        let at = if is_day {
            let (day, second) = words.weekday_and_time()?;
            let in_week = MONDAY + day * DAY_S + second;
            let ahead = before.0.saturating_sub(in_week).div_ceil(7 * DAY_S);
            UnixSeconds(in_week + ahead * 7 * DAY_S)
        } else {
            UnixSeconds(begins.0.saturating_add(words.span()?))
        };
        words.end()?;
        if at < before {
            return Err(Wrong::new(
                "it is earlier than what stands before",
                "write a later time",
            ));
        }
        if at.0 - begins.0 > STORY_S_MAX {
            return Err(Wrong::new(
                "the story would be too long",
                "at most 7 d in all",
            ));
        }
        self.at = Some(at);
        Ok(())
    }

    fn event(&mut self, number: usize, line: &str) -> Result<(), Wrong> {
        let event = event::read(line)?;
        self.events.push(Line {
            number,
            at: self.at.unwrap_or_else(|| self.begins()),
            text: line.to_owned(),
            event,
        });
        Ok(())
    }

    fn finish(self) -> Result<Script, Wrong> {
        let begins = self.begins();
        let title = self.title.ok_or_else(|| Wrong::new("it is empty", HEAD))?;
        let ends = self
            .at
            .ok_or_else(|| Wrong::new("nothing happens in it", HEAD))?;
        Ok(Script {
            title,
            begins,
            devices: self.devices,
            policies: self.policies,
            window_s: self.window_s.unwrap_or(300),
            events: self.events,
            ends,
        })
    }
}

/// The lines up to `end`.
fn policy<'a>(lines: &mut impl Iterator<Item = (usize, &'a str)>) -> Result<Policy, Wrong> {
    let mut text = String::new();
    for (_, line) in lines {
        if line.trim() == "end" {
            let read = Policy::read(&text);
            return read.map_err(|error| Wrong::new(error.to_string(), "mend the policy"));
        }
        text += line;
        text.push('\n');
    }
    let hint = "write `end` after the TOML of a policy";
    Err(Wrong::new("the policy does not end", hint))
}

/// `press-01..08 site=hall-4 runs bearing 1.0.0`.
fn devices(words: &mut Words<'_>) -> Result<Vec<NewDevice>, Wrong> {
    let hint = "write `press-01..08 site=hall-4 runs bearing 1.0.0`";
    let mut ids = Vec::new();
    for part in words.next(hint)?.split(',') {
        ids.extend(words::range(part)?);
    }
    let (mut labels, mut runs) = (BTreeMap::new(), BTreeMap::new());
    while let Some(word) = words.peek() {
        words.skip();
        match word.split_once('=') {
            Some((key, value)) => drop(labels.insert(key.to_owned(), value.to_owned())),
            None if word == "runs" => {
                let model = words::parsed::<ModelId>(words.next(hint)?, hint)?;
                let version = words::parsed::<Version>(words.next(hint)?, hint)?;
                runs.insert(model, version);
            }
            None => return Err(Wrong::new(format!("{word:?} is not understood"), hint)),
        }
    }
    let new = |id: String| {
        Ok(NewDevice {
            device: words::parsed::<DeviceId>(&id, hint)?,
            labels: labels.clone(),
            runs: runs.clone(),
        })
    };
    ids.into_iter().map(new).collect()
}
