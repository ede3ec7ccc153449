//! First inputs of the targets that take several documents or steps.

use super::{fixture, payload};
use minicbor::Decoder;
use muster_protocol::tuf::{Role, date_time};

/// Target, name, bytes.
pub fn samples() -> Vec<(&'static str, String, Vec<u8>)> {
    let mut all = tuf();
    all.extend(windows());
    all.extend(device());
    all
}

fn tuf() -> Vec<(&'static str, String, Vec<u8>)> {
    let mut all = Vec::new();
    for (number, file) in muster_fuzz::repository::files().into_iter().enumerate() {
        let kind = match file.role {
            Role::Root => 0,
            Role::Timestamp => 1,
            Role::Snapshot => 2,
            Role::Targets | Role::Delegated(_) => 3,
        };
        let name = format!("file-{number}");
        all.push((
            "tuf_metadata",
            name.clone(),
            [&[kind][..], &file.bytes].concat(),
        ));
        all.push((
            "tuf_client",
            name,
            [&[3, number as u8][..], &part(&file.bytes)].concat(),
        ));
    }
    let fleet = fleet_document();
    all.push(("tuf_metadata", "fleet".into(), [&[4][..], &fleet].concat()));
    all.push(("tuf_metadata", "json".into(), [&[5][..], &fleet].concat()));
    let pattern = [&[6][..], &part(b"models/*/?.cbor"), b"models/a/1.cbor"].concat();
    all.push(("tuf_metadata", "pattern".into(), pattern));
    for (name, steps) in [
        ("in-order", &[7, 0, 0, 5, 5, 0, 0, 0, 2][..]),
        (
            "both-states",
            &[7, 0, 0, 5, 7, 0, 1, 5, 5, 0, 0, 0, 2, 6, 0, 2],
        ),
        (
            "edited-root",
            &[
                7, 0, 0, 5, 4, 5, 1, 0, 5, 0, 9, 0, 20, 3, 0, 2, b'{', b'}', 2,
            ],
        ),
        ("edited-targets", &[7, 0, 0, 3, 4, 3, 0, 0, 9, 0, 1, 2]),
        ("spliced", &[1, 5, 0, 40, 3, 0, 2, b'"', b',', 2]),
        ("other-role", &[2, 1, 3, 2]),
    ] {
        all.push(("tuf_client", name.into(), steps.to_vec()));
    }
    all
}

fn fleet_document() -> Vec<u8> {
    let keys = |digit: char| format!("[\"{}\"]", digit.to_string().repeat(64));
    format!(
        "{{\"version\":3,\"issued_at\":\"{}\",\"director_epoch\":1,\
         \"director\":{{\"keys\":{},\"threshold\":1}},\"ack_keys\":{},\"time_keys\":{},\
         \"ca_certificates\":[\"-----BEGIN CERTIFICATE-----\"],\
         \"endpoints\":{{\"mqtt\":\"mqtts://fleet.example:8883\",\
         \"enroll\":\"https://fleet.example:8443\"}},\
         \"floor\":{{\"bearing\":7}},\"revoked\":{{\"{}\":\"stop\",\"{}\":\"fallback\"}}}}",
        date_time(1_900_000_000),
        keys('1'),
        keys('2'),
        keys('3'),
        "4".repeat(64),
        "5".repeat(64),
    )
    .into_bytes()
}

/// The windows in the committed documents, each merged with itself.
fn windows() -> Vec<(&'static str, String, Vec<u8>)> {
    let of = |name| {
        let document = fixture(name);
        let window = part(&field(payload(&document), 5));
        [&[0][..], &window, &window, &window].concat()
    };
    let some: Vec<u8> = (0..60_u8).map(|n| n % 19).collect();
    vec![
        ("stats", "windows".into(), of("document-window")),
        (
            "stats",
            "windows-misses".into(),
            of("document-window-misses"),
        ),
        ("stats", "counts".into(), [&[1, 3][..], &some].concat()),
        (
            "stats",
            "counts-extreme".into(),
            [&[1, 1][..], &[0xff; 24]].concat(),
        ),
        ("stats", "latency".into(), [&[2][..], &some].concat()),
        ("stats", "comparison".into(), [&[3, 4][..], &some].concat()),
    ]
}

fn device() -> Vec<(&'static str, String, Vec<u8>)> {
    let signed = fixture("assignment");
    let assignment = [&[0, 0, 3, 1, 0, 1, 100][..], payload(&signed)].concat();
    let mut all = vec![("device_documents", "assignment".into(), assignment)];
    for (name, fleet) in [("fleet-key-set", 0), ("model-key-set", 1)] {
        let signed = fixture(name);
        let set = [&[1, fleet][..], &part(&first_place(payload(&signed)))].concat();
        all.push(("device_documents", name.into(), set));
    }
    let steps: Vec<u8> = (0..200_u8).map(|n| n.wrapping_mul(37) % 17).collect();
    for machine in 0..4 {
        let bytes = [&[machine][..], &steps].concat();
        all.push(("device_machines", format!("machine-{machine}"), bytes));
    }
    let state = [&[0xa4, 0, 0x67][..], b"bearing", &[2, 0, 6, 0, 7, 0]].concat();
    let boot = [&[4][..], &part(&state), &steps].concat();
    all.push(("device_machines", "boot".into(), boot));
    all
}

/// With its length before it.
fn part(bytes: &[u8]) -> Vec<u8> {
    [&(bytes.len() as u16).to_be_bytes()[..], bytes].concat()
}

/// The bytes of one field of a map.
fn field(map: &[u8], wanted: u64) -> Vec<u8> {
    let mut d = Decoder::new(map);
    for _ in 0..d.map().expect("a map").expect("of definite length") {
        let key = d.u64().expect("an integer");
        let start = d.position();
        d.skip().expect("a value");
        if key == wanted {
            return map[start..d.position()].to_vec();
        }
    }
    panic!("field {wanted} is missing");
}

/// A key set as the first of its chain: version 1, no predecessor.
fn first_place(key_set: &[u8]) -> Vec<u8> {
    let place = field(key_set, 0);
    [&key_set[..2], &[0xa1, 0, 1], &key_set[2 + place.len()..]].concat()
}
