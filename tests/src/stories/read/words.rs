//! The words of a line, taken one after the other.
//!
//! Knows spans, weekdays and ranges; never what a line means.

use std::str::FromStr;

use muster_fleet::gate::Share;

use super::super::script::{BadStory, Group, Named};

/// As they are written, from Monday.
pub(in super::super) const WEEKDAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

const SPAN: &str = "write a span such as `90 s`, `10 min` or `1 h 30 min`";
const GROUP: &str = "write `all`, devices such as `press-01..08`, a label such as `site=hall-4`, a \
                     ring of the newest rollout such as `canary`, or some of it by their turn \
                     such as `canary#1` or `canary#2..4`; several with commas between them";

/// What is wrong with a line.
#[derive(Debug)]
pub(super) struct Wrong {
    because: String,
    hint: String,
}

impl Wrong {
    pub(super) fn new(because: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            because: because.into(),
            hint: hint.into(),
        }
    }

    pub(super) fn at(self, file: &str, line: usize) -> BadStory {
        BadStory {
            file: file.to_owned(),
            line,
            because: self.because,
            hint: self.hint,
        }
    }
}

/// What is left of a line.
pub(super) struct Words<'a>(Vec<&'a str>);

impl<'a> Words<'a> {
    pub(super) fn of(line: &'a str) -> Self {
        Self(line.split_whitespace().rev().collect())
    }

    pub(super) fn peek(&self) -> Option<&'a str> {
        self.0.last().copied()
    }

    /// Without the next word.
    pub(super) fn skip(&mut self) -> &mut Self {
        self.0.pop();
        self
    }

    pub(super) fn next(&mut self, hint: &str) -> Result<&'a str, Wrong> {
        let next = self.0.pop();
        next.ok_or_else(|| Wrong::new("the line ends too early", hint))
    }

    /// This very word.
    pub(super) fn word(&mut self, word: &str) -> Result<(), Wrong> {
        let hint = format!("write `{word}` there");
        match self.next(&hint)? {
            found if found == word => Ok(()),
            found => Err(Wrong::new(format!("{found:?} is not understood"), hint)),
        }
    }

    /// Nothing more.
    pub(super) fn end(&self) -> Result<(), Wrong> {
        match self.peek() {
            None => Ok(()),
            Some(more) => {
                let because = format!("{more:?} is not understood");
                Err(Wrong::new(because, "end the line before it"))
            }
        }
    }

    /// `1 h 30 min`, in seconds.
    pub(super) fn span(&mut self) -> Result<u64, Wrong> {
        let mut all: u64 = 0;
        loop {
            let n: u64 = parsed(self.next(SPAN)?, SPAN)?;
            let unit = match self.next(SPAN)? {
                "s" => 1,
                "min" => 60,
                "h" => 3_600,
                "d" => 86_400,
                unit => return Err(Wrong::new(format!("{unit:?} is no unit of time"), SPAN)),
            };
            all = all.saturating_add(n.saturating_mul(unit));
            if self.peek().is_none_or(|next| next.parse::<u64>().is_err()) {
                return Ok(all);
            }
        }
    }

    /// `tue 22:00`: days after Monday, and seconds after midnight.
    pub(super) fn weekday_and_time(&mut self) -> Result<(u64, u64), Wrong> {
        let hint = "write a day and a time such as `tue 22:00`";
        let day = self.next(hint)?;
        let day = (0..).zip(WEEKDAYS).find(|(_, name)| *name == day);
        let time = self.next(hint)?.split_once(':');
        let time = time.and_then(|(h, m)| Some((h.parse::<u64>().ok()?, m.parse::<u64>().ok()?)));
        match (day, time) {
            (Some((day, _)), Some((h, m))) if h < 24 && m < 60 => Ok((day, h * 3_600 + m * 60)),
            _ => Err(Wrong::new("it is no day and time", hint)),
        }
    }

    /// `3 %`.
    pub(super) fn percent(&mut self) -> Result<Share, Wrong> {
        let hint = "write a percentage such as `3 %`";
        let number: f64 = parsed(self.next(hint)?, hint)?;
        self.word("%")?;
        let share = Share::try_from(number / 100.0);
        share.map_err(|error| Wrong::new(error.to_string(), hint))
    }

    pub(super) fn group(&mut self) -> Result<Group, Wrong> {
        let mut named = Vec::new();
        for part in self.next(GROUP)?.split(',') {
            named.extend(self::named(part)?);
        }
        Ok(Group(named))
    }
}

fn named(part: &str) -> Result<Vec<Named>, Wrong> {
    if part == "all" {
        return Ok(vec![Named::All]);
    }
    if let Some((key, value)) = part.split_once('=') {
        return Ok(vec![Named::Label(key.to_owned(), value.to_owned())]);
    }
    if let Some((ring, turns)) = part.split_once('#') {
        let (first, last) = turns.split_once("..").unwrap_or((turns, turns));
        let turn = |text: &str| parsed::<usize>(text, GROUP);
        return Ok(vec![Named::Turns(
            ring.to_owned(),
            turn(first)?,
            turn(last)?,
        )]);
    }
    Ok(range(part)?.into_iter().map(Named::Word).collect())
}

/// `press-01..08` is eight words, each with as many digits as the first.
pub(super) fn range(text: &str) -> Result<Vec<String>, Wrong> {
    let Some((first, last)) = text.split_once("..") else {
        return Ok(vec![text.to_owned()]);
    };
    let digits = first.len() - first.trim_end_matches(|c: char| c.is_ascii_digit()).len();
    let (stem, from) = first.split_at(first.len() - digits);
    let bad = || Wrong::new(format!("{text:?} is no range"), "write `press-01..08`");
    let from: u32 = from.parse().map_err(|_| bad())?;
    let to: u32 = last.parse().map_err(|_| bad())?;
    if from > to || to - from >= 1_000 {
        return Err(bad());
    }
    Ok((from..=to).map(|n| format!("{stem}{n:0digits$}")).collect())
}

pub(super) fn parsed<T: FromStr>(text: &str, hint: &str) -> Result<T, Wrong> {
    let because = || Wrong::new(format!("{text:?} is not understood"), hint);
    text.parse().map_err(|_| because())
}
