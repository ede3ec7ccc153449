//! A device that is offline for a year: it loses resolution, and never a count.
//!
//! The real lane on real files takes two weeks of it. All of it, on files and in the machine with
//! its bodies in memory, is for `cargo xtask test --full`.

use super::bodies::tests::signing;
use super::*;
use crate::power_cuts::{folder, page};
use crate::store::disk::recorder::{Note, Recording};
use muster_device::stream::{Handle, Pending};
use muster_protocol::cbor::List;
use muster_protocol::cose;
use muster_protocol::id::{DeviceId, EpochGeneration, ModelId};
use muster_protocol::limits::{DOCUMENT_BYTES_MAX, FROZEN_MAX};
use muster_protocol::message::{Ack, Document, FeatureWindow, Window};
use muster_protocol::stats::FeatureCounts;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

const MINUTES_OF_A_YEAR: u64 = 525_600;
/// Of the year on real files, in the short form of the test.
const MINUTES_SHORT: u64 = 20_160;
const MODELS: u64 = 3;
const FEATURES: usize = 1;
/// Minutes between two starts.
const START_EVERY: u64 = 1_009;
/// Of so many minutes, the disk refuses the first few.
const REFUSES_EVERY: u64 = 4_099;
const REFUSES_FOR: u64 = 150;
const STREAM: StreamId = StreamId([7; 8]);

/// Closed windows and rows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Counts {
    windows: u64,
    calls: u64,
}

/// What is left of the year when the link comes back.
#[derive(Debug, Default)]
struct Rest {
    counts: Counts,
    /// Closed windows in each document.
    spans: Vec<u64>,
    gaps: u64,
    files_max: usize,
    bytes_max: u64,
    starts: u64,
}

impl Counts {
    fn add(&mut self, windows: u64, calls: u64) {
        self.windows += windows;
        self.calls += calls;
    }
}

const fn calls_of(minute: u64) -> u64 {
    match minute % 11 {
        2 | 5 | 6 => minute % 17,
        _ => 20 + minute * 31 % 900,
    }
}

/// The window of a minute: one of several models, each of which has one bundle a quarter.
fn window(minute: u64) -> Vec<u8> {
    let (model, quarter) = (minute % MODELS, minute / (MINUTES_OF_A_YEAR / 4 + 1));
    let bundle = u8::try_from(quarter * MODELS + model).expect("few");
    let counts = FeatureCounts {
        missing: u32::try_from(calls_of(minute)).expect("few"),
        ..FeatureCounts::default()
    };
    let features = [FeatureWindow::of(&counts, 18); FEATURES];
    let window = Window {
        model: ModelId::parse(&format!("model-{model}")).expect("valid"),
        bundle: Digest([bundle; 32]),
        since: EpochGeneration::new(1, quarter + 1),
        reference: Some(Digest([9; 32])),
        started: Millis(minute * 60_000),
        ended: Millis(minute * 60_000 + 60_000),
        unix: None,
        closed_windows: 1,
        calls: calls_of(minute),
        errors: List::default(),
        latency: List::default(),
        features: List::of(&features),
        latency_misses: None,
        shadow: None,
        scores: None,
        labels: None,
    };
    let device = DeviceId::parse("d").expect("valid");
    bodies::encode(bodies::Content::Window(window), &device, BootId([1; 8]))
}

/// Bytes and number of the files of a folder, by what was asked of the disk.
#[derive(Debug, Default)]
struct Usage {
    sizes: BTreeMap<PathBuf, u64>,
}

impl Usage {
    fn hear(&mut self, recording: &Recording) {
        for note in recording.take() {
            match note {
                Note::Create(path) => {
                    self.sizes.insert(path, 0);
                }
                Note::Write(path, offset, bytes) => {
                    let size = self.sizes.entry(path).or_default();
                    *size = (*size).max(offset + bytes.len() as u64);
                }
                Note::Rename(from, to) => {
                    let size = self.sizes.remove(&from).unwrap_or_default();
                    self.sizes.insert(to, size);
                }
                Note::Remove(path) => {
                    self.sizes.remove(&path);
                }
                _ => {}
            }
        }
    }
}

/// The year, or its beginning, on real files.
struct Year {
    folder: tempfile::TempDir,
    recording: std::sync::Arc<Recording>,
    lane: Lane,
    usage: Usage,
    told: Counts,
    rest: Rest,
}

impl Year {
    fn begin() -> Self {
        let folder = folder::in_memory();
        let recording = Recording::begin(folder.path());
        let lane = start(folder.path());
        Self {
            folder,
            recording,
            lane,
            usage: Usage::default(),
            told: Counts::default(),
            rest: Rest::default(),
        }
    }

