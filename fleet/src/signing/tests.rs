//! Three people sign what two of them must, and see what somebody changed on the way.

use ed25519_dalek::SigningKey;
use muster_protocol::bundle::manifest::Descriptor;
use muster_protocol::cose::{self, KeySet};
use muster_protocol::digest::Hex;
use muster_protocol::id::Rank;
use muster_protocol::key::PublicKey;
use muster_protocol::limits::NODE_DOCUMENT_BYTES_MAX;
use muster_protocol::message::Statement;
use muster_protocol::time::UnixSeconds;
use muster_protocol::tuf::author::{key_of, read_signed};
use muster_protocol::tuf::fleet_document::{Director, Endpoints, PATH};
use muster_protocol::tuf::{self, Envelope, FleetDocument, Key, Role, Root, TargetFile, Targets};

use super::base::Base;
use super::memory::{Doubt, Earlier, Memory};
use super::part::Content;
use super::state::{State, Unsound};
use super::*;
use crate::bundle::{Layout, Verified, sample, verify};
use crate::publish::Publication;
use crate::release;

const NOW: UnixSeconds = UnixSeconds(1_800_000_000);
const ALICE: u8 = 1;
const BOB: u8 = 2;
const CAROL: u8 = 3;
const MALLORY: u8 = 9;

fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

fn public(seed: u8) -> [u8; 32] {
    key(seed).verifying_key().to_bytes()
}

fn keys(seeds: &[u8]) -> Vec<Key> {
    seeds.iter().map(|seed| key_of(&key(*seed))).collect()
}

fn root(version: u64, seeds: &[u8], threshold: u32) -> Root {
    let mut root = Root::new(version, NOW.plus_days(365).0);
    for role in [Role::Root, Role::Targets] {
        root.authorize(&role, &keys(seeds), threshold);
    }
    for role in [Role::Snapshot, Role::Timestamp] {
        root.authorize(&role, &keys(&[77]), 1);
    }
    root
}

fn fleet(version: u64) -> FleetDocument {
    let named = vec![tuf::Hex([8; 32])];
    FleetDocument {
        version,
        issued_at_s: NOW.0,
        director_epoch: 1,
        director: Director {
            keys: named.clone(),
            threshold: 1,
        },
        ack_keys: named.clone(),
        time_keys: named,
        ca_certificates: vec!["a certificate".to_owned()],
        endpoints: Endpoints {
            mqtt: "mqtts://localhost:8883".to_owned(),
            enroll: "https://localhost:8443".to_owned(),
        },
        floor: Default::default(),
        revoked: Default::default(),
    }
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).expect("text")
}

/// A fleet whose root and targets need two of Alice, Bob and Carol.
fn base() -> Base {
    let all: Vec<SigningKey> = [ALICE, BOB].map(key).into();
    let signers: Vec<&SigningKey> = all.iter().collect();
    let fleet = fleet(1).encode().expect("valid");
    let mut targets = Targets::new(4, NOW.plus_days(365).0);
    targets.add_target(PATH, TargetFile::of(&fleet, None));
    let root = root(1, &[ALICE, BOB, CAROL], 2);
    Base {
        roots: vec![text(
            Envelope::signed_bytes(&root, &signers).expect("signed"),
        )],
        targets: text(Envelope::signed_bytes(&targets, &signers).expect("signed")),
        fleet: text(fleet),
        model: None,
    }
}

fn bundle() -> (Layout, Verified, tempfile::TempDir) {
    let folder = sample::written(&sample::parts());
    let layout = Layout::at(folder.path());
    let verified = verify(&layout).expect("whole");
    (layout, verified, folder)
}

fn release_of(signers: Option<Signers>) -> NewRelease {
    let (layout, verified, _folder) = bundle();
    let read = |blob: &Descriptor| text(layout.blob(blob).expect("there"));
    let payload = release::sign::payload(&verified, Rank(1), NOW).expect("a payload");
    NewRelease {
        statement: Hex(&payload).to_string(),
        manifest: read(&verified.bundle),
        card: read(&verified.manifest.card),
        last: None,
        signers,
        proposed_at_s: NOW.0,
        version_floor: 1,
    }
}

/// A first release by two of three.
fn proposal() -> Proposal {
    let signers = Signers {
        keys: keys(&[ALICE, BOB, CAROL]),
        threshold: 2,
    };
    Proposal::new(Wanted::Release(release_of(Some(signers))), base())
}

