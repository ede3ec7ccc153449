//! What both ends have counted, and what it has cost. Claims; never waits for more than counts.

use std::{collections::BTreeMap, time::Duration};

use indicatif::HumanBytes;

use super::{
    super::{stage::Interrupted, subject::VERSIONS, view::DeviceView},
    Chapters,
};

const COUNTING_MAX: Duration = Duration::from_secs(60);

impl Chapters<'_> {
    /// What both ends have counted.
    pub(super) fn count(&mut self) -> anyhow::Result<()> {
        self.stage.screen.chapter("both ends count");
        let counted = self
            .stage
            .watch("equal counts at both ends", COUNTING_MAX, |views| {
                views.iter().all(is_counted)
            });
        let (equal, views) = match counted {
            Ok(views) => (true, views),
            Err(error) if error.is::<Interrupted>() => return Err(error),
            Err(_) => (
                false,
                self.stage.watch("the counts", COUNTING_MAX, |_| true)?,
            ),
        };
        self.stage.screen.draw_now(&views);
        let sum = |of: fn(&DeviceView) -> u64| views.iter().map(of).sum::<u64>();
        let seen = format!(
            "{} closed on devices, {} stored by the controller",
            sum(|view| view.windows_closed),
            sum(|view| view.windows_stored)
        );
        let some = views.iter().all(|view| view.windows_closed > 0);
        self.claims
            .claim("closed windows are equal at both ends", equal && some, seen);
        let seen = format!(
            "{} answered, {} counted on devices, {} in stored windows",
            sum(|view| view.answered),
            sum(|view| view.predictions_counted),
            sum(|view| view.predictions_stored)
        );
        let all = views
            .iter()
            .all(|view| view.answered == view.predictions_stored);
        self.claims
            .claim("every prediction is in a stored window", all, seen);
        self.claim_no_failure(&views);
        self.claim_workers(&views);
        Ok(())
    }

    fn claim_no_failure(&mut self, views: &[DeviceView]) {
        let failed: u64 = views.iter().map(|view| view.failed).sum();
        let answered: u64 = views.iter().map(|view| view.answered).sum();
        let reasons = self
            .stage
            .records
            .iter()
            .map(|record| record.lock().first_failure.clone());
        let first = reasons.flatten().next();
        let seen = match first {
            None => format!("{answered} answered while every device swapped"),
            Some(first) => format!("{failed} failed, first {first}"),
        };
        self.claims.claim(
            "no prediction failed, also while models were swapped",
            failed == 0,
            seen,
        );
        let both = self.stage.records.iter().all(|record| {
            let record = record.lock();
            VERSIONS
                .iter()
                .all(|version| record.by_version.contains_key(*version))
        });
        let seen = self.stage.records.iter().map(|record| {
            let record = record.lock();
            let counts = record.by_version.values().map(u64::to_string);
            counts.collect::<Vec<_>>().join("+")
        });
        let seen = seen.collect::<Vec<_>>().join(", ");
        self.claims
            .claim("both versions answered rows on every device", both, seen);
    }

    fn claim_workers(&mut self, views: &[DeviceView]) {
        let died = views.iter().filter(|view| view.worker_starts > 1).count();
        let highest = |of: fn(&DeviceView) -> Option<u64>| views.iter().filter_map(of).max();
        let bytes = |bytes: Option<u64>| HumanBytes(bytes.unwrap_or(0)).to_string();
        let seen = format!(
            "resident at most {} a supervisor, {} a worker",
            bytes(highest(|view| view.agent_bytes)),
            bytes(highest(|view| view.worker_bytes))
        );
        self.claims
            .claim("no worker had to be started again", died == 0, seen);
    }

    pub(super) fn report_costs(&mut self) -> anyhow::Result<()> {
        let mut fetched = BTreeMap::<(String, String), [u64; 2]>::new();
        for receipt in self.stage.controller.receipts()? {
            let measured = receipt.measured;
            let bytes = [measured.fetched_bytes, measured.written_bytes];
            let most = fetched
                .entry((receipt.version, receipt.device))
                .or_default();
            for (most, bytes) in most.iter_mut().zip(bytes) {
                *most = (*most).max(bytes.unwrap_or(0));
            }
        }
        for version in VERSIONS {
            let of_version = fetched.iter().filter(|((v, _), _)| v == version);
            let counts: Vec<_> = of_version.map(|(_, bytes)| *bytes).collect();
            let most = |of: usize| counts.iter().map(|bytes| bytes[of]).max().unwrap_or(0);
            let seen = format!(
                "at most {} fetched and {} written by a device",
                HumanBytes(most(0)),
                HumanBytes(most(1))
            );
            let all = counts.len() == self.stage.agents.len();
            let claim = format!("{version}: every device reported it with a receipt");
            self.claims.claim(&claim, all, seen);
        }
        Ok(())
    }
}

fn is_counted(view: &DeviceView) -> bool {
    view.unacknowledged == 0
        && view.windows_closed > 0
        && view.windows_closed == view.windows_stored
        && view.answered == view.predictions_stored
}
