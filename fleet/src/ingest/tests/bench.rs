//! One enrolled device before a store in memory, and what it may say.

use std::cell::Cell;

use ed25519_dalek::SigningKey;
use muster_protocol::cbor::List;
use muster_protocol::cose;
use muster_protocol::digest::Digest;
use muster_protocol::id::{
    BootId, DeviceId, Epoch, EpochGeneration, ModelId, Nonce, Rank, Sequence, StreamId,
    TargetClass, Version,
};
use muster_protocol::message::{
    Document, Health, Hello, Kind, Measured, MetadataVersions, Receipt, Requirements, Settings,
    Statement, Step, StreamState, Window,
};
use muster_protocol::time::{Millis, UnixSeconds};

use super::super::{document, hello};
use crate::dispatch::{Director, When, dispatch};
use crate::store::{self, InMemory, IncidentFilter, Page, RolloutToStore, Tx};

pub(super) const NOW: UnixSeconds = UnixSeconds(1_800_000_000);
pub(super) const NONCE: Nonce = Nonce([3; 16]);
pub(super) const RECEIPTS: StreamId = stream(1);
pub(super) const WINDOWS: StreamId = stream(2);

pub(super) const fn stream(number: u8) -> StreamId {
    StreamId([number; 8])
}

pub(super) fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

pub(super) struct Bench {
    connection: InMemory,
    pub(super) device: DeviceId,
    /// Challenges that were handed out.
    challenges: Cell<u8>,
}

/// A document to be said.
#[derive(Debug, Clone)]
pub(super) struct Say {
    device: &'static str,
    stream: StreamId,
    sequence: u64,
    body: Body,
    signer: u8,
    flipped: bool,
}

#[derive(Debug, Clone)]
enum Body {
    Window { calls: u64 },
    Receipt { version: &'static str, step: Step },
    Nothing,
    Malformed,
}

impl Say {
    fn new(stream: StreamId, sequence: u64, body: Body) -> Self {
        Self {
            device: "press-07",
            stream,
            sequence,
            body,
            signer: 1,
            flipped: false,
        }
    }

    pub(super) fn window(sequence: u64, calls: u64) -> Self {
        Self::new(WINDOWS, sequence, Body::Window { calls })
    }

    pub(super) fn receipt(sequence: u64, version: &'static str, step: Step) -> Self {
        Self::new(RECEIPTS, sequence, Body::Receipt { version, step })
    }

    pub(super) fn nothing(sequence: u64) -> Self {
        Self::new(WINDOWS, sequence, Body::Nothing)
    }

    pub(super) fn malformed(sequence: u64) -> Self {
        Self::new(WINDOWS, sequence, Body::Malformed)
    }

    pub(super) fn in_stream(self, stream: StreamId) -> Self {
        Self { stream, ..self }
    }

    pub(super) fn signed_by(self, signer: u8) -> Self {
        Self { signer, ..self }
    }

    pub(super) fn flipped(self) -> Self {
        Self {
            flipped: true,
            ..self
        }
    }

    pub(super) fn of(self, device: &'static str) -> Self {
        Self { device, ..self }
    }

    fn bytes(&self) -> Vec<u8> {
        let (device, sequence) = (id(self.device), Sequence(self.sequence));
        let mut document = Document {
            device,
            stream: self.stream,
            sequence,
            boot: BootId([4; 8]),
            receipt: None,
            window: None,
            gap: None,
        };
        match self.body {
            Body::Window { calls } => document.window = Some(window(calls)),
            Body::Receipt { version, step } => document.receipt = Some(receipt(version, step)),
            Body::Nothing => {}
            Body::Malformed => return self.malformed_bytes(&document),
        }
        let mut bytes = cose::seal_vec(&document, &key(self.signer));
        if self.flipped {
            *bytes.last_mut().expect("bytes") ^= 1;
        }
        bytes
    }

