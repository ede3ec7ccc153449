//! A stick that is being read: what is asked for goes to it instead of the link, and what it brings
//! is judged as if it had come over the link.
//!
//! Nothing on it is trusted. Never opens it: a command brings what lies on it.

use super::Supervisor;
use crate::clock;
use crate::seat::Seat;
use crate::stick::{Ask, Carried, Letter, Refusal, Reply, Request, Told, Weight, Wish};
use muster_device::updater::{Input, Progress, Updater};
use muster_protocol::message::What;
use muster_protocol::time::Millis;

/// How long an answer may wait for something to be wished for.
const ANSWER_MS_MAX: u64 = 20_000;
/// A pause that a stick cuts short is over by then: the first pause of an updater.
const PATIENCE_MS: u64 = 2_500;
/// Silence of the command after which the stick counts as taken away.
const SILENCE_MS_MAX: u64 = 60_000;

/// The stick that is being read.
#[derive(Debug)]
pub(super) struct Stick {
    wishes: Vec<Wish>,
    refused: Vec<Refusal>,
    /// The command waits for an answer.
    waiting: Option<Reply<Told>>,
    /// Whether the answer need not wait for more.
    hurried: bool,
    /// What is judged right now came from the stick.
    hearing: bool,
    /// Pauses that end until then are waited for.
    patience: Millis,
    /// When to answer at the latest; without a question, when the stick counts as taken away.
    due: Millis,
}

impl Stick {
    fn new() -> Self {
        Self {
            wishes: Vec::new(),
            refused: Vec::new(),
            waiting: None,
            hurried: false,
            hearing: false,
            patience: clock::monotonic().plus(PATIENCE_MS),
            due: clock::monotonic().plus(SILENCE_MS_MAX),
        }
    }

    fn wish(&mut self, what: &What<'_>, count: u32) {
        for wish in Wish::of(what, count) {
            if !self.wishes.contains(&wish) {
                self.wishes.push(wish);
            }
        }
    }
}

impl Supervisor {
    pub(super) fn on_stick(&mut self, request: Request) {
        match request {
            Request::Export(reply) => {
                // Whoever has gone asks again.
                let _ = reply.send(self.carry_out());
            }
            Request::Import(Ask::Begin, reply) => {
                self.stick_begins();
                self.stick_asks(reply, false);
            }
            Request::Import(Ask::Bring { letters, more }, reply) => {
                letters.into_iter().for_each(|letter| self.hear(letter));
                self.stick_asks(reply, more);
            }
            Request::Import(Ask::End, reply) => {
                self.stick_ends();
                let _ = reply.send(Ok(self.told()));
            }
        }
    }

    /// When an answer or the end of the stick is due.
    pub(super) fn stick_due(&self) -> Option<Millis> {
        self.stick.as_ref().map(|stick| stick.due)
    }

    pub(super) fn stick_tick(&mut self, now: Millis) {
        let late = self.stick.as_ref().filter(|stick| stick.due <= now);
        match late.map(|stick| stick.waiting.is_some()) {
            Some(true) => self.answer_stick(),
            Some(false) => {
                tracing::warn!("the stick was taken away in the middle");
                self.stick_ends();
            }
            None => {}
        }
    }

    /// Answers the command, once there is something to say.
    pub(super) fn tell_stick(&mut self) {
        let rests = self.rests();
        let Some(stick) = &self.stick else { return };
        let has_news = !stick.wishes.is_empty() || !stick.refused.is_empty();
        if stick.waiting.is_some() && (has_news || stick.hurried || rests) {
            self.answer_stick();
        }
    }

    /// Asks the stick, if there is one; says whether.
    pub(super) fn wish(&mut self, what: &What<'_>, count: u32) -> bool {
        let stick = self.stick.as_mut();
        stick.map(|stick| stick.wish(what, count)).is_some()
    }

    /// Something that came was refused: whoever brought it on a stick is told.
    pub(super) fn refuse(&mut self, what: &str, because: &str, weight: Weight) {
        let Some(stick) = self.stick.as_mut().filter(|stick| stick.hearing) else {
            return;
        };
        let refusal = Refusal {
            what: what.to_owned(),
            because: because.to_owned(),
            weight,
        };
        if !stick.refused.contains(&refusal) {
            stick.refused.push(refusal);
        }
    }

    /// Whether there is anybody to ask.
    pub(super) const fn can_ask(&self) -> bool {
        self.connected || self.stick.is_some()
    }

    fn stick_begins(&mut self) {
        tracing::info!("a stick is here");
        self.stick = Some(Stick::new());
        // What an earlier one brought and could not be judged must not be taken for this one's.
        self.held = None;
        self.source_changed();
    }

    fn stick_ends(&mut self) {
        tracing::info!("the stick is not needed any more");
        self.stick = None;
        self.source_changed();
    }

    /// What was asked for will not come; it is asked for again where it can be now.
    fn source_changed(&mut self) {
        self.refresh_disconnected();
        if !self.can_ask() {
            return self.downloads_disconnected();
        }
        self.begin_refresh();
        self.downloads_connected();
        self.feed_all(&Input::LinkUp);
    }

    fn stick_asks(&mut self, reply: Reply<Told>, hurried: bool) {
        let Some(stick) = &mut self.stick else {
            let _ = reply.send(Err("no stick is being read".to_owned()));
            return;
        };
        stick.waiting = Some(reply);
        stick.hurried = hurried;
        stick.due = clock::monotonic().plus(ANSWER_MS_MAX);
    }

    fn hear(&mut self, letter: Letter) {
        let Some(channel) = letter.channel() else {
            return;
        };
        self.set_hearing(true);
        self.on_message(channel, letter.bytes);
        self.set_hearing(false);
    }

    fn set_hearing(&mut self, hearing: bool) {
        if let Some(stick) = &mut self.stick {
            stick.hearing = hearing;
        }
    }

    fn answer_stick(&mut self) {
        let told = self.told();
        if let Some(stick) = &mut self.stick
            && let Some(reply) = stick.waiting.take()
        {
            stick.due = clock::monotonic().plus(SILENCE_MS_MAX);
            // A command that has gone is noticed by its silence.
            let _ = reply.send(Ok(told));
        }
    }

    fn told(&mut self) -> Told {
        let (device, rests) = (self.identity.device.to_string(), self.rests());
        let stick = self.stick.as_mut();
        let (wishes, refused) = stick.map_or((Vec::new(), Vec::new()), |stick| {
            (
                std::mem::take(&mut stick.wishes),
                std::mem::take(&mut stick.refused),
            )
        });
        Told {
            device,
            wishes,
            refused,
            rests,
        }
    }

    /// Whether nothing more will be wished for, as things are.
    fn rests(&self) -> bool {
        let patience = self
            .stick
            .as_ref()
            .map_or(Millis(0), |stick| stick.patience);
        let waits = |(seat, updater): (&Seat, &Updater)| {
            let state = updater.state();
            let held = self.downloads.awaits_metadata(seat);
            let paused = updater.poll_timeout().is_some_and(|(at, _)| at > patience);
            state.progress == Progress::Offered && !paused && !held
        };
        self.refresh.is_resting() && !self.updaters.iter().any(waits)
    }

    /// A hello and every document that has its number: the bytes that are sent over the link.
    fn carry_out(&mut self) -> Result<Carried, String> {
        let hello = self.hello().map_err(|because| because.to_string())?;
        let documents = self.numbered_documents();
        Ok(Carried {
            device: self.identity.device.to_string(),
            hello,
            documents: documents.map_err(|error| error.to_string())?,
        })
    }
}
