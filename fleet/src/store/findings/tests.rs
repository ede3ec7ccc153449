//! Findings, silences, storms, rules and what time brings, against a store in memory.

use std::cell::Cell;
use std::collections::BTreeMap;

use muster_fleet::finding::Cause;
use muster_fleet::incident::{
    AppliedRules, Command, Listener, Listens, Person, Rules, Silence, State,
};
use muster_protocol::digest::Digest;
use muster_protocol::id::ModelId;
use serde_json::Value;

use super::*;
use crate::config::Retention;
use crate::store::{
    self, AlertRow, InMemory, Incident, IncidentFilter, IncidentKind, Page, Tended,
};

const NOW: u64 = 1_800_000_000;
const QUIET_S: u64 = 86_400;

struct Bench {
    memory: InMemory,
    desk: Desk,
    /// Seconds after the beginning up to which the watch has looked.
    watched_s: Cell<u64>,
}

impl Bench {
    fn new() -> Self {
        let ops = Listener {
            name: "ops".to_owned(),
            to: Listens::All,
        };
        let bench = Self {
            memory: store::in_memory(),
            desk: Desk {
                applied: AppliedRules::default(),
                listeners: vec![ops],
                source: "muster:test".to_owned(),
            },
            watched_s: Cell::new(0),
        };
        bench.tick(0);
        bench
    }

    fn tick(&self, after_s: u64) {
        let ticked = self.tx().tick_watch_clock(UnixSeconds(NOW + after_s));
        ticked.expect("ticked");
        self.watched_s.set(after_s);
    }

    fn tx(&self) -> Tx<'_> {
        Tx::of(&self.memory)
    }

    fn record(&self, finding: &Finding, after_s: u64) -> Recorded {
        let now = UnixSeconds(NOW + after_s);
        let recorded = self.tx().record_finding(finding, &self.desk, now);
        recorded.expect("recorded")
    }

    /// Looks all the time until then.
    fn tend(&self, after_s: u64) -> Tended {
        for minute in (self.watched_s.get()..after_s).step_by(60) {
            self.tick(minute);
        }
        self.tick(after_s);
        self.look(after_s)
    }

    /// Looks then, and never in between.
    fn look(&self, after_s: u64) -> Tended {
        let now = UnixSeconds(NOW + after_s);
        self.tx().tend_incidents(&self.desk, now).expect("tended")
    }

    fn incidents(&self) -> Vec<Incident> {
        let page = Page {
            limit: Some(500),
            ..Page::default()
        };
        let filter = IncidentFilter::default();
        self.tx().incidents(&filter, &page).expect("a list").items
    }

    fn alerts(&self) -> Vec<AlertRow> {
        let page = Page {
            limit: Some(500),
            ..Page::default()
        };
        self.tx().alerts(None, None, &page).expect("a list").items
    }

    /// Kinds of what was told, in its order.
    fn told(&self) -> Vec<String> {
        let last = |alert: AlertRow| {
            let kind = alert.kind.rsplit('.').next().map(str::to_owned);
            format!(
                "{} {}",
                kind.unwrap_or_default(),
                alert.incident.unwrap_or(0)
            )
        };
        self.alerts().into_iter().map(last).collect()
    }

    fn silence(&self, selector: &str, span_s: u64) -> i64 {
        let silence: Silence = serde_json::from_str(selector).expect("a silence");
        silence.check(span_s).expect("allowed");
        let made = self
            .tx()
            .add_silence(&silence, span_s, &ada(), UnixSeconds(NOW));
        made.expect("made")
    }
}

fn ada() -> Person {
    Person::new("ada", "the pump is being replaced").expect("valid")
}

fn finding(device: &str, at: u64) -> Finding {
    let device: DeviceId = device.parse().expect("valid");
    Finding {
        model: ModelId::parse("bearing").expect("valid"),
        bundle: Digest([1; 32]),
        scope: Scope::Device(device.clone()),
        feature: Some("speed".to_owned()),
        cause: Cause::Stuck,
        devices: vec![device],
        because: format!("constant for 12 windows at {at}"),
        at: UnixSeconds(at),
    }
}