    /// One minute without a fleet.
    fn minute(&mut self, minute: u64) {
        let refuses = minute % REFUSES_EVERY < REFUSES_FOR;
        self.recording.refuse(refuses);
        let now = Millis(minute * 60_000 + 60_000);
        while self.lane.store_oldest(now).is_some() {}
        self.lane.put(window(minute), &signing(), now);
        self.told.add(1, calls_of(minute));
        if !refuses {
            obey(&mut self.lane, now);
        }
        self.usage.hear(&self.recording);
        self.check_bounds(minute);
        // What the disk refuses is in memory alone: a start would lose it, as it must.
        if minute.is_multiple_of(START_EVERY) && self.lane.unstored.is_empty() {
            self.lane = start(self.folder.path());
            self.rest.starts += 1;
        }
    }

    /// At every step: bodies and documents, one that is being written, and one that takes their
    /// place.
    fn check_bounds(&mut self, minute: u64) {
        let queue = Path::new("queue/windows");
        let sizes = self
            .usage
            .sizes
            .iter()
            .filter(|(path, _)| path.starts_with(queue));
        let (files, bytes) = sizes.fold((0, 0), |(n, sum), (_, size)| (n + 1, sum + size));
        let files_max = ROOM + FROZEN_MAX + 2;
        assert!(files <= files_max, "{files} files in minute {minute}");
        assert!(
            bytes <= (files_max * DOCUMENT_BYTES_MAX) as u64,
            "{bytes} bytes"
        );
        assert!(
            self.lane.waiting.len() <= 1,
            "{} wait",
            self.lane.waiting.len()
        );
        self.rest.files_max = self.rest.files_max.max(files);
        self.rest.bytes_max = self.rest.bytes_max.max(bytes);
    }

    /// The link comes back: everything is sent, and acknowledged.
    fn reconnect(mut self, minutes: u64) -> (Counts, Rest) {
        self.recording.refuse(false);
        let now = Millis(minutes * 60_000 + 600_000);
        while self.lane.store_oldest(now).is_some() {}
        obey(&mut self.lane, now);
        self.release_held(now);
        self.lane.tell(Input::Connected, now);
        let mut last = Sequence(0);
        while let Some(output) = self.lane.stream.poll_output(now) {
            if let Output::Send { sequence } = output {
                let document = self.lane.document(sequence, &signing()).expect("reads");
                assert_eq!(sequence, Sequence(last.0 + 1), "in order, each once");
                last = sequence;
                self.rest.hear(&document);
                acknowledge(&mut self.lane, sequence);
            } else {
                self.lane
                    .obey(output, &signing(), now)
                    .expect("the disk works");
            }
        }
        assert!(self.lane.stream.is_drained());
        self.recording.end();
        (self.told, self.rest)
    }

    fn release_held(&mut self, now: Millis) {
        let held: Vec<_> = self.lane.stream.held().map(|body| body.body).collect();
        for body in held {
            self.lane.release(body, now).expect("the disk works");
        }
    }
}

impl Rest {
    fn hear(&mut self, document: &[u8]) {
        let document = cose::peek::<Document<'_>>(document).expect("a document");
        if let Some(window) = &document.window {
            self.counts
                .add(u64::from(window.closed_windows), window.calls);
            self.spans.push(u64::from(window.closed_windows));
        }
        if let Some(gap) = &document.gap {
            self.counts.add(u64::from(gap.closed_windows), gap.calls);
            self.gaps += 1;
        }
    }

    /// The line of the page.
    fn line(&mut self, minutes: u64, what: &str) -> String {
        self.spans.sort_unstable();
        let (len, spans) = (self.spans.len(), &self.spans);
        let (least, most) = (spans[0], spans[len - 1]);
        let median = spans[len / 2];
        let Counts { windows, calls } = self.counts;
        let (files, bytes, starts) = (self.files_max, self.bytes_max, self.starts);
        format!(
            "| {what} | {minutes} | {windows} | {calls} | {len} | {least} / {median} / {most} | \
             {} | {starts} | {files} | {bytes} |",
            self.gaps
        )
    }
}

fn start(folder: &Path) -> Lane {
    let store = Store::open_shared(folder).expect("opens");
    crate::store::atomic::make_folder(&folder.join("queue")).expect("makes");
    Lane::open_as(&store, Kind::Windows, STREAM).expect("opens")
}

fn obey(lane: &mut Lane, now: Millis) {
    while let Some(output) = lane.stream.poll_output(now) {
        lane.obey(output, &signing(), now).expect("the disk works");
    }
}

fn acknowledge(lane: &mut Lane, through: Sequence) {
    let ack = Ack {
        device: DeviceId::parse("d").expect("valid"),
        stream: lane.stream.id(),
        through,
        rejected: List::default(),
    };
    assert_eq!(lane.stream.acknowledged(&ack), Acked::Taken);
}

