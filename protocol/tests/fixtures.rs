//! The bytes of every document of version 1, as they were committed.
//!
//! A document that is written otherwise, or that a newer or older reader cannot read, fails
//! here. The files never change: a later version gets a folder of its own.

#[path = "fixtures/check.rs"]
mod check;
#[path = "fixtures/item.rs"]
mod item;
#[path = "fixtures/merge.rs"]
mod merge;
#[path = "fixtures/sample.rs"]
mod sample;

use check::{Read, check_bytes, check_growth, check_signed_bytes, committed};
use ed25519_dalek::SigningKey;
use expect_test::{Expect, expect};
use muster_protocol::bundle::reference::Source;
use muster_protocol::bundle::{
    FeatureLimits, FeatureReference, HashList, LayerHashes, Probabilities, Reference, Variation,
};
use muster_protocol::cbor::{self, List};
use muster_protocol::cose::{self, KeySet, Refused, Verified};
use muster_protocol::id::{Epoch, KeySetVersion, Nonce, Rank, Sequence, Version};
use muster_protocol::key::PublicKey;
use muster_protocol::message::enrolment::{EnrolmentReply, EnrolmentRequest};
use muster_protocol::message::renewal::{RenewalOffer, RenewalReply, RenewalRequest};
use muster_protocol::message::{
    Ack, Answer, Assignment, Document, Fetch, FleetKeySet, Gap, GapReason, Health, Hello, Kind,
    MetadataVersions, ModelKeySet, Piece, Place, Provision, RejectReason, Rejected, Requirements,
    Revocation, RevokedBundle, RoleKeys, Show, SignedTime, Statement, StreamState, What,
};
use muster_protocol::stats::Transform;
use muster_protocol::time::Millis;
use muster_protocol::token::Token;
use sample::{BOOT, NONCE, STREAM, UNIX, at, class, device, digest, entries, model, version};

fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

fn public(seed: u8) -> PublicKey {
    key(seed).verifying_key().into()
}

/// Checks a document that travels as it is.
fn check_plain<T: minicbor::Encode<()>>(
    name: &str,
    value: &T,
    reads: impl Fn(&[u8]) -> Read,
    optional: Expect,
) {
    let bytes = cbor::to_vec(value);
    committed(name, &bytes);
    check_bytes(name, &bytes, &reads);
    check_growth(name, &bytes, &reads, &optional);
}

