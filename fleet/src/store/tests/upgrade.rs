//! A database of the first schema, as a controller of then has left it: every row of it is there
//! after the newest program has opened it, wherever the power was cut on the way.

use std::path::PathBuf;

use muster_protocol::digest::Digest;
use muster_protocol::id::EpochGeneration;

use super::*;
use crate::store::{Incident, IncidentFilter, ListFilter, backup, migrations};

const SCHEMA_1: &str = include_str!("schema-1.sql");
/// Its tables.
const TABLES: [&str; 18] = [
    "assignments",
    "certificates",
    "counters",
    "desired",
    "device_keys",
    "device_models",
    "devices",
    "documents",
    "entries",
    "incidents",
    "metadata",
    "receipts",
    "release_blobs",
    "releases",
    "rollout_devices",
    "rollouts",
    "streams",
    "windows",
];

struct Old {
    folder: tempfile::TempDir,
}

impl Old {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let old = Self { folder };
        let connection = old.connection();
        connection.execute_batch(SCHEMA_1).expect("SQL");
        connection
            .pragma_update(None, "user_version", 1)
            .expect("written");
        connection
            .pragma_update(None, "journal_mode", "WAL")
            .expect("written");
        old
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("muster.db")
    }

    fn connection(&self) -> Connection {
        Connection::open(self.path()).expect("the file")
    }

    /// Every row of a table, but for columns that a later schema has added.
    fn rows(&self, table: &str) -> Vec<String> {
        let connection = self.connection();
        let old = Connection::open_in_memory().expect("memory");
        old.execute_batch(SCHEMA_1).expect("SQL");
        let columns: Vec<String> = old
            .prepare(&format!("SELECT name FROM pragma_table_info('{table}')"))
            .and_then(|mut names| names.query_map([], |row| row.get(0))?.collect())
            .expect("a table");
        let quoted: Vec<_> = columns
            .iter()
            .map(|name| format!("quote({name})"))
            .collect();
        let sql = format!(
            "SELECT {} FROM {table} ORDER BY 1",
            quoted.join(" || ',' || ")
        );
        let mut rows: Vec<String> = connection
            .prepare(&sql)
            .and_then(|mut rows| rows.query_map([], |row| row.get(0))?.collect())
            .expect("rows");
        rows.sort();
        rows
    }

    fn all(&self) -> Vec<(&'static str, Vec<String>)> {
        TABLES
            .into_iter()
            .map(|table| (table, self.rows(table)))
            .collect()
    }
}

#[tokio::test]
async fn a_database_of_the_first_schema_is_brought_forward_with_all_that_it_holds() {
    let old = Old::new();
    let before = old.all();
    // A fleet that never lost a queue has no incidents.
    let empty = |(table, rows): &&(&str, Vec<String>)| rows.is_empty() && *table != "incidents";
    assert_eq!(
        before.iter().find(empty),
        None,
        "the fixture has rows of all kinds"
    );
    let store = Store::open(&old.path()).expect("migrated");
    assert_eq!(old.all(), before);
    assert_eq!(
        backup::schema(&old.path()).expect("a store"),
        migrations::NEWEST
    );

    assert_eq!(names(&store).await, ["press-01", "press-02"]);
    let page = Page::default();
    let seen = store.read::<_, StoreError>(move |tx| {
        let device = DeviceId::parse("press-01").expect("valid");
        let summary = tx.models_of(device.as_str())?.remove(0);
        Ok((
            tx.newest_at(&device)?,
            tx.newest_entries(&device)?.len(),
            tx.desired(&device)?.len(),
            (summary.active_version, summary.predictions),
            tx.receipts(&ListFilter::default(), &page)?.items.is_empty(),
            tx.windows(&ListFilter::default(), &page)?.items.is_empty(),
            (tx.held(&device)?, tx.generation_floor(&device)?),
        ))
    });
    let serving = (Some("2.0.0".to_owned()), 40);
    let at = Some(EpochGeneration::new(1, 2));
    let no_floor = EpochGeneration::default();
    let expect = (at, 1, 1, serving, false, false, (None, no_floor));
    assert_eq!(seen.await.expect("read"), expect);
}

