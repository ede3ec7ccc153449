//! What mosquitto must be told to serve a fleet: its configuration, and who may say what where.
//!
//! Pure texts. The rules are those of the embedded broker, as far as a static file can say them.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;

use muster_protocol::limits::MESSAGE_BYTES_MAX;
use muster_protocol::topic::{CONTROLLER, Up};

/// What a packet needs beyond its payload: header, topic, packet id.
const PACKET_OVERHEAD_BYTES: usize = 2048;
/// Messages on their way to one client. For the fleet's own it bounds what it works on at a time.
const IN_FLIGHT_MAX: usize = 64;
/// What waits for one client: for the fleet, what devices say while it is away.
const QUEUED_MESSAGES_MAX: usize = 20_000;
const QUEUED_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Names of the files beside the configuration.
pub(crate) const CONF: &str = "mosquitto.conf";
/// Who may say what where.
pub(crate) const ACL: &str = "acl";
/// The CAs of client certificates.
pub(crate) const CA: &str = "ca.pem";
/// Client certificates that were replaced.
pub(crate) const CRL: &str = "crl.pem";
/// The broker's own certificate.
pub(crate) const SERVER: &str = "server.pem";
/// Its key.
pub(crate) const SERVER_KEY: &str = "server.key";
/// The folder of what it keeps.
pub(crate) const DATA: &str = "data";

/// The configuration, for files in `folder`.
pub(crate) fn conf(folder: &Path, listen: SocketAddr, run_as: Option<&str>) -> String {
    let (at, port, address) = (folder.display(), listen.port(), listen.ip());
    let packet = MESSAGE_BYTES_MAX + PACKET_OVERHEAD_BYTES;
    let user = run_as.map_or(String::new(), |user| format!("user {user}\n"));
    format!(
        "\
# Written by `muster broker mosquitto`. SIGHUP makes mosquitto read {ACL}, {CRL}, {SERVER} and
# {SERVER_KEY} again.
{user}\
listener {port} {address}
protocol mqtt

# Whoever connects shows a certificate of the fleet's CA, and is who it says.
cafile {at}/{CA}
crlfile {at}/{CRL}
certfile {at}/{SERVER}
keyfile {at}/{SERVER_KEY}
require_certificate true
use_identity_as_username true
use_username_as_clientid true
allow_anonymous false
acl_file {at}/{ACL}

# The largest message of the fleet, and nothing about the broker itself.
message_size_limit {MESSAGE_BYTES_MAX}
max_packet_size {packet}
sys_interval 0

# What waits for a client, and for how long. Nothing is lost for good beyond it: devices send until
# the fleet's signed acknowledgement comes.
max_inflight_messages {IN_FLIGHT_MAX}
max_queued_messages {QUEUED_MESSAGES_MAX}
max_queued_bytes {QUEUED_BYTES_MAX}
queue_qos0_messages false
persistent_client_expiration 7d
persistence true
persistence_location {at}/{DATA}/
autosave_interval 60
"
    )
}

/// The rules: a device writes its own channels and reads what is sent to it and to everyone; the
/// fleet the reverse. What no line grants is refused.
pub(crate) fn acl(topic_prefix: &str) -> String {
    let mut text = "\
# Written by `muster broker mosquitto`. %u is the name in the certificate.
"
    .to_owned();
    for up in Up::ALL {
        let channel = up.as_str();
        let _written = writeln!(text, "pattern write {topic_prefix}/%u/up/{channel}");
    }
    let _written = write!(
        text,
        "pattern read {topic_prefix}/%u/down/#
pattern read {topic_prefix}/_/#

user {CONTROLLER}
topic read {topic_prefix}/+/up/#
topic write {topic_prefix}/+/down/#
topic write {topic_prefix}/_/#
"
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rules_name_the_client_in_every_pattern_but_the_one_for_all() {
        let text = acl("muster/v1");
        let patterns: Vec<_> = text
            .lines()
            .filter(|line| line.starts_with("pattern"))
            .collect();
        assert_eq!(patterns.len(), Up::ALL.len() + 2, "{text}");
        for line in patterns {
            let own = line.contains("muster/v1/%u/");
            assert!(own || line == "pattern read muster/v1/_/#", "{line}");
        }
        let (before, fleet) = text
            .split_once("user _fleet\n")
            .expect("the fleet's own rules");
        assert!(
            !before.contains("\ntopic "),
            "rules without a user are for everyone: {before}"
        );
        assert!(!fleet.contains("user "), "{fleet}");
    }

    #[test]
    fn nobody_connects_without_a_certificate() {
        let listen = ([0, 0, 0, 0], 8883).into();
        let text = conf(Path::new("/etc/mosquitto/muster"), listen, None);
        for line in [
            "listener 8883 0.0.0.0",
            "require_certificate true",
            "use_identity_as_username true",
            "use_username_as_clientid true",
            "allow_anonymous false",
            "acl_file /etc/mosquitto/muster/acl",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}");
        }
        assert!(!text.contains("\nuser "), "{text}");
        let text = conf(Path::new("/a"), listen, Some("root"));
        assert!(text.contains("\nuser root\n"), "{text}");
    }
}
