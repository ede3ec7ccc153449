//! From a sensor that moves on one device to an incident that names it, an alert that says so, a
//! request for a retrain, and the same alarms once more: with the real programs.

use std::fs::{self, Permissions};
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::mpsc;
use std::thread;

use muster_tests::device::Device;
use muster_tests::fleet::Fleet;
use muster_tests::settings::Settings;
use muster_tests::wait;
use serde_json::Value;

use super::drift::rows;
use super::story::bearing;

/// The feature that moves on the second device, by twenty of its deviations.
const MOVED: &str = "bearing_3";
const FAR: f32 = 0.05;

/// Somebody who is told: every body that is posted, answered with 200.
fn listener() -> (String, mpsc::Receiver<String>) {
    let socket = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/hook", socket.local_addr().expect("bound"));
    let (tell, told) = mpsc::channel();
    thread::spawn(move || {
        for stream in socket.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut text = String::new();
            let mut buffer = [0; 4096];
            while let Ok(read) = stream.read(&mut buffer) {
                text.push_str(&String::from_utf8_lossy(&buffer[..read]));
                if read == 0 || is_whole(&text) {
                    break;
                }
            }
            // The test may have ended.
            let _gone = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
            if tell.send(text).is_err() {
                return;
            }
        }
    });
    (url, told)
}

fn is_whole(request: &str) -> bool {
    let Some((head, body)) = request.split_once("\r\n\r\n") else {
        return false;
    };
    let mut lines = head.lines().map(str::to_ascii_lowercase);
    let length = lines.find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
    length.is_some_and(|length: usize| body.len() >= length)
}

/// The line of `muster.toml` that names a webhook, whose secret is its owner's alone.
fn webhook(folder: &Path, url: &str) -> String {
    let secret = folder.join("ops.secret");
    fs::write(&secret, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n").expect("the disk takes it");
    fs::set_permissions(&secret, Permissions::from_mode(0o600)).expect("it is ours");
    let secret = secret.display();
    format!("webhooks = [{{ name = \"ops\", url = \"{url}\", secret_file = \"{secret}\" }}]\n")
}

/// Incidents of windows, as `muster incident list` shows them.
fn incidents(fleet: &Fleet) -> Vec<Value> {
    let all = fleet.json(&["incident", "list"]);
    let all = all.as_array().cloned().unwrap_or_default();
    let of_windows = |incident: &Value| incident["model"] == "bearing";
    all.into_iter().filter(of_windows).collect()
}

#[test]
fn a_sensor_that_moves_is_an_incident_an_alert_and_the_same_again() {
    let (url, told) = listener();
    let mut fleet = Fleet::init();
    fleet.configure(&webhook(fleet.folder(), &url));
    fleet.serve();
    let settings = Settings::default();
    let ids = ["press-01", "press-02", "press-03", "press-04"];
    let devices = ids.map(|id| Device::start_new(&fleet, id, &settings));
    fleet.ship(&bearing("1.0.0"));
    for device in &devices {
        fleet.wait_receipt(&device.id, "1.0.0", "committed", wait::SOON);
    }
    let (normal, far) = (rows(0.0), rows(FAR));
    let ask = |second: &[[f32; 4]]| -> Result<(), String> {
        for (at, device) in devices.iter().enumerate() {
            device.scores("bearing", if at == 1 { second } else { &normal })?;
        }
        Ok(())
    };
    ask(&normal).expect("they serve");
    for device in &devices {
        device.wait_told("bearing", normal.len() as u64);
    }
    assert_eq!(
        incidents(&fleet),
        Vec::<Value>::new(),
        "the reference itself"
    );

    let found = wait::until("an incident", wait::LATER, || {
        ask(&far)?;
        let found = incidents(&fleet);
        let ours = found.iter().find(|incident| incident["feature"] == MOVED);
        ours.cloned().ok_or_else(|| format!("{found:?}"))
    });
    assert_eq!(found["device"], "press-02", "{found}");
    assert_eq!(found["state"], "opened", "{found}");
    for other in incidents(&fleet) {
        assert_eq!(
            other["device"], "press-02",
            "nobody else is blamed: {other}"
        );
    }

    let alert = wait::until("an alert", wait::LATER, || {
        told.try_recv().map_err(|nothing| nothing.to_string())
    });
    for part in ["webhook-signature: v1,", "dev.muster.incident", "press-02"] {
        assert!(alert.contains(part), "{part:?} is not in {alert}");
    }
    let number = found["incident"].to_string();
    let because = ["--reason", "the sensor was moved"];
    fleet
        .cli(&[&["incident", "ack", &number][..], &because].concat())
        .ok();
    fleet
        .cli(&[&["incident", "confirm", &number][..], &because].concat())
        .ok();
    let asked = fleet.json(&[&["retrain", "request", &number][..], &because].concat());
    assert_eq!(asked["state"], "requested", "{asked}");
    let again = fleet.json(&["drift", "recompute"]);
    assert_eq!(again["differences"], Value::Array(vec![]), "{again}");
    assert!(again["alarms"].as_u64() > Some(0), "{again}");
    let kpis = fleet.json(&["drift", "kpis"]);
    assert!(kpis["alerts"].as_u64() > Some(0), "{kpis}");
}
