//! Hours of cohorts: the same in any order and however often the store is written to, and what they hold of a
//! store that was made before.

use muster_protocol::stats::FeatureSum;

use super::super::hours::bench::{NOW, model, take, window};
use super::super::{InMemory, in_memory, migrations};
use super::*;
use crate::config::{Days, Retention};

const BUNDLE: Digest = Digest([5; 32]);

/// A window of a device that ended so many hours ago, with these bins; of none it has no features.
fn of(device: &str, hours_ago: u64, bins: &[u64]) -> WindowOfCohorts {
    let feature = FeatureSum {
        bins: bins.iter().copied().collect(),
        sum: bins.iter().sum::<u64>() as i64 - 7,
        sum_of_squares: 11,
        longest_run: bins.len() as u64,
        ..FeatureSum::default()
    };
    let features = if bins.is_empty() {
        &[][..]
    } else {
        &[feature][..]
    };
    WindowOfCohorts::new(
        (&model(), BUNDLE, Some(Digest([6; 32]))),
        (
            &DeviceId::parse(device).expect("valid"),
            UnixSeconds(NOW.0 - hours_ago * HOUR_S),
        ),
        (1, 30),
        features,
    )
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(ToString::to_string).collect()
}

/// Reference, closed windows, misfits and bins of each row, sorted.
type Row = (Option<u8>, u64, u64, Vec<u64>);

fn rows(store: &InMemory, cohort: &str, until: u64) -> Vec<Row> {
    let asked = OfCohort {
        model: &model(),
        cohort,
        from: 0,
        until,
    };
    let mut rows = Vec::new();
    let each = Tx::of(store).each_cohort_hour(asked, |hour| {
        let bins = hour.sums.features.first().map(|sum| sum.bins.to_vec());
        rows.push((
            hour.reference.map(|digest| digest.0[0]),
            hour.sums.closed_windows,
            hour.sums.misfits,
            bins.unwrap_or_default(),
        ));
    });
    each.expect("read");
    rows.sort();
    rows
}

/// Windows in this order, written in groups of so many.
fn store_of(windows: &[WindowOfCohorts], at_once: usize) -> InMemory {
    let store = in_memory();
    for (through, group) in (1..).zip(windows.chunks(at_once)) {
        let mut sums = CohortSums::default();
        for window in group {
            sums.add(window, &names(&["all", "site=north"]));
        }
        let added = Tx::of(&store).add_to_cohorts(&sums, through);
        added.expect("written");
    }
    store
}

#[test]
fn rows_are_the_same_in_any_order_and_grouping() {
    let mut windows = vec![
        of("a", 0, &[1, 2]),
        of("b", 0, &[3, 4]),
        of("a", 30, &[5, 6]),
        // Late, and of other bins: never added to those.
        of("c", 30, &[1, 1, 1]),
        of("c", 0, &[]),
        of("b", 30, &[7, 8]),
    ];
    let expect = vec![
        (None, 1, 0, vec![]),
        (Some(6), 1, 0, vec![1, 1, 1]),
        (Some(6), 2, 0, vec![4, 6]),
        (Some(6), 2, 0, vec![12, 14]),
    ];
    for at_once in [1, 2, 4, 6] {
        let store = store_of(&windows, at_once);
        for cohort in ["all", "site=north"] {
            assert_eq!(rows(&store, cohort, u64::MAX >> 1), expect, "{at_once}");
        }
        assert_eq!(rows(&store, "site=south", u64::MAX >> 1), []);
        let before_now = rows(&store, "all", NOW.0 / HOUR_S);
        assert_eq!(before_now.len(), 2, "of the hours before this one");
        windows.reverse();
    }
}

#[test]
fn who_was_in_a_cohort_is_known_by_the_hour() {
    let store = store_of(&[of("a", 30, &[1]), of("b", 0, &[1]), of("b", 30, &[1])], 1);
    let tx = Tx::of(&store);
    let since = |hours_ago: u64| {
        let from = NOW.0 / HOUR_S - hours_ago;
        let found = tx.cohort_devices(&model(), "all", from).expect("read");
        found.into_iter().map(|(_, name)| name).collect::<Vec<_>>()
    };
    assert_eq!(since(30), ["a", "b"]);
    assert_eq!(since(29), ["b"]);
    assert!(tx.knows_cohort(&model(), "site=north").expect("read"));
    assert!(!tx.knows_cohort(&model(), "site=south").expect("read"));
}

#[test]
fn hours_of_cohorts_stay_when_those_of_devices_go() {
    let store = store_of(&[of("a", 100 * 24, &[1, 2])], 1);
    let tx = Tx::of(&store);
    let sums = CohortSums::default();
    tx.add_to_cohorts(&sums, 1).expect("written");
    assert_eq!(tx.devices_from().expect("read"), 0);
    tx.forget(&Retention::default(), NOW).expect("forgotten");
    let kept_h = u64::from(Retention::default().feature_hours_days.0) * 24;
    assert_eq!(tx.devices_from().expect("read"), NOW.0 / HOUR_S - kept_h);
    assert_eq!(rows(&store, "all", u64::MAX >> 1).len(), 1);
    let short = Retention {
        cohort_hours_days: Days(99),
        ..Retention::default()
    };
    tx.forget(&short, NOW).expect("forgotten");
    assert_eq!(rows(&store, "all", u64::MAX >> 1), []);
    assert!(!tx.knows_cohort(&model(), "all").expect("read"));
}

