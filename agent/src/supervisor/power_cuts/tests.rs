//! Every power cut of every story, and the mistakes that must be noticed.

use super::day::{Day, Turn};
use super::story::Told;
use super::update::{self, Update};
use super::world::World;
use crate::power_cuts::enumeration::Outcome;
use crate::power_cuts::page;
use crate::power_cuts::planted::{Mistake, plant};
use crate::power_cuts::tally;
use crate::store::disk::recorder::Note;
use muster_protocol::cose;
use muster_protocol::message::{Fetch, What};
use muster_protocol::topic::Up;

const PAGE: &str = "power-cuts.md";

/// Nothing may be wrong in any story.
fn check(stories: &[(&str, Outcome)]) {
    let told = |(name, outcome): &(&str, Outcome)| {
        let breaches = outcome.breaches.iter();
        let breaches = breaches.map(|breach| format!("{name}: {}", breach.0));
        breaches.collect::<Vec<_>>()
    };
    let breaches: Vec<_> = stories.iter().flat_map(told).collect();
    assert!(breaches.is_empty(), "{}", breaches.join("\n"));
}

/// The lines of both tables.
fn lines(stories: &[(&str, Outcome)]) -> [Vec<String>; 2] {
    let tallies = || stories.iter().map(|(name, outcome)| (name, &outcome.tally));
    let operations = tallies().map(|(name, tally)| tally.line_of_operations(name));
    let cuts = tallies().map(|(name, tally)| tally.line_of_cuts(name));
    let operations = tally::head_of_operations().into_iter().chain(operations);
    let cuts = tally::head_of_cuts().into_iter().chain(cuts);
    [operations.collect(), cuts.collect()]
}

/// Nothing may be wrong, and the page must say what was measured.
fn publish(part: &str, stories: &[(&str, Outcome)]) {
    check(stories);
    let [operations, cuts] = lines(stories);
    page::compare(PAGE, &format!("{part} operations"), &operations);
    page::compare(PAGE, &format!("{part} cuts"), &cuts);
}

#[test]
fn a_power_cut_anywhere_in_an_update_leaves_a_device_that_goes_on() {
    let mut world = World::new();
    let first = update::FIRST.tell(&world, &Told::nothing());
    let mut stories = vec![("the first model", update::FIRST.cut(&world, &first))];
    world.publish(2, 2, 1);
    let over = update::OVER.tell(&world, &first);
    let fails = update::FAILS.tell(&world, &first);
    let back = update::BACK.tell(&world, &over);
    let mut add = |name, update: Update, told: &Told| {
        stories.push((name, update.cut(&world, told)));
    };
    add("a newer release over it", update::OVER, &over);
    add(
        "a newer release that fails on probation",
        update::FAILS,
        &fails,
    );
    add(
        "an assignment back to the older release",
        update::BACK,
        &back,
    );
    let beside = update::BESIDE.tell(&world, &first);
    let promoted = update::PROMOTED.tell(&world, &beside);
    assert_eq!(
        blobs_asked_for(&promoted),
        0,
        "a shadow that comes to serve costs no bytes"
    );
    add("a shadow beside it", update::BESIDE, &beside);
    add("that shadow comes to serve", update::PROMOTED, &promoted);
    let killed = update::OVER.kill_and_cut(&world, &over);
    stories.push(("the agent is killed and started, then cut", killed));
    publish("update", &stories);
}

/// Fetches of anything but metadata.
fn blobs_asked_for(told: &Told) -> usize {
    let asks = |note: &&Note| match note {
        Note::Said(Up::Fetch, payload) => {
            let fetch = cose::peek::<Fetch<'_>>(payload).expect("a fetch");
            matches!(fetch.what, What::Blob { .. })
        }
        _ => false,
    };
    told.notes.iter().filter(asks).count()
}

/// A device where a model serves, and what it had said.
fn installed(world: &World) -> Told {
    update::FIRST.tell(world, &Told::nothing())
}