/// Checks a document that one key signs: its envelope, then what is in it.
fn check_signed<'v, T: cose::Document<'v>>(
    name: &str,
    value: &T,
    opens: impl Fn(&[u8], KeySet<'_>) -> Read,
    reads: impl Fn(&[u8]) -> Read,
    optional: Expect,
) {
    let signed = cose::seal_vec(value, &key(1));
    committed(name, &signed);
    let keys = [public(1)];
    check_signed_bytes(name, &signed, &|bytes: &[u8]| {
        opens(
            bytes,
            KeySet {
                keys: &keys,
                threshold: 1,
            },
        )
    });
    let payload = cbor::to_vec(value);
    check_bytes(name, &payload, &reads);
    check_growth(name, &payload, &reads, &optional);
}

/// Checks a document that two keys sign.
fn check_many<'v, T: cose::Document<'v>>(
    name: &str,
    value: &T,
    opens: impl Fn(&[u8], KeySet<'_>) -> Read,
    reads: impl Fn(&[u8]) -> Read,
    optional: Expect,
) {
    let payload = cbor::to_vec(value);
    let mut scratch = [0; 1024];
    let signatures = [1, 2].map(|seed| cose::sign::<T>(&payload, &key(seed), &mut scratch));
    let signed = cose::assemble_vec(&payload, &signatures.map(|signed| signed.expect("fits")));
    committed(name, &signed);
    let keys = [public(1), public(2)];
    check_signed_bytes(name, &signed, &|bytes: &[u8]| {
        opens(
            bytes,
            KeySet {
                keys: &keys,
                threshold: 2,
            },
        )
    });
    check_bytes(name, &payload, &reads);
    check_growth(name, &payload, &reads, &optional);
}

fn open<'b, T: cose::Document<'b>>(bytes: &'b [u8], keys: KeySet<'_>) -> Result<T, Refused> {
    let mut scratch = vec![0; cose::scratch_len(bytes.len())];
    cose::open(bytes, keys, &mut scratch).map(Verified::into_inner)
}

#[test]
fn statement() {
    let value = Statement {
        model: model(),
        version: version(),
        rank: Rank(7),
        bundle: digest(0x71),
        manifest_size: 1234,
        class: class(),
        requirements: Requirements {
            peak_memory_bytes: 90_000_000,
            disk_bytes: 5_000_000_000,
            agent_level: 1,
        },
        issued_at: UNIX,
    };
    check_many(
        "statement",
        &value,
        |bytes, keys| Read::of(open(bytes, keys), &value),
        |bytes| Read::of(cbor::decode(bytes), &value),
        expect![[""]],
    );
}

#[test]
fn assignment() {
    let entries = entries();
    let value = Assignment {
        device: device(),
        at: at(70_001),
        issued_at: UNIX,
        accept_by: UNIX.plus_days(7),
        entries: List::of(&entries),
    };
    check_signed(
        "assignment",
        &value,
        |bytes, keys| Read::of(open(bytes, keys), &value),
        |bytes| Read::of(cbor::decode(bytes), &value),
        expect![[r#"
            4.0.6
            4.0.6.0
            4.0.6.1
            4.0.6.2
            4.1.6
        "#]],
    );
}

#[test]
fn assignment_with_a_shadow() {
    let [entry, _] = entries();
    let entries = [entry, sample::entry_of_a_shadow()];
    let value = Assignment {
        device: device(),
        at: at(70_001),
        issued_at: UNIX,
        accept_by: UNIX.plus_days(7),
        entries: List::of(&entries),
    };
    check_signed(
        "assignment-shadow",
        &value,
        |bytes, keys| Read::of(open(bytes, keys), &value),
        |bytes| Read::of(cbor::decode(bytes), &value),
        expect![[r#"
            4.0.6
            4.0.6.0
            4.0.6.1
            4.0.6.2
            4.1.6
            4.1.6.3
            4.1.6.3.0
            4.1.6.3.1
        "#]],
    );
}

fn second_place() -> Place {
    Place {
        version: KeySetVersion(2),
        predecessor: Some(digest(0x78)),
    }
}

#[test]
fn fleet_key_set() {
    let keys = [public(3), public(4)];
    let value = FleetKeySet {
        place: second_place(),
        issued_at: UNIX,
        epoch: Epoch(3),
        director: RoleKeys {
            keys: List::of(&keys),
            threshold: 1,
        },
        ack: List::of(&keys[..1]),
        time: List::of(&keys[1..]),
    };
    check_many(
        "fleet-key-set",
        &value,
        |bytes, keys| Read::of(open(bytes, keys), &value),
        |bytes| Read::of(cbor::decode(bytes), &value),
        expect![[r#"
            0.1
        "#]],
    );
}

#[test]
fn model_key_set() {
    let keys = [public(5), public(6), public(7)];
    let revoked = [Revocation::Stop, Revocation::Fallback].map(|action| RevokedBundle {
        bundle: digest(0x79),
        action,
    });
    let value = ModelKeySet {
        place: second_place(),
        issued_at: UNIX,
        model: model(),
        release: RoleKeys {
            keys: List::of(&keys),
            threshold: 2,
        },
        floor: Rank(7),
        revoked: List::of(&revoked),
    };
    check_many(
        "model-key-set",
        &value,
        |bytes, keys| Read::of(open(bytes, keys), &value),
        |bytes| Read::of(cbor::decode(bytes), &value),
        expect![[r#"
            5
            0.1
        "#]],
    );
}

#[test]
fn provision() {
    let keys = [public(1), public(2)];
    let value = Provision {
        device: device(),
        class: class(),
        targets: RoleKeys {
            keys: List::of(&keys),
            threshold: 2,
        },
        nonce: NONCE,
    };
    check_plain(
        "provision",
        &value,
        |bytes| Read::of(cbor::decode(bytes), &value),
        expect![[""]],
    );
}

fn check_document(name: &str, value: &Document<'_>, optional: Expect) {
    check_signed(
        name,
        value,
        |bytes, keys| Read::of(open(bytes, keys), value),
        |bytes| Read::of(cbor::decode(bytes), value),
        optional,
    );
}

#[test]
fn document_with_receipt() {
    let value = Document {
        receipt: Some(sample::receipt()),
        ..sample::document()
    };
    check_document(
        "document-receipt",
        &value,
        expect![[r#"
        4
        4.2
        4.6
        4.7
        4.9
        4.10
        4.10.0
        4.10.1
        4.10.2
        4.10.3
        4.10.4
    "#]],
    );
}

#[test]
fn document_with_a_receipt_of_a_shadow() {
    let value = Document {
        receipt: Some(sample::receipt_of_a_shadow()),
        ..sample::document()
    };
    check_document(
        "document-receipt-shadow",
        &value,
        expect![[r#"
        4
        4.2
        4.9
        4.10
        4.11
        4.10.0
        4.10.1
        4.10.2
        4.10.3
        4.10.4
    "#]],
    );
}

#[test]
fn document_with_window() {
    let features = sample::features();
    let value = Document {
        window: Some(sample::window(&features)),
        ..sample::document()
    };
    check_document(
        "document-window",
        &value,
        expect![[r#"
        5
        5.3
        5.6
        5.9
        5.10
        5.11
        5.11.0.1
        5.11.0.2
        5.11.0.3
        5.11.1.1
        5.11.1.2
        5.11.1.3
    "#]],
    );
}

#[test]
fn document_with_a_window_that_counts_misses() {
    let features = sample::features();
    let value = Document {
        window: Some(sample::window_with_misses(&features)),
        ..sample::document()
    };
    check_document(
        "document-window-misses",
        &value,
        expect![[r#"
            5
            5.3
            5.6
            5.9
            5.10
            5.11
            5.12
            5.11.0.1
            5.11.0.2
            5.11.0.3
            5.11.1.1
            5.11.1.2
            5.11.1.3
        "#]],
    );
}

#[test]
fn document_with_a_window_of_a_shadow() {
    let features = sample::features();
    let value = Document {
        window: Some(sample::window_of_a_shadow(&features)),
        ..sample::document()
    };
    check_document(
        "document-window-shadow",
        &value,
        expect![[r#"
        5
        5.3
        5.6
        5.9
        5.10
        5.11
        5.12
        5.13
        5.11.0.1
        5.11.0.2
        5.11.0.3
        5.11.1.1
        5.11.1.2
        5.11.1.3
        5.13.3
        5.13.4
        5.13.5
    "#]],
    );
}

#[test]
fn document_with_a_window_of_a_classifier() {
    let features = sample::features();
    let value = Document {
        window: Some(sample::window_of_a_classifier(&features)),
        ..sample::document()
    };
    check_document(
        "document-window-scores",
        &value,
        expect![[r#"
        5
        5.3
        5.6
        5.9
        5.10
        5.11
        5.14
        5.15
        5.11.0.1
        5.11.0.2
        5.11.0.3
        5.11.1.1
        5.11.1.2
        5.11.1.3
        5.14.1
        5.14.2
        5.15.0
        5.15.1
        5.15.2
    "#]],
    );
}

#[test]
fn document_with_a_window_of_values_that_repeat() {
    let features = sample::features_that_repeat();
    let value = Document {
        window: Some(sample::window(&features)),
        ..sample::document()
    };
    check_document(
        "document-window-repeats",
        &value,
        expect![[r#"
            5
            5.3
            5.6
            5.9
            5.10
            5.11
            5.11.0.1
            5.11.0.2
            5.11.0.3
            5.11.0.6
            5.11.0.7
        "#]],
    );
}

#[test]
fn document_with_gap() {
    let gap = Gap {
        model: Some(model()),
        reason: GapReason::Damaged,
        closed_windows: 3,
        calls: 5000,
    };
    let value = Document {
        gap: Some(gap),
        ..sample::document()
    };
    check_document(
        "document-gap",
        &value,
        expect![[r#"
        6
        6.0
    "#]],
    );
}

#[test]
fn hello() {
    let streams = [
        StreamState {
            kind: Kind::Receipts,
            id: STREAM,
            first_kept: Sequence(40),
            next: Sequence(42),
            predecessor: Some(muster_protocol::id::StreamId([0x50; 8])),
        },
        StreamState {
            kind: Kind::Windows,
            id: STREAM,
            first_kept: Sequence(1),
            next: Sequence(1),
            predecessor: None,
        },
    ];
    let value = Hello {
        device: device(),
        accepted: Some(at(70_001)),
        assignment: Some(digest(0x72)),
        metadata: MetadataVersions {
            root: 1,
            timestamp: 300,
            snapshot: 20,
            targets: 5,
            fleet: 4,
        },
        streams: List::of(&streams),
        nonce: NONCE,
        agent: Version::parse("0.1.0").expect("valid"),
        boot: BOOT,
        at: Millis(999),
        health: Health {
            memory_bytes: Some(8_000_000_000),
            memory_available_bytes: Some(3_000_000_000),
            disk_free_bytes: Some(64_000_000),
            load_milli: Some(1500),
            temperature_milli_celsius: Some(-4250),
            uptime_s: Some(86_400),
        },
        challenge: Some(Nonce([0x54; 16])),
    };
    check_signed(
        "hello",
        &value,
        |bytes, keys| Read::of(open(bytes, keys), &value),
        |bytes| Read::of(cbor::decode(bytes), &value),
        expect![[r#"
            1
            2
            9
            10
            4.0.4
            9.0
            9.1
            9.2
            9.3
            9.4
            9.5
        "#]],
    );
}

fn blob() -> What<'static> {
    What::Blob {
        digest: digest(0x73),
        index: 17,
        piece_size: 65_536,
    }
}

fn metadata(version: Option<u64>) -> What<'static> {
    What::Metadata {
        role: "models/bearing",
        version,
        offset: 98_304,
    }
}

fn check_fetch(name: &str, what: What<'static>, optional: Expect) {
    let value = Fetch {
        device: device(),
        what,
        count: 8,
    };
    check_signed(
        name,
        &value,
        |bytes, keys| Read::of(open(bytes, keys), &value),
        |bytes| Read::of(cbor::decode(bytes), &value),
        optional,
    );
}

#[test]
fn fetch() {
    check_fetch("fetch-metadata", metadata(Some(12)), expect![[""]]);
    check_fetch("fetch-metadata-latest", metadata(None), expect![[""]]);
    check_fetch("fetch-blob", blob(), expect![[""]]);
}

fn check_piece(name: &str, what: What<'static>, answer: Answer<'static>) {
    let value = Piece { what, answer };
    check_plain(
        name,
        &value,
        |bytes| Read::of(cbor::decode(bytes), &value),
        expect![[""]],
    );
}

#[test]
fn piece() {
    let answer = Answer::Bytes {
        total: 5_000_000,
        bytes: b"a piece of a blob",
    };
    check_piece("piece-bytes", blob(), answer);
    check_piece("piece-not-found", metadata(None), Answer::NotFound);
}

#[test]
fn ack() {
    let rejected = [
        Rejected {
            sequence: Sequence(39),
            reason: RejectReason::UnknownBody,
        },
        Rejected {
            sequence: Sequence(41),
            reason: RejectReason::WrongStream,
        },
    ];
    let value = Ack {
        device: device(),
        stream: STREAM,
        through: Sequence(41),
        rejected: List::of(&rejected),
    };
    check_signed(
        "ack",
        &value,
        |bytes, keys| Read::of(open(bytes, keys), &value),
        |bytes| Read::of(cbor::decode(bytes), &value),
        expect![[r#"
            3
        "#]],
    );
}

#[test]
fn signed_time() {
    let value = SignedTime {
        device: device(),
        nonce: NONCE,
        unix: UNIX,
        epoch: Epoch(3),
        challenge: Some(Nonce([0x54; 16])),
        show: None,
    };
    check_signed(
        "signed-time",
        &value,
        |bytes, keys| Read::of(open(bytes, keys), &value),
        |bytes| Read::of(cbor::decode(bytes), &value),
        expect![[r#"
            4
        "#]],
    );
}

#[test]
fn signed_time_that_asks_for_the_assignment() {
    let value = SignedTime {
        device: device(),
        nonce: NONCE,
        unix: UNIX,
        epoch: Epoch(3),
        challenge: None,
        show: Some(Show::Assignment),
    };
    check_signed(
        "signed-time-show",
        &value,
        |bytes, keys| Read::of(open(bytes, keys), &value),
        |bytes| Read::of(cbor::decode(bytes), &value),
        expect![[r#"
            5
        "#]],
    );
}

#[test]
fn enrolment_request() {
    let value = EnrolmentRequest {
        device: device(),
        secret: &[0x55; 16],
        document_key: public(1),
        certificate_request: b"a certificate request",
    };
    check_signed(
        "enrolment-request",
        &value,
        |bytes, keys| Read::of(open(bytes, keys), &value),
        |bytes| Read::of(cbor::decode(bytes), &value),
        expect![[""]],
    );
}

#[test]
fn enrolment_reply() {
    let value = EnrolmentReply {
        certificate_chain: "a certificate and its intermediate",
        ca_certificate: "the certificate of the CA",
        root: b"{}",
        broker: "mqtts://fleet.example:8883",
        topic_prefix: "muster/v1",
    };
    check_plain(
        "enrolment-reply",
        &value,
        |bytes| Read::of(cbor::decode(bytes), &value),
        expect![[""]],
    );
}

#[test]
fn renewal_offer() {
    let value = RenewalOffer {
        nonce: Nonce([0x66; 16]),
        ca: digest(0x75),
    };
    check_plain(
        "renewal-offer",
        &value,
        |bytes| Read::of(cbor::decode(bytes), &value),
        expect![[""]],
    );
}

#[test]
fn renewal_request() {
    let value = RenewalRequest {
        device: device(),
        nonce: Nonce([0x66; 16]),
        ca: digest(0x75),
        certificate_request: b"a certificate request",
    };
    check_signed(
        "renewal-request",
        &value,
        |bytes, keys| Read::of(open(bytes, keys), &value),
        |bytes| Read::of(cbor::decode(bytes), &value),
        expect![[""]],
    );
}

#[test]
fn renewal_reply() {
    let value = RenewalReply {
        certificate_chain: "a certificate and its intermediate",
    };
    check_plain(
        "renewal-reply",
        &value,
        |bytes| Read::of(cbor::decode(bytes), &value),
        expect![[""]],
    );
}

#[test]
fn token() {
    let value = Token {
        url: "https://fleet.example:8443".into(),
        root: digest(0x74),
        ca: digest(0x75),
        device: device(),
        secret: [0x55; 16],
        expires: UNIX,
    };
    let text = value.to_string();
    committed("token", text.as_bytes());
    let reads = |bytes: &[u8]| Read::of(cbor::decode(bytes), &value);
    let payload = cbor::to_vec(&value);
    check_bytes("token", &payload, &reads);
    check_growth("token", &payload, &reads, &expect![[""]]);
    assert_eq!(text.parse(), Ok(value));
}

#[test]
fn hash_list() {
    let pieces: Vec<u8> = (0..64).collect();
    let layers = [
        LayerHashes {
            digest: digest(0x76),
            size: 70_000,
            pieces: &pieces,
        },
        LayerHashes {
            digest: digest(0x77),
            size: 9,
            pieces: &pieces[..32],
        },
    ];
    let value = HashList {
        piece_size: 65_536,
        layers: List::of(&layers),
    };
    assert_eq!(value.check(), Ok(()));
    check_plain(
        "hash-list",
        &value,
        |bytes| Read::of(cbor::decode(bytes), &value),
        expect![[""]],
    );
}

#[test]
fn reference() {
    let edges = [-0.5_f32, 0.0, 2.5].map(f32::to_bits);
    let feature = FeatureReference {
        name: "b1 · kurtosis",
        source: Source::Output,
        tensor: 1,
        element: 300,
        transform: Transform::SignedLog,
        mean: 0.25_f32.to_bits(),
        deviation: 1.5_f32.to_bits(),
        edges: List::of(&edges),
        counts: List::of(&[10, 20, 30, 40]),
        missing: 2,
        limits: None,
        categories: None,
    };
    let features = [feature];
    let value = Reference {
        rows: 102,
        features: List::of(&features),
        probabilities: None,
        variation: None,
    };
    assert!(feature.scale().is_ok());
    check_plain(
        "reference",
        &value,
        |bytes| Read::of(cbor::decode(bytes), &value),
        expect![[""]],
    );
}

#[test]
fn reference_of_a_classifier() {
    let probabilities = Probabilities {
        tensor: 1,
        scores: 2,
        positive: Some(0),
        counts: sample::scores(),
        labels: List::of(&sample::LABELS),
        edges: List::of(&[300, 32_768, 65_000]),
    };
    let value = Reference {
        rows: 1103,
        features: List::default(),
        probabilities: Some(probabilities),
        variation: None,
    };
    assert!(probabilities.scale().is_ok());
    check_plain(
        "reference-probabilities",
        &value,
        |bytes| Read::of(cbor::decode(bytes), &value),
        expect![[r#"
            8
            8.2
            8.4
            8.3.1
            8.3.2
        "#]],
    );
}

#[test]
fn reference_with_limits_and_categories() {
    let categories = [-1.0_f32, 0.0, 7.0].map(f32::to_bits);
    let limits = FeatureLimits {
        mean: Some(0.125_f32.to_bits()),
        distance: Some(0.75_f32.to_bits()),
        spread_low: Some(0.5_f32.to_bits()),
        spread_high: Some(2.5_f32.to_bits()),
        absent: 0.01_f32.to_bits(),
        out_of_range: 0.02_f32.to_bits(),
        repeats: 0.03_f32.to_bits(),
        longest_run: 300,
    };
    let feature = FeatureReference {
        name: "mode",
        source: Source::Input,
        tensor: 0,
        element: 3,
        transform: Transform::Identity,
        mean: 0.5_f32.to_bits(),
        deviation: 1.25_f32.to_bits(),
        edges: List::default(),
        counts: List::of(&[10, 20, 30, 40]),
        missing: 2,
        limits: Some(limits),
        categories: Some(List::of(&categories)),
    };
    let features = [feature];
    let variation = Variation {
        block_rows: 20,
        blocks: 9,
        false_alarm: 1e-8_f64.to_bits(),
    };
    let value = Reference {
        rows: 190,
        features: List::of(&features),
        variation: Some(variation),
        probabilities: None,
    };
    assert!(feature.scale().is_ok());
    assert!(
        feature
            .limits(value.variation)
            .is_ok_and(|limits| limits.is_some())
    );
    check_plain(
        "reference-limits",
        &value,
        |bytes| Read::of(cbor::decode(bytes), &value),
        expect![[r#"
            2
            1.0.10
            1.0.11
            1.0.10.0
            1.0.10.1
            1.0.10.2
            1.0.10.3
        "#]],
    );
}