#[test]
fn a_store_that_was_made_before_has_the_hours_of_all_devices_together() {
    let mut store = InMemory::open_in_memory().expect("memory");
    for (_, migration) in migrations::all().take(10) {
        store.execute_batch(migration).expect("a migration");
    }
    store.pragma_update(None, "user_version", 10).expect("ten");
    for (sequence, device) in (1..).zip(["a", "b", "a"]) {
        take(&store, device, sequence, &window(None));
    }
    migrations::run(&mut store).expect("migrated");
    assert_eq!(rows(&store, "all", u64::MAX >> 1), [(None, 3, 0, vec![])]);
    let tx = Tx::of(&store);
    assert_eq!(
        tx.cohorts_through().expect("read"),
        3,
        "none is added again"
    );
    let devices = tx.cohort_devices(&model(), "all", 0).expect("read");
    assert_eq!(devices.len(), 2);
}

/// Rows of devices in any order: model, device, hour, bundle, reference and bins.
type OfDevice = (
    &'static str,
    &'static str,
    u64,
    u8,
    Option<u8>,
    &'static [u64],
);

fn device_hour((model, device, hour, bundle, reference, bins): &OfDevice) -> WindowOfCohorts {
    let feature = FeatureSum {
        bins: bins.iter().copied().collect(),
        sum: 3,
        ..FeatureSum::default()
    };
    let reference = reference.map(|byte| Digest([byte; 32]));
    WindowOfCohorts::new(
        (
            &ModelId::parse(model).expect("valid"),
            Digest([*bundle; 32]),
            reference,
        ),
        (
            &DeviceId::parse(device).expect("valid"),
            UnixSeconds(hour * HOUR_S),
        ),
        (12, 3600),
        &[feature],
    )
}

fn insert(tx: &Tx<'_>, of: &WindowOfCohorts) {
    let sql = "INSERT INTO feature_hours (model, device, hour, bundle, reference, closed_windows,
               calls, misfits, sums) VALUES (?, ?, ?, ?, ?, ?, ?, 1, ?)";
    let named = params![
        of.model.as_str(),
        of.device.as_str(),
        bits(of.ended.0 / HOUR_S),
        of.bundle.0,
        reference_bytes(of.reference.as_ref()),
        bits(of.sums.closed_windows),
        bits(of.sums.calls),
        write_features(&of.sums.features),
    ];
    tx.0.execute(sql, named).expect("inserted");
}

/// All rows of both tables, as text.
fn dump(store: &InMemory) -> Vec<String> {
    let mut found = Vec::new();
    for sql in [
        "SELECT model || cohort || hour || hex(bundle) || hex(reference) || hex(shape) || ' ' ||
         closed_windows || ' ' || calls || ' ' || misfits || ' ' || hex(sums) FROM cohort_hours ORDER BY 1",
        "SELECT model || cohort || hex(bundle) || device || ' ' || hour FROM cohort_devices
         ORDER BY 1",
    ] {
        let tx = Tx::of(store);
        let mut statement = tx.0.prepare(sql).expect("valid");
        let rows = statement.query_map([], |row| row.get(0)).expect("read");
        let rows: rusqlite::Result<Vec<String>> = rows.collect();
        found.extend(rows.expect("text"));
    }
    found
}

#[test]
fn what_is_filled_in_is_what_rows_add_up_to_one_by_one() {
    let check = |hours: &[OfDevice], expect: usize| {
        let (filled, added) = (in_memory(), in_memory());
        for of in hours {
            let mut window = device_hour(of);
            insert(&Tx::of(&filled), &window);
            window.sums.misfits = 1;
            let mut sums = CohortSums::default();
            sums.add(&window, &names(&["all"]));
            Tx::of(&added).add_to_cohorts(&sums, 0).expect("written");
        }
        Tx::of(&filled).fill_cohort_hours().expect("filled");
        assert_eq!(dump(&filled), dump(&added), "{hours:?}");
        assert_eq!(dump(&filled).len(), expect, "{hours:?}");
        let through = Tx::of(&filled).cohorts_through().expect("read");
        assert_eq!(through, 0, "{hours:?}");
    };
    check(&[], 0);
    check(&[("m", "a", 7, 1, Some(1), &[1, 2])], 2);
    // Two hours of one device, one of which two devices share; the row of the device has its last hour.
    let shared: [OfDevice; 3] = [
        ("m", "a", 9, 1, Some(1), &[1, 2]),
        ("m", "a", 7, 1, Some(1), &[3, 4]),
        ("m", "b", 9, 1, Some(1), &[5, 6]),
    ];
    check(&shared, 2 + 2);
    // Neither another model, bundle, reference, hour nor shape is added to.
    let apart: [OfDevice; 7] = [
        ("n", "a", 7, 1, Some(1), &[1, 2]),
        ("m", "a", 7, 1, Some(1), &[1, 2]),
        ("m", "a", 8, 1, Some(1), &[1, 2]),
        ("m", "b", 7, 2, Some(1), &[1, 2]),
        ("m", "c", 7, 1, Some(2), &[1, 2]),
        ("m", "d", 7, 1, Some(1), &[1, 2, 3]),
        ("m", "e", 7, 1, None, &[]),
    ];
    check(&apart, 7 + 6);
}
