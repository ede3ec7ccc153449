//! A fresh home publishes a release, and everything that is wrong with one is refused by name.

use ed25519_dalek::SigningKey;
use muster_protocol::bundle::manifest::{Descriptor, Layer, LayerKind, Manifest};
use muster_protocol::bundle::{HashList, LayerHashes};
use muster_protocol::cbor::{self, List};
use muster_protocol::cose;
use muster_protocol::digest::Digest;
use muster_protocol::id::{ModelId, Rank, TargetClass, Version};
use muster_protocol::message::{Requirements, Statement, statement_name};
use muster_protocol::time::UnixSeconds;
use muster_protocol::tuf::author::{key_of, read_unverified};
use muster_protocol::tuf::{
    Delegation, Envelope, Expiry, FleetDocument, Role, TargetFile, Targets, Timestamp, Trusted,
};

use super::*;
use crate::command::init;
use crate::home::Home;
use crate::key_file;

const ROLE: &str = "models/bearing";

struct Bench {
    controller: Controller,
    home: Home,
    release_key: SigningKey,
    _folder: tempfile::TempDir,
}

/// A release as it is prepared, to be changed before it is published.
struct Prepared {
    statement: Statement,
    blobs: Vec<Vec<u8>>,
    publication: Publication,
}

impl Bench {
    async fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let home = init::new_home(&folder.path().join("home")).await;
        let controller = Controller::open(&home).expect("a controller");
        let release_key = SigningKey::from_bytes(&[7; 32]);
        Self {
            controller,
            home,
            release_key,
            _folder: folder,
        }
    }

    async fn newest(&self, role: &str) -> Option<Vec<u8>> {
        self.controller.metadata(role, None).await.expect("a store")
    }

    /// Top-level targets, with the model delegated to the release key.
    async fn delegating(&self) -> Vec<u8> {
        let newest = self.newest("targets").await.expect("published by init");
        let mut targets: Targets = read_unverified(&Role::Targets, &newest).expect("ours");
        targets.header.version += 1;
        targets.delegate(
            Delegation::of_model("bearing", 1),
            &[key_of(&self.release_key)],
        );
        let key = key_file::read(&self.home.targets_key()).expect("a key");
        Envelope::signed_bytes(&targets, &[&key]).expect("canonical")
    }

    /// The model's role with one more file.
    async fn listing(&self, name: &str, file: &[u8]) -> Vec<u8> {
        let role = Role::of_model("bearing");
        let mut targets = match self.newest(ROLE).await {
            Some(newest) => read_unverified(&role, &newest).expect("ours"),
            None => Targets::new(0, clock::now().plus_days(30).0),
        };
        targets.header.version += 1;
        targets.add_target(name, TargetFile::of(file, None));
        Envelope::signed_bytes(&targets, &[&self.release_key]).expect("canonical")
    }

    async fn prepare(&self, version: &str, rank: u32, change: impl Fn(&mut Statement)) -> Prepared {
        let (manifest, blobs) = bundle(version);
        let mut statement = Statement {
            model: ModelId::parse("bearing").expect("valid"),
            version: Version::parse(version).expect("valid"),
            rank: Rank(rank),
            bundle: Digest::of(&manifest),
            manifest_size: manifest.len() as u32,
            class: TargetClass::parse("any").expect("valid"),
            requirements: Requirements::default(),
            issued_at: UnixSeconds(1),
        };
        let name = statement_name(&statement.model, &statement.version)
            .as_str()
            .to_owned();
        change(&mut statement);
        let signed = sign(&statement, &self.release_key);
        let publication = Publication {
            root: None,
            targets: (self.newest(ROLE).await.is_none()).then_some(self.delegating().await),
            delegated: vec![(ROLE.to_owned(), self.listing(&name, &signed).await)],
            target_files: vec![(name, signed)],
        };
        Prepared {
            statement,
            blobs: [vec![manifest], blobs].concat(),
            publication,
        }
    }

    async fn publish(&self, prepared: Prepared) -> Result<Published, Error> {
        for blob in &prepared.blobs {
            self.controller
                .put_blob(Digest::of(blob), blob.clone())
                .await
                .expect("stored");
        }
        self.controller.publish(prepared.publication).await
    }
}

