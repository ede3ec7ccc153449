//! Incidents, silences and rules: what people decide about them, and what time brings.
//!
//! Each decision is one transaction, with who took it and why. Never sends an alert.

use muster_fleet::incident::{
    AppliedRules, Command, Desk, Listener, Person, Rules, Silence, State,
};

use super::{Controller, Error};
use crate::clock;
use crate::config::{Config, Webhook};
use crate::store::{IncidentStory, Page, Paged, RulesRow, SilenceRow, StoreError, Tended, Tx};

/// Whom alerts go to, and who this fleet is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hearers {
    pub(super) listeners: Vec<Listener>,
    pub(super) source: String,
}

impl Hearers {
    pub(super) fn of(config: &Config) -> Self {
        let host = config
            .host_names
            .first()
            .map_or("localhost", String::as_str);
        Self {
            listeners: config.webhooks.iter().map(Webhook::listener).collect(),
            source: format!("muster:{host}"),
        }
    }

    /// With the rules that hold: what a finding is recorded by.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(crate) fn desk(&self, tx: &Tx<'_>) -> Result<Desk, StoreError> {
        Ok(Desk {
            applied: tx.applied_rules()?,
            listeners: self.listeners.clone(),
            source: self.source.clone(),
        })
    }
}

impl Controller {
    /// Whom alerts go to; the watch asks it for the desk of its transaction.
    pub(crate) fn hearers(&self) -> &Hearers {
        &self.hearers
    }

    /// What time brings: incidents that nobody was told of are told, quiet ones close.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub(crate) async fn tend_incidents(&self) -> Result<Tended, Error> {
        let (hearers, now) = (self.hearers.clone(), clock::now());
        let work = move |tx: &Tx<'_>| Ok(tx.tend_incidents(&hearers.desk(tx)?, now)?);
        self.store.write(work).await
    }

    /// One incident, with what was found and said.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub(crate) async fn incident(&self, incident: i64) -> Result<IncidentStory, Error> {
        let work = move |tx: &Tx<'_>| story(tx, incident);
        self.store.read(work).await
    }

    /// Tells an incident what a person made of it. What a device said closes when it is judged.
    ///
    /// # Errors
    /// [`Error::NotFound`], and [`Error::Conflict`] when it stands like that already.
    pub(crate) async fn order_incident(
        &self,
        incident: i64,
        command: Command,
        person: Person,
    ) -> Result<IncidentStory, Error> {
        let (hearers, now) = (self.hearers.clone(), clock::now());
        let work = move |tx: &Tx<'_>| {
            let state = story(tx, incident)?.incident.state;
            let next = State::of(&state).and_then(|state| state.after(command));
            let to = next.ok_or_else(|| Error::Conflict {
                why: format!(
                    "incident {incident} is {state} already: hint: confirm or dismiss it, or \
                     look with `muster incident show {incident}`"
                ),
            })?;
            tx.judge_incident(incident, command, to, &person, now)?;
            tx.close_judged(incident, &hearers.desk(tx)?, now)?;
            story(tx, incident)
        };
        self.store.write(work).await
    }

    /// Makes a silence.
    ///
    /// # Errors
    /// [`Error::Refused`].
    pub(crate) async fn add_silence(
        &self,
        silence: Silence,
        span_s: u64,
        person: Person,
    ) -> Result<SilenceRow, Error> {
        silence.check(span_s).map_err(refused)?;
        let now = clock::now();
        let work = move |tx: &Tx<'_>| {
            let number = tx.add_silence(&silence, span_s, &person, now)?;
            silence_row(tx, number)
        };
        self.store.write(work).await
    }

    /// Ends a silence before its time.
    ///
    /// # Errors
    /// [`Error::NotFound`], and [`Error::Conflict`] when it has ended.
    pub(crate) async fn end_silence(
        &self,
        silence: i64,
        person: Person,
    ) -> Result<SilenceRow, Error> {
        let now = clock::now();
        let work = move |tx: &Tx<'_>| {
            silence_row(tx, silence)?;
            if !tx.end_silence(silence, &person, now)? {
                let why = format!("silence {silence} has ended already");
                return Err(Error::Conflict { why });
            }
            silence_row(tx, silence)
        };
        self.store.write(work).await
    }

    /// Silences in the order in which they were made.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub(crate) async fn silences(&self, page: Page) -> Result<Paged<SilenceRow>, Error> {
        self.store.read(move |tx| Ok(tx.silences(&page)?)).await
    }

    /// Applies a next version of the rules; the text that holds already changes nothing.
    ///
    /// # Errors
    /// [`Error::Refused`] for rules that are not understood or name webhooks that there are not.
    pub(crate) async fn apply_rules(
        &self,
        text: String,
        person: Person,
    ) -> Result<RulesRow, Error> {
        let rules = AppliedRules::read(0, &text).map_err(refused)?;
        let (hearers, now) = (self.hearers.clone(), clock::now());
        let work = move |tx: &Tx<'_>| {
            let mut desk = hearers.desk(tx)?;
            if desk.applied.digest == rules.digest {
                return rules_row(tx, desk.applied.number);
            }
            let number = desk.applied.number.saturating_add(1);
            desk.applied = AppliedRules { number, ..rules };
            check_webhooks(&desk)?;
            tx.add_rules(&desk.applied, &text, &person, now)?;
            rules_row(tx, number)
        };
        self.store.write(work).await
    }

    /// One version of the rules; without a number, the one that holds.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub(crate) async fn rules(&self, number: Option<u32>) -> Result<RulesRow, Error> {
        let work = move |tx: &Tx<'_>| {
            let newest = || tx.applied_rules().map(|applied| applied.number);
            rules_row(tx, number.map_or_else(newest, Ok)?)
        };
        self.store.read(work).await
    }

    /// All versions, the oldest first; those that come with the program are not among them.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub(crate) async fn all_rules(&self, page: Page) -> Result<Paged<RulesRow>, Error> {
        self.store.read(move |tx| Ok(tx.all_rules(&page)?)).await
    }

    /// Webhooks that the rules name and that there are not.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub(crate) async fn missing_webhooks(&self) -> Result<Vec<String>, Error> {
        let hearers = self.hearers.clone();
        let work = move |tx: &Tx<'_>| {
            let desk = hearers.desk(tx)?;
            let missing = desk.unknown_webhooks().into_iter().map(str::to_owned);
            Ok(missing.collect())
        };
        self.store.read(work).await
    }
}

