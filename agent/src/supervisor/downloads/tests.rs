//! What is fetched on for an updater, and what a model may come to take in memory.

use super::documents::{Whose, planned_bytes};
use super::*;
use muster_device::updater::Slot;
use muster_protocol::id::{EpochGeneration, ModelId, Rank, Version};
use muster_protocol::message::{Entry, Role, Settings, Swap};

fn release(n: u8, peak_memory_bytes: u64) -> Release {
    Release {
        version: Version::parse("1.0.0").expect("valid"),
        rank: Rank(1),
        statement: Digest([n; 32]),
        bundle: Digest([n + 100; 32]),
        manifest_size: 300,
        peak_memory_bytes,
        since: EpochGeneration::new(1, 1),
    }
}

/// Release 1 serves with 10 bytes, release 2 with 25 bytes is the candidate of the entry.
fn state(progress: Progress) -> ModelState {
    let model = ModelId::parse("bearing").expect("valid");
    let entry = Entry {
        model: model.clone(),
        version: Version::parse("1.0.0").expect("valid"),
        statement: Digest([2; 32]),
        statement_size: 300,
        role: Role::Serve,
        since: EpochGeneration::new(1, 1),
        settings: Settings::default(),
    };
    ModelState {
        model,
        entry: Some(entry),
        progress,
        candidate: Some(release(2, 25)),
        active: Some(Slot {
            release: release(1, 10),
            committed: true,
        }),
        previous: None,
        tries: 0,
        floor_seen: Rank(0),
        floor_committed: Rank(0),
        outcome: None,
    }
}

fn download(release: Option<Release>, stage: Stage) -> Download {
    Download {
        stage,
        release,
        manifest: None,
        hash_list: Vec::new(),
        piece_size: 0,
        fetched_bytes: 0,
        written_before: 0,
    }
}

#[test]
fn a_download_ends_with_what_it_was_for() {
    let check = |progress, n, expect| {
        let download = download(Some(release(n, 0)), Stage::Resting);
        let got = download.is_wanted_by(&state(progress));
        assert_eq!(got, expect, "{progress:?} {n}");
    };
    check(Progress::Offered, 2, true);
    check(Progress::Staged, 2, true);
    check(Progress::Trial, 2, true);
    check(Progress::Offered, 1, false);
    check(Progress::Probation, 2, false);
    check(Progress::Committed, 2, false);
    check(Progress::Refused, 2, false);
    check(Progress::Reverted, 2, false);
    check(Progress::Stopped, 2, false);
    check(Progress::Nothing, 2, false);
}

#[test]
fn a_statement_is_wanted_while_the_entry_names_it() {
    let check = |progress, n, expect| {
        let digest = Digest([n; 32]);
        let stage = Stage::Document {
            digest,
            purpose: Purpose::Statement,
            deadline: Millis(0),
        };
        let got = download(None, stage).is_wanted_by(&state(progress));
        assert_eq!(got, expect, "{progress:?} {n}");
    };
    check(Progress::Offered, 2, true);
    check(Progress::Offered, 3, false);
    check(Progress::Refused, 2, false);
}

#[test]
fn memory_is_planned_for_what_serves_and_what_is_to_come() {
    let check = |progress, whose, swap, expect| {
        let got = planned_bytes(&state(progress), whose, swap);
        assert_eq!(got, expect, "{progress:?} {whose:?} {swap:?}");
    };
    check(Progress::Committed, Whose::Other, Swap::Overlap, 10);
    check(Progress::Offered, Whose::Other, Swap::Overlap, 35);
    check(Progress::Trial, Whose::Other, Swap::StopFirst, 25);
    check(Progress::Refused, Whose::Other, Swap::Overlap, 10);
    check(Progress::Offered, Whose::Own, Swap::Overlap, 10);
    check(Progress::Offered, Whose::Own, Swap::StopFirst, 0);
}