fn sign(statement: &Statement, key: &SigningKey) -> Vec<u8> {
    let (payload, mut scratch) = (cbor::to_vec(statement), [0; 2048]);
    let signature = cose::sign::<Statement>(&payload, key, &mut scratch).expect("it fits");
    cose::assemble_vec(&payload, &[signature])
}

/// A manifest and its blobs, of which none means anything.
fn bundle(version: &str) -> (Vec<u8>, Vec<Vec<u8>>) {
    let blob = |what: &str| format!("{what} of {version}").into_bytes();
    let kinds = [LayerKind::Model, LayerKind::Reference, LayerKind::Golden];
    let contents: Vec<Vec<u8>> = kinds.iter().map(|kind| blob(kind.as_str())).collect();
    let hashes: Vec<[u8; 32]> = contents.iter().map(|bytes| Digest::of(bytes).0).collect();
    let layers: Vec<LayerHashes<'_>> = contents
        .iter()
        .zip(&hashes)
        .map(|(bytes, hash)| LayerHashes {
            digest: Digest::of(bytes),
            size: bytes.len() as u64,
            pieces: hash,
        })
        .collect();
    let list = cbor::to_vec(&HashList {
        piece_size: 4096,
        layers: List::of(&layers),
    });
    let card = blob("card");
    let named = kinds
        .into_iter()
        .zip(&contents)
        .chain([(LayerKind::HashList, &list)]);
    let manifest = Manifest {
        card: Descriptor::of(&card),
        layers: named
            .map(|(kind, bytes)| Layer::plain(kind, Descriptor::of(bytes)))
            .collect(),
    };
    let (model, version) = (
        "bearing".parse().expect("valid"),
        version.parse().expect("valid"),
    );
    let bytes = manifest.to_json(&model, &version);
    (bytes, [contents, vec![list, card]].concat())
}

fn refusal(result: Result<Published, Error>) -> String {
    match result {
        Err(Error::Refused { why } | Error::Conflict { why }) => why,
        other => panic!("it must be refused: {other:?}"),
    }
}

#[tokio::test]
async fn a_device_can_follow_what_was_published() {
    let bench = Bench::new().await;
    let prepared = bench.prepare("1.0.0", 1, |_| {}).await;
    let published = bench.publish(prepared).await.expect("published");
    assert_eq!((published.snapshot, published.timestamp), (2, 2));
    assert_eq!(published.releases, ["models/bearing/1.0.0.cbor"]);

    let mut trusted = Trusted::from_root(&bench.newest("root").await.expect("a root"));
    let trusted = trusted.as_mut().expect("self-signed");
    let expiry = Expiry::Enforced {
        now_s: clock::now().0,
    };
    loop {
        let wanted = trusted.wanted_top_level();
        let Some(wanted) = wanted else { break };
        let bytes = bench
            .controller
            .metadata(wanted.role.name(), wanted.version)
            .await;
        trusted
            .update(&wanted, &bytes.expect("a store").expect("kept"), expiry)
            .expect("good");
    }
    let delegated = bench.newest(ROLE).await.expect("published");
    trusted
        .update_delegated(&Role::Targets, ROLE, &delegated, expiry)
        .expect("good");
    let file = trusted
        .target("models/bearing/1.0.0.cbor")
        .expect("listed")
        .clone();
    let statement = Digest(file.hashes.sha256().expect("listed").0);
    assert!(bench.controller.has_blob(statement).await.expect("a disk"));
}