fn sign(proposal: &mut Proposal, seed: u8) -> usize {
    let mut signed = 0;
    loop {
        let state = State::of(proposal).expect("sound");
        let Some(wanting) = state.wants(&public(seed)) else {
            return signed;
        };
        let made = wanting.sign(&key(seed));
        proposal.add(&wanting.part.content.name(), &made);
        signed += 1;
    }
}

fn published(proposal: &Proposal) -> Option<Publication> {
    State::of(proposal).expect("sound").publication(proposal)
}

#[test]
fn two_of_three_sign_a_release_on_folders_that_share_nothing() {
    for order in [
        [ALICE, BOB, ALICE],
        [ALICE, BOB, CAROL],
        [CAROL, ALICE, BOB],
    ] {
        let mut proposal = proposal();
        let mut signed = Vec::new();
        for seed in order {
            assert!(published(&proposal).is_none(), "{signed:?}");
            // It is carried as a file.
            let carried = serde_json::to_vec(&proposal).expect("JSON");
            proposal = serde_json::from_slice(&carried).expect("a proposal");
            signed.push(sign(&mut proposal, seed));
        }
        // Statement and targets; the same and what lists the statement; what lists it.
        assert_eq!(signed, [2, 3, 1], "{order:?}");
        check_as_a_device(&published(&proposal).expect("complete"));
    }
}

fn check_as_a_device(publication: &Publication) {
    let by = root(1, &[ALICE, BOB, CAROL], 2).authority(&Role::Targets);
    let bytes = publication.targets.as_deref().expect("delegated anew");
    let targets = read_signed::<Targets>(&Role::Targets, by, bytes).expect("signed");
    let delegation = targets.document().delegated().first().expect("one");
    let by = targets.document().authority(delegation);
    assert_eq!(by.threshold(), 2);
    let (name, bytes) = publication.delegated.first().expect("one");
    let role = Role::Delegated(name.clone());
    let listing = read_signed::<Targets>(&role, by.clone(), bytes).expect("signed");
    let (name, statement) = publication.target_files.first().expect("one");
    let listed = listing.document().targets.get(name).expect("listed");
    listed.check_bytes(&role, statement).expect("the same");
    let keys: Vec<PublicKey> = by.public_keys().into_iter().map(PublicKey).collect();
    let keys = KeySet {
        keys: &keys,
        threshold: 2,
    };
    let mut scratch = [0; 2 * NODE_DOCUMENT_BYTES_MAX];
    cose::open::<Statement>(statement, keys, &mut scratch).expect("signed by two");
}

#[test]
fn one_key_of_one_signs_everything_at_once() {
    let signers = Signers {
        keys: keys(&[CAROL]),
        threshold: 1,
    };
    let mut base = base();
    let one = root(1, &[CAROL], 1);
    base.roots = vec![text(
        Envelope::signed_bytes(&one, &[&key(CAROL)]).expect("signed"),
    )];
    let mut targets = Targets::new(4, NOW.plus_days(365).0);
    targets.add_target(PATH, TargetFile::of(base.fleet.as_bytes(), None));
    base.targets = text(Envelope::signed_bytes(&targets, &[&key(CAROL)]).expect("signed"));
    let mut proposal = Proposal::new(Wanted::Release(release_of(Some(signers))), base);
    assert_eq!(sign(&mut proposal, CAROL), 3);
    assert!(published(&proposal).is_some());
}

/// What somebody does to the file between two signers, and what the second one hears.
#[test]
fn tampering_with_a_carried_file_is_shown_to_the_next_signer() {
    let check = |change: &dyn Fn(&mut NewRelease, &mut Base), expect: &str| {
        let mut carried = proposal();
        sign(&mut carried, ALICE);
        let Wanted::Release(release) = &mut carried.wanted else {
            panic!("a release");
        };
        change(release, &mut carried.base);
        let unsound = State::of(&carried).expect_err("changed").to_string();
        assert!(unsound.contains(expect), "{unsound}");
    };
    let changed = "changed after it was signed: the signature over";
    check(&|new, _| new.proposed_at_s += 1, changed);
    check(&|new, _| new.version_floor = 9, changed);
    check(&|new, _| new.card.push(' '), "not about the card");
    check(&|new, _| new.manifest.push(' '), "not about the manifest");
    check(
        &|new, _| new.statement.truncate(40),
        "statement is not readable",
    );
    check(&|new, _| new.signers = None, "nobody is named who signs");
    let threshold = |new: &mut NewRelease, threshold| {
        new.signers.as_mut().expect("named").threshold = threshold;
    };
    check(&|new, _| threshold(new, 1), changed);
    check(&|new, _| threshold(new, 4), "more signatures are asked for");
    let mallory = |new: &mut NewRelease| {
        new.signers
            .as_mut()
            .expect("named")
            .keys
            .extend(keys(&[MALLORY]));
    };
    check(&|new, _| mallory(new), changed);
    check(&|_, base| base.roots.clear(), "no root");
    check(
        &|_, base| base.fleet.push(' '),
        "not the one that targets list",
    );
    let forged = Envelope::signed_bytes(&Targets::new(5, NOW.0), &[&key(MALLORY)]);
    let forged = text(forged.expect("signed"));
    check(&|_, base| base.targets = forged.clone(), "does not hold");
}