#[test]
fn findings_of_one_thing_are_one_incident() {
    let bench = Bench::new();
    let first = finding("press-01", 100);
    assert_eq!(bench.record(&first, 0), Recorded::Opened(1));
    assert_eq!(
        bench.record(&finding("press-01", 300), 5),
        Recorded::Counted(1)
    );
    // Late windows do not bring back an old sentence.
    assert_eq!(
        bench.record(&finding("press-01", 50), 6),
        Recorded::Counted(1)
    );
    assert_eq!(
        bench.record(&finding("press-02", 100), 7),
        Recorded::Opened(2)
    );
    let other = |change: fn(&mut Finding)| {
        let mut other = finding("press-01", 100);
        change(&mut other);
        bench.record(&other, 8)
    };
    assert_eq!(other(|f| f.cause = Cause::Absent), Recorded::Opened(3));
    assert_eq!(other(|f| f.feature = None), Recorded::Opened(4));
    let pump = |f: &mut Finding| f.model = ModelId::parse("pump").expect("valid");
    assert_eq!(other(pump), Recorded::Opened(5));
    // The same bundle is no part of it: a new version may have the same trouble.
    assert_eq!(other(|f| f.bundle = Digest([2; 32])), Recorded::Counted(1));
    let incident = &bench.incidents()[0];
    let shown = incident.shown.as_ref().expect("of windows");
    assert_eq!(
        (shown.first_at, shown.last_at, shown.findings),
        (50, 300, 4)
    );
    assert_eq!(incident.detail, "constant for 12 windows at 300");
    assert_eq!(shown.devices, ["press-01"]);
    assert_eq!(
        bench.told(),
        ["opened 1", "opened 2", "opened 3", "opened 4", "opened 5"]
    );
}

#[test]
fn the_same_finding_twice_changes_nothing_also_after_its_incident_has_closed() {
    let bench = Bench::new();
    let first = finding("press-01", 100);
    bench.record(&first, 0);
    let before = (bench.incidents(), bench.alerts());
    let mut again = first.clone();
    again.because = "in other words".to_owned();
    assert_eq!(bench.record(&again, 50), Recorded::Known(1));
    assert_eq!((bench.incidents(), bench.alerts()), before);
    assert_eq!(bench.tend(QUIET_S).closed, 1);
    assert_eq!(bench.record(&first, QUIET_S + 1), Recorded::Known(1));
    assert_eq!(bench.incidents().len(), 1);
    let next = finding("press-01", 500);
    assert_eq!(bench.record(&next, QUIET_S + 2), Recorded::Opened(2));
}

#[test]
fn an_incident_closes_when_it_was_quiet_and_that_is_told() {
    let bench = Bench::new();
    bench.record(&finding("press-01", 100), 0);
    bench.record(&finding("press-01", 200), 50);
    assert_eq!(bench.tend(QUIET_S + 49), Tended::default());
    let closed = Tended {
        settled: 0,
        closed: 1,
    };
    assert_eq!(bench.tend(QUIET_S + 50), closed);
    assert_eq!(bench.tend(QUIET_S + 51), Tended::default());
    assert_eq!(bench.told(), ["opened 1", "closed 1"]);
    assert_eq!(bench.incidents()[0].closed_at, Some(NOW + QUIET_S + 50));
}

#[test]
fn while_nobody_looks_no_incident_closes() {
    let bench = Bench::new();
    bench.record(&finding("press-01", 100), 0);
    assert_eq!(bench.tend(QUIET_S - 3600).closed, 0);
    // The controller was down for three days, and then finds the same.
    let back = QUIET_S - 3600 + 3 * 86_400;
    assert_eq!(bench.look(back).closed, 0);
    assert_eq!(
        bench.record(&finding("press-01", 300), back + 5),
        Recorded::Counted(1)
    );
    bench.tick(back + 5);
    assert_eq!(bench.tend(back + 5 + QUIET_S - 60).closed, 0);
    assert_eq!(bench.tend(back + 5 + QUIET_S).closed, 1);
    assert_eq!(bench.told(), ["opened 1", "closed 1"]);
}

