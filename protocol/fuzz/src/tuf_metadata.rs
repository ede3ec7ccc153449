//! Signed metadata and `fleet.json`: what is read is written as JSON and read again the same.
//!
//! Verifies nothing: that is `tuf_client`.

use super::reader::Reader;
use muster_protocol::tuf::author::read_unverified;
use muster_protocol::tuf::{
    Delegation, Document, Envelope, FleetDocument, Role, Root, Snapshot, Targets, Timestamp,
    canonical_bytes, date_time,
};
use std::fmt::Debug;

/// The first byte says which document the others are.
pub fn tuf_metadata(data: &[u8]) {
    let Some((kind, bytes)) = data.split_first() else {
        return;
    };
    match kind % 7 {
        0 => document::<Root>(&Role::Root, bytes),
        1 => document::<Timestamp>(&Role::Timestamp, bytes),
        2 => document::<Snapshot>(&Role::Snapshot, bytes),
        3 => document::<Targets>(&Role::Targets, bytes),
        4 => fleet_document(bytes),
        5 => json(bytes),
        _ => path_pattern(bytes),
    }
}

fn document<T: Document + PartialEq + Debug>(role: &Role, bytes: &[u8]) {
    let Ok(document) = read_unverified::<T>(role, bytes) else {
        return;
    };
    assert!(document.header().version >= 1);
    let expires_s = document.header().expires_s;
    assert_eq!(date_time(expires_s).len(), 20);
    let Ok(envelope) = Envelope::unsigned(&document) else {
        panic!("what came in one form can be written in it");
    };
    let written = envelope.to_bytes().expect("it is canonical");
    // What is written may be longer than what was read: fields of their own have defaults.
    if written.len() as u64 <= role.bytes_max() {
        assert_eq!(read_unverified::<T>(role, &written).as_ref(), Ok(&document));
    }
    if bytes.len() < 4096 {
        authorities(role, bytes);
    }
}

/// Whoever may sign by a root of hostile content, its thresholds hold.
fn authorities(role: &Role, bytes: &[u8]) {
    if let Ok(root) = read_unverified::<Root>(role, bytes) {
        for top in Role::TOP_LEVEL {
            let authority = root.authority(&top);
            assert!(authority.threshold() >= 1);
            assert!(authority.public_keys().len() <= 64);
        }
    }
}

fn fleet_document(bytes: &[u8]) {
    let Ok(fleet) = FleetDocument::parse(bytes) else {
        return;
    };
    // Escapes may make it longer than it may be.
    if let Ok(written) = fleet.encode() {
        assert_eq!(FleetDocument::parse(&written), Ok(fleet));
    }
}

/// Any JSON as the signed part: its canonical form does not depend on how it was written.
fn json(bytes: &[u8]) {
    let whole = [b"{\"signatures\":[],\"signed\":", bytes, b"}"].concat();
    let Ok(envelope) = Envelope::parse(&Role::Targets, &whole) else {
        return;
    };
    let message = envelope
        .message()
        .expect("the strict reader takes integers only");
    assert_eq!(canonical_bytes(&envelope.signed), Ok(message.clone()));
    let written = envelope.to_bytes().expect("it is canonical");
    let again = Envelope::parse(&Role::Targets, &written).expect("its own writing is read");
    assert_eq!(again, envelope);
    assert_eq!(again.message(), Ok(message));
    assert_eq!(again.to_bytes(), Ok(written));
}

/// A pattern and a path: the same answer as by trying everything.
fn path_pattern(bytes: &[u8]) {
    let mut input = Reader::new(bytes);
    let (pattern, path) = (input.bytes(), input.rest());
    if pattern.len() > 24 || path.len() > 24 {
        return;
    }
    let (Ok(pattern), Ok(path)) = (std::str::from_utf8(pattern), std::str::from_utf8(path)) else {
        return;
    };
    let delegation = Delegation {
        paths: Some(vec![pattern.into()]),
        ..Delegation::of_model("bearing", 1)
    };
    let [wanted, found]: [Vec<char>; 2] = [pattern, path].map(|text| text.chars().collect());
    if wanted.iter().filter(|c| **c == '*').count() <= 4 {
        assert_eq!(
            delegation.covers(path),
            matches(&wanted, &found),
            "{pattern} {path}"
        );
    }
}

fn matches(pattern: &[char], path: &[char]) -> bool {
    match (pattern.split_first(), path.split_first()) {
        (None, None) => true,
        (Some(('*', rest)), None) => matches(rest, path),
        (Some(('*', rest)), Some((first, after))) => {
            matches(rest, path) || *first != '/' && matches(pattern, after)
        }
        (Some(('?', rest)), Some((first, after))) => *first != '/' && matches(rest, after),
        (Some((want, rest)), Some((have, after))) => want == have && matches(rest, after),
        (None, Some(_)) | (Some(_), None) => false,
    }
}
