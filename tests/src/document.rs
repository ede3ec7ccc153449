//! Documents as a device signs them, for tests that speak in its place.

use crate::cli;
use crate::device::Device;
use crate::fleet::Fleet;
use ed25519_dalek::SigningKey;
use muster_protocol::cbor::List;
use muster_protocol::digest::{Digest, decode_hex};
use muster_protocol::id::{
    BootId, DeviceId, EpochGeneration, ModelId, Nonce, Sequence, StreamId, Version,
};
use muster_protocol::message::{
    Ack, Answer, Document, Fetch, Health, Hello, Measured, MetadataVersions, Piece, Reason,
    Receipt, Step, What,
};
use muster_protocol::time::Millis;
use muster_protocol::{cbor, cose};
use std::fs;
use std::path::Path;
use std::process::Command;

/// The key that signs a device's documents, from its state folder.
///
/// # Panics
/// When there is none.
pub fn key(state: &Path) -> SigningKey {
    let folder = fs::read_dir(state.join("identity")).expect("an identity");
    let files = folder.map(|entry| entry.expect("an entry").path());
    let text = files.filter_map(|path| fs::read_to_string(path).ok());
    let hex = text.filter_map(|text| {
        text.strip_prefix("muster ed25519 private key 1\n")
            .map(|hex| hex.trim().to_owned())
    });
    let mut seed = [0; 32];
    decode_hex(&hex.last().expect("a document key"), &mut seed).expect("64 digits");
    SigningKey::from_bytes(&seed)
}

/// A signed request for the first piece of a blob.
///
/// # Panics
/// When the id is none.
pub fn fetch(device: &str, key: &SigningKey, digest: Digest) -> Vec<u8> {
    let device = DeviceId::parse(device).expect("a valid id");
    let what = What::Blob {
        digest,
        index: 0,
        piece_size: 96 * 1024,
    };
    cose::seal_vec(
        &Fetch {
            device,
            what,
            count: 1,
        },
        key,
    )
}

/// A signed receipt, the first document of a stream: `model` was refused because of `detail`.
///
/// # Panics
/// When an id is none.
pub fn refusal(
    device: &str,
    key: &SigningKey,
    (model, version): (&str, &str),
    detail: &str,
) -> Vec<u8> {
    let since = EpochGeneration::new(1, 1);
    let receipt = Receipt {
        model: ModelId::parse(model).expect("a valid id"),
        version: Version::parse(version).expect("a valid version"),
        bundle: None,
        since,
        accepted: since,
        step: Step::Refused,
        reason: Some(Reason::Load),
        detail: Some(detail),
        at: Millis(0),
        unix: None,
        measured: Measured::default(),
        role: None,
    };
    let document = Document {
        device: DeviceId::parse(device).expect("a valid id"),
        stream: StreamId([7; 8]),
        sequence: Sequence(1),
        boot: BootId([7; 8]),
        receipt: Some(receipt),
        window: None,
        gap: None,
    };
    cose::seal_vec(&document, key)
}

/// An acknowledgement of everything that a device may ever say in a stream, signed by `key`.
///
/// # Panics
/// When the id is none.
pub fn acknowledgement(device: &str, key: &SigningKey, stream: StreamId) -> Vec<u8> {
    let ack = Ack {
        device: DeviceId::parse(device).expect("a valid id"),
        stream,
        through: Sequence(u64::MAX),
        rejected: List::default(),
    };
    cose::seal_vec(&ack, key)
}

/// What a `down/piece` says of a blob: `Some(bytes)`, or `None` for `not_found`.
pub fn piece_of(message: &[u8], digest: Digest) -> Option<Option<Vec<u8>>> {
    let piece = cbor::decode::<Piece<'_>>(message).ok()?;
    if !matches!(piece.what, What::Blob { digest: of, .. } if of == digest) {
        return None;
    }
    Some(match piece.answer {
        Answer::NotFound => None,
        Answer::Bytes { bytes, .. } => Some(bytes.to_vec()),
    })
}

/// What a hello says of a device.
#[derive(Debug, Clone, Copy)]
pub struct Said {
    /// Epoch and generation of the assignment that it accepted.
    pub accepted: Option<(u64, u64)>,
    /// What it repeats.
    pub challenge: Option<[u8; 16]>,
}

/// A signed hello.
///
/// # Panics
/// When the id is none.
pub fn hello(device: &str, key: &SigningKey, said: Said) -> Vec<u8> {
    let accepted = said.accepted;
    let hello = Hello {
        device: DeviceId::parse(device).expect("a valid id"),
        accepted: accepted.map(|(epoch, generation)| EpochGeneration::new(epoch, generation)),
        assignment: accepted.map(|_| Digest([1; 32])),
        metadata: MetadataVersions::default(),
        streams: List::default(),
        nonce: Nonce([2; 16]),
        agent: Version::parse("0.1.0").expect("valid"),
        boot: BootId([3; 8]),
        at: Millis(4),
        health: Health::default(),
        challenge: said.challenge.map(Nonce),
    };
    cose::seal_vec(&hello, key)
}

/// Says something in the place of a device that does not run, with its certificate; it is heard
/// when this returns.
///
/// # Panics
/// When the broker does not take it.
pub fn publish(fleet: &Fleet, device: &Device, channel: &str, payload: &[u8]) {
    let file = fleet.folder().join("payload");
    fs::write(&file, payload).expect("the disk takes it");
    let identity = device.state().join("identity");
    let (port, id) = (fleet.broker().port().to_string(), &device.id);
    let mut command = Command::new("mosquitto_pub");
    command.args([
        "-h",
        "localhost",
        "-p",
        &port,
        "-i",
        id,
        "-q",
        "1",
        "-V",
        "mqttv311",
    ]);
    command
        .arg("--cafile")
        .arg(fleet.home().join("controller/ca-root.pem"));
    command.arg("--cert").arg(identity.join("chain.pem"));
    command.arg("--key").arg(identity.join("tls.key"));
    let topic = format!("muster/v1/{id}/{channel}");
    cli::run(command.args(["-t", &topic, "-f"]).arg(file)).ok();
}
