//! The ceremony of the offline keys: a new `fleet.json`, signed and published.
//!
//! Only what the tests change; the operator's way is `muster fleet`.

use crate::fleet::Fleet;
use ed25519_dalek::SigningKey;
use muster_protocol::digest::{Hex, decode_hex};
use muster_protocol::tuf::author::read_unverified;
use muster_protocol::tuf::fleet_document::PATH;
use muster_protocol::tuf::{Envelope, FleetDocument, Role, TargetFile, Targets};
use serde_json::json;
use std::fs;

/// Publishes the next version with a change; gives its number.
///
/// # Panics
/// When the controller refuses it.
pub fn publish(fleet: &Fleet, change: impl FnOnce(&mut FleetDocument)) -> u64 {
    let mut document = FleetDocument::parse(&newest(fleet, PATH)).expect("the controller's");
    document.version += 1;
    document.issued_at_s += 1;
    change(&mut document);
    let file = document.encode().expect("in range");
    let targets = newest(fleet, "targets");
    let mut targets: Targets = read_unverified(&Role::Targets, &targets).expect("the controller's");
    targets.header.version += 1;
    targets.add_target(PATH, TargetFile::of(&file, None));
    let targets = Envelope::signed_bytes(&targets, &[&key(fleet)]).expect("canonical");
    let body = json!({
        "targets": Hex(&targets).to_string(),
        "target_files": [{ "name": PATH, "hex": Hex(&file).to_string() }],
    });
    let answer = fleet.api("POST", "publications", Some(&body.to_string()));
    let answer = answer.expect("the controller answers");
    assert!((200..300).contains(&answer.status), "{answer:?}");
    document.version
}

/// The newest document of a role.
fn newest(fleet: &Fleet, role: &str) -> Vec<u8> {
    let answer = fleet.api("GET", &format!("metadata/{role}"), None);
    let answer = answer.expect("the controller answers");
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.body.to_string().into_bytes()
}

fn key(fleet: &Fleet) -> SigningKey {
    let text = fs::read_to_string(fleet.home().join("offline/targets.key")).expect("init wrote it");
    let hex = text.lines().nth(1).expect("two lines");
    let mut seed = [0; 32];
    decode_hex(hex, &mut seed).expect("64 digits");
    SigningKey::from_bytes(&seed)
}
