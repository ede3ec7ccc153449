//! The world around the device: who signs, what is released, and an enrolled identity.
//!
//! Keys come from fixed seeds, so that every story has the same files with the same sizes.

use crate::enroll::{Broker, Identity, TopicPrefix};
use crate::tensor::Tensor;
use crate::tls::sample::Ca;
use crate::trial::{Golden, GoldenVector};
use ed25519_dalek::SigningKey;
use muster_protocol::bundle::card::{CardGolden, CardTensor, FORMAT, GoldenSource, Runtime};
use muster_protocol::bundle::manifest::{Compression, Descriptor, Layer, LayerKind};
use muster_protocol::bundle::{
    Card, FeatureReference, HashList, LayerHashes, Manifest, Reference, Source,
};
use muster_protocol::cbor::{self, List};
use muster_protocol::cose;
use muster_protocol::digest::Digest;
use muster_protocol::id::{DeviceId, EpochGeneration, ModelId, Rank, TargetClass, Version};
use muster_protocol::limits::PIECE_BYTES_MIN;
use muster_protocol::message::{
    Assignment, Entry, Requirements, Role as Purpose, Settings, Statement, statement_name,
};
use muster_protocol::stats::feature::Transform;
use muster_protocol::time::UnixSeconds;
use muster_protocol::tuf::author::key_of;
use muster_protocol::tuf::fleet_document::{self, Director, Endpoints};
use muster_protocol::tuf::{
    Delegation, Envelope, FileMeta, FleetDocument, Hex, Role, Root, Snapshot, TargetFile, Targets,
    Timestamp,
};
use std::collections::BTreeMap;

/// When the story begins.
pub(super) const NOW: UnixSeconds = UnixSeconds(1_800_000_000);
const EXPIRES_S: u64 = NOW.0 + 3_650 * 86_400;
const DEVICE: &str = "press-07";
pub(super) const MODEL: &str = "bearing";
/// A CA as `fleet.json` names it; always the same, for a `fleet.json` of always the same size.
const CA: &str = include_str!("ca.pem");

/// One release and everything that it consists of, by digest as sent.
pub(super) struct Release {
    pub(super) version: &'static str,
    pub(super) statement: Vec<u8>,
    pub(super) bundle: Digest,
    pub(super) blobs: BTreeMap<Digest, Vec<u8>>,
}

/// What the fleet has.
pub(super) struct World {
    pub(super) releases: Vec<Release>,
    /// Metadata by role and version; the highest of a role is the latest.
    pub(super) metadata: BTreeMap<(String, u64), Vec<u8>>,
    pub(super) fleet: Vec<u8>,
    ca: Ca,
}

pub(super) fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

pub(super) fn device() -> DeviceId {
    DeviceId::parse(DEVICE).expect("valid")
}

pub(super) fn model() -> ModelId {
    ModelId::parse(MODEL).expect("valid")
}

/// Seeds of the keys.
pub(super) const DOCUMENT: u8 = 1;
pub(super) const DIRECTOR: u8 = 2;
pub(super) const ACKS: u8 = 3;
pub(super) const TIME: u8 = 4;
const ROOT: u8 = 5;
const TARGETS: u8 = 6;
const ONLINE: u8 = 7;
const RELEASES: u8 = 8;

impl World {
    /// Two releases; metadata lists the first alone.
    pub(super) fn new() -> Self {
        let ca = Ca::new();
        let mut world = Self {
            releases: vec![release("1.0.0", 1), release("1.1.0", 2)],
            metadata: BTreeMap::new(),
            fleet: Vec::new(),
            ca,
        };
        world.publish_root();
        world.publish(1, 1, 0);
        world
    }

    /// An enrolled device.
    pub(super) fn identity(&self) -> Identity {
        Identity {
            device: device(),
            document_key: key(DOCUMENT),
            credentials: self.ca.device(DEVICE).credentials(),
            anchors: self.ca.anchors(),
            root: self.metadata[&("root".to_owned(), 1)].clone(),
            broker: Broker::parse("mqtts://enrolled.example").expect("valid"),
            topic_prefix: TopicPrefix::parse("muster/v1").expect("valid"),
        }
    }

    fn publish_root(&mut self) {
        let mut root = Root::new(1, EXPIRES_S);
        root.authorize(&Role::Root, &[key_of(&key(ROOT))], 1);
        root.authorize(&Role::Targets, &[key_of(&key(TARGETS))], 1);
        for role in [Role::Timestamp, Role::Snapshot] {
            root.authorize(&role, &[key_of(&key(ONLINE))], 1);
        }
        self.put(&Role::Root, 1, sign(&root, ROOT));
    }

