//! Measures how many signed documents a second go from the broker to the durable store: `cargo xtask
//! bench ingest`.
//!
//! A real mosquitto, a real `muster serve`, and windows that were signed before the clock runs. A
//! document counts when the controller's signed acknowledgement is there, which comes after the
//! commit. The same documents through the broker to a client that only counts them are its ceiling.
//! Fails below the limit. Devices' TLS is left out: they bring their own processors.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::process::ExitCode;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use ed25519_dalek::SigningKey;
use muster_protocol::cbor::List;
use muster_protocol::cose;
use muster_protocol::digest::Digest;
use muster_protocol::id::{BootId, DeviceId, EpochGeneration, ModelId, Sequence, StreamId};
use muster_protocol::message::{Ack, Document, FeatureWindow, Window};
use muster_protocol::stats::FeatureCounts;
use muster_protocol::time::{Millis, UnixSeconds};
use muster_tests::device::Device;
use muster_tests::fleet::Fleet;
use muster_tests::random::Random;
use muster_tests::settings::Settings;
use muster_tests::{document, mosquitto};
use rumqttc::{Client, Event, MqttOptions, Packet, QoS};

/// Documents a second, at least.
const DOCUMENTS_PER_S_MIN: f64 = 5000.0;
const DEVICES: usize = 256;
/// Of each device in a run: a broker keeps at most 20,000 for a client that is slow.
const DOCUMENTS: usize = 64;
const RUNS: usize = 3;
/// Connections that the load comes over.
const CONNECTIONS: usize = 4;
/// Unacknowledged messages of one connection.
const IN_FLIGHT: u16 = 50;
const FEATURES: usize = 16;
const BINS: usize = 18;
/// A run that takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(120);

/// A signed document and where it goes.
struct Load {
    topic: String,
    payload: Vec<u8>,
}

