//! One round of the watch: the next windows, what they change and what they show.
//!
//! A round is computed from a snapshot and kept in one transaction, if nothing has happened to the
//! watch in between; otherwise it is computed again.

use muster_fleet::finding::Finding;
use muster_fleet::watch::{Alarmed, Cohort, WatchEvent, WatchRule, Watches};
use muster_protocol::time::UnixSeconds;

use super::run::{Changed, Run, Sources, Taken};
use crate::store::{CohortSums, Kept, NewEvent, Position, StoreError, TakenWindow, Tx};

/// Windows of a round: a bound on how long a transaction takes.
const WINDOWS_MAX: u32 = 500;

/// What came of the next windows.
pub(crate) struct Round {
    before: Position,
    /// The newest event, and the state that old windows leave, when it was computed.
    newest_event: i64,
    base: Position,
    after: Position,
    watches: Watches,
    changed: Changed,
    events: Vec<NewEvent>,
    shown: Vec<Shown>,
    /// What windows add to the hours of cohorts.
    cohorts: CohortSums,
    /// Windows in it.
    pub(crate) windows: usize,
}

/// What one window shows.
struct Shown {
    window: i64,
    at: UnixSeconds,
    alarms: Vec<Alarmed>,
    findings: Vec<Finding>,
}

impl Round {
    /// Looks at the next windows under `rule`.
    pub(crate) fn compute(
        tx: &Tx<'_>,
        sources: &Sources,
        rule: &WatchRule,
    ) -> Result<Self, StoreError> {
        let mut run = Run::begin(tx, Kept::Now, sources)?;
        let before = run.position.clone();
        let newest_event = tx.newest_watch_event()?;
        let mut events = Events {
            next: newest_event + 1,
            new: Vec::new(),
        };
        let windows = tx.taken_windows(before.window, WINDOWS_MAX)?;
        let summed = tx.cohorts_through()?;
        let (mut shown, mut cohorts) = (Vec::new(), CohortSums::default());
        for taken in &windows {
            run.heed_before(taken.window);
            // Of windows that were looked at before, by states of another format, the log says what
            // held: rules and labels of today held for none of them.
            if taken.window > before.told_window {
                follow(&mut run, taken, rule, &mut events)?;
            }
            let Some(of_window) = run.take(taken)? else {
                continue;
            };
            // Those that are looked at anew are in there already.
            if taken.window > summed {
                let of_device = run.watches.cohorts_of(&taken.device);
                let names: Vec<String> = of_device.iter().map(Cohort::to_string).collect();
                cohorts.add(&of_window.adds, &names);
            }
            shown.extend(show(&mut run, &of_window, taken)?);
        }
        Ok(Self {
            before,
            newest_event,
            base: tx.watching(Kept::Base)?,
            after: run.position,
            watches: run.watches,
            changed: run.changed,
            events: events.new,
            shown,
            cohorts,
            windows: windows.len(),
        })
    }

    /// Keeps it; what is to be told, or none when it must be computed again.
    pub(crate) fn keep(
        self,
        tx: &Tx<'_>,
        now: UnixSeconds,
    ) -> Result<Option<Vec<Finding>>, StoreError> {
        // An order that came in between holds for windows that are in here; old charts may be gone.
        let unchanged = tx.watching(Kept::Now)? == self.before
            && tx.watching(Kept::Base)? == self.base
            && tx.newest_watch_event()? == self.newest_event;
        if !unchanged {
            return Ok(None);
        }
        if self.windows == 0 {
            return Ok(Some(Vec::new()));
        }
        tx.set_watching(Kept::Now, &self.after)?;
        for event in &self.events {
            tx.add_watch_event(event.after_window, &event.what, now)?;
        }
        self.changed.keep(tx, Kept::Now, &self.watches)?;
        tx.add_to_cohorts(&self.cohorts, self.after.window)?;
        let mut told = Vec::new();
        for shown in self.shown {
            for alarmed in &shown.alarms {
                tx.add_alarm(alarmed, shown.at)?;
            }
            for finding in &shown.findings {
                tx.add_placing(shown.window, finding)?;
            }
            if shown.window > self.before.told_window {
                told.extend(shown.findings);
            }
        }
        Ok(Some(told))
    }
}

/// Events that a round makes, with the numbers that they will have.
struct Events {
    next: i64,
    new: Vec<NewEvent>,
}

impl Events {
    /// One that holds from `window` on.
    fn add(&mut self, run: &mut Run<'_, '_>, window: i64, what: WatchEvent) {
        let event = NewEvent {
            event: self.next,
            after_window: window - 1,
            what,
        };
        self.next += 1;
        run.heed(event.clone());
        self.new.push(event);
    }
}

/// Follows the rule, and the labels of the device.
fn follow(
    run: &mut Run<'_, '_>,
    taken: &TakenWindow,
    rule: &WatchRule,
    events: &mut Events,
) -> Result<(), StoreError> {
    if run.position.rule != *rule {
        events.add(run, taken.window, WatchEvent::Rule(rule.clone()));
    }
    let labels = run.tx.watched_labels(&taken.device)?;
    if *run.labels(&taken.device)? != labels {
        let device = taken.device.clone();
        events.add(run, taken.window, WatchEvent::Labels { device, labels });
    }
    Ok(())
}

fn show(
    run: &mut Run<'_, '_>,
    of_window: &Taken,
    taken: &TakenWindow,
) -> Result<Option<Shown>, StoreError> {
    let findings = super::placing::findings(run, of_window, taken)?;
    let alarms = of_window.alarms.clone();
    Ok(
        (!alarms.is_empty() || !findings.is_empty()).then_some(Shown {
            window: taken.window,
            at: taken.received_at,
            alarms,
            findings,
        }),
    )
}
