//! What must come true once nothing goes wrong any more: every device reaches what it was told,
//! or a named end, and the controller knows.
//!
//! Never forgives a device that is merely slow: the world gives it hours.

use super::catalogue::Catalogue;
use super::clones::Company;
use super::controller::Record;
use super::device::{Device, Lane, Running};
use super::safety::Violation;
use muster_device::updater::Progress;
use muster_protocol::cose;
use muster_protocol::digest::Digest;
use muster_protocol::message::{Assignment, Entry, Step};

/// A director that begins above has no room for the restores of a lifetime.
const GENERATIONS_LEFT: u64 = u64::MAX / 2;

/// Why a device has not settled yet; `None` when it has.
pub(super) fn unsettled(
    device: &Device,
    record: &Record,
    company: Company,
    catalogue: &Catalogue,
) -> Option<Violation> {
    let Some(running) = &device.running else {
        return waits("it has power", String::new());
    };
    let reached = key_sets(device, catalogue)
        .or_else(|| assignment(device, record, company))
        .or_else(|| {
            // What a controller that is gone has assigned, the one that is here serves not.
            let accepted = device.disk.state.accepted.as_ref();
            let accepted = accepted.filter(|_| !record.document.is_empty())?;
            let accepted = cose::peek::<Assignment<'_>>(&accepted.bytes).ok()?;
            let mut entries = accepted.entries.iter();
            entries.find_map(|its| entry(device, running, &its))
        });
    match company {
        Company::Alone => reached
            .or_else(|| told(running, record))
            .or_else(|| documents(running)),
        // What the other has said under its numbers, nobody will acknowledge.
        Company::Shared => reached,
    }
}

fn key_sets(device: &Device, catalogue: &Catalogue) -> Option<Violation> {
    let (held, signed) = (device.disk.key_sets.len(), catalogue.authority.key_sets());
    if held == signed {
        return None;
    }
    waits("every key set arrives", format!("{held} of {signed}"))
}

fn assignment(device: &Device, record: &Record, company: Company) -> Option<Violation> {
    if record.held.is_some() {
        return waits("it is held no more", format!("{:?}", record.held));
    }
    let accepted = device.disk.state.accepted.as_ref();
    let digest = accepted.map(|record| record.accepted.digest);
    let accepted = accepted.map(|record| record.accepted.at);
    // Of two machines under one name each may have taken up another one with that number.
    let same = company == Company::Shared || digest == Some(Digest::of(&record.document));
    if record.newest.generation.0 > GENERATIONS_LEFT {
        let how = format!("the newest assignment is {}", record.newest);
        return waits("a new director has numbers left", how);
    }
    if record.document.is_empty() || accepted == Some(record.newest) && same {
        return None;
    }
    waits(
        "the newest assignment is accepted",
        format!("{accepted:?}, newest {:?}", record.newest),
    )
}

fn entry(device: &Device, running: &Running, entry: &Entry) -> Option<Violation> {
    let updater = running.updaters.get(&entry.model);
    let Some(state) = updater.map(|updater| updater.state()) else {
        return waits("every entry has its machine", entry.model.to_string());
    };
    let its = state.entry.as_ref();
    let taken = its.is_some_and(|its| its.since == entry.since);
    // What the disk has damaged cannot answer, nor prove itself; the device says that it is
    // degraded.
    let active = state.active.as_ref().map(|slot| slot.release.bundle);
    let whole = active.filter(|bundle| device.disk.is_whole(*bundle));
    let damaged = active.is_some() && whole.is_none() && state.progress == Progress::Probation;
    if !taken || !(damaged || ended(state.progress)) {
        return waits("every entry comes to an end", format!("{state:?}"));
    }
    let active = whole;
    if active.is_none() || running.routes.get(&entry.model).copied() == active {
        return None;
    }
    waits(
        "what is active answers",
        format!("{}: {active:?}", entry.model),
    )
}

/// What a restored controller has lost, it has recorded as a gap; nobody tells it again.
fn told(running: &Running, record: &Record) -> Option<Violation> {
    let entries = record.entries.iter().map(|stored| &stored.entry);
    let mut entries = entries.filter(|_| record.gaps.is_empty());
    entries.find_map(|entry| {
        let progress = running.updaters.get(&entry.model)?.state().progress;
        let told = record.told.get(&(entry.model.clone(), entry.since));
        if told.is_some_and(|step| tells(progress, *step)) {
            return None;
        }
        waits(
            "the controller knows how each entry ended",
            format!("{}: {progress:?}, told {told:?}", entry.model),
        )
    })
}

fn documents(running: &Running) -> Option<Violation> {
    let lanes = [&running.receipts, &running.windows];
    let full = |lane: &&Lane| !lane.stream.is_drained() || !lane.waiting.is_empty();
    let lane = lanes.into_iter().find(full)?;
    let (first, next) = (lane.stream.first_kept(), lane.stream.next());
    waits(
        "every document is acknowledged",
        format!("{:?} keeps {first} to {next}", lane.stream.id()),
    )
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
        // Only what the disk has damaged stays on probation.
        Progress::Probation => matches!(step, Step::Degraded | Step::RevokedNoFallback),
        Progress::Nothing | Progress::Offered | Progress::Staged | Progress::Trial => false,
    }
}