#[test]
fn what_nobody_listens_to_is_told_to_nobody_and_counts_as_raised() {
    let mut bench = Bench::new();
    bench.desk.listeners.clear();
    bench.record(&finding("press-01", 100), 0);
    assert_eq!(bench.incidents()[0].told, "nobody");
    let counts = bench.tx().kpi_counts(UnixSeconds(NOW)).expect("counted");
    assert_eq!((counts.told, counts.untold), (1, 0));
    // Who comes later hears of what comes later.
    let bench = Bench {
        desk: Bench::new().desk,
        ..bench
    };
    bench.record(&finding("press-01", 200), 5);
    bench.tend(QUIET_S + 5);
    assert_eq!(bench.told(), [""; 0]);
    assert!(bench.incidents()[0].closed_at.is_some());
}

#[test]
fn a_storm_that_nobody_hears_is_told_to_nobody() {
    let mut bench = Bench::new();
    bench.desk.listeners.clear();
    let limit = u64::from(Rules::default().storm_per_hour);
    for number in 0..=limit {
        bench.record(&finding(&format!("press-{number}"), 100), number);
    }
    let incidents = bench.incidents();
    let storm = incidents.iter().find(|one| one.kind == "storm");
    assert_eq!(storm.map(|storm| storm.told.as_str()), Some("nobody"));
}

#[test]
fn what_a_device_said_closes_when_it_is_judged_and_a_repeat_opens_the_next() {
    let bench = Bench::new();
    let device = "press-01".parse().expect("valid");
    let raise = |after_s| {
        let (kind, now) = (IncidentKind::Clone, UnixSeconds(NOW + after_s));
        let raised = bench.tx().raise_incident(&device, kind, "two of them", now);
        raised.expect("raised");
        bench.tend(after_s);
    };
    let judge = |incident, command, to, after_s| {
        let (tx, now) = (bench.tx(), UnixSeconds(NOW + after_s));
        tx.judge_incident(incident, command, to, &ada(), now)
            .expect("kept");
        tx.close_judged(incident, &bench.desk, now).expect("closed");
    };
    let closed = || -> Vec<_> { bench.incidents().iter().map(|one| one.closed_at).collect() };
    raise(0);
    judge(1, Command::Ack, State::Acknowledged, 10);
    assert_eq!(closed(), [None], "whoever looks at it has not judged it");
    judge(1, Command::Dismiss, State::Dismissed, 20);
    assert_eq!(closed(), [Some(NOW + 20)]);
    judge(1, Command::Confirm, State::Confirmed, 30);
    assert_eq!(closed(), [Some(NOW + 20)], "it closed once");
    raise(40);
    raise(50);
    assert_eq!(closed(), [Some(NOW + 20), None]);
    assert_eq!(bench.told(), ["opened 1", "closed 1", "opened 2"]);
    // What windows show is judged and goes on.
    bench.record(&finding("press-02", 100), 60);
    judge(3, Command::Confirm, State::Confirmed, 70);
    assert_eq!(closed()[2], None);
}

#[test]
fn of_one_kind_a_device_opens_so_many_and_judged_ones_make_room() {
    let bench = Bench::new();
    let device = "press-01".parse().expect("valid");
    let raise = |number: u32| {
        let (tx, detail) = (bench.tx(), format!("epoch {number}"));
        let raised = IncidentKind::UnknownEpoch;
        tx.raise_incident(&device, raised, &detail, UnixSeconds(NOW))
            .expect("raised");
    };
    (0..150).for_each(raise);
    assert_eq!(bench.incidents().len(), 100);
    let (tx, now) = (bench.tx(), UnixSeconds(NOW + 5));
    tx.judge_incident(1, Command::Dismiss, State::Dismissed, &ada(), now)
        .expect("kept");
    tx.close_judged(1, &bench.desk, now).expect("closed");
    (150..300).for_each(raise);
    assert_eq!(bench.incidents().len(), 101);
}

#[test]
fn what_is_asked_every_few_seconds_finds_its_index() {
    let memory = store::in_memory();
    let check = |sql: &str, index: &str| {
        let explained = format!("EXPLAIN QUERY PLAN {sql}");
        let mut statement = memory.prepare(&explained).expect("SQL");
        let rows = statement.query_map([0, 10], |row| row.get::<_, String>(3));
        let plan: Vec<String> = rows
            .expect("asked")
            .map(|row| row.expect("a row"))
            .collect();
        assert!(plan[0].contains(index), "{plan:?}");
    };
    check(store::closing::QUIET, "incidents_quiet");
    check(store::telling::UNSAID, "incidents_unsaid");
}