#[test]
fn a_signature_of_a_stranger_and_one_that_was_changed_are_named() {
    let mut carried = proposal();
    let state = State::of(&carried).expect("sound");
    let statement = state
        .parts
        .first()
        .expect("a statement")
        .part
        .content
        .clone();
    carried.add("statement", &statement.sign(&key(MALLORY)));
    let unsound = State::of(&carried).expect_err("a stranger");
    assert!(matches!(unsound, Unsound::Stranger { .. }), "{unsound}");

    let mut carried = proposal();
    let mut made = statement.sign(&key(ALICE));
    made.bytes[7] ^= 1;
    carried.add("statement", &made);
    let unsound = State::of(&carried).expect_err("changed");
    assert!(matches!(unsound, Unsound::Changed { .. }), "{unsound}");

    let mut carried = proposal();
    carried.add("models/other", &statement.sign(&key(ALICE)));
    assert!(State::of(&carried).is_err(), "a part that does not exist");
}

#[test]
fn the_same_key_twice_is_one_signature() {
    let mut carried = proposal();
    let state = State::of(&carried).expect("sound");
    let statement = state
        .parts
        .first()
        .expect("a statement")
        .part
        .content
        .clone();
    for _ in 0..2 {
        carried.add("statement", &statement.sign(&key(ALICE)));
    }
    let state = State::of(&carried).expect("sound");
    assert!(!state.parts[0].is_complete());
}

#[test]
fn old_and_new_keys_sign_a_root_and_targets_follow_their_new_keys() {
    let next = root(2, &[BOB, CAROL], 2);
    let wanted = NewRoot {
        root: serde_json::to_value(&next).expect("JSON"),
        proposed_at_s: NOW.0,
    };
    let mut proposal = Proposal::new(Wanted::Root(wanted), base());
    assert_eq!(sign(&mut proposal, ALICE), 1, "the root before");
    assert_eq!(sign(&mut proposal, BOB), 2, "both roots, and targets");
    assert!(
        published(&proposal).is_none(),
        "one of the new keys is missing"
    );
    assert_eq!(sign(&mut proposal, CAROL), 2);
    let publication = published(&proposal).expect("complete");
    let mut roots = base().roots;
    roots.push(text(publication.root.expect("a root")));
    let after = Base {
        roots,
        targets: text(publication.targets.expect("signed anew")),
        ..base()
    };
    let ground = after.verified(None).expect("holds");
    assert_eq!(ground.root, next);
    assert_eq!(ground.targets.header.version, 5);
}

#[test]
fn a_root_that_does_not_follow_is_refused() {
    for version in [0, 1, 3] {
        let wanted = NewRoot {
            root: serde_json::to_value(root(version, &[BOB], 1)).expect("JSON"),
            proposed_at_s: NOW.0,
        };
        let proposal = Proposal::new(Wanted::Root(wanted), base());
        assert!(State::of(&proposal).is_err(), "{version}");
    }
}

fn fleet_proposal(version: u64, base: Base) -> Proposal {
    let wanted = NewFleet {
        fleet: text(fleet(version).encode().expect("valid")),
        proposed_at_s: NOW.0,
        version_floor: 1,
    };
    Proposal::new(Wanted::Fleet(wanted), base)
}

#[test]
fn fleet_json_is_signed_by_as_many_as_sign_targets() {
    let mut proposal = fleet_proposal(2, base());
    assert_eq!(
        (sign(&mut proposal, CAROL), sign(&mut proposal, ALICE)),
        (1, 1)
    );
    assert_eq!(sign(&mut proposal, BOB), 0, "it is complete");
    let publication = published(&proposal).expect("complete");
    assert_eq!(publication.target_files.len(), 1);
    let back = fleet_proposal(1, base());
    assert!(
        State::of(&back)
            .expect_err("back")
            .to_string()
            .contains("goes back")
    );
}

