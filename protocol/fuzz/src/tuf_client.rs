//! The client workflow over a repository of which any document may be hostile: cut, edited,
//! under another role's name, or signed by the right keys with hostile content.
//!
//! What is refused changes nothing, and no trusted version ever goes back.

use super::reader::Reader;
use super::repository::{self, File, NOW_S, TARGET};
use muster_protocol::tuf::{Envelope, Expiry, Role, Search, Stored, Trusted, Unjudged, Update};
use serde_json::Value;
use std::sync::OnceLock;

/// Steps of one input.
const STEPS_MAX: usize = 12;

/// A trusted root, then steps as the bytes say.
pub fn tuf_client(data: &[u8]) {
    static FILES: OnceLock<Vec<File>> = OnceLock::new();
    let files = FILES.get_or_init(repository::files);
    let mut input = Reader::new(data);
    let mut trusted = Trusted::from_root(&files[0].bytes).expect("a valid root");
    let mut steps = 0;
    while !input.is_empty() && steps < STEPS_MAX {
        step(&mut trusted, files, &mut input);
        steps += 1;
    }
    restore(&files[0].bytes, &mut input);
}

fn step(trusted: &mut Trusted, files: &[File], input: &mut Reader<'_>) {
    let (what, which) = (input.byte(), input.byte());
    let file = &files[usize::from(which) % files.len()];
    match what % 8 {
        0 => offer(trusted, &file.role, &file.bytes, expiry(input)),
        1 => {
            let spliced = spliced(&file.bytes, input);
            offer(trusted, &file.role, &spliced, expiry(input));
        }
        2 => {
            let other = &files[usize::from(input.byte()) % files.len()].role;
            offer(trusted, other, &file.bytes, expiry(input));
        }
        3 => signed_offer(trusted, &file.role, value(input.bytes()), input),
        4 => {
            let edited = edited(&file.bytes, input);
            signed_offer(trusted, &file.role, Some(edited), input);
        }
        5 => search(trusted, input),
        6 => drop(trusted.finish_root(expiry(input))),
        _ => in_order(trusted, files, input),
    }
}

/// Everything as it should be, up to where the input says.
fn in_order(trusted: &mut Trusted, files: &[File], input: &mut Reader<'_>) {
    let (first, count) = (input.byte() % 2 * 5, input.byte() % 6);
    for file in files.iter().skip(first.into()).take(count.into()) {
        let expiry = Expiry::Enforced { now_s: NOW_S };
        offer(trusted, &file.role, &file.bytes, expiry);
    }
}

/// Content signed by the keys that its role should have.
fn signed_offer(trusted: &mut Trusted, role: &Role, signed: Option<Value>, input: &mut Reader<'_>) {
    let Some(signed) = signed else { return };
    let envelope = Envelope {
        signatures: Vec::new(),
        signed,
    };
    if let Some(bytes) = repository::signed(envelope, repository::signers(role)) {
        offer(trusted, role, &bytes, expiry(input));
    }
}

/// Offers a document and checks what became of the trust.
fn offer(trusted: &mut Trusted, role: &Role, bytes: &[u8], expiry: Expiry) {
    let before = trusted.clone();
    let result = match role {
        Role::Root => trusted.update_root(bytes),
        Role::Timestamp => trusted.update_timestamp(bytes, expiry),
        Role::Snapshot => trusted.update_snapshot(bytes, expiry),
        Role::Targets => trusted.update_targets(bytes, expiry),
        Role::Delegated(name) => trusted.update_delegated(&Role::Targets, name, bytes, expiry),
    };
    match result {
        Err(refused) => {
            assert_eq!(*trusted, before, "refused ({refused}), yet changed");
        }
        Ok(Update::Unchanged) => assert_eq!(versions(trusted), versions(&before)),
        Ok(Update::Accepted) => assert!(
            versions(trusted) >= versions(&before),
            "a version went back"
        ),
        Ok(Update::AcceptedAndOnlineForgotten) => {
            assert!(trusted.root().version() > before.root().version());
            assert!(trusted.timestamp().is_none() && trusted.snapshot().is_none());
        }
    }
}