#[tokio::test]
async fn what_is_wrong_with_a_release_is_named() {
    let bench = Bench::new().await;
    let check = async |change: &dyn Fn(&mut Prepared), expect: &str| {
        let mut prepared = bench.prepare("1.0.0", 1, |_| {}).await;
        change(&mut prepared);
        let why = refusal(bench.publish(prepared).await);
        assert!(why.contains(expect), "{why:?} should say {expect:?}");
    };
    check(
        &|p| p.publication.target_files[0].1.push(0),
        "is not the file that",
    )
    .await;
    check(
        &|p| p.publication.target_files.clear(),
        "is listed, but neither brought",
    )
    .await;
    check(
        &|p| p.publication.target_files[0].0 = "models/x/1.0.0.cbor".into(),
        "lists models/x",
    )
    .await;
    check(&|p| p.publication.targets = None, "bearing").await;
    check(
        &|p| p.publication.delegated[0].0 = "bearing".into(),
        "is not models/MODEL",
    )
    .await;
    check(&|p| p.publication.root = Some(b"{}".to_vec()), "malformed").await;
    assert_eq!(
        bench.newest(ROLE).await,
        None,
        "what is refused changes nothing"
    );
}

#[tokio::test]
async fn a_key_of_the_controller_is_no_release_key() {
    let mut bench = Bench::new().await;
    for (path, purpose) in [
        (bench.home.director_key(), "the director key"),
        (bench.home.timestamp_key(), "the timestamp key"),
    ] {
        bench.release_key = key_file::read(&path).expect("a key");
        let prepared = bench.prepare("1.0.0", 1, |_| {}).await;
        let why = refusal(bench.publish(prepared).await);
        let expect = format!("{purpose} of this controller would sign for models/bearing");
        assert!(why.starts_with(&expect), "{why}");
    }
}

#[tokio::test]
async fn a_missing_blob_is_named() {
    let bench = Bench::new().await;
    let check = async |version: &str, removed: usize, expect: &str| {
        let mut prepared = bench.prepare(version, 1, |_| {}).await;
        prepared.blobs.remove(removed);
        let why = refusal(bench.publish(prepared).await);
        assert!(
            why.starts_with(expect) && why.ends_with("is missing"),
            "{why}"
        );
    };
    check("1.0.0", 0, "the manifest sha256:").await;
    check("1.0.1", 1, "the model layer sha256:").await;
    check("1.0.2", 4, "the hash list layer sha256:").await;
    check("1.0.3", 5, "the card sha256:").await;
}

#[tokio::test]
async fn a_statement_must_be_what_its_name_and_its_keys_say() {
    let bench = Bench::new().await;
    let other = |statement: &mut Statement| statement.version = "3.0.0".parse().expect("valid");
    let prepared = bench.prepare("1.0.0", 1, other).await;
    assert!(refusal(bench.publish(prepared).await).contains("it is the statement"));

    let mut prepared = bench.prepare("1.0.0", 1, |_| {}).await;
    let forged = sign(&prepared.statement, &SigningKey::from_bytes(&[9; 32]));
    let name = prepared.publication.target_files[0].0.clone();
    prepared.publication.delegated[0].1 = bench.listing(&name, &forged).await;
    prepared.publication.target_files[0].1 = forged;
    assert!(refusal(bench.publish(prepared).await).contains("valid signatures"));
}

#[tokio::test]
async fn versions_and_ranks_only_rise() {
    let bench = Bench::new().await;
    let prepared = bench.prepare("1.0.0", 5, |_| {}).await;
    bench.publish(prepared).await.expect("published");
    for rank in [4, 5] {
        let prepared = bench.prepare("1.1.0", rank, |_| {}).await;
        assert!(refusal(bench.publish(prepared).await).contains("must exceed 5"));
    }
    let prepared = bench.prepare("1.0.0", 6, |_| {}).await;
    assert!(refusal(bench.publish(prepared).await).contains("raise the version"));
    let mut prepared = bench.prepare("1.1.0", 6, |_| {}).await;
    prepared.publication.delegated[0].1 = {
        let file = &prepared.publication.target_files[0];
        let mut targets = Targets::new(1, clock::now().plus_days(30).0);
        targets.add_target(&file.0, TargetFile::of(&file.1, None));
        Envelope::signed_bytes(&targets, &[&bench.release_key]).expect("canonical")
    };
    assert!(refusal(bench.publish(prepared).await).contains("does not follow version 1"));
    let prepared = bench.prepare("1.1.0", 6, |_| {}).await;
    bench.publish(prepared).await.expect("published");
}