/// A signer's folder remembers, where a controller hands out what suits it.
#[test]
fn a_signer_notices_another_fleet_old_metadata_and_a_second_document_of_one_version() {
    let first = State::of(&fleet_proposal(2, base())).expect("sound");
    let content = |state: &State| -> Content { state.parts[0].part.content.clone() };
    let mut memory = Memory::default();
    let root = first.ground.first_root;
    let check = |memory: &Memory, state: &State, earlier, expect: Result<(), Doubt>| {
        assert_eq!(memory.check(state, earlier), expect);
    };
    check(
        &memory,
        &first,
        Earlier::Counts,
        Err(Doubt::UnknownRoot(root)),
    );
    memory.trust(root);
    check(&memory, &first, Earlier::Counts, Ok(()));
    memory.remember(&first, &content(&first));
    check(&memory, &first, Earlier::Counts, Ok(()));
    let other = State::of(&fleet_proposal(3, base())).expect("sound");
    let part = "metadata of targets".to_owned();
    let twice = Doubt::Twice {
        part: part.clone(),
        version: 5,
    };
    check(&memory, &other, Earlier::Counts, Err(twice));
    check(&memory, &other, Earlier::GivenUp, Ok(()));
    let mut later = base();
    let all = [ALICE, BOB].map(key);
    let mut targets = Targets::new(5, NOW.plus_days(365).0);
    targets.add_target(PATH, TargetFile::of(later.fleet.as_bytes(), None));
    let signed = Envelope::signed_bytes(&targets, &[&all[0], &all[1]]);
    later.targets = text(signed.expect("signed"));
    let later = State::of(&fleet_proposal(2, later)).expect("sound");
    memory.remember(&later, &content(&later));
    let older = Doubt::Older {
        part,
        signed: 6,
        offered: 5,
    };
    check(&memory, &first, Earlier::GivenUp, Err(older));
}

#[test]
fn a_signer_notices_a_root_that_was_withheld() {
    let mut longer = base();
    let next = root(2, &[ALICE, BOB, CAROL], 2);
    let (alice, bob) = (key(ALICE), key(BOB));
    let signed = Envelope::signed_bytes(&next, &[&alice, &bob]).expect("signed");
    longer.roots.push(text(signed));
    let newer = State::of(&fleet_proposal(2, longer)).expect("sound");
    let mut memory = Memory::default();
    memory.trust(newer.ground.first_root);
    memory.remember(&newer, &newer.parts[0].part.content);
    let older = State::of(&fleet_proposal(2, base())).expect("sound");
    assert_eq!(
        memory.check(&older, Earlier::Counts),
        Err(Doubt::OtherRoots(2))
    );
}

#[test]
fn what_a_signer_remembers_is_read_as_it_was_written() {
    let folder = tempfile::tempdir().expect("a folder");
    let keys = KeyFolder::at(folder.path());
    let state = State::of(&fleet_proposal(2, base())).expect("sound");
    let mut memory = Memory::default();
    memory.trust(state.ground.first_root);
    memory.remember(&state, &state.parts[0].part.content);
    memory.write(&keys).expect("written");
    assert_eq!(Memory::read(&keys).expect("read"), memory);
}

#[test]
fn keys_are_made_listed_and_found_by_their_public_half() {
    let folder = tempfile::tempdir().expect("a folder");
    let (mine, theirs) = (folder.path().join("mine"), folder.path().join("theirs"));
    let (mine, theirs) = (KeyFolder::at(&mine), KeyFolder::at(&theirs));
    let name = |text: &str| text.parse::<KeyName>().expect("valid");
    let words = crate::key_file::Passphrase::new("correct horse".to_owned());
    mine.create(&name("alice"), Some(&words)).expect("made");
    let bob = theirs.create(&name("bob"), None).expect("made");
    assert!(
        mine.create(&name("alice"), None).is_err(),
        "never overwritten"
    );
    public_key::write(&mine.public(&name("bob")), &bob).expect("given");
    let listed = mine.keys().expect("read");
    let states: Vec<_> = listed
        .iter()
        .map(|key| (key.name.to_string(), key.private))
        .collect();
    let locked = Some(crate::key_file::LockState::Locked);
    assert_eq!(
        states,
        [("alice".to_owned(), locked), ("bob".to_owned(), None)]
    );
    let opened = theirs.open(&name("bob")).expect("open");
    assert_eq!(key_of(&opened), bob);
    for bad in ["", "../x", "Alice", "a b", ".hidden", &"a".repeat(64)] {
        assert!(bad.parse::<KeyName>().is_err(), "{bad}");
    }
}
