//! `fleet.json` written, read and mistreated.

use alloc::vec;

use serde_json::{Value, json};

use super::*;
use crate::tuf::hex::Hex;

fn sample() -> FleetDocument {
    FleetDocument {
        version: 3,
        issued_at_s: 1_893_456_000,
        director_epoch: 2,
        director: Director {
            keys: vec![Hex([1; 32]), Hex([2; 32])],
            threshold: 2,
        },
        ack_keys: vec![Hex([3; 32])],
        time_keys: vec![Hex([3; 32])],
        ca_certificates: vec!["-----BEGIN CERTIFICATE-----\nAA==\n".into()],
        endpoints: Endpoints {
            mqtt: "mqtts://fleet:8883".into(),
            enroll: "https://fleet".into(),
        },
        floor: BTreeMap::from([("bearing".into(), 4)]),
        revoked: BTreeMap::from([
            (Hex([9; 32]), Revocation::Stop),
            (Hex([8; 32]), Revocation::Fallback),
        ]),
    }
}

#[test]
fn written_and_read() {
    let bytes = sample().encode().unwrap();
    assert_eq!(FleetDocument::parse(&bytes), Ok(sample()));
    assert!(bytes.starts_with(br#"{"ack_keys":["0303"#));
    let text = core::str::from_utf8(&bytes).unwrap();
    assert!(text.contains(r#""issued_at":"2030-01-01T00:00:00Z""#));
    assert!(text.contains(r#"0909":"stop"}"#));
}

fn check(change: fn(&mut Value), expect: FleetDocumentError) {
    let mut value = serde_json::to_value(sample()).unwrap();
    change(&mut value);
    let bytes = canonical::file_bytes(&value).unwrap();
    match (FleetDocument::parse(&bytes), expect) {
        (Err(FleetDocumentError::Malformed(_)), FleetDocumentError::Malformed(_)) => {}
        (seen, expect) => assert_eq!(seen, Err(expect)),
    }
}

#[test]
fn mistreated() {
    use FleetDocumentError::{DuplicateKey, Malformed, OutOfRange, TooMany};
    let malformed = || Malformed(String::new());
    check(|v| v["version"] = json!(0), OutOfRange("version"));
    check(|v| v["version"] = json!(-1), malformed());
    check(|v| v["issued_at"] = json!("yesterday"), malformed());
    check(
        |v| v["director"]["threshold"] = json!(0),
        OutOfRange("director.threshold"),
    );
    check(
        |v| v["director"]["threshold"] = json!(3),
        OutOfRange("director.threshold"),
    );
    check(
        |v| v["director"]["keys"][1] = json!("01".repeat(32)),
        DuplicateKey("director.keys"),
    );
    check(|v| v["director"]["keys"][1] = json!("01"), malformed());
    check(|v| v["ack_keys"] = json!([]), OutOfRange("ack_keys"));
    check(
        |v| v["time_keys"] = json!(vec!["01".repeat(32); 9]),
        TooMany("time_keys"),
    );
    check(
        |v| v["ca_certificates"] = json!([]),
        OutOfRange("ca_certificates"),
    );
    check(
        |v| v["ca_certificates"] = json!(["x".repeat(8193)]),
        TooMany("ca_certificates"),
    );
    check(
        |v| v["endpoints"]["mqtt"] = json!("a b"),
        OutOfRange("endpoints.mqtt"),
    );
    check(
        |v| v["endpoints"]["enroll"] = json!(""),
        OutOfRange("endpoints.enroll"),
    );
    check(
        |v| v["floor"]["bearing"] = json!(4_294_967_296u64),
        malformed(),
    );
    check(|v| v["revoked"]["0A"] = json!("stop"), malformed());
    check(
        |v| {
            *v["revoked"]
                .as_object_mut()
                .unwrap()
                .values_mut()
                .next()
                .unwrap() = json!("no")
        },
        malformed(),
    );
    check(|v| *v = json!([]), malformed());
    let large = vec![b' '; 96 * 1024 + 1];
    let bytes_max = limits::FLEET_DOCUMENT_BYTES_MAX;
    assert_eq!(
        FleetDocument::parse(&large),
        Err(FleetDocumentError::TooLarge { bytes_max })
    );
    assert!(matches!(FleetDocument::parse(b"{"), Err(Malformed(_))));
}

#[test]
fn unknown_fields_are_skipped() {
    let mut value = serde_json::to_value(sample()).unwrap();
    value["later"] = json!({ "x": 1 });
    let bytes = canonical::file_bytes(&value).unwrap();
    assert_eq!(FleetDocument::parse(&bytes), Ok(sample()));
}
