//! What must come true once nothing goes wrong any more: every device reaches what it was told,
//! or a named end, and the controller knows.
//!
//! Never forgives a device that is merely slow: the world gives it hours.

use super::controller::Record;
use super::device::Device;
use super::safety::Violation;
use muster_device::updater::Progress;
use muster_protocol::message::Step;

/// Why a device has not settled yet; `None` when it has.
pub(super) fn unsettled(device: &Device, record: &Record) -> Option<Violation> {
    let Some(running) = &device.running else {
        return waits("it has power", String::new());
    };
    if record.held.is_some() {
        return waits("it is held no more", format!("{:?}", record.held));
    }
    let accepted = device
        .disk
        .state
        .accepted
        .as_ref()
        .map(|record| record.accepted.at);
    if record.document.is_empty() {
        return None;
    }
    if accepted != Some(record.newest) {
        return waits(
            "the newest assignment is accepted",
            format!("{accepted:?}, newest {:?}", record.newest),
        );
    }
    for stored in &record.entries {
        let entry = &stored.entry;
        let updater = running.updaters.get(&entry.model);
        let Some(state) = updater.map(|updater| updater.state()) else {
            return waits("every entry has its machine", entry.model.to_string());
        };
        let taken = state
            .entry
            .as_ref()
            .is_some_and(|its| its.since == entry.since);
        if !taken || !ended(state.progress) {
            return waits("every entry comes to an end", format!("{state:?}"));
        }
        // What the disk has damaged cannot answer; the device says that it is degraded.
        let active = state.active.as_ref().map(|slot| slot.release.bundle);
        let active = active.filter(|bundle| device.disk.is_whole(*bundle));
        if active.is_some() && running.routes.get(&entry.model).copied() != active {
            return waits(
                "what is active answers",
                format!("{}: {active:?}", entry.model),
            );
        }
        // What a restored controller has lost, it has recorded as a gap; nobody tells it again.
        if !record.gaps.is_empty() {
            continue;
        }
        let told = record.told.get(&(entry.model.clone(), entry.since));
        if told.is_none_or(|step| !tells(state.progress, *step)) {
            let how = format!("{}: {:?}, told {told:?}", entry.model, state.progress);
            return waits("the controller knows how each entry ended", how);
        }
    }
    for lane in [&running.receipts, &running.windows] {
        if !lane.stream.is_drained() || !lane.waiting.is_empty() {
            let how = format!(
                "{:?} keeps {} to {}",
                lane.stream.id(),
                lane.stream.first_kept(),
                lane.stream.next()
            );
            return waits("every document is acknowledged", how);
        }
    }
    None
}

fn waits(promise: &'static str, how: String) -> Option<Violation> {
    Some(Violation { promise, how })
}

const fn ended(progress: Progress) -> bool {
    match progress {
        Progress::Committed | Progress::Refused | Progress::Reverted | Progress::Stopped => true,
        Progress::Nothing
        | Progress::Offered
        | Progress::Staged
        | Progress::Trial
        | Progress::Probation => false,
    }
}

/// Whether this is the last step of an entry that ended so.
const fn tells(progress: Progress, step: Step) -> bool {
    match progress {
        // What serves well may be in trouble later, and revoked without a fallback.
        Progress::Committed => matches!(
            step,
            Step::Committed | Step::Degraded | Step::Recovered | Step::RevokedNoFallback
        ),
        Progress::Refused => matches!(
            step,
            Step::Refused
                | Step::Degraded
                | Step::Recovered
                | Step::RevokedNoFallback
                | Step::Reverted
                | Step::Stopped
        ),
        Progress::Reverted => matches!(
            step,
            Step::Reverted
                | Step::Degraded
                | Step::Recovered
                | Step::RevokedNoFallback
                | Step::Stopped
        ),
        Progress::Stopped => matches!(step, Step::Stopped),
        Progress::Nothing
        | Progress::Offered
        | Progress::Staged
        | Progress::Trial
        | Progress::Probation => false,
    }
}