    /// Metadata of this version lists the first `releases`, with this floor.
    pub(super) fn publish(&mut self, version: u64, releases: usize, floor: u32) {
        self.fleet = self.fleet_document(version, floor);
        let role = Role::of_model(MODEL);
        let mut delegated = Targets::new(version, EXPIRES_S);
        for release in &self.releases[..releases] {
            let name = statement_name(&model(), &parsed(release.version));
            delegated.add_target(name.as_str(), TargetFile::of(&release.statement, None));
        }
        let mut targets = Targets::new(version, EXPIRES_S);
        targets.delegate(Delegation::of_model(MODEL, 1), &[key_of(&key(RELEASES))]);
        targets.add_target(fleet_document::PATH, TargetFile::of(&self.fleet, None));
        let (delegated, targets) = (sign(&delegated, RELEASES), sign(&targets, TARGETS));
        let mut snapshot = Snapshot::new(version, EXPIRES_S);
        snapshot.list(&role, FileMeta::of(version, &delegated));
        snapshot.list(&Role::Targets, FileMeta::of(version, &targets));
        let snapshot = sign(&snapshot, ONLINE);
        let listed = FileMeta::of(version, &snapshot);
        let issued_at_s = NOW.0 + version;
        let timestamp = Timestamp::new(version, EXPIRES_S, issued_at_s, listed);
        self.put(&role, version, delegated);
        self.put(&Role::Targets, version, targets);
        self.put(&Role::Snapshot, version, snapshot);
        self.put(&Role::Timestamp, version, sign(&timestamp, ONLINE));
    }

    fn put(&mut self, role: &Role, version: u64, bytes: Vec<u8>) {
        self.metadata
            .insert((role.name().to_owned(), version), bytes);
    }

    fn fleet_document(&self, version: u64, floor: u32) -> Vec<u8> {
        let public = |seed| Hex(key(seed).verifying_key().to_bytes());
        let fleet = FleetDocument {
            version,
            issued_at_s: NOW.0 + version,
            director_epoch: 1,
            director: Director {
                keys: vec![public(DIRECTOR)],
                threshold: 1,
            },
            ack_keys: vec![public(ACKS)],
            time_keys: vec![public(TIME)],
            ca_certificates: vec![CA.to_owned()],
            endpoints: Endpoints {
                mqtt: "mqtts://fleet.example:8883".to_owned(),
                enroll: "https://fleet.example/enroll".to_owned(),
            },
            floor: BTreeMap::from([(MODEL.to_owned(), floor)]),
            revoked: BTreeMap::new(),
        };
        fleet.encode().expect("a document")
    }

    /// The assignment with this number: which release of the model has which role.
    pub(super) fn assignment(&self, number: u64, seats: &[Seated]) -> Vec<u8> {
        let entries: Vec<_> = seats.iter().map(|seated| self.entry(seated)).collect();
        let assignment = Assignment {
            device: device(),
            at: EpochGeneration::new(1, number),
            issued_at: NOW,
            accept_by: UnixSeconds(EXPIRES_S),
            entries: List::of(&entries),
        };
        cose::seal_vec(&assignment, &key(DIRECTOR))
    }

    fn entry(&self, seated: &Seated) -> Entry {
        let release = &self.releases[seated.release];
        Entry {
            model: model(),
            version: parsed(release.version),
            statement: Digest::of(&release.statement),
            statement_size: u32::try_from(release.statement.len()).expect("small"),
            role: seated.role,
            since: EpochGeneration::new(1, seated.since),
            settings: Settings::default(),
        }
    }
}

/// Which release has which role, and since which number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seated {
    pub(super) role: Purpose,
    pub(super) release: usize,
    pub(super) since: u64,
}

impl Seated {
    /// A release that serves.
    pub(super) const fn serving(release: usize, since: u64) -> Self {
        Self {
            role: Purpose::Serve,
            release,
            since,
        }
    }

    /// One that runs beside it.
    pub(super) const fn shadow(release: usize, since: u64) -> Self {
        Self {
            role: Purpose::Shadow,
            release,
            since,
        }
    }
}

fn sign<T: muster_protocol::tuf::Document>(document: &T, seed: u8) -> Vec<u8> {
    Envelope::signed_bytes(document, &[&key(seed)]).expect("a document")
}

fn parsed(version: &str) -> Version {
    Version::parse(version).expect("valid")
}