fn main() -> io::Result<ExitCode> {
    if !mosquitto::is_installed("bench ingest") {
        return Ok(ExitCode::FAILURE);
    }
    let mut fleet = Fleet::start_on_mosquitto();
    let plain = fleet.mosquitto().open_to_all();
    fleet.mosquitto().kill9();
    fleet.mosquitto().start();
    eprintln!("enrolling {DEVICES} devices");
    let devices: Vec<(String, SigningKey)> = (0..DEVICES)
        .map(|n| {
            let device = Device::enroll(&fleet, &format!("press-{n:03}"), &Settings::default());
            (device.id.clone(), document::key(device.state()))
        })
        .collect();
    let (mut of_broker, mut of_store) = (0.0_f64, 0.0_f64);
    for run in 0..RUNS {
        let load = signed(&devices, run);
        let bytes: usize = load.iter().map(|load| load.payload.len()).sum();
        eprintln!("run {}: through the broker alone", run + 1);
        let broker = through_broker(&load, plain.port())?;
        eprintln!("run {}: to the store", run + 1);
        let store = to_store(&load, plain.port())?;
        println!(
            "run {}: {} documents of {} bytes: {store:.0} a second to the store, {broker:.0} \
             through the broker alone",
            run + 1,
            load.len(),
            bytes / load.len()
        );
        (of_broker, of_store) = (of_broker.max(broker), of_store.max(store));
    }
    println!(
        "best: {of_store:.0} a second, {:.2} times the limit of {DOCUMENTS_PER_S_MIN:.0}, {:.2} of \
         the broker's own {of_broker:.0}",
        of_store / DOCUMENTS_PER_S_MIN,
        of_store / of_broker
    );
    if of_store < DOCUMENTS_PER_S_MIN {
        eprintln!("slower than the limit");
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

/// The documents of a run, one of each device in turn.
fn signed(devices: &[(String, SigningKey)], run: usize) -> Vec<Load> {
    let mut random = Random(run as u64 + 1);
    let numbers = 0..DOCUMENTS;
    let each = numbers.flat_map(|n| devices.iter().map(move |device| (n, device)));
    each.map(|(n, (id, key))| {
        let number = (run * DOCUMENTS + n) as u64;
        Load {
            topic: format!("muster/v1/{id}/up/doc"),
            payload: window(id, key, number, &mut random),
        }
    })
    .collect()
}

/// Five minutes of sixteen features, three hundred values each.
fn window(device: &str, key: &SigningKey, number: u64, random: &mut Random) -> Vec<u8> {
    let counts: Vec<FeatureCounts> = (0..FEATURES)
        .map(|_| {
            let mut counts = FeatureCounts::default();
            for _ in 0..300 {
                counts.bins[(random.draw() % BINS as u64) as usize] += 1;
            }
            counts.sum = (random.draw() % 20_000) as i64 - 10_000;
            counts.sum_of_squares = 300 * 65_536 + random.draw() % 1_000_000;
            counts
        })
        .collect();
    let features: Vec<_> = counts
        .iter()
        .map(|counts| FeatureWindow::of(counts, BINS))
        .collect();
    let ended = Millis((number + 1) * 300_000);
    let window = Window {
        model: ModelId::parse("bearing").expect("invariant: a model's name"),
        bundle: Digest([5; 32]),
        since: EpochGeneration::new(1, 1),
        reference: Some(Digest([6; 32])),
        started: Millis(number * 300_000),
        ended,
        unix: Some(UnixSeconds(1_700_000_000 + number * 300)),
        closed_windows: 1,
        calls: 300,
        errors: List::default(),
        latency: List::default(),
        features: List::of(&features),
        latency_misses: None,
        shadow: None,
        scores: None,
        labels: None,
    };
    let document = Document {
        device: DeviceId::parse(device).expect("invariant: a device's name"),
        stream: StreamId([2; 8]),
        sequence: Sequence(number + 1),
        boot: BootId([4; 8]),
        receipt: None,
        window: Some(window),
        gap: None,
    };
    cose::seal_vec(&document, key)
}

/// Documents a second through the broker to a client that counts them.
fn through_broker(load: &[Load], port: u16) -> io::Result<f64> {
    let (wanted, mut seen) = (load.len(), 0);
    let other: Vec<Load> = load
        .iter()
        .map(|load| Load {
            topic: load.topic.replacen("muster/", "ceiling/", 1),
            payload: load.payload.clone(),
        })
        .collect();
    measured(&other, port, "ceiling/#", move |_, _| {
        seen += 1;
        seen == wanted
    })
}

/// Documents a second to the store, as its signed acknowledgements say.
fn to_store(load: &[Load], port: u16) -> io::Result<f64> {
    let mut wanted: BTreeMap<String, u64> = BTreeMap::new();
    for load in load {
        let sequence = cose::peek::<Document<'_>>(&load.payload)
            .expect("invariant: one of ours")
            .sequence;
        let ack = load.topic.replace("up/doc", "down/ack");
        wanted.insert(ack, sequence.0);
    }
    measured(load, port, "muster/v1/+/down/ack", move |topic, payload| {
        let ack = cose::peek::<Ack<'_>>(payload);
        let through = ack.map_or(0, |ack| ack.through.0);
        if wanted.get(topic).is_some_and(|last| through >= *last) {
            wanted.remove(topic);
        }
        wanted.is_empty()
    })
}

/// Sends all and listens until `is_done`; messages a second.
fn measured(
    load: &[Load],
    port: u16,
    filter: &str,
    mut is_done: impl FnMut(&str, &[u8]) -> bool + Send + 'static,
) -> io::Result<f64> {
    let (client, mut connection) = Client::new(options("listener", port), 10);
    let filter = filter.to_owned();
    let (ready, is_ready) = mpsc::channel();
    let (done, is_over) = mpsc::channel();
    client.subscribe(filter, QoS::AtLeastOnce).map_err(broken)?;
    let listener = thread::spawn(move || {
        for event in connection.iter() {
            match event {
                Ok(Event::Incoming(Packet::SubAck(_))) => {
                    let _gone = ready.send(());
                }
                Ok(Event::Incoming(Packet::Publish(publish))) => {
                    if is_done(&publish.topic, &publish.payload) {
                        let _gone = done.send(());
                        return;
                    }
                }
                Ok(_) => {}
                Err(error) => {
                    eprintln!("failed to listen: because {error}");
                    return;
                }
            }
        }
    });
    let late = |_| io::Error::new(ErrorKind::TimedOut, "it took too long");
    is_ready.recv_timeout(PATIENCE).map_err(late)?;
    let begun = Instant::now();
    send(load, port)?;
    eprintln!(
        "the broker has taken all after {:.1} s",
        begun.elapsed().as_secs_f64()
    );
    is_over.recv_timeout(PATIENCE).map_err(late)?;
    let seconds = begun.elapsed().as_secs_f64();
    drop(client);
    let _ended = listener.join();
    Ok(load.len() as f64 / seconds)
}

/// Sends all over a few connections, each device over one, in its order.
fn send(load: &[Load], port: u16) -> io::Result<()> {
    thread::scope(|scope| {
        let each = (0..CONNECTIONS).map(|nth| {
            scope.spawn(move || {
                let ours = load.iter().enumerate();
                let ours = ours.filter(|(at, _)| at % DEVICES % CONNECTIONS == nth);
                send_over(nth, ours.map(|(_, load)| load), port)
            })
        });
        let each: Vec<_> = each.collect();
        let mut sent = each.into_iter().map(|thread| thread.join());
        sent.try_for_each(|sent| sent.unwrap_or_else(|_| Err(io::Error::other("it panicked"))))
    })
}

/// Sends some, and closes when the broker has taken all of them.
fn send_over<'l>(nth: usize, load: impl Iterator<Item = &'l Load>, port: u16) -> io::Result<()> {
    let (client, mut connection) = Client::new(options(&format!("load-{nth}"), port), 64);
    let load: Vec<&Load> = load.collect();
    let wanted = load.len();
    let taken = thread::spawn(move || {
        let events = connection.iter().map_while(Result::ok);
        let acked = events.filter(|event| matches!(event, Event::Incoming(Packet::PubAck(_))));
        acked.take(wanted).count()
    });
    for load in load {
        let (topic, payload) = (load.topic.as_str(), load.payload.clone());
        let published = client.publish(topic, QoS::AtLeastOnce, false, payload);
        published.map_err(broken)?;
    }
    match taken.join() {
        Ok(taken) if taken == wanted => Ok(()),
        Ok(taken) => Err(io::Error::other(format!("{taken} of {wanted} were taken"))),
        Err(_) => Err(io::Error::other("it panicked")),
    }
}

fn options(name: &str, port: u16) -> MqttOptions {
    let mut options = MqttOptions::new(name, "127.0.0.1", port);
    options.set_keep_alive(Duration::from_secs(60));
    options.set_inflight(IN_FLIGHT);
    options
}

fn broken(error: rumqttc::ClientError) -> io::Error {
    io::Error::other(error.to_string())
}
