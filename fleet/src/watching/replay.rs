//! Everything once more, from the windows that are still there: what alarmed and what was found
//! must come out bit for bit, and so must the states of all charts.
//!
//! Changes nothing, but for [`rebase`], which lets windows go.

use std::collections::BTreeMap;

use serde::Serialize;

use super::placing;
use super::run::{Run, Sources};
use crate::store::{Kept, KeptFinding, Position, StoreError, Tx};

/// Windows that are read at a time.
const WINDOWS_MAX: u32 = 500;

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Replayed {
    /// The first window that was looked at again; what was said before it cannot be computed
    /// any more.
    pub(crate) after_window: i64,
    /// The last.
    pub(crate) through_window: i64,
    /// Windows in between.
    pub(crate) windows: u64,
    /// Alarms that came out as they were written down.
    pub(crate) alarms: u64,
    /// Findings that did.
    pub(crate) findings: u64,
    /// States of devices and cohorts that did.
    pub(crate) states: u64,
    /// What did not.
    pub(crate) differences: Vec<Difference>,
}

/// Something that did not come out as it was written down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Difference {
    /// The window; none of a state.
    pub(crate) window: Option<i64>,
    /// What was written down; none when there was nothing.
    pub(crate) written: Option<String>,
    /// What came out; none when nothing did.
    pub(crate) computed: Option<String>,
}

/// What was said in each window, as text.
type Said = BTreeMap<i64, Vec<String>>;

/// Computes everything again.
pub(crate) fn replay(tx: &Tx<'_>, sources: &Sources) -> Result<Replayed, StoreError> {
    let through = tx.watching(Kept::Now)?;
    let mut run = Run::begin(tx, Kept::Base, sources)?;
    let after = run.position.window;
    let (mut alarms, mut findings, mut windows) = (Said::new(), Said::new(), 0);
    each_window(&mut run, through.window, |run, taken| {
        windows += 1;
        let Some(shown) = run.take(taken)? else {
            return Ok(());
        };
        for one in &shown.alarms {
            alarms.entry(one.window).or_default().push(json(&one.what)?);
        }
        for finding in placing::findings(run, &shown, taken)? {
            let kept = json(&KeptFinding::of(&finding))?;
            findings.entry(taken.window).or_default().push(kept);
        }
        Ok(())
    })?;
    run.heed_before(i64::MAX);
    let mut replayed = Replayed {
        after_window: after,
        through_window: through.window,
        windows,
        alarms: 0,
        findings: 0,
        states: 0,
        differences: Vec::new(),
    };
    replayed.alarms = replayed.compare(alarms, tx.alarms_after(after)?);
    replayed.findings = replayed.compare(findings, tx.placings_after(after)?);
    replayed.compare_states(tx, &run, &through)?;
    Ok(replayed)
}

/// Moves the states from which everything is computed again behind `window`, so that it and those
/// before it may go.
pub(crate) fn rebase(tx: &Tx<'_>, sources: &Sources, window: i64) -> Result<(), StoreError> {
    let window = window.min(tx.watching(Kept::Now)?.window);
    let mut run = Run::begin(tx, Kept::Base, sources)?;
    each_window(&mut run, window, |run, taken| run.take(taken).map(drop))?;
    run.position.window = run.position.window.max(window);
    tx.set_watching(Kept::Base, &run.position)?;
    run.changed.keep(tx, Kept::Base, &run.watches)
}

fn each_window<'t, 'c>(
    run: &mut Run<'t, 'c>,
    through: i64,
    mut take: impl FnMut(&mut Run<'t, 'c>, &crate::store::TakenWindow) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    loop {
        let windows = run.tx.taken_windows(run.position.window, WINDOWS_MAX)?;
        for taken in windows.iter().take_while(|taken| taken.window <= through) {
            take(run, taken)?;
        }
        if windows.last().is_none_or(|last| last.window >= through) {
            return Ok(());
        }
    }
}

fn json<T: Serialize>(value: &T) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|error| StoreError::Failed {
        because: error.to_string(),
    })
}

impl Replayed {
    /// Compares what was said window by window; how much came out as it was.
    fn compare(&mut self, mut computed: Said, written: Vec<(i64, String)>) -> u64 {
        let mut same = 0;
        for (window, text) in written {
            let found = computed.get_mut(&window).filter(|found| !found.is_empty());
            let again = found.map(|found| found.remove(0));
            if again.as_ref() == Some(&text) {
                same += 1;
            } else {
                self.differ(Some(window), Some(text), again);
            }
        }
        for (window, left) in computed {
            for text in left {
                self.differ(Some(window), None, Some(text));
            }
        }
        same
    }

    /// Compares the states of what windows have changed.
    fn compare_states(
        &mut self,
        tx: &Tx<'_>,
        run: &Run<'_, '_>,
        through: &Position,
    ) -> Result<(), StoreError> {
        for (subject, device) in run.changed.devices.keys() {
            let stored = tx.device_watch(Kept::Now, subject, device)?;
            let name = format!("the charts of {device} for {}", subject.model);
            self.state(
                &name,
                stored.as_ref() == run.watches.devices.get(&(subject.clone(), device.clone())),
            );
        }
        for (subject, cohort) in run.changed.cohorts.keys() {
            let stored = tx.cohort_watch(Kept::Now, subject, cohort)?;
            let name = format!("the charts of the cohort {cohort} for {}", subject.model);
            self.state(
                &name,
                stored.as_ref() == run.watches.cohorts.get(&(subject.clone(), cohort.clone())),
            );
        }
        for (subject, cohort) in run.changed.quality.keys() {
            let stored = tx.quality_watch(Kept::Now, subject, cohort)?;
            let name = format!("the quality of {cohort} for {}", subject.model);
            self.state(
                &name,
                stored.as_ref() == run.watches.quality.get(&(subject.clone(), cohort.clone())),
            );
        }
        self.state("the rule", run.position.rule == through.rule);
        Ok(())
    }

    fn state(&mut self, name: &str, same: bool) {
        if same {
            self.states += 1;
        } else {
            self.differ(None, Some(name.to_owned()), None);
        }
    }

    fn differ(&mut self, window: Option<i64>, written: Option<String>, computed: Option<String>) {
        self.differences.push(Difference {
            window,
            written,
            computed,
        });
    }
}
