//! Migrations, the writer thread and pages, over a file.

use muster_protocol::id::DeviceId;
use muster_protocol::time::UnixSeconds;

use super::*;

const NOW: UnixSeconds = UnixSeconds(1_800_000_000);

fn device(number: u32) -> DeviceId {
    DeviceId::parse(&format!("press-{number:03}")).expect("valid")
}

async fn add(store: &Store, number: u32) -> Result<(), StoreError> {
    store
        .write(move |tx| tx.add_device(&device(number), NOW))
        .await
}

async fn names(store: &Store) -> Vec<String> {
    let inventory = store.read(|tx| tx.inventory()).await.expect("a store");
    inventory
        .into_iter()
        .map(|(device, _)| device.to_string())
        .collect()
}

#[tokio::test]
async fn an_empty_file_is_migrated_and_opens_again_with_what_it_holds() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("muster.db");
    let store = Store::open(&path).expect("a new file");
    add(&store, 1).await.expect("stored");
    drop(store);
    let store = Store::open(&path).expect("the same file");
    assert_eq!(names(&store).await, ["press-001"]);
}

#[test]
fn a_file_of_a_newer_program_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("muster.db");
    drop(Store::open(&path).expect("a new file"));
    let connection = Connection::open(&path).expect("the file");
    connection
        .pragma_update(None, "user_version", 999)
        .expect("written");
    drop(connection);
    let error = Store::open(&path).err().expect("refused").to_string();
    assert!(error.contains("schema 999 is newer"), "{error}");
}

#[tokio::test]
async fn a_job_that_fails_or_panics_undoes_itself_and_nothing_else() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::open(&folder.path().join("muster.db")).expect("a new file");
    let fails = store.write(|tx| {
        tx.add_device(&device(1), NOW)?;
        Err::<(), _>(StoreError::Failed {
            because: "it was asked to".to_owned(),
        })
    });
    let panics = store.write::<(), StoreError>(|tx| {
        tx.add_device(&device(2), NOW)?;
        panic!("as asked");
    });
    let (fails, panics, added) = tokio::join!(fails, panics, add(&store, 3));
    assert!(matches!(fails, Err(StoreError::Failed { .. })), "{fails:?}");
    assert!(matches!(panics, Err(StoreError::Panicked)), "{panics:?}");
    added.expect("stored");
    assert_eq!(names(&store).await, ["press-003"]);
}

#[tokio::test]
async fn a_long_survey_keeps_nobody_from_reading() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::open(&folder.path().join("muster.db")).expect("a new file");
    add(&store, 1).await.expect("stored");
    let (go, wait) = std::sync::mpsc::channel();
    let survey = store.survey::<_, StoreError>(move |tx| {
        let told = wait.recv_timeout(std::time::Duration::from_secs(60));
        Ok((told.is_ok(), tx.inventory()?.len()))
    });
    let read = async {
        let names = names(&store).await;
        go.send(()).expect("it waits");
        names
    };
    let (survey, names) = tokio::join!(survey, read);
    assert_eq!(survey.expect("answered"), (true, 1));
    assert_eq!(names, ["press-001"]);
}

#[tokio::test]
async fn a_full_disk_is_said_as_such_and_the_store_goes_on_when_there_is_room() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::open(&folder.path().join("muster.db")).expect("a new file");
    let limit = async |pages: u32| {
        let limit = move |tx: &Tx<'_>| -> Result<(), StoreError> {
            let sql = format!("PRAGMA max_page_count = {pages}");
            Ok(tx.0.query_row(&sql, [], |_| Ok(()))?)
        };
        store.write(limit).await.expect("limited");
    };
    let fill = || store.write(|tx| tx.add_metadata("root", 1, &[7; 1 << 20]));
    limit(1).await;
    assert!(matches!(fill().await, Err(StoreError::Full)));
    add(&store, 1).await.expect("there is room for little");
    limit(u32::MAX - 1).await;
    fill().await.expect("there is room");
    assert_eq!(names(&store).await, ["press-001"]);
}

#[tokio::test]
async fn pages_follow_each_other_without_a_gap() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::open(&folder.path().join("muster.db")).expect("a new file");
    for number in 0..7 {
        add(&store, number).await.expect("stored");
    }
    let (mut seen, mut page) = (
        Vec::new(),
        Page {
            cursor: None,
            limit: Some(3),
        },
    );
    loop {
        let asked = page.clone();
        let paged = store
            .read(move |tx| tx.devices(&asked))
            .await
            .expect("a store");
        seen.extend(paged.items.into_iter().map(|row| row.device));
        match paged.next {
            Some(next) => page.cursor = Some(next),
            None => break,
        }
    }
    assert_eq!(seen, names(&store).await);
}

mod upgrade;
