//! Writes the first corpus: the committed documents of version 1, and samples of what is JSON.
//!
//! `cargo run --example seeds`, in `protocol/fuzz`. Never removes anything; fuzzing and
//! `cargo fuzz cmin` make of it what is committed.

#[path = "seeds/bundle.rs"]
mod bundle;
#[path = "seeds/machines.rs"]
mod machines;

use minicbor::Decoder;
use std::path::{Path, PathBuf};

/// Fixture and number of its kind in `messages`.
const KINDS: [(&str, u8); 21] = [
    ("assignment", 0),
    ("statement", 1),
    ("ack", 2),
    ("hello", 3),
    ("fetch-blob", 4),
    ("fetch-metadata", 4),
    ("fetch-metadata-latest", 4),
    ("piece-bytes", 5),
    ("piece-not-found", 5),
    ("document-receipt", 6),
    ("document-window", 6),
    ("document-window-misses", 6),
    ("document-gap", 6),
    ("signed-time", 7),
    ("signed-time-show", 7),
    ("fleet-key-set", 8),
    ("model-key-set", 9),
    ("provision", 10),
    ("enrolment-request", 11),
    ("enrolment-reply", 12),
    ("token", 13),
];

fn main() {
    for (name, kind) in KINDS {
        let bytes = fixture(name);
        let payload = payload(&bytes);
        put("messages", name, &[&[kind], payload]);
        put("messages", &format!("{name}-signed"), &[&[kind], &bytes]);
        put("cbor", name, &[payload]);
        put("cbor", &format!("{name}-signed"), &[&bytes]);
        cose(name, &bytes, payload);
    }
    for (name, kind) in [("hash-list", 1), ("reference", 4)] {
        put("bundle", name, &[&[kind], &fixture(name)]);
    }
    for (name, kind, bytes) in bundle::samples() {
        put("bundle", name, &[&[kind], &bytes]);
    }
    text();
    for (target, name, bytes) in machines::samples() {
        put(target, &name, &[&bytes]);
    }
}

fn cose(name: &str, signed: &[u8], payload: &[u8]) {
    for many in [0, 1] {
        put("cose", &format!("{name}-{many}"), &[&[0, many], signed]);
        put(
            "cose",
            &format!("{name}-{many}-flipped"),
            &[&[1, many, 1, 7], payload],
        );
        put(
            "cose",
            &format!("{name}-{many}-cut"),
            &[&[2, many, 0, 90], payload],
        );
        put(
            "cose",
            &format!("{name}-{many}-others"),
            &[&[3, many, 0b11_10_01], payload],
        );
    }
}

fn text() {
    let token = fixture("token");
    put("text", "token", &[&token]);
    for (name, text) in [
        ("up", "muster/v1/press-07/up/hello"),
        ("down", "muster/v1/press-07/down/assignment"),
        ("site", "site/7/press-07/up/doc"),
        ("id", "press-07"),
        ("version", "1.20.3-rc.1"),
        (
            "digest",
            "sha256:7171717171717171717171717171717171717171717171717171717171717171",
        ),
    ] {
        put("text", name, &[text.as_bytes()]);
    }
}

fn fixture(name: &str) -> Vec<u8> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/data/v1");
    std::fs::read(folder.join(format!("{name}.bin"))).expect("committed")
}

/// What is signed, or all of it when nothing is.
fn payload(bytes: &[u8]) -> &[u8] {
    let mut d = Decoder::new(bytes);
    let mut inner = || {
        d.tag()?;
        d.array()?;
        d.bytes()?;
        d.map()?;
        d.bytes()
    };
    inner().unwrap_or(bytes)
}

fn put(target: &str, name: &str, parts: &[&[u8]]) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("corpus")
        .join(target);
    std::fs::create_dir_all(&folder).expect("the folder is writable");
    std::fs::write(folder.join(name), parts.concat()).expect("the folder is writable");
}
