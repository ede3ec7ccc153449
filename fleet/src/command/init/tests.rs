//! What `muster init` makes, and that it never touches what is there.

use std::os::unix::fs::PermissionsExt as _;

use muster_protocol::tuf::{FleetDocument, Role};

use super::*;
use crate::output::Output;

fn args() -> Args {
    Args {
        hosts: vec!["fleet.example".to_owned()],
        broker_listen: None,
        enroll_listen: None,
        api_listen: None,
        broker_url: None,
        enroll_url: None,
    }
}

fn context(folder: &Path) -> Context {
    Context {
        home: folder.to_owned(),
        api: None,
        output: Output::Json,
    }
}

fn all_files(folder: &Path) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(folder)
        .expect("a folder")
        .map(|entry| entry.expect("entry").path());
    let (folders, mut files): (Vec<_>, Vec<_>) = entries.partition(|path| path.is_dir());
    files.extend(folders.iter().flat_map(|folder| all_files(folder)));
    files
}

#[tokio::test]
async fn a_home_is_made_once_and_is_private() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("home");
    run(args(), &context(&path)).await.expect("made");
    let home = context(&path).home().expect("a home");
    let config = Config::read(&home).expect("a configuration");
    assert_eq!(config.broker_url_for(8883), "mqtts://fleet.example:8883");
    authority::Authority::load(&home).expect("a CA");
    for key in [
        home.root_key(),
        home.targets_key(),
        home.director_key(),
        home.time_key(),
    ] {
        key_file::read(&key).expect("a key");
    }
    for file in all_files(&path) {
        let mode = fs::metadata(&file).expect("a file").permissions().mode();
        assert!(
            file.extension().is_none_or(|end| end != "key") || mode & 0o077 == 0,
            "{file:?}"
        );
    }
    let before = fs::read(home.root_key()).expect("a key");
    let error = run(args(), &context(&path))
        .await
        .expect_err("a home is there");
    assert_eq!(error.exit, Exit::Missing, "{error}");
    assert_eq!(fs::read(home.root_key()).expect("a key"), before);
}

#[tokio::test]
async fn fleet_json_names_ports_that_do_not_change() {
    let folder = tempfile::tempdir().expect("a folder");
    let any = Some(([127, 0, 0, 1], 0).into());
    let check = async |name: &str, args: Args, told: bool| {
        let path = folder.path().join(name);
        run(args, &context(&path)).await.expect("made");
        let home = context(&path).home().expect("a home");
        let config = Config::read(&home).expect("a configuration");
        let controller = crate::controller::Controller::open(&home).expect("a controller");
        let named = controller
            .named_broker()
            .expect("a broker that can be reached");
        assert_eq!(
            named.to_string(),
            config.broker_url_for(config.broker_listen.port())
        );
        assert_eq!(config.broker_listen.port() == 0, told, "{config:?}");
        assert_ne!(config.enroll_listen.port(), 0, "{config:?}");
    };
    let listening = Args {
        broker_listen: any,
        enroll_listen: any,
        ..args()
    };
    check("free", listening, false).await;
    let told = Args {
        broker_listen: any,
        broker_url: Some("mqtts://proxy.example:1".parse().expect("valid")),
        ..args()
    };
    check("told", told, true).await;
}

#[tokio::test]
async fn a_wrong_host_name_leaves_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("home");
    let args = Args {
        hosts: vec!["https://fleet.example".to_owned()],
        ..args()
    };
    let error = run(args, &context(&path)).await.expect_err("no host name");
    assert_eq!(error.exit, Exit::BadInput, "{error}");
    assert!(!path.exists());
}

#[test]
fn the_first_documents_name_one_key_for_each_role() {
    let folder = tempfile::tempdir().expect("a folder");
    let home = Home::create(&folder.path().join("home")).expect("a home");
    let (keys, config) = (
        metadata::Keys::create(&home).expect("keys"),
        Config::default(),
    );
    let now = UnixSeconds(1_800_000_000);
    let documents = metadata::write(&keys, &config, "pem", now).expect("signed");
    let root: muster_protocol::tuf::Root =
        muster_protocol::tuf::author::read_unverified(&Role::Root, &documents.root).expect("root");
    for role in Role::TOP_LEVEL {
        assert_eq!(root.authority(&role).threshold(), 1);
        assert_eq!(root.authority(&role).public_keys().len(), 1, "{role}");
    }
    let fleet = FleetDocument::parse(&documents.fleet).expect("fleet.json");
    assert_eq!((fleet.director_epoch, fleet.issued_at_s), (1, now.0));
    assert!(fleet.floor.is_empty() && fleet.revoked.is_empty());
}