/// A release of this rank: a model of some pieces, a packed golden document, a small reference.
fn release(version: &'static str, rank: u32) -> Release {
    let card = card(version).to_json().expect("a card");
    let golden = golden().to_cbor();
    let parts = [
        (LayerKind::Model, noise(9_000, rank), Compression::Plain),
        (LayerKind::Reference, reference(rank), Compression::Plain),
        (LayerKind::Golden, golden, Compression::Zstd),
    ];
    let (mut layers, mut blobs, mut hashes) = (Vec::new(), BTreeMap::new(), Vec::new());
    for (kind, blob, compression) in parts {
        let sent = match compression {
            Compression::Plain => blob.clone(),
            Compression::Zstd => zstd::encode_all(blob.as_slice(), 3).expect("packs"),
        };
        let layer = Layer {
            kind,
            digest: Digest::of(&sent),
            size: sent.len() as u64,
            compression,
            blob_digest: Digest::of(&blob),
            blob_size: blob.len() as u64,
        };
        let pieces = sent.chunks(PIECE_BYTES_MIN as usize);
        let pieces: Vec<u8> = pieces.flat_map(|piece| Digest::of(piece).0).collect();
        hashes.push((layer.digest, layer.size, pieces));
        layers.push(layer);
        blobs.insert(layer.digest, sent);
    }
    let list = hash_list(&hashes);
    layers.push(Layer::plain(LayerKind::HashList, Descriptor::of(&list)));
    let manifest = Manifest {
        card: Descriptor::of(&card),
        layers,
    };
    let manifest = manifest.to_json(&model(), &parsed(version));
    let bundle = Digest::of(&manifest);
    let statement = statement(version, rank, bundle, manifest.len());
    for document in [card, list, manifest, statement.clone()] {
        blobs.insert(Digest::of(&document), document);
    }
    Release {
        version,
        statement,
        bundle,
        blobs,
    }
}

fn hash_list(hashes: &[(Digest, u64, Vec<u8>)]) -> Vec<u8> {
    let layers = hashes.iter().map(|(digest, size, pieces)| LayerHashes {
        digest: *digest,
        size: *size,
        pieces,
    });
    let layers: Vec<_> = layers.collect();
    cbor::to_vec(&HashList {
        piece_size: PIECE_BYTES_MIN,
        layers: List::of(&layers),
    })
}

fn statement(version: &str, rank: u32, bundle: Digest, manifest_len: usize) -> Vec<u8> {
    let statement = Statement {
        model: model(),
        version: parsed(version),
        rank: Rank(rank),
        bundle,
        manifest_size: u32::try_from(manifest_len).expect("small"),
        class: TargetClass::parse("any").expect("valid"),
        requirements: Requirements {
            peak_memory_bytes: 1 << 20,
            disk_bytes: 1 << 20,
            agent_level: 1,
        },
        issued_at: NOW,
    };
    let payload = cbor::to_vec(&statement);
    let mut scratch = vec![0; cose::scratch_len(payload.len())];
    let signature = cose::sign::<Statement>(&payload, &key(RELEASES), &mut scratch);
    cose::assemble_vec(&payload, &[signature.expect("fits")])
}

fn card(version: &str) -> Card {
    let tensor = |name: &str| CardTensor {
        name: name.to_owned(),
        datatype: "FP32".to_owned(),
        shape: vec![1, 2],
    };
    Card {
        format: FORMAT,
        model: model(),
        version: parsed(version),
        class: TargetClass::parse("any").expect("valid"),
        runtime: Runtime::Onnx,
        operators: vec!["Gemm".to_owned()],
        inputs: vec![tensor("x")],
        outputs: vec![tensor("y")],
        features: vec!["speed".to_owned()],
        golden: CardGolden {
            source: GoldenSource::Own,
            vectors: 1,
            rtol: 0.0,
            atol: 0.0,
        },
        planned_peak_bytes: 1 << 20,
        latency_us_max: None,
        about: None,
        created_by: "a test".to_owned(),
    }
}

fn golden() -> Golden {
    let tensor = |name: &str| Tensor::from_f32(name, vec![1, 2], &[0.5, 0.5]).expect("valid");
    Golden {
        rtol: 0.0,
        atol: 0.0,
        vectors: vec![GoldenVector {
            inputs: vec![tensor("x")],
            outputs: vec![tensor("y")],
        }],
    }
}

fn reference(rank: u32) -> Vec<u8> {
    let (edges, counts) = ([1.0f32.to_bits()], [rank, rank]);
    let feature = FeatureReference {
        name: "speed",
        source: Source::Input,
        tensor: 0,
        element: 0,
        transform: Transform::Identity,
        mean: 0,
        deviation: 1.0f32.to_bits(),
        edges: List::of(&edges),
        counts: List::of(&counts),
        missing: 0,
        limits: None,
        categories: None,
    };
    cbor::to_vec(&Reference {
        rows: u64::from(rank) * 2,
        features: List::of(&[feature]),
        probabilities: None,
        variation: None,
    })
}

/// Bytes that do not pack, always the same.
fn noise(len: usize, seed: u32) -> Vec<u8> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..len).map(|_| next()).collect()
}
