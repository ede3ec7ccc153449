//! A controller whose store is older than its devices: what it hears, what it adopts, and that no
//! device goes back and no number is given twice.

use muster_protocol::cbor::List;
use muster_protocol::cose;
use muster_protocol::digest::Digest;
use muster_protocol::id::{EpochGeneration, Nonce, Sequence};
use muster_protocol::message::{Assignment, Entry, Kind, MetadataVersions, Show};

use super::super::{adopt, hello};
use super::bench::{self, Bench, NOW, Say, WINDOWS};
use crate::dispatch::{When, dispatch};
use crate::store::HoldReason;

/// What the restore raised the next generation to.
const FLOOR: u64 = (1 << 32) + 1;

/// A store from before the last rollouts, restored.
fn restored() -> Bench {
    let bench = Bench::new();
    bench.roll_out("1.0.0");
    let tx = bench.tx();
    tx.raise_generation_floor(&bench.device, at(FLOOR))
        .expect("a store");
    tx.hold(&bench.device, HoldReason::Restored, NOW)
        .expect("a store");
    bench
}

/// What the lost controller sent after the backup.
fn lost(versions: &[&str]) -> Vec<u8> {
    let bench = Bench::new();
    bench.roll_out("1.0.0");
    let sent = versions.iter().map(|version| bench.roll_out(version));
    sent.last().expect("one")
}

fn at(generation: u64) -> EpochGeneration {
    EpochGeneration::new(1, generation)
}

/// Says hello, and says it again with the challenge; what the second is answered.
fn answer(bench: &Bench, accepted: Option<EpochGeneration>, document: &[u8]) -> hello::Heard {
    let digest = accepted.map(|_| Digest::of(document));
    let asked = bench.hello(|hello| (hello.accepted, hello.assignment) = (accepted, digest));
    let challenge = asked.question.challenge;
    assert!(
        challenge.is_some() && asked.assignment.is_none(),
        "{asked:?}"
    );
    bench.hello(|hello| {
        (hello.accepted, hello.assignment) = (accepted, digest);
        hello.challenge = challenge;
    })
}

fn show(bench: &Bench, document: &[u8]) -> adopt::Taken {
    let director = bench.director();
    adopt::take(&bench.tx(), &director, &bench.device, document, NOW).expect("a store")
}

fn is_held(bench: &Bench) -> bool {
    bench.tx().held(&bench.device).expect("a store").is_some()
}

fn wanted(bench: &Bench) -> Vec<String> {
    let desired = bench.tx().desired(&bench.device).expect("a store");
    desired.iter().map(|row| row.version.to_string()).collect()
}

#[test]
fn only_a_hello_that_answers_a_fresh_challenge_counts() {
    let (bench, document) = (restored(), lost(&["2.0.0"]));
    let says = |challenge: Option<Nonce>| {
        bench.hello_bytes(1, |hello| {
            (hello.accepted, hello.assignment) = (Some(at(2)), Some(Digest::of(&document)));
            hello.challenge = challenge;
            hello.streams = vec![(Kind::Windows, WINDOWS, 51, 53, None)];
        })
    };
    let recorded = says(None);
    let asked = bench.hear(&recorded, NOW).question;
    assert_eq!((asked.challenge.is_some(), asked.show), (true, None));
    // Repeated, or with a challenge that was guessed: the same question, and nothing else.
    for bytes in [&recorded, &says(Some(Nonce([77; 16])))] {
        let heard = bench.hear(bytes, NOW);
        assert_eq!((heard.question, heard.stored.len()), (asked, 0));
    }
    assert_eq!(
        bench.tx().accepted_at(&bench.device).expect("a store"),
        None
    );
    let answered = says(asked.challenge);
    let heard = bench.hear(&answered, NOW);
    assert_eq!(heard.question.show, Some(Show::Assignment));
    assert_eq!(heard.stored[0].through, Sequence(50), "a reported gap");
    // The very answer, said again, is an old hello.
    let again = bench.hear(&answered, NOW).question;
    assert_eq!(again.show, None);
    assert!(again.challenge.is_some() && again.challenge != asked.challenge);
    assert!(is_held(&bench));
    assert!(matches!(
        show(&bench, &document),
        adopt::Taken::Adopted(None)
    ));
    assert!(!is_held(&bench));
}

#[test]
fn another_assignment_with_the_same_number_is_adopted_too() {
    let (bench, other) = (Bench::new(), Bench::new().roll_out("2.0.0"));
    bench.roll_out("1.0.0");
    answer(&bench, Some(at(1)), &other);
    assert!(is_held(&bench), "two assignments are number 1");
    assert!(matches!(show(&bench, &other), adopt::Taken::Adopted(_)));
    assert_eq!(wanted(&bench), ["2.0.0"]);
}

