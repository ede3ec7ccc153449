//! Windows that come are summed by the hour in which they ended, each kind apart.

use muster_protocol::cbor::List;
use muster_protocol::message::FeatureWindow;
use muster_protocol::stats::FeatureCounts;

use super::super::hours::bench::{NOW, model, take, window};
use super::*;
use crate::store::{self, InMemory, migrations};

const DAY_S: u64 = 24 * 3600;

/// A window of one feature; without a reference it has none.
struct Said {
    device: &'static str,
    reference: Option<u8>,
    unix: Option<u64>,
    bins: &'static [u32],
}

const PLAIN: Said = Said {
    device: "press-01",
    reference: Some(6),
    unix: None,
    bins: &[20, 10],
};

fn say(store: &InMemory, said: &[Said]) {
    for (sequence, said) in (1..).zip(said) {
        let mut counts = FeatureCounts::default();
        counts.bins[..said.bins.len()].copy_from_slice(said.bins);
        let feature = FeatureWindow::of(&counts, said.bins.len());
        let features: &[FeatureWindow<'_>] = match said.reference {
            Some(_) => &[feature],
            None => &[],
        };
        let window = Window {
            unix: said.unix.map(UnixSeconds),
            calls: u64::from(said.bins.iter().sum::<u32>()),
            features: List::of(features),
            ..window(said.reference)
        };
        take(store, said.device, sequence, &window);
    }
}

/// Device, reference, closed windows, misfits and bins of each hour in the last day.
type Row = (String, Option<u8>, u64, u64, Vec<u64>);

fn hours(store: &InMemory, device: Option<&str>) -> Vec<Row> {
    let mut rows = Vec::new();
    let take = |hour: FeatureHour| {
        let bins = hour.sums.features.first().map(|sum| sum.bins.to_vec());
        rows.push((
            hour.device,
            hour.reference.map(|digest| digest.0[0]),
            hour.sums.closed_windows,
            hour.sums.misfits,
            bins.unwrap_or_default(),
        ));
    };
    let tx = Tx::of(store);
    tx.each_feature_hour(&model(), device, DAY_S, NOW, take)
        .expect("a store");
    rows.sort();
    rows
}

/// A row as a test writes it.
type Expected<'a> = (&'a str, Option<u8>, u64, u64, &'a [u64]);

fn check(said: &[Said], expect: &[Expected<'_>]) {
    let store = store::in_memory();
    say(&store, said);
    let expect: Vec<Row> = expect
        .iter()
        .map(|(device, reference, windows, misfits, bins)| {
            let (device, bins) = ((*device).to_owned(), bins.to_vec());
            (device, *reference, *windows, *misfits, bins)
        })
        .collect();
    assert_eq!(hours(&store, None), expect);
    let mine = expect.into_iter().filter(|row| row.0 == "press-01");
    assert_eq!(
        hours(&store, Some("press-01")),
        mine.collect::<Vec<_>>(),
        "of one device"
    );
}

#[test]
fn windows_of_one_hour_and_reference_add_up() {
    let other = Said {
        device: "press-02",
        ..PLAIN
    };
    check(
        &[PLAIN, PLAIN, other],
        &[
            ("press-01", Some(6), 2, 0, &[40, 20]),
            ("press-02", Some(6), 1, 0, &[20, 10]),
        ],
    );
}

#[test]
fn other_references_and_windows_without_features_stay_apart() {
    let (other, none) = (
        Said {
            reference: Some(7),
            ..PLAIN
        },
        Said {
            reference: None,
            ..PLAIN
        },
    );
    check(
        &[PLAIN, other, none],
        &[
            ("press-01", None, 1, 0, &[]),
            ("press-01", Some(6), 1, 0, &[20, 10]),
            ("press-01", Some(7), 1, 0, &[20, 10]),
        ],
    );
}

#[test]
fn other_bins_under_one_reference_are_a_misfit() {
    let misfit = Said {
        bins: &[1, 2, 3],
        ..PLAIN
    };
    check(&[PLAIN, misfit], &[("press-01", Some(6), 2, 1, &[20, 10])]);
}

#[test]
fn a_window_counts_when_it_ended_and_never_later_than_it_came() {
    let at = |unix| Said {
        unix: Some(unix),
        ..PLAIN
    };
    let row = ("press-01", Some(6), 1, 0, &[20, 10][..]);
    check(&[at(NOW.0 - DAY_S / 2)], &[row]);
    check(&[at(NOW.0 - 2 * DAY_S)], &[]);
    check(&[at(NOW.0 + 10 * DAY_S)], &[row]);
    check(&[at(u64::MAX)], &[row]);
    check(&[at(0)], &[]);
}

#[test]
fn the_windows_of_a_store_without_sums_are_summed_when_it_is_opened() {
    let mut store = InMemory::open_in_memory().expect("memory");
    let first_two = concat!(
        include_str!("../migrations/0001.sql"),
        include_str!("../migrations/0002.sql")
    );
    store.execute_batch(first_two).expect("two migrations");
    let other = Said {
        device: "press-02",
        reference: None,
        ..PLAIN
    };
    // What writes here knows of shadows; what is then migrated does not.
    store
        .execute_batch("ALTER TABLE windows ADD COLUMN shadow TEXT")
        .expect("a column");
    say(&store, &[PLAIN, other, PLAIN]);
    let expect = hours(&store, None);
    assert_eq!(expect.len(), 2);
    store
        .execute_batch(
            "DROP TABLE feature_hours; ALTER TABLE windows DROP COLUMN shadow;
             PRAGMA user_version = 1",
        )
        .expect("as the first program left it");
    migrations::run(&mut store).expect("migrated");
    assert_eq!(hours(&store, None), expect);
}
