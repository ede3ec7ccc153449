//! The updater of one model: whatever it hears, only signed releases are routed, and nothing
//! follows a `Persist` that was not answered.

use super::super::cose::{key, public};
use super::super::reader::Reader;
use super::OUTPUTS_MAX;
use muster_device::facts::{Facts, Keys, ModelFacts, Revoked, RevokedAction};
use muster_device::updater::{
    Capabilities, Input, Listing, ModelState, Output, Policy, Release, Shadows, Updater, Verdict,
};
use muster_protocol::cbor;
use muster_protocol::cose;
use muster_protocol::digest::Digest;
use muster_protocol::id::{EpochGeneration, ModelId, Rank, TargetClass, Version};
use muster_protocol::message::{
    Entry, Measured, Reason, Requirements, Role, Settings, Statement, Swap,
};
use muster_protocol::time::{Millis, UnixSeconds};
use std::sync::OnceLock;

/// Releases that are signed; a bundle's first byte is the number of its release.
const RELEASES: u8 = 4;

const POLICY: Policy = Policy {
    probation_ms: 1000,
    swap: Swap::Overlap,
    shadows: Shadows::Run,
};

/// From nothing.
pub fn run(input: &mut Reader<'_>) {
    let role = role(input);
    let mut updater = Updater::new(model(), role, POLICY, input.u64());
    converse(&mut updater, input, |bundle| bundle.0[0] < RELEASES);
}

/// From whatever lies on the disk.
pub fn boot(input: &mut Reader<'_>) {
    let Ok(state) = cbor::decode::<ModelState>(input.bytes()) else {
        return;
    };
    let written = cbor::to_vec(&state);
    assert_eq!(cbor::decode::<ModelState>(&written).as_ref(), Ok(&state));
    let known: Vec<Digest> = state.bundles().collect();
    let mut updater = Updater::boot(state, POLICY, input.u64());
    converse(&mut updater, input, |bundle| {
        bundle.0[0] < RELEASES || known.contains(&bundle)
    });
}

fn converse(updater: &mut Updater, input: &mut Reader<'_>, may_serve: impl Fn(Digest) -> bool) {
    let mut facts = Facts::<1>::default();
    let release = Keys {
        keys: [public(1)].into_iter().collect(),
        threshold: 1,
    };
    let one = ModelFacts {
        model: model(),
        release,
        floor: Rank(0),
    };
    assert!(facts.models.push(one).is_ok());
    let mut now = Millis(input.u64());
    while !input.is_empty() {
        change(&mut facts, input);
        hear(updater, &facts, input, now);
        drain(updater, &facts, input, now, &may_serve);
        now = now.plus(input.u64());
        assert!(
            updater
                .poll_timeout()
                .is_none_or(|(_, why)| !why.is_empty())
        );
    }
}

fn change(facts: &mut Facts<1>, input: &mut Reader<'_>) {
    match input.byte() % 8 {
        0 => facts.models[0].floor = Rank(input.u64() as u32),
        1 => {
            let revoked = Revoked {
                bundle: Digest([input.byte() % (RELEASES + 1); 32]),
                action: if input.byte() & 1 == 0 {
                    RevokedAction::Stop
                } else {
                    RevokedAction::Fallback
                },
            };
            // Full: the fleet could not say more either.
            let _ = facts.revoked.push(revoked);
        }
        2 => facts.revoked.clear(),
        _ => {}
    }
}

fn hear(updater: &mut Updater, facts: &Facts<1>, input: &mut Reader<'_>, now: Millis) {
    let view = facts.view(&model());
    let what = input.byte();
    let which = input.byte();
    let bundle = Digest([which % (RELEASES + 1); 32]);
    let entry = entry(which % RELEASES, input);
    let beside = release(&entry, which % RELEASES);
    let hostile = input.bytes();
    let signed = statements();
    let capabilities = capabilities(input);
    let event = match what % 16 {
        0 | 1 => Input::Assigned {
            entry: Some(&entry),
            beside: Some(&beside).filter(|_| what & 128 > 0),
        },
        2 => Input::Assigned {
            entry: None,
            beside: None,
        },
        3 => Input::FactsChanged,
        4 | 5 => Input::Statement {
            bytes: &signed[usize::from(which % RELEASES)],
            listing: listing(which),
            capabilities: &capabilities,
        },
        6 => Input::Statement {
            bytes: hostile,
            listing: Listing::Listed,
            capabilities: &capabilities,
        },
        7 => Input::Planned(bundle),
        8 => Input::Fetched(bundle),
        9 => Input::Staged {
            bundle,
            fetched_bytes: input.u64(),
            written_bytes: input.u64(),
        },
        10 => Input::TrialPassed {
            bundle,
            measured: Measured::default(),
        },
        11 => Input::Routed(bundle),
        12 if what < 128 => Input::Failed {
            bundle,
            verdict: verdict(which, hostile),
        },
        12 => Input::ServingFailed {
            bundle,
            verdict: verdict(which, hostile),
        },
        13 => Input::Recovered,
        14 => other(which),
        _ => Input::Tick,
    };
    updater.handle(event, &view, now);
}