fn on_files(minutes: u64) -> String {
    let mut year = Year::begin();
    (0..minutes).for_each(|minute| year.minute(minute));
    let (told, mut rest) = year.reconnect(minutes);
    assert_eq!(rest.counts, told);
    assert_eq!(rest.gaps, 0, "everything could be merged");
    rest.line(minutes, "the lane on files")
}

#[test]
fn two_weeks_offline_on_files_lose_no_count() {
    let line = on_files(MINUTES_SHORT);
    page::compare("telemetry-absence.md", "two weeks", &[line]);
}

#[test]
#[ignore = "a year on real files takes minutes: cargo xtask test --full"]
fn a_year_offline_on_files_loses_no_count() {
    println!("{}", on_files(MINUTES_OF_A_YEAR));
}

/// The real machine, with its bodies in memory.
struct InMemory {
    stream: Stream<ROOM>,
    bodies: BTreeMap<Handle, Vec<u8>>,
    next: u64,
    rest: Rest,
    frozen: BTreeMap<Sequence, Vec<u8>>,
}

impl InMemory {
    fn add(&mut self, body: Vec<u8>) {
        let handle = Handle(self.next);
        self.next += 1;
        let pending = bodies::describe(handle, &body);
        self.bodies.insert(handle, body);
        let added = self.stream.handle(Input::Added(pending), Millis(0));
        assert_eq!(added, Ok(()), "room is made before it is needed");
        self.obey();
        self.rest.files_max = self
            .rest
            .files_max
            .max(self.bodies.len() + self.frozen.len());
        // Bodies change by a few bytes only: now and then is often enough for their sum.
        if self.next.is_multiple_of(97) {
            let stored = self.bodies.values().chain(self.frozen.values());
            let bytes = stored.map(|body| body.len() as u64).sum();
            self.rest.bytes_max = self.rest.bytes_max.max(bytes);
        }
    }

    fn obey(&mut self) {
        while let Some(output) = self.stream.poll_output(Millis(0)) {
            let input = match output {
                Output::Freeze { body, sequence } => {
                    let bytes = self.bodies.remove(&body).expect("it is there");
                    let signed = bodies::sign(&bytes, STREAM, sequence, &signing());
                    self.frozen.insert(sequence, signed);
                    Input::Frozen(body)
                }
                Output::Merge { earlier, later } => Input::Merged(self.merge(earlier, later)),
                Output::Covered { through } => {
                    self.frozen.retain(|sequence, _| *sequence > through);
                    Input::CoveredStored
                }
                Output::Send { sequence } => {
                    self.rest.hear(&self.frozen[&sequence]);
                    let ack = Ack {
                        device: DeviceId::parse("d").expect("valid"),
                        stream: STREAM,
                        through: sequence,
                        rejected: List::default(),
                    };
                    self.stream.acknowledged(&ack);
                    continue;
                }
                other => panic!("{other:?} is not asked for here"),
            };
            assert_eq!(self.stream.handle(input, Millis(0)), Ok(()));
        }
    }

    fn merge(&mut self, earlier: Handle, later: Handle) -> Pending {
        let first = self.bodies.remove(&earlier).expect("it is there");
        let second = &self.bodies[&later];
        let merged = bodies::merge(&first, second).expect("they are of one class");
        let pending = bodies::describe(later, &merged);
        self.bodies.insert(later, merged);
        pending
    }
}

#[test]
#[ignore = "a year of merges takes long: cargo xtask test --full"]
fn a_year_offline_in_the_machine_loses_no_count() {
    let mut year = InMemory {
        stream: Stream::new(STREAM, Sequence(0), 0, 1),
        bodies: BTreeMap::new(),
        next: 1,
        rest: Rest::default(),
        frozen: BTreeMap::new(),
    };
    let mut told = Counts::default();
    for minute in 0..MINUTES_OF_A_YEAR {
        told.add(1, calls_of(minute));
        year.add(window(minute));
    }
    let held: Vec<_> = year.stream.held().map(|body| body.body).collect();
    for body in held {
        let alone = bodies::without_features(&year.bodies[&body]).expect("a window");
        let pending = bodies::describe(body, &alone);
        year.bodies.insert(body, alone);
        let released = year.stream.handle(Input::Released(pending), Millis(0));
        assert_eq!(released, Ok(()));
    }
    let connected = year.stream.handle(Input::Connected, Millis(0));
    assert_eq!(connected, Ok(()));
    year.obey();
    assert!(year.stream.is_drained());
    assert_eq!(year.rest.counts, told);
    let line = year.rest.line(MINUTES_OF_A_YEAR, "the machine in memory");
    println!("{line}");
}