fn story(tx: &Tx<'_>, incident: i64) -> Result<IncidentStory, Error> {
    tx.incident_story(incident)?.ok_or_else(|| Error::NotFound {
        what: format!("incident {incident}"),
    })
}

fn silence_row(tx: &Tx<'_>, silence: i64) -> Result<SilenceRow, Error> {
    tx.silence(silence)?.ok_or_else(|| Error::NotFound {
        what: format!("silence {silence}"),
    })
}

/// Number 0 stands for the rules that come with the program.
fn rules_row(tx: &Tx<'_>, number: u32) -> Result<RulesRow, Error> {
    if number == 0 {
        return Ok(RulesRow {
            number,
            digest: AppliedRules::default().digest.to_string(),
            applied_at: None,
            text: Rules::default_text().to_owned(),
            orders: Vec::new(),
        });
    }
    tx.rules(number)?.ok_or_else(|| Error::NotFound {
        what: format!("version {number} of the rules"),
    })
}

fn check_webhooks(desk: &Desk) -> Result<(), Error> {
    let unknown = desk.unknown_webhooks();
    if unknown.is_empty() {
        return Ok(());
    }
    let why = format!(
        "the rules name webhooks that muster.toml does not have ({}): hint: add [[webhooks]] there \
         and start `muster serve` again, or name others",
        unknown.join(", ")
    );
    Err(Error::Refused { why })
}

fn refused(error: impl std::fmt::Display) -> Error {
    Error::Refused {
        why: error.to_string(),
    }
}