    /// The number stands, but the window is a text.
    fn malformed_bytes(&self, document: &Document<'_>) -> Vec<u8> {
        let mut payload = minicbor::Encoder::new(Vec::new());
        let made: Result<_, minicbor::encode::Error<std::convert::Infallible>> = (|| {
            payload
                .map(5)?
                .u8(0)?
                .encode(&document.device)?
                .u8(1)?
                .encode(document.stream)?;
            payload
                .u8(2)?
                .encode(document.sequence)?
                .u8(3)?
                .encode(document.boot)?;
            payload.u8(5)?.str("no window")?.ok()
        })();
        made.expect("a vector takes all bytes");
        let (payload, mut scratch, mut out) = (payload.into_writer(), [0; 1024], [0; 1024]);
        let sealed =
            cose::seal::<Document<'_>>(&payload, &key(self.signer), &mut scratch, &mut out);
        out[..sealed.expect("it fits")].to_vec()
    }
}

pub(super) fn id(device: &str) -> DeviceId {
    DeviceId::parse(device).expect("valid")
}

fn model() -> ModelId {
    ModelId::parse("bearing").expect("valid")
}

fn window(calls: u64) -> Window<'static> {
    Window {
        model: model(),
        bundle: Digest([5; 32]),
        since: EpochGeneration::new(1, 1),
        reference: None,
        started: Millis(0),
        ended: Millis(1000),
        unix: None,
        closed_windows: 1,
        calls,
        errors: List::default(),
        latency: List::default(),
        features: List::default(),
        latency_misses: None,
        shadow: None,
        scores: None,
        labels: None,
    }
}

fn receipt(version: &str, step: Step) -> Receipt<'static> {
    Receipt {
        model: model(),
        version: Version::parse(version).expect("valid"),
        bundle: None,
        since: EpochGeneration::new(1, 1),
        accepted: EpochGeneration::new(1, 1),
        step,
        reason: None,
        detail: None,
        at: Millis(0),
        unix: None,
        measured: Measured::default(),
        role: None,
    }
}

/// What a hello may say otherwise: streams as kind, id, first kept, next, predecessor.
pub(super) struct HelloSaid {
    pub(super) accepted: Option<EpochGeneration>,
    pub(super) assignment: Option<Digest>,
    pub(super) at_ms: u64,
    pub(super) challenge: Option<Nonce>,
    pub(super) metadata: MetadataVersions,
    pub(super) streams: Vec<(Kind, StreamId, u64, u64, Option<StreamId>)>,
}

impl Bench {
    /// A device with a stream of each kind that a hello has named.
    pub(super) fn new() -> Self {
        let bench = Self {
            connection: store::in_memory(),
            device: id("press-07"),
            challenges: Cell::new(100),
        };
        let tx = bench.tx();
        tx.add_device(&bench.device, NOW).expect("a store");
        let public = key(1).verifying_key().into();
        tx.set_document_key(&bench.device, public, NOW)
            .expect("a store");
        bench.hello(|hello| {
            let opens = |kind, id| (kind, id, 1, 1, None);
            hello.streams = vec![
                opens(Kind::Receipts, RECEIPTS),
                opens(Kind::Windows, WINDOWS),
            ];
        });
        bench
    }