#[tokio::test]
async fn an_incident_of_the_first_schema_stays_and_is_told_to_nobody() {
    let old = Old::new();
    let raised = "INSERT INTO incidents VALUES (7, 'press-01', 'clone', 'two of them', 5)";
    old.connection().execute(raised, []).expect("raised");
    let before = old.rows("incidents");
    let store = Store::open(&old.path()).expect("migrated");
    assert_eq!(old.rows("incidents"), before);
    let found = store.read::<_, StoreError>(|tx| {
        let filter = IncidentFilter::default();
        Ok(tx.incidents(&filter, &Page::default())?.items)
    });
    let found = found.await.expect("read");
    let said = |one: &Incident| (one.incident, one.state.clone(), one.told.clone());
    let expect = (7, "opened".to_owned(), "told".to_owned());
    assert_eq!(found.iter().map(said).collect::<Vec<_>>(), [expect]);
}

#[tokio::test]
async fn an_incident_of_a_device_that_was_judged_is_closed_since() {
    let old = Old::new();
    let connection = old.connection();
    for (number, sql) in migrations::all().skip(1).take_while(|(n, _)| *n < 10) {
        connection.execute_batch(sql).expect("SQL");
        connection
            .pragma_update(None, "user_version", number)
            .expect("written");
    }
    connection
        .execute_batch(
            "INSERT INTO incidents (incident, device, kind, detail, raised_at, state, judged_at,
             place) VALUES (1, 'press-01', 'clone', 'two', 5, 'confirmed', 9, NULL),
             (2, 'press-01', 'clone', 'three', 6, 'acknowledged', NULL, NULL),
             (3, NULL, 'storm', 'many', 7, 'dismissed', 9, 'fleet');
             UPDATE incidents SET model = NULL, feature = '', devices = '[]', first_at = 7,
             last_at = 7, noted_at = 7, rules = 0 WHERE incident = 3",
        )
        .expect("raised");
    drop(connection);
    let store = Store::open(&old.path()).expect("migrated");
    let closed = store.read::<_, StoreError>(|tx| {
        let found = tx.incidents(&IncidentFilter::default(), &Page::default())?;
        Ok(found
            .items
            .iter()
            .map(|one| one.closed_at)
            .collect::<Vec<_>>())
    });
    assert_eq!(closed.await.expect("read"), [Some(9), None, None]);
}

/// What a power cut leaves: the files as they are, while the program still has them open.
fn cut(old: &Old) -> Old {
    let after = Old {
        folder: tempfile::tempdir().expect("a folder"),
    };
    for name in ["muster.db", "muster.db-wal"] {
        let (from, to) = (old.folder.path().join(name), after.folder.path().join(name));
        if from.exists() {
            std::fs::copy(from, to).expect("copied");
        }
    }
    after
}

#[test]
fn a_power_cut_in_a_migration_leaves_the_old_schema_or_the_new() {
    let before = Old::new().all();
    let mut cuts = 0;
    for (number, migration) in migrations::all().skip(1) {
        for end in migration.match_indices(';').map(|(at, _)| at + 1) {
            let old = Old::new();
            let mut connection = old.connection();
            for (earlier, sql) in migrations::all().skip(1).take_while(|(n, _)| *n < number) {
                connection.execute_batch(sql).expect("SQL");
                connection
                    .pragma_update(None, "user_version", earlier)
                    .expect("written");
            }
            // So that the unfinished transaction reaches the disk at all.
            connection
                .pragma_update(None, "cache_size", 1)
                .expect("set");
            let transaction = connection.transaction().expect("begun");
            transaction.execute_batch(&migration[..end]).expect("SQL");
            let after = cut(&old);
            drop(transaction);
            drop(Store::open(&after.path()).expect("it opens"));
            assert_eq!(after.all(), before, "{number} cut at {end}");
            let schema = backup::schema(&after.path()).expect("a store");
            assert_eq!(schema, migrations::NEWEST);
            cuts += 1;
        }
    }
    assert!(cuts >= 5, "{cuts} places were cut");
}