#[test]
fn what_the_device_has_is_adopted_and_the_next_one_is_above_the_floor() {
    let (bench, document) = (restored(), lost(&["2.0.0", "2.1.0"]));
    let director = bench.director();
    let made = dispatch(&bench.tx(), &director, &bench.device, When::Always, NOW);
    assert_eq!(made.expect("composed"), None, "nothing is composed");
    answer(&bench, Some(at(3)), &document);
    assert_eq!(show(&bench, &document), adopt::Taken::Adopted(None));
    assert_eq!((bench.newest_at(), bench.since()), (at(3), vec![at(3)]));
    assert_eq!(bench.incidents(), ["release_missing"]);
    assert_eq!(
        show(&bench, &document),
        adopt::Taken::Dropped("nobody asked for it".to_owned())
    );
    let heard = bench.hello(|hello| {
        (hello.accepted, hello.assignment) = (Some(at(3)), Some(Digest::of(&document)));
    });
    assert_eq!(
        (heard.assignment, heard.question),
        (None, Default::default())
    );
    bench.roll_out("3.0.0");
    assert_eq!(
        (bench.newest_at(), bench.since()),
        (at(FLOOR), vec![at(FLOOR)])
    );
}

#[test]
fn a_lost_release_that_comes_back_does_not_restart_what_runs_it() {
    let (bench, document) = (restored(), lost(&["2.0.0"]));
    answer(&bench, Some(at(2)), &document);
    show(&bench, &document);
    bench.release("2.0.0");
    let director = bench.director();
    let made = dispatch(&bench.tx(), &director, &bench.device, When::Changed, NOW);
    assert_eq!(made.expect("composed"), None);
    bench.roll_out("2.0.0");
    assert_eq!((bench.newest_at(), bench.since()), (at(2), vec![at(2)]));
}

#[test]
fn only_a_release_that_is_not_there_at_all_is_missing() {
    let check = |published: &str, expect: &[&str]| {
        let (bench, document) = (restored(), signed_anew("2.0.0"));
        bench.release(published);
        answer(&bench, Some(at(2)), &document);
        assert_eq!(show(&bench, &document), adopt::Taken::Adopted(None));
        assert_eq!(bench.incidents(), owned(expect), "{published}");
    };
    check("2.0.0", &[]);
    check("2.1.0", &["release_missing"]);
}

/// What the lost controller sent of a version, under a statement that nobody has any more.
fn signed_anew(version: &str) -> Vec<u8> {
    let sent = Bench::new();
    sent.roll_out(version);
    let entries = sent.tx().newest_entries(&sent.device);
    let mut entry = entries.expect("a store").remove(0).entry;
    entry.statement = Digest::of(b"the statement that was lost");
    signed(8, "press-07", 2, &[entry])
}

#[test]
fn what_the_store_knows_needs_no_showing() {
    let check = |accepted: Option<u64>, resent: bool| {
        let bench = restored();
        let document = bench.roll_out("1.0.0");
        let heard = answer(&bench, accepted.map(at), &document);
        assert_eq!(heard.question, Default::default());
        assert_eq!(heard.assignment.is_some(), resent, "{accepted:?}");
        assert!(!is_held(&bench));
        assert_eq!(bench.newest_at(), at(1));
        bench.roll_out("2.0.0");
        assert_eq!(bench.newest_at(), at(FLOOR));
        assert_eq!(bench.incidents(), [""; 0]);
    };
    check(Some(1), false);
    check(None, true);
    let forked = restored();
    let heard = answer(&forked, Some(at(1)), b"signed twice");
    assert_eq!(heard.question.show, Some(Show::Assignment));
}

#[test]
fn what_is_asked_of_a_held_device_comes_after_what_it_runs() {
    let (bench, document) = (restored(), lost(&["2.0.0"]));
    bench.roll_out("3.0.0");
    assert_eq!(bench.newest_at(), at(1));
    answer(&bench, Some(at(2)), &document);
    let adopt::Taken::Adopted(Some(next)) = show(&bench, &document) else {
        panic!("the wish is composed at once");
    };
    assert_eq!(
        (next.at, wanted(&bench)),
        (at(FLOOR), vec!["3.0.0".to_owned()])
    );
    let known = restored();
    let document = known.roll_out("4.0.0");
    let heard = answer(&known, Some(at(1)), &document);
    assert!(heard.assignment.is_some());
    assert_eq!(known.newest_at(), at(FLOOR));
}

#[test]
fn a_model_that_was_taken_off_after_the_backup_stays_off() {
    let (bench, document) = (restored(), signed(8, "press-07", 2, &[]));
    answer(&bench, Some(at(2)), &document);
    assert_eq!(show(&bench, &document), adopt::Taken::Adopted(None));
    assert_eq!((wanted(&bench), bench.newest_at()), (vec![], at(2)));
}