    pub(super) fn tx(&self) -> Tx<'_> {
        Tx::of(&self.connection)
    }

    pub(super) fn director(&self) -> Director {
        Director {
            key: key(8),
            epoch: Epoch(1),
        }
    }

    pub(super) fn document(&self, say: &Say) -> document::Taken {
        let bytes = say.bytes();
        let opened = document::Opened::now(&self.tx(), &self.device, &bytes, None);
        let opened = opened.expect("a store");
        document::take(&self.tx(), &self.device, &bytes, opened, NOW).expect("a store")
    }

    pub(super) fn hello(&self, change: impl FnOnce(&mut HelloSaid)) -> hello::Heard {
        self.hello_at(NOW, change)
    }

    pub(super) fn hello_at(
        &self,
        now: UnixSeconds,
        change: impl FnOnce(&mut HelloSaid),
    ) -> hello::Heard {
        self.hear(&self.hello_bytes(1, change), now)
    }

    /// A hello as it came, perhaps not for the first time.
    pub(super) fn hear(&self, bytes: &[u8], now: UnixSeconds) -> hello::Heard {
        match self.take_hello(bytes, now) {
            hello::Taken::Heard(heard) => heard,
            other => panic!("a good hello is heard: {other:?}"),
        }
    }

    pub(super) fn take_hello(&self, bytes: &[u8], now: UnixSeconds) -> hello::Taken {
        self.challenges.set(self.challenges.get() + 1);
        let (director, fresh) = (self.director(), Nonce([self.challenges.get(); 16]));
        let taken = hello::take(&self.tx(), &director, &self.device, bytes, fresh, now);
        taken.expect("a store")
    }

    pub(super) fn hello_bytes(&self, seed: u8, change: impl FnOnce(&mut HelloSaid)) -> Vec<u8> {
        let mut said = HelloSaid {
            accepted: None,
            assignment: None,
            at_ms: 5,
            challenge: None,
            metadata: MetadataVersions::default(),
            streams: Vec::new(),
        };
        change(&mut said);
        let state = |(kind, id, first_kept, next, predecessor): &_| StreamState {
            kind: *kind,
            id: *id,
            first_kept: Sequence(*first_kept),
            next: Sequence(*next),
            predecessor: *predecessor,
        };
        let streams: Vec<StreamState> = said.streams.iter().map(state).collect();
        let hello = Hello {
            device: self.device.clone(),
            accepted: said.accepted,
            assignment: said.assignment,
            metadata: said.metadata,
            streams: List::of(&streams),
            nonce: NONCE,
            agent: Version::parse("0.1.0").expect("valid"),
            boot: BootId([4; 8]),
            at: Millis(said.at_ms),
            health: Health::default(),
            challenge: said.challenge,
        };
        cose::seal_vec(&hello, &key(seed))
    }

    /// Publishes a version; every digest that it reaches.
    pub(super) fn release(&self, version: &str) -> Vec<Digest> {
        let (tx, named) = (self.tx(), Version::parse(version).expect("valid"));
        let bundle = Digest::of(format!("manifest of {version}").as_bytes());
        let layer = Digest::of(format!("layer of {version}").as_bytes());
        let signed = format!("statement of {version}").into_bytes();
        if tx.statement(&model(), &named).expect("a store").is_none() {
            let rank = tx.highest_rank(&model()).expect("a store").unwrap_or(0) + 1;
            let statement = Statement {
                model: model(),
                version: named,
                rank: Rank(rank),
                bundle,
                manifest_size: 1,
                class: TargetClass::parse("any").expect("valid"),
                requirements: Requirements::default(),
                issued_at: NOW,
            };
            tx.add_release(&statement, &signed, &[layer], NOW)
                .expect("a store");
        }
        vec![Digest::of(&signed), bundle, layer]
    }

    /// Makes a version desired; the signed bytes of the newest assignment.
    pub(super) fn roll_out(&self, version: &str) -> Vec<u8> {
        self.want(version, 0)
    }

    pub(super) fn retry(&self, version: &str) {
        self.want(version, 1);
    }

    fn want(&self, version: &str, attempt: u32) -> Vec<u8> {
        self.release(version);
        let tx = self.tx();
        let wanted = RolloutToStore {
            role: muster_protocol::message::Role::Serve,
            model: model(),
            version: Version::parse(version).expect("valid"),
            selector: String::new(),
            percent: 100,
            settings: Settings::default(),
        };
        let rollout = tx.add_rollout(&wanted, NOW).expect("a store");
        tx.set_desired(&self.device, rollout, &wanted, attempt)
            .expect("a store");
        let director = self.director();
        dispatch(&tx, &director, &self.device, When::Changed, NOW).expect("composed");
        let newest = tx.newest_assignment(&self.device).expect("a store");
        newest.expect("an assignment").document
    }

    pub(super) fn newest_at(&self) -> EpochGeneration {
        self.tx()
            .newest_at(&self.device)
            .expect("a store")
            .expect("a device")
    }

    pub(super) fn since(&self) -> Vec<EpochGeneration> {
        let entries = self.tx().newest_entries(&self.device).expect("a store");
        entries.iter().map(|stored| stored.entry.since).collect()
    }

    pub(super) fn incidents(&self) -> Vec<String> {
        let incidents = self
            .tx()
            .incidents(&IncidentFilter::default(), &Page::default())
            .expect("a store");
        incidents
            .items
            .into_iter()
            .map(|incident| incident.kind)
            .collect()
    }
}