/// Of root and timestamp, in this order.
fn versions(trusted: &Trusted) -> (u64, u64) {
    let timestamp = trusted.timestamp().map_or(0, |signed| signed.version());
    (trusted.root().version(), timestamp)
}

fn expiry(input: &mut Reader<'_>) -> Expiry {
    match input.byte() % 4 {
        0 => Expiry::Ignored(Unjudged::UntrustedTime),
        1 => Expiry::Enforced { now_s: input.u64() },
        _ => Expiry::Enforced { now_s: NOW_S },
    }
}

fn search(trusted: &Trusted, input: &mut Reader<'_>) {
    let path = input.bytes();
    let path = std::str::from_utf8(path)
        .ok()
        .filter(|path| !path.is_empty());
    let path = path.unwrap_or(TARGET);
    if let Ok(Search::Needs(wanted)) = trusted.search(path, expiry(input)) {
        assert!(wanted.bytes_max <= wanted.role.bytes_max());
        assert!(wanted.file_name.ends_with(".json"));
    }
    assert_eq!(trusted.target(path).is_some(), found(trusted, path));
}

fn found(trusted: &Trusted, path: &str) -> bool {
    let expiry = Expiry::Ignored(Unjudged::AlreadyAccepted);
    matches!(trusted.search(path, expiry), Ok(Search::Found { .. }))
}

/// Whatever lies on the disk, a device starts with the root that it has.
fn restore(root: &[u8], input: &mut Reader<'_>) {
    if input.is_empty() {
        return;
    }
    let [timestamp, snapshot, targets, model] = [(); 4].map(|()| input.bytes());
    let delegated = [("models/bearing", model)];
    let restored = Trusted::restore(Stored {
        root,
        timestamp: Some(timestamp),
        snapshot: Some(snapshot),
        targets: Some(targets),
        delegated: &delegated,
    });
    assert!(restored.is_ok_and(|restored| restored.dropped.len() <= 4));
}

/// The file with a part of it replaced.
fn spliced(bytes: &[u8], input: &mut Reader<'_>) -> Vec<u8> {
    let start = usize::from(input.u16()) % bytes.len();
    let end = (start + usize::from(input.byte())).min(bytes.len());
    [&bytes[..start], input.bytes(), &bytes[end..]].concat()
}

fn value(bytes: &[u8]) -> Option<Value> {
    serde_json::from_slice(bytes).ok()
}

/// The signed part of the file with one value in it replaced or removed.
fn edited(bytes: &[u8], input: &mut Reader<'_>) -> Value {
    let envelope = Envelope::parse(&Role::Targets, bytes).expect("a valid document");
    let mut signed = envelope.signed;
    let nodes = count(&signed);
    for _ in 0..=input.byte() % 3 {
        let at = usize::from(input.u16()) % nodes;
        let new = match input.byte() % 4 {
            0 => Value::from(input.u64()),
            1 => Value::Null,
            2 => Value::from(String::from_utf8_lossy(input.bytes())),
            _ => value(input.bytes()).unwrap_or_default(),
        };
        replace(&mut signed, at, &mut 0, &new);
    }
    signed
}

fn count(value: &Value) -> usize {
    let inner: usize = match value {
        Value::Array(items) => items.iter().map(count).sum(),
        Value::Object(fields) => fields.values().map(count).sum(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
    };
    inner + 1
}

/// Replaces the value that is number `at` when all are counted from the outside in.
fn replace(value: &mut Value, at: usize, next: &mut usize, new: &Value) {
    if *next == at {
        *value = new.clone();
    }
    *next += 1;
    match value {
        _ if *next > at => {}
        Value::Array(items) => items
            .iter_mut()
            .for_each(|item| replace(item, at, next, new)),
        Value::Object(fields) => fields
            .values_mut()
            .for_each(|field| replace(field, at, next, new)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
