//! A stick: what goes between a fleet and its devices by hand, as files. Here are their names.
//!
//! The files are the documents of the wire, byte for byte, and are believed as little: whoever
//! reads one verifies it. Never a name that leads out of the stick.

use alloc::format;
use alloc::string::String;

use crate::digest::Digest;
use crate::id::{DeviceId, ModelId, Sequence, StreamId};

/// The file that says that a folder is a stick.
pub const MARKER: &str = "muster-stick";
/// What it holds, in this version.
pub const MARKER_TEXT: &str = "muster stick 1\n";
/// The folder that has one folder for each device.
pub const DEVICES: &str = "devices";

/// Roles without a version in the name of their file: a stick has one of each.
const SINGLE_ROLES: [&str; 3] = ["timestamp", "snapshot", "targets"];

/// Where the metadata of a role lies; each version of root has a file of its own. None for what is
/// no role of a fleet.
#[must_use]
pub fn metadata(role: &str, version: Option<u64>) -> Option<String> {
    match (role, version) {
        ("root", Some(version)) => return Some(format!("metadata/root.{version}.json")),
        ("fleet.json", _) => return Some("metadata/fleet.json".into()),
        _ => {}
    }
    let model = role.strip_prefix("models/").map(ModelId::parse);
    let known = SINGLE_ROLES.contains(&role) || matches!(model, Some(Ok(_)));
    known.then(|| format!("metadata/{role}.json"))
}

/// Where a blob lies, as sent.
#[must_use]
pub fn blob(digest: &Digest) -> String {
    format!("blobs/{}", digest.hex())
}

/// The folder of what a device gets.
#[must_use]
pub fn down(device: &DeviceId) -> String {
    format!("{DEVICES}/{device}/down")
}

/// The newest assignment of a device.
#[must_use]
pub fn assignment(device: &DeviceId) -> String {
    format!("{}/assignment", down(device))
}

/// Signed time, against the nonce of the hello that the stick brought.
#[must_use]
pub fn time(device: &DeviceId) -> String {
    format!("{}/time", down(device))
}

/// The acknowledgement of one stream; one for each lies in [`down`].
#[must_use]
pub fn ack(device: &DeviceId, stream: StreamId) -> String {
    format!("{}/{ACK}{stream}", down(device))
}

/// How the names of acknowledgements begin.
pub const ACK: &str = "ack-";

/// The folder of what a device says.
#[must_use]
pub fn up(device: &DeviceId) -> String {
    format!("{DEVICES}/{device}/up")
}

/// The newest hello of a device.
#[must_use]
pub fn hello(device: &DeviceId) -> String {
    format!("{}/hello", up(device))
}

/// The name of a numbered document in [`up`]: by name they are in their order.
#[must_use]
pub fn document_name(stream: StreamId, sequence: Sequence) -> String {
    format!("{DOCUMENT}{stream}-{:020}", sequence.0)
}

/// How the names of numbered documents begin.
pub const DOCUMENT: &str = "doc-";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_roles_of_a_fleet_have_a_file() {
        let check = |role: &str, version, expect: Option<&str>| {
            let got = metadata(role, version);
            assert_eq!(got.as_deref(), expect, "{role:?} {version:?}");
        };
        check("root", Some(3), Some("metadata/root.3.json"));
        check("root", None, None);
        check("timestamp", None, Some("metadata/timestamp.json"));
        check("snapshot", Some(7), Some("metadata/snapshot.json"));
        check("targets", Some(7), Some("metadata/targets.json"));
        check("fleet.json", None, Some("metadata/fleet.json"));
        check("models/score", Some(1), Some("metadata/models/score.json"));
        check("models/../../secret", None, None);
        check("models/", None, None);
        check("../secret", None, None);
        check("/etc/passwd", None, None);
        check("", None, None);
    }

    #[test]
    fn documents_are_in_their_order_by_name() {
        let name = |sequence| document_name(StreamId([1; 8]), Sequence(sequence));
        let mut names = [name(10), name(2), name(u64::MAX), name(1)];
        names.sort();
        assert_eq!(names, [name(1), name(2), name(10), name(u64::MAX)]);
    }
}