/// Some minutes with everything that can become of a window.
fn short_day() -> Day {
    let turns = [
        (0, Turn::Up),
        (10, Turn::Down),
        (22, Turn::Up),
        (24, Turn::Unreadable),
        (26, Turn::Supersede),
        (28, Turn::Down),
        (36, Turn::Up),
    ];
    Day {
        minutes: 40,
        turns: turns.to_vec(),
        goes_on: true,
    }
}

/// So many minutes offline.
const fn offline(minutes: u64) -> Day {
    Day {
        minutes,
        turns: Vec::new(),
        goes_on: false,
    }
}

/// The third checkpoint of minute 33, when the device is offline.
const OPEN_CHECKPOINT: u64 = 33 * 4 + 2;

#[test]
fn a_power_cut_anywhere_in_telemetry_loses_no_window_and_doubles_none() {
    let world = World::new();
    let first = installed(&world);
    let short = short_day();
    let told = short.tell(&world, &first);
    let before = offline(400).tell(&world, &first);
    let full = offline(4);
    let told_full = full.tell(&world, &before.told);
    publish(
        "telemetry",
        &[
            ("40 minutes, online and offline", short.cut(&world, &told)),
            (
                "a start after a cut, cut again",
                told.cut_start(&world, OPEN_CHECKPOINT),
            ),
            ("4 minutes with a full store", full.cut(&world, &told_full)),
        ],
    );
}

#[test]
#[ignore = "72,000 operations take long: cargo xtask test --full"]
fn a_power_cut_anywhere_in_a_day_loses_no_window_and_doubles_none() {
    let world = World::new();
    let first = installed(&world);
    let mut turns = vec![
        (0, Turn::Up),
        (60, Turn::Unreadable),
        (120, Turn::Supersede),
    ];
    for hours in [4, 10, 16] {
        turns.extend([(hours * 60, Turn::Down), (hours * 60 + 290, Turn::Up)]);
    }
    let day = Day {
        minutes: 1440,
        turns,
        goes_on: false,
    };
    let told = day.tell(&world, &first);
    let stories = [("1,440 minutes", day.cut(&world, &told))];
    check(&stories);
    println!("{}", lines(&stories).concat().join("\n"));
}

/// The enumeration finds the mistake in an update.
fn check_update(mistake: Mistake) {
    let world = World::new();
    let told = installed(&world);
    let notes = plant(&told.notes, mistake);
    assert_ne!(notes, told.notes, "{mistake:?} is made");
    let outcome = update::FIRST.cut_notes(&world, &told, &notes);
    assert!(!outcome.breaches.is_empty(), "{mistake:?} is not noticed");
}

#[test]
fn the_enumeration_notices_a_name_before_its_bytes() {
    check_update(Mistake::RenameBeforeSync);
}

#[test]
fn the_enumeration_notices_a_name_that_is_not_durable() {
    check_update(Mistake::NoFolderSync);
}

#[test]
fn the_enumeration_notices_a_blob_that_is_not_synced() {
    check_update(Mistake::BlobNotSynced);
}

#[test]
fn the_enumeration_notices_a_folder_that_is_not_durable() {
    check_update(Mistake::FolderNotSynced);
}

/// The enumeration finds the mistake in telemetry.
fn check_day(mistake: Mistake) {
    let world = World::new();
    let first = installed(&world);
    let day = short_day();
    let told = day.tell(&world, &first);
    let notes = plant(&told.told.notes, mistake);
    assert_ne!(notes, told.told.notes, "{mistake:?} is made");
    let outcome = day.cut_notes(&world, &told, &notes);
    assert!(!outcome.breaches.is_empty(), "{mistake:?} is not noticed");
}

#[test]
fn the_enumeration_notices_a_body_that_goes_before_its_document_is_durable() {
    check_day(Mistake::BodyRemovedFirst);
}

#[test]
fn the_enumeration_notices_documents_that_go_before_that_is_written() {
    check_day(Mistake::CoveredAfterRemoval);
}

#[test]
fn the_enumeration_notices_a_merge_that_is_not_in_order() {
    check_day(Mistake::MergeNotOrdered);
}