/// An assignment by the director of this seed.
fn signed(seed: u8, device: &str, generation: u64, entries: &[Entry]) -> Vec<u8> {
    let assignment = Assignment {
        device: bench::id(device),
        at: at(generation),
        issued_at: NOW,
        accept_by: NOW.plus_days(30),
        entries: List::of(entries),
    };
    cose::seal_vec(&assignment, &bench::key(seed))
}

#[test]
fn what_is_not_the_directors_word_is_not_adopted() {
    let check = |attack: &str, document: &[u8], shown: &[u8], incidents: &[&str]| {
        let bench = restored();
        answer(&bench, Some(at(2)), document);
        let taken = show(&bench, shown);
        assert!(
            matches!(taken, adopt::Taken::Dropped(_)),
            "{attack}: {taken:?}"
        );
        assert!(is_held(&bench), "{attack}");
        assert_eq!(
            (bench.newest_at(), bench.incidents()),
            (at(1), owned(incidents)),
            "{attack}"
        );
    };
    let good = lost(&["2.0.0"]);
    let refused = &["not_adopted"];
    check(
        "another than its hello names",
        &good,
        &lost(&["2.1.0"]),
        &[],
    );
    let own = signed(9, "press-07", 2, &[]);
    check("signed by the device itself", &own, &own, refused);
    let other = signed(8, "press-08", 2, &[]);
    check("of another device", &other, &other, refused);
    let number = signed(8, "press-07", 7, &[]);
    check("of another number", &number, &number, refused);
    let standing = Bench::new();
    standing.roll_out("1.0.0");
    let entries = standing.tx().newest_entries(&standing.device);
    let entry = entries.expect("a store").remove(0).entry;
    let twice = signed(8, "press-07", 2, &[entry.clone(), entry]);
    check("two entries for one model", &twice, &twice, refused);
    check("no assignment", b"x", b"x", refused);
    let unasked = restored();
    assert!(matches!(show(&unasked, &good), adopt::Taken::Dropped(_)));
}

fn owned(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

#[test]
fn an_epoch_that_the_restored_store_does_not_know_waits_for_the_operator() {
    let bench = restored();
    let heard = answer(
        &bench,
        Some(EpochGeneration::new(2, 1)),
        b"of a later director",
    );
    assert_eq!(heard.question, Default::default());
    assert_eq!(bench.incidents(), ["unknown_epoch"]);
    let row = bench.tx().device(&bench.device).expect("a store");
    let held = row.and_then(|row| row.held).expect("held");
    assert_eq!(
        (held.reason.as_str(), held.waits_for),
        ("restored", "operator")
    );
}

#[test]
fn an_old_state_that_was_put_in_place_is_noticed_and_held() {
    let bench = Bench::new();
    bench.roll_out("1.0.0");
    let document = lost(&["2.0.0"]);
    let heard = answer(&bench, Some(at(2)), &document);
    assert_eq!(heard.question.show, Some(Show::Assignment));
    assert_eq!(bench.incidents(), ["controller_behind"]);
    show(&bench, &document);
    assert_eq!(
        (bench.newest_at(), wanted(&bench)),
        (at(2), vec!["2.0.0".to_owned()])
    );
    bench.roll_out("3.0.0");
    assert_eq!(
        bench.newest_at(),
        at(FLOOR + 1),
        "whatever the other one has composed"
    );
}

#[test]
fn a_director_of_a_new_epoch_begins_anew_by_right() {
    let bench = Bench::new();
    let before = Some(EpochGeneration::new(0, 40));
    let heard = bench.hello(|hello| hello.accepted = before);
    assert_eq!(heard.question, Default::default());
    assert_eq!(bench.incidents(), [""; 0]);
    bench.roll_out("1.0.0");
    assert_eq!(bench.newest_at(), at(1));
}

#[test]
fn what_comes_before_the_answer_is_stored_and_the_gap_is_reported() {
    let bench = restored();
    bench.document(&Say::window(1, 30));
    bench.document(&Say::window(51, 30));
    let streams = || vec![(Kind::Windows, WINDOWS, 51, 52, None)];
    let challenge = bench
        .hello(|hello| hello.streams = streams())
        .question
        .challenge;
    let heard = bench.hello(|hello| {
        hello.streams = streams();
        hello.challenge = challenge;
    });
    assert_eq!(heard.stored[0].through, Sequence(51));
}

#[test]
fn metadata_that_only_offline_keys_can_bring_back_is_named() {
    let bench = Bench::new();
    let trusts = |targets, fleet| MetadataVersions {
        targets,
        fleet,
        ..MetadataVersions::default()
    };
    bench
        .tx()
        .add_metadata("targets", 2, b"t")
        .expect("a store");
    bench.hello(|hello| hello.metadata = trusts(2, 0));
    assert_eq!(bench.incidents(), [""; 0]);
    bench.hello(|hello| hello.metadata = trusts(3, 0));
    assert_eq!(bench.incidents(), ["metadata_behind"]);
}