#[tokio::test]
async fn a_fleet_document_must_not_turn_devices_away() {
    let bench = Bench::new().await;
    let newest = bench.newest("fleet.json").await.expect("published by init");
    let newest = FleetDocument::parse(&newest).expect("ours");
    let check = async |change: &dyn Fn(&mut FleetDocument), expect: Result<(), &str>| {
        let mut document = newest.clone();
        document.version += 1;
        change(&mut document);
        let file = document.encode().expect("in range");
        let targets = bench.newest("targets").await.expect("published by init");
        let mut targets: Targets = read_unverified(&Role::Targets, &targets).expect("ours");
        targets.header.version += 1;
        targets.add_target("fleet.json", TargetFile::of(&file, None));
        let key = key_file::read(&bench.home.targets_key()).expect("a key");
        let publication = Publication {
            targets: Some(Envelope::signed_bytes(&targets, &[&key]).expect("canonical")),
            target_files: vec![("fleet.json".to_owned(), file)],
            ..Publication::default()
        };
        let published = bench.controller.publish(publication).await;
        let said = published.map(drop).map_err(|error| error.to_string());
        match expect {
            Ok(()) => assert_eq!(said, Ok(())),
            Err(expect) => assert!(
                said.as_ref().is_err_and(|why| why.contains(expect)),
                "{said:?}"
            ),
        }
    };
    let key = muster_protocol::tuf::Hex([9; 32]);
    let same_version = |f: &mut FleetDocument| (f.version, f.issued_at_s) = (1, f.issued_at_s + 1);
    check(&same_version, Err("goes back")).await;
    check(&|f| f.director_epoch -= 1, Err("goes back")).await;
    check(&|f| f.director.keys = vec![key], Err("the director key")).await;
    check(&|f| f.ack_keys = vec![key], Err("the ack key")).await;
    check(&|f| f.time_keys = vec![key], Err("the time key")).await;
    check(&|f| f.ca_certificates = vec!["other".into()], Err("the CA")).await;
    check(&|f| f.director_epoch += 1, Ok(())).await;
    assert_eq!(bench.controller.director().epoch.0, 2);
}

#[tokio::test]
async fn timestamps_are_signed_anew_before_they_end_and_only_then() {
    let bench = Bench::new().await;
    let read = |bytes: &[u8]| read_unverified::<Timestamp>(&Role::Timestamp, bytes).expect("ours");
    let bytes = bench.newest("timestamp").await.expect("published by init");
    let first = read(&bytes);
    let expires_s = first.header.expires_s;
    assert!(
        first
            .issued_at_s
            .is_some_and(|issued_at_s| issued_at_s + 86_400 == expires_s)
    );
    for (left_s, expect) in [(86_400, true), (43_201, true), (43_200, false), (0, false)] {
        let now = UnixSeconds(expires_s - left_s);
        assert_eq!(online::is_fresh(&bytes, 1, now), expect, "{left_s}");
        assert!(!online::is_fresh(&bytes, 2, now), "a restore asks for more");
    }
    bench.controller.refresh().await.expect("refreshed");
    assert_eq!(
        read(&bench.newest("timestamp").await.expect("there"))
            .header
            .version,
        1
    );
    let published = bench
        .controller
        .publish(Publication::default())
        .await
        .expect("signed anew");
    assert_eq!((published.snapshot, published.timestamp), (1, 2));
}