const fn other(which: u8) -> Input<'static> {
    match which % 4 {
        0 => Input::Unavailable,
        1 => Input::LinkUp,
        2 => Input::Expired,
        _ => Input::Persisted,
    }
}

/// Takes every output and says, mostly, that the state is durable.
fn drain(
    updater: &mut Updater,
    facts: &Facts<1>,
    input: &mut Reader<'_>,
    now: Millis,
    may_serve: &impl Fn(Digest) -> bool,
) {
    let disk_works = input.byte() % 8 != 7;
    for _ in 0..OUTPUTS_MAX {
        match updater.poll_output() {
            None => return,
            Some(Output::Persist) => {
                assert_eq!(updater.poll_output(), None, "something follows a persist");
                let written = cbor::to_vec(updater.state());
                assert_eq!(
                    cbor::decode::<ModelState>(&written).as_ref(),
                    Ok(updater.state())
                );
                if !disk_works {
                    return;
                }
                updater.handle(Input::Persisted, &facts.view(&model()), now);
            }
            Some(Output::Route { release, .. }) => assert!(may_serve(release.bundle)),
            Some(Output::Discard(bundle)) => {
                let active = updater.state().active.as_ref();
                assert!(active.is_none_or(|slot| slot.release.bundle != bundle));
            }
            Some(_) => {}
        }
    }
    panic!("outputs without end");
}

fn model() -> ModelId {
    ModelId::parse("bearing").expect("a valid name")
}

fn version(number: u8) -> Version {
    Version::parse(&format!("{number}.0.0")).expect("a valid name")
}

/// The signed statement of each release.
fn statements() -> &'static [Vec<u8>] {
    static STATEMENTS: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
    STATEMENTS.get_or_init(|| (0..RELEASES).map(statement).collect())
}

fn statement(number: u8) -> Vec<u8> {
    let statement = Statement {
        model: model(),
        version: version(number),
        rank: Rank(number.into()),
        bundle: Digest([number; 32]),
        manifest_size: 500,
        class: TargetClass::parse("any").expect("a valid name"),
        requirements: Requirements {
            peak_memory_bytes: 100,
            disk_bytes: 100,
            agent_level: 1,
        },
        issued_at: UnixSeconds(1_900_000_000),
    };
    let payload = cbor::to_vec(&statement);
    let mut scratch = vec![0; cose::scratch_len(payload.len())];
    let signature = cose::sign::<Statement>(&payload, &key(1), &mut scratch);
    cose::assemble_vec(&payload, &[signature.expect("it fits")])
}

fn role(input: &mut Reader<'_>) -> Role {
    if input.byte() & 15 == 15 {
        Role::Shadow
    } else {
        Role::Serve
    }
}

/// What the machine of the other role knows of the release that an entry names.
fn release(entry: &Entry, number: u8) -> Release {
    Release {
        version: entry.version.clone(),
        rank: Rank(number.into()),
        statement: entry.statement,
        bundle: Digest([number; 32]),
        manifest_size: 500,
        peak_memory_bytes: 100,
        since: entry.since,
    }
}

fn entry(number: u8, input: &mut Reader<'_>) -> Entry {
    let bytes = &statements()[usize::from(number)];
    Entry {
        model: model(),
        version: version(number),
        statement: Digest::of(bytes),
        statement_size: bytes.len() as u32,
        role: role(input),
        since: EpochGeneration::new(1, input.u64()),
        settings: Settings {
            probation_s: Some(input.u64() as u32),
            window_s: None,
            swap: None,
            shadow: None,
        },
    }
}

const fn listing(which: u8) -> Listing {
    match which % 8 {
        6 => Listing::Absent,
        7 => Listing::Unchecked,
        _ => Listing::Listed,
    }
}

fn capabilities(input: &mut Reader<'_>) -> Capabilities {
    let poor = input.byte() & 7 == 7;
    Capabilities {
        class: TargetClass::parse("linux").expect("a valid name"),
        memory_bytes: if poor { 99 } else { 100 },
        disk_bytes: 100,
    }
}

fn verdict(which: u8, sentence: &[u8]) -> Verdict {
    let reasons = [
        Reason::Crashed,
        Reason::WrongOutput,
        Reason::Latency,
        Reason::Blob,
        Reason::Manifest,
        Reason::Disk,
    ];
    let reason = reasons[usize::from(which) % reasons.len()];
    Verdict::new(reason, &String::from_utf8_lossy(sentence))
}