#[test]
fn a_copy_is_whole_while_others_write_and_a_restore_raises_what_it_holds() {
    let old = Old::new();
    let to = old.folder.path().join("copy");
    let writer = old.connection();
    writer.execute_batch("BEGIN IMMEDIATE").expect("begun");
    writer
        .execute("DELETE FROM devices WHERE device = 'press-02'", [])
        .expect("not committed");
    backup::copy(&old.path(), &to).expect("copied");
    drop(writer);
    assert_eq!(backup::schema(&to).expect("a store"), 1);
    let counts = backup::counts(&to).expect("a store");
    assert_eq!(
        (counts.devices, counts.releases, counts.rollouts),
        (2, 2, 2)
    );
    assert!(backup::copy(&old.path(), &old.folder.path().join("no/such")).is_err());

    let (then, now) = (NOW, NOW.plus_days(1));
    let resumed = backup::resume(&to, then, now).expect("resumed");
    let step = (1 << 32) + 86_400 * (1 << 16);
    assert_eq!((resumed.devices_held, resumed.step), (2, step));
    let again = backup::resume(&to, then, now).expect("resumed once more");
    assert_eq!(again.devices_held, 2);
    let store = Store::open(&to).expect("a store");
    let tx = |tx: &Tx<'_>| {
        let floors = ["press-01", "press-02"].map(|device| {
            let device = DeviceId::parse(device).expect("valid");
            let held = tx.held(&device).expect("a store").is_some();
            (held, tx.generation_floor(&device).expect("a store"))
        });
        // One that is enrolled now may have been enrolled before.
        Ok((floors, tx.version_floor()?))
    };
    let (floors, version) = store.look(tx).expect("a store");
    let floor = EpochGeneration::new(1, 2 + 2 * step);
    assert_eq!(floors, [(true, floor), (true, floor)]);
    assert!((2 * step..2 * step + 10).contains(&version), "{version}");
}

#[tokio::test]
async fn a_token_that_the_lost_controller_may_have_taken_is_ended() {
    let old = Old::new();
    let (unused, until) = (Digest([7; 32]), NOW.plus_days(1));
    let store = Store::open(&old.path()).expect("a store");
    store
        .write::<_, StoreError>(move |tx| tx.add_token(unused, &device(7), until, NOW))
        .await
        .expect("stored");
    drop(store);
    let used = |old: &Old| {
        let sql = "SELECT COUNT(*) FROM tokens WHERE expires > 0 AND serial IS NOT NULL";
        let count = old
            .connection()
            .query_row(sql, [], |row| row.get::<_, i64>(0));
        count.expect("a count")
    };
    assert_eq!(used(&old), 2_i64);
    backup::resume(&old.path(), NOW, NOW).expect("resumed");
    // The same token with the same keys still gives the same certificate.
    assert_eq!(used(&old), 2_i64);
    let store = Store::open(&old.path()).expect("a store");
    let token = store.look(|tx| tx.token(unused)).expect("a store");
    assert_eq!(token.expect("there").expires, UnixSeconds(0));
}

#[tokio::test]
async fn a_device_that_is_new_after_a_restore_is_held_too() {
    let old = Old::new();
    backup::resume(&old.path(), NOW, NOW).expect("resumed");
    let store = Store::open(&old.path()).expect("a store");
    add(&store, 7).await.expect("stored");
    let read = store.read::<_, StoreError>(|tx| {
        Ok((
            tx.held(&device(7))?.is_some(),
            tx.generation_floor(&device(7))?,
        ))
    });
    let floor = EpochGeneration::new(0, 1 << 32);
    assert_eq!(read.await.expect("read"), (true, floor));
}

#[tokio::test]
async fn a_device_that_lies_about_its_generation_uses_up_its_own_alone() {
    let old = Old::new();
    let liar = DeviceId::parse("press-01").expect("valid");
    let store = Store::open(&old.path()).expect("a store");
    let highest = EpochGeneration::new(1, u64::MAX);
    let lie = liar.clone();
    store
        .write::<_, StoreError>(move |tx| tx.set_accepted(&lie, highest))
        .await
        .expect("stored");
    drop(store);
    for _ in 0..2 {
        backup::resume(&old.path(), NOW, NOW).expect("resumed");
    }
    let store = Store::open(&old.path()).expect("a store");
    add(&store, 7).await.expect("stored");
    let read = store.read::<_, StoreError>(move |tx| {
        Ok([&liar, &device(7)].map(|device| tx.generation_floor(device).expect("a store")))
    });
    let floors = [highest, EpochGeneration::new(0, 2 << 32)];
    assert_eq!(read.await.expect("read"), floors);
}