#[test]
fn what_a_device_said_stays_open_and_is_told_once() {
    let bench = Bench::new();
    let device = "press-01".parse().expect("valid");
    let raise = || {
        let raised = IncidentKind::Clone;
        let tx = bench.tx();
        tx.raise_incident(&device, raised, "two of them", UnixSeconds(NOW))
    };
    raise().expect("raised");
    raise().expect("raised");
    assert_eq!(bench.told(), [""; 0]);
    assert_eq!(bench.tend(1).settled, 1);
    assert_eq!(bench.tend(2 * QUIET_S), Tended::default());
    assert_eq!(bench.told(), ["opened 1"]);
    let incident = &bench.incidents()[0];
    assert_eq!((incident.place(), incident.closed_at), ("press-01", None));
    assert_eq!(incident.shown, None);
}

#[test]
fn a_silenced_incident_is_recorded_and_told_when_the_silence_has_ended() {
    let bench = Bench::new();
    let silence = bench.silence(r#"{"cause":"stuck"}"#, 1000);
    bench.record(&finding("press-01", 100), 0);
    let incident = &bench.incidents()[0];
    assert_eq!(
        (incident.told.as_str(), incident.silence),
        ("silenced", Some(silence))
    );
    assert_eq!(bench.tend(999), Tended::default());
    assert_eq!(bench.told(), [""; 0]);
    bench.tend(1000);
    assert_eq!(bench.told(), ["opened 1"]);
    // One of another cause was never silenced.
    let mut other = finding("press-01", 100);
    other.cause = Cause::Absent;
    bench.record(&other, 5);
    assert_eq!(bench.told(), ["opened 1", "opened 2"]);
}

#[test]
fn the_silence_of_a_cohort_covers_its_devices_by_their_labels() {
    let bench = Bench::new();
    for (device, site) in [("press-01", "a"), ("press-02", "b")] {
        let device = device.parse().expect("valid");
        let labels = BTreeMap::from([("site".to_owned(), site.to_owned())]);
        bench
            .tx()
            .add_device(&device, UnixSeconds(NOW))
            .expect("added");
        bench.tx().set_labels(&device, &labels).expect("labelled");
    }
    let silence = bench.silence(r#"{"cohort":"site=a"}"#, 1000);
    bench.record(&finding("press-01", 100), 0);
    bench.record(&finding("press-02", 100), 0);
    assert_eq!(bench.told(), ["opened 2"]);
    let ended = bench
        .tx()
        .end_silence(silence, &ada(), UnixSeconds(NOW + 5));
    assert!(ended.expect("ended"));
    let again = bench
        .tx()
        .end_silence(silence, &ada(), UnixSeconds(NOW + 6));
    assert!(!again.expect("nothing"));
    bench.record(&finding("press-01", 200), 7);
    assert_eq!(bench.told(), ["opened 2", "opened 1"]);
    let row = bench.tx().silence(silence).expect("read").expect("there");
    let said: Vec<_> = row
        .orders
        .iter()
        .map(|said| said.command.as_str())
        .collect();
    assert_eq!(said, ["silence", "end"]);
}

#[test]
fn in_a_storm_one_incident_stands_for_many() {
    let bench = Bench::new();
    let limit = u64::from(Rules::default().storm_per_hour);
    for number in 0..limit + 30 {
        bench.record(&finding(&format!("press-{number}"), 100), number);
    }
    let told = bench.told();
    assert_eq!(told.len() as u64, limit + 1, "{told:?}");
    let incidents = bench.incidents();
    let storms = incidents.iter().filter(|one| one.kind == "storm");
    let counted = storms.map(|storm| storm.shown.as_ref().expect("shown").findings);
    assert_eq!(counted.collect::<Vec<_>>(), [30]);
    let untold = incidents.iter().filter(|one| one.told == "storm").count();
    assert_eq!((untold, incidents.len() as u64), (30, limit + 31));
    // An hour later, one by one again.
    bench.tend(3600 + limit + 30);
    bench.record(&finding("press-late", 100), 3600 + limit + 30);
    assert_eq!(bench.told().len() as u64, limit + 2);
    // Those of the storm close without a word; the storm itself says so.
    bench.tend(QUIET_S + 3600);
    let closed = bench
        .told()
        .iter()
        .filter(|told| told.starts_with("closed"))
        .count();
    assert_eq!(closed as u64, limit + 1);
}

#[test]
fn what_people_say_is_kept_with_who_and_when() {
    let bench = Bench::new();
    bench.record(&finding("press-01", 100), 0);
    let say = |command, to, after_s| {
        let now = UnixSeconds(NOW + after_s);
        bench
            .tx()
            .judge_incident(1, command, to, &ada(), now)
            .expect("kept");
    };
    say(Command::Ack, State::Acknowledged, 60);
    say(Command::Confirm, State::Confirmed, 90);
    let story = bench.tx().incident_story(1).expect("read").expect("there");
    let incident = &story.incident;
    let times = (incident.acknowledged_at, incident.judged_at);
    assert_eq!(times, (Some(NOW + 60), Some(NOW + 90)));
    assert_eq!(incident.state, "confirmed");
    assert_eq!(story.newest_findings.len(), 1);
    let said: Vec<_> = story
        .orders
        .iter()
        .map(|said| said.command.as_str())
        .collect();
    assert_eq!(
        (said, story.orders[0].operator.as_str()),
        (vec!["ack", "confirm"], "ada")
    );
    let counts = bench.tx().kpi_counts(UnixSeconds(NOW)).expect("counted");
    assert_eq!(
        (counts.told, counts.untold, counts.precision.confirmed),
        (1, 0, 1)
    );
    assert_eq!((counts.acknowledged, counts.acknowledged_s), (1, 60));
    let later = bench
        .tx()
        .kpi_counts(UnixSeconds(NOW + 1))
        .expect("counted");
    assert_eq!(later, store::KpiCounts::default());
}

#[test]
fn an_alert_names_the_rules_that_judged_it_and_old_rules_stay() {
    let mut bench = Bench::new();
    let text = Rules::default_text().replace("quiet_s = 86400", "quiet_s = 600");
    let applied = AppliedRules::read(1, &text).expect("understood");
    let kept = bench
        .tx()
        .add_rules(&applied, &text, &ada(), UnixSeconds(NOW));
    kept.expect("kept");
    bench.desk.applied = bench.tx().applied_rules().expect("read");
    assert_eq!(bench.desk.applied, applied);
    bench.record(&finding("press-01", 100), 0);
    let due = bench
        .tx()
        .due_alerts("ops", UnixSeconds(NOW), 10)
        .expect("due");
    let body: Value = serde_json::from_str(&due[0].body).expect("JSON");
    assert_eq!(body["data"]["rules"]["number"], 1);
    assert_eq!(body["data"]["rules"]["digest"], applied.digest.to_string());
    assert_eq!(body["data"]["kind"], "stuck");
    assert_eq!(body["data"]["place"], "device:press-01");
    assert_eq!(body["data"].get("told"), None);
    assert_eq!(bench.tend(600).closed, 1);
    let row = bench.tx().rules(1).expect("read").expect("there");
    assert_eq!((row.text, row.orders[0].operator.as_str()), (text, "ada"));
}

#[test]
fn what_has_closed_is_forgotten_and_what_is_open_or_waits_is_not() {
    let bench = Bench::new();
    bench.record(&finding("press-01", 100), 0);
    bench.tend(QUIET_S);
    bench.record(&finding("press-02", 100), QUIET_S);
    let mut gone = Vec::new();
    for days in [0, 799, 802, 5000] {
        let now = UnixSeconds(NOW + QUIET_S + days * 86_400);
        let mut rows = 0;
        loop {
            match bench
                .tx()
                .forget(&Retention::default(), now)
                .expect("forgotten")
            {
                0 => break,
                more => rows += more,
            }
        }
        gone.push(rows);
    }
    // A finding and its incident; alerts that were never delivered wait.
    assert_eq!(gone, [0, 0, 2, 0]);
    let left = bench.incidents();
    assert_eq!((left.len(), left[0].place()), (1, "press-02"));
    assert_eq!(bench.told(), ["opened 1", "closed 1", "opened 2"]);
}
